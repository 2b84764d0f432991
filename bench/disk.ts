/**
 * How fast Debian's cloud kernel reads a virtio disk, here and under QEMU's TCG on the same host in one run.
 *
 *     node bench/disk.ts [--runs N] [--size MiB] [--no-qemu] [--json]
 *
 * Needs `images/fetch-debian.ts` to have run and `npm run build`. The disk is a raw file; dd reads all of it, from start to
 * end: through the guest's page cache, which is empty then, and past it (O_DIRECT). Wall time counts, from one console line to the next. Machines in turn; medians.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { median } from "./median.ts";

const root = join(import.meta.dirname, "..");
const cache = join(root, "images", "cache");
const kernel = join(cache, "vmlinuz-cloud");
const MIB = 2 ** 20;
const LIMIT_MS = 600_000;

const options = await yargs(hideBin(process.argv))
  .usage("disk [options]")
  .option("runs", { type: "number", default: 3, describe: "boots of each machine" })
  .option("size", { type: "number", default: 256, describe: "MiB of the disk" })
  .option("reads", { type: "number", default: 3, describe: "reads in each boot; the fastest counts" })
  .option("qemu", { type: "boolean", default: true, describe: "--no-qemu leaves QEMU out" })
  .option("emulator", { type: "string", default: join(root, "bin", "ukl-emu.js"), describe: "entry point" })
  .option("initrd", {
    type: "string",
    default: join(cache, "initrd-disk.gz"),
    describe: "initramfs with virtio drivers",
  })
  .option("json", { type: "boolean", default: false, describe: "figures as JSON" })
  .strict()
  .parseAsync();

const { initrd } = options;

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}

const BEGIN = "disk: begin";
const END = "disk: end";
const WAYS = ["buffered", "direct"] as const;
type Way = (typeof WAYS)[number];
const FLAGS: Record<Way, string> = { buffered: "", direct: "iflag=direct" };
const script = WAYS.map(
  (way) => `for i in ${Array.from({ length: options.reads }, (_, i) => i + 1).join(" ")}; do
echo 3 >/proc/sys/vm/drop_caches
echo "${BEGIN}"
dd if=/dev/vda of=/dev/null bs=1M ${FLAGS[way]} 2>/dev/null
echo "${END} ${way}"
done
`,
).join("");

interface Machine {
  readonly name: string;
  readonly command: readonly string[];
}

function machines(directory: string): Machine[] {
  const disk = join(directory, "disk.img");
  const scriptFile = join(directory, "script");
  const boot = [process.execPath, options.emulator, "boot", kernel, "--initrd", initrd];
  const append = "console=ttyS0 quiet";
  const qemuDisk = (id: string, file: string) => [
    ...["-drive", `file=${file},format=raw,if=none,id=${id},read-only=on`],
    ...["-device", `virtio-blk-pci,drive=${id},serial=${id}`],
  ];
  const emulator: Machine = {
    name: "ukl-emu",
    command: [
      ...boot,
      ...["--append", append, "--memory", "512M"],
      ...["--drive", `file=${disk},readonly`, "--drive", `file=${scriptFile},readonly,id=script`],
    ],
  };
  const qemu: Machine = {
    name: "QEMU TCG",
    command: [
      ...["qemu-system-x86_64", "-accel", "tcg", "-m", "512M", "-nographic", "-no-reboot"],
      ...["-kernel", kernel, "-initrd", initrd, "-append", append],
      ...qemuDisk("disk", disk),
      ...qemuDisk("script", scriptFile),
    ],
  };
  const hasQemu = options.qemu && spawnSync("qemu-system-x86_64", ["--version"]).status === 0;
  return hasQemu ? [emulator, qemu] : [emulator];
}

/** Seconds of the fastest read of each way in one boot. */
function fastestReads({ name, command }: Machine): Promise<Record<Way, number>> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "ignore"] });
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    const seconds: Record<Way, number[]> = { buffered: [], direct: [] };
    let begin = 0;
    let text = "";
    child.stdout.setEncoding("latin1").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith(BEGIN)) begin = performance.now();
        const way = WAYS.find((name) => line.startsWith(`${END} ${name}`));
        if (way !== undefined) seconds[way].push((performance.now() - begin) / 1000);
      }
    });
    child.on("error", reject).on("close", () => {
      clearTimeout(limit);
      if (WAYS.some((way) => seconds[way].length !== options.reads)) {
        reject(new Error(`${name} ended before its last read; its console: ${text.slice(-300)}`));
      } else resolve({ buffered: Math.min(...seconds.buffered), direct: Math.min(...seconds.direct) });
    });
  });
}

/** A disk that is no hole: every block of it is on the host's disk and in its cache. */
function createDisk(file: string, bytes: number): void {
  const fd = openSync(file, "w");
  const piece = Uint8Array.from({ length: MIB }, (_, i) => (i >> 9) ^ i);
  for (let at = 0; at < bytes; at += MIB) writeSync(fd, piece, 0, MIB, at);
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

for (const file of [kernel, initrd]) {
  if (!existsSync(file)) fail(`${file} is missing: run node images/fetch-debian.ts first`);
}
if (!existsSync(options.emulator)) fail(`${options.emulator} is missing`);

const directory = mkdtempSync(join(tmpdir(), "ukl-emu-bench-"));
try {
  createDisk(join(directory, "disk.img"), options.size * MIB);
  writeFileSync(join(directory, "script"), script.padEnd(Math.ceil(script.length / 512) * 512, "\n"));
  const results = new Map<Machine, Record<Way, number>[]>(
    machines(directory).map((machine) => [machine, []]),
  );
  for (let run = 0; run < options.runs; run++) {
    for (const [machine, list] of results) list.push(await fastestReads(machine));
  }
  const figures = WAYS.map((way) => {
    const rates = [...results].map(([{ name }, list]) => ({
      machine: name,
      mibPerSecond: options.size / median(list.map((run) => run[way])),
    }));
    const [ours, theirs] = rates;
    return {
      way,
      rates,
      ratioToQemu: theirs === undefined ? null : ours!.mibPerSecond / theirs.mibPerSecond,
    };
  });
  if (options.json) console.log(JSON.stringify({ runs: options.runs, size: options.size, figures }));
  else {
    for (const { way, rates, ratioToQemu } of figures) {
      const each = rates.map(({ machine, mibPerSecond }) => `${machine} ${mibPerSecond.toFixed(0)} MiB/s`);
      const ratio = ratioToQemu === null ? "" : `: ${ratioToQemu.toFixed(2)} times QEMU TCG's`;
      console.log(`Sequential read, ${way}: ${each.join(", ")}${ratio}`);
    }
  }
} finally {
  rmSync(directory, { recursive: true });
}
