/** A disk image that cannot be used. The message is one line: the file, what was expected, what was found. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}
