/**
 * A packed ring, the device's side (2.8), with indirect descriptors (2.8.7) and both modes of event suppression (2.8.10).
 *
 * One ring holds what is available and what was used. Two laps of it make a cycle, as the wrap counters do (2.8.1):
 * positions here count from 0 to twice its size, and those of the first lap have the wrap counter 1.
 */

import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { Chain, ChainBuilder, DESCRIPTOR, DESCRIPTOR_SIZE, Descriptor } from "./chain.ts";
import { DriverError } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { Ring, RingOptions } from "./queue.ts";

/** Offsets of a descriptor's fields behind its address (2.8.13). */
const FIELD = { LENGTH: 8, ID: 12, FLAGS: 14 } as const;
/** Event suppression structure (2.8.14): where in the ring, and whether. */
const EVENT = { OFFSET: 0, FLAGS: 2, SIZE: 4 } as const;
const EVENT_FLAGS = { ENABLE: 0, DISABLE: 1, DESC: 2 } as const;
const FLAGS_MASK = 3;
const WRAP = 0x8000;

export class PackedRing implements Ring {
  readonly size: number;
  readonly #memory: GuestMemory;
  readonly #options: RingOptions;
  readonly #s = {
    /** Position of the next descriptor that the device takes. */
    taken: 0,
    /** The one behind all that were ever taken: beyond `taken` if some were put back. */
    reached: 0,
    /** Position of the next used descriptor that it writes, and that at the last decision about an interrupt. */
    given: 0,
    told: 0,
  };
  readonly #descriptor = new Descriptor();

  /** @throws DriverError if the ring cannot lie where the driver says */
  constructor(memory: GuestMemory, options: RingOptions) {
    const { size, descriptors, driver, device } = options;
    // Alignment and sizes of the three parts (2.8).
    const parts = [
      [descriptors, 16, DESCRIPTOR_SIZE * size],
      [driver, 4, EVENT.SIZE],
      [device, 4, EVENT.SIZE],
    ] as const;
    for (const [base, alignment, length] of parts) {
      if (base % alignment !== 0) throw new DriverError("a queue that is not aligned");
      if (!memory.isRam(base, length)) throw new DriverError("a queue outside RAM");
    }
    this.size = size;
    this.#memory = memory;
    this.#options = options;
  }

  /** The wrap counter at a position. */
  #wrap(position: number): boolean {
    return position < this.size;
  }

  #advance(position: number, by: number): number {
    const cycle = 2 * this.size;
    return (position + by + cycle) % cycle;
  }

  #address(position: number): number {
    return this.#options.descriptors + DESCRIPTOR_SIZE * (position % this.size);
  }

  take(): Chain | null {
    const { taken } = this.#s;
    // 2.8.1: available if its bit AVAIL is as the wrap counter, and USED is not.
    const flags = this.#memory.read16(this.#address(taken) + FIELD.FLAGS);
    const isAvailable = ((flags & DESCRIPTOR.AVAIL) !== 0) === this.#wrap(taken);
    const isUsed = ((flags & DESCRIPTOR.USED) !== 0) === this.#wrap(taken);
    if (!isAvailable || isUsed) return null;
    const builder = new ChainBuilder(this.#memory, this.size);
    const descriptor = this.#descriptor;
    for (let slots = 1; ; slots++) {
      descriptor.load(this.#memory, this.#address(this.#advance(taken, slots - 1)));
      // 2.8.6: the last descriptor of a list has its buffer ID.
      const { address, length, third: id, fourth: flags } = descriptor;
      if ((flags & DESCRIPTOR.INDIRECT) !== 0) this.#addTable(builder, address, length, flags);
      else builder.add(address, length, flags);
      if ((flags & DESCRIPTOR.NEXT) !== 0) continue;
      this.#s.taken = this.#advance(taken, slots);
      if (this.#s.reached === taken) this.#s.reached = this.#s.taken;
      return new Chain(builder, id, slots);
    }
  }

  /** 2.8.7: every entry is a buffer, and WRITE the only flag that means something. */
  #addTable(builder: ChainBuilder, table: number, length: number, flags: number): void {
    const entries = builder.tableEntries(table, length, flags, this.#options.indirect);
    const descriptor = this.#descriptor;
    for (let i = 0; i < entries; i++) {
      descriptor.load(this.#memory, table + DESCRIPTOR_SIZE * i);
      if ((descriptor.fourth & DESCRIPTOR.INDIRECT) !== 0) {
        throw new DriverError("an indirect descriptor in an indirect table");
      }
      builder.add(descriptor.address, descriptor.length, descriptor.fourth);
    }
  }

  putBack({ slots }: Chain): void {
    this.#s.taken = this.#advance(this.#s.taken, -slots);
  }

  /** One used descriptor for the whole chain, its flags last: they show it (2.8.8). */
  give({ head, slots }: Chain, written: number): void {
    const { given } = this.#s;
    const at = this.#address(given);
    this.#memory.write32(at + FIELD.LENGTH, written);
    this.#memory.write16(at + FIELD.ID, head);
    const wrap = this.#wrap(given) ? DESCRIPTOR.AVAIL | DESCRIPTOR.USED : 0;
    this.#memory.write16(at + FIELD.FLAGS, wrap | (written > 0 ? DESCRIPTOR.WRITE : 0));
    this.#s.given = this.#advance(given, slots);
  }

  /** The driver event suppression structure decides (2.8.10). */
  wantsInterrupt(): boolean {
    const { told, given } = this.#s;
    if (told === given) return false;
    this.#s.told = given;
    const { driver, eventIndex } = this.#options;
    const flags = this.#memory.read16(driver + EVENT.FLAGS) & FLAGS_MASK;
    if (flags !== EVENT_FLAGS.DESC || !eventIndex) return flags !== EVENT_FLAGS.DISABLE;
    const at = this.#memory.read16(driver + EVENT.OFFSET);
    const event = (at & ~WRAP) + ((at & WRAP) !== 0 ? 0 : this.size);
    // Whether the descriptor at `event` is one of those that were written since.
    return this.#advance(given, -(event % (2 * this.size)) - 1) < this.#advance(given, -told);
  }

  askForNotification(wanted: boolean): void {
    const { device, eventIndex } = this.#options;
    // The driver is already past what was put back.
    const { reached } = this.#s;
    if (wanted && eventIndex) {
      const offset = (reached % this.size) | (this.#wrap(reached) ? WRAP : 0);
      this.#memory.write16(device + EVENT.OFFSET, offset);
      this.#memory.write16(device + EVENT.FLAGS, EVENT_FLAGS.DESC);
    } else {
      this.#memory.write16(device + EVENT.FLAGS, wanted ? EVENT_FLAGS.ENABLE : EVENT_FLAGS.DISABLE);
    }
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
