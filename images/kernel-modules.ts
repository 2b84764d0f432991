/** The virtio drivers out of an unpacked linux-image package of Debian's. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { diskModules, optionalModules } from "./initramfs.ts";

/**
 * @param root where the package was unpacked
 * @param paths of modules in the package, e.g. `diskModules`
 * @returns the modules by file name
 */
export function readModules(root: string, paths: readonly string[]): Record<string, Uint8Array> {
  const directory = ["lib/modules", "usr/lib/modules"]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  const [release] = directory === undefined ? [] : readdirSync(directory);
  if (directory === undefined || release === undefined) throw new Error(`${root} holds no kernel modules`);
  const kernel = join(directory, release, "kernel");
  return Object.fromEntries(paths.map((path) => [basename(path), readFileSync(join(kernel, path))]));
}

/** As `readModules`, of the disk drivers. */
export function readDiskModules(root: string): Record<string, Uint8Array> {
  return readModules(root, diskModules);
}

/** As `readModules`, of all virtio drivers. */
export function readVirtioModules(root: string): Record<string, Uint8Array> {
  return readModules(root, [...diskModules, ...optionalModules]);
}
