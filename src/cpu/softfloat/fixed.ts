/**
 * Elementary functions in binary fixed point on bigints. A number is an integer in units of 2^-BITS; every
 * result is within a few units of the true value.
 */

import { integerSquareRoot } from "./arithmetic.ts";

/** Fraction bits: 64 for the result, the rest so that a wrong rounding becomes very unlikely. */
export const BITS = 192;
const SHIFT = BigInt(BITS);
export const ONE = 1n << SHIFT;

export function multiplyFixed(a: bigint, b: bigint): bigint {
  return (a * b) >> SHIFT;
}

/** sum of t^k / divisor(k), t = z^2 * sign, as a factor of z: the series of atan (-1) and atanh (+1). */
function oddSeries(square: bigint): bigint {
  let sum = ONE;
  let power = ONE;
  for (let n = 3n; ; n += 2n) {
    power = multiplyFixed(power, square);
    if (power === 0n || power === -1n) return sum;
    sum += power / n;
  }
}

/** atanh(z) / z by z * z, for z * z well below 1. */
export function atanhQuotient(square: bigint): bigint {
  return oddSeries(square);
}

/** atan(z) / z by z * z, for z * z well below 1. */
export function atanQuotient(square: bigint): bigint {
  return below(oddSeries(-square), ONE);
}

/**
 * Keeps a value that is less than `limit` from reaching it: rounding up or down of the result hangs on it where
 * an argument is so small that its square vanishes.
 */
function below(value: bigint, limit: bigint): bigint {
  return value < limit ? value : limit - 1n;
}

function memo(compute: () => bigint): () => bigint {
  let value: bigint | undefined;
  return () => {
    value ??= compute();
    return value;
  };
}

/** ln 2 = 2 * atanh(1/3). */
export const ln2 = memo(() => (2n * atanhQuotient(ONE / 9n)) / 3n);

/** pi by Machin's formula, 16 * atan(1/5) - 4 * atan(1/239). */
export const pi = memo(
  () => (16n * atanQuotient(ONE / 25n)) / 5n - (4n * atanQuotient(ONE / (239n * 239n))) / 239n,
);

/** (e^t - 1) / t for |t| <= 1. */
export function expm1Quotient(t: bigint): bigint {
  let sum = ONE;
  let term = ONE;
  for (let n = 2n; ; n++) {
    term = multiplyFixed(term, t) / n;
    if (term === 0n || term === -1n) return sum;
    sum += term;
  }
}

/** sin(t) / t by t * t, for |t| <= 1. */
export function sinQuotient(square: bigint): bigint {
  return below(trigSeries(square, 2n), ONE);
}

/** cos(t) by t * t, for |t| <= 1; so far below 1 that sin(t) / cos(t) stays above t. */
export function cosOfSquare(square: bigint): bigint {
  return below(trigSeries(square, 1n), ONE - 15n);
}

function trigSeries(square: bigint, first: bigint): bigint {
  let sum = ONE;
  let term = ONE;
  for (let n = first; ; n += 2n) {
    term = multiplyFixed(term, -square) / (n * (n + 1n));
    if (term === 0n || term === -1n) return sum;
    sum += term;
  }
}

/** atan(t) for 0 <= t <= 1: the argument is halved three times, atan(t) = 2 * atan(t / (1 + sqrt(1 + t^2))). */
export function atanFixed(t: bigint): bigint {
  let z = t;
  for (let i = 0; i < 3; i++) {
    const root = integerSquareRoot((ONE << SHIFT) + z * z);
    z = (z << SHIFT) / (ONE + root);
  }
  return multiplyFixed(z, atanQuotient(multiplyFixed(z, z))) << 3n;
}
