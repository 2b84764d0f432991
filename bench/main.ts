/**
 * `npm run bench`: how long stock kernels take from the command to their first process, here and under QEMU's
 * TCG on the same host, and how long the emulator takes to start.
 *
 *     node bench/main.ts [--runs N] [--kernel cloud|generic] [--no-qemu] [--json]
 *
 * Needs `images/fetch-debian.ts` to have run, `npm run build`, and /proc for memory figures. One run at a
 * time; each machine in turn, so that a slow phase of the host hits all alike; medians.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import Table from "cli-table3";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { reachedInit } from "../images/initramfs.ts";
import { type BootRun, bootOnce } from "./boot-run.ts";
import { median } from "./median.ts";

const root = join(import.meta.dirname, "..");
const cache = join(root, "images", "cache");
const cli = join(root, "dist", "cli.js");

const options = await yargs(hideBin(process.argv))
  .usage("bench [options]")
  .option("runs", { type: "number", default: 5, describe: "runs of each machine" })
  .option("kernel", { choices: ["cloud", "generic"], array: true, describe: "only these kernels" })
  .option("qemu", { type: "boolean", default: true, describe: "--no-qemu leaves QEMU out" })
  .option("json", { type: "boolean", default: false, describe: "figures as JSON" })
  .strict()
  .parseAsync();

interface Machine {
  readonly name: string;
  command(kernel: string): readonly string[];
}

const initrd = join(cache, "initrd-init.gz");
const memory = "512M";
const commandLine = "console=ttyS0";

const emulator: Machine = {
  name: "ukl-emu",
  command: (kernel) => [
    process.execPath,
    ...[join(root, "bin", "ukl-emu.js"), "boot", kernel, "--initrd", initrd, "--memory", memory],
    ...["--append", commandLine],
  ],
};

const qemu: Machine = {
  name: "QEMU TCG",
  command: (kernel) => [
    ...["qemu-system-x86_64", "-accel", "tcg", "-m", memory, "-nographic", "-no-reboot"],
    ...["-kernel", kernel, "-initrd", initrd, "-append", commandLine],
  ],
};

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}

/** Wall seconds of a command that must succeed. */
function wallTime(command: readonly string[]): number {
  const start = performance.now();
  const { status, error } = spawnSync(command[0]!, command.slice(1), { stdio: "ignore" });
  const seconds = (performance.now() - start) / 1000;
  if (error || (status !== 0 && status !== 124))
    fail(`${command.join(" ")} ended with ${error?.message ?? status}`);
  return seconds;
}

interface StartUp {
  readonly node: number;
  /** To the first guest instruction, and out again. */
  readonly emulator: number;
}

function measureStartUp(runs: number): StartUp {
  const hello = join(root, "images", "hello.bin");
  const launch = [
    process.execPath,
    join(root, "bin", "ukl-emu.js"),
    "boot",
    hello,
    "--max-instructions",
    "1",
  ];
  wallTime(launch);
  const times = Array.from({ length: runs }, () => ({
    node: wallTime([process.execPath, "-e", "0"]),
    emulator: wallTime(launch),
  }));
  return { node: median(times.map((t) => t.node)), emulator: median(times.map((t) => t.emulator)) };
}

interface Figures {
  readonly kernel: string;
  readonly machine: string;
  /** Median wall time from the command to the line of /init, seconds. */
  readonly seconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly ratioToQemu: number | null;
  /** Largest resident set, MiB. */
  readonly peakMemory: number;
  /** Millions of guest instructions a second, ours only. */
  readonly mips: number | null;
}

/** Instructions to the line of /init: they are the same in every run. */
function countInstructions(kernel: string): number {
  const [program, ...args] = emulator.command(kernel);
  const result = spawnSync(program!, [...args, "--json", "--expect", reachedInit], { encoding: "utf8" });
  if (result.status !== 0) fail(`${kernel} does not reach /init`);
  return (JSON.parse(result.stdout) as { instructions: number }).instructions;
}

async function measureKernel(name: string, machines: readonly Machine[], runs: number): Promise<Figures[]> {
  const kernel = join(cache, `vmlinuz-${name}`);
  const instructions = countInstructions(kernel);
  const results = new Map<Machine, BootRun[]>(machines.map((machine) => [machine, []]));
  for (let run = 0; run < runs; run++) {
    for (const [machine, list] of results) {
      list.push(await bootOnce(machine.command(kernel), reachedInit));
      if (process.stderr.isTTY)
        process.stderr.write(`\r${name} kernel, ${machine.name}: run ${run + 1} of ${runs} `);
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const medians = new Map(
    [...results].map(([machine, list]) => [machine, median(list.map((r) => r.seconds))]),
  );
  const reference = medians.get(qemu) ?? null;
  return [...results].map(([machine, list]) => {
    const seconds = medians.get(machine)!;
    const times = list.map((run) => run.seconds);
    return {
      kernel: name,
      machine: machine.name,
      seconds,
      fastest: Math.min(...times),
      slowest: Math.max(...times),
      ratioToQemu: reference === null ? null : seconds / reference,
      peakMemory: Math.max(...list.map((run) => run.peakMemory)) / 2 ** 20,
      mips: machine === emulator ? instructions / seconds / 1e6 : null,
    };
  });
}

if (!existsSync(cli)) fail("dist/ is missing: run npm run build first");
if (!existsSync(initrd)) fail("images/cache is empty: run node images/fetch-debian.ts first");
const hasQemu = options.qemu && spawnSync("qemu-system-x86_64", ["--version"]).status === 0;
const machines = hasQemu ? [emulator, qemu] : [emulator];

const startUp = measureStartUp(Math.max(options.runs, 5));
const figures: Figures[] = [];
for (const kernel of options.kernel ?? ["cloud", "generic"]) {
  figures.push(...(await measureKernel(kernel, machines, options.runs)));
}

if (options.json) {
  console.log(JSON.stringify({ runs: options.runs, startUp, boots: figures }, null, 2));
} else {
  const number = (value: number | null, digits: number) => (value === null ? "" : value.toFixed(digits));
  const table = new Table({
    head: ["kernel", "machine", "seconds", "range", "x QEMU", "MIPS", "peak MiB"],
    colAligns: ["left", "left", "right", "right", "right", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const f of figures) {
    table.push([
      f.kernel,
      f.machine,
      number(f.seconds, 2),
      `${number(f.fastest, 2)}-${number(f.slowest, 2)}`,
      number(f.ratioToQemu, 2),
      number(f.mips, 0),
      number(f.peakMemory, 0),
    ]);
  }
  console.log(`Command to "${reachedInit}", median of ${options.runs}, ${memory} of guest memory:`);
  console.log(table.toString());
  const ratio = startUp.emulator / startUp.node;
  console.log(
    `Start-up: first guest instruction after ${number(startUp.emulator, 3)} s, ` +
      `node -e 0 takes ${number(startUp.node, 3)} s: ${number(ratio, 1)} times.`,
  );
}
