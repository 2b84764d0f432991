/** Ring traces of one application in every link mode: the same calls, seen by other means each time. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type BranchScanner, loadBranchScanner } from "../../src/debug/branch-scan.ts";
import { ProgramCode } from "../../src/debug/program-code.ts";
import { ApplicationWatch } from "../../src/debug/ring-application.ts";
import type { RingSink, Transition } from "../../src/debug/ring-events.ts";
import { RingNames } from "../../src/debug/ring-names.ts";
import { type RingReport, RingSummary } from "../../src/debug/ring-summary.ts";
import { RingTracer } from "../../src/debug/ring-trace.ts";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { Machine } from "../../src/machine/machine.ts";

const RING3 = ["ringcost-ring3", "ringcost-ring3-kpti", "ringcost-ring3-kpti-pcid"];
const RING0 = [
  ...["ringcost-kml", "ringcost-zpoline", "ringcost-ukl", "ringcost-ukl-nss", "ringcost-ukl-df"],
  ...["ringcost-ukl-ret", "ringcost-ukl-byp", "ringcost-shortcut"],
];
/** What a call is when it goes to the kernel's function directly. */
const SHORTCUTS: Readonly<Record<string, string>> = {
  read: "file_read",
  write: "file_write",
  sendto: "socket_send",
  recvfrom: "socket_receive",
  getppid: "sys_getppid",
  empty: "sys_empty",
};
const WITHOUT_RETURN = new Set(["exit", "exit_group", "rt_sigreturn"]);

interface Run {
  readonly machine: Machine;
  readonly console: string;
}

function start(name: string): { run: Run; image: Uint8Array } {
  const image = readFileSync(new URL(`../../images/${name}.bin`, import.meta.url));
  const run = { machine: null as unknown as Machine, console: "" };
  run.machine = new Machine({
    memory: 32 << 20,
    onConsole: (byte) => {
      run.console += String.fromCharCode(byte);
    },
  });
  run.machine.load({ image });
  return { run, image };
}

const LIMIT = { maxInstructions: 50_000_000 };

const results = new Map<string, ReturnType<typeof trace>>();

/** Each image is traced once. */
function traced(name: string, scan: BranchScanner): ReturnType<typeof trace> {
  let result = results.get(name);
  if (result === undefined) {
    result = trace(name, scan);
    results.set(name, result);
  }
  return result;
}

function trace(name: string, scan: BranchScanner) {
  const { run, image } = start(name);
  const { machine } = run;
  const symbols = SymbolTable.load(image);
  const names = new RingNames(symbols, ProgramCode.find(image, symbols));
  const summary = new RingSummary(names, "none");
  const transitions: Transition[] = [];
  const list: RingSink = { transition: (transition) => transitions.push(transition), end: () => {} };
  const tracer = new RingTracer(machine, names, [summary, list]);
  machine.observer = tracer;
  new ApplicationWatch(machine, names, tracer, scan);
  expect(machine.runSync(LIMIT)).toEqual({ kind: "power-off" });
  tracer.end();
  return { run, report: summary.report(), transitions };
}

/** How often each call was made, by whatever way. */
function calls({ systemCalls, calls: direct }: RingReport): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [name, { count }] of Object.entries(systemCalls)) counts[name] = count;
  for (const [name, kernelName] of Object.entries(SHORTCUTS)) {
    counts[name] = (counts[name] ?? 0) + (direct[kernelName]?.count ?? 0);
  }
  return counts;
}

describe.each([...RING3, ...RING0])("%s", (name) => {
  let result: ReturnType<typeof traced>;
  beforeAll(async () => {
    result = traced(name, await loadBranchScanner());
  });

  test("runs as it does when nobody watches", () => {
    const { run } = start(name);
    run.machine.runSync(LIMIT);
    expect(result.run.console).toBe(run.console);
    expect(result.run.machine.instructions).toBe(run.machine.instructions);
  });

  test("makes no change of sides that is not seen", () => {
    expect(result.transitions.filter(({ cause }) => cause === "unseen")).toEqual([]);
  });

  test("runs its application at the ring it was linked for", () => {
    const { rings } = result.report;
    expect(Object.keys(rings).sort()).toEqual(
      RING3.includes(name) ? ["ring 0 kernel", "ring 3"] : ["ring 0 application", "ring 0 kernel"],
    );
  });

  test("returns from every call, exception and interrupt", () => {
    const { systemCalls, calls: direct, events } = result.report;
    for (const [call, { count, ended }] of Object.entries({ ...systemCalls, ...direct, ...events })) {
      expect([call, ended]).toEqual([call, WITHOUT_RETURN.has(call) ? 0 : count]);
    }
  });
});

describe("all link modes", () => {
  test("make the same calls", async () => {
    const scan = await loadBranchScanner();
    const expected = calls(traced("ringcost-ring3", scan).report);
    expect(expected).toMatchObject({ empty: 10, getppid: 10, exit_group: 1 });
    for (const name of RING0) {
      expect([name, calls(traced(name, scan).report)]).toEqual([name, expected]);
    }
  });

  test("page faults on a demand-paged stack at ring 0 become double faults, and return", async () => {
    const { report } = traced("ringcost-ukl-df", await loadBranchScanner());
    const faults = report.events["#PF > #DF"]!;
    expect(faults.count).toBeGreaterThan(0);
    expect(faults.ended).toBe(faults.count);
  });

  test("a kernel function costs a fraction of a system call", async () => {
    const scan = await loadBranchScanner();
    const each = ({ instructions = 0, ended = 0 } = {}) => instructions / ended;
    const shortcut = each(traced("ringcost-shortcut", scan).report.calls.sys_empty);
    const call = each(traced("ringcost-ukl", scan).report.systemCalls.empty);
    expect(call).toBeGreaterThan(10 * shortcut);
  });
});
