/**
 * stress-ng in Debian's cloud kernel on several processors: programs that check their own results, for a span of guest
 * time. Passes if every stressor does, the kernel complains about nothing, and the machine powers off.
 *
 *     node test/campaigns/stress.ts [--seconds 20] [--cpus 4] [--machine qemu] [--clock host] [--stressors cpu,vm,...]
 *
 * Needs `images/fetch-debian.ts` to have run, and stress-ng.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { hasKernel, kernelFile, readBusybox } from "../../images/debian-cache.ts";
import { buildGuestInitramfs } from "../../images/guest-initramfs.ts";
import { findProgram } from "../../images/host-programs.ts";
import { COMPLAINTS, GuestProcess } from "./guest-process.ts";
import { bundleEmulator, type MachineName, machineCommand } from "./machine-command.ts";

export interface StressOptions {
  readonly machine: MachineName;
  /** Guest time. */
  readonly seconds: number;
  readonly cpus: number;
  /** What guest time follows: instructions, or the host's clock, in which less is done in a second. */
  readonly clock?: "virtual" | "host";
  /** Names of stress-ng's stressors; one instance of each runs, all at once. */
  readonly stressors: readonly string[];
  /** Where the initramfs and the bundle are put. */
  readonly work: string;
  readonly entry: string;
  readonly onLine?: (line: string) => void;
}

export const STRESSORS = ["cpu", "vm", "futex", "pipe", "sock", "fork"] as const;

/** Why this cannot run here, or null. */
export function missingForStress(): string | null {
  if (!hasKernel("cloud")) return "Debian's cloud kernel is missing: run images/fetch-debian.ts";
  if (findProgram("stress-ng") === undefined) return "stress-ng is not installed";
  return null;
}

export interface StressResult {
  /** What was wrong; empty if nothing. */
  readonly faults: readonly string[];
  /** stress-ng's lines. */
  readonly lines: readonly string[];
  readonly wallSeconds: number;
}

export async function stress(options: StressOptions): Promise<StressResult> {
  const { seconds, cpus, stressors, work } = options;
  const workers = stressors.map((name) => `--${name} 1`).join(" ");
  const script = `cd /tmp
echo "stress: $(grep -c ^processor /proc/cpuinfo) processors"
stress-ng --verify --metrics-brief --temp-path /tmp --vm-bytes 64m --timeout ${seconds} ${workers} 2>&1
echo "stress: status $?"
`;
  const initrd = join(work, "stress.cpio");
  writeFileSync(
    initrd,
    buildGuestInitramfs({ busybox: readBusybox(), modules: [], programs: ["stress-ng"], script }),
  );
  const extra = { "ukl-emu": ["--clock", options.clock ?? "virtual"] };
  const spec = { kernel: kernelFile("cloud"), initrd, append: "", memoryMiB: 1024, cpus, extra };
  const guest = new GuestProcess(machineCommand(options.machine, options.entry, spec));
  if (options.onLine) guest.onLine = options.onLine;
  const code = await guest.ended;
  const lines = guest.console.split("\n");
  const faults = lines.filter((line) => COMPLAINTS.test(line) || /stress-ng: (fail|error):/.test(line));
  if (!lines.includes(`stress: ${cpus} processors`)) faults.push(`the guest did not see ${cpus} processors`);
  if (!lines.includes("stress: status 0")) faults.push(`stress-ng did not succeed: ${guest.tail()}`);
  if (code !== 0) faults.push(`the machine ended with ${code}`);
  return { faults, lines: lines.filter((line) => line.startsWith("stress")), wallSeconds: guest.seconds };
}

if (import.meta.main) {
  const given = await yargs(hideBin(process.argv))
    .usage("stress [options]: stress-ng --verify in Debian's cloud kernel")
    .option("machine", { choices: ["ukl-emu", "qemu"] as const, default: "ukl-emu" as MachineName })
    .option("seconds", { type: "number", default: 20, describe: "guest time" })
    .option("cpus", { type: "number", default: 4 })
    .option("clock", { choices: ["virtual", "host"] as const, default: "virtual" as const })
    .option("stressors", { type: "string", default: STRESSORS.join(",") })
    .strict()
    .parseAsync();
  const reason = missingForStress();
  if (reason !== null) {
    console.error(`stress: ${reason}`);
    process.exit(2);
  }
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-stress-"));
  try {
    const result = await stress({
      ...given,
      stressors: given.stressors.split(","),
      work,
      entry: bundleEmulator(join(work, "bundle")),
      onLine: (line) => console.log(line),
    });
    for (const fault of result.faults) console.error(`stress: ${fault}`);
    console.log(
      `stress: ${result.faults.length === 0 ? "passed" : "FAILED"}, ${result.wallSeconds.toFixed(0)} s`,
    );
    process.exitCode = result.faults.length === 0 ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
