/** Ring traces of a guest with a program at ring 3 and an application at ring 0 (rings.S). */
import { beforeAll, describe, expect, test } from "vitest";
import { loadBranchScanner } from "../../src/debug/branch-scan.ts";
import { PerfettoTrace } from "../../src/debug/perfetto.ts";
import { ApplicationWatch } from "../../src/debug/ring-application.ts";
import type { RingSink } from "../../src/debug/ring-events.ts";
import { duration, RingJson, RingText } from "../../src/debug/ring-lines.ts";
import { RingNames } from "../../src/debug/ring-names.ts";
import { RingSummary } from "../../src/debug/ring-summary.ts";
import { RingTracer } from "../../src/debug/ring-trace.ts";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { Machine } from "../../src/machine/machine.ts";
import { buildRingGuest, hasTools, type RingGuest } from "./rings.ts";

interface Traced {
  readonly machine: Machine;
  readonly lines: readonly string[];
}

type MakeSink = (line: (text: string) => void, names: RingNames) => RingSink;

async function traced(
  guest: RingGuest,
  makeSink: MakeSink,
  options: { symbols?: boolean; timing?: string } = {},
): Promise<Traced> {
  const { symbols = true, timing = "none" } = options;
  const machine = new Machine({ memory: 16 << 20, timing });
  machine.load({ image: guest.image });
  const names = new RingNames(symbols ? SymbolTable.load(guest.image) : null);
  const lines: string[] = [];
  const tracer = new RingTracer(machine, names, [makeSink((line) => lines.push(line), names)]);
  machine.observer = tracer;
  if (names.hasApplication) new ApplicationWatch(machine, names, tracer, await loadBranchScanner());
  expect(machine.runSync({ maxInstructions: 10_000 })).toEqual({ kind: "power-off" });
  tracer.end();
  return { machine, lines };
}

const asText: MakeSink = (line, names) => new RingText(line, names, false);
const asJson: MakeSink = (line) => new RingJson(line, false);

/** Sides, cause and what, without numbers that change with every instruction of the guest. */
const SHAPE = /^ *[\d.]+ +\d+ {2}(\S+(?: app)? > \S+(?: app)?) {2,}(.+?) {2,}(\S+) +-> (\S+) *(.*)$/;

