/** What becomes of NaN operands (SDM vol. 1, 4.8.3.5 and table 4-7), and of operands in general. */

import { blocked, DE, type FloatEnvironment, IE } from "./environment.ts";
import { type FloatFormat, indefinite, pack, type Unpacked, unpack } from "./format.ts";

export function isNotANumber(value: Unpacked): boolean {
  return value.kind === "quietNaN" || value.kind === "signallingNaN";
}

/** Unpacks an operand; under SSE's denormals-are-zero a denormal becomes a zero of its sign. */
export function operand(format: FloatFormat, bits: bigint, env: FloatEnvironment): Unpacked {
  const value = unpack(format, bits);
  if (env.denormalsAreZero && value.kind === "denormal" && format.name !== "binary16") {
    return { kind: "zero", sign: value.sign, exponent: value.exponent, significand: 0n };
  }
  return value;
}

/** A NaN operand as a quiet NaN of `format`, its payload cut at the low end. */
export function quieted(format: FloatFormat, nan: Unpacked): bigint {
  const significand = nan.significand >> BigInt(63 - format.fractionBits);
  return pack(format, nan.sign, format.maxBiased, significand | format.quietBit | format.integerBit);
}

/** Raises IE and gives the default NaN. */
export function invalid(format: FloatFormat, env: FloatEnvironment): bigint {
  env.flags |= IE;
  return indefinite(format);
}

/**
 * The result of an operation with a NaN or unsupported operand, or undefined if neither is one.
 * IE is raised for signalling NaNs and unsupported patterns.
 */
export function nanResult(
  format: FloatFormat,
  a: Unpacked,
  b: Unpacked,
  env: FloatEnvironment,
): bigint | undefined {
  if (a.kind === "unsupported" || b.kind === "unsupported") return invalid(format, env);
  const aIsNaN = isNotANumber(a);
  const bIsNaN = isNotANumber(b);
  if (!aIsNaN && !bIsNaN) return undefined;
  if (a.kind === "signallingNaN" || b.kind === "signallingNaN") env.flags |= IE;
  if (!bIsNaN) return quieted(format, a);
  if (!aIsNaN) return quieted(format, b);
  if (env.rules === "sse") return quieted(format, a);
  // x87: a quiet NaN beside a signalling one wins; else the larger significand; else the positive one.
  if (a.kind !== b.kind) return quieted(format, a.kind === "quietNaN" ? a : b);
  if (a.significand !== b.significand) return quieted(format, a.significand > b.significand ? a : b);
  return quieted(format, a.sign === 0 ? a : b);
}

/** Raises DE if an operand is a denormal; true if that stops the operation. */
export function denormalOperands(env: FloatEnvironment, a: Unpacked, b: Unpacked): boolean {
  if (a.kind === "denormal" || b.kind === "denormal") env.flags |= DE;
  return blocked(env);
}
