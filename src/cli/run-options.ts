/** Options of every command that runs a guest: what is booted on which machine, and when it stops. */

import type { VirtioTransport } from "../machine/virtio.ts";
import { DRIVE_FORM, type DriveOption, parseDrives, parseTransport } from "./drives.ts";
import { UserError } from "./errors.ts";
import { type NetworkOption, parseNetworks } from "./networks.ts";
import {
  type ClockOption,
  parseClock,
  parseCount,
  parseDuration,
  parseFile,
  parseProcessors,
  parseQuantum,
  parseRegex,
  parseSeed,
  parseSize,
} from "./options.ts";

/** As yargs gives them: every value is text, and a list when the option was given more than once. */
export interface RunArguments {
  readonly image: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly quantum?: string;
  readonly cpu?: string;
  readonly timing?: string;
  readonly timeout?: string;
  readonly maxInstructions?: string;
  readonly expect?: string;
  readonly seed?: string;
  readonly drive?: string | readonly string[];
  readonly overlay?: string;
  readonly rng?: string;
  readonly net?: string | readonly string[];
  readonly pcap?: string;
  readonly clock?: string;
  readonly record?: string;
  readonly replay?: string;
  readonly hvc?: string;
}

export interface RunOptions {
  readonly image: string;
  readonly initrd: string | undefined;
  readonly append: string;
  /** Bytes. */
  readonly memory: number | undefined;
  /** Processors. */
  readonly cpus: number | undefined;
  /** Virtual nanoseconds. */
  readonly quantum: number | undefined;
  readonly cpu: string | undefined;
  readonly timing: string | undefined;
  readonly seed: bigint | undefined;
  /** Milliseconds. */
  readonly timeout: number | undefined;
  readonly maxInstructions: number | undefined;
  readonly expect: RegExp | undefined;
  readonly drives: readonly DriveOption[];
  readonly rng: VirtioTransport | undefined;
  readonly networks: readonly NetworkOption[];
  /** File for what crosses the networks. */
  readonly pcap: string | undefined;
  /** How virtual time goes with the host's. */
  readonly clock: ClockOption | undefined;
  /** File for all outside input. */
  readonly record: string | undefined;
  /** File with all outside input. */
  readonly replay: string | undefined;
  /** Transport of the virtio console. */
  readonly hvc: VirtioTransport | undefined;
}

/** For yargs. */
export const IMAGE_ARGUMENT = {
  type: "string",
  describe: "kernel: bzImage, ELF, PVH or multiboot",
  demandOption: true,
} as const;

/** For yargs, by name. */
export const RUN_OPTIONS = {
  initrd: { type: "string", describe: "initial RAM disk, or first multiboot module" },
  append: { type: "string", describe: "kernel command line" },
  memory: { type: "string", describe: "guest RAM, e.g. 512M (the default) or 1G" },
  cpus: { type: "string", describe: "number of processors, 1 (the default) to 16" },
  quantum: {
    type: "string",
    describe: "guest time after which the next processor has its turn, 1us to 1ms; 10us unless given",
  },
  cpu: { type: "string", describe: "processor model, e.g. x86-64-v2,-smap or --cpu=-smep" },
  timing: {
    type: "string",
    describe: "timing model, e.g. skylake: counts cycles; ukl-emu models lists them",
  },
  timeout: { type: "string", describe: "stop after this wall time, e.g. 60s: exit code 124" },
  "max-instructions": {
    type: "string",
    describe: "stop after this many instructions, e.g. 2G: exit code 124",
  },
  expect: { type: "string", describe: "stop with exit code 0 when a console line matches this regex" },
  seed: { type: "string", describe: "seed of RDRAND, RDSEED and the entropy device" },
  drive: {
    type: "string",
    describe: `virtio disk: ${DRIVE_FORM}; may be given again`,
  },
  overlay: {
    type: "string",
    describe: "qcow2 file for what the guest writes to the only --drive; made if missing",
  },
  rng: { type: "string", describe: "virtio entropy device: pci or mmio" },
  net: {
    type: "string",
    describe:
      "virtio network device: none; user[,hostfwd=tcp|udp:[ADDRESS]:PORT-[GUEST]:PORT][,restrict=on][,loopback=on], where the guest reaches what the host reaches, but the host's own loopback services (by 10.0.2.2) only with loopback=on, and nothing with restrict=on, and hostfwd binds to 127.0.0.1 unless another address is given; or stream:PATH or stream:HOST:PORT, a socket of passt, gvproxy or QEMU; all with [,mac=ADDRESS][,mtu=N][,queues=N][,transport=pci|mmio]; may be given again",
  },
  pcap: { type: "string", describe: "file for what crosses the networks, in pcapng format" },
  clock: {
    type: "string",
    describe:
      "guest time: virtual, which repeats, or host, which follows the host's clock; host for boot with --net, virtual unless given otherwise",
  },
  record: { type: "string", describe: "file for all that enters the guest from outside, for --replay" },
  replay: { type: "string", describe: "have a recorded run again: the same options and --replay FILE" },
  hvc: {
    type: "string",
    describe: "virtio console (console=hvc0), pci or mmio: shares the terminal with the serial port",
  },
} as const;

/** Options by name, with the parsers that say what is wrong with a value. */
export class OptionValues {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws UserError if one of `single` was given more than once */
  constructor(given: object, single: readonly string[]) {
    this.#values = given as Readonly<Record<string, unknown>>;
    for (const name of single) {
      const value = this.#values[name];
      if (!Array.isArray(value)) continue;
      throw new UserError(`--${name}: expected one value, found ${value.map((v) => `"${v}"`).join(" and ")}`);
    }
  }

  parse<T>(name: string, parser: (option: string, text: string) => T): T | undefined {
    const text = this.#values[name] as string | undefined;
    return text === undefined ? undefined : parser(`--${name}`, text);
  }
}

/** @throws UserError */
export function runOptions(given: RunArguments): RunOptions {
  const { drive = [], net = [] } = given;
  const values = new OptionValues(
    given,
    Object.keys(RUN_OPTIONS).filter((name) => name !== "drive" && name !== "net"),
  );
  const options: RunOptions = {
    image: given.image,
    initrd: given.initrd,
    append: given.append ?? "",
    memory: values.parse("memory", parseSize),
    cpus: values.parse("cpus", parseProcessors),
    quantum: values.parse("quantum", parseQuantum),
    cpu: given.cpu,
    timing: given.timing,
    seed: values.parse("seed", parseSeed),
    timeout: values.parse("timeout", parseDuration),
    maxInstructions: values.parse("max-instructions", parseCount),
    expect: values.parse("expect", parseRegex),
    drives: parseDrives(typeof drive === "string" ? [drive] : drive, given.overlay),
    rng: values.parse("rng", parseTransport),
    networks: parseNetworks(typeof net === "string" ? [net] : net),
    pcap: values.parse("pcap", parseFile),
    clock: values.parse("clock", parseClock),
    record: values.parse("record", parseFile),
    replay: values.parse("replay", parseFile),
    hvc: values.parse("hvc", parseTransport),
  };
  const { record, replay, clock, pcap, networks } = options;
  if (replay !== undefined && record !== undefined) {
    throw new UserError("--record: expected no --replay beside it: what is replayed is recorded already");
  }
  if (replay !== undefined && clock !== undefined) {
    throw new UserError("--clock: expected no --replay beside it: how time passed is in the recording");
  }
  if (pcap !== undefined && networks.length === 0) {
    throw new UserError("--pcap: expected a --net beside it, found none: nothing would be written");
  }
  return options;
}
