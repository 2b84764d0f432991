import { describe, expect, it } from "vitest";
import { TickRate } from "../../src/devices/tick-rate.ts";
import { EventClock } from "../../src/machine/clock.ts";

describe("EventClock", () => {
  it("fires due timers in deadline order, equal deadlines in arming order", () => {
    const clock = new EventClock();
    const fired: string[] = [];
    const timers = Object.fromEntries(
      ["a", "b", "c", "d"].map((name) => [name, clock.timer(name, () => fired.push(name))]),
    );
    timers.c.arm(20);
    timers.b.arm(10);
    timers.a.arm(10);
    timers.d.arm(21);
    clock.advanceTo(20);
    expect(clock.runDue()).toBe(3);
    expect(fired).toEqual(["b", "a", "c"]);
    expect(clock.nextDeadline()).toBe(21);
  });

  it("gives the earliest deadline, and null when nothing is armed", () => {
    const clock = new EventClock();
    const timer = clock.timer("t", () => {});
    expect(clock.nextDeadline()).toBeNull();
    timer.arm(5);
    expect(clock.nextDeadline()).toBe(5);
    timer.arm(9);
    expect(clock.nextDeadline()).toBe(9);
    timer.disarm();
    expect(clock.nextDeadline()).toBeNull();
    expect(timer.deadline).toBeNull();
  });

  it("fires in the same run what a firing timer arms for the past, and not what it arms for later", () => {
    const clock = new EventClock();
    const at: number[] = [];
    const periodic = clock.timer("periodic", () => {
      at.push(clock.now());
      periodic.arm(at.length * 10);
    });
    periodic.arm(0);
    clock.advanceTo(25);
    expect(clock.runDue()).toBe(3);
    expect(periodic.deadline).toBe(30);
  });

  it("gives the exact instant while emitted code runs", () => {
    const clock = new EventClock();
    clock.advanceTo(100);
    let instant = 100;
    clock.currentTime = () => instant;
    instant = 137;
    expect(clock.now()).toBe(137);
    clock.currentTime = null;
    expect(clock.now()).toBe(100);
  });

  it("tells the run loop of a deadline before every other one, outside runDue only", () => {
    const clock = new EventClock();
    const told: number[] = [];
    clock.onEarlierDeadline = (deadline) => told.push(deadline);
    const again = clock.timer("again", () => again.arm(60));
    const other = clock.timer("other", () => {});
    again.arm(50);
    other.arm(70);
    other.arm(40);
    other.disarm();
    clock.advanceTo(50);
    clock.runDue();
    expect(told).toEqual([50, 40]);
  });

  it("does not go back, and takes integers only", () => {
    const clock = new EventClock();
    clock.advanceTo(10);
    expect(() => clock.advanceTo(9)).toThrow(RangeError);
    expect(() => clock.advanceTo(10.5)).toThrow(RangeError);
    expect(() => clock.timer("t", () => {}).arm(Number.NaN)).toThrow(RangeError);
  });

  it("refuses two timers of one name", () => {
    const clock = new EventClock();
    clock.timer("t", () => {});
    expect(() => clock.timer("t", () => {})).toThrow(/"t"/);
  });

  it("restores time, deadlines and the order of equal deadlines", () => {
    const build = () => {
      const clock = new EventClock();
      const fired: string[] = [];
      const timers = ["a", "b"].map((name) => clock.timer(name, () => fired.push(name)));
      return { clock, fired, timers };
    };
    const first = build();
    first.clock.advanceTo(7);
    first.timers[1].arm(9);
    first.timers[0].arm(9);
    const second = build();
    second.timers[0].arm(1);
    second.clock.restore(first.clock.save());
    expect(second.clock.now()).toBe(7);
    second.clock.advanceTo(9);
    second.clock.runDue();
    expect(second.fired).toEqual(["b", "a"]);
  });
});

describe("TickRate", () => {
  it.each([1_193_182, 3_579_545, 32_768, 24_000_000, 25_000_000, 1_000_000_000])(
    "timeOf is the first nanosecond of a tick at %d Hz, days into the run",
    (hz) => {
      const rate = new TickRate(hz);
      for (const start of [0, 1, 12_345, hz - 1, hz * 3_600, hz * 86_400 + 17]) {
        const ns = rate.timeOf(start);
        expect(rate.ticksAt(ns)).toBe(start);
        if (ns > 0) expect(rate.ticksAt(ns - 1)).toBe(start - 1);
        // The same by exact integer arithmetic.
        expect(BigInt(rate.ticksAt(ns))).toBe((BigInt(ns) * BigInt(hz)) / 1_000_000_000n);
      }
    },
  );

  it("refuses a frequency it could not keep exactly", () => {
    expect(() => new TickRate(1_000_000_007)).toThrow(RangeError);
    expect(() => new TickRate(0)).toThrow(RangeError);
  });
});
