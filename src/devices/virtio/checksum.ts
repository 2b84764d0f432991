/** Frames that leave their Internet checksum (RFC 1071) to be computed. */
import { onesComplementSum } from "./internet-sum.ts";
import type { PartialChecksum } from "./network-link.ts";

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
