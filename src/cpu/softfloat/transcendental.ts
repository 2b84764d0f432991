/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FSIN, FCOS, FSINCOS and FPATAN (SDM vol. 1, 8.3.7-8.3.10).
 *
 * Results are rounded correctly by RC, from about 190 bits. Processors promise one unit in the last place and
 * differ from each other and from this within it. Arguments of the trigonometric functions are reduced by
 * the processors' 66-bit pi (SDM vol. 1, 8.3.8; AMD's do the same), exactly. Where an argument is outside
 * an instruction's domain and the manual leaves the result open, AMD's answer is given.
 */

import { type FloatEnvironment, PE, UE, ZE } from "./environment.ts";
import {
  atanFixed,
  atanhQuotient,
  atanQuotient,
  BITS,
  cosOfSquare,
  expm1Quotient,
  ln2,
  multiplyFixed,
  pi,
  sinQuotient,
} from "./fixed.ts";
import { bitLength, extended80, infinity, type Unpacked, unpack, zero } from "./format.ts";
import { denormalOperands, invalid, nanResult } from "./nan.ts";
import { roundPack } from "./round.ts";

type Sign = 0 | 1;

/** A number as significand * 2^exponent with a signed significand. */
interface Wide {
  readonly significand: bigint;
  readonly exponent: number;
}

/** Rounds an irrational number; it never equals its approximation, so a sticky bit is appended. */
function roundWide(value: Wide, env: FloatEnvironment): bigint {
  const sign: Sign = value.significand < 0n ? 1 : 0;
  const magnitude = sign ? -value.significand : value.significand;
  const widening = Math.max(0, 70 - bitLength(magnitude));
  const significand = (magnitude << BigInt(widening + 1)) | 1n;
  return roundPack(env, extended80, sign, value.exponent - widening - 1, significand);
}

function wide(a: Unpacked): Wide {
  return { significand: a.sign ? -a.significand : a.significand, exponent: a.exponent };
}

function product(a: Wide, b: Wide): Wide {
  return { significand: a.significand * b.significand, exponent: a.exponent + b.exponent };
}

/** a / b with BITS bits of quotient. */
function quotient(a: Wide, b: Wide): Wide {
  const shift = BITS + Math.max(0, bitLengthSigned(b.significand) - bitLengthSigned(a.significand));
  return {
    significand: (a.significand << BigInt(shift)) / b.significand,
    exponent: a.exponent - b.exponent - shift,
  };
}

function sum(a: Wide, b: Wide): Wide {
  const exponent = Math.min(a.exponent, b.exponent);
  const significand =
    (a.significand << BigInt(a.exponent - exponent)) + (b.significand << BigInt(b.exponent - exponent));
  return { significand, exponent };
}

function bitLengthSigned(value: bigint): number {
  return bitLength(value < 0n ? -value : value);
}

/** The value in fixed point (units of 2^-BITS), cut off. */
function toFixed(value: Wide): bigint {
  const shift = value.exponent + BITS;
  if (shift >= 0) return value.significand << BigInt(shift);
  return value.significand >> BigInt(Math.min(-shift, 1 << 20));
}

function fromFixed(significand: bigint): Wide {
  return { significand, exponent: -BITS };
}

/** Unbiased exponent of the leading bit. */
function magnitudeOf(value: Wide): number {
  return value.exponent + bitLengthSigned(value.significand) - 1;
}

/** F2XM1: 2^x - 1 for -1 <= x <= 1. */
export function f2xm1(bits: bigint, env: FloatEnvironment): bigint {
  const a = unpack(extended80, bits);
  const nan = nanResult(extended80, a, a, env);
  if (nan !== undefined) return nan;
  if (a.kind === "zero") return bits;
  if (a.kind === "infinity") return a.sign ? roundExact(-1n, 0, env) : bits;
  if (denormalOperands(env, a, a)) return bits;
  const x = wide(a);
  if (magnitudeOf(x) >= 0) {
    env.flags |= PE;
    const isMinusOne = a.sign === 1 && a.significand === extended80.integerBit && magnitudeOf(x) === 0;
    return isMinusOne ? roundExact(-1n, -1, env) : bits;
  }
  const t = product(x, fromFixed(ln2()));
  return roundWide(product(t, fromFixed(expm1Quotient(toFixed(t)))), env);
}

