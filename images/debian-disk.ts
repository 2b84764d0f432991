/**
 * Makes a disk with a Debian system that `ukl-emu boot` runs to a login prompt, in `images/cache/`:
 *
 *     debian-disk.raw        ext4, the whole disk is the file system: root=/dev/vda
 *     debian-disk.qcow2      the same, with --qcow2
 *     initrd-root-cloud.gz   loads the disk's drivers and mounts it (initrd-root-generic.gz: for that kernel)
 *
 * The packages come from where apt has them from, checked by its keys. Needs root, mmdebstrap, e2fsprogs,
 * and what `images/fetch-debian.ts` makes. What the system is like stands in `debian-root.ts`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { characterDevice, directory, encodeCpio, file, symlink } from "../src/build/cpio.ts";
import { cache, hasKernel, type KernelLabel, packageFile, readBusybox, withPackage } from "./debian-cache.ts";
import {
  EPOCH,
  EXCLUDED_PATHS,
  FILES,
  INCLUDED_PATHS,
  PACKAGES,
  PASSWORD,
  REPLACEMENTS,
  ROOT_MODULES,
  rootInit,
  setUp,
} from "./debian-root.ts";
import { findProgram } from "./host-programs.ts";
import { modulesDirectory, readModuleTree } from "./module-tree.ts";

/** A failure that the user can act on: printed as one line. */
class DiskError extends Error {}

/** Fixed, so that the same packages give the same file system. */
const UUID = "756b6c2d-656d-4520-a465-6269616e2032";
const env = {
  ...process.env,
  SOURCE_DATE_EPOCH: String(EPOCH),
  E2FSPROGS_FAKE_TIME: String(EPOCH),
  LC_ALL: "C",
};

const start = performance.now();
const progress = (text: string): void =>
  console.log(`debian-disk: ${((performance.now() - start) / 1000).toFixed(0).padStart(3)} s  ${text}`);

function run(command: string, args: readonly string[], input = ""): string {
  const path = findProgram(command);
  if (path === undefined) throw new DiskError(`${command} not found: apt-get install ${command}`);
  try {
    return execFileSync(path, args, { env, input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
  } catch (error) {
    const lines = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new DiskError(`${command} failed: ${lines.split("\n").slice(-3).join(" | ")}`);
  }
}

/** One line of sources.list for each of Debian's own archives that apt uses, and the suite's name. */
function sources(): { suite: string; lines: string[] } {
  const format = "$(ORIGIN)|$(RELEASE)|$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const found = run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"])
    .split("\n")
    .filter((line) => line.startsWith("Debian|"))
    .map((line) => line.split("|"));
  // The main archive is the one whose name the others extend: bookworm, bookworm-updates.
  const suite = found.map(([, release]) => release!).sort((a, b) => a.length - b.length)[0];
  if (suite === undefined) throw new DiskError("apt knows no archive of Debian's: run apt-get update first");
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  return {
    suite,
    lines: [...new Set(found.map(([, , source]) => `deb [signed-by=${keyring}] ${source}`))].sort(),
  };
}

function bootstrap(root: string): void {
  const { suite, lines } = sources();
  const paths = [
    ...EXCLUDED_PATHS.map((path) => `path-exclude=${path}`),
    ...INCLUDED_PATHS.map((path) => `path-include=${path}`),
  ];
  const how = ["--mode=root", "--variant=essential", "--format=directory", "--quiet"];
  const options = paths.map((path) => `--dpkgopt=${path}`);
  run("mmdebstrap", [...how, ...options, `--include=${PACKAGES.join(",")}`, suite, root, ...lines]);
}

function configure(root: string): void {
  for (const { path, text, permissions = 0o644 } of FILES) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    // Some are symbolic links of the package's.
    rmSync(join(root, path), { force: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), permissions);
  }
  for (const { path, pattern, by } of REPLACEMENTS) {
    const text = readFileSync(join(root, path), "utf8");
    if (!pattern.test(text)) throw new DiskError(`${path}: expected a line like ${pattern}, found none`);
    writeFileSync(join(root, path), text.replace(pattern, by));
  }
  run("chroot", [root, "/bin/sh", "-c", setUp]);
}

