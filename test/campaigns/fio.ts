/**
 * fio in Debian's cloud kernel: random writes of mixed sizes over whole disks, each block with a CRC32C that is read back
 * and checked; then again from a machine that has just been switched on, ours or QEMU's, and the images are looked at on the host.
 *
 *     node test/campaigns/fio.ts [--size 256] [--formats raw,qcow2] [--transports pci,mmio] [--seed N] [--no-qemu]
 *
 * Needs `images/fetch-debian.ts` to have run, and fio; for qcow2 and the check by QEMU their programs.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { hasKernel, kernelFile, readBusybox, readKernelModules } from "../../images/debian-cache.ts";
import { buildGuestInitramfs } from "../../images/guest-initramfs.ts";
import { findProgram } from "../../images/host-programs.ts";
import { COMPLAINTS, GuestProcess } from "./guest-process.ts";
import { bundleEmulator, type GuestDrive, type MachineName, machineCommand } from "./machine-command.ts";

export type Format = "raw" | "qcow2";
export type Transport = "pci" | "mmio";

export interface FioOptions {
  /** Of each disk, in MiB. */
  readonly sizeMiB: number;
  readonly formats: readonly Format[];
  readonly transports: readonly Transport[];
  readonly seed: number;
  /** Whether QEMU reads the disks in the end, over PCI; else this emulator does. */
  readonly qemu: boolean;
  readonly work: string;
  /** The emulator's entry point. */
  readonly entry: string;
  readonly onLine?: (line: string) => void;
}

export interface FioResult {
  readonly faults: string[];
  /** fio's own lines about each disk: bytes, rates, latencies, in guest time. */
  readonly lines: string[];
  readonly wallSeconds: number;
}

/** Why this cannot run here, or null. */
export function missingForFio(formats: readonly Format[], qemu: boolean): string | null {
  if (!hasKernel("cloud")) return "Debian's cloud kernel is missing: run images/fetch-debian.ts";
  const programs = ["fio", ...(formats.includes("qcow2") ? ["qemu-img"] : [])];
  if (qemu) programs.push("qemu-system-x86_64");
  const missing = programs.find((name) => findProgram(name) === undefined);
  return missing === undefined ? null : `${missing} is not installed`;
}

/** One job a disk, all at once. Sizes from a sector to 128 KiB, not aligned to one another. */
const job = (disk: string, { sizeMiB, seed }: FioOptions, verifyOnly: boolean): string =>
  [
    `fio --name=${disk} --filename=/dev/${disk} --size=${sizeMiB}m --rw=randwrite --direct=1 --ioengine=libaio`,
    "--iodepth=16 --bssplit=512/10:4k/50:12k/10:64k/20:128k/10 --fsync=64 --random_generator=tausworthe64",
    `--randseed=${seed} --verify=crc32c --verify_fatal=1 --do_verify=1 --allow_mounted_write=0`,
    ...(verifyOnly ? ["--verify_only=1"] : []),
  ].join(" ");

function guestScript(disks: readonly string[], options: FioOptions, verifyOnly: boolean): string {
  const jobs = disks.map(
    (disk) =>
      `(${job(disk, options, verifyOnly)} >/tmp/${disk} 2>&1; echo "fio: ${disk} status $?" >>/tmp/${disk}) &`,
  );
  const show = disks.map((disk) => `grep -E "err=|READ|WRITE|verify|status|error|fio:" /tmp/${disk}`);
  return [...jobs, "wait", ...show].join("\n");
}