function roundExact(significand: bigint, exponent: number, env: FloatEnvironment): bigint {
  const sign: Sign = significand < 0n ? 1 : 0;
  return roundPack(env, extended80, sign, exponent, sign ? -significand : significand);
}

/** log2 of a positive number that is not 1, as numerator over denominator: log2(n / d). */
function log2Ratio(numerator: Wide, denominator: Wide): Wide {
  // ln(n / d) = 2 * atanh((n - d) / (n + d)), exact at the start however near n and d are.
  const z = quotient(
    sum(numerator, { significand: -denominator.significand, exponent: denominator.exponent }),
    sum(numerator, denominator),
  );
  const fixed = toFixed(z);
  const log = product(z, fromFixed(atanhQuotient(multiplyFixed(fixed, fixed)) << 1n));
  return quotient(log, fromFixed(ln2()));
}

/** log2 of a positive number: integer part from the exponent, the rest from a ratio in [1/sqrt 2, sqrt 2]. */
function log2Of(x: Wide): Wide {
  const length = bitLength(x.significand);
  // Three halves stand in for sqrt 2: any border near it will do.
  const aboveThreeHalves = length >= 2 && x.significand >> BigInt(length - 2) === 3n;
  const power = x.exponent + length - 1 + (aboveThreeHalves ? 1 : 0);
  const reduced = { significand: x.significand, exponent: x.exponent - power };
  const one = { significand: 1n, exponent: 0 };
  const whole = { significand: BigInt(power), exponent: 0 };
  if (x.significand === 1n << BigInt(length - 1)) return whole;
  const fraction = log2Ratio(reduced, one);
  return power === 0 ? fraction : sum(whole, fraction);
}

/** FYL2X: y * log2(x), x in ST(0) and y in ST(1) (SDM vol. 2A, FYL2X, table 3-31). */
export function fyl2x(xBits: bigint, yBits: bigint, env: FloatEnvironment): bigint {
  const x = unpack(extended80, xBits);
  const y = unpack(extended80, yBits);
  const nan = nanResult(extended80, x, y, env);
  if (nan !== undefined) return nan;
  if (x.sign === 1 && x.kind !== "zero") return invalid(extended80, env);
  if (x.kind === "zero") {
    if (y.kind === "zero") return invalid(extended80, env);
    if (y.kind === "infinity") return infinity(extended80, (y.sign ^ 1) as Sign);
    env.flags |= ZE;
    return infinity(extended80, (y.sign ^ 1) as Sign);
  }
  if (x.kind === "infinity") {
    if (y.kind === "zero") return invalid(extended80, env);
    if (denormalOperands(env, x, y)) return xBits;
    return infinity(extended80, y.sign);
  }
  const logarithm = log2Of(wide(x));
  const sign = (y.sign ^ (logarithm.significand < 0n ? 1 : 0)) as Sign;
  if (y.kind === "infinity") {
    if (logarithm.significand === 0n) return invalid(extended80, env);
    if (denormalOperands(env, x, y)) return xBits;
    return infinity(extended80, sign);
  }
  if (denormalOperands(env, x, y)) return xBits;
  if (y.kind === "zero" || logarithm.significand === 0n) return zero(extended80, sign);
  const result = product(wide(y), logarithm);
  if (logarithm.exponent !== 0) return roundWide(result, env);
  // Of a power of two the logarithm is an integer and the product may be exact. Processors report PE all the
  // same, and with it the underflow of a tiny result.
  env.flags |= PE;
  if (magnitudeOf(result) < extended80.minExponent) env.flags |= UE;
  return roundExact(result.significand, result.exponent, env);
}

