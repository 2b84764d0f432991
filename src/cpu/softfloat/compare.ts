/** Comparison, the SSE and AVX predicates, MIN and MAX. */

import { type FloatEnvironment, IE } from "./environment.ts";
import { bitLength, type FloatFormat, type Unpacked } from "./format.ts";
import { denormalOperands, isNotANumber, operand } from "./nan.ts";

/** -1 less, 0 equal, 1 greater, 2 unordered. */
export type Relation = -1 | 0 | 1 | 2;

/**
 * Compares a with b. A signalling NaN or an unsupported pattern raises IE; a quiet NaN only if `signalling`
 * (COMISS, FCOM; not UCOMISS, FUCOM).
 */
export function compare(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  env: FloatEnvironment,
  signalling: boolean,
): Relation {
  return relation(operand(format, aBits, env), operand(format, bBits, env), env, signalling);
}

/** As compare, of operands that may come from different formats (FCOM m32, FICOM). */
export function relation(a: Unpacked, b: Unpacked, env: FloatEnvironment, signalling: boolean): Relation {
  if (a.kind === "unsupported" || b.kind === "unsupported") {
    env.flags |= IE;
    return 2;
  }
  if (isNotANumber(a) || isNotANumber(b)) {
    if (signalling || a.kind === "signallingNaN" || b.kind === "signallingNaN") env.flags |= IE;
    return 2;
  }
  denormalOperands(env, a, b);
  return order(a, b);
}

/** Order of two numbers or infinities; the two zeros are equal. */
function order(a: Unpacked, b: Unpacked): Relation {
  const aZero = a.kind === "zero";
  const bZero = b.kind === "zero";
  if (aZero && bZero) return 0;
  if (aZero || bZero) return (aZero ? b.sign : a.sign ^ 1) ? 1 : -1;
  if (a.sign !== b.sign) return a.sign ? -1 : 1;
  const magnitude = orderMagnitude(a, b);
  return (a.sign ? -magnitude : magnitude) as Relation;
}

/** Order of |a| and |b|, neither zero. */
function orderMagnitude(a: Unpacked, b: Unpacked): -1 | 0 | 1 {
  const aInfinite = a.kind === "infinity";
  const bInfinite = b.kind === "infinity";
  if (aInfinite || bInfinite) return aInfinite && bInfinite ? 0 : aInfinite ? 1 : -1;
  const aLength = bitLength(a.significand);
  const bLength = bitLength(b.significand);
  const distance = a.exponent + aLength - (b.exponent + bLength);
  if (distance !== 0) return distance < 0 ? -1 : 1;
  const x = a.significand << BigInt(Math.max(0, bLength - aLength));
  const y = b.significand << BigInt(Math.max(0, aLength - bLength));
  return x === y ? 0 : x < y ? -1 : 1;
}

/** Which relations satisfy a predicate, and whether it signals quiet NaNs. */
interface Predicate {
  readonly less: boolean;
  readonly equal: boolean;
  readonly greater: boolean;
  readonly unordered: boolean;
  readonly signalling: boolean;
}

/** The relations of predicates 0-15 as letters L, E, G, U (SDM vol. 2A, CMPPD, table 3-1). */
const RELATIONS = [
  "E",
  "L",
  "LE",
  "U",
  "LGU",
  "EGU",
  "GU",
  "LEG",
  "EU",
  "LU",
  "LEU",
  "",
  "LG",
  "EG",
  "G",
  "LEGU",
];
/** Predicates of 0-15 that signal; 16-31 repeat the relations with the opposite choice. */
const SIGNALLING = [1, 2, 5, 6, 9, 10, 13, 14];

const PREDICATES: readonly Predicate[] = Array.from({ length: 32 }, (_, i) => {
  const relations = RELATIONS[i & 15];
  return {
    less: relations.includes("L"),
    equal: relations.includes("E"),
    greater: relations.includes("G"),
    unordered: relations.includes("U"),
    signalling: SIGNALLING.includes(i & 15) !== i >= 16,
  };
});

/** CMPSS/CMPSD/CMPPS/CMPPD: true if a and b satisfy `predicate` (0-7, and 8-31 for VEX encodings). */
export function comparePredicate(
  format: FloatFormat,
  predicate: number,
  a: bigint,
  b: bigint,
  env: FloatEnvironment,
): boolean {
  const p = PREDICATES[predicate & 31];
  const found = compare(format, a, b, env, p.signalling);
  if (found === 2) return p.unordered;
  return found === 0 ? p.equal : found < 0 ? p.less : p.greater;
}

/** RFLAGS bits COMISS, UCOMISS, FCOMI and FUCOMI write: ZF, PF, CF (OF, SF, AF are cleared). */
export function compareFlags(found: Relation): number {
  return found === 2 ? 0x45 : found === 0 ? 0x40 : found < 0 ? 0x01 : 0;
}

/**
 * MINSS and kin: the second operand if either is a NaN or both are zeros, unchanged even if it is a
 * signalling NaN (SDM vol. 2B, MINPD). Any NaN raises IE. Under DAZ a denormal chosen is a zero.
 */
export function minimum(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return choose(format, a, b, env, -1);
}

/** MAXSS and kin; see minimum. */
export function maximum(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment): bigint {
  return choose(format, a, b, env, 1);
}

function choose(format: FloatFormat, a: bigint, b: bigint, env: FloatEnvironment, wanted: -1 | 1): bigint {
  const chosen = compare(format, a, b, env, true) === wanted ? a : b;
  if (!env.denormalsAreZero) return chosen;
  const sign = chosen & (1n << format.signShift);
  return operand(format, chosen, env).kind === "zero" ? sign : chosen;
}