/** Puts all modules of a kernel into the root, and makes its initial RAM disk. */
function addKernel(root: string, label: KernelLabel): void {
  const initrd = withPackage(label, (unpacked) => {
    const modules = modulesDirectory(unpacked);
    const release = basename(modules);
    const target = join(root, "usr/lib/modules", release);
    cpSync(modules, target, { recursive: true });
    run("chroot", [root, "/sbin/depmod", release]);
    return readModuleTree(unpacked, ROOT_MODULES);
  });
  const names = initrd.map(({ path }) => basename(path));
  const entries = [
    ...["bin", "dev", "lib", "lib/modules"].map(directory),
    characterDevice("dev/console", 5, 1),
    characterDevice("dev/null", 1, 3),
    file("bin/busybox", readBusybox(), 0o755),
    symlink("bin/sh", "busybox"),
    file("init", new TextEncoder().encode(rootInit(names)), 0o755),
    ...initrd.map(({ path, bytes }) => file(`lib/modules/${basename(path)}`, bytes)),
  ];
  writeFileSync(join(cache, `initrd-root-${label}.gz`), gzipSync(encodeCpio(entries), { level: 9 }));
}

/** Every file is as old as the epoch: what the script wrote has the time at which it ran. Follows no link. */
function setTimes(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) setTimes(child);
    else lutimesSync(child, EPOCH, EPOCH);
  }
  lutimesSync(path, EPOCH, EPOCH);
}

function makeFileSystem(root: string, image: string, size: string): void {
  rmSync(image, { force: true });
  const fixed = ["-U", UUID, "-E", `hash_seed=${UUID},root_owner=0:0,lazy_itable_init=0,nodiscard`];
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-L", "debian", "-m", "0", ...fixed, "-d", root, image, size]);
  const check = spawnSync(findProgram("e2fsck")!, ["-fn", image], { env, encoding: "utf8" });
  if (check.status !== 0) throw new DiskError(`e2fsck: ${check.stdout.trim().split("\n").at(-1)}`);
}

interface Options {
  readonly kernels: readonly KernelLabel[];
  readonly size: string;
  readonly qcow2: boolean;
  readonly force: boolean;
}

function makeDisk(options: Options): void {
  const raw = join(cache, "debian-disk.raw");
  if (options.force || !existsSync(raw)) {
    if (process.getuid?.() !== 0) throw new DiskError("expected to run as root, for the owners of the files");
    for (const label of options.kernels) {
      if (!hasKernel(label))
        throw new DiskError(`the ${label} kernel is missing: run images/fetch-debian.ts first`);
    }
    const { bavail, bsize } = statfsSync(cache);
    if (bavail * bsize < 2 ** 31) throw new DiskError(`${cache}: expected 2 GiB of free space`);
    // On one file system with the result, which is moved there when it is complete.
    const work = mkdtempSync(join(cache, "debian-disk-"));
    try {
      const root = join(work, "root");
      progress(`installing ${PACKAGES.length} packages and what they need`);
      bootstrap(root);
      progress("configuring");
      configure(root);
      for (const label of options.kernels) {
        progress(`modules and initial RAM disk of ${basename(packageFile(label)!)}`);
        addKernel(root, label);
      }
      progress("making the file system");
      setTimes(root);
      makeFileSystem(root, join(work, "disk.raw"), options.size);
      renameSync(join(work, "disk.raw"), raw);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  progress(`${raw}: root's password is "${PASSWORD}"`);
  const qcow2 = join(cache, "debian-disk.qcow2");
  if (options.qcow2 && (options.force || !existsSync(qcow2))) {
    run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, qcow2]);
    progress(qcow2);
  }
}

const given = await yargs(hideBin(process.argv))
  .scriptName("debian-disk")
  .usage("$0 [options]: makes a Debian disk and its initial RAM disk in images/cache/")
  .option("kernel", {
    choices: ["cloud", "generic"] as const,
    array: true,
    default: ["cloud"] as KernelLabel[],
    describe: "whose modules it holds; may be given again",
  })
  .option("size", { type: "string", default: "4G", describe: "of the disk, as mke2fs takes it" })
  .option("qcow2", { type: "boolean", default: false, describe: "a qcow2 image too (needs qemu-img)" })
  .option("force", { type: "boolean", default: false, describe: "make it anew" })
  .epilogue("What is there already stays unless --force is given. Takes about a minute.")
  .strict()
  .parseAsync();

try {
  makeDisk({ ...given, kernels: given.kernel });
} catch (error) {
  if (!(error instanceof DiskError)) throw error;
  console.error(`debian-disk: ${error.message}`);
  process.exitCode = 2;
}
