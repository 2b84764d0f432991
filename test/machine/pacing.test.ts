/** Virtual time beside a host's clock that the test moves. */
import { describe, expect, test } from "vitest";
import { HostClock, SleepIdle } from "../../src/machine/pacing.ts";

const MS = 1e6;
const NO_DEADLINE = Number.POSITIVE_INFINITY;

/** A host whose clock stands still unless it is told to go on. */
function host() {
  let now = 5000 * MS;
  return {
    now: () => now,
    pass: (nanoseconds: number) => {
      now += nanoseconds;
    },
  };
}

describe("with --clock host", () => {
  test("a busy guest catches up with the host between its slices", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    pass(0.4 * MS);
    expect(clock.catchUp(0.1 * MS, 0.1 * MS, NO_DEADLINE)).toBe(0.3 * MS);
    expect(clock.catchUp(0.4 * MS, 0, NO_DEADLINE)).toBe(0);
  });

  test("a second of work on a host at 100 MIPS is ten seconds for both clocks", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    let time = 0;
    for (let slice = 0; slice < 10_000; slice++) {
      pass(MS);
      time += 0.1 * MS;
      time += clock.catchUp(time, 0.1 * MS, NO_DEADLINE);
    }
    expect(time).toBe(10_000 * MS);
  });

  test("no jump goes over a deadline, and none is longer than 49 times what was executed", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    pass(400 * MS);
    expect(clock.catchUp(0, 0.1 * MS, 2 * MS)).toBe(2 * MS);
    // What the deadline has held back is still allowed behind it.
    expect(clock.catchUp(2 * MS, 0, NO_DEADLINE)).toBe(2.9 * MS);
    expect(clock.catchUp(4.9 * MS, 0, NO_DEADLINE)).toBe(0);
  });

  test("after the host did not run for ten seconds, time catches up by half a second and stays behind by the rest", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    pass(10_000 * MS);
    let time = 0;
    for (let slice = 0; slice < 100; slice++) {
      time += 0.1 * MS;
      const jump = clock.catchUp(time, 0.1 * MS, NO_DEADLINE);
      expect(jump).toBe(4.9 * MS);
      time += jump;
    }
    expect(time).toBe(500 * MS);
    time += clock.catchUp(time, 0.1 * MS, NO_DEADLINE);
    expect(time).toBe(500.1 * MS);
    pass(3 * MS);
    expect(clock.catchUp(time, MS, NO_DEADLINE)).toBe(3 * MS);
  });

  test("an idle guest sleeps until its deadline, or until it is woken", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    expect(clock.sleep(0, 4000 * MS)).toBe(4000);
    pass(1000 * MS);
    expect(clock.woken(0, 4000 * MS)).toBe(1000 * MS);
    expect(clock.sleep(1000 * MS, 4000 * MS)).toBe(3000);
    // A timer of the host that is late by some is not the guest's business, and neither is one that is early.
    pass(3005 * MS);
    expect(clock.woken(1000 * MS, 4000 * MS)).toBe(4000 * MS);
    expect(clock.sleep(4000 * MS, 4015 * MS)).toBe(10);
    pass(9.5 * MS);
    expect(clock.woken(4000 * MS, 4015 * MS)).toBe(4015 * MS);
  });

  test("without a deadline the time that was slept has passed, however long it was", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    expect(clock.sleep(0, NO_DEADLINE)).toBe(NO_DEADLINE);
    pass(60_000 * MS);
    expect(clock.woken(0, NO_DEADLINE)).toBe(60_000 * MS);
  });

  test("idle times shorter than the host's timers pass at once, until time is ahead by two milliseconds", () => {
    const { now } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    const sleeps = [0, 1, 2, 3].map((ms) => clock.sleep(ms * 0.5 * MS, (ms + 1) * 0.5 * MS));
    expect(sleeps).toEqual([0, 0, 0, 2]);
  });

  test("a guest whose time runs ahead, by a timing model, waits for the host", () => {
    const { now, pass } = host();
    const clock = new HostClock(now);
    clock.begin(0);
    expect(clock.pause(MS)).toBe(0);
    expect(clock.pause(30 * MS)).toBe(30);
    pass(30 * MS);
    expect(clock.pause(30 * MS)).toBe(0);
  });
});

describe("at a terminal", () => {
  test("time takes its own course while the guest executes", () => {
    const { now, pass } = host();
    const pacing = new SleepIdle(now);
    pass(1000 * MS);
    expect([pacing.catchUp(), pacing.pause()]).toEqual([0, 0]);
  });

  test("idle time is slept, and a key brings the guest back earlier", () => {
    const { now, pass } = host();
    const pacing = new SleepIdle(now);
    expect(pacing.sleep(0, MS)).toBe(0);
    expect(pacing.sleep(MS, 101 * MS)).toBe(101);
    pass(41 * MS);
    expect(pacing.woken(MS, 101 * MS)).toBe(41 * MS);
    expect(pacing.sleep(41 * MS, NO_DEADLINE)).toBe(NO_DEADLINE);
    expect(pacing.woken(41 * MS, NO_DEADLINE)).toBe(41 * MS);
  });
});
