/**
 * Descriptor chains: what split and packed rings have in common (2.7.5, 2.8.5).
 *
 * Everything in the queue's memory is the guest's word: it is checked each time, and nothing is remembered that the guest
 * could change behind a check. What is wrong is thrown as `DriverError`, with no number of the guest's in its text, so
 * that a hostile guest cannot fill a log with it.
 */

import { DriverError } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Descriptor flags (2.7.5, 2.8.13): those of split rings mean the same in packed ones. */
export const DESCRIPTOR = { NEXT: 1, WRITE: 2, INDIRECT: 4, AVAIL: 1 << 7, USED: 1 << 15 } as const;
export const DESCRIPTOR_SIZE = 16;
/** Bytes of a chain: "Drivers MUST NOT add a descriptor length that exceeds 2^32 bytes in total" (2.7.5.2). */
const LONGEST_CHAIN = 2 ** 32;

interface Buffer {
  readonly address: number;
  readonly length: number;
}

/** Copies between `bytes` and the part of `buffers` from `offset`; gives the number of bytes that were there. */
function copy(
  buffers: readonly Buffer[],
  offset: number,
  bytes: Uint8Array,
  move: (address: number, part: Uint8Array) => void,
): number {
  let skip = offset;
  let done = 0;
  for (const { address, length } of buffers) {
    if (done === bytes.length) break;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const part = Math.min(length - skip, bytes.length - done);
    move(address + skip, bytes.subarray(done, done + part));
    done += part;
    skip = 0;
  }
  return done;
}

/** One request: buffers that the device reads, then buffers that it writes (2.7.4.2); all of them are RAM. */
export class Chain {
  /** What the driver knows it by: the index of its first descriptor, or its buffer ID (2.8.6). */
  readonly head: number;
  /** Descriptors that it takes in the ring. */
  readonly slots: number;
  readonly readable: number;
  readonly writable: number;
  readonly #memory: GuestMemory;
  readonly #in: readonly Buffer[];
  readonly #out: readonly Buffer[];

  constructor(builder: ChainBuilder, head: number, slots: number) {
    this.#memory = builder.memory;
    this.head = head;
    this.slots = slots;
    this.#in = builder.in;
    this.#out = builder.out;
    this.readable = builder.readable;
    this.writable = builder.writable;
  }

  /** Fills `target` from `offset` of the readable part; gives the number of bytes that were there. */
  read(offset: number, target: Uint8Array): number {
    return copy(this.#in, offset, target, (address, part) => this.#memory.readInto(address, part));
  }

  /** Writes at `offset` of the writable part, as far as it goes. */
  write(offset: number, bytes: Uint8Array): number {
    return copy(this.#out, offset, bytes, (address, part) => this.#memory.write(address, part));
  }
}

/** One descriptor as it lies in memory: address and length are at the same places in both kinds of ring. */
export class Descriptor {
  readonly #raw = new Uint8Array(DESCRIPTOR_SIZE);
  readonly #view = new DataView(this.#raw.buffer);

  load(memory: GuestMemory, at: number): void {
    memory.readInto(at, this.#raw);
  }

  /** Exact below 2^53; what is beyond is no RAM either way. */
  get address(): number {
    return this.#view.getUint32(0, true) + this.#view.getUint32(4, true) * 2 ** 32;
  }
  get length(): number {
    return this.#view.getUint32(8, true);
  }
  /** Bytes 12 and 13: flags of a split ring, the buffer ID of a packed one. */
  get third(): number {
    return this.#view.getUint16(12, true);
  }
  /** Bytes 14 and 15: the next descriptor in a split ring, flags of a packed one. */
  get fourth(): number {
    return this.#view.getUint16(14, true);
  }
}

/** Collects the buffers of one chain and checks each. */
export class ChainBuilder {
  readonly memory: GuestMemory;
  readonly in: Buffer[] = [];
  readonly out: Buffer[] = [];
  readable = 0;
  writable = 0;
  readonly #most: number;

  /** @param most descriptors that a chain may have: as many as the queue (2.7.5.3.1, 2.8.19), so loops end too */
  constructor(memory: GuestMemory, most: number) {
    this.memory = memory;
    this.#most = most;
  }

  /** @throws DriverError */
  add(address: number, length: number, flags: number): void {
    if (this.in.length + this.out.length >= this.#most) {
      throw new DriverError("a descriptor chain that loops or is too long");
    }
    if (length === 0) throw new DriverError("a descriptor of no length");
    if (this.readable + this.writable + length > LONGEST_CHAIN) {
      throw new DriverError("a descriptor chain of more than 4 GiB");
    }
    if (!this.memory.isRam(address, length)) throw new DriverError("a buffer outside RAM");
    if ((flags & DESCRIPTOR.WRITE) !== 0) {
      this.out.push({ address, length });
      this.writable += length;
    } else if (this.out.length > 0) {
      throw new DriverError("a readable descriptor after a writable one");
    } else {
      this.in.push({ address, length });
      this.readable += length;
    }
  }

  /**
   * Checks a descriptor that names an indirect table (2.7.5.3, 2.8.7).
   * @returns the number of its entries
   * @throws DriverError
   */
  tableEntries(address: number, length: number, flags: number, negotiated: boolean): number {
    if (!negotiated) throw new DriverError("an indirect descriptor that was not negotiated");
    if ((flags & DESCRIPTOR.NEXT) !== 0) throw new DriverError("an indirect descriptor with a next one");
    if (length === 0 || length % DESCRIPTOR_SIZE !== 0) {
      throw new DriverError("an indirect table of odd length");
    }
    if (!this.memory.isRam(address, length)) throw new DriverError("an indirect table outside RAM");
    return length / DESCRIPTOR_SIZE;
  }
}
