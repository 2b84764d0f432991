/** Conversions between formats, to and from integers, and rounding to an integral value. */

import { type FloatEnvironment, PE, type Rounding } from "./environment.ts";
import { bitLength, type FloatFormat, infinity, pack, type Unpacked, zero } from "./format.ts";
import { denormalOperands, invalid, nanResult, operand } from "./nan.ts";
import { lastRounding, roundPack, shiftRightRound } from "./round.ts";

/**
 * Converts between formats (CVTSS2SD, CVTSD2SS, FLD m32/m64, FST m32/m64, VCVTPH2PS, VCVTPS2PH). Half
 * precision knows neither FTZ nor, as a source, DAZ and DE (SDM vol. 1, 14.4.1).
 */
export function convert(from: FloatFormat, to: FloatFormat, bits: bigint, env: FloatEnvironment): bigint {
  const a = operand(from, bits, env);
  const nan = nanResult(to, a, a, env);
  if (nan !== undefined) return nan;
  if (a.kind === "infinity") return infinity(to, a.sign);
  if (a.kind === "zero") return zero(to, a.sign);
  // Stores of the x87 stack do not report a denormal source, loads do (SDM vol. 1, 8.5.2), but load it even if
  // that is unmasked.
  const reports = !from.explicitInteger && from.name !== "binary16";
  if (reports && denormalOperands(env, a, a) && env.rules === "sse") return bits;
  return roundPack(env, to, a.sign, a.exponent, a.significand);
}

/** Widths of integers the processor converts to and from. */
export type IntegerWidth = 16 | 32 | 64;

/**
 * Converts to a signed integer, given back as its two's complement pattern of `width` bits. NaNs, infinities
 * and numbers out of range raise IE and give the integer indefinite, 100...0 (SDM vol. 1, table 4-3).
 * A denormal raises no DE here: neither CVTSD2SI nor FIST does.
 */
export function toInteger(
  format: FloatFormat,
  bits: bigint,
  width: IntegerWidth,
  env: FloatEnvironment,
  rounding: Rounding = env.rounding,
): bigint {
  const a = operand(format, bits, env);
  const indefinite = 1n << BigInt(width - 1);
  const magnitude = integerMagnitude(a, rounding, width);
  if (magnitude === undefined || magnitude > (a.sign ? indefinite : indefinite - 1n)) {
    invalid(format, env);
    return indefinite;
  }
  if (lastRounding.inexact) {
    env.flags |= PE;
    env.roundedUp = lastRounding.up;
  }
  return BigInt.asUintN(width, a.sign ? -magnitude : magnitude);
}

/** As toInteger, for an unsigned integer: out of range is all ones (AVX-512 VCVTSD2USI). */
export function toUnsignedInteger(
  format: FloatFormat,
  bits: bigint,
  width: IntegerWidth,
  env: FloatEnvironment,
  rounding: Rounding = env.rounding,
): bigint {
  const a = operand(format, bits, env);
  const allOnes = (1n << BigInt(width)) - 1n;
  const magnitude = integerMagnitude(a, rounding, width);
  if (magnitude === undefined || magnitude > (a.sign ? 0n : allOnes)) {
    invalid(format, env);
    return allOnes;
  }
  if (lastRounding.inexact) env.flags |= PE;
  return magnitude;
}

/** |a| rounded to an integer, or undefined if it is no number or surely beyond `width` bits. */
function integerMagnitude(a: Unpacked, rounding: Rounding, width: number): bigint | undefined {
  if (a.kind === "zero") {
    lastRounding.inexact = false;
    return 0n;
  }
  if (a.kind !== "normal" && a.kind !== "denormal") return undefined;
  if (a.exponent + bitLength(a.significand) > width + 1) return undefined;
  return shiftRightRound(a.significand, Math.min(-a.exponent, 128), rounding, a.sign);
}

/** A signed integer as an operand of arithmetic (FIADD and kin). */
export function integerOperand(value: bigint): Unpacked {
  const sign = value < 0n ? 1 : 0;
  return { kind: value === 0n ? "zero" : "normal", sign, exponent: 0, significand: sign ? -value : value };
}

/** Converts a signed integer (any size up to 64 bits, a plain bigint) to `format`. */
export function fromInteger(format: FloatFormat, value: bigint, env: FloatEnvironment): bigint {
  if (value === 0n) return zero(format, 0);
  return roundPack(env, format, value < 0n ? 1 : 0, 0, value < 0n ? -value : value);
}

/**
 * Rounds to an integral value in the same format (FRNDINT, ROUNDSS/ROUNDSD). `suppressInexact` is bit 3 of
 * the SSE4.1 immediate. ROUNDxx reports no denormal operand, FRNDINT does (SDM vol. 1, 8.5.2, 12.8.1).
 */
export function roundToIntegral(
  format: FloatFormat,
  bits: bigint,
  env: FloatEnvironment,
  rounding: Rounding = env.rounding,
  suppressInexact = false,
): bigint {
  const a = operand(format, bits, env);
  const nan = nanResult(format, a, a, env);
  if (nan !== undefined) return nan;
  if (a.kind === "infinity") return infinity(format, a.sign);
  if (a.kind === "zero") return zero(format, a.sign);
  if (env.rules === "x87" && denormalOperands(env, a, a)) return bits;
  if (a.exponent >= 0) return bits;
  const whole = shiftRightRound(a.significand, Math.min(-a.exponent, 128), rounding, a.sign);
  if (lastRounding.inexact && !suppressInexact) {
    env.flags |= PE;
    env.roundedUp = lastRounding.up;
  }
  if (whole === 0n) return zero(format, a.sign);
  const length = bitLength(whole);
  const biased = length - 1 + format.bias;
  return pack(format, a.sign, biased, whole << BigInt(format.precision - length));
}
