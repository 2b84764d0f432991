/** The initial file system of an image: a cpio archive of the application and what goes beside it. */
import { BuildError } from "./build-error.ts";
import { type CpioEntry, directory, encodeCpio, file } from "./cpio.ts";

export interface GuestFile {
  /** In the guest, from the root: "/bin/busybox". */
  readonly path: string;
  readonly data: Uint8Array;
  readonly permissions: number;
}

/** "/a//b/../c" without its superfluous parts and without the leading slash. */
function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

/** Files in their order, each after the directories above it. Throws `BuildError` for two of one name. */
export function makeInitramfs(files: readonly GuestFile[]): Uint8Array {
  if (files.length === 0) return new Uint8Array(0);
  const entries = new Map<string, CpioEntry>();
  for (const { path, data, permissions } of files) {
    const name = normalise(path);
    if (name === "" || path.endsWith("/")) {
      throw new BuildError(`--with: expected the name of a file in the guest, found "${path}"`);
    }
    const parts = name.split("/");
    for (let i = 1; i < parts.length; i++) {
      const above = parts.slice(0, i).join("/");
      if (!entries.has(above)) entries.set(above, directory(above));
    }
    if (entries.has(name)) throw new BuildError(`--with: expected one file for /${name}, found two`);
    entries.set(name, file(name, data, permissions));
  }
  return encodeCpio([...entries.values()]);
}
