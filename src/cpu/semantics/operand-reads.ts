/** What many families read in the same way. */
import { type I64, i64 } from "../../wasm/index.ts";
import { Gpr } from "../registers.ts";
import type { Operand } from "./operands.ts";
import type { Stage } from "./stage.ts";

/** An operand as wide as the destination: immediates that are narrower are sign-extended. */
export function readAs(operand: Operand, width: number): I64 {
  return operand.width < width ? operand.readSigned() : operand.read();
}

/** All ones in the low `width` bytes. */
export function widthMask(width: number): bigint {
  return (1n << BigInt(width * 8)) - 1n;
}

/** The bits above `width` bytes cleared. */
export function truncate(value: I64, width: number): I64 {
  return width >= 8 ? value : value.and(widthMask(width));
}

/** Bit `index` as 0 or 1. */
export function bitOf(value: I64, index: number | I64): I64 {
  return value.shrU(index).and(1);
}

/** The sign bit of a value of `width` bytes, as 0 or 1; what lies above may be anything. */
export function signOf(value: I64, width: number): I64 {
  return width === 8 ? value.shrU(63) : bitOf(value, width * 8 - 1);
}

/** The accumulator in the width of an operand. */
export function accumulator(s: Stage, width: number): Operand {
  return s.gpr(Gpr.RAX, width as 1 | 2 | 4 | 8);
}

export const ZERO_64 = i64(0);
