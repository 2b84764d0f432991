/** The short version of `stress.ts`. Skipped where Debian's kernel or stress-ng is missing. */
import { describe, expect, test } from "vitest";
import { useCli } from "../cli/run-cli.ts";
import { missingForStress, STRESSORS, stress } from "./stress.ts";

const cli = useCli();

describe.skipIf(missingForStress() !== null)("stress-ng in Debian's cloud kernel", () => {
  test("finds no wrong result on several processors", { timeout: 30 * 60_000 }, async () => {
    const { faults, lines } = await stress({
      machine: "ukl-emu",
      seconds: 1,
      cpus: 2,
      stressors: STRESSORS,
      work: cli.work,
      entry: cli.entry,
    });
    expect(faults).toEqual([]);
    // Each has a line of figures: what it did, three times, two rates.
    for (const name of STRESSORS) {
      const figures = new RegExp(`metrc: \\[\\d+\\] ${name} +\\d+(?: +[\\d.]+){5}$`);
      expect(lines.filter((line) => figures.test(line.trimEnd()))).toHaveLength(1);
    }
  });
});
