/** The suite itself: that it is deterministic, that it sees mismatches, and that it makes them small. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { allRows } from "./all-rows.ts";
import { buildCase } from "./build-case.ts";
import { COMPLETED, type ConformanceCase, type Executor, type Outcome, RFLAGS } from "./case.ts";
import { compareOutcomes } from "./compare.ts";
import { DATA_BASE, defaultFxImage } from "./environment.ts";
import { generateCase } from "./generate.ts";
import { instructionRows } from "./instruction-rows.ts";
import { NativeExecutor, NativeUnavailable } from "./native-executor.ts";
import { Recorder, Replayer } from "./recording.ts";
import { shrink } from "./shrink.ts";
import { runSuite } from "./suite.ts";
import { decodeOutcome, encodeCases, encodeOutcomes } from "./wire.ts";

const rows = instructionRows();
const rowOf = (id: string) => rows.find((row) => row.id === id)!;

const native = await NativeExecutor.open().catch((error: unknown) => {
  if (error instanceof NativeUnavailable) return null;
  throw error;
});
afterAll(() => native?.close());

/** An executor that changes some outcomes of another's. */
class Faulty implements Executor {
  readonly name = "faulty";
  readonly #inner: Executor;
  readonly #change: (c: ConformanceCase, o: Outcome) => void;
  constructor(inner: Executor, change: (c: ConformanceCase, o: Outcome) => void) {
    this.#inner = inner;
    this.#change = change;
  }
  async run(cases: readonly ConformanceCase[]): Promise<Outcome[]> {
    const outcomes = await this.#inner.run(cases);
    outcomes.forEach((o, i) => {
      this.#change(cases[i]!, o);
    });
    return outcomes;
  }
  async close(): Promise<void> {}
}

