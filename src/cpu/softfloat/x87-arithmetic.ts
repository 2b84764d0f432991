/**
 * x87 operations with no SSE counterpart on the 80-bit format: FSCALE, FXTRACT, FPREM, FPREM1, FXAM, FBLD,
 * FBSTP.
 */

import { type FloatEnvironment, PE, ZE } from "./environment.ts";
import { bitLength, extended80, infinity, pack, type Unpacked, unpack, zero } from "./format.ts";
import { denormalOperands, invalid, isNotANumber, nanResult } from "./nan.ts";
import { lastRounding, roundPack, shiftRightRound } from "./round.ts";

/** FSCALE: ST(0) * 2^trunc(ST(1)) (SDM vol. 2A, FSCALE, table 3-29). */
export function scale(bits: bigint, byBits: bigint, env: FloatEnvironment): bigint {
  const a = unpack(extended80, bits);
  const by = unpack(extended80, byBits);
  const nan = nanResult(extended80, a, by, env);
  if (nan !== undefined) return nan;
  if (by.kind === "infinity") {
    if (a.kind === (by.sign ? "infinity" : "zero")) return invalid(extended80, env);
    if (denormalOperands(env, a, by)) return bits;
    return by.sign ? zero(extended80, a.sign) : infinity(extended80, a.sign);
  }
  if (denormalOperands(env, a, by)) return bits;
  if (a.kind === "zero" || a.kind === "infinity") return bits;
  return roundPack(env, extended80, a.sign, a.exponent + truncateToExponent(by), a.significand);
}

/** A number cut to an integer; beyond +-2^17 every result overflows or underflows alike. */
function truncateToExponent(a: Unpacked): number {
  if (a.exponent + bitLength(a.significand) > 17) return a.sign ? -(2 ** 17) : 2 ** 17;
  const magnitude = Number(shiftRightRound(a.significand, Math.min(-a.exponent, 128), 3, 0));
  return a.sign ? -magnitude : magnitude;
}

/** FXTRACT: the exponent, which replaces ST(0), and the significand, which is pushed. */
export function extract(bits: bigint, env: FloatEnvironment): { exponent: bigint; significand: bigint } {
  const a = unpack(extended80, bits);
  const nan = nanResult(extended80, a, a, env);
  if (nan !== undefined) return { exponent: nan, significand: nan };
  if (a.kind === "infinity") return { exponent: infinity(extended80, 0), significand: bits };
  if (a.kind === "zero") {
    env.flags |= ZE;
    return { exponent: infinity(extended80, 1), significand: bits };
  }
  if (denormalOperands(env, a, a)) return { exponent: bits, significand: bits };
  const length = bitLength(a.significand);
  const top = a.exponent + length - 1;
  return {
    exponent: integerToExtended(BigInt(top)),
    significand: pack(extended80, a.sign, extended80.bias, a.significand << BigInt(64 - length)),
  };
}

/** A small integer as an 80-bit pattern, exactly. */
function integerToExtended(value: bigint): bigint {
  if (value === 0n) return 0n;
  const magnitude = value < 0n ? -value : value;
  const length = bitLength(magnitude);
  const biased = extended80.bias + length - 1;
  return pack(extended80, value < 0n ? 1 : 0, biased, magnitude << BigInt(64 - length));
}

/** Outcome of FPREM and FPREM1: the low bits of the quotient go to C0, C3, C1, incompleteness to C2. */
export interface RemainderResult {
  readonly value: bigint;
  /** Quotient modulo 8; none for NaNs and after an invalid operation or an unmasked exception. */
  readonly quotient: number | undefined;
  readonly incomplete: boolean;
}

/**
 * FPREM (`nearest` false: quotient cut) and FPREM1 (quotient rounded to nearest even), SDM vol. 2A. Operands
 * 64 or more binades apart are reduced by a step that leaves the remainder a multiple of 32 binades behind.
 */
