/** Little-endian access to images, checked against the file's end, and to the structures built for a guest. */
import { byteCount, hex, ImageError } from "./image-error.ts";

/** Reads fields of an image. A read past the end of the file is an `ImageError`. */
export class ImageReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #format: string;

  /** `format` names the image in messages, e.g. "bzImage". */
  constructor(bytes: Uint8Array, format: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#format = format;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** A view, not a copy, of `length` bytes at `offset`; `what` names them in the message. */
  slice(offset: number, length: number, what: string): Uint8Array {
    if (offset + length > this.bytes.length) {
      throw new ImageError(
        `truncated ${this.#format}: expected ${byteCount(length)} of ${what} at offset ${hex(offset)}, ` +
          `found the end of the file at ${hex(this.bytes.length)}`,
      );
    }
    return this.bytes.subarray(offset, offset + length);
  }

  #check(offset: number, length: number): void {
    if (offset + length > this.bytes.length) this.slice(offset, length, "header fields");
  }

  u8(offset: number): number {
    this.#check(offset, 1);
    return this.#view.getUint8(offset);
  }
  u16(offset: number): number {
    this.#check(offset, 2);
    return this.#view.getUint16(offset, true);
  }
  u32(offset: number): number {
    this.#check(offset, 4);
    return this.#view.getUint32(offset, true);
  }
  /** Values above 2^53 lose their low bits: enough to see that they are out of any range. */
  u64(offset: number): number {
    this.#check(offset, 8);
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 2 ** 32;
  }
  /** The characters up to a NUL, a byte that is not printable ASCII, or `limit` bytes. */
  text(offset: number, limit: number): string {
    let end = offset;
    while (end < Math.min(offset + limit, this.bytes.length)) {
      const byte = this.bytes[end]!;
      if (byte < 0x20 || byte > 0x7e) break;
      end++;
    }
    return String.fromCharCode(...this.bytes.subarray(offset, end));
  }
}

/** A zeroed structure of fixed size that is filled field by field. */
export class StructWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }
  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }
  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }
  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }
  u64(offset: number, value: number): this {
    this.#view.setUint32(offset, value % 2 ** 32, true);
    this.#view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }
  /** ASCII, cut or padded with spaces to `length`. */
  ascii(offset: number, text: string, length = text.length): this {
    this.bytes.set(new TextEncoder().encode(text.padEnd(length, " ").slice(0, length)), offset);
    return this;
  }
  put(offset: number, bytes: Uint8Array): this {
    this.bytes.set(bytes, offset);
    return this;
  }
}

/** A C string: UTF-8 and a terminating NUL. */
export const cString = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);
