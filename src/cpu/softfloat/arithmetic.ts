/**
 * Addition, subtraction, multiplication, division, square root and fused multiply-add of any format.
 *
 * Order of exceptions (SDM vol. 1, 4.9.2): NaN operands, other invalid operations and division by zero,
 * denormal operands, and only then what rounding brings. After an unmasked exception of the first kinds the
 * operation ends; its value is then of no use and `blocked(env)` is true.
 */

import { DE, type FloatEnvironment, ZE } from "./environment.ts";
import { bitLength, type FloatFormat, infinity, type Unpacked, zero } from "./format.ts";
import { denormalOperands, invalid, nanResult, operand } from "./nan.ts";
import { roundPack } from "./round.ts";

function precisionOf(format: FloatFormat, env: FloatEnvironment): number {
  return env.rules === "x87" ? env.precision : format.precision;
}

export function add(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return sum(format, operand(format, a, env), operand(format, b, env), env);
}

export function subtract(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return difference(format, operand(format, a, env), operand(format, b, env), env);
}

export function multiply(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return product(format, operand(format, a, env), operand(format, b, env), env);
}

export function divide(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return quotient(format, operand(format, a, env), operand(format, b, env), env);
}

export function squareRoot(format: FloatFormat, a: bigint, env: FloatEnvironment): bigint {
  return root(format, operand(format, a, env), env);
}

/** An operation on two operands that may come from different formats (FADD m32), giving one of `format`. */
export type UnpackedOperation = (
  format: FloatFormat,
  a: Unpacked,
  b: Unpacked,
  env: FloatEnvironment,
) => bigint;

/** What is returned when an unmasked exception leaves no result. */
const NO_RESULT = 0n;

export function sum(format: FloatFormat, a: Unpacked, b: Unpacked, env: FloatEnvironment): bigint {
  return signedSum(format, a, b, 0, env);
}

export function difference(format: FloatFormat, a: Unpacked, b: Unpacked, env: FloatEnvironment): bigint {
  return signedSum(format, a, b, 1, env);
}

function signedSum(
  format: FloatFormat,
  a: Unpacked,
  b: Unpacked,
  negateB: 0 | 1,
  env: FloatEnvironment,
): bigint {
  const nan = nanResult(format, a, b, env);
  if (nan !== undefined) return nan;
  const bSign = (b.sign ^ negateB) as 0 | 1;
  if (a.kind === "infinity" && b.kind === "infinity" && a.sign !== bSign) return invalid(format, env);
  if (denormalOperands(env, a, b)) return NO_RESULT;
  if (a.kind === "infinity") return infinity(format, a.sign);
  if (b.kind === "infinity") return infinity(format, bSign);
  return addFinite(format, a, { ...b, sign: bSign }, precisionOf(format, env), env);
}

/** Sum of two finite numbers, rounded. An exact zero is -0 only when rounding down, or of two -0. */
function addFinite(
  format: FloatFormat,
  a: Unpacked,
  b: Unpacked,
  precision: number,
  env: FloatEnvironment,
): bigint {
  if (a.significand === 0n && b.significand === 0n) {
    return zero(format, a.sign === b.sign ? a.sign : env.rounding === 1 ? 1 : 0);
  }
  const { exponent, value } = exactSum(a, b, precision);
  if (value === 0n) return zero(format, env.rounding === 1 ? 1 : 0);
  const sign = value < 0n ? 1 : 0;
  return roundPack(env, format, sign, exponent, value < 0n ? -value : value, precision);
}

/** a + b as value * 2^exponent; an addend far below the other counts as a sticky bit. */
function exactSum(a: Unpacked, b: Unpacked, precision: number): { exponent: number; value: bigint } {
  let big = a;
  let small = b;
  if (a.significand === 0n || (b.significand !== 0n && topExponent(b) > topExponent(a))) {
    big = b;
    small = a;
  }
  const signed = (x: Unpacked, significand: bigint) => (x.sign ? -significand : significand);
  if (small.significand === 0n) return { exponent: big.exponent, value: signed(big, big.significand) };
  const gap = topExponent(big) - topExponent(small);
  const guard = precision + 4 + bitLength(big.significand);
  if (gap > guard) {
    // Any nonzero amount below the guard bits rounds the same way.
    const value = signed(big, big.significand << BigInt(guard)) + signed(small, 1n);
    return { exponent: big.exponent - guard, value };
  }
  const exponent = Math.min(big.exponent, small.exponent);
  const value =
    signed(big, big.significand << BigInt(big.exponent - exponent)) +
    signed(small, small.significand << BigInt(small.exponent - exponent));
  return { exponent, value };
}

function topExponent(x: Unpacked): number {
  return x.exponent + bitLength(x.significand) - 1;
}

