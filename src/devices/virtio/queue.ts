/**
 * A virtqueue (2.6): where the driver put it, and the ring that lies there once it is in use.
 */

import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { Chain } from "./chain.ts";
import { DriverError } from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { PackedRing } from "./packed-ring.ts";
import { SplitRing } from "./split-ring.ts";

export type { Chain };

export interface QueueFeatures {
  /** The ring is a packed one (2.8), else a split one (2.7). */
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

/** Where a ring lies, guest-physical, and what the driver took. */
export interface RingOptions extends QueueFeatures {
  readonly size: number;
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
}

/** The device's side of a ring. */
export interface Ring {
  /** Entries: no more requests than this are ever available. */
  readonly size: number;
  /** Takes the next request; null if there is none. @throws DriverError */
  take(): Chain | null;
  /** Undoes the last `take` that was not undone or answered. */
  putBack(chain: Chain): void;
  /** Gives a request back (2.7.8, 2.8.8), with the number of bytes written from the start of its writable part. */
  give(chain: Chain, written: number): void;
  /** Whether the driver wants an interrupt for what was given since the last call. */
  wantsInterrupt(): boolean;
  /**
   * Asks to be notified of the next request behind all that were taken, those that were put back among them; or not to be
   * notified. It is a hint that the driver may overlook (2.7.10, 2.8.10).
   */
  askForNotification(wanted: boolean): void;
  save(): DeviceState;
  restore(state: DeviceState): void;
}

/** The three parts of a queue, by the names of both transports' registers. */
export type QueueArea = "descriptors" | "driver" | "device";

export class Virtqueue {
  readonly maximum: number;
  readonly #memory: GuestMemory;
  /** Addresses as the guest wrote them, in two words each. */
  readonly #s = {
    size: 0,
    enabled: false,
    descriptors: [0, 0],
    driver: [0, 0],
    device: [0, 0],
    packed: false,
    indirect: false,
    eventIndex: false,
  };
  #ring: Ring | null = null;

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
  address(area: QueueArea, word: 0 | 1): number {
    return this.#s[area][word]!;
  }

  setAddress(area: QueueArea, word: 0 | 1, value: number): void {
    if (!this.#s.enabled) this.#s[area][word] = value >>> 0;
  }

  #base(area: QueueArea): number {
    return this.#s[area][0]! + this.#s[area][1]! * 2 ** 32;
  }

  /** Puts the queue to use. @throws DriverError if it cannot lie where the driver says. */
  enable(features: QueueFeatures): void {
    this.#ring = this.#createRing(features);
    Object.assign(this.#s, { enabled: true, ...features });
  }

  #createRing({ packed, indirect, eventIndex }: QueueFeatures): Ring {
    const { size } = this.#s;
    if (size < 1 || size > this.maximum) throw new DriverError("a queue of no size, or too large");
    const Ring = packed ? PackedRing : SplitRing;
    return new Ring(this.#memory, {
      packed,
      size,
      descriptors: this.#base("descriptors"),
      driver: this.#base("driver"),
      device: this.#base("device"),
      indirect,
      eventIndex,
    });
  }

  disable(): void {
    this.#s.enabled = false;
  }

  /** The ring of a queue that is in use. */
  get ring(): Ring | null {
    return this.#s.enabled ? this.#ring : null;
  }

  reset(): void {
    const s = this.#s;
    s.size = this.maximum;
    for (const area of [s.descriptors, s.driver, s.device]) area.fill(0);
    Object.assign(s, { enabled: false, packed: false, indirect: false, eventIndex: false });
    this.#ring = null;
  }

  save(): DeviceState {
    return { queue: saveRecord(this.#s), ring: this.#ring?.save() ?? null };
  }

  restore(state: DeviceState): void {
    const { queue, ring } = state as { queue: DeviceState; ring: DeviceState };
    restoreRecord(this.#s, queue);
    this.#ring = ring === null ? null : this.#createRing(this.#s);
    this.#ring?.restore(ring);
  }
}
