/** `ukl-emu boot IMAGE`: the command's options. What it does is in `session.ts`. */
import type { Argv, CommandModule } from "yargs";
import { UserError } from "./errors.ts";
import {
  parseCount,
  parseDuration,
  parseRegex,
  parseSeed,
  parseSerial,
  parseSize,
  parseTraces,
} from "./options.ts";
import type { SessionOptions } from "./session.ts";

/** As yargs gives them: every value is text, and a list when the option was given more than once. */
interface BootArguments {
  readonly image: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory?: string;
  readonly cpu?: string;
  readonly timing?: string;
  readonly timeout?: string;
  readonly maxInstructions?: string;
  readonly expect?: string;
  readonly serial?: string;
  readonly trace?: string | readonly string[];
  readonly stats?: boolean;
  readonly json?: boolean;
  readonly seed?: string;
}

/** Options with a value that make sense once. */
const SINGLE = [
  ...[
    "initrd",
    "append",
    "memory",
    "cpu",
    "timing",
    "timeout",
    "max-instructions",
    "expect",
    "serial",
    "seed",
  ],
] as const;

function builder(yargs: Argv): Argv<BootArguments> {
  return yargs
    .positional("image", {
      type: "string",
      describe: "kernel: bzImage, ELF, PVH or multiboot",
      demandOption: true,
    })
    .options({
      initrd: { type: "string", describe: "initial RAM disk, or first multiboot module" },
      append: { type: "string", describe: "kernel command line" },
      memory: { type: "string", describe: "guest RAM, e.g. 512M (the default) or 1G" },
      cpu: { type: "string", describe: "processor model, e.g. x86-64-v2,-smap or --cpu=-smep" },
      timing: { type: "string", describe: "timing model, e.g. skylake: ukl-emu models lists them" },
      timeout: { type: "string", describe: "stop after this wall time, e.g. 60s: exit code 124" },
      "max-instructions": {
        type: "string",
        describe: "stop after this many instructions, e.g. 2G: exit code 124",
      },
      expect: { type: "string", describe: "stop with exit code 0 when a console line matches this regex" },
      serial: { type: "string", describe: "console: stdio (the default), file:FILE or none" },
      trace: { type: "string", describe: "kinds of int,mmu,io,insn, and :FILE if not to standard error" },
      stats: { type: "boolean", describe: "counters on standard error at the end" },
      json: {
        type: "boolean",
        describe: "result as JSON on standard output; the console moves to standard error",
      },
      seed: { type: "string", describe: "seed of RDRAND and RDSEED" },
    })
    .example("$0 boot images/hello.bin", "run the image that comes with the package")
    .example('$0 boot vmlinuz --initrd initrd.gz --append "console=ttyS0"', "boot Linux to a shell")
    .example("$0 boot vmlinuz --expect 'login:' --timeout 60s", "wait for a prompt, for scripts")
    .example("$0 boot kernel.elf --trace int,io:trace.txt", "write a trace to a file") as Argv<BootArguments>;
}

/** @throws UserError */
export function sessionOptions(given: BootArguments): SessionOptions {
  const values = given as unknown as Readonly<Record<string, unknown>>;
  for (const name of SINGLE) {
    const value = values[name];
    if (Array.isArray(value)) {
      throw new UserError(`--${name}: expected one value, found ${value.map((v) => `"${v}"`).join(" and ")}`);
    }
  }
  const { trace = [] } = given;
  const parse = <T>(name: string, parser: (option: string, text: string) => T): T | undefined => {
    const text = values[name] as string | undefined;
    return text === undefined ? undefined : parser(`--${name}`, text);
  };
  return {
    image: given.image,
    initrd: given.initrd,
    append: given.append ?? "",
    memory: parse("memory", parseSize),
    cpu: given.cpu,
    timing: given.timing,
    timeout: parse("timeout", parseDuration),
    maxInstructions: parse("max-instructions", parseCount),
    expect: parse("expect", parseRegex),
    serial: parse("serial", parseSerial) ?? "stdio",
    traces: parseTraces("--trace", typeof trace === "string" ? [trace] : trace),
    stats: given.stats === true,
    json: given.json === true,
    seed: parse("seed", parseSeed),
  };
}

export const bootCommand: CommandModule<object, BootArguments> = {
  command: "boot <image>",
  describe: "Boot a kernel image",
  builder,
  handler: async (given) => {
    const options = sessionOptions(given);
    const { runSession } = await import("./session.ts");
    process.exitCode = await runSession(options);
  },
};
