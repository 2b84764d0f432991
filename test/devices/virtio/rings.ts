/** Rings in guest memory, the driver's side, for tests. */

import type { PhysicalMemory } from "../../../src/mmu/physical-memory.ts";

export interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly write?: boolean;
}

/** A split ring in guest memory, the driver's side. */
export class TestRing {
  readonly memory: PhysicalMemory;
  readonly base: number;
  readonly size: number;
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
  #free = 0;
  #seen = 0;

  constructor(memory: PhysicalMemory, base: number, size: number) {
    this.memory = memory;
    this.base = base;
    this.size = size;
    this.descriptors = base;
    this.driver = base + 16 * size;
    this.device = base + 32 * size;
  }

  descriptor(table: number, index: number, address: number, length: number, flags: number, next = 0): void {
    const at = table + 16 * index;
    this.memory.write32(at, address % 2 ** 32);
    this.memory.write32(at + 4, Math.floor(address / 2 ** 32));
    this.memory.write32(at + 8, length);
    this.memory.write16(at + 12, flags);
    this.memory.write16(at + 14, next);
  }

  /** Writes a chain from the next free descriptors. @returns its head */
  chain(buffers: readonly Buffer[]): number {
    const head = this.#free;
    buffers.forEach(({ address, length, write = false }, i) => {
      const last = i === buffers.length - 1;
      const index = (head + i) % this.size;
      const flags = (last ? 0 : 1) | (write ? 2 : 0);
      this.descriptor(this.descriptors, index, address, length, flags, last ? 0 : (index + 1) % this.size);
    });
    this.#free = (head + buffers.length) % this.size;
    return head;
  }

  /** Writes a chain into a table at `table`. @returns the head that names it */
  indirect(buffers: readonly Buffer[], table: number): number {
    buffers.forEach(({ address, length, write = false }, i) => {
      const last = i === buffers.length - 1;
      this.descriptor(table, i, address, length, (last ? 0 : 1) | (write ? 2 : 0), last ? 0 : i + 1);
    });
    const head = this.#free;
    this.descriptor(this.descriptors, head, table, 16 * buffers.length, 4);
    this.#free = (head + 1) % this.size;
    return head;
  }

  offer(head: number): void {
    const index = this.memory.read16(this.driver + 2);
    this.memory.write16(this.driver + 4 + 2 * (index % this.size), head);
    this.memory.write16(this.driver + 2, (index + 1) & 0xffff);
  }

  /** Takes what the device has given back. */
  used(): { head: number; written: number }[] {
    const result: { head: number; written: number }[] = [];
    while (this.#seen !== this.memory.read16(this.device + 2)) {
      const at = this.device + 4 + 8 * (this.#seen % this.size);
      result.push({ head: this.memory.read32(at), written: this.memory.read32(at + 4) });
      this.#seen = (this.#seen + 1) & 0xffff;
    }
    return result;
  }
}

/** A packed ring. The ID of a buffer is the index of its first descriptor. */
export class PackedTestRing extends TestRing {
  /** Positions over two laps, as the wrap counters go. */
  #next = 0;
  #usedNext = 0;
  /** By ID: descriptors, and the flags that will show the first. */
  readonly #made = new Map<number, { slots: number; flags: number }>();

  constructor(memory: PhysicalMemory, base: number, size: number) {
    super(memory, base, size);
    // Readable as a ring that was never used: no flags are set (2.8.1).
    memory.fill(base, 16 * size, 0);
  }

  /** A descriptor in a packed layout. */
  packed(at: number, { address, length }: Buffer, id: number, flags: number): void {
    this.memory.write32(at, address % 2 ** 32);
    this.memory.write32(at + 4, Math.floor(address / 2 ** 32));
    this.memory.write32(at + 8, length);
    this.memory.write16(at + 12, id);
    this.memory.write16(at + 14, flags);
  }

  /** AVAIL and USED of a descriptor that is available at a position. */
  #available(position: number): number {
    return position < this.size ? 1 << 7 : 1 << 15;
  }

  #put(buffers: readonly Buffer[], flagsOf: (buffer: Buffer, isLast: boolean) => number): number {
    const id = this.#next % this.size;
    buffers.forEach((buffer, i) => {
      const position = (this.#next + i) % (2 * this.size);
      const flags = flagsOf(buffer, i === buffers.length - 1) | this.#available(position);
      const at = this.descriptors + 16 * (position % this.size);
      if (i > 0) this.packed(at, buffer, id, flags);
      else {
        // The first one's flags come last, by `offer`: until then they stay as they are.
        this.packed(at, buffer, id, this.memory.read16(at + 14));
        this.#made.set(id, { slots: buffers.length, flags });
      }
    });
    this.#next = (this.#next + buffers.length) % (2 * this.size);
    return id;
  }

  override chain(buffers: readonly Buffer[]): number {
    return this.#put(buffers, ({ write = false }, isLast) => (isLast ? 0 : 1) | (write ? 2 : 0));
  }

  override indirect(buffers: readonly Buffer[], table: number): number {
    buffers.forEach((buffer, i) => {
      this.packed(table + 16 * i, buffer, 0, buffer.write === true ? 2 : 0);
    });
    return this.#put([{ address: table, length: 16 * buffers.length }], () => 4);
  }

  override offer(head: number): void {
    const flags = this.#made.get(head)?.flags ?? 0;
    this.memory.write16(this.descriptors + 16 * (head % this.size) + 14, flags);
  }

  override used(): { head: number; written: number }[] {
    const result: { head: number; written: number }[] = [];
    for (let count = 0; count < this.size; count++) {
      const at = this.descriptors + 16 * (this.#usedNext % this.size);
      const wrap = this.#usedNext < this.size ? 0x8080 : 0;
      if ((this.memory.read16(at + 14) & 0x8080) !== wrap) break;
      const head = this.memory.read16(at + 12);
      result.push({ head, written: this.memory.read32(at + 8) });
      this.#usedNext = (this.#usedNext + (this.#made.get(head)?.slots ?? 1)) % (2 * this.size);
    }
    return result;
  }
}
