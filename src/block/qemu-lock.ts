/**
 * Whether QEMU has a disk image open.
 *
 * QEMU locks single bytes of an image (fcntl, open file descriptions): byte 100 + n while it uses permission n, byte
 * 200 + n while nobody else may use it; permission 1 is writing. Node cannot take such locks, but /proc/locks lists
 * them. So QEMU's guests are safe from this program, not this program's guests from QEMU.
 */
import { readFileSync } from "node:fs";
import type { FileIdentity } from "./lock.ts";

const WRITE = 1;
const USED = 100 + WRITE;
const NOT_SHARED = 200 + WRITE;

/** One line: kind, device as major:minor, inode, first and last byte. */
const LINE = /^\d+: OFDLCK +ADVISORY +\w+ +-?\d+ ([\da-f]+):([\da-f]+):(\d+) (\d+) (\d+|EOF)$/gm;

/** @param writes the caller is to write, otherwise it only reads @returns false where it cannot be known */
export function isLockedByQemu({ device, inode }: FileIdentity, writes: boolean): boolean {
  let locks: string;
  try {
    locks = readFileSync("/proc/locks", "utf8");
  } catch {
    return false;
  }
  for (const [, major, minor, file, first, last] of locks.matchAll(LINE)) {
    const number = makeDevice(BigInt(`0x${major}`), BigInt(`0x${minor}`));
    if (number !== device || BigInt(file!) !== inode) continue;
    const end = last === "EOF" ? Infinity : Number(last);
    const holds = (byte: number): boolean => Number(first) <= byte && byte <= end;
    if (holds(USED) || (writes && holds(NOT_SHARED))) return true;
  }
  return false;
}

/** As the C library's makedev. */
function makeDevice(major: bigint, minor: bigint): bigint {
  return ((major & 0xfffn) << 8n) | (minor & 0xffn) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n);
}
