/**
 * What every virtio device has behind either transport: status, feature negotiation, queues, and the work that
 * notifications make.
 *
 * A notification does nothing by itself. It arms a deadline in virtual time; there requests are carried out, up to a
 * bound, and what they moved sets the next deadline. So a run repeats exactly, a guest cannot make the emulator work
 * without end, and no queue is looked at in the middle of a guest's instruction.
 */

import type { AccessSize, Clock, DeviceState, Log, Timer } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import {
  DriverError,
  FEATURE,
  featureWords,
  hasFeature,
  STATUS,
  type VirtioDevice,
  type VirtioHost,
} from "./device.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { type Ring, Virtqueue } from "./queue.ts";

/** From a notification to its requests, and between two batches, virtual ns: about what a fast disk takes. */
const LATENCY = 10_000;
/** Bytes that a device moves in a virtual ns. */
const BYTES_PER_NS = 2;
/** The most that one deadline does. */
const BATCH_REQUESTS = 128;
const BATCH_BYTES = 4 * 2 ** 20;

/** What the core asks of its transport. */
export interface TransportSide {
  /** A used buffer notification of queue `index` (2.3). */
  usedBuffer(index: number): void;
  /** A configuration change notification (2.3). */
  configurationChange(): void;
  /** Whether the device may read and write guest memory now. */
  readonly mayAccessMemory: boolean;
}

/** What a device did since power-on. */
export interface VirtioCounters {
  /** Requests, and things that came in and were given to the guest. */
  requests: number;
  /** Bytes that they moved. */
  bytes: number;
  /** Used buffer notifications that were sent. */
  interrupts: number;
}

export interface VirtioCoreOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly log: Log;
  /** Counted in; the core has its own unless given. */
  readonly counters?: VirtioCounters;
}

