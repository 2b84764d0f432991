/**
 * Fetches Debian's amd64 kernels and busybox-static and makes bootable files of them in `images/cache/`:
 *
 *     vmlinuz-cloud  vmlinuz-generic  config-*        from linux-image-cloud-amd64, linux-image-amd64
 *     initrd-init.gz initrd-script.gz initrd-shell.gz initrd-symbols.gz
 *     initrd-disk.gz                                  for vmlinuz-cloud, with its virtio drivers
 *     payload.bin                                     the file that the script image hashes
 *
 * Needs apt-get, apt-cache and dpkg-deb. What is there already is not fetched again. Usage:
 *
 *     node images/fetch-debian.ts [--force]
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildInitramfs, type InitramfsName, initScripts, payload } from "./initramfs.ts";
import { readVirtioModules } from "./kernel-modules.ts";

const cache = join(import.meta.dirname, "cache");
const debs = join(cache, "debs");

/** A failure that the user can act on: printed as one line. */
class FetchError extends Error {}

function run(command: string, args: readonly string[], cwd = cache): string {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === "ENOENT") throw new FetchError(`${command} not found: this script needs a Debian system`);
    const lastLine = (stderr ?? "").trim().split("\n").at(-1);
    throw new FetchError(`${command} ${args.join(" ")} failed: ${lastLine}`);
  }
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly depends: string;
}

/** What apt's index says of the newest version of a package. */
function lookUp(name: string): Package {
  const text = run("apt-cache", ["show", "--no-all-versions", `${name}:amd64`]);
  const field = (key: string): string => {
    const match = new RegExp(`^${key}: (.*)$`, "m").exec(text);
    return match?.[1] ?? "";
  };
  const sha256 = field("SHA256");
  if (sha256 === "") throw new FetchError(`apt knows no SHA256 for ${name}: run apt-get update first`);
  return { name, version: field("Version"), sha256, depends: field("Depends") };
}

/** The versioned package behind a meta package, e.g. linux-image-6.1.0-56-amd64 for linux-image-amd64. */
function resolveMeta(name: string): Package {
  const real = /\b(linux-image-[0-9]\S*-amd64)\b/.exec(lookUp(name).depends)?.[1];
  if (real === undefined) throw new FetchError(`${name} depends on no versioned linux-image package`);
  return lookUp(real);
}

const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Downloads a package if it is not there, and checks its hash against apt's index. Returns the file. */
function download(wanted: Package): string {
  const find = (): string | undefined =>
    readdirSync(debs).find(
      (f) => f.startsWith(`${wanted.name}_`) && sha256Of(readFileSync(join(debs, f))) === wanted.sha256,
    );
  if (find() === undefined) run("apt-get", ["download", `${wanted.name}:amd64=${wanted.version}`], debs);
  const found = find();
  if (found === undefined)
    throw new FetchError(`${wanted.name}: no downloaded file has the SHA256 ${wanted.sha256}`);
  return join(debs, found);
}

/** Unpacks a package into a fresh directory, hands that to `use`, and removes it. */
function unpacked<T>(deb: string, use: (root: string) => T): T {
  const root = join(cache, "unpacked");
  rmSync(root, { recursive: true, force: true });
  try {
    run("dpkg-deb", ["-x", deb, root]);
    return use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Fetches a kernel. @returns its virtio drivers by file name */
function fetchKernel(meta: string, label: string): Record<string, Uint8Array> {
  const real = resolveMeta(meta);
  const modules = unpacked(download(real), (root) => {
    const release = real.name.replace("linux-image-", "");
    copyFileSync(join(root, "boot", `vmlinuz-${release}`), join(cache, `vmlinuz-${label}`));
    copyFileSync(join(root, "boot", `config-${release}`), join(cache, `config-${label}`));
    return readVirtioModules(root);
  });
  console.log(`vmlinuz-${label}: ${real.name} ${real.version}`);
  return modules;
}

/** @param modules those of the cloud kernel, for the image with disks */
function makeInitramfs(modules: Record<string, Uint8Array>): void {
  const wanted = lookUp("busybox-static");
  const busybox = unpacked(download(wanted), (root) => {
    // Since the merge of /usr the program may be in either place.
    const path = ["bin/busybox", "usr/bin/busybox"].map((p) => join(root, p)).find((p) => existsSync(p));
    if (path === undefined) throw new FetchError("busybox-static holds no bin/busybox");
    return readFileSync(path);
  });
  for (const name of Object.keys(initScripts) as InitramfsName[]) {
    writeFileSync(
      join(cache, `initrd-${name}.gz`),
      buildInitramfs(name, busybox, name === "disk" ? modules : {}),
    );
    console.log(`initrd-${name}.gz: busybox-static ${wanted.version}`);
  }
  writeFileSync(join(cache, "payload.bin"), payload());
}

try {
  if (process.argv.includes("--force")) rmSync(cache, { recursive: true, force: true });
  mkdirSync(debs, { recursive: true });
  const modules = fetchKernel("linux-image-cloud-amd64", "cloud");
  fetchKernel("linux-image-amd64", "generic");
  makeInitramfs(modules);
} catch (error) {
  if (!(error instanceof FetchError)) throw error;
  console.error(`fetch-debian: ${error.message}`);
  process.exitCode = 2;
}