/** FYL2XP1: y * log2(x + 1), x in ST(0), for x from -(1 - sqrt(1/2)) to sqrt(2) - 1 (table 3-33). */
export function fyl2xp1(xBits: bigint, yBits: bigint, env: FloatEnvironment): bigint {
  const x = unpack(extended80, xBits);
  const y = unpack(extended80, yBits);
  const nan = nanResult(extended80, x, y, env);
  if (nan !== undefined) return nan;
  const sign = (x.sign ^ y.sign) as Sign;
  if (x.kind === "infinity") {
    if (x.sign || y.kind === "zero") return invalid(extended80, env);
    if (denormalOperands(env, x, y)) return xBits;
    return infinity(extended80, sign);
  }
  if (y.kind === "infinity" && x.kind === "zero") return invalid(extended80, env);
  if (denormalOperands(env, x, y)) return xBits;
  if (y.kind === "infinity") return infinity(extended80, sign);
  if (x.kind === "zero" || y.kind === "zero") return zero(extended80, sign);
  const a = wide(x);
  const one = { significand: 1n, exponent: 0 };
  if (magnitudeOf(a) < -BITS) {
    // log2(1 + x) = x / ln 2 to far beyond the last place.
    return roundWide(product(wide(y), quotient(a, fromFixed(ln2()))), env);
  }
  const argument = sum(one, a);
  if (argument.significand <= 0n) {
    env.flags |= PE;
    return xBits;
  }
  const near = magnitudeOf(a) < -1;
  return roundWide(product(wide(y), near ? log2Ratio(argument, one) : log2Of(argument)), env);
}

/** Three fourths of the circle and so on: which multiple of pi/2 an angle is near, and what is left. */
interface Reduced {
  readonly quadrant: number;
  readonly rest: Wide;
}

/** pi as the processors hold it: 66 significant bits, here in units of 2^-64. */
const PI_66 = { significand: 0xc90fdaa22168c234cn >> 2n, exponent: -64 };

/** Reduces to the nearest multiple of (66-bit) pi / 2, exactly. */
function reduceAngle(x: Wide): Reduced {
  const half = { significand: PI_66.significand, exponent: PI_66.exponent - 1 };
  if (magnitudeOf(x) < -1) return { quadrant: 0, rest: x };
  const exponent = Math.min(x.exponent, half.exponent);
  const angle = x.significand << BigInt(x.exponent - exponent);
  const step = half.significand << BigInt(half.exponent - exponent);
  const twice = 2n * angle + step;
  let multiple = twice / (2n * step);
  if (twice < 0n && multiple * 2n * step !== twice) multiple--;
  return { quadrant: Number(multiple & 3n), rest: { significand: angle - multiple * step, exponent } };
}

/** Sine and cosine of a reduced angle, each still to be rounded. */
function sineCosine(rest: Wide): { sine: Wide; cosine: Wide } {
  const fixed = toFixed(rest);
  const square = multiplyFixed(fixed, fixed);
  return { sine: product(rest, fromFixed(sinQuotient(square))), cosine: fromFixed(cosOfSquare(square)) };
}

function negate(value: Wide): Wide {
  return { significand: -value.significand, exponent: value.exponent };
}

/** Sine and cosine of any angle in range. */
function sineCosineOf(x: Wide): { sine: Wide; cosine: Wide } {
  const { quadrant, rest } = reduceAngle(x);
  const { sine, cosine } = sineCosine(rest);
  switch (quadrant) {
    case 0:
      return { sine, cosine };
    case 1:
      return { sine: cosine, cosine: negate(sine) };
    case 2:
      return { sine: negate(sine), cosine: negate(cosine) };
    default:
      return { sine: negate(cosine), cosine: sine };
  }
}

/** Outcome of an instruction that may leave its operand alone (C2 = 1: out of range). */
export interface TrigonometricResult {
  /** Results to be written, ST(0) as it was first and a value pushed second, where there is one. */
  readonly value: bigint;
  readonly pushed: bigint;
  readonly outOfRange: boolean;
}

