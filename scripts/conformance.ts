/**
 * `npm run conformance`: the instruction set against the host's processor, or against recorded vectors.
 * Exit code 0: no mismatch; 1: mismatches, with reproductions; 2: the run is impossible as asked.
 */
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { allRows } from "../test/conformance/all-rows.ts";
import { type Executor, type Mode, VECTOR_NAMES } from "../test/conformance/case.ts";
import { EmulatorExecutor, type Stage } from "../test/conformance/emulator-executor.ts";
import { NativeExecutor, NativeUnavailable } from "../test/conformance/native-executor.ts";
import { Recorder, Replayer } from "../test/conformance/recording.ts";
import type { GeneratorRow } from "../test/conformance/rows.ts";
import { runSuite, type SuiteSummary } from "../test/conformance/suite.ts";

const MODES: Readonly<Record<string, readonly Mode[]>> = {
  "64": [64],
  "32": [32],
  "16": [16],
  all: [64, 32, 16],
};

async function options() {
  return await yargs(hideBin(process.argv))
    .usage("conformance [options]")
    .option("cases", {
      type: "number",
      default: 2_000_000,
      describe: "cases over all rows and modes",
    })
    .option("specialised-cases", {
      type: "number",
      default: 200_000,
      describe: "at most so many in the specialised stage: each compiles a module of its own",
    })
    .option("seed", { type: "number", default: 1, describe: "seed of the generator" })
    .option("mode", {
      type: "string",
      choices: ["64", "32", "16", "all"],
      default: "all",
      describe: "mode of the code segment",
    })
    .option("row", {
      type: "string",
      array: true,
      describe: "only rows of these mnemonics, or with these ids",
    })
    .option("stage", {
      choices: ["interpreter", "specialised", "both", "none"],
      default: "both",
      describe: "what to test; none only runs the reference",
    })
    .option("record", { type: "string", describe: "write the reference's outcomes to this file" })
    .option("replay", { type: "string", describe: "take the reference's outcomes from this file" })
    .option("rows", {
      type: "boolean",
      default: false,
      describe: "list every row, not only those that mismatch",
    })
    .option("reports", { type: "number", default: 20, describe: "reproductions to print at most" })
    .conflicts("record", "replay")
    .strict()
    .help()
    .parseAsync();
}

type Options = Awaited<ReturnType<typeof options>>;

function selectRows(all: readonly GeneratorRow[], wanted: readonly string[] | undefined): GeneratorRow[] {
  if (!wanted) return [...all];
  const names = new Set(wanted.flatMap((w) => w.split(",")).map((w) => w.toUpperCase()));
  const rows = all.filter((row) => names.has(row.mnemonic) || names.has(row.id.toUpperCase()));
  if (rows.length === 0)
    throw new NativeUnavailable(`no row has the mnemonic or id ${[...names].join(", ")}`);
  return rows;
}

async function openReference(o: Options): Promise<Executor> {
  const key = { seed: o.seed, cases: o.cases, modes: o.mode, rows: (o.row ?? []).join(",") };
  if (o.replay) {
    const replayer = new Replayer(o.replay);
    if (JSON.stringify(replayer.key) !== JSON.stringify(key))
      throw new Error(
        `${o.replay} was recorded with ${JSON.stringify(replayer.key)}, asked for is ${JSON.stringify(key)}`,
      );
    return replayer;
  }
  const native = await NativeExecutor.open();
  return o.record ? new Recorder(native, key) : native;
}

function printSummary(stage: string, summary: SuiteSummary, seconds: number, listAll: boolean): void {
  const outcomes = [...summary.outcomes].sort(([, x], [, y]) => y - x);
  const rate = Math.round(summary.cases / seconds);
  console.log(
    `${stage}: ${summary.cases} cases of ${summary.rows.length} rows, ${summary.mismatches} mismatches, ${seconds.toFixed(1)} s (${rate}/s)`,
  );
  console.log(`  outcomes: ${outcomes.map(([v, n]) => `${VECTOR_NAMES[v] ?? v} ${n}`).join(", ")}`);
  const listed = summary.rows.filter((r) => listAll || r.mismatches > 0);
  for (const r of listed)
    console.log(
      `  ${r.row.mnemonic.padEnd(14)} ${r.row.id.padEnd(32)} ${String(r.cases).padStart(7)} cases ${String(r.completed).padStart(7)} completed ${String(r.mismatches).padStart(6)} mismatches`,
    );
  for (const report of summary.reports) console.log(`\n${report}`);
}

/** @returns the number of mismatches. */
async function runStage(stage: Stage | null, rows: readonly GeneratorRow[], o: Options): Promise<number> {
  const reference = await openReference(o);
  try {
    const subject = stage ? await EmulatorExecutor.open(stage) : null;
    const started = performance.now();
    let shown = started;
    const summary = await runSuite({
      rows,
      modes: MODES[o.mode]!,
      cases: stage === "specialised" ? Math.min(o.cases, o.specialisedCases) : o.cases,
      seed: o.seed,
      reference,
      subject,
      shrinks: !o.replay && !o.record,
      reports: o.reports,
      onProgress: (done, total, bad) => {
        if (!process.stderr.isTTY || performance.now() - shown < 500) return;
        shown = performance.now();
        process.stderr.write(`\r${done} of ${total} cases, ${bad} mismatches `);
      },
    });
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    printSummary(stage ?? reference.name, summary, (performance.now() - started) / 1000, o.rows);
    if (o.record && reference instanceof Recorder)
      console.log(`${o.record}: ${reference.save(o.record)} bytes`);
    return summary.mismatches;
  } finally {
    await reference.close();
  }
}

async function main(): Promise<number> {
  const o = await options();
  const rows = selectRows(allRows(), o.row);
  const stages: (Stage | null)[] =
    o.stage === "none" ? [null] : o.stage === "both" ? ["interpreter", "specialised"] : [o.stage as Stage];
  let mismatches = 0;
  for (const stage of stages) {
    mismatches += await runStage(stage, rows, o);
  }
  return mismatches > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