export function product(format: FloatFormat, a: Unpacked, b: Unpacked, env: FloatEnvironment): bigint {
  const nan = nanResult(format, a, b, env);
  if (nan !== undefined) return nan;
  const infinite = a.kind === "infinity" || b.kind === "infinity";
  const isZero = a.kind === "zero" || b.kind === "zero";
  if (infinite && isZero) return invalid(format, env);
  const sign = (a.sign ^ b.sign) as 0 | 1;
  if (denormalOperands(env, a, b)) return NO_RESULT;
  if (infinite) return infinity(format, sign);
  if (isZero) return zero(format, sign);
  const significand = a.significand * b.significand;
  return roundPack(env, format, sign, a.exponent + b.exponent, significand, precisionOf(format, env));
}

export function quotient(format: FloatFormat, a: Unpacked, b: Unpacked, env: FloatEnvironment): bigint {
  const nan = nanResult(format, a, b, env);
  if (nan !== undefined) return nan;
  const sign = (a.sign ^ b.sign) as 0 | 1;
  if (a.kind === "infinity") {
    if (b.kind === "infinity") return invalid(format, env);
    if (denormalOperands(env, a, b)) return NO_RESULT;
    return infinity(format, sign);
  }
  if (b.kind === "zero") {
    if (a.kind === "zero") return invalid(format, env);
    env.flags |= ZE;
    return infinity(format, sign);
  }
  if (denormalOperands(env, a, b)) return NO_RESULT;
  if (a.kind === "zero" || b.kind === "infinity") return zero(format, sign);
  const precision = precisionOf(format, env);
  const shift = precision + 3 + Math.max(0, bitLength(b.significand) - bitLength(a.significand));
  const numerator = a.significand << BigInt(shift);
  const whole = numerator / b.significand;
  const sticky = whole * b.significand === numerator ? 0n : 1n;
  const exponent = a.exponent - b.exponent - shift - 1;
  return roundPack(env, format, sign, exponent, (whole << 1n) | sticky, precision);
}

export function root(format: FloatFormat, a: Unpacked, env: FloatEnvironment): bigint {
  const nan = nanResult(format, a, a, env);
  if (nan !== undefined) return nan;
  if (a.kind === "zero") return zero(format, a.sign);
  if (a.sign === 1) return invalid(format, env);
  if (denormalOperands(env, a, a)) return NO_RESULT;
  if (a.kind === "infinity") return infinity(format, 0);
  const precision = precisionOf(format, env);
  let shift = Math.max(0, 2 * (precision + 2) - bitLength(a.significand));
  if ((a.exponent - shift) & 1) shift++;
  const radicand = a.significand << BigInt(shift);
  const whole = integerSquareRoot(radicand);
  const sticky = whole * whole === radicand ? 0n : 1n;
  return roundPack(env, format, 0, (a.exponent - shift) / 2 - 1, (whole << 1n) | sticky, precision);
}

/** Largest integer whose square is not above `value`. */
export function integerSquareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  const length = bitLength(value);
  // 50 leading bits of the root from the host, then Newton's iteration, which doubles them.
  const drop = Math.max(0, length - 104) & ~1;
  let root = (BigInt(Math.floor(Math.sqrt(Number(value >> BigInt(drop))))) + 1n) << BigInt(drop / 2);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** a * b + c with one rounding, by SSE rules: of NaN operands the first in the order a, b, c is the result. */
export function fusedMultiplyAdd(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  cBits: bigint,
  env: FloatEnvironment,
): bigint {
  const a = operand(format, aBits, env);
  const b = operand(format, bBits, env);
  const c = operand(format, cBits, env);
  const abNaN = nanResult(format, a, b, env);
  const cNaN = nanResult(format, c, c, env);
  if (abNaN !== undefined) return abNaN;
  if (cNaN !== undefined) return cNaN;
  const infinite = a.kind === "infinity" || b.kind === "infinity";
  if (infinite && (a.kind === "zero" || b.kind === "zero")) return invalid(format, env);
  const sign = (a.sign ^ b.sign) as 0 | 1;
  if (infinite && c.kind === "infinity" && c.sign !== sign) return invalid(format, env);
  if (c.kind === "denormal") env.flags |= DE;
  if (denormalOperands(env, a, b)) return NO_RESULT;
  if (infinite) return infinity(format, sign);
  if (c.kind === "infinity") return infinity(format, c.sign);
  const significand = a.significand * b.significand;
  const kind = significand === 0n ? "zero" : "normal";
  const exact: Unpacked = { kind, sign, exponent: a.exponent + b.exponent, significand };
  return addFinite(format, exact, c, format.precision, env);
}