describe.skipIf(!hasTools)("a ring trace", () => {
  let guest: RingGuest;
  beforeAll(() => {
    guest = buildRingGuest();
  });

  test("tells of each transition by what it was made, where from and where to", async () => {
    const { lines } = await traced(guest, asText);
    const shapes = lines.slice(1).map((line) => {
      const [, sides, cause, from, to, what] = SHAPE.exec(line) ?? [];
      const place = (text = "?") => text.replace(/\+0x\w+$/, "+");
      return [sides, cause, place(from), place(to), what!.replace(/ <.*>$/, "")].join(" | ");
    });
    expect(shapes).toEqual([
      "0 > 3 | IRET | start64+ | program | ",
      '3 > 0 | SYSCALL | program+ | entry_syscall | write(1, "Text \\"1\\"\\n", 9)',
      "0 > 3 | SYSRET | exit_syscall+ | program+ | write = 9",
      "3 > 0 | SYSCALL | program+ | entry_syscall | open(0x40000000 (unmapped), O_RDONLY, 0)",
      "0 > 3 | SYSRET | exit_syscall+ | program+ | open = -1 ENOENT",
      "3 > 0 | INT 80h | program+ | entry_int80 | ",
      "0 > 3 | IRET | entry_int80+ | program+ | end of INT 80h",
      "3 > 0 | #PF | program+ | entry_page_fault | at 0x40000000: write, user, not present",
      "0 > 3 | IRET | entry_page_fault+ | program+ | end of #PF",
      "3 > 0 | SYSCALL | program+ | entry_syscall | exit(0)",
      "0 > 0 app | jump | ? | main | ",
      expect.stringMatching(/^0 app > 0 \| CALL \| main\+ \| entry_ukl \| read\(3, 0x\w+, 100\)$/),
      '0 > 0 app | RET | exit_ukl+ | main+ | read = 5 "Text "',
      "0 app > 0 | CALL | main+ | kernel_work | kernel_work()",
      "0 > 0 app | RET | ? | main+ | kernel_work = 5",
      "0 app > 0 | INT 03h | main+ | entry_breakpoint | ",
      "0 > 0 app | RET | exit_breakpoint | main+ | end of INT 03h",
    ]);
  });

  test("has aligned columns", async () => {
    const { lines } = await traced(guest, asText);
    const arrows = new Set(lines.slice(1).map((line) => line.indexOf(" -> ")));
    expect(arrows.size).toBe(1);
    expect(lines[0]!.indexOf("to  ")).toBe([...arrows][0]! + 4);
  });

  test("gives the exact number of instructions before each transition", async () => {
    const { lines } = await traced(guest, asJson);
    const counts = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === "transition");
    // Stepping through the same guest gives the addresses by number.
    const machine = new Machine({ memory: 16 << 20 });
    machine.load({ image: guest.image });
    const at = new Map<number, bigint>();
    machine.processor.onStep = (cpu) => at.set(machine.instructions + machine.processor.executed, cpu.rip);
    machine.runSync({ maxInstructions: 10_000 });
    const system = counts.filter(({ cause }) => ["SYSCALL", "SYSRET", "IRET", "INT 80h"].includes(cause));
    expect(system.length).toBeGreaterThan(7);
    for (const { instructions, from } of system) expect(at.get(instructions)).toBe(BigInt(from.rip));
    // A call that changes no ring is told of when it has arrived.
    const calls = counts.filter(({ cause }) => cause === "CALL");
    expect(calls).toHaveLength(2);
    for (const { instructions, to } of calls) expect(at.get(instructions)).toBe(BigInt(to.rip));
  });

  test("does not change what the guest does", async () => {
    const plain = new Machine({ memory: 16 << 20 });
    plain.load({ image: guest.image });
    plain.runSync();
    const { machine } = await traced(guest, asText);
    expect(machine.instructions).toBe(plain.instructions);
    expect(machine.time).toBe(plain.time);
    expect(machine.states[0]!.bytes.slice(0, 0x98)).toEqual(plain.states[0]!.bytes.slice(0, 0x98));
  });

  test("without symbols shows rings and addresses", async () => {
    const { lines } = await traced(guest, asText, { symbols: false });
    const syscalls = lines.filter((line) => /3 > 0 {2}SYSCALL/.test(line));
    expect(syscalls).toHaveLength(3);
    expect(syscalls[0]).toContain(`-> 0x${guest.address("entry_syscall").toString(16)} `);
    expect(lines.some((line) => line.includes("0 app"))).toBe(false);
  });

  test("as JSON has arguments, results and durations", async () => {
    const { lines } = await traced(guest, asJson);
    const objects = lines.map((line) => JSON.parse(line));
    expect(objects.find(({ enters }) => enters?.name === "write")).toMatchObject({
      cause: "SYSCALL",
      from: { side: "3", cpl: 3 },
      to: { side: "0", cpl: 0, symbol: "entry_syscall" },
      enters: { kind: "system call", number: 1, text: 'write(1, "Text \\"1\\"\\n", 9)' },
    });
    const left = objects.find(({ leaves }) => leaves?.name === "open");
    expect(left.leaves).toMatchObject({ text: "-1 ENOENT", result: "0xfffffffffffffffe" });
    expect(left.leaves.elapsedInstructions).toBe(10);
  });

  test("sums up time by ring, and system calls", async () => {
    let summary: RingSummary | null = null;
    const { machine } = await traced(guest, (_line, names) => {
      summary = new RingSummary(names, "none");
      return summary;
    });
    const report = summary!.report();
    expect(Object.keys(report.rings)).toEqual(["ring 3", "ring 0 application", "ring 0 kernel"]);
    const sum = (field: "time" | "instructions") =>
      Object.values(report.rings).reduce((total, ring) => total + ring[field], 0);
    expect(sum("time")).toBe(machine.time);
    expect(sum("instructions")).toBe(machine.instructions);
    expect(report.rings["ring 3"]!.arrivals).toBe(5);
    expect(report.systemCalls.write).toMatchObject({ count: 1, ended: 1, errors: 0, instructions: 9 });
    expect(report.systemCalls.open).toMatchObject({ count: 1, ended: 1, errors: 1 });
    expect(report.systemCalls.exit).toMatchObject({ count: 1, ended: 0 });
    expect(report.calls.kernel_work).toMatchObject({ count: 1, ended: 1, instructions: 2 });
    expect(report.events["#PF"]).toMatchObject({ count: 1, ended: 1 });
    const lines = (await summary!.lines()).join("\n");
    expect(lines).toMatch(/^ring 0 application {2,}4 /m);
    expect(lines).toMatch(/^open +1 +1 +1 /m);
  });

  test("with a timing model sums up its cycles", async () => {
    let summary: RingSummary | null = null;
    const { machine } = await traced(
      guest,
      (_line, names) => {
        summary = new RingSummary(names, "skylake");
        return summary;
      },
      { timing: "skylake" },
    );
    const report = summary!.report();
    expect(report.cycles).toBeCloseTo(machine.cycles);
    expect(report.systemCalls.write!.cycles).toBeGreaterThan(report.calls.kernel_work!.cycles * 5);
  });
});

