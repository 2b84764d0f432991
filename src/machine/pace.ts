/**
 * How virtual time passes while the processor runs: the conversion between what the processor spends of its
 * budget and nanoseconds, without rounding errors that add up.
 *
 * Without a timing model the budget is in instructions of one nanosecond each. With one it is in cost units, of
 * which the model's frequency says how many make a nanosecond; what is left over after whole nanoseconds is kept
 * for the next slice.
 */

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

export class Pace {
  /** Of the time-stamp counter. */
  readonly tscHz: number;
  /** Nanoseconds in a unit: a fraction. */
  readonly #numerator: number;
  readonly #denominator: number;
  readonly #unitsPerTick: number;
  /** What is left of earlier slices, in 1/denominator nanoseconds. */
  #rest = 0;

  /** @param unitsPerTick units of the budget in one tick of the time-stamp counter */
  constructor(tscHz: number, unitsPerTick: number) {
    this.tscHz = tscHz;
    this.#unitsPerTick = unitsPerTick;
    const unitsPerSecond = tscHz * unitsPerTick;
    const divisor = greatestCommonDivisor(unitsPerSecond, 1e9);
    this.#numerator = 1e9 / divisor;
    this.#denominator = unitsPerSecond / divisor;
  }

  /** Whole nanoseconds that pass while the running slice spends `units`. */
  nanoseconds(units: number): number {
    return Math.floor((this.#rest + units * this.#numerator) / this.#denominator);
  }

  /** As `nanoseconds`, at the end of the slice: the rest is kept. */
  pass(units: number): number {
    const total = this.#rest + units * this.#numerator;
    this.#rest = total % this.#denominator;
    return Math.floor(total / this.#denominator);
  }

  /** Units until at least `nanoseconds` have passed. */
  units(nanoseconds: number): number {
    return Math.ceil((nanoseconds * this.#denominator) / this.#numerator);
  }

  /** Ticks of the time-stamp counter after `units` of a slice that began at `start` nanoseconds. */
  ticks(start: number, units: number): bigint {
    const parts = BigInt(start) * BigInt(this.#denominator) + BigInt(this.#rest + units * this.#numerator);
    return parts / BigInt(this.#unitsPerTick * this.#numerator);
  }

  /** The first nanosecond at which the time-stamp counter is not below `ticks`. */
  timeOfTicks(ticks: bigint): bigint {
    const parts = ticks * BigInt(this.#unitsPerTick * this.#numerator);
    const denominator = BigInt(this.#denominator);
    return (parts + denominator - 1n) / denominator;
  }

  reset(): void {
    this.#rest = 0;
  }
}
