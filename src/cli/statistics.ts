/** What a run did, in numbers: for `--stats`, `--json` and the monitor. */
import { EventCounts } from "../debug/event-counts.ts";
import { interruptSource } from "../debug/interrupt-source.ts";
import { plainTable } from "../debug/plain-table.ts";
import { exceptionName } from "../debug/vectors.ts";
import type { Machine } from "../machine/machine.ts";

/** Counts by name, most frequent first. */
export type Counts = Readonly<Record<string, number>>;

export interface Statistics {
  readonly instructions: number;
  /** Wall time from the start of the run, seconds. */
  readonly wallSeconds: number;
  /** Million instructions a second of wall time. */
  readonly mips: number;
  /** Guest time, seconds; idle time is the part that was skipped because every processor waited. */
  readonly virtualSeconds: number;
  readonly idleSeconds: number;
  /** With several processors: what each executed, and how long it waited in HLT, MWAIT or for its start. */
  readonly processors?: readonly { readonly instructions: number; readonly idleSeconds: number }[];
  /** With a timing model: its name, the cycles executed, and the figures no source gives that they rest on. */
  readonly timing?: { readonly model: string; readonly cycles: number; readonly assumed: readonly string[] };
  /** Largest resident set of the process, bytes. */
  readonly peakMemory: number;
  readonly consoleBytes: number;
  readonly faults: Counts;
  /** Interrupts by vector, as acknowledged by the processor. */
  readonly interrupts: Counts;
  /** Rising edges of interrupt lines. */
  readonly lines: Counts;
  readonly softwareInterrupts: Counts;
  readonly ringTransitions: Counts;
  readonly mmu: Counts;
  /** With virtio devices, by name: requests, bytes, interrupts, and what a network device counts beside them. */
  readonly virtio?: Readonly<Record<string, Counts>>;
  readonly codeCache: Counts;
  /** Messages about what the machine does not know. */
  readonly unknown: Counts;
}

function byCount(entries: Iterable<readonly [string, number]>): Counts {
  return Object.fromEntries([...entries].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])));
}

const hexVector = (vector: number): string => `0x${vector.toString(16).padStart(2, "0")}`;

/** Messages with their counts. The bus reports an access once and counts repetitions itself. */
function unknownCounts(machine: Machine): [string, number][] {
  const others = [...machine.unknown].filter(([message]) => !message.startsWith("bus: "));
  const accesses = [...machine.platform.bus.unknownAccesses];
  return [...others, ...accesses.map(([access, n]): [string, number] => [`bus: ${access}`, n])];
}

/** Watches a run from its start. */
export class RunStatistics {
  readonly events = new EventCounts();
  consoleBytes = 0;
  #start = performance.now();

  readonly #sources = new Map<number, string | undefined>();

  /** The guest starts now. */
  begin(machine: Machine): void {
    // Controllers are asked while they are in use: at power-off they no longer say whose vector it was.
    this.events.onFirstInterrupt = (vector) => this.#sources.set(vector, interruptSource(machine, vector));
    this.#start = performance.now();
  }