export async function fio(options: FioOptions): Promise<FioResult> {
  const { work, sizeMiB, formats, transports } = options;
  const drives: GuestDrive[] = formats.flatMap((format) =>
    transports.map((transport) => ({ file: join(work, `${transport}.${format}`), format, transport })),
  );
  for (const { file, format } of drives) {
    if (format === "qcow2") execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", file, `${sizeMiB}M`]);
    else {
      writeFileSync(file, "");
      truncateSync(file, sizeMiB << 20);
    }
  }
  const disks = drives.map((_, index) => `vd${String.fromCharCode(0x61 + index)}`);
  const busybox = readBusybox();
  const modules = readKernelModules("cloud", ["virtio_pci", "virtio_mmio", "virtio_blk"]);
  const result: FioResult = { faults: [], lines: [], wallSeconds: 0 };

  const boot = async (machine: MachineName, verifyOnly: boolean): Promise<number> => {
    const initrd = join(work, "fio.cpio");
    const script = guestScript(disks, options, verifyOnly);
    writeFileSync(initrd, buildGuestInitramfs({ busybox, modules, programs: ["fio"], script }));
    const given =
      machine === "qemu" ? drives.map((drive) => ({ ...drive, transport: "pci" as const })) : drives;
    const spec = {
      kernel: kernelFile("cloud"),
      initrd,
      append: "quiet cryptomgr.notests",
      memoryMiB: 768,
      drives: given,
    };
    const guest = new GuestProcess(machineCommand(machine, options.entry, spec));
    if (options.onLine) guest.onLine = options.onLine;
    const code = await guest.ended;
    const lines = guest.console.split("\n");
    const what = `${machine}, ${verifyOnly ? "reading" : "writing"}`;
    const said = [
      ...lines.filter((line) => COMPLAINTS.test(line) || /verify: bad|fio: .*error|insmod/.test(line)),
    ];
    for (const disk of disks) {
      if (!lines.includes(`fio: ${disk} status 0`))
        said.push(`${disk}: fio did not succeed: ${guest.tail()}`);
      // Without this line nothing has been read back.
      const read = new RegExp(`^${disk}: .*err= 0`);
      if (!lines.some((line) => read.test(line))) said.push(`${disk}: fio says nothing of err= 0`);
    }
    if (code !== 0) said.push(`the machine ended with ${code}: ${guest.tail()}`);
    result.faults.push(...said.map((text) => `${what}: ${text}`));
    result.lines.push(
      ...lines.filter((line) => /^ +(READ|WRITE): /.test(line)).map((line) => `${what}:${line}`),
    );
    return guest.seconds;
  };

  const wallSeconds = await boot("ukl-emu", false);
  await boot(options.qemu ? "qemu" : "ukl-emu", true);
  for (const { file, format } of drives) {
    if (format !== "qcow2") continue;
    const check = spawnSync("qemu-img", ["check", file], { encoding: "utf8" });
    if (check.status !== 0) result.faults.push(`qemu-img check ${file}: ${check.stdout}${check.stderr}`);
  }
  return { ...result, wallSeconds };
}

if (import.meta.main) {
  const given = await yargs(hideBin(process.argv))
    .usage("fio [options]: random writes with verification, by fio in Debian's cloud kernel")
    .option("size", { type: "number", default: 256, describe: "MiB of each disk" })
    .option("formats", { type: "string", default: "raw,qcow2" })
    .option("transports", { type: "string", default: "pci,mmio" })
    .option("seed", { type: "number", default: 1 })
    .option("qemu", { type: "boolean", default: true, describe: "--no-qemu: this emulator reads them again" })
    .option("emulator", { type: "string", describe: "entry point of another build" })
    .option("verbose", { type: "boolean", default: false })
    .strict()
    .parseAsync();
  const formats = given.formats.split(",") as Format[];
  const reason = missingForFio(formats, given.qemu);
  if (reason !== null) {
    console.error(`fio: ${reason}`);
    process.exit(2);
  }
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-fio-"));
  try {
    const { faults, lines, wallSeconds } = await fio({
      sizeMiB: given.size,
      formats,
      transports: given.transports.split(",") as Transport[],
      seed: given.seed,
      qemu: given.qemu,
      work,
      entry: given.emulator ?? bundleEmulator(join(work, "bundle")),
      ...(given.verbose ? { onLine: (line: string) => console.log(line) } : {}),
    });
    for (const line of lines) console.log(line);
    for (const fault of faults) console.error(`fio: ${fault}`);
    console.log(
      `fio: ${faults.length === 0 ? "passed" : "FAILED"}, ${wallSeconds.toFixed(0)} s of writing and reading`,
    );
    process.exitCode = faults.length === 0 ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
