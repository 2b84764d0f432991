/**
 * Kills the emulator with SIGKILL at random moments while a guest writes records to an ext4 file system and makes each
 * durable, and looks at the image afterwards: every record whose fsync had returned is there, the file system needs no more
 * than its journal, and qcow2's tables are consistent. The next run goes on with the same image.
 *
 *     node test/campaigns/crash.ts [--runs 200] [--format raw|qcow2] [--seed N] [--directory D]
 *
 * With --directory, images and the count of finished runs stay there, and a second call goes on where the first was
 * stopped. Needs `images/fetch-debian.ts` to have run, e2fsprogs, musl-gcc, and qemu-img for qcow2.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { hasKernel, kernelFile, readBusybox, readKernelModules } from "../../images/debian-cache.ts";
import { buildGuestInitramfs } from "../../images/guest-initramfs.ts";
import { findProgram } from "../../images/host-programs.ts";
import { Random } from "../random.ts";
import { COMPLAINTS, GuestError, GuestProcess } from "./guest-process.ts";
import { bundleEmulator, type GuestSpec, machineCommand } from "./machine-command.ts";
import { missingRecords } from "./records.ts";

type Format = "raw" | "qcow2";

const SIZE_MIB = 64;
/** Up to this long after the first record, in milliseconds. */
const LATEST_KILL = 4000;

/** A kernel takes a few; a host that does much else may give none for a while. */
const BOOT_SECONDS = 1800;

/** Why this cannot run here, or null. */
export function missingForCrash(format: Format): string | null {
  if (!hasKernel("cloud")) return "Debian's cloud kernel is missing: run images/fetch-debian.ts";
  const programs = ["mke2fs", "e2fsck", "debugfs", "musl-gcc", ...(format === "qcow2" ? ["qemu-img"] : [])];
  const missing = programs.find((name) => findProgram(name) === undefined);
  return missing === undefined ? null : `${missing} is not installed`;
}

const run = (name: string, ...args: string[]) =>
  spawnSync(findProgram(name)!, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });

function mustRun(name: string, ...args: string[]): void {
  const { status, stdout, stderr } = run(name, ...args);
  if (status !== 0) throw new Error(`${name} ${args.join(" ")}: ${stdout}${stderr}`);
}

export class CrashCampaign {
  readonly #directory: string;
  readonly #format: Format;
  readonly #entry: string;
  readonly #image: string;
  readonly #copy: string;
  readonly #spec: GuestSpec;
  readonly #niceness: number;

