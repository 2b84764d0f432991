/**
 * Runs the suite: spreads a number of cases over rows and modes, sends them through a reference and a subject,
 * compares, shrinks what differs.
 */
import { type ConformanceCase, type Executor, HUNG, type Mode, type Outcome } from "./case.ts";
import { compareOutcomes, type Difference } from "./compare.ts";
import { describeMismatch } from "./describe.ts";
import { generateCase } from "./generate.ts";
import type { GeneratorRow } from "./rows.ts";
import { shrink } from "./shrink.ts";

export interface SuiteOptions {
  readonly rows: readonly GeneratorRow[];
  readonly modes: readonly Mode[];
  /** Cases to run, over all rows and modes. */
  readonly cases: number;
  readonly seed: number;
  readonly reference: Executor;
  /** Null: only run the reference (to record it). */
  readonly subject: Executor | null;
  /** False where the reference only replays: then mismatches are reported as they were generated. */
  readonly shrinks: boolean;
  /** Mismatches described in full, per mnemonic and in all. */
  readonly reportsPerMnemonic?: number;
  readonly reports?: number;
  readonly onProgress?: (done: number, total: number, mismatches: number) => void;
}

export interface RowSummary {
  readonly row: GeneratorRow;
  cases: number;
  completed: number;
  mismatches: number;
}

export interface SuiteSummary {
  readonly rows: RowSummary[];
  readonly cases: number;
  readonly mismatches: number;
  /** Cases per vector of the reference's outcome. */
  readonly outcomes: ReadonlyMap<number, number>;
  /** Readable reproductions. */
  readonly reports: string[];
}

interface Slot {
  readonly summary: RowSummary;
  readonly mode: Mode;
  readonly weight: number;
}

/** A mode the row is not valid in gets this share of a valid mode's cases. */
const INVALID_MODE_WEIGHT = 1 / 8;
const BATCH = 2000;

/** Cases in a fixed order: row by row, mode by mode. Every slot gets at least one. */
function* plan(
  options: SuiteOptions,
  summaries: readonly RowSummary[],
): Generator<{ c: ConformanceCase; summary: RowSummary }> {
  const slots: Slot[] = summaries.flatMap((summary) =>
    options.modes.map((mode) => ({
      summary,
      mode,
      weight: summary.row.modes.includes(mode) ? 1 : INVALID_MODE_WEIGHT,
    })),
  );
  const total = slots.reduce((sum, slot) => sum + slot.weight, 0);
  // Some slots yield fewer cases than asked for, since all their instances are left out.
  const perWeight = (options.cases * 1.02) / total;
  for (const { summary, mode, weight } of slots) {
    const count = Math.max(1, Math.ceil(perWeight * weight));
    for (let index = 0; index < count; index++) {
      const c = generateCase(summary.row, mode, options.seed, index);
      if (c) yield { c, summary };
    }
  }
}

export async function runSuite(options: SuiteOptions): Promise<SuiteSummary> {
  const rows = options.rows.map((row) => ({ row, cases: 0, completed: 0, mismatches: 0 }));
  const outcomes = new Map<number, number>();
  const found: { c: ConformanceCase; differences: Difference[]; mnemonic: string }[] = [];
  const perMnemonic = new Map<string, number>();
  let cases = 0;
  let mismatches = 0;

  const finish = async (batch: Planned[], pending: Promise<Outcome[]>): Promise<void> => {
    const expected = await pending;
    const actual = options.subject ? await options.subject.run(batch.map(({ c }) => c)) : expected;
    batch.forEach(({ c, summary }, i) => {
      const e = expected[i]!;
      if (e.vector === HUNG) throw new Error(`the reference hangs on:\n${describeMismatch(c, [])}`);
      cases++;
      summary.cases++;
      if (e.vector === 0xff) summary.completed++;
      outcomes.set(e.vector, (outcomes.get(e.vector) ?? 0) + 1);
      const differences = compareOutcomes(c, e, actual[i]!);
      if (differences.length === 0) return;
      mismatches++;
      summary.mismatches++;
      const { mnemonic } = summary.row;
      const known = perMnemonic.get(mnemonic) ?? 0;
      if (known >= (options.reportsPerMnemonic ?? 2) || found.length >= (options.reports ?? 40)) return;
      perMnemonic.set(mnemonic, known + 1);
      found.push({ c, differences, mnemonic });
    });
    options.onProgress?.(cases, options.cases, mismatches);
  };

  // The reference works on one batch while the next is generated and the last compared.
  let previous: { batch: Planned[]; pending: Promise<Outcome[]> } | null = null;
  let batch: Planned[] = [];
  const send = async (): Promise<void> => {
    const pending = options.reference.run(batch.map(({ c }) => c));
    const ready = previous;
    previous = { batch, pending };
    batch = [];
    if (ready) await finish(ready.batch, ready.pending);
  };
  for (const item of plan(options, rows)) {
    batch.push(item);
    if (batch.length === BATCH) await send();
  }
  if (batch.length > 0) await send();
  const last = previous as { batch: Planned[]; pending: Promise<Outcome[]> } | null;
  if (last) await finish(last.batch, last.pending);

  const reports: string[] = [];
  for (const { c, differences } of found) {
    const smallest =
      options.shrinks && options.subject
        ? await shrink(c, options.reference, options.subject)
        : { case: c, differences };
    reports.push(describeMismatch(smallest.case, smallest.differences));
  }
  return { rows, cases, mismatches, outcomes, reports };
}

type Planned = { c: ConformanceCase; summary: RowSummary };
