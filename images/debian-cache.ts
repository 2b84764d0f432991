/** What `fetch-debian.ts` has put into `images/cache/`, opened for scripts and tests. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KernelModule, readModuleTree } from "./module-tree.ts";

export const cache = join(import.meta.dirname, "cache");
const debs = join(cache, "debs");

export type KernelLabel = "cloud" | "generic";

const patterns = {
  cloud: /^linux-image-[^_]*-cloud-amd64_/,
  generic: /^linux-image-(?![^_]*-cloud-)[^_]*-amd64_/,
  busybox: /^busybox-static_/,
} as const;

/** The newest package file of a kind, or undefined. */
export function packageFile(kind: keyof typeof patterns): string | undefined {
  if (!existsSync(debs)) return undefined;
  const names = readdirSync(debs).filter((name) => patterns[kind].test(name));
  const last = names.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
  return last === undefined ? undefined : join(debs, last);
}

/** The kernel's file. */
export const kernelFile = (label: KernelLabel): string => join(cache, `vmlinuz-${label}`);

/** Whether kernel, modules and busybox are there. */
export const hasKernel = (label: KernelLabel): boolean =>
  existsSync(kernelFile(label)) && packageFile(label) !== undefined && packageFile("busybox") !== undefined;

/** Unpacks a package, hands its directory to `use`, and removes it. */
export function withPackage<T>(kind: keyof typeof patterns, use: (root: string) => T): T {
  const deb = packageFile(kind);
  if (deb === undefined) throw new Error(`no package of kind ${kind} in ${debs}: run images/fetch-debian.ts`);
  const root = mkdtempSync(join(tmpdir(), "ukl-emu-package-"));
  try {
    execFileSync("dpkg-deb", ["-x", deb, root], { stdio: ["ignore", "ignore", "pipe"] });
    return use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** busybox, statically linked. */
export const readBusybox = (): Uint8Array =>
  withPackage("busybox", (root) => {
    // Since the merge of /usr the program may be in either place.
    const path = ["bin/busybox", "usr/bin/busybox"].map((p) => join(root, p)).find((p) => existsSync(p));
    if (path === undefined) throw new Error("busybox-static holds no bin/busybox");
    return readFileSync(path);
  });

/** Modules of a kernel with what they depend on, in the order in which they can be loaded. */
export const readKernelModules = (label: KernelLabel, names: readonly string[]): KernelModule[] =>
  withPackage(label, (root) => readModuleTree(root, names));
