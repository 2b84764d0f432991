/** MMX and SSE rows in both stages against the processor this runs on: results, flags, NaN payloads, faults. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConformanceCase, RFLAGS } from "../../../conformance/case.ts";
import { compareOutcomes } from "../../../conformance/compare.ts";
import { describeMismatch } from "../../../conformance/describe.ts";
import { generateCase } from "../../../conformance/generate.ts";
import { instructionRows } from "../../../conformance/instruction-rows.ts";
import { NativeExecutor, NativeUnavailable } from "../../../conformance/native-executor.ts";
import { tableRows } from "../../../conformance/table-rows.ts";
import { HandlerExecutor, ROWS } from "./handler-executor.ts";

const INTERPRETED = Number(process.env["SSE_CASES"] ?? 60);
const SPECIALISED = 4;
const SEED = Number(process.env["SSE_SEED"] ?? 7);
const ONLY = process.env["SSE_ROW"];

let native: NativeExecutor | null = null;
beforeAll(async () => {
  try {
    native = await NativeExecutor.open();
  } catch (error) {
    if (!(error instanceof NativeUnavailable)) throw error;
  }
});
afterAll(async () => {
  await native?.close();
});

instructionRows(); // fills the list of forms that may be generated

/** AC is the MMU's business, and so are other rows that a prefix may turn the bytes into. */
function casesOf(count: number): ConformanceCase[] {
  return tableRows(ROWS.filter((row) => !ONLY || row.mnemonic === ONLY)).flatMap((row) =>
    Array.from({ length: count }, (_, i) => generateCase(row, 64, SEED, i)).filter(
      (c): c is ConformanceCase => c !== null && (c.rflags & RFLAGS.AC) === 0,
    ),
  );
}

async function mismatches(stage: "interpreter" | "specialised", count: number): Promise<string[]> {
  const executor = new HandlerExecutor(stage);
  const cases = casesOf(count);
  const reports: string[] = [];
  const expected = await native!.run(cases);
  let ran = 0;
  const seen = new Map<string, number>();
  cases.forEach((c, i) => {
    const actual = executor.run(c);
    if (!actual) return;
    ran++;
    const differences = compareOutcomes(c, expected[i]!, actual);
    if (differences.length === 0) return;
    const known = seen.get(c.row) ?? 0;
    seen.set(c.row, known + 1);
    if (known < 1) reports.push(describeMismatch(c, differences));
  });
  for (const [row, n] of seen) reports.push(`${row}: ${n} of ${count}`);
  // Most bytes generated from these rows are instructions of these rows.
  expect(ran).toBeGreaterThan(cases.length * 0.8);
  return reports;
}

describe("MMX and SSE instructions equal the processor's", () => {
  it("through run-time fields", async (context) => {
    if (!native) return context.skip();
    const wrong = await mismatches("interpreter", INTERPRETED);
    expect(wrong.length, wrong.join("\n")).toBe(0);
  });
  it("through constant fields", async (context) => {
    if (!native) return context.skip();
    const wrong = await mismatches("specialised", SPECIALISED);
    expect(wrong.length, wrong.join("\n")).toBe(0);
  });
});
