/** Comparison, the SSE and AVX predicates, MIN and MAX. */

import { type FloatEnvironment, IE } from "./environment.ts";
import type { FloatFormat, Unpacked } from "./format.ts";
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
  const a = operand(format, aBits, env);
  const b = operand(format, bBits, env);
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
  const x = orderKey(a);
  const y = orderKey(b);
  if (x.magnitude === 0 && y.magnitude === 0) return 0;
  if (a.sign !== b.sign) return a.sign ? -1 : 1;
  let result: number;
  if (x.magnitude !== y.magnitude) result = x.magnitude < y.magnitude ? -1 : 1;
  else result = x.significand === y.significand ? 0 : x.significand < y.significand ? -1 : 1;
  return (a.sign ? -result : result) as Relation;
}

/** Magnitudes compare by leading-bit exponent first (0 stands for zero), then by aligned significand. */
function orderKey(a: Unpacked): { magnitude: number; significand: bigint } {
  if (a.kind === "zero") return { magnitude: 0, significand: 0n };
  if (a.kind === "infinity") return { magnitude: 1e6, significand: 0n };
  // Exponents stay within +-17000, so the offset keeps every magnitude positive. Denormals share the exponent
  // of the smallest normals and differ in the significand alone.
  return { magnitude: a.exponent + 1e5, significand: a.significand };
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
  const relation = compare(format, a, b, env, p.signalling);
  if (relation === 2) return p.unordered;
  return relation === 0 ? p.equal : relation < 0 ? p.less : p.greater;
}

/** RFLAGS bits COMISS, UCOMISS, FCOMI and FUCOMI write: ZF, PF, CF (OF, SF, AF are cleared). */
export function compareFlags(relation: Relation): number {
  return relation === 2 ? 0x45 : relation === 0 ? 0x40 : relation < 0 ? 0x01 : 0;
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
  const relation = compare(format, a, b, env, true);
  const chosen = relation === wanted ? a : b;
  if (!env.denormalsAreZero) return chosen;
  const sign = chosen & (1n << format.signShift);
  return operand(format, chosen, env).kind === "zero" ? sign : chosen;
}
