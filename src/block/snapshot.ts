/** A disk whose writes stay in memory: the store below is only read. */
import type { BlockStore } from "../devices/virtio/block.ts";

/** Bytes that are kept as one piece: what file systems write at once. */
const CLUSTER = 4096;

export class Snapshot implements BlockStore {
  readonly size: number;
  readonly readonly = false;
  readonly #below: BlockStore;
  /** Changed clusters by number. */
  readonly #changed = new Map<number, Uint8Array>();

  constructor(below: BlockStore) {
    this.#below = below;
    this.size = below.size;
  }

  /** Bytes of memory that the changes take. */
  get memory(): number {
    return this.#changed.size * CLUSTER;
  }

  read(offset: number, target: Uint8Array): void {
    // Most reads meet nothing that was changed, and one request to the host serves them best.
    let unread = true;
    this.#each(offset, target.length, (cluster, from, at, length) => {
      const changed = this.#changed.get(cluster);
      if (changed === undefined && unread) {
        this.#below.read(offset + at, target.subarray(at));
        unread = false;
      }
      if (changed !== undefined) target.set(changed.subarray(from, from + length), at);
    });
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#each(offset, bytes.length, (cluster, from, at, length) => {
      this.#change(cluster, length).set(bytes.subarray(at, at + length), from);
    });
  }

  writeZeroes(offset: number, length: number): void {
    this.#each(offset, length, (cluster, from, _at, part) => {
      this.#change(cluster, part).fill(0, from, from + part);
    });
  }

  discard(): void {}

  flush(): void {}

  /** The bytes of a cluster, to be changed: `length` of them. */
  #change(cluster: number, length: number): Uint8Array {
    let bytes = this.#changed.get(cluster);
    if (bytes === undefined) {
      bytes = new Uint8Array(CLUSTER);
      const present = Math.min(CLUSTER, this.size - cluster * CLUSTER);
      if (length < present) this.#below.read(cluster * CLUSTER, bytes.subarray(0, present));
      this.#changed.set(cluster, bytes);
    }
    return bytes;
  }

  #each(
    offset: number,
    length: number,
    visit: (cluster: number, from: number, at: number, length: number) => void,
  ): void {
    for (let at = 0; at < length; ) {
      const cluster = Math.floor((offset + at) / CLUSTER);
      const from = offset + at - cluster * CLUSTER;
      const part = Math.min(CLUSTER - from, length - at);
      visit(cluster, from, at, part);
      at += part;
    }
  }
}
