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

/** @returns null if contents and name do not agree */
export function guessFormat(name: string, fd: number): ImageFormat | null {
  const looksLike = startsAsQcow2(fd);
  if (looksLike !== QCOW2_NAME.test(name)) return null;
  return looksLike ? "qcow2" : "raw";
}

export function startsAsQcow2(fd: number): boolean {
  const start = readStart(fd, 4);
  return start.length === 4 && new DataView(start.buffer).getUint32(0) === MAGIC;
}
