/** Hexadecimal digits without a prefix, at least `digits` of them. */
export function hex(value: number | bigint, digits = 1): string {
  return value.toString(16).padStart(digits, "0");
}

/** Bytes as pairs of digits, separated by blanks. */
export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => hex(byte, 2)).join(" ");
}
