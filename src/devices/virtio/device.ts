/**
 * What a virtio device is to its transport, and the words that both use. Section numbers in this directory are those of
 * the Virtual I/O Device (VIRTIO) specification, version 1.2.
 *
 * A device knows requests and its configuration fields; queues, status, feature negotiation and interrupts are the
 * core's (`core.ts`), and how the guest reaches them is the transport's.
 */

import type { AccessSize, DeviceState } from "../device.ts";
import type { Chain } from "./chain.ts";
import type { Ring } from "./queue.ts";

/** Device IDs (section 5). */
export const DEVICE_ID = { NETWORK: 1, BLOCK: 2, CONSOLE: 3, ENTROPY: 4 } as const;

/** Device status (2.1). */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Reserved feature bits (section 6), as bit numbers. */
export const FEATURE = {
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  RING_PACKED: 34,
  RING_RESET: 40,
} as const;

/** Interrupt causes: the ISR status of PCI (4.1.4.5) and InterruptStatus of MMIO (4.2.2). */
export const CAUSE = { QUEUE: 1, CONFIGURATION: 2 } as const;

/** Feature bits 0 to 63 as two words, the lower first: what the registers of both transports hold. */
export type FeatureWords = readonly [number, number];

/** @param bits bit numbers */
export function featureWords(bits: readonly number[]): FeatureWords {
  const words: [number, number] = [0, 0];
  for (const bit of bits) words[bit >> 5]! |= 1 << (bit & 31);
  return [words[0] >>> 0, words[1] >>> 0];
}

export function hasFeature(words: FeatureWords, bit: number): boolean {
  return ((words[bit >> 5]! >>> (bit & 31)) & 1) !== 0;
}

/** The guest broke a rule that leaves no way to answer: the device needs a reset (2.1.2). */
export class DriverError extends Error {
  override readonly name = "DriverError";
}

/** What a device did with a request. */
export interface Completion {
  /** Bytes written from the start of the device-writable part: `len` in the used ring (2.7.8). */
  readonly written: number;
  /** Bytes moved to or from the host: what the request costs in virtual time. */
  readonly moved: number;
}

/** The core behind a device, for one that has work of its own: frames that came in, bytes that were typed. */
export interface VirtioHost {
  /** Whether a driver has taken the device over (DRIVER_OK) and keeps to the rules. */
  readonly running: boolean;
  /** There is something for the buffers of a queue: `fill` is to be called at the next batch. */
  requestWork(queue: number): void;
}

/** What became of a try to put something into the buffers of a queue: the bytes moved, or why nothing was. */
export type Filled = number | "nothing" | "no buffers";

export interface VirtioDevice {
  /** For messages, timers and snapshots; unique in a machine, e.g. "virtio disk0". */
  readonly name: string;
  /** One of `DEVICE_ID`. */
  readonly deviceId: number;
  /** PCI class code: base class, sub-class, programming interface. */
  readonly classCode: number;
  /** Bit numbers of the device's own features; those of section 6 are the core's. */
  readonly features: readonly number[];
  /** Largest size of each queue, a power of 2. */
  readonly queueSizes: readonly number[];
  /** Bytes of device-specific configuration (2.5). */
  readonly configLength: number;
  /** Reads configuration inside `configLength`. */
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /** The features that the driver took, once it has. */
  negotiated(features: FeatureWords): void;
  /** Whether packed rings are offered; they are unless it says no. */
  readonly packed?: boolean;
  /** Features that mean nothing without another: [bit, those of which one at least is needed with it]. */
  readonly dependencies?: readonly (readonly [bit: number, needed: readonly number[]])[];
  /** Called once, when the device is put behind its core. */
  connect?(host: VirtioHost): void;
  /**
   * Carries out one request. The work that it makes is bounded, whatever the guest asks.
   * @throws DriverError
   */
  handle(queue: number, chain: Chain): Completion;
  /** Whether the buffers of a queue wait for something to come in: `fill` is called for it, never `handle`. */
  isFilled?(queue: number): boolean;
  /**
   * Puts what came in first into buffers that it takes from the ring, and gives those back. If they do not suffice,
   * it puts them back into the ring.
   * @throws DriverError
   */
  fill?(queue: number, ring: Ring): Filled;
  /** Counters of its own, by name, for statistics. */
  counts?(): Readonly<Record<string, number>>;
  reset(): void;
  save(): DeviceState;
  restore(state: DeviceState): void;
}
