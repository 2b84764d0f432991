/**
 * A writer for the "newc" cpio format, the one the kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). The bytes depend on the entries alone:
 * inode numbers count up, owner is root, and every time stamp is 0.
 */

export interface CpioEntry {
  /** Path without a leading slash. */
  readonly path: string;
  /** File type and permission bits as in stat(2), e.g. 0o100755. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [major: number, minor: number];
}

export const directory = (path: string): CpioEntry => ({ path, mode: 0o040755 });
export const file = (path: string, data: Uint8Array, permissions = 0o644): CpioEntry => ({
  path,
  mode: 0o100000 | permissions,
  data,
});
export const symlink = (path: string, target: string): CpioEntry => ({
  path,
  mode: 0o120777,
  data: new TextEncoder().encode(target),
});
export const characterDevice = (path: string, major: number, minor: number): CpioEntry => ({
  path,
  mode: 0o020600,
  device: [major, minor],
});

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");
const padding = (length: number): Uint8Array => new Uint8Array(-length & 3);

function record(entry: CpioEntry, inode: number): Uint8Array[] {
  const name = new TextEncoder().encode(`${entry.path}\0`);
  const data = entry.data ?? new Uint8Array(0);
  const [major, minor] = entry.device ?? [0, 0];
  const isDirectory = (entry.mode & 0o170000) === 0o040000;
  const fields = [
    inode,
    entry.mode,
    0, // uid
    0, // gid
    isDirectory ? 2 : 1, // nlink
    0, // mtime
    data.length,
    0, // device of the file system: major
    0, // and minor
    major,
    minor,
    name.length,
    0, // checksum, unused by this variant
  ];
  const header = new TextEncoder().encode(`070701${fields.map(hex8).join("")}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

/** Encodes the archive, trailer included, padded to 512 bytes as cpio(1) does. */
export function encodeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts = entries.flatMap((entry, index) => record(entry, index + 1));
  parts.push(...record({ path: "TRAILER!!!", mode: 0 }, 0));
  const archive = Buffer.concat(parts);
  return Buffer.concat([archive, new Uint8Array(-archive.length & 511)]);
}
