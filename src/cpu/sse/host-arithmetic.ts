/**
 * Between the emitted host path, which cannot tell whether a result is exact, and the soft path: while PE is
 * clear (as in programs that compute with whole numbers) every operation comes here. The result is the host's;
 * whether it is exact is found with error-free transformations (Knuth's two-sum, Dekker's product).
 *
 * Only for rounding to nearest, and for operands and results far enough from the ends of the format that
 * nothing but PE can be raised and the transformations are exact.
 */
import { MXCSR } from "../layout.ts";
import { SOFT_FIRST, SOFT_SECOND } from "../semantics/sse/lanes.ts";
import { PE } from "../softfloat/index.ts";
import type { CpuState } from "../state.ts";

export type HostOperation = "add" | "sub" | "mul" | "div" | "sqrt";

const MXCSR_RC = 0x6000;
const MXCSR_PM = 0x1000;

/** Magnitudes between which everything below is exact: squares and rounding errors stay normal numbers. */
const LEAST_64 = 2 ** -400;
const GREATEST_64 = 2 ** 400;
const LEAST_32 = 2 ** -60;
const GREATEST_32 = 2 ** 60;

/** a * b - p for p = a * b rounded. */
function productError(a: number, b: number, p: number): number {
  const splitter = 2 ** 27 + 1;
  const aScaled = splitter * a;
  const aHigh = aScaled - (aScaled - a);
  const aLow = a - aHigh;
  const bScaled = splitter * b;
  const bHigh = bScaled - (bScaled - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - p + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

/** a + b - s for s = a + b rounded. */
function sumError(a: number, b: number, s: number): number {
  const bPart = s - a;
  return a - (s - bPart) + (b - bPart);
}

/** The double-precision result; `inexact` is set beside. */
let inexact = false;
function compute64(operation: HostOperation, a: number, b: number): number {
  let r: number;
  switch (operation) {
    case "add":
      r = a + b;
      inexact = sumError(a, b, r) !== 0;
      return r;
    case "sub":
      r = a - b;
      inexact = sumError(a, -b, r) !== 0;
      return r;
    case "mul":
      r = a * b;
      inexact = productError(a, b, r) !== 0;
      return r;
    case "div":
      r = a / b;
      inexact = r * b !== a || productError(r, b, a) !== 0;
      return r;
    default:
      r = Math.sqrt(b);
      inexact = r * r !== b || productError(r, r, b) !== 0;
      return r;
  }
}

/** The single-precision result by way of doubles: 53 bits are enough for the second rounding to be harmless. */
function compute32(operation: HostOperation, a: number, b: number): number {
  let r: number;
  switch (operation) {
    case "add":
    case "sub": {
      const addend = operation === "add" ? b : -b;
      const sum = a + addend;
      r = Math.fround(sum);
      inexact = r !== sum || sumError(a, addend, sum) !== 0;
      return r;
    }
    case "mul":
      r = Math.fround(a * b);
      inexact = r !== a * b;
      return r;
    case "div":
      r = Math.fround(a / b);
      inexact = r * b !== a;
      return r;
    default:
      r = Math.fround(Math.sqrt(b));
      inexact = r * r !== b;
      return r;
  }
}

const results = new Float64Array(4);

/**
 * Does the operation on `count` elements of `size` bytes and writes the destination register, or returns false
 * having done nothing: then the soft path must.
 */
export function computeByHost(
  cpu: CpuState,
  operation: HostOperation,
  size: 4 | 8,
  count: number,
  destination: number,
): boolean {
  const mxcsr = cpu.i32(MXCSR);
  if (mxcsr & MXCSR_RC) return false;
  const { view } = cpu;
  const least = size === 4 ? LEAST_32 : LEAST_64;
  const greatest = size === 4 ? GREATEST_32 : GREATEST_64;
  // Zero or of moderate size; NaN is neither.
  const moderate = (x: number) => x === 0 || (Math.abs(x) >= least && Math.abs(x) <= greatest);
  let anyInexact = false;
  for (let i = 0; i < count; i++) {
    const at = i * size;
    const a = size === 4 ? view.getFloat32(SOFT_FIRST + at, true) : view.getFloat64(SOFT_FIRST + at, true);
    const b = size === 4 ? view.getFloat32(SOFT_SECOND + at, true) : view.getFloat64(SOFT_SECOND + at, true);
    if (!moderate(b) || (operation !== "sqrt" && !moderate(a))) return false;
    if ((operation === "div" && b === 0) || (operation === "sqrt" && b < 0)) return false;
    results[i] = size === 4 ? compute32(operation, a, b) : compute64(operation, a, b);
    anyInexact ||= inexact;
  }
  if (anyInexact) {
    if (!(mxcsr & MXCSR_PM)) return false;
    cpu.setI32(MXCSR, mxcsr | PE);
  }
  for (let i = 0; i < count; i++) {
    if (size === 4) view.setFloat32(destination + i * 4, results[i]!, true);
    else view.setFloat64(destination + i * 8, results[i]!, true);
  }
  return true;
}
