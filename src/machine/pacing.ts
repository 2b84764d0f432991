/**
 * How virtual time and the host's go together in `Machine.run`. Without a pacing they do not: idle time is skipped, and
 * runs repeat. With one, the places where time was moved or waited for are input from outside (`outside-input.ts`).
 */

/** All times in nanoseconds, but for sleeps, which are in the milliseconds of the host's timers. */
export interface Pacing {
  /** The run begins, or goes on, at this virtual time. */
  begin(now: number): void;
  /**
   * Processors have executed. How far time is to jump ahead now.
   * @param executed virtual time that execution took since the last call
   * @param most time to the next deadline: no jump goes over one
   */
  catchUp(now: number, executed: number, most: number): number;
  /** How long to sleep before executing goes on; 0 mostly. */
  pause(now: number): number;
  /** Every processor waits for `deadline` (Infinity: for input). How long to sleep; 0: time moves to the deadline at once. */
  sleep(now: number, deadline: number): number;
  /** That sleep is over. The virtual time now: from `now` to `deadline`. */
  woken(now: number, deadline: number): number;
}

const MILLISECOND = 1e6;
/** A sleep shorter than this is not worth it: timers of the host are no finer. Virtual time is ahead by as much. */
const SHORTEST_SLEEP = 2 * MILLISECOND;

const hostTime = (): number => performance.now() * MILLISECOND;

/**
 * At a terminal: what a guest waits for, its user waits for too. Idle time is slept; while the guest executes, virtual
 * time takes its own course, so that a run in which nothing is typed repeats.
 */
export class SleepIdle implements Pacing {
  /** Idle time that has been skipped and not yet slept. */
  #owed = 0;
  #sleepStart = 0;
  readonly #host: () => number;

  /** @param host the host's clock */
  constructor(host: () => number = hostTime) {
    this.#host = host;
  }

  begin(): void {}

  catchUp(): number {
    return 0;
  }

  pause(): number {
    return 0;
  }

  sleep(now: number, deadline: number): number {
    if (deadline === Number.POSITIVE_INFINITY) return deadline;
    this.#owed += deadline - now;
    if (this.#owed < SHORTEST_SLEEP) return 0;
    this.#sleepStart = this.#host();
    return this.#owed / MILLISECOND;
  }

  woken(now: number, deadline: number): number {
    if (deadline === Number.POSITIVE_INFINITY) return now;
    this.#owed -= Math.round(this.#host() - this.#sleepStart);
    // Woken by a key: what is still owed has not passed, and the key comes at this earlier time.
    const woken = Math.min(deadline, Math.max(now, deadline - this.#owed));
    this.#owed = Math.min(0, this.#owed);
    return woken;
  }
}

/**
 * While the guest is busy, time jumps by so many times what execution takes at most. A guest that executes 20 million
 * instructions a second keeps up; a slower one sees its time pass slower, since it would otherwise do nothing but serve its timers:
 * of the 4 ms of a tick it has 80,000 instructions in any case.
 */
const MOST_JUMPED = 49;
/** How far virtual time may fall behind: what is more is forgotten. */
const MOST_BEHIND = 500 * MILLISECOND;

/**
 * Virtual time follows the host's clock: `--clock host`. An idle guest sleeps until its deadline. A busy one executes
 * slower than the nanosecond an instruction that virtual time counts, so its time has to catch up.
 *
 * Guests watch their processors (Linux: soft lockups, RCU stalls, the clocksource watchdog), and take a processor that
 * was not heard of for seconds of their time for stuck. So time never leaps. It moves in steps, together 49 times what was executed at
 * most, and none over a deadline: every timer fires at its own time, in order, and between two steps the
 * guest executes a slice, in which its handlers and watchdog threads run. When the host has not let this process run (it
 * was suspended, the laptop slept), or is too slow for the guest, the guest's clock catches up by half a second and is behind by
 * the rest from then on, as that of a virtual machine that was paused is.
 */
export class HostClock implements Pacing {
  readonly #host: () => number;
  /** The host's time when virtual time was 0, as it seems. */
  #origin = 0;
  /** How far time may still jump by what was executed. */
  #allowance = 0;

  /** @param host the host's clock */
  constructor(host: () => number = hostTime) {
    this.#host = host;
  }

  begin(now: number): void {
    this.#allowance = 0;
    this.#origin = this.#host() - now;
  }

  /** How far virtual time is behind the host's; negative: ahead. */
  #behind(now: number): number {
    const behind = Math.floor(this.#host() - this.#origin - now);
    if (behind <= MOST_BEHIND) return behind;
    this.#origin += behind - MOST_BEHIND;
    return MOST_BEHIND;
  }

  catchUp(now: number, executed: number, most: number): number {
    this.#allowance += executed * MOST_JUMPED;
    const behind = this.#behind(now);
    const jump = Math.max(0, Math.min(behind, most, this.#allowance));
    // Once it has caught up, what was executed before has no claim any more.
    this.#allowance = jump >= behind ? 0 : this.#allowance - jump;
    return jump;
  }

  /** A timing model may count more time for an instruction than its execution takes here. */
  pause(now: number): number {
    const ahead = -this.#behind(now);
    return ahead < SHORTEST_SLEEP ? 0 : ahead / MILLISECOND;
  }

  sleep(now: number, deadline: number): number {
    if (deadline === Number.POSITIVE_INFINITY) return deadline;
    const left = deadline - now - this.#behind(now);
    return left < SHORTEST_SLEEP ? 0 : left / MILLISECOND;
  }

  woken(now: number, deadline: number): number {
    const host = Math.floor(this.#host() - this.#origin);
    // Timers of the host may be early by part of a millisecond: what is left is as short as what is not slept for.
    return Math.max(now, Math.min(deadline, host + SHORTEST_SLEEP > deadline ? deadline : host));
  }
}
