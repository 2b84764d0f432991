/** Why an image cannot be used. Messages say what was found; the file's name is put before by whoever opened it. */
export class CorruptImage extends Error {
  override readonly name = "CorruptImage";

  /** @param what the structure, and the value or place that is wrong */
  constructor(what: string) {
    super(`a corrupt qcow2 image (${what}): qemu-img check -r all repairs what can be repaired`);
  }
}

/** Right, but not for this program, or not in the way that was asked for. The message ends with the remedy. */
export class UnsupportedImage extends Error {
  override readonly name = "UnsupportedImage";
}

/** A number as messages show it: offsets, words of tables. */
export function hex(value: number): string {
  return `${value.toString(16)}h`;
}
