/** The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. */

/**
 * Adds the words from `start` to `end` to a sum; an odd last byte counts as the upper half of a word. Sums are not folded: they
 * stay exact for far more bytes than a frame has.
 */
export function sumWords(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let high = 0;
  let low = 0;
  let at = start;
  for (; at + 1 < end; at += 2) {
    high += bytes[at]!;
    low += bytes[at + 1]!;
  }
  if (at < end) high += bytes[at]!;
  return sum + high * 256 + low;
}

/** A sum in 16 bits, with its carries added in. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** What goes into a checksum field. */
export const checksumOf = (sum: number): number => fold(sum) ^ 0xffff;

/** Whether a sum over everything, checksum field included, is as it should be. */
export const sumIsRight = (sum: number): boolean => fold(sum) === 0xffff;

/** The pseudo header of UDP and TCP over IPv4 (RFC 768, RFC 9293, 3.1). @param length of the header and what follows it */
export function pseudoHeader(source: number, destination: number, protocol: number, length: number): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}