  /** @param directory where images are kept; an image that is there already is used */
  constructor(directory: string, format: Format, entry: string, niceness = 0) {
    this.#directory = directory;
    this.#format = format;
    this.#entry = entry;
    this.#niceness = niceness;
    this.#image = join(directory, `disk.${format}`);
    this.#copy = join(directory, `copy-of-${format}.raw`);
    const initrd = join(directory, "crash.cpio");
    this.#spec = {
      kernel: kernelFile("cloud"),
      initrd,
      append: "quiet cryptomgr.notests",
      memoryMiB: 256,
      drives: [{ file: this.#image, format }],
    };
    mkdirSync(directory, { recursive: true });
    if (!existsSync(initrd)) this.#makeInitrd(initrd);
    if (!existsSync(this.#image)) this.#makeImage();
  }

  #makeInitrd(initrd: string): void {
    const writer = join(this.#directory, "record-writer");
    const source = join(import.meta.dirname, "record-writer.c");
    execFileSync("musl-gcc", ["-static", "-O2", "-Wall", "-Werror", "-o", writer, source]);
    const script = `mount -t ext4 /dev/vda /mnt || exec sh -c 'echo "crash: cannot mount"; sleep 1; poweroff -f'
/bin/record-writer /mnt/records
echo "crash: the writer ended with $?"`;
    const modules = readKernelModules("cloud", ["virtio_pci", "virtio_blk"]);
    const files = { "bin/record-writer": readFileSync(writer) };
    writeFileSync(
      initrd,
      buildGuestInitramfs({ busybox: readBusybox(), modules, programs: [], files, script }),
    );
  }

  #makeImage(): void {
    const raw = this.#copy;
    writeFileSync(raw, "");
    truncateSync(raw, SIZE_MIB << 20);
    const files = mkdtempSync(join(this.#directory, "files-"));
    mkdirSync(join(files, "records"));
    mustRun("mke2fs", "-q", "-F", "-t", "ext4", "-d", files, raw);
    rmSync(files, { recursive: true });
    if (this.#format === "raw") copyFileSync(raw, this.#image);
    else mustRun("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, this.#image);
  }

  /**
   * One run: boots, kills, looks.
   * @param seed decides when
   * @returns how many records were reported, after how many milliseconds it was killed, and what was wrong
   */
  async once(seed: number): Promise<{ records: number; delay: number; faults: string[] }> {
    const delay = Random.spread(seed).below(LATEST_KILL);
    const guest = new GuestProcess(machineCommand("ukl-emu", this.#entry, this.#spec), this.#niceness);
    const numbers: number[] = [];
    guest.onLine = (line) => {
      const number = /^record (\d+)$/.exec(line)?.[1];
      if (number !== undefined) numbers.push(Number(number));
    };
    const silent: string[] = [];
    try {
      await guest.expect(/record \d+\r?\n/, BOOT_SECONDS);
      await sleep(delay);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      silent.push(error.message);
    } finally {
      guest.kill("SIGKILL");
    }
    const end = await guest.ended;
    const faults = guest.console
      .split("\n")
      .filter((line) => COMPLAINTS.test(line) || line.startsWith("crash:"));
    if (end !== "SIGKILL") faults.push(`the emulator ended by itself: ${end}: ${guest.tail()}`);
    faults.push(...silent, ...this.#look(numbers));
    return { records: numbers.length, delay, faults };
  }

  /** What is wrong with the image. The image itself stays as the emulator left it. */
  #look(numbers: readonly number[]): string[] {
    const copy = this.#copy;
    rmSync(copy, { force: true });
    if (this.#format === "raw") copyFileSync(this.#image, copy);
    else {
      const check = run("qemu-img", "check", this.#image);
      if (check.status !== 0) return [`qemu-img check: ${check.stdout}${check.stderr}`];
      mustRun("qemu-img", "convert", "-f", "qcow2", "-O", "raw", this.#image, copy);
    }
    // -p replays the journal and finishes removals that it names; it refuses whatever else would need repair.
    const replay = run("e2fsck", "-p", copy);
    if (replay.status === null || replay.status > 1) return [`e2fsck -p: ${replay.stdout}${replay.stderr}`];
    const check = run("e2fsck", "-fn", copy);
    if (check.status !== 0) return [`e2fsck -fn: ${check.stdout}${check.stderr}`];
    return missingRecords(numbers, (name) => this.#readFile(name));
  }

  #readFile(name: string): Uint8Array | null {
    const target = join(this.#directory, "dumped");
    rmSync(target, { force: true });
    run("debugfs", "-R", `dump /records/${name} ${target}`, this.#copy);
    return existsSync(target) ? readFileSync(target) : null;
  }
}

if (import.meta.main) {
  const given = await yargs(hideBin(process.argv))
    .usage("crash [options]: kills the emulator while a guest writes, and looks at the image")
    .option("runs", { type: "number", default: 200, describe: "in all, with those of earlier calls" })
    .option("format", { choices: ["raw", "qcow2"] as const, default: "raw" as Format })
    .option("seed", { type: "number", default: 1, describe: "run N is decided by SEED + N" })
    .option("directory", { type: "string", describe: "keeps images and the count of runs" })
    .option("emulator", { type: "string", describe: "entry point of another build" })
    .option("nice", { type: "number", default: 10, describe: "of the emulator" })
    .strict()
    .parseAsync();
  const reason = missingForCrash(given.format);
  if (reason !== null) {
    console.error(`crash: ${reason}`);
    process.exit(2);
  }
  const work = given.directory ?? mkdtempSync(join(tmpdir(), "ukl-emu-crash-"));
  const bundle = mkdtempSync(join(tmpdir(), "ukl-emu-bundle-"));
  const counter = join(work, `runs-${given.format}.json`);
  try {
    const entry = given.emulator ?? bundleEmulator(bundle);
    const campaign = new CrashCampaign(work, given.format, entry, given.nice);
    const total = existsSync(counter) ? JSON.parse(readFileSync(counter, "utf8")) : { runs: 0, records: 0 };
    while (total.runs < given.runs) {
      const { records, delay, faults } = await campaign.once(given.seed + total.runs);
      total.runs++;
      total.records += records;
      console.log(
        `crash: ${given.format} run ${total.runs}/${given.runs}: killed ${delay} ms in, ${records} records`,
      );
      if (faults.length > 0) {
        for (const fault of faults) console.error(`crash: ${fault}`);
        console.error(`crash: FAILED with seed ${given.seed + total.runs - 1}; the images are in ${work}`);
        process.exitCode = 1;
        break;
      }
      writeFileSync(counter, JSON.stringify(total));
    }
    if (process.exitCode !== 1) {
      console.log(`crash: passed, ${total.runs} runs, ${total.records} records, none lost`);
      if (given.directory === undefined) rmSync(work, { recursive: true, force: true });
    }
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}
