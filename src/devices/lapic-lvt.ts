/**
 * The local vector table and the LINT pins of a local APIC (Intel SDM 3A 11.5.1).
 */

import { DELIVERY } from "./apic-bus.ts";
import type { DeviceState } from "./device.ts";
import { LVT, LVT_WRITABLE, TIMER_MODE } from "./lapic-registers.ts";
import type { LapicTimer } from "./lapic-timer.ts";
import { restoreRecord, saveRecord } from "./state.ts";

/** Entries, in register order. */
export const ENTRY = { TIMER: 0, THERMAL: 1, PERFORMANCE: 2, LINT0: 3, LINT1: 4, ERROR: 5 } as const;

export interface LocalVectorTableOptions {
  /** CPUID.01H:ECX.TSC_Deadline: bit 18 of the timer entry exists. */
  readonly tscDeadline: boolean;
  readonly timer: LapicTimer;
  /** An entry that is not masked raises its interrupt, in one of the `DELIVERY` modes but ExtINT. */
  readonly onInterrupt: (deliveryMode: number, vector: number, levelTriggered: boolean) => void;
}

function deliveryMode(entry: number): number {
  return (entry & LVT.DELIVERY_MODE) >> LVT.DELIVERY_MODE_SHIFT;
}

export class LocalVectorTable {
  readonly #options: LocalVectorTableOptions;
  readonly #s = {
    entries: LVT_WRITABLE.map((): number => LVT.MASKED),
    /** Levels of LINT0 and LINT1, bits 0 and 1. */
    lint: 0,
  };

  constructor(options: LocalVectorTableOptions) {
    this.#options = options;
  }

  /** The bits of an entry that are not reserved. */
  defined(entry: number): number {
    const deadline = TIMER_MODE.TSC_DEADLINE << LVT.TIMER_MODE_SHIFT;
    return LVT_WRITABLE[entry] & (this.#options.tscDeadline ? -1 : ~deadline);
  }

  read(entry: number): number {
    return this.#s.entries[entry];
  }

  /** "When the local APIC is software-disabled, the mask bits cannot be reset": `forceMask`. */
  write(entry: number, value: number, forceMask: boolean): void {
    const { entries } = this.#s;
    const kept = entries[entry] & LVT.REMOTE_IRR;
    entries[entry] = (value & this.defined(entry)) | kept | (forceMask ? LVT.MASKED : 0);
    if (entry === ENTRY.TIMER) this.#configureTimer();
    if (entry === ENTRY.LINT0) this.#raiseLevel();
  }

  maskAll(): void {
    const { entries } = this.#s;
    for (let entry = 0; entry < entries.length; entry++) entries[entry] |= LVT.MASKED;
    this.#configureTimer();
  }

  /** The source of `entry` asks for an interrupt. */
  raise(entry: number): void {
    const { entries } = this.#s;
    const value = entries[entry];
    const mode = deliveryMode(value);
    // ExtINT follows the level of its pin: `externalAsserted`.
    if ((value & LVT.MASKED) !== 0 || mode === DELIVERY.EXTINT) return;
    // LINT1 "is always edge-triggered", and so are all modes but fixed.
    const level = entry === ENTRY.LINT0 && mode === DELIVERY.FIXED && (value & LVT.LEVEL_TRIGGERED) !== 0;
    if (level) {
      if ((value & LVT.REMOTE_IRR) !== 0) return;
      entries[entry] |= LVT.REMOTE_IRR;
    }
    this.#options.onInterrupt(mode, value & LVT.VECTOR, level);
  }

  /** Whether LINT0 asks for an INTA cycle of the 8259 pair. */
  get externalAsserted(): boolean {
    const entry = this.#s.entries[ENTRY.LINT0];
    return this.intr && deliveryMode(entry) === DELIVERY.EXTINT && (entry & LVT.MASKED) === 0;
  }

  /** The level of LINT0, which is INTR while the local APIC is disabled. */
  get intr(): boolean {
    return (this.#s.lint & 1) !== 0;
  }

  /** Takes a level of LINT0 or LINT1; `listen` is false while the local APIC is disabled. */
  setLint(pin: 0 | 1, level: boolean, listen: boolean): void {
    const before = (this.#s.lint & (1 << pin)) !== 0;
    if (before === level) return;
    this.#s.lint ^= 1 << pin;
    if (level && listen) this.raise(ENTRY.LINT0 + pin);
  }

  /** A level-triggered interrupt has ended; if it was LINT0's and the level is still there, it asks again. */
  endOfInterrupt(vector: number): void {
    const { entries } = this.#s;
    const entry = entries[ENTRY.LINT0];
    if ((entry & LVT.REMOTE_IRR) === 0 || (entry & LVT.VECTOR) !== vector) return;
    entries[ENTRY.LINT0] &= ~LVT.REMOTE_IRR;
    this.#raiseLevel();
  }

  /** Everything masked; the pins stay as they are driven. */
  reset(): void {
    this.#s.entries.fill(LVT.MASKED);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }

  #configureTimer(): void {
    const entry = this.#s.entries[ENTRY.TIMER];
    const mode = (entry & LVT.TIMER_MODE) >> LVT.TIMER_MODE_SHIFT;
    this.#options.timer.configure(mode, (entry & LVT.MASKED) !== 0);
  }

  #raiseLevel(): void {
    if (this.intr && (this.#s.entries[ENTRY.LINT0] & LVT.LEVEL_TRIGGERED) !== 0) this.raise(ENTRY.LINT0);
  }
}
