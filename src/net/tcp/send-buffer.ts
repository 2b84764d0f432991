/** Bytes that are to be sent or not yet acknowledged: a list of chunks, kept as they were given. */

/** Shorter writes are gathered in blocks of this size, so that the list does not get longer than the bytes deserve. */
const BLOCK = 4096;

export class SendBuffer {
  #chunks: Uint8Array[] = [];
  /** Index of the first chunk in use; what lies before it is dropped now and then. */
  #head = 0;
  /** Bytes of the first chunk that are released. */
  #skip = 0;
  #length = 0;
  /** The last chunk if it is a block of this buffer's own, and how much of it is filled. */
  #block: Uint8Array | null = null;
  #filled = 0;
  /** Where the last copy ended: chunk and the offset of its first byte. The next one mostly begins there. */
  #cursor = 0;
  #cursorOffset = 0;

  get length(): number {
    return this.#length;
  }

  /** Long `bytes` are kept, not copied: they must not change until they are released. */
  append(bytes: Uint8Array): void {
    let rest = bytes;
    if (rest.length >= BLOCK) {
      this.#chunks.push(rest);
      this.#block = null;
      this.#length += rest.length;
      return;
    }
    while (rest.length > 0) {
      if (this.#block === null || this.#filled === BLOCK) {
        this.#block = new Uint8Array(BLOCK);
        this.#filled = 0;
        this.#chunks.push(this.#block.subarray(0, 0));
      }
      const count = Math.min(rest.length, BLOCK - this.#filled);
      this.#block.set(rest.subarray(0, count), this.#filled);
      this.#filled += count;
      this.#chunks[this.#chunks.length - 1] = this.#block.subarray(0, this.#filled);
      this.#length += count;
      rest = rest.subarray(count);
    }
  }

  /** Copies bytes from `offset`, counted from the first one that is not released. They must be there. */
  copy(offset: number, length: number, target: Uint8Array, at: number): void {
    if (offset < this.#cursorOffset) {
      this.#cursor = this.#head;
      this.#cursorOffset = -this.#skip;
    }
    let copied = 0;
    while (copied < length) {
      const chunk = this.#chunks[this.#cursor]!;
      const inside = offset + copied - this.#cursorOffset;
      if (inside >= chunk.length) {
        this.#cursor++;
        this.#cursorOffset += chunk.length;
        continue;
      }
      const count = Math.min(length - copied, chunk.length - inside);
      target.set(chunk.subarray(inside, inside + count), at + copied);
      copied += count;
    }
  }

  /** Lets go of the first bytes. */
  release(count: number): void {
    this.#length -= count;
    this.#skip += count;
    this.#cursorOffset -= count;
    while (this.#head < this.#chunks.length && this.#skip >= this.#chunks[this.#head]!.length) {
      const { length } = this.#chunks[this.#head]!;
      // A block that is still being filled stays.
      if (this.#head === this.#chunks.length - 1 && this.#block !== null && this.#filled < BLOCK) break;
      this.#skip -= length;
      this.#chunks[this.#head++] = EMPTY;
    }
    if (this.#head > 64 || this.#head === this.#chunks.length) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
    this.#cursor = this.#head;
    this.#cursorOffset = -this.#skip;
    if (this.#length === 0) this.clear();
  }

  clear(): void {
    this.#chunks = [];
    this.#head = this.#skip = this.#length = this.#filled = 0;
    this.#cursor = this.#cursorOffset = 0;
    this.#block = null;
  }
}

const EMPTY = new Uint8Array();
