/** The sum in the Internet checksum (RFC 1071): the ones' complement sum of 16-bit words, big-endian. */

/** Where words of several bytes can be read as they are; elsewhere, and for few bytes, it goes byte by byte. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const WORTH_IT = 64;

/**
 * Adds the words from `start` to `end` to a sum; an odd last byte counts as the upper half of a word. Sums are not folded: they
 * stay exact for far more bytes than a frame has.
 */
export function sumWords(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  if (LITTLE_ENDIAN && end - start >= WORTH_IT) return sum + sumFast(bytes, start, end);
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

/**
 * The same by words of 32 bits: their halves may be added later, and in the wrong byte order they give the same sum with its bytes
 * swapped (RFC 1071, 2 (B) and (C)). Where the words of memory lie across those of the sum, they have the right order by that.
 */
function sumFast(bytes: Uint8Array, start: number, end: number): number {
  const { buffer, byteOffset } = bytes;
  const across = ((byteOffset + start) & 1) === 1;
  let at = start + (across ? 1 : 0);
  let sum = 0;
  if ((byteOffset + at) & 2) {
    sum = bytes[at]! | (bytes[at + 1]! << 8);
    at += 2;
  }
  const words = new Uint32Array(buffer, byteOffset + at, (end - at) >> 2);
  for (let i = 0; i < words.length; i++) sum += words[i]!;
  at += words.length * 4;
  for (let shift = 0; at < end; at++, shift ^= 8) sum += bytes[at]! << shift;
  const folded = fold(sum);
  return across ? bytes[start]! * 256 + folded : ((folded & 0xff) << 8) | (folded >> 8);
}

/** A sum in 16 bits, with its carries added in. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** As `sumWords`, folded: 16 bits, not complemented. */
export const onesComplementSum = (bytes: Uint8Array, start: number, end: number, initial = 0): number =>
  fold(sumWords(bytes, start, end, initial));
