/** Refcount blocks: one cluster of refcounts of 1 to 64 bits ("Host cluster management"). */

/** How refcounts lie in a block. */
export class RefcountFormat {
  readonly order: number;
  /** Refcounts in a block. */
  readonly entries: number;

  constructor(order: number, clusterSize: number) {
    this.order = order;
    this.entries = (clusterSize * 8) / 2 ** order;
  }

  /** Exact up to 2^53. */
  get(bytes: Uint8Array, i: number): number {
    if (this.order === 3) return bytes[i]!;
    if (this.order > 3) {
      const size = 2 ** (this.order - 3);
      let value = 0;
      for (let at = i * size; at < (i + 1) * size; at++) value = value * 256 + bytes[at]!;
      return value;
    }
    // Several in a byte: the first in the least significant bits.
    const bits = 1 << this.order;
    const perByte = 8 >> this.order;
    return (bytes[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & ((1 << bits) - 1);
  }

  /** @param value one that fits */
  set(bytes: Uint8Array, i: number, value: number): void {
    if (this.order >= 3) {
      const size = 2 ** (this.order - 3);
      let rest = value;
      for (let at = (i + 1) * size - 1; at >= i * size; at--) {
        bytes[at] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      return;
    }
    const bits = 1 << this.order;
    const perByte = 8 >> this.order;
    const at = Math.floor(i / perByte);
    const shift = (i % perByte) * bits;
    bytes[at] = (bytes[at]! & ~(((1 << bits) - 1) << shift)) | (value << shift);
  }

  /** The first refcount of 0 from `from` on; -1 if there is none. */
  firstZero(bytes: Uint8Array, from: number): number {
    const { buffer } = bytes;
    // Zero is zero in any byte order, and the built-in search is many times faster than a loop.
    if (this.order === 3) return bytes.indexOf(0, from);
    if (this.order === 4) return new Uint16Array(buffer).indexOf(0, from);
    if (this.order === 5) return new Uint32Array(buffer).indexOf(0, from);
    if (this.order === 6) return new BigUint64Array(buffer).indexOf(0n, from);
    for (let i = from; i < this.entries; i++) if (this.get(bytes, i) === 0) return i;
    return -1;
  }
}

export class RefcountBlock {
  readonly index: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** As the image on the disk has it; null while nothing was changed since. */
  committed: Uint8Array<ArrayBuffer> | null = null;

  constructor(index: number, bytes: Uint8Array<ArrayBuffer>) {
    this.index = index;
    this.bytes = bytes;
  }

  /** Whether an entry is free now and in the image on the disk. */
  isFree(format: RefcountFormat, i: number): boolean {
    if (format.get(this.bytes, i) !== 0) return false;
    return this.committed === null || format.get(this.committed, i) === 0;
  }

  /** The first entry from `from` on that is free now and in the image on the disk; -1 if there is none. */
  firstFree(format: RefcountFormat, from: number): number {
    for (let i = from; ; i++) {
      i = format.firstZero(this.bytes, i);
      if (i < 0 || this.committed === null || format.get(this.committed, i) === 0) return i;
    }
  }
}
