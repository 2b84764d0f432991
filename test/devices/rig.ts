/** What device tests share: a log that keeps its messages, a line that records, time that moves by hand. */

import type { IrqLine, Log } from "../../src/devices/device.ts";
import { EventClock } from "../../src/machine/clock.ts";

export class TestLog implements Log {
  readonly messages: string[] = [];

  unknown(message: string): void {
    this.messages.push(message);
  }
}

export class TestLine implements IrqLine {
  level = false;
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }
}

/** Moves to `ns`, stopping at every deadline on the way, as the run loop does. */
export function runTo(clock: EventClock, ns: number): void {
  for (;;) {
    const next = clock.nextDeadline();
    if (next === null || next > ns) break;
    clock.advanceTo(Math.max(next, clock.now()));
    clock.runDue();
  }
  clock.advanceTo(ns);
}

export function runFor(clock: EventClock, ns: number): void {
  runTo(clock, clock.now() + ns);
}

export const US = 1_000;
export const MS = 1_000_000;
export const S = 1_000_000_000;

export { EventClock };
