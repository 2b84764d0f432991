/** ringcost's committed images, measured: what the link modes promise holds in counts. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { FIGURES_ROW } from "../../scripts/readme-figures.ts";
import { measureImages } from "../../src/measure/campaign.ts";
import { CALL_MEANINGS, type ImageRows, PAYLOADS, type Report, ratiosOf } from "../../src/measure/report.ts";
import type { Row } from "../../src/measure/statistics.ts";

const images = join(import.meta.dirname, "..", "..", "images");
const MODES = [
  ...["ring3-kpti", "ring3-kpti-pcid", "ring3", "kml", "zpoline"],
  ...["ukl", "ukl-nss", "ukl-df", "ukl-ret", "ukl-byp", "shortcut"],
];
const CALLS = ["function", "empty", "getppid", "read", "fault-heap", "fault-stack", "signal", "switch"];

const request = (modes: readonly string[], calls: readonly string[]) => ({
  images: modes.map((mode) => {
    const file = join(images, `ringcost-${mode}.bin`);
    return { file, mode, bytes: readFileSync(file) };
  }),
  ...{ mechanisms: null, model: "skylake", memory: 64 << 20, command: "", version: "" },
  wanted: (call: string, payload: number) => calls.includes(call) && payload <= 4096,
});

test("every link mode has its image", () => {
  for (const mode of MODES) expect(existsSync(join(images, `ringcost-${mode}.bin`)), mode).toBe(true);
});

test("the list of calls and payloads is ringcost's", async () => {
  const [image] = (await measureImages({ ...request(["ring3"], []), wanted: () => true })).images;
  expect([...new Set(image!.rows.map(({ call }) => call))]).toEqual(Object.keys(CALL_MEANINGS));
  const payloads = image!.rows.filter(({ call }) => call === "read").map(({ payload }) => payload);
  expect(payloads).toEqual(PAYLOADS);
}, 60_000);

describe("in every mode", () => {
  let report: Report;
  beforeAll(async () => {
    report = await measureImages(request(MODES, CALLS));
  }, 120_000);

  const row = (mode: string, call: string, payload = 0): Row => {
    const { rows } = report.images.find((image) => image.mode === mode)!;
    return rows.find((one) => one.call === call && one.payload === payload)!;
  };

  test.each(MODES)("%s: every call has 8 rounds, and plain calls cost the same in each", (mode) => {
    const { rows } = report.images.find((image) => image.mode === mode)!;
    expect(rows.map(({ rounds }) => rounds)).toEqual(rows.map(() => 8));
    for (const one of rows.filter(({ call }) => ["function", "empty", "getppid", "read"].includes(call))) {
      expect(one.least, one.call).toEqual(one.most);
    }
  });

  test.each(MODES)("%s: a function call is three instructions of the application", (mode) => {
    expect(row(mode, "function").total).toMatchObject({ instructions: 3, reads: 1, writes: 1 });
    expect(row(mode, "function").phases.app.instructions).toBe(3);
  });

  test("only ring 3 changes rings", () => {
    for (const mode of MODES) {
      const expected = mode.startsWith("ring3") ? 2 : 0;
      expect(row(mode, "getppid").total.ringTransitions, mode).toBe(expected);
      expect(row(mode, "fault-heap").total.ringTransitions, mode).toBe(expected);
    }
  });

  test("page-table isolation writes CR3 on entry and on exit; PCID saves the page walks", () => {
    for (const mode of MODES)
      expect(row(mode, "empty").total.cr3Writes, mode).toBe(mode.includes("kpti") ? 2 : 0);
    expect(row("ring3-kpti", "empty").phases.entry.cr3Writes).toBe(1);
    expect(row("ring3-kpti", "empty").phases.exit.cr3Writes).toBe(1);
    expect(row("ring3-kpti", "empty").total.pageWalks).toBeGreaterThan(0);
    expect(row("ring3-kpti-pcid", "empty").total.pageWalks).toBe(0);
  });

  test("stacks change where a mode says so", () => {
    for (const mode of ["ring3", "ring3-kpti", "kml", "zpoline", "ukl"]) {
      expect(row(mode, "empty").total.stackSwitches, mode).toBe(2);
    }
    for (const mode of ["ukl-nss", "ukl-byp", "shortcut"]) {
      expect(row(mode, "empty").total.stackSwitches, mode).toBe(0);
    }
  });

  test("bypassing entry and exit work, and more so a shortcut, takes fewer instructions", () => {
    const of = (mode: string, call: string) => row(mode, call).total.instructions;
    for (const call of ["empty", "getppid"]) {
      expect(of("ukl-byp", call)).toBeLessThan(of("ukl", call));
      expect(of("shortcut", call)).toBeLessThan(of("ukl-byp", call));
      expect(of("ukl", call)).toBeLessThanOrEqual(of("ring3", call));
    }
    const { entry, dispatch, exit } = row("shortcut", "empty").phases;
    expect([entry, dispatch, exit].map(({ instructions }) => instructions)).toEqual([0, 0, 0]);
  });

  test("the work of a call is the same whatever the way to it", () => {
    const work = MODES.filter((mode) => mode !== "shortcut").map(
      (mode) => row(mode, "getppid").phases.work.instructions,
    );
    expect(new Set(work).size).toBe(1);
  });

  test("zpoline's trampoline is as long as the call's number says", () => {
    const stub = (call: string) => row("zpoline", call).phases.stub.instructions;
    // empty_call is number 511, getppid 110.
    expect(stub("getppid") - stub("empty")).toBe(511 - 110);
  });

  test("bytes moved are bytes accessed, by one instruction", () => {
    for (const mode of ["ring3", "ukl-byp"]) {
      const [one, page] = [row(mode, "read", 1).total, row(mode, "read", 4096).total];
      expect(page.instructions).toBe(one.instructions);
      expect(page.writes - one.writes).toBe(4095);
    }
  });

  test("a fault on the application's stack is one #PF; with ukl-df it is a double fault too", () => {
    for (const mode of MODES) {
      expect(row(mode, "fault-stack").total.faults, mode).toBe(mode === "ukl-df" ? 2 : 1);
      expect(row(mode, "fault-heap").total.faults, mode).toBe(1);
    }
  });

  test("returning from faults by RET is cheaper than by IRET", () => {
    expect(row("ukl-ret", "fault-heap").phases.exit.cycles).toBeLessThan(
      row("ukl", "fault-heap").phases.exit.cycles,
    );
  });

  test("the ratios fall from ring 3 to the shortcut", () => {
    const ratios = new Map(ratiosOf(report.images).map(({ mode, cycles }) => [mode, cycles]));
    const order = ["ring3-kpti", "ring3-kpti-pcid", "ring3", "kml", "ukl", "ukl-byp", "shortcut"];
    const cycles = order.map((mode) => ratios.get(mode)!);
    expect(cycles).toEqual(cycles.toSorted((a, b) => b - a));
    expect(ratios.get("shortcut")!).toBeLessThan(5);
  });

  test("the README's table is what is measured", () => {
    const readme = readFileSync(join(images, "..", "README.md"), "utf8");
    const told = [...readme.matchAll(FIGURES_ROW)];
    expect(told.length).toBeGreaterThanOrEqual(7);
    for (const [, mode, , instructions, times, cycles] of told) {
      const ratio = ratiosOf(report.images).find((one) => one.mode === mode)!;
      const measured = [ratio.call.instructions, ratio.instructions.toFixed(1), ratio.call.cycles.toFixed(0)];
      expect([Number(instructions), times, cycles], `${mode}: node scripts/readme-figures.ts`).toEqual(
        measured,
      );
    }
  });

  test("assumed figures are named", () => {
    const names = report.assumed.map(({ name }) => name);
    expect(names).toContain("swapgs");
    expect(row("ring3", "empty").assumed).toContain("swapgs");
    expect(row("ukl-byp", "empty").assumed).not.toContain("swapgs");
  });
});

test("measuring a part gives the rows of the whole, every time", async () => {
  const measure = async (calls: readonly string[]): Promise<ImageRows> =>
    (await measureImages(request(["ring3"], calls))).images[0]!;
  const first = await measure(["empty", "getppid"]);
  expect(await measure(["empty", "getppid"])).toEqual(first);
  const alone = await measure(["empty"]);
  expect(alone.rows.map(({ total }) => total)).toEqual([
    first.rows.find(({ call }) => call === "empty")!.total,
  ]);
}, 60_000);
