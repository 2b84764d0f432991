/**
 * The one error a loader throws: the image, the initrd or the options cannot be booted.
 *
 * The message is one line without the file's name, which the caller knows and puts in front. It says what was
 * expected, what was found and where; a remedy follows where there is one.
 */
export class ImageError extends Error {
  override readonly name = "ImageError";
}

export const hex = (value: number): string => `0x${value.toString(16)}`;

/** "1,234 bytes", or "1 byte". */
export const byteCount = (length: number): string =>
  `${length.toLocaleString("en-US")} ${length === 1 ? "byte" : "bytes"}`;
