/**
 * Which format an image has, when nobody says it.
 *
 * The first bytes of a raw disk belong to the guest. One that writes a qcow2 header there would, if the next run
 * believed it, have the host open whatever file the header names as its backing file, or a disk without end. So the
 * contents alone never make an image qcow2: its name, which no guest can change, must say so too.
 */
import { readStart } from "./open-file.ts";
import { MAGIC } from "./qcow2/header.ts";

export type ImageFormat = "raw" | "qcow2";

const QCOW2_NAME = /\.qcow2$/i;

/** Formats of other programs, by the bytes that their files have at a place. A guest would see, and write to, their tables. */
const FOREIGN: readonly (readonly [name: string, at: number, bytes: string])[] = [
  ["VMDK", 0, "KDMV"],
  ["VMDK", 0, "COWD"],
  ["VMDK", 0, "# Disk DescriptorFile"],
  ["VDI", 0x40, "\x7f\x10\xda\xbe"],
  ["VHD", 0, "conectix"],
  ["VHDX", 0, "vhdxfile"],
  ["QED", 0, "QED\0"],
];

/** The format of another program that an image has, null if it has none. */
export function foreignFormat(fd: number): string | null {
  const start = Buffer.from(readStart(fd, 0x44)).toString("latin1");
  return FOREIGN.find(([, at, bytes]) => start.startsWith(bytes, at))?.[0] ?? null;
}

/** @returns null if contents and name do not agree, or the format is another program's */
export function guessFormat(name: string, fd: number): ImageFormat | null {
  if (foreignFormat(fd) !== null) return null;
  const looksLike = startsAsQcow2(fd);
  if (looksLike !== QCOW2_NAME.test(name)) return null;
  return looksLike ? "qcow2" : "raw";
}

export function startsAsQcow2(fd: number): boolean {
  const start = readStart(fd, 4);
  return start.length === 4 && new DataView(start.buffer).getUint32(0) === MAGIC;
}
