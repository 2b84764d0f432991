/** Whole numbers from 0 to 2^53 - 1 in as few bytes as they need: seven bits in each, the lowest first (LEB128). */

/** What was read is not what it should be. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(values: Uint8Array): void {
    this.#room(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** What was written since the last `take`. It is valid until something is written again. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}

/** Reads what a `ByteWriter` wrote. Its methods throw `RecordingError` at what is not there or not in its range. */
export class ByteReader {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new RecordingError("a record that is longer than its length");
    return value;
  }

  varint(most: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      // A larger scale than that of 2^53 would lose bits.
      if (value > most || scale > 2 ** 49) throw new RecordingError("a number that is too large");
      if (byte < 0x80) return value;
    }
  }

  /** All that is left. */
  rest(): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return bytes;
  }

  end(): void {
    if (this.left > 0) throw new RecordingError("a record that is shorter than its length");
  }
}