describe("the generator", () => {
  test("gives the same case for the same row, mode, seed and index", () => {
    for (const id of ["Add_rm32_r32", "Fld_m80fp", "Iretq", "VEX_Andn_r64_r64_rm64"])
      for (let index = 0; index < 20; index++) {
        const one = generateCase(rowOf(id), 64, 7, index)!;
        const other = generateCase(rowOf(id), 64, 7, index)!;
        expect(encodeCases([one])).toEqual(encodeCases([other]));
      }
  });

  test("gives other cases for other seeds, indices and modes", () => {
    const seen = new Set<string>();
    for (const seed of [1, 2])
      for (const mode of [32, 64] as const)
        for (let index = 0; index < 50; index++)
          seen.add(
            Buffer.from(encodeCases([generateCase(rowOf("Add_rm32_r32"), mode, seed, index)!])).toString(
              "base64",
            ),
          );
    expect(seen.size).toBe(200);
  });

  test("knows every form by an id of its own: no row of the decode tables stands twice", () => {
    const ids = allRows().map((row) => row.id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    expect(rows.length).toBeGreaterThan(1400);
  });

  test("never leaves the instruction without bytes, nor over the record's size", () => {
    for (const row of rows.filter((_, i) => i % 7 === 0))
      for (let index = 0; index < 3; index++) {
        const c = generateCase(row, row.modes[0]!, 3, index);
        if (!c) continue;
        expect(c.bytes.length).toBeGreaterThan(0);
        expect(c.bytes.length).toBeLessThanOrEqual(32);
      }
  });
});

describe("comparing", () => {
  const c = buildCase(
    64,
    "01 c8",
    {},
    {
      unspecified: { rflags: RFLAGS.AF, memory: [{ address: DATA_BASE + 8, length: 4 }], approximate: null },
    },
  );
  const base = (): Outcome => ({
    vector: COMPLETED,
    errorCode: 0,
    cr2: 0n,
    rip: 2n,
    rflags: 0x202,
    gpr: new BigUint64Array(16),
    selectors: [...c.selectors],
    fsBase: 0n,
    gsBase: 0n,
    fx: null,
    changes: [],
  });
  const fields = (change: Partial<Outcome>, of = c) =>
    compareOutcomes(of, base(), { ...base(), ...change }).map((d) => d.field);

  test("finds a difference in every field", () => {
    expect(fields({})).toEqual([]);
    expect(fields({ vector: 6 })).toEqual(["outcome"]);
    expect(fields({ rip: 3n })).toEqual(["RIP"]);
    expect(fields({ rflags: 0x203 })).toEqual(["RFLAGS"]);
    expect(fields({ gpr: new BigUint64Array(16).with(9, 1n) })).toEqual(["R9"]);
    expect(fields({ selectors: c.selectors.with(3, 0) })).toEqual(["DS"]);
    expect(fields({ gsBase: 1n })).toEqual(["GS.base"]);
    const fx = defaultFxImage();
    fx[40] ^= 1;
    fx[160 + 16 * 15] ^= 1;
    fx[24] ^= 1;
    expect(fields({ fx })).toEqual(["MXCSR", "ST(0)", "XMM15"]);
    expect(fields({ changes: [{ address: DATA_BASE, bytes: Uint8Array.of(1) }] })[0]).toMatch(
      /^memory at 0x10000000 \(1 bytes/,
    );
  });

  test("leaves out undefined flags, RF, unspecified bytes, and what a mode does not have", () => {
    expect(fields({ rflags: 0x202 | RFLAGS.AF | RFLAGS.RF })).toEqual([]);
    expect(fields({ changes: [{ address: DATA_BASE + 8, bytes: Uint8Array.of(1, 2, 3, 4) }] })).toEqual([]);
    const narrow = buildCase(32, "01 c8");
    expect(
      compareOutcomes(narrow, base(), {
        ...base(),
        gpr: new BigUint64Array(16).with(0, 1n << 32n).with(9, 1n),
      }),
    ).toHaveLength(0);
  });

  test("undefined flags are compared when the instruction faults", () => {
    const faulted = { ...base(), vector: 13 };
    expect(compareOutcomes(c, faulted, { ...faulted, rflags: 0x212 }).map((d) => d.field)).toEqual([
      "RFLAGS",
    ]);
  });

  test("approximate results may differ by their tolerance only", () => {
    const approximate = {
      ...c,
      unspecified: { rflags: 0, memory: [], approximate: { unit: "f80", tolerance: 1 } as const },
    };
    const near = defaultFxImage();
    const view = new DataView(near.buffer);
    view.setBigUint64(32, view.getBigUint64(32, true) + 1n, true);
    expect(fields({ fx: near.slice() }, approximate)).toEqual([]);
    view.setBigUint64(32, view.getBigUint64(32, true) + 1n, true);
    expect(fields({ fx: near }, approximate)).toEqual(["ST(0)"]);
  });

  test("outcomes survive their binary form", () => {
    const o: Outcome = {
      ...base(),
      vector: 14,
      errorCode: 7,
      cr2: 0xffff_8000_0000_0000n,
      fx: defaultFxImage(),
      changes: [{ address: DATA_BASE, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
    };
    const bytes = encodeOutcomes([o]);
    expect(decodeOutcome(bytes, new DataView(bytes.buffer), 0)).toEqual(o);
  });
});

describe.skipIf(native === null)("on the host's processor", () => {
  test("two runs of the same cases agree in everything", async () => {
    const sample = rows.filter((_, i) => i % 3 === 0);
    const summary = await runSuite({
      rows: sample,
      modes: [64, 32, 16],
      cases: 6000,
      seed: 11,
      reference: native!,
      subject: native!,
      shrinks: false,
    });
    expect(summary.mismatches).toBe(0);
    expect(summary.cases).toBeGreaterThan(5000);
    expect(summary.outcomes.get(COMPLETED)! / summary.cases).toBeGreaterThan(0.6);
  });

  test("a wrong flag is found, shrunk and described", async () => {
    const subject = new Faulty(native!, (c, o) => {
      if (o.vector === COMPLETED && c.gpr[1]! & 0x100n) o.rflags ^= RFLAGS.CF;
    });
    const summary = await runSuite({
      rows: [rowOf("Add_rm64_r64")],
      modes: [64],
      cases: 300,
      seed: 5,
      reference: native!,
      subject,
      shrinks: true,
      reportsPerMnemonic: 1,
    });
    expect(summary.mismatches).toBeGreaterThan(10);
    expect(summary.rows[0]!.mismatches).toBe(summary.mismatches);
    expect(summary.reports).toHaveLength(1);
    expect(summary.reports[0]).toMatch(/add [\s\S]*64-bit mode, row Add_rm64_r64/);
    expect(summary.reports[0]).toMatch(/RFLAGS: expected CF=[01], got CF=[01]/);
  });

  test("shrinking leaves what the mismatch needs and drops the rest", async () => {
    const subject = new Faulty(native!, (c, o) => {
      if (c.gpr[2] === 77n) o.gpr[0] = 1n;
    });
    const original = buildCase(
      64,
      "66 48 01 c8",
      { rax: 5n, rcx: 6n, rdx: 77n, rbx: 8n },
      { rflags: RFLAGS.CF | RFLAGS.DF, fx: defaultFxImage() },
    );
    const { case: smallest, differences } = await shrink(original, native!, subject);
    expect([...smallest.gpr].map(Number).slice(0, 4)).toEqual([0, 0, 77, 0]);
    expect([smallest.rflags, smallest.fx]).toEqual([0, null]);
    expect(smallest.bytes.length).toBeLessThan(4);
    expect(differences.map((d) => d.field)).toEqual(["RAX"]);
  });

  test("recorded vectors replay, and other cases are refused", async () => {
    const directory = mkdtempSync(join(tmpdir(), "conformance-"));
    try {
      const path = join(directory, "vectors");
      const sample = rows.filter((_, i) => i % 29 === 0);
      const key = { seed: 3, cases: 1500, modes: "all", rows: "" };
      const recorder = new Recorder(native!, key);
      const options = { rows: sample, modes: [64, 32, 16] as const, cases: 1500, seed: 3, shrinks: false };
      await runSuite({ ...options, reference: recorder, subject: null });
      expect(recorder.save(path)).toBeGreaterThan(1000);

      const replayed = await runSuite({ ...options, reference: new Replayer(path), subject: native! });
      expect(replayed.mismatches).toBe(0);
      expect(new Replayer(path).key).toEqual(key);
      await expect(
        runSuite({ ...options, seed: 4, reference: new Replayer(path), subject: native! }),
      ).rejects.toThrow("record anew");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
