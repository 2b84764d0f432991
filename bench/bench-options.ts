/** What benches of devices have in common: options, a directory, what is missing. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { hasKernel } from "../images/debian-cache.ts";
import { findProgram } from "../images/host-programs.ts";
import type { MachineName } from "../test/campaigns/machine-command.ts";
import { measureRates, type Rates, rateTable } from "./rates.ts";

export interface DeviceBench {
  readonly name: string;
  readonly usage: string;
  /** Programs of the host. */
  readonly programs: readonly string[];
  /** Prepares files in `work`. @returns one run of a machine */
  prepare(work: string, entry: string): (machine: MachineName) => Promise<Rates>;
}

const built = join(import.meta.dirname, "..", "dist", "cli.js");

export async function runBench(bench: DeviceBench): Promise<void> {
  const given = await yargs(hideBin(process.argv))
    .usage(bench.usage)
    .option("runs", { type: "number", default: 3, describe: "runs of each machine" })
    .option("qemu", { type: "boolean", default: true, describe: "--no-qemu leaves QEMU out" })
    .option("emulator", { type: "string", default: built, describe: "entry point of another build" })
    .option("json", { type: "boolean", default: false, describe: "figures as JSON" })
    .strict()
    .parseAsync();
  const fail = (message: string): never => {
    console.error(`${bench.name}: ${message}`);
    process.exit(2);
  };
  if (!existsSync(given.emulator)) fail(`${given.emulator} is missing: run npm run build first`);
  if (!hasKernel("cloud")) fail("images/cache is empty: run node images/fetch-debian.ts first");
  const missing = bench.programs.find((program) => findProgram(program) === undefined);
  if (missing !== undefined) fail(`${missing} is not installed`);
  const hasQemu = given.qemu && findProgram("qemu-system-x86_64") !== undefined;
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-bench-"));
  try {
    const once = bench.prepare(work, given.emulator);
    const figures = await measureRates(hasQemu ? ["ukl-emu", "qemu"] : ["ukl-emu"], given.runs, once);
    console.log(given.json ? JSON.stringify({ runs: given.runs, figures }, null, 2) : rateTable(figures));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
