/**
 * The instruction set against the host's processor: a fixed-seed subset of what `npm run conformance` runs.
 * Hosts that cannot run it natively take the recorded vectors of the same cases, where there are any.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { allRows } from "./all-rows.ts";
import { type Executor, VECTOR_NAMES } from "./case.ts";
import { EmulatorExecutor, type Stage } from "./emulator-executor.ts";
import { NativeExecutor, NativeUnavailable } from "./native-executor.ts";
import { Replayer } from "./recording.ts";
import { runSuite } from "./suite.ts";

/**
 * Made by: npm run conformance -- --stage none --cases 100000 --record test/conformance/vectors.br
 * and to be made anew whenever rows or the generator change.
 */
const VECTORS = fileURLToPath(new URL("vectors.br", import.meta.url));
const SEED = 1;
/** The specialised stage compiles a module for every case, so it gets fewer; the long run has both in full. */
const CASES: Readonly<Record<Stage, number>> = { interpreter: 100_000, specialised: 20_000 };

let missing = "";

async function openReference(): Promise<Executor | null> {
  try {
    return await NativeExecutor.open();
  } catch (error) {
    if (!(error instanceof NativeUnavailable)) throw error;
    if (existsSync(VECTORS)) return new Replayer(VECTORS);
    missing = `${error.message}; nor are there recorded vectors`;
    return null;
  }
}

const probe = await openReference();
await probe?.close();
if (missing) console.warn(missing);

test.skipIf(probe === null)(
  "every row of the decode tables, interpreted, does what the processor does in 64-, 32- and 16-bit mode",
  () => agrees("interpreter"),
  600_000,
);

// A recording holds the outcomes of the interpreter's cases only.
test.skipIf(!(probe instanceof NativeExecutor))(
  "every row of the decode tables, specialised, does what the processor does in 64-, 32- and 16-bit mode",
  () => agrees("specialised"),
  600_000,
);

test.skipIf(!existsSync(VECTORS))(
  "the recorded vectors belong to the cases that are generated today",
  async () => {
    const summary = await runSuite({
      rows: allRows(),
      modes: [64, 32, 16],
      cases: CASES.interpreter,
      seed: SEED,
      reference: new Replayer(VECTORS),
      subject: null,
      shrinks: false,
    });
    expect(summary.cases).toBeGreaterThanOrEqual(CASES.interpreter);
  },
  600_000,
);

async function agrees(stage: Stage): Promise<void> {
  const reference = (await openReference())!;
  try {
    const summary = await runSuite({
      rows: allRows(),
      modes: [64, 32, 16],
      cases: CASES[stage],
      seed: SEED,
      reference,
      subject: await EmulatorExecutor.open(stage),
      shrinks: reference instanceof NativeExecutor,
      reports: 10,
    });
    expect(summary.cases).toBeGreaterThanOrEqual(CASES[stage]);
    expect(summary.rows.filter((row) => row.cases === 0).map((row) => row.row.id)).toEqual([]);
    const seen = [...summary.outcomes.keys()].map((vector) => VECTOR_NAMES[vector]);
    expect(seen).toEqual(
      expect.arrayContaining([
        "#DE",
        "#BP",
        "#OF",
        "#BR",
        "#UD",
        "#NP",
        "#SS",
        "#GP",
        "#PF",
        "#MF",
        "#AC",
        "#XM",
      ]),
    );
    expect(summary.reports.join("\n\n"), `${summary.mismatches} mismatches`).toBe("");
    expect(summary.mismatches).toBe(0);
  } finally {
    await reference.close();
  }
}
