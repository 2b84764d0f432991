/** The virtio drivers out of an unpacked linux-image package of Debian's. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { diskModules } from "./initramfs.ts";

/**
 * @param root where the package was unpacked
 * @returns the modules of `diskModules` by file name
 */
export function readDiskModules(root: string): Record<string, Uint8Array> {
  const directory = ["lib/modules", "usr/lib/modules"]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  const [release] = directory === undefined ? [] : readdirSync(directory);
  if (directory === undefined || release === undefined) throw new Error(`${root} holds no kernel modules`);
  const kernel = join(directory, release, "kernel");
  return Object.fromEntries(diskModules.map((path) => [basename(path), readFileSync(join(kernel, path))]));
}