const FLOAT_ONE = 0x3fff_8000_0000_0000_0000n;

type Function = "sine" | "cosine" | "both" | "tangent";

/**
 * FSIN, FCOS, FSINCOS and FPTAN. `value` replaces ST(0); `pushed` is the cosine of FSINCOS, the 1.0 of FPTAN.
 */
export function trigonometric(kind: Function, bits: bigint, env: FloatEnvironment): TrigonometricResult {
  const a = unpack(extended80, bits);
  const nan = nanResult(extended80, a, a, env);
  if (nan !== undefined) return { value: nan, pushed: nan, outOfRange: false };
  if (a.kind === "infinity") {
    const value = invalid(extended80, env);
    return { value, pushed: value, outOfRange: false };
  }
  const pushed = FLOAT_ONE;
  if (a.kind === "zero") return { value: kind === "cosine" ? pushed : bits, pushed, outOfRange: false };
  if (denormalOperands(env, a, a)) return { value: bits, pushed, outOfRange: false };
  const x = wide(a);
  if (magnitudeOf(x) >= 63) return { value: bits, pushed, outOfRange: true };
  const { sine, cosine } = sineCosineOf(x);
  if (kind === "cosine") return { value: roundWide(cosine, env), pushed, outOfRange: false };
  if (kind === "tangent") return { value: roundWide(quotient(sine, cosine), env), pushed, outOfRange: false };
  const second = kind === "both" ? roundWide(cosine, env) : pushed;
  return { value: roundWide(sine, env), pushed: second, outOfRange: false };
}

/** FPATAN: the angle of the point (x, y), x in ST(0) and y in ST(1) (SDM vol. 2A, FPATAN, table 3-28). */
export function fpatan(xBits: bigint, yBits: bigint, env: FloatEnvironment): bigint {
  const x = unpack(extended80, xBits);
  const y = unpack(extended80, yBits);
  const nan = nanResult(extended80, x, y, env);
  if (nan !== undefined) return nan;
  if (denormalOperands(env, x, y)) return xBits;
  const signed = (significand: bigint, shift: number) =>
    roundWide({ significand: y.sign ? -significand : significand, exponent: -BITS - shift }, env);
  const vertical = y.kind === "infinity" && x.kind !== "infinity";
  if (vertical || (x.kind === "zero" && y.kind !== "zero")) return signed(pi(), 1);
  if (x.kind === "infinity") {
    if (y.kind === "infinity") return signed(x.sign ? 3n * pi() : pi(), 2);
    return x.sign ? signed(pi(), 0) : zero(extended80, y.sign);
  }
  if (y.kind === "zero") return x.sign ? signed(pi(), 0) : zero(extended80, y.sign);
  const angle = angleOf(
    { significand: x.significand, exponent: x.exponent },
    { significand: y.significand, exponent: y.exponent },
    x.sign === 1,
  );
  return roundWide(y.sign ? negate(angle) : angle, env);
}

/** atan2 of |y| and |x|, x negative if told, both not zero. */
function angleOf(x: Wide, y: Wide, xNegative: boolean): Wide {
  const difference = sum(y, negate(x)).significand;
  const steep = difference > 0n;
  const ratio = steep ? quotient(x, y) : quotient(y, x);
  const acute = atanOf(ratio);
  // |x| and |y| by octant: the acute angle is taken from, or added to, a multiple of pi / 2.
  if (!steep) return xNegative ? sum(fromFixed(pi()), negate(acute)) : acute;
  const right = { significand: pi(), exponent: -BITS - 1 };
  return sum(right, xNegative ? acute : negate(acute));
}

/** atan of a ratio in (0, 1]; small ones keep their relative precision. */
function atanOf(ratio: Wide): Wide {
  const fixed = toFixed(ratio);
  if (magnitudeOf(ratio) >= -4) return fromFixed(atanFixed(fixed));
  return product(ratio, fromFixed(atanQuotient(multiplyFixed(fixed, fixed))));
}