export class VirtioCore implements VirtioHost {
  readonly device: VirtioDevice;
  readonly queues: readonly Virtqueue[];
  readonly log: Log;
  readonly counters: VirtioCounters;
  transport: TransportSide | null = null;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #offered: readonly [number, number];
  readonly #s = {
    status: 0,
    deviceFeatureSelect: 0,
    driverFeatureSelect: 0,
    driverFeatures: [0, 0] as number[],
    queueSelect: 0,
    /** Bit n: queue n was notified of. */
    notified: 0,
    /** The queue that comes next, so that none waits for ever. */
    turn: 0,
    /** Virtual time until which the last batch keeps the device busy. */
    busyUntil: 0,
    /** -1, or when the next batch is due. */
    due: -1,
  };

  constructor({ device, memory, clock, log, counters }: VirtioCoreOptions) {
    this.device = device;
    this.log = log;
    this.counters = counters ?? { requests: 0, bytes: 0, interrupts: 0 };
    this.queues = device.queueSizes.map((size) => new Virtqueue(memory, size));
    this.#clock = clock;
    this.#timer = clock.timer(device.name, () => this.#work());
    this.#offered = featureWords([
      ...device.features,
      FEATURE.INDIRECT_DESC,
      FEATURE.EVENT_IDX,
      FEATURE.VERSION_1,
      FEATURE.RING_RESET,
      ...(device.packed === false ? [] : [FEATURE.RING_PACKED]),
    ]);
    device.connect?.(this);
  }

  get status(): number {
    return this.#s.status;
  }

  /** Writes the status (2.1.1). Zero resets; `true` says that it did. */
  setStatus(value: number): boolean {
    if (value === 0) {
      this.reset();
      return true;
    }
    const s = this.#s;
    const { FEATURES_OK, DRIVER_OK, NEEDS_RESET } = STATUS;
    // Bits once set stay until a reset, and NEEDS_RESET is the device's own.
    let added = value & ~s.status & (0xff & ~NEEDS_RESET);
    if ((added & FEATURES_OK) !== 0 && !this.#acceptFeatures()) added &= ~FEATURES_OK;
    s.status |= added;
    if ((added & DRIVER_OK) !== 0 && (s.status & FEATURES_OK) === 0) {
      this.fail("a driver that is ready without features");
    }
    return false;
  }

  /** 2.2.2: bits that were not offered are refused; so is a driver of the time before version 1 (6.1). */
  #acceptFeatures(): boolean {
    const [low, high] = this.#s.driverFeatures as [number, number];
    const [offeredLow, offeredHigh] = this.#offered;
    if ((low & ~offeredLow) !== 0 || (high & ~offeredHigh) !== 0) return false;
    if (!hasFeature([low, high], FEATURE.VERSION_1)) return false;
    const has = (bit: number) => hasFeature([low, high], bit);
    if (this.device.dependencies?.some(([bit, needed]) => has(bit) && !needed.some(has))) return false;
    this.device.negotiated([low, high]);
    return true;
  }

  get deviceFeatureSelect(): number {
    return this.#s.deviceFeatureSelect;
  }
  set deviceFeatureSelect(value: number) {
    this.#s.deviceFeatureSelect = value;
  }
  get driverFeatureSelect(): number {
    return this.#s.driverFeatureSelect;
  }
  set driverFeatureSelect(value: number) {
    this.#s.driverFeatureSelect = value;
  }
  /** The word of features that the device offers at `deviceFeatureSelect`. */
  get deviceFeatures(): number {
    return this.#offered[this.#s.deviceFeatureSelect] ?? 0;
  }
  get driverFeatures(): number {
    return this.#s.driverFeatures[this.#s.driverFeatureSelect] ?? 0;
  }
  set driverFeatures(value: number) {
    const s = this.#s;
    // They are settled once FEATURES_OK is set (3.1.1).
    if ((s.status & STATUS.FEATURES_OK) !== 0) return;
    if (s.driverFeatureSelect < 2) s.driverFeatures[s.driverFeatureSelect] = value >>> 0;
    else if (value !== 0) this.fail("features that were never offered");
  }

  get queueSelect(): number {
    return this.#s.queueSelect;
  }
  set queueSelect(value: number) {
    this.#s.queueSelect = value;
  }
  /** The selected queue; null if there is none of that number. */
  get queue(): Virtqueue | null {
    return this.queues[this.#s.queueSelect] ?? null;
  }

  /** Puts the selected queue to use. */
  enableQueue(): void {
    const { queue } = this;
    if (queue === null || queue.enabled) return;
    if ((this.#s.status & STATUS.FEATURES_OK) === 0) {
      this.fail("a queue that was enabled before the features were settled");
      return;
    }
    const features = this.#s.driverFeatures as [number, number];
    try {
      queue.enable({
        packed: hasFeature(features, FEATURE.RING_PACKED),
        indirect: hasFeature(features, FEATURE.INDIRECT_DESC),
        eventIndex: hasFeature(features, FEATURE.EVENT_IDX),
      });
    } catch (error) {
      this.#driverError(error);
    }
  }

  /** Takes the selected queue out of use and back to its first state (2.6.1). @returns whether it was */
  resetQueue(): boolean {
    const { queue } = this;
    const features = this.#s.driverFeatures as [number, number];
    const settled = (this.#s.status & STATUS.FEATURES_OK) !== 0;
    if (queue === null || !settled || !hasFeature(features, FEATURE.RING_RESET)) return false;
    queue.reset();
    this.#s.notified &= ~(1 << this.#s.queueSelect);
    return true;
  }

  /** The driver has made buffers available in queue `index` (2.3). */
  notify(index: number): void {
    this.requestWork(index);
  }

  /** 2.1.2: the device takes nothing before DRIVER_OK. */
  get running(): boolean {
    return (this.#s.status & (STATUS.DRIVER_OK | STATUS.NEEDS_RESET)) === STATUS.DRIVER_OK;
  }

  requestWork(queue: number): void {
    if (!this.running || this.queues[queue]?.enabled !== true) return;
    this.#s.notified |= 1 << queue;
    this.#schedule();
  }

  /** Memory can be reached again. */
  resume(): void {
    if (this.#s.notified !== 0) this.#schedule();
  }

  #schedule(): void {
    const s = this.#s;
    if (s.due >= 0) return;
    s.due = Math.max(this.#clock.now() + LATENCY, s.busyUntil);
    this.#timer.arm(s.due);
  }

  /** One batch: the queues that were notified of take turns, a request each. */
  #work(): void {
    const s = this.#s;
    s.due = -1;
    if (this.transport?.mayAccessMemory !== true) return;
    let moved = 0;
    const given = new Set<number>();
    try {
      for (let requests = 0; s.notified !== 0 && requests < BATCH_REQUESTS && moved < BATCH_BYTES; ) {
        const index = this.#nextQueue();
        const { ring } = this.queues[index]!;
        const bytes = ring === null ? null : this.#serve(index, ring);
        if (bytes === null) {
          s.notified &= ~(1 << index);
          continue;
        }
        given.add(index);
        moved += bytes;
        requests++;
        this.counters.requests++;
        this.counters.bytes += bytes;
      }
    } catch (error) {
      this.#driverError(error);
      return;
    }
    s.busyUntil = this.#clock.now() + Math.ceil(moved / BYTES_PER_NS);
    for (const index of given) {
      if (this.queues[index]!.ring?.wantsInterrupt() !== true) continue;
      this.counters.interrupts++;
      this.transport.usedBuffer(index);
    }
    if (s.notified !== 0) this.#schedule();
  }

  /** One request, or one thing that came in. @returns the bytes moved; null if there is nothing to do */
  #serve(index: number, ring: Ring): number | null {
    const { device } = this;
    if (device.isFilled?.(index) === true) {
      const filled = device.fill!(index, ring);
      if (typeof filled === "number") return filled;
      // Buffers are of no interest while there is nothing to put into them.
      ring.askForNotification(filled === "no buffers");
      return null;
    }
    const chain = ring.take();
    if (chain === null) {
      ring.askForNotification(true);
      return null;
    }
    const { written, moved } = device.handle(index, chain);
    ring.give(chain, written);
    return moved;
  }

  #nextQueue(): number {
    const s = this.#s;
    for (let i = 0; i < this.queues.length; i++) {
      const index = (s.turn + i) % this.queues.length;
      if (((s.notified >>> index) & 1) === 0) continue;
      s.turn = (index + 1) % this.queues.length;
      return index;
    }
    throw new Error("virtio: no queue was notified of");
  }

  #driverError(error: unknown): void {
    if (!(error instanceof DriverError)) throw error;
    this.fail(error.message);
  }

  /** The driver broke a rule: nothing more is taken until it resets the device (2.1.2). */
  fail(what: string): void {
    const s = this.#s;
    if ((s.status & STATUS.NEEDS_RESET) !== 0) return;
    s.status |= STATUS.NEEDS_RESET;
    s.notified = 0;
    this.log.unknown(`${this.device.name}: the guest's driver gave ${what}: the device needs a reset`);
    if ((s.status & STATUS.DRIVER_OK) !== 0) this.transport?.configurationChange();
  }

  readConfig(offset: number, size: AccessSize): number {
    return offset + size <= this.device.configLength ? this.device.readConfig(offset, size) : 0;
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size <= this.device.configLength) this.device.writeConfig(offset, size, value);
  }

  reset(): void {
    const s = this.#s;
    Object.assign(s, { status: 0, deviceFeatureSelect: 0, driverFeatureSelect: 0, queueSelect: 0 });
    Object.assign(s, { notified: 0, turn: 0, busyUntil: 0, due: -1 });
    s.driverFeatures.fill(0);
    this.#timer.disarm();
    for (const queue of this.queues) queue.reset();
    this.device.reset();
  }

  save(): DeviceState {
    return {
      core: saveRecord(this.#s),
      queues: this.queues.map((queue) => queue.save()),
      device: this.device.save(),
    };
  }

  restore(state: DeviceState): void {
    const { core, queues, device } = state as {
      core: DeviceState;
      queues: DeviceState[];
      device: DeviceState;
    };
    restoreRecord(this.#s, core);
    this.queues.forEach((queue, i) => {
      queue.restore(queues[i]!);
    });
    this.device.restore(device);
    if (this.#s.due >= 0) this.#timer.arm(this.#s.due);
    else this.#timer.disarm();
  }
}
