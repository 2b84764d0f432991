/** What `ukl-emu measure` does: which images, which symbols, which output. */
import { basename } from "node:path";
import { ImageError } from "../boot/index.ts";
import { CpuModelError } from "../cpu/cpuid/index.ts";
import { type Sym, SymbolError, SymbolTable } from "../debug/symbols.ts";
import { CampaignError, report as makeReport, measureImages } from "../measure/campaign.ts";
import { csvReport } from "../measure/csv.ts";
import { loadEffectsDecoder } from "../measure/instruction-effects.ts";
import { nearNames } from "../measure/near-names.ts";
import { MarkerError, MeterError, type Run, runRegions } from "../measure/regions.ts";
import { CALL_MEANINGS, PAYLOADS, type Report } from "../measure/report.ts";
import { EMPTY_PAIR, rowsOf } from "../measure/statistics.ts";
import { textReport } from "../measure/text-table.ts";
import { TimingModelError } from "../timing/index.ts";
import { UserError } from "./errors.ts";
import { ExitCode } from "./exit-codes.ts";
import { readInput } from "./files.ts";
import { mechanismsImage, ringcostImages } from "./measure-images.ts";
import { commandLine, type ReportOptions, say, writeReport } from "./measure-output.ts";
import { packageVersion } from "./version.ts";

export interface MeasureOptions extends ReportOptions {
  readonly link: readonly string[] | undefined;
  readonly calls: readonly string[] | undefined;
  readonly payloads: readonly number[] | undefined;
  readonly model: string;
  readonly image: string | undefined;
  readonly between: readonly [string, string] | undefined;
  readonly count: number | undefined;
  readonly symbols: readonly string[] | undefined;
  readonly initrd: string | undefined;
  readonly append: string | undefined;
  readonly maxInstructions: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly cpu: string | undefined;
}

const MEMORY = 64 << 20;
const MECHANISMS = "mechanisms";

/** @param args of the command line, for the report. @returns the process's exit code */
export async function runMeasure(options: MeasureOptions, args: readonly string[]): Promise<number> {
  try {
    await writeReport(options, {
      measure: () =>
        options.image === undefined
          ? measurePackage(options, commandLine(args))
          : measureImage(options, options.image, commandLine(args)),
      text: textReport,
      csv: csvReport,
      page: async (report) => (await import("../measure/html.ts")).htmlReport(report),
    });
    return ExitCode.SUCCESS;
  } catch (error) {
    throw userError(error, options);
  }
}

/** What is wrong with the options or the images, as the user is told; other errors as they are. */
export function userError(
  error: unknown,
  { image, memory }: Pick<MeasureOptions, "memory"> & { readonly image?: string | undefined },
): unknown {
  if (error instanceof TimingModelError) return new UserError(`--model: ${error.message}`);
  if (error instanceof CpuModelError) return new UserError(`--cpu: ${error.message}`);
  if (error instanceof CampaignError || error instanceof MeterError) return new UserError(error.message);
  if (error instanceof MarkerError || error instanceof ImageError || error instanceof SymbolError) {
    return new UserError(`${image ?? "images"}: ${error.message}`);
  }
  if (error instanceof RangeError && memory !== undefined) return new UserError(`--memory: ${error.message}`);
  return error;
}

async function measurePackage(options: MeasureOptions, command: string): Promise<Report> {
  checkNames(options);
  const { calls, payloads } = options;
  const onlyMechanisms = calls?.every((call) => call === MECHANISMS);
  const withMechanisms = calls === undefined ? !(options.link || payloads) : calls.includes(MECHANISMS);
  const images = onlyMechanisms ? [] : ringcostImages(options.link);
  const mechanisms = withMechanisms ? mechanismsImage() : null;
  const total = images.length + (mechanisms === null ? 0 : 1);
  let done = 0;
  return measureImages({
    ...{ images, mechanisms, command, version: packageVersion(), model: options.model },
    memory: options.memory ?? MEMORY,
    ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
    wanted: wantedBy(options),
    onImage: ({ mode, rows }, seconds) => {
      done++;
      say(`measured ${mode}: ${rows.length} rows in ${seconds.toFixed(1)} s (${done} of ${total} images)`);
    },
  });
}

