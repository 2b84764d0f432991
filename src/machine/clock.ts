/**
 * Virtual time: the one clock behind TSC, timers and devices, and the queue of deadlines that decides how
 * long emitted code may run before it has to come back.
 *
 * The run loop owns time. Between slices it calls `advanceTo` and `runDue`; while emitted code runs, devices
 * that ask `now()` get the exact instant from `currentTime`, which the run loop derives from the budget
 * already spent.
 */

import type { Clock, DeviceState, Timer } from "../devices/device.ts";

class EventTimer implements Timer {
  readonly name: string;
  readonly fire: () => void;
  readonly #clock: EventClock;
  deadline: number | null = null;

  constructor(clock: EventClock, name: string, fire: () => void) {
    this.#clock = clock;
    this.name = name;
    this.fire = fire;
  }

  arm(deadline: number): void {
    this.#clock.insert(this, deadline);
  }

  disarm(): void {
    this.#clock.remove(this);
  }
}

export class EventClock implements Clock {
  /**
   * Exact virtual ns, for use while emitted code runs; `null` (the default) between slices, where the time
   * of the last `advanceTo` holds. Must never be less than that.
   */
  currentTime: (() => number) | null = null;

  /**
   * Called when a timer is armed, outside `runDue`, before every other deadline: a slice that was
   * budgeted for a later one has to be shortened to `deadline`.
   */
  onEarlierDeadline: ((deadline: number) => void) | null = null;

  #time = 0;
  #running = false;
  readonly #timers = new Map<string, EventTimer>();
  /** Armed timers, earliest first; equal deadlines in arming order. A dozen entries: an array is fastest. */
  readonly #armed: EventTimer[] = [];

  now(): number {
    return this.currentTime === null ? this.#time : this.currentTime();
  }

  /** Creates a timer. Names identify timers in a snapshot: throws on a name already taken. */
  timer(name: string, fire: () => void): Timer {
    if (this.#timers.has(name)) throw new Error(`clock: a timer named "${name}" exists already`);
    const timer = new EventTimer(this, name, fire);
    this.#timers.set(name, timer);
    return timer;
  }

  /** The earliest deadline in virtual ns, or `null` if no timer is armed. It may lie in the past. */
  nextDeadline(): number | null {
    return this.#armed.length === 0 ? null : this.#armed[0].deadline;
  }

  /** Moves time forward to `ns`. Throws if that is backwards or not an integer. Fires nothing. */
  advanceTo(ns: number): void {
    if (!Number.isSafeInteger(ns) || ns < this.#time) {
      throw new RangeError(`clock: cannot advance from ${this.#time} ns to ${ns} ns`);
    }
    this.#time = ns;
  }

  /**
   * Fires every timer whose deadline is not after `now()`: in deadline order, equal deadlines in arming
   * order, also those that a timer armed while firing. Gives the number fired.
   */
  runDue(): number {
    let fired = 0;
    this.#running = true;
    try {
      while (this.#armed.length > 0) {
        const timer = this.#armed[0];
        if (timer.deadline! > this.now()) break;
        this.#armed.shift();
        timer.deadline = null;
        timer.fire();
        fired++;
      }
    } finally {
      this.#running = false;
    }
    return fired;
  }

  /** For `Timer.arm`. */
  insert(timer: EventTimer, deadline: number): void {
    if (!(deadline >= 0)) throw new RangeError(`clock: timer "${timer.name}" armed for ${deadline} ns`);
    this.remove(timer);
    timer.deadline = deadline;
    let at = this.#armed.length;
    while (at > 0 && this.#armed[at - 1].deadline! > deadline) at--;
    this.#armed.splice(at, 0, timer);
    if (at === 0 && !this.#running) this.onEarlierDeadline?.(deadline);
  }

  /** For `Timer.disarm`. */
  remove(timer: EventTimer): void {
    if (timer.deadline === null) return;
    this.#armed.splice(this.#armed.indexOf(timer), 1);
    timer.deadline = null;
  }

  reset(): void {
    for (const timer of [...this.#armed]) this.remove(timer);
    this.#time = 0;
  }

  /** The time, and the armed timers in firing order: which of two equal deadlines comes first is state. */
  save(): DeviceState {
    return {
      time: this.#time,
      armed: this.#armed.map((timer) => ({ name: timer.name, deadline: timer.deadline! })),
    };
  }

  /** Restores what `save` gave. Timers are found by name; throws on a state that is not one of a clock. */
  restore(state: DeviceState): void {
    const { time, armed } = state as { time?: unknown; armed?: unknown };
    if (typeof time !== "number" || !Array.isArray(armed)) throw new Error("clock: not a saved clock state");
    for (const timer of [...this.#armed]) this.remove(timer);
    this.#time = time;
    for (const { name, deadline } of armed as { name: string; deadline: number }[]) {
      const timer = this.#timers.get(name);
      if (timer === undefined) throw new Error(`clock: the saved state has an unknown timer "${name}"`);
      this.insert(timer, deadline);
    }
  }
}
