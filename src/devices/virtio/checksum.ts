/** The Internet checksum (RFC 1071), and frames that leave theirs to be computed. */
import type { PartialChecksum } from "./network-link.ts";

/** A sum folded into 16 bits, with the carries brought back. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/**
 * The one's complement sum of 16-bit words, big-endian, of [start, end); an odd byte at the end counts as a word's upper half.
 * @param initial a sum to go on from
 * @returns 16 bits, not complemented
 */
export function onesComplementSum(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  // Upper and lower halves apart: both stay exact for any frame.
  let upper = 0;
  let lower = 0;
  let at = start;
  for (const last = end - 1; at < last; at += 2) {
    upper += bytes[at]!;
    lower += bytes[at + 1]!;
  }
  if (at < end) upper += bytes[at]!;
  return fold(initial + upper * 256 + lower);
}

/** Whether the checksum's field lies inside a frame of `length` bytes. */
export function isInside({ start, offset }: PartialChecksum, length: number): boolean {
  return start + offset + 2 <= length;
}

/** Computes the checksum that a frame left open, in its place: the field holds the pseudo header's sum. */
export function completeChecksum(frame: Uint8Array, { start, offset }: PartialChecksum): void {
  // A sum of zero is sent as its other form: in UDP zero says that there is none (RFC 768), elsewhere both are the same.
  const sum = ~onesComplementSum(frame, start, frame.length) & 0xffff || 0xffff;
  frame[start + offset] = sum >>> 8;
  frame[start + offset + 1] = sum;
}