/** A function call is what system calls are compared with: it comes with the empty one. */
function wantedBy({ calls, payloads }: MeasureOptions): (call: string, payload: number) => boolean {
  const names = calls && new Set(calls.includes("empty") ? [...calls, "function"] : calls);
  // A call that has no payload is not left out by --payload when it is asked for by name.
  return (call, payload) =>
    (names?.has(call) ?? true) &&
    (payloads === undefined || payloads.includes(payload) || (payload === 0 && names !== undefined));
}

/** Before anything is run. @throws UserError */
function checkNames({ calls = [], payloads = [] }: MeasureOptions): void {
  const known = [...Object.keys(CALL_MEANINGS), MECHANISMS];
  for (const call of calls) {
    if (known.includes(call)) continue;
    throw new UserError(`--calls: expected some of ${known.join(", ")}, found "${call}"`);
  }
  for (const payload of payloads) {
    if (PAYLOADS.includes(payload)) continue;
    throw new UserError(`--payload: expected some of ${PAYLOADS.join(", ")}, found ${payload}`);
  }
}

async function measureImage(options: MeasureOptions, file: string, command: string): Promise<Report> {
  const { symbols: symbolFiles, between, count, initrd, append, maxInstructions, cpu, model } = options;
  const image = readInput(file, "a kernel image");
  const symbols =
    symbolFiles === undefined
      ? loadSymbols(file, image, "; name an ELF file or System.map with --symbols")
      : SymbolTable.merge(
          symbolFiles.map((path) => loadSymbols(path, readInput(path, "an ELF file or System.map"))),
        );
  const where = symbolFiles?.join(", ") ?? file;
  const pair =
    between && ([findSymbol(symbols, between[0], where), findSymbol(symbols, between[1], where)] as const);
  let rounds = 0;
  const run = await runRegions({
    ...{ image, symbols },
    decode: await loadEffectsDecoder(),
    machine: { memory: options.memory ?? MEMORY, timing: model, ...(cpu === undefined ? {} : { cpu }) },
    ...(pair === undefined ? {} : { between: pair }),
    ...(count === undefined ? {} : { count }),
    ...(append === undefined ? {} : { commandLine: append }),
    ...(initrd === undefined ? {} : { initrd: readInput(initrd, "an initial RAM disk") }),
    ...(maxInstructions === undefined ? {} : { maxInstructions }),
    wanted: (call, payload) => call === "" || call === EMPTY_PAIR || wantedBy(options)(call, payload),
    onRound: () => {
      rounds++;
      if (rounds % 1000 === 0) say(`${rounds} rounds`);
    },
  });
  const rows = rowsOf(run.rounds);
  if (rows.length === 0) throw new UserError(notReached(file, between, run));
  say(`measured ${file}: ${run.rounds.length} rounds, ended by ${run.stop.kind}`);
  const measured = { file, mode: basename(file, ".bin"), rows, instructions: run.instructions };
  return makeReport({ model, command, version: packageVersion() }, [measured], null);
}

function notReached(file: string, between: MeasureOptions["between"], { stop, instructions }: Run): string {
  const what = between === undefined ? "measure_begin and measure_end" : between.join(" and then ");
  return `${file}: expected it to reach ${what}, found ${stop.kind} after ${instructions} instructions`;
}

/** @throws UserError */
function loadSymbols(path: string, bytes: Uint8Array, remedy = ""): SymbolTable {
  try {
    return SymbolTable.load(bytes);
  } catch (error) {
    if (error instanceof SymbolError) throw new UserError(`${path}: ${error.message}${remedy}`);
    throw error;
  }
}

/** @throws UserError */
function findSymbol(symbols: SymbolTable, name: string, file: string): Sym {
  const found = symbols.byName(name);
  if (found !== undefined) return found;
  const near = nearNames(
    name,
    [...symbols].map((symbol) => symbol.name),
  );
  const hint = near.length === 0 ? "" : `; near it: ${near.join(", ")}`;
  throw new UserError(
    `--between: expected a symbol of ${file}, found no ${name} among ${symbols.size}${hint}`,
  );
}
