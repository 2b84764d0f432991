/** Constant folding and neutral elements of the binary integer operators. */
import { I32, I64 } from "./expr.ts";

type Fold<T> = (a: T, b: T) => T | null;

const CONSTANT_32: Record<string, Fold<number>> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 31),
  shr_s: (a, b) => a >> (b & 31),
  shr_u: (a, b) => (a >>> (b & 31)) | 0,
  rotl: (a, b) => (a << (b & 31)) | (b & 31 ? a >>> (32 - (b & 31)) : 0),
  rotr: (a, b) => (a >>> (b & 31)) | (b & 31 ? a << (32 - (b & 31)) : 0),
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt_s: (a, b) => Number(a < b),
  lt_u: (a, b) => Number(a >>> 0 < b >>> 0),
  gt_s: (a, b) => Number(a > b),
  gt_u: (a, b) => Number(a >>> 0 > b >>> 0),
  le_s: (a, b) => Number(a <= b),
  le_u: (a, b) => Number(a >>> 0 <= b >>> 0),
  ge_s: (a, b) => Number(a >= b),
  ge_u: (a, b) => Number(a >>> 0 >= b >>> 0),
  // A division that would trap stays in the code, so that it traps at run time as written.
  div_u: (a, b) => (b === 0 ? null : ((a >>> 0) / (b >>> 0)) | 0),
  rem_u: (a, b) => (b === 0 ? null : ((a >>> 0) % (b >>> 0)) | 0),
  div_s: (a, b) => (b === 0 || (b === -1 && a === -0x80000000) ? null : (a / b) | 0),
  rem_s: (a, b) => (b === 0 ? null : (a % b) | 0),
};

const unsigned = (value: bigint) => BigInt.asUintN(64, value);
const CONSTANT_64: Record<string, Fold<bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 63n),
  shr_s: (a, b) => a >> (b & 63n),
  shr_u: (a, b) => unsigned(a) >> (b & 63n),
  rotl: (a, b) => (a << (b & 63n)) | (unsigned(a) >> (64n - (b & 63n))),
  rotr: (a, b) => (unsigned(a) >> (b & 63n)) | (a << (64n - (b & 63n))),
  div_u: (a, b) => (b === 0n ? null : unsigned(a) / unsigned(b)),
  rem_u: (a, b) => (b === 0n ? null : unsigned(a) % unsigned(b)),
  div_s: (a, b) => (b === 0n || (b === -1n && a === -(1n << 63n)) ? null : a / b),
  rem_s: (a, b) => (b === 0n ? null : a % b),
};

/** Right operands that leave the left one as it is. */
const NEUTRAL: Record<string, number> = {
  add: 0,
  sub: 0,
  or: 0,
  xor: 0,
  shl: 0,
  shr_s: 0,
  shr_u: 0,
  rotl: 0,
  rotr: 0,
  mul: 1,
  and: -1,
};
const COMMUTATIVE = new Set(["add", "or", "xor", "mul", "and"]);

/** Folds `a <name> b`, or null when the operator has to be emitted. */
export function fold32(name: string, a: I32, b: I32): I32 | null {
  const [x, y] = [a.constant, b.constant];
  if (x !== null && y !== null) {
    const value = CONSTANT_32[name]?.(x, y);
    return value === null || value === undefined ? null : new I32({ kind: "const", value });
  }
  const neutral = NEUTRAL[name];
  if (neutral === undefined) return null;
  if (y === neutral) return a;
  if (x === neutral && COMMUTATIVE.has(name)) return b;
  return null;
}

/** As `fold32`, for i64. */
export function fold64(name: string, a: I64, b: I64): I64 | null {
  const [x, y] = [a.constant, b.constant];
  if (x !== null && y !== null) {
    const value = CONSTANT_64[name]?.(x, y);
    return value === null || value === undefined
      ? null
      : new I64({ kind: "const", value: BigInt.asIntN(64, value) });
  }
  const neutral = NEUTRAL[name];
  if (neutral === undefined) return null;
  if (y === BigInt(neutral)) return a;
  if (x === BigInt(neutral) && COMMUTATIVE.has(name)) return b;
  return null;
}
