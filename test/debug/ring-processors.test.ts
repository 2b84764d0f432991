/** Ring traces of several processors: each has lines, counts and tracks of its own. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { PerfettoTrace } from "../../src/debug/perfetto.ts";
import { RingJson, RingText } from "../../src/debug/ring-lines.ts";
import { RingNames } from "../../src/debug/ring-names.ts";
import { RingSummary } from "../../src/debug/ring-summary.ts";
import { RingTracer } from "../../src/debug/ring-trace.ts";
import { Machine } from "../../src/machine/machine.ts";
import { GuestBuilder, missingTools } from "../guest/build.ts";

const PROCESSORS = 4;
const builder = missingTools() === null ? new GuestBuilder() : null;
afterAll(() => builder?.dispose());

interface TraceEvent {
  readonly ph: string;
  readonly name?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly args?: { readonly name?: string };
}

describe.skipIf(builder === null)("a guest of four processors that interrupt each other", () => {
  const machine = new Machine({ cpus: PROCESSORS, memory: 64 << 20, cpu: "max" });
  const names = new RingNames(null);
  const text: string[] = [];
  const json: string[] = [];
  const perfetto: string[] = [];
  const summary = new RingSummary(names, "none");
  if (builder !== null) {
    machine.load({ image: readFileSync(builder.build("processors-64").image) });
    const tracer = new RingTracer(machine, names, [
      new RingText((line) => text.push(line), names, false, PROCESSORS),
      new RingJson((line) => json.push(line), false, PROCESSORS),
      new PerfettoTrace((line) => perfetto.push(line), names),
      summary,
    ]);
    machine.observer = tracer;
    machine.runSync({ maxInstructions: 50e6 });
    tracer.end();
  }

  test("lines say which processor it was", () => {
    expect(text[0]).toMatch(/^# +seconds +instructions +cpu {2}ring/);
    const processors = new Set(text.slice(1).map((line) => line.slice(28).trim().split(/ +/)[0]));
    expect([...processors].sort()).toEqual(["0", "1", "2", "3"]);
    expect(new Set(json.map((line) => JSON.parse(line).processor))).toEqual(new Set([0, 1, 2, 3]));
  });

  test("counts of instructions grow on each processor by itself, time over all of them", () => {
    const last = new Map<number, number>();
    let time = 0;
    for (const line of json) {
      const moment = JSON.parse(line);
      expect(moment.time).toBeGreaterThanOrEqual(time);
      expect(moment.instructions).toBeGreaterThanOrEqual(last.get(moment.processor) ?? 0);
      time = moment.time;
      last.set(moment.processor, moment.instructions);
    }
  });

  test("each interrupt ends on the processor that took it", () => {
    const pending = new Map<number, string[]>();
    let ended = 0;
    for (const { processor, enters, leaves } of json.map((line) => JSON.parse(line))) {
      const frames = pending.get(processor) ?? [];
      pending.set(processor, frames);
      if (enters) frames.push(enters.name);
      if (leaves) {
        expect(frames.pop()).toBe(leaves.name);
        ended++;
      }
    }
    // Ping and pong.
    expect(ended).toBeGreaterThan(1000);
  });

  test("the summary is of all of them", () => {
    const report = summary.report();
    expect(report.time).toBe(machine.time);
    expect(report.instructions).toBe(machine.instructions);
    expect(report.rings["ring 0"]!.time).toBe(machine.time * PROCESSORS);
    expect(report.rings["ring 0"]!.instructions).toBe(machine.instructions);
    expect(machine.instructionsOf.reduce((sum, count) => sum + count, 0)).toBe(machine.instructions);
  });

  test("the file for Perfetto has a process for each, whose slices end as they began and in time's order", () => {
    const events: TraceEvent[] = JSON.parse(perfetto.join("\n")).traceEvents;
    const named = events.filter(({ ph, name }) => ph === "M" && name === "process_name");
    expect(named.map(({ pid, args }) => [pid, args?.name]).sort()).toEqual([
      [0, "CPU 0"],
      [1, "CPU 1"],
      [2, "CPU 2"],
      [3, "CPU 3"],
    ]);
    const depths = new Map<string, number>();
    const times = new Map<string, number>();
    for (const { ph, pid, tid, ts = 0 } of events.filter((event) => event.ph !== "M")) {
      const track = `${pid} ${tid}`;
      const depth = (depths.get(track) ?? 0) + (ph === "B" ? 1 : -1);
      expect(depth).toBeGreaterThanOrEqual(0);
      expect(ts).toBeGreaterThanOrEqual(times.get(track) ?? 0);
      depths.set(track, depth);
      times.set(track, ts);
    }
    expect([...depths.values()].filter((depth) => depth !== 0)).toEqual([]);
  });
});
