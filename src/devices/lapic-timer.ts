/**
 * The local APIC timer: one-shot, periodic and TSC-deadline (Intel SDM 3A 11.5.4).
 *
 * The current count is computed from virtual time when it is read; an event exists only while an expiry
 * would be seen.
 */

import type { Clock, DeviceState, Timer } from "./device.ts";
import { TIMER_MODE } from "./lapic-registers.ts";
import { restoreRecord, saveRecord } from "./state.ts";
import type { TickRate } from "./tick-rate.ts";

export interface LapicTimerOptions {
  readonly name: string;
  readonly clock: Clock;
  /** The timer's input clock, before the divide configuration register. */
  readonly rate: TickRate;
  /** Virtual ns at which the time-stamp counter reaches a value; `Infinity` if never. */
  readonly timeOfTsc: (low: number, high: number) => number;
  /** The timer expired and its LVT entry is not masked. */
  readonly onExpire: () => void;
}

function powerOn(): {
  mode: number;
  masked: boolean;
  divideConfiguration: number;
  initialCount: number;
  running: boolean;
  startTick: number;
  startCount: number;
  deadlineLow: number;
  deadlineHigh: number;
} {
  return {
    mode: TIMER_MODE.ONE_SHOT,
    masked: true,
    divideConfiguration: 0,
    initialCount: 0,
    running: false,
    /** Input tick at which the count was `startCount`. */
    startTick: 0,
    startCount: 0,
    deadlineLow: 0,
    deadlineHigh: 0,
  };
}

/** Divide configuration: bits 3, 1 and 0; 000B divides by 2, 110B by 128, 111B by 1. */
function divisorOf(configuration: number): number {
  const code = ((configuration >> 1) & 4) | (configuration & 3);
  return code === 7 ? 1 : 2 << code;
}

export class LapicTimer {
  readonly #options: LapicTimerOptions;
  readonly #timer: Timer;
  readonly #s = powerOn();

  constructor(options: LapicTimerOptions) {
    this.#options = options;
    this.#timer = options.clock.timer(options.name, () => this.#expire());
  }

  /** Takes mode and mask from the LVT timer register. */
  configure(mode: number, masked: boolean): void {
    const s = this.#s;
    if (mode === TIMER_MODE.TSC_DEADLINE || s.mode === TIMER_MODE.TSC_DEADLINE) {
      // "A write to the LVT Timer Register that changes the timer mode disarms the local APIC timer."
      if (mode !== s.mode) {
        s.running = false;
        s.initialCount = 0;
        s.deadlineLow = 0;
        s.deadlineHigh = 0;
      }
    } else if (mode !== s.mode) {
      this.#rebase();
    }
    s.mode = mode;
    s.masked = masked;
    this.#arm();
  }

  get initialCount(): number {
    return this.#s.initialCount;
  }

  /** Starts the count; 0 stops it. Ignored in TSC-deadline mode. */
  setInitialCount(value: number): void {
    const s = this.#s;
    if (s.mode === TIMER_MODE.TSC_DEADLINE) return;
    s.initialCount = value;
    s.running = value !== 0;
    s.startCount = value;
    s.startTick = this.#tick();
    this.#arm();
  }

  get currentCount(): number {
    const s = this.#s;
    if (!s.running || s.mode === TIMER_MODE.TSC_DEADLINE) return 0;
    const passed = Math.floor((this.#tick() - s.startTick) / divisorOf(s.divideConfiguration));
    if (passed < s.startCount) return s.startCount - passed;
    if (s.mode === TIMER_MODE.ONE_SHOT) return 0;
    return s.initialCount - ((passed - s.startCount) % s.initialCount);
  }

  get divideConfiguration(): number {
    return this.#s.divideConfiguration;
  }

  /** A count under way goes on at the new rate. */
  setDivideConfiguration(value: number): void {
    this.#rebase();
    this.#s.divideConfiguration = value & 0xb;
    this.#arm();
  }

  /** IA32_TSC_DEADLINE; zero once the deadline has passed, and outside TSC-deadline mode. */
  get deadline(): readonly [low: number, high: number] {
    return [this.#s.deadlineLow, this.#s.deadlineHigh];
  }

  setDeadline(low: number, high: number): void {
    const s = this.#s;
    if (s.mode !== TIMER_MODE.TSC_DEADLINE) return;
    s.deadlineLow = low;
    s.deadlineHigh = high;
    this.#arm();
  }

  /** The time-stamp counter was written: the deadline comes at another time. */
  timeStampCounterChanged(): void {
    this.#arm();
  }

  reset(): void {
    Object.assign(this.#s, powerOn());
    this.#arm();
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    this.#arm();
  }

  #tick(): number {
    return this.#options.rate.ticksAt(this.#options.clock.now());
  }

  /** Makes the present count the start of what follows. */
  #rebase(): void {
    const s = this.#s;
    if (!s.running) return;
    const count = this.currentCount;
    s.startTick = this.#tick();
    s.startCount = count;
    if (count === 0) s.running = false;
  }

  #arm(): void {
    const deadline = this.#nextExpiry();
    if (deadline === Number.POSITIVE_INFINITY) this.#timer.disarm();
    else this.#timer.arm(Math.max(0, deadline));
  }

  /** Virtual ns of the next expiry that has an effect; `Infinity` if none. */
  #nextExpiry(): number {
    const s = this.#s;
    if (s.mode === TIMER_MODE.TSC_DEADLINE) {
      if (s.deadlineLow === 0 && s.deadlineHigh === 0) return Number.POSITIVE_INFINITY;
      return this.#options.timeOfTsc(s.deadlineLow, s.deadlineHigh);
    }
    // While masked the count just runs; nobody sees when it reaches zero.
    if (!s.running || s.masked) return Number.POSITIVE_INFINITY;
    const divisor = divisorOf(s.divideConfiguration);
    const first = s.startTick + s.startCount * divisor;
    const now = this.#tick();
    let tick = first;
    if (s.mode === TIMER_MODE.PERIODIC && now >= first) {
      const period = s.initialCount * divisor;
      tick = first + (Math.floor((now - first) / period) + 1) * period;
    } else if (now >= first) {
      return Number.POSITIVE_INFINITY;
    }
    return this.#options.rate.timeOf(tick);
  }

  #expire(): void {
    const s = this.#s;
    if (s.mode === TIMER_MODE.TSC_DEADLINE) {
      s.deadlineLow = 0;
      s.deadlineHigh = 0;
    } else if (s.mode === TIMER_MODE.ONE_SHOT) {
      s.running = false;
    }
    this.#arm();
    if (!s.masked) this.#options.onExpire();
  }
}