  report(machine: Machine): Statistics {
    const wallSeconds = (performance.now() - this.#start) / 1000;
    const { instructions } = machine;
    const { faults, interrupts, software, nmis, rings } = this.events;
    const named = (counts: ReadonlyMap<number, number>, name: (vector: number) => string) =>
      byCount([...counts].map(([vector, count]) => [name(vector), count] as const));
    const { readMisses, writeMisses, executeMisses, ...mmu } = machine.mmu.statistics;
    return {
      instructions,
      wallSeconds,
      mips: instructions / wallSeconds / 1e6,
      virtualSeconds: machine.time / 1e9,
      idleSeconds: machine.idleTime / 1e9,
      ...(machine.states.length === 1
        ? {}
        : {
            processors: machine.states.map(({ index }) => ({
              instructions: machine.instructionsOf[index]!,
              idleSeconds: machine.idleTimeOf[index]! / 1e9,
            })),
          }),
      ...(machine.timing.costs === null
        ? {}
        : {
            timing: {
              model: machine.timing.name,
              cycles: machine.cycles,
              assumed: machine.assumedUsed.map(({ name }) => name),
            },
          }),
      peakMemory: process.resourceUsage().maxRSS * 1024,
      consoleBytes: this.consoleBytes,
      faults: named(faults, exceptionName),
      interrupts: {
        ...named(interrupts, (vector) => this.#interruptName(vector)),
        ...(nmis > 0 ? { NMI: nmis } : {}),
      },
      lines: byCount(machine.platform.lines.raised),
      softwareInterrupts: named(software, hexVector),
      ringTransitions: byCount(rings),
      mmu: { readMisses, writeMisses, executeMisses, ...mmu },
      ...(machine.platform.virtio.length === 0
        ? {}
        : {
            virtio: Object.fromEntries(
              machine.platform.virtio.map(({ device, counters }) => [
                device.name,
                { ...counters, ...device.counts?.() },
              ]),
            ),
          }),
      codeCache: { ...machine.processor.code.counters },
      unknown: byCount(unknownCounts(machine)),
    };
  }

  #interruptName(vector: number): string {
    const source = this.#sources.get(vector);
    return source === undefined ? hexVector(vector) : `${hexVector(vector)} ${source}`;
  }
}

/** "readMisses" as "read misses". */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

const SECTIONS: readonly (readonly [title: string, key: keyof Statistics, isName?: true])[] = [
  ["Faults", "faults"],
  ["Interrupts by vector", "interrupts"],
  ["Interrupt lines raised", "lines"],
  ["Software interrupts", "softwareInterrupts"],
  ["Ring transitions", "ringTransitions"],
  ["Memory management", "mmu", true],
  ["Code cache", "codeCache", true],
];

/** Lines of the `--stats` report. */
export async function formatStatistics(statistics: Statistics): Promise<string[]> {
  const count = (value: number) => Math.round(value).toLocaleString("en-US");
  const seconds = (value: number) => `${value.toFixed(3)} s`;
  const rows: (readonly string[])[] = [
    ["Instructions", count(statistics.instructions)],
    ["Wall time", seconds(statistics.wallSeconds)],
    ["MIPS", statistics.mips.toFixed(1)],
    ["Virtual time", seconds(statistics.virtualSeconds)],
    ["  of it idle", seconds(statistics.idleSeconds)],
    ...(statistics.processors ?? []).flatMap(({ instructions, idleSeconds }, i) => [
      [`Processor ${i}: instructions`, count(instructions)],
      ["  idle", seconds(idleSeconds)],
    ]),
    ...(statistics.timing === undefined
      ? []
      : [
          [`Cycles (${statistics.timing.model})`, count(statistics.timing.cycles)],
          ["  assumed figures in them", count(statistics.timing.assumed.length)],
        ]),
    ["Peak memory", `${count(statistics.peakMemory / 2 ** 20)} MiB`],
    ["Console bytes", count(statistics.consoleBytes)],
  ];
  const section = (title: string, counts: Counts, isName = false): void => {
    const entries = Object.entries(counts);
    if (entries.length === 0) return;
    rows.push([title, ""], ...entries.map(([name, n]) => [`  ${isName ? words(name) : name}`, count(n)]));
  };
  for (const [title, key, isName] of SECTIONS) section(title, statistics[key] as Counts, isName);
  for (const [device, counts] of Object.entries(statistics.virtio ?? {})) {
    section(device.replace("virtio", "Virtio"), counts, true);
  }
  const lines = await plainTable([], ["left", "right"], rows);
  const unknown = Object.entries(statistics.unknown);
  if (unknown.length > 0)
    lines.push("Unknown to this machine", ...unknown.map(([text, n]) => `  ${n}x ${text}`));
  return lines.map((line) => line.trimEnd());
}
