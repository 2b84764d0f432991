/** A guest memory to load into, and the machine as the loaders see it. */
import type { GuestMemory } from "../../src/boot/platform.ts";

export { acpiPlatform, bootPlatform, firmwareOptions } from "../../src/machine/boot-platform.ts";

export const MIB = 0x10_0000;

/** Guest RAM in 64 KiB chunks that exist once written with something else than zero; any access outside it throws. */
export class SparseMemory implements GuestMemory {
  static readonly #CHUNK = 0x1_0000;
  readonly size: number;
  /** Bytes written and filled so far: what a loader's work on guest memory amounts to. */
  work = 0;
  readonly #chunks = new Map<number, Uint8Array>();

  constructor(size: number) {
    this.size = size;
  }

  #check(address: number, length: number): void {
    const sound =
      Number.isSafeInteger(address) && Number.isSafeInteger(length) && address >= 0 && length >= 0;
    if (!sound || address + length > this.size) {
      throw new RangeError(`guest memory access of ${length} bytes at ${address}, RAM has ${this.size}`);
    }
  }

  /** Calls `use` for each chunk of a range with the offset in the chunk and in the range. */
  #each(
    address: number,
    length: number,
    use: (index: number, start: number, done: number, count: number) => void,
  ): void {
    this.#check(address, length);
    for (let done = 0; done < length; ) {
      const index = Math.floor((address + done) / SparseMemory.#CHUNK);
      const start = (address + done) % SparseMemory.#CHUNK;
      const count = Math.min(SparseMemory.#CHUNK - start, length - done);
      use(index, start, done, count);
      done += count;
    }
  }

  #chunk(index: number): Uint8Array {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(SparseMemory.#CHUNK);
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }

  write(address: number, bytes: Uint8Array): void {
    this.work += bytes.length;
    this.#each(address, bytes.length, (index, start, done, count) => {
      this.#chunk(index).set(bytes.subarray(done, done + count), start);
    });
  }

  fill(address: number, length: number, value: number): void {
    this.work += length;
    this.#each(address, length, (index, start, _done, count) => {
      if (value === 0) this.#chunks.get(index)?.fill(0, start, start + count);
      else this.#chunk(index).fill(value, start, start + count);
    });
  }

  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    this.#each(address, length, (index, start, done, count) => {
      const chunk = this.#chunks.get(index);
      if (chunk !== undefined) result.set(chunk.subarray(start, start + count), done);
    });
    return result;
  }

  u8(address: number): number {
    return this.read(address, 1)[0]!;
  }
  u16(address: number): number {
    return this.u8(address) | (this.u8(address + 1) << 8);
  }
  u32(address: number): number {
    return (this.u16(address) | (this.u16(address + 2) << 16)) >>> 0;
  }
  u64(address: number): number {
    return this.u32(address) + this.u32(address + 4) * 2 ** 32;
  }
  /** A C string. */
  text(address: number): string {
    let result = "";
    for (let a = address; this.u8(a) !== 0; a++) result += String.fromCharCode(this.u8(a));
    return result;
  }
}
