import { expect, test } from "vitest";
import { type NetworkTimer, TimerQueue } from "../../src/net/timers.ts";
import { Random } from "../random.ts";
import { VirtualClock } from "./virtual-clock.ts";

test("armed, armed anew, disarmed: each fires at its deadline, in order", () => {
  const clock = new VirtualClock();
  const queue = new TimerQueue(clock);
  const dice = new Random(4);
  const deadlines = new Map<NetworkTimer, number>();
  let last = 0;
  let fired = 0;
  const timers: NetworkTimer[] = Array.from({ length: 300 }, () => {
    const timer = queue.timer(() => {
      expect(clock.now()).toBe(deadlines.get(timer));
      expect(clock.now()).toBeGreaterThanOrEqual(last);
      expect(timer.armed).toBe(false);
      last = clock.now();
      deadlines.delete(timer);
      fired++;
      if (dice.chance(2)) arm(timer);
    });
    return timer;
  });
  const arm = (timer: NetworkTimer): void => {
    const delay = dice.below(1000);
    deadlines.set(timer, clock.now() + delay);
    timer.arm(delay);
  };
  for (let step = 0; step < 20_000; step++) {
    const timer = dice.pick(timers);
    if (dice.chance(3)) {
      timer.disarm();
      deadlines.delete(timer);
    } else arm(timer);
    if (dice.chance(4)) clock.advance(dice.below(20));
    expect(queue.size).toBe(deadlines.size);
    // The clock is asked for few calls, whatever is armed.
    expect(clock.pending).toBeLessThanOrEqual(1);
  }
  expect(fired).toBeGreaterThan(5000);
  queue.clear();
  expect([queue.size, clock.pending]).toEqual([0, 0]);
});