interface TraceEvent {
  readonly ph: "B" | "E" | "M";
  readonly name?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly args: Record<string, string>;
}

describe.skipIf(!hasTools)("a trace for Perfetto", () => {
  let events: TraceEvent[];
  beforeAll(async () => {
    const { lines } = await traced(buildRingGuest(), (line, names) => new PerfettoTrace(line, names));
    events = JSON.parse(lines.join("\n")).traceEvents;
  });

  /** Slices as paths from the outermost in, by track. */
  function slices(): Map<string, string[]> {
    const tracks = new Map<number, { stack: string[]; paths: string[]; last: number }>();
    const names = new Map<number, string>();
    for (const { ph, name, tid, ts, args } of events) {
      if (ph === "M") {
        if (name === "thread_name") names.set(tid, args.name!);
        continue;
      }
      const track = tracks.get(tid) ?? { stack: [], paths: [], last: 0 };
      tracks.set(tid, track);
      expect(ts).toBeGreaterThanOrEqual(track.last);
      track.last = ts!;
      if (ph === "B") {
        track.stack.push(name!);
        track.paths.push(track.stack.join(" / "));
      } else expect(track.stack.pop()).toBeDefined();
    }
    for (const { stack } of tracks.values()) expect(stack).toEqual([]);
    return new Map([...tracks].map(([tid, { paths }]) => [names.get(tid)!, paths]));
  }

  test("has nested slices that all end, in order of time, on a track for each ring", () => {
    const tracks = slices();
    expect([...tracks.keys()].sort()).toEqual(["ring 0 application", "ring 0 kernel", "ring 3"]);
    expect(tracks.get("ring 0 kernel")).toEqual([
      "program 1",
      ...["write", "open", "INT 80h", "#PF", "exit", "read", "kernel_work", "INT 03h"].map(
        (name) => `program 1 / ${name}`,
      ),
    ]);
    expect(new Set(tracks.get("ring 3"))).toEqual(new Set(["program 1", "program 1 / program"]));
    expect(tracks.get("ring 0 application")).toContain("program 1 / main");
  });

  test("has arguments and results", () => {
    const open = events.findIndex(({ name }) => name === "open");
    expect(events[open]!.args).toMatchObject({
      call: "open(0x40000000 (unmapped), O_RDONLY, 0)",
      RDI: "0x40000000",
      by: "SYSCALL",
    });
    expect(events[open]!.args.from).toMatch(/^0x\w+ program\+0x\w+$/);
    const end = events.slice(open).find(({ ph }) => ph === "E");
    expect(end!.args).toMatchObject({ result: "-1 ENOENT" });
  });
});

test("durations", () => {
  expect([0, 999, 1000, 1234567, 1e9].map(duration)).toEqual([
    "0 ns",
    "999 ns",
    "1.000 us",
    "1.235 ms",
    "1.000 s",
  ]);
});
