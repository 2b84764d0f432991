/**
 * A split virtqueue, the device's side (2.7), with indirect descriptors (2.7.5.3) and event index (2.7.7, 2.7.10).
 *
 * Everything in the queue's memory is the guest's word: it is checked each time, and nothing is remembered that the guest
 * could change behind a check. What is wrong is thrown as `DriverError`, with no number of the guest's in its text, so
 * that a hostile guest cannot fill a log with it.
 */

import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { DriverError } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Descriptor flags (2.7.5). */
export const DESCRIPTOR = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;
const DESCRIPTOR_SIZE = 16;
/** avail->flags (2.7.6). */
const AVAIL_NO_INTERRUPT = 1;
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
  readonly head: number;
  readonly readable: number;
  readonly writable: number;
  readonly #memory: GuestMemory;
  readonly #in: readonly Buffer[];
  readonly #out: readonly Buffer[];

  constructor(memory: GuestMemory, head: number, readable: readonly Buffer[], writable: readonly Buffer[]) {
    const bytes = (buffers: readonly Buffer[]) => buffers.reduce((sum, { length }) => sum + length, 0);
    this.#memory = memory;
    this.head = head;
    this.#in = readable;
    this.#out = writable;
    this.readable = bytes(readable);
    this.writable = bytes(writable);
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

export interface QueueFeatures {
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

export class Virtqueue {
  readonly maximum: number;
  readonly #memory: GuestMemory;
  /** Addresses as the guest wrote them, in two words each: descriptor area, driver area, device area. */
  readonly #s = {
    size: 0,
    enabled: false,
    descriptors: [0, 0],
    driver: [0, 0],
    device: [0, 0],
    /** Index of the next available entry that the device takes, 16 bits. */
    taken: 0,
    /** Index of the next used entry that it gives, and that at the last decision about an interrupt. */
    given: 0,
    told: 0,
    toldValid: false,
    indirect: false,
    eventIndex: false,
  };
  readonly #raw = new Uint8Array(DESCRIPTOR_SIZE);
  readonly #view = new DataView(this.#raw.buffer);

  constructor(memory: GuestMemory, maximum: number) {
    this.#memory = memory;
    this.maximum = maximum;
    this.reset();
  }

  get size(): number {
    return this.#s.size;
  }

  get enabled(): boolean {
    return this.#s.enabled;
  }

  /** The driver may make the queue smaller before it enables it. */
  set size(value: number) {
    if (!this.#s.enabled) this.#s.size = value;
  }

  /** @param word 0 for the lower 32 bits, 1 for the upper */
  address(area: "descriptors" | "driver" | "device", word: 0 | 1): number {
    return this.#s[area][word]!;
  }

  setAddress(area: "descriptors" | "driver" | "device", word: 0 | 1, value: number): void {
    if (!this.#s.enabled) this.#s[area][word] = value >>> 0;
  }

  #base(area: "descriptors" | "driver" | "device"): number {
    return this.#s[area][0]! + this.#s[area][1]! * 2 ** 32;
  }

  /** Puts the queue to use. @throws DriverError if it cannot lie where the driver says. */
  enable({ indirect, eventIndex }: QueueFeatures): void {
    const { size } = this.#s;
    if (size < 1 || size > this.maximum || (size & (size - 1)) !== 0) {
      throw new DriverError("a queue size that is no power of 2, or too large");
    }
    // Alignment and sizes of the three parts (2.7).
    const parts = [
      [this.#base("descriptors"), 16, DESCRIPTOR_SIZE * size],
      [this.#base("driver"), 2, 6 + 2 * size],
      [this.#base("device"), 4, 6 + 8 * size],
    ] as const;
    for (const [base, alignment, length] of parts) {
      if (base % alignment !== 0) throw new DriverError("a queue that is not aligned");
      if (!this.#memory.isRam(base, length)) throw new DriverError("a queue outside RAM");
    }
    Object.assign(this.#s, { enabled: true, taken: 0, given: 0, told: 0, toldValid: false });
    Object.assign(this.#s, { indirect, eventIndex });
  }

  disable(): void {
    this.#s.enabled = false;
  }

  /** Takes the next request; null if there is none. @throws DriverError */
  take(): Chain | null {
    const { size, taken } = this.#s;
    const avail = this.#base("driver");
    const waiting = (this.#memory.read16(avail + 2) - taken) & 0xffff;
    if (waiting === 0) return null;
    if (waiting > size) throw new DriverError("an available index that jumps");
    const head = this.#memory.read16(avail + 4 + 2 * (taken & (size - 1)));
    if (head >= size) throw new DriverError("a descriptor outside the queue");
    this.#s.taken = (taken + 1) & 0xffff;
    return this.#chain(head);
  }

  /** Follows a chain. The walk ends after as many descriptors as the queue has, so loops end too (2.7.5.3.1). */
  #chain(head: number): Chain {
    const readable: Buffer[] = [];
    const writable: Buffer[] = [];
    let table = this.#base("descriptors");
    let entries = this.#s.size;
    let index = head;
    let isIndirect = false;
    let total = 0;
    for (let count = 0; ; ) {
      const { address, length, flags, next } = this.#descriptor(table + DESCRIPTOR_SIZE * index);
      if ((flags & DESCRIPTOR.INDIRECT) !== 0) {
        if (!this.#s.indirect) throw new DriverError("an indirect descriptor that was not negotiated");
        if (isIndirect) throw new DriverError("an indirect descriptor in an indirect table");
        if ((flags & DESCRIPTOR.NEXT) !== 0) throw new DriverError("an indirect descriptor with a next one");
        if (length === 0 || length % DESCRIPTOR_SIZE !== 0)
          throw new DriverError("an indirect table of odd length");
        if (!this.#memory.isRam(address, length)) throw new DriverError("an indirect table outside RAM");
        isIndirect = true;
        table = address;
        entries = length / DESCRIPTOR_SIZE;
        index = 0;
        continue;
      }
      if (++count > this.#s.size) throw new DriverError("a descriptor chain that loops or is too long");
      if (length === 0) throw new DriverError("a descriptor of no length");
      total += length;
      if (total > LONGEST_CHAIN) throw new DriverError("a descriptor chain of more than 4 GiB");
      if (!this.#memory.isRam(address, length)) throw new DriverError("a buffer outside RAM");
      if ((flags & DESCRIPTOR.WRITE) !== 0) writable.push({ address, length });
      else if (writable.length > 0) throw new DriverError("a readable descriptor after a writable one");
      else readable.push({ address, length });
      if ((flags & DESCRIPTOR.NEXT) === 0) return new Chain(this.#memory, head, readable, writable);
      if (next >= entries) throw new DriverError("a descriptor outside its table");
      index = next;
    }
  }

  #descriptor(at: number): { address: number; length: number; flags: number; next: number } {
    this.#memory.readInto(at, this.#raw);
    const view = this.#view;
    return {
      // Exact below 2^53; what is beyond is no RAM either way.
      address: view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32,
      length: view.getUint32(8, true),
      flags: view.getUint16(12, true),
      next: view.getUint16(14, true),
    };
  }

  /** Gives a request back (2.7.8): the element first, then the index that shows it. */
  give(head: number, written: number): void {
    const { size, given } = this.#s;
    const used = this.#base("device");
    const element = used + 4 + 8 * (given & (size - 1));
    this.#memory.write32(element, head);
    this.#memory.write32(element + 4, written);
    this.#s.given = (given + 1) & 0xffff;
    this.#memory.write16(used + 2, this.#s.given);
  }

  /** Whether the driver wants an interrupt for what was given since the last call (2.7.7.2). */
  wantsInterrupt(): boolean {
    const s = this.#s;
    const [old, valid] = [s.told, s.toldValid];
    if (valid && old === s.given) return false;
    s.told = s.given;
    s.toldValid = true;
    const avail = this.#base("driver");
    if (!s.eventIndex) return (this.#memory.read16(avail) & AVAIL_NO_INTERRUPT) === 0;
    if (!valid) return true;
    const event = this.#memory.read16(avail + 4 + 2 * s.size);
    return ((s.given - event - 1) & 0xffff) < ((s.given - old) & 0xffff);
  }

  /** All requests were taken: asks to be told of the next one (2.7.10.1). */
  askForNotification(): void {
    const { eventIndex, size, taken } = this.#s;
    if (eventIndex) this.#memory.write16(this.#base("device") + 4 + 8 * size, taken);
  }

  reset(): void {
    const s = this.#s;
    s.size = this.maximum;
    s.enabled = false;
    for (const area of [s.descriptors, s.driver, s.device]) area.fill(0);
    Object.assign(s, { taken: 0, given: 0, told: 0, toldValid: false, indirect: false, eventIndex: false });
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
