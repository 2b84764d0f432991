/** Kernel modules and what they depend on, out of an unpacked linux-image package of Debian's. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A module and its place below the kernel's directory, e.g. "drivers/block/virtio_blk.ko". */
export interface KernelModule {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * @param root where the package was unpacked
 * @returns lib/modules/RELEASE in it
 */
export function modulesDirectory(root: string): string {
  const directory = ["lib/modules", "usr/lib/modules"]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  const [release] = directory === undefined ? [] : readdirSync(directory);
  if (directory === undefined || release === undefined) throw new Error(`${root} holds no kernel modules`);
  return join(directory, release);
}

/** Module names are written with either sign; the kernel sees underscores. */
const plainName = (name: string): string => basename(name, ".ko").replaceAll("-", "_");

/** What .modinfo says that must be loaded before (Documentation/kbuild/modules.rst; kmod's softdep). */
function dependencies(bytes: Uint8Array): { needed: string[]; helpful: string[] } {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const [, needed = ""] = /\0depends=([^\0]*)\0/.exec(text) ?? [];
  const [, helpful = ""] = /\0softdep=pre: ([^\0]*)\0/.exec(text) ?? [];
  return { needed: needed.split(",").filter(Boolean), helpful: helpful.split(" ").filter(Boolean) };
}

/**
 * Modules and what they depend on, in an order in which they can be loaded. A name that no module has is taken as built
 * into the kernel, as softdeps and different kernels demand.
 * @param root where the package was unpacked
 * @param names e.g. "virtio_blk"
 */
export function readModuleTree(root: string, names: readonly string[]): KernelModule[] {
  const kernel = join(modulesDirectory(root), "kernel");
  const places = new Map(
    readdirSync(kernel, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ko"))
      .map((path) => [plainName(path), path]),
  );
  const found = new Map<string, KernelModule>();
  const visit = (name: string): void => {
    const path = places.get(plainName(name));
    if (path === undefined || found.has(path)) return;
    const bytes = readFileSync(join(kernel, path));
    const { needed, helpful } = dependencies(bytes);
    for (const other of [...helpful, ...needed]) visit(other);
    found.set(path, { path, bytes });
  };
  for (const name of names) visit(name);
  return [...found.values()];
}
