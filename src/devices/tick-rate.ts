/**
 * Exact conversion between virtual nanoseconds and the ticks of a device clock.
 *
 * `ticks = floor(ns * hz / 1e9)` overflows 2^53 after a few seconds if computed as written. Reducing the
 * fraction and splitting off whole periods keeps every product exact in a double.
 */

const NS_PER_SECOND = 1_000_000_000;

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

export class TickRate {
  readonly hz: number;
  /** `#ticks` ticks take exactly `#nanoseconds` ns. */
  readonly #ticks: number;
  readonly #nanoseconds: number;

  /** `hz` is an integer; throws if its fraction of 1e9 is too fine to be exact. */
  constructor(hz: number) {
    const divisor = greatestCommonDivisor(hz, NS_PER_SECOND);
    this.hz = hz;
    this.#ticks = hz / divisor;
    this.#nanoseconds = NS_PER_SECOND / divisor;
    if (!Number.isInteger(hz) || hz <= 0 || this.#ticks * this.#nanoseconds > Number.MAX_SAFE_INTEGER) {
      throw new RangeError(`a clock of ${hz} Hz cannot be kept exactly`);
    }
  }

  /** Whole ticks that have passed at virtual time `ns`. */
  ticksAt(ns: number): number {
    const periods = Math.floor(ns / this.#nanoseconds);
    const rest = ns - periods * this.#nanoseconds;
    return periods * this.#ticks + Math.floor((rest * this.#ticks) / this.#nanoseconds);
  }

  /** The first virtual ns at which `ticks` whole ticks have passed: the inverse of `ticksAt`. */
  timeOf(ticks: number): number {
    const periods = Math.floor(ticks / this.#ticks);
    const rest = ticks - periods * this.#ticks;
    return periods * this.#nanoseconds + Math.ceil((rest * this.#nanoseconds) / this.#ticks);
  }
}
