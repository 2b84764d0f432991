/** Reads instruction bytes, and remembers when there are too few. */

/** Longest instruction, SDM vol. 2 2.3.11. */
export const MAX_LENGTH = 15;

export class ByteCursor {
  #code: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #limit = 0;
  /** Address of the next byte. */
  at = 0;
  /** A read went past the last byte; such reads give 0. */
  short = false;

  /** Starts at `start`; bytes up to `end` (exclusive) can be read, but no more than MAX_LENGTH. */
  open(code: Uint8Array, start: number, end: number): void {
    this.#code = code;
    this.#start = start;
    this.#end = end;
    this.#limit = Math.min(end, start + MAX_LENGTH);
    this.at = start;
    this.short = false;
  }

  /** Bytes read so far. */
  get length(): number {
    return this.at - this.#start;
  }
  /** When `short`: whether the instruction itself is too long, not the bytes at hand too few. */
  get tooLong(): boolean {
    return this.#end - this.#start >= MAX_LENGTH;
  }

  #reserve(count: number): boolean {
    if (this.at + count <= this.#limit) return true;
    this.short = true;
    return false;
  }

  /** The next byte, unsigned, without taking it. */
  peek(): number {
    return this.#reserve(1) ? this.#code[this.at]! : 0;
  }
  u8(): number {
    return this.#reserve(1) ? this.#code[this.at++]! : 0;
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    if (!this.#reserve(2)) return 0;
    const value = this.#code[this.at]! | (this.#code[this.at + 1]! << 8);
    this.at += 2;
    return value;
  }
  i16(): number {
    return (this.u16() << 16) >> 16;
  }
  i32(): number {
    if (!this.#reserve(4)) return 0;
    const code = this.#code;
    const { at } = this;
    this.at += 4;
    return code[at]! | (code[at + 1]! << 8) | (code[at + 2]! << 16) | (code[at + 3]! << 24);
  }
}
