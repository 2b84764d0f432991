/** Rows from rounds. */
import { expect, test } from "vitest";
import { noPhaseCounts, type PhaseCounts } from "../../src/measure/counts.ts";
import { nearNames } from "../../src/measure/near-names.ts";
import type { Round } from "../../src/measure/regions.ts";
import { rowsOf } from "../../src/measure/statistics.ts";

function counts(app: number, entry: number, cycles: number): PhaseCounts {
  const phases = noPhaseCounts();
  phases.app.instructions = app;
  phases.entry.instructions = entry;
  phases.entry.cycles = cycles;
  return phases;
}

const round = (call: string, phases: PhaseCounts, assumed: string[] = []): Round => ({
  ...{ call, payload: 0, phases, assumed },
});

test("a row is the median round by cycles, without the empty pair", () => {
  const [row] = rowsOf([
    round("nothing", counts(1, 0, 0)),
    round("read", counts(5, 10, 30), ["ret"]),
    round("read", counts(5, 90, 400), ["swapgs"]),
    round("read", counts(5, 12, 20), ["ret"]),
  ]);
  expect(row).toMatchObject({ call: "read", rounds: 3, assumed: ["ret", "swapgs"] });
  expect(row!.phases.app.instructions).toBe(4);
  expect(row!.phases.entry.instructions).toBe(10);
  expect(row!.total.instructions).toBe(14);
  expect(row!.least).toEqual({ instructions: 14, cycles: 20 });
  expect(row!.most).toEqual({ instructions: 94, cycles: 400 });
});

test("warm-up rounds and the empty pair have no row of their own", () => {
  const rows = rowsOf([
    round("nothing", counts(1, 0, 0)),
    round("", counts(9, 9, 9)),
    round("read", counts(2, 0, 0)),
  ]);
  expect(rows.map(({ call }) => call)).toEqual(["read"]);
});

test("names like a missing one: those that hold it, and those a few letters away", () => {
  const names = ["sys_read", "sys_readv", "sys_write", "sys_getppid", "printk"];
  expect(nearNames("sys_raed", names)).toEqual(["sys_read"]);
  expect(nearNames("getppid", names)).toEqual(["sys_getppid"]);
  expect(nearNames("mmap_base_of_process", names)).toEqual([]);
});