export function remainder(
  bits: bigint,
  byBits: bigint,
  nearest: boolean,
  env: FloatEnvironment,
): RemainderResult {
  const none = (value: bigint): RemainderResult => ({ value, quotient: undefined, incomplete: false });
  const complete = (value: bigint): RemainderResult => ({ value, quotient: 0, incomplete: false });
  const a = unpack(extended80, bits);
  const by = unpack(extended80, byBits);
  const nan = nanResult(extended80, a, by, env);
  if (nan !== undefined) return none(nan);
  if (a.kind === "infinity" || by.kind === "zero") return none(invalid(extended80, env));
  if (denormalOperands(env, a, by)) return none(bits);
  if (a.kind === "zero") return complete(bits);
  if (by.kind === "infinity") {
    return complete(roundPack(env, extended80, a.sign, a.exponent, a.significand));
  }
  const aTop = a.exponent + bitLength(a.significand);
  const byTop = by.exponent + bitLength(by.significand);
  const distance = aTop - byTop;
  if (distance < -1) {
    return complete(roundPack(env, extended80, a.sign, a.exponent, a.significand));
  }
  // The processors tested take 32 + distance mod 32 bits of quotient in an incomplete step.
  const skip = distance < 64 ? 0 : distance - 32 - (distance & 31);
  const exponent = Math.min(a.exponent, by.exponent + skip);
  const dividend = a.significand << BigInt(a.exponent - exponent);
  const divisor = by.significand << BigInt(by.exponent + skip - exponent);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = a.sign;
  if (nearest && skip === 0) {
    const twice = rest << 1n;
    if (twice > divisor || (twice === divisor && quotient & 1n)) {
      quotient += 1n;
      rest = divisor - rest;
      sign = (sign ^ 1) as 0 | 1;
    }
  }
  const value = rest === 0n ? zero(extended80, a.sign) : roundPack(env, extended80, sign, exponent, rest);
  return { value, quotient: skip ? 0 : Number(quotient & 7n), incomplete: skip !== 0 };
}

/** FXAM's C3, C2, C0 as bits 2, 1, 0 for a register that is not empty (SDM vol. 2A, FXAM, table 3-34). */
export function examine(bits: bigint): number {
  const { kind } = unpack(extended80, bits);
  switch (kind) {
    case "unsupported":
      return 0b000;
    case "quietNaN":
    case "signallingNaN":
      return 0b001;
    case "normal":
      return 0b010;
    case "infinity":
      return 0b011;
    case "zero":
      return 0b100;
    default:
      return 0b110;
  }
}

/** Packed BCD indefinite (SDM vol. 1, table 4-4). */
const BCD_INDEFINITE = 0xffffc000000000000000n;
const BCD_LIMIT = 10n ** 18n;

/** FBLD: 18 packed decimal digits with a sign in bit 79, as an 80-bit pattern. Digits above 9 count as such. */
export function fromBcd(bcd: bigint): bigint {
  let value = 0n;
  for (let digit = 17n; digit >= 0n; digit--) value = value * 10n + ((bcd >> (digit * 4n)) & 15n);
  const sign = (bcd >> 79n) & 1n;
  return (sign << 79n) | integerToExtended(value);
}

/** FBSTP: rounded to an integer and written as 18 packed decimal digits. */
export function toBcd(bits: bigint, env: FloatEnvironment): bigint {
  const a = unpack(extended80, bits);
  const sign = a.sign ? 1n << 79n : 0n;
  if (a.kind === "zero") return sign;
  const representable = !isNotANumber(a) && a.kind !== "infinity" && a.kind !== "unsupported";
  if (representable && a.exponent + bitLength(a.significand) <= 61) {
    const magnitude = shiftRightRound(a.significand, Math.min(-a.exponent, 128), env.rounding, a.sign);
    if (magnitude < BCD_LIMIT) {
      if (lastRounding.inexact) {
        env.flags |= PE;
        env.roundedUp = lastRounding.up;
      }
      return sign | BigInt(`0x${magnitude}`);
    }
  }
  invalid(extended80, env);
  return BCD_INDEFINITE;
}
