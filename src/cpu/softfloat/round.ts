/**
 * From an exact number to a pattern: rounding, overflow, underflow (SDM vol. 1, 4.8.4 and 4.9.1).
 */

import { type FloatEnvironment, OE, PE, type Rounding, UE } from "./environment.ts";
import { bitLength, type FloatFormat, infinity, largestFinite, pack, zero } from "./format.ts";

/** Scaling of a result whose overflow or underflow is unmasked (SDM vol. 1, 8.5.4, 8.5.5): 3 * 2^13. */
const EXPONENT_ADJUSTMENT = 24576;

/** Outcome of the last `shiftRightRound`: something was lost; the magnitude grew. */
export const lastRounding = { inexact: false, up: false };

/** `value` / 2^count rounded to an integer by `rounding` as a magnitude of sign `sign`; count may be <= 0. */
export function shiftRightRound(value: bigint, count: number, rounding: Rounding, sign: 0 | 1): bigint {
  lastRounding.inexact = false;
  lastRounding.up = false;
  if (count <= 0) return value << BigInt(-count);
  const shift = BigInt(count);
  const kept = value >> shift;
  const rest = value - (kept << shift);
  if (rest === 0n) return kept;
  lastRounding.inexact = true;
  if (rounding === 0) {
    const half = 1n << (shift - 1n);
    lastRounding.up = rest > half || (rest === half && (kept & 1n) === 1n);
  } else {
    lastRounding.up = rounding === (sign ? 1 : 2);
  }
  return lastRounding.up ? kept + 1n : kept;
}

/**
 * Rounds (-1)^sign * significand * 2^exponent to `format`, to `precision` significant bits, and raises
 * OE, UE and PE. `significand` is not zero. An inexact number is given with its lost part folded into its
 * lowest bit ("sticky"), which must then lie at least two bits below `precision`.
 *
 * Tininess is detected after rounding, as x86 does. Results of unmasked overflow and underflow are scaled
 * for x87; for SSE the value returned is of no use then.
 */
export function roundPack(
  env: FloatEnvironment,
  format: FloatFormat,
  sign: 0 | 1,
  exponent: number,
  significand: bigint,
  precision: number = format.precision,
): bigint {
  const length = bitLength(significand);
  let rounded = shiftRightRound(significand, length - precision, env.rounding, sign);
  // Unbiased exponent of the leading bit after rounding with an unbounded exponent range.
  let top = exponent + length - 1;
  if (rounded >> BigInt(precision)) {
    rounded >>= 1n;
    top++;
  }
  if (top > format.maxExponent) {
    env.flags |= OE;
    if (env.masks & OE) return overflow(env, format, sign, precision);
    top -= EXPONENT_ADJUSTMENT;
    if (top > format.maxExponent && env.rules === "x87") return massive(env, infinity(format, sign), true);
  } else if (top < format.minExponent) {
    if (env.masks & UE) return underflow(env, format, sign, exponent, significand, precision);
    env.flags |= UE;
    top += EXPONENT_ADJUSTMENT;
    if (top < format.minExponent && env.rules === "x87") return massive(env, zero(format, sign), false);
  }
  if (lastRounding.inexact) {
    env.flags |= PE;
    env.roundedUp = lastRounding.up;
  }
  // For SSE an unmasked overflow or underflow leaves no result, so that its exponent does not matter.
  const biased = (top + format.bias) & format.maxBiased;
  return pack(format, sign, biased, rounded << BigInt(format.precision - precision));
}

/** FSCALE alone can leave even the scaled range: an infinity or a zero then (SDM vol. 1, 8.5.4, 8.5.5). */
function massive(env: FloatEnvironment, result: bigint, roundedUp: boolean): bigint {
  env.flags |= PE;
  env.roundedUp = roundedUp;
  return result;
}

/** Masked overflow: the largest finite number or infinity by the rounding mode (SDM vol. 1, table 4-10). */
function overflow(env: FloatEnvironment, format: FloatFormat, sign: 0 | 1, precision: number): bigint {
  env.flags |= PE;
  const toInfinity = env.rounding === 0 || env.rounding === (sign ? 1 : 2);
  env.roundedUp = toInfinity;
  return toInfinity ? infinity(format, sign) : largestFinite(format, sign, precision);
}

/** Masked underflow: a denormal, zero, or the smallest normal; UE only if inexact (SDM vol. 1, 4.9.1.5). */
function underflow(
  env: FloatEnvironment,
  format: FloatFormat,
  sign: 0 | 1,
  exponent: number,
  significand: bigint,
  precision: number,
): bigint {
  if (env.flushToZero && format.name !== "binary16") {
    env.flags |= UE | PE;
    return zero(format, sign);
  }
  const quantum = format.minExponent - (precision - 1);
  const rounded = shiftRightRound(significand, quantum - exponent, env.rounding, sign);
  if (lastRounding.inexact) {
    env.flags |= UE | PE;
    env.roundedUp = lastRounding.up;
  }
  const biased = rounded >> BigInt(precision - 1) ? 1 : 0;
  return pack(format, sign, biased, rounded << BigInt(format.precision - precision));
}
