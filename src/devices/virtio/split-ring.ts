/**
 * A split ring, the device's side (2.7), with indirect descriptors (2.7.5.3) and event index (2.7.7, 2.7.10).
 */

import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { Chain, ChainBuilder, DESCRIPTOR, DESCRIPTOR_SIZE, Descriptor } from "./chain.ts";
import { DriverError } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { Ring, RingOptions } from "./queue.ts";

/** avail->flags (2.7.6). */
const AVAIL_NO_INTERRUPT = 1;
/** used->flags (2.7.8). */
const USED_NO_NOTIFY = 1;

export class SplitRing implements Ring {
  readonly size: number;
  readonly #memory: GuestMemory;
  readonly #options: RingOptions;
  readonly #s = {
    /** Index of the next available entry that the device takes, 16 bits. */
    taken: 0,
    /** The one behind all that were ever taken: more than `taken` if some were put back. */
    reached: 0,
    /** Index of the next used entry that it gives, and that at the last decision about an interrupt. */
    given: 0,
    told: 0,
    toldValid: false,
    /** The flag in the used ring says that notifications are not wanted. */
    quiet: false,
  };
  readonly #descriptor = new Descriptor();

  /** @throws DriverError if the ring cannot lie where the driver says */
  constructor(memory: GuestMemory, options: RingOptions) {
    const { size, descriptors, driver, device } = options;
    if ((size & (size - 1)) !== 0) throw new DriverError("a queue size that is no power of 2");
    // Alignment and sizes of the three parts (2.7).
    const parts = [
      [descriptors, 16, DESCRIPTOR_SIZE * size],
      [driver, 2, 6 + 2 * size],
      [device, 4, 6 + 8 * size],
    ] as const;
    for (const [base, alignment, length] of parts) {
      if (base % alignment !== 0) throw new DriverError("a queue that is not aligned");
      if (!memory.isRam(base, length)) throw new DriverError("a queue outside RAM");
    }
    this.size = size;
    this.#memory = memory;
    this.#options = options;
  }

  take(): Chain | null {
    const { size, driver } = this.#options;
    const { taken } = this.#s;
    const waiting = (this.#memory.read16(driver + 2) - taken) & 0xffff;
    if (waiting === 0) return null;
    if (waiting > size) throw new DriverError("an available index that jumps");
    const head = this.#memory.read16(driver + 4 + 2 * (taken & (size - 1)));
    if (head >= size) throw new DriverError("a descriptor outside the queue");
    this.#s.taken = (taken + 1) & 0xffff;
    if (this.#s.reached === taken) this.#s.reached = this.#s.taken;
    return this.#chain(head);
  }

  /** Follows a chain. */
  #chain(head: number): Chain {
    const { size, descriptors, indirect } = this.#options;
    const builder = new ChainBuilder(this.#memory, size);
    const descriptor = this.#descriptor;
    let table = descriptors;
    let entries = size;
    let index = head;
    let isIndirect = false;
    for (;;) {
      descriptor.load(this.#memory, table + DESCRIPTOR_SIZE * index);
      const { address, length, third: flags, fourth: next } = descriptor;
      if ((flags & DESCRIPTOR.INDIRECT) !== 0) {
        if (isIndirect) throw new DriverError("an indirect descriptor in an indirect table");
        entries = builder.tableEntries(address, length, flags, indirect);
        isIndirect = true;
        table = address;
        index = 0;
        continue;
      }
      builder.add(address, length, flags);
      if ((flags & DESCRIPTOR.NEXT) === 0) return new Chain(builder, head, 1);
      if (next >= entries) throw new DriverError("a descriptor outside its table");
      index = next;
    }
  }

  putBack(): void {
    this.#s.taken = (this.#s.taken - 1) & 0xffff;
  }

  /** The element first, then the index that shows it (2.7.8). */
  give({ head }: Chain, written: number): void {
    const { size, device } = this.#options;
    const { given } = this.#s;
    const element = device + 4 + 8 * (given & (size - 1));
    this.#memory.write32(element, head);
    this.#memory.write32(element + 4, written);
    this.#s.given = (given + 1) & 0xffff;
    this.#memory.write16(device + 2, this.#s.given);
  }

  /** 2.7.7.2. */
  wantsInterrupt(): boolean {
    const s = this.#s;
    const { size, driver, eventIndex } = this.#options;
    const [old, valid] = [s.told, s.toldValid];
    if (valid && old === s.given) return false;
    s.told = s.given;
    s.toldValid = true;
    if (!eventIndex) return (this.#memory.read16(driver) & AVAIL_NO_INTERRUPT) === 0;
    if (!valid) return true;
    const event = this.#memory.read16(driver + 4 + 2 * size);
    return ((s.given - event - 1) & 0xffff) < ((s.given - old) & 0xffff);
  }

  /** 2.7.10.1: with an event index the driver passes it once, so that no longer asking is enough to be left alone. */
  askForNotification(wanted: boolean): void {
    const s = this.#s;
    const { size, device, eventIndex } = this.#options;
    if (eventIndex) {
      // The driver is already past what was put back.
      if (wanted) this.#memory.write16(device + 4 + 8 * size, s.reached);
    } else if (s.quiet === wanted) {
      s.quiet = !wanted;
      this.#memory.write16(device, wanted ? 0 : USED_NO_NOTIFY);
    }
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
