/** Growable byte buffer with the encodings of the WebAssembly binary format (specification §5.2). */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #reserve(extra: number): void {
    const need = this.#length + extra;
    if (need <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  u8(value: number): this {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  bytes(values: ArrayLike<number>): this {
    this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
    return this;
  }

  append(other: ByteWriter): this {
    return this.bytes(other.view());
  }

  /** Unsigned LEB128 of a value below 2^32. */
  leb(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.u8(rest);
  }

  /** Signed LEB128 of an i32. */
  sleb32(value: number): this {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && !(low & 0x40)) || (rest === -1 && low & 0x40)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  /** Signed LEB128 of an i64. */
  sleb64(value: bigint): this {
    if (value >= -0x80000000n && value <= 0x7fffffffn) return this.sleb32(Number(value));
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && !(low & 0x40)) || (rest === -1n && low & 0x40)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  f32(value: number): this {
    return this.bytes(new Uint8Array(new Float32Array([value]).buffer));
  }

  f64(value: number): this {
    return this.bytes(new Uint8Array(new Float64Array([value]).buffer));
  }

  name(text: string): this {
    const utf8 = new TextEncoder().encode(text);
    return this.leb(utf8.length).bytes(utf8);
  }

  /** A length-prefixed section or entry. */
  sized(content: ByteWriter): this {
    return this.leb(content.length).append(content);
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
