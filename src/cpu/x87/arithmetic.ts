/** FADD, FSUB, FMUL, FDIV in all forms, FSQRT, FABS, FCHS, FRNDINT, FSCALE, FXTRACT, FPREM, FPREM1. */

import {
  binary32,
  binary64,
  blocked,
  difference,
  extended80,
  extract,
  integerOperand,
  product,
  quotient,
  remainder,
  roundToIntegral,
  scale,
  squareRoot,
  sum,
  type Unpacked,
  type UnpackedOperation,
  unpack,
} from "../softfloat/index.ts";
import {
  type Execute,
  finish,
  INDEFINITE,
  type Instruction,
  pop,
  push,
  stackFault,
  unary,
} from "./instruction.ts";
import { fromBytes } from "./load-store.ts";
import { CONDITION_CODES, Status } from "./state.ts";

/** The eight operations by the reg field of D8, DA, DC and DE; null where FCOM and FCOMP are. */
export const OPERATIONS: readonly (UnpackedOperation | null)[] = [
  sum,
  product,
  null,
  null,
  difference,
  reversed(difference),
  quotient,
  reversed(quotient),
];

function reversed(operation: UnpackedOperation): UnpackedOperation {
  return (format, a, b, env) => operation(format, b, a, env);
}

/** A memory operand of arithmetic and comparisons. */
export type MemoryOperand = (x: Instruction) => Unpacked;

export const m32fp: MemoryOperand = (x) => unpack(binary32, fromBytes(x.bus.read(4)));
export const m64fp: MemoryOperand = (x) => unpack(binary64, fromBytes(x.bus.read(8)));
export const m16int: MemoryOperand = (x) => integerOperand(BigInt.asIntN(16, fromBytes(x.bus.read(2))));
export const m32int: MemoryOperand = (x) => integerOperand(BigInt.asIntN(32, fromBytes(x.bus.read(4))));

/** ST(0) = ST(0) op memory. */
export function withMemory(operation: UnpackedOperation, operand: MemoryOperand): Execute {
  return (x) => {
    const { state, env } = x;
    const b = operand(x);
    if (state.isEmpty(0)) {
      if (stackFault(x, false)) state.set(0, INDEFINITE);
      return;
    }
    const value = operation(extended80, unpack(extended80, state.get(0)), b, env);
    finish(x);
    if (!blocked(env)) state.set(0, value);
  };
}

/**
 * ST(0) = ST(0) op ST(i), or ST(i) = ST(i) op ST(0), with a pop if told. In the latter forms the reg fields
 * of the reversed operations are exchanged, which the table takes care of.
 */
export function withRegister(operation: UnpackedOperation, toI: boolean, pops = false): Execute {
  return (x) => {
    const { state, env } = x;
    const destination = toI ? x.i : 0;
    if (state.isEmpty(0) || state.isEmpty(x.i)) {
      if (!stackFault(x, false)) return;
      state.set(destination, INDEFINITE);
    } else {
      const a = unpack(extended80, state.get(destination));
      const b = unpack(extended80, state.get(toI ? 0 : x.i));
      const value = operation(extended80, a, b, env);
      finish(x);
      if (blocked(env)) return;
      state.set(destination, value);
    }
    if (pops) pop(state);
  };
}

const SIGN = 1n << 79n;

export const fchs: Execute = unary((value) => value ^ SIGN);
export const fabs: Execute = unary((value) => value & ~SIGN);
export const fsqrt: Execute = unary((value, env) => squareRoot(extended80, value, env));
export const frndint: Execute = unary((value, env) => roundToIntegral(extended80, value, env));

/** Replaces ST(0) by a function of ST(0) and ST(1). */
export const fscale: Execute = (x) => {
  const { state, env } = x;
  if (state.isEmpty(0) || state.isEmpty(1)) {
    if (stackFault(x, false)) state.set(0, INDEFINITE);
    return;
  }
  const value = scale(state.get(0), state.get(1), env);
  finish(x);
  if (!blocked(env)) state.set(0, value);
};

export const fxtract: Execute = (x) => {
  const { state, env } = x;
  const underflow = state.isEmpty(0);
  if (underflow || !state.isEmpty(7)) {
    if (!stackFault(x, !underflow)) return;
    state.set(0, INDEFINITE);
    push(x, INDEFINITE);
    return;
  }
  const { exponent, significand } = extract(state.get(0), env);
  finish(x);
  if (blocked(env)) return;
  state.set(0, exponent);
  push(x, significand);
};

/** FPREM and FPREM1: quotient bits 2, 1, 0 go to C0, C3, C1; C2 tells an incomplete reduction. */
export function partialRemainder(nearest: boolean): Execute {
  return (x) => {
    const { state, env } = x;
    if (state.isEmpty(0) || state.isEmpty(1)) {
      if (stackFault(x, false)) state.set(0, INDEFINITE);
      finish(x, 0, Status.C1 | Status.C2);
      return;
    }
    const { value, quotient: bits, incomplete } = remainder(state.get(0), state.get(1), nearest, env);
    const q = bits ?? 0;
    const codes =
      (q & 4 ? Status.C0 : 0) |
      (q & 2 ? Status.C3 : 0) |
      (q & 1 ? Status.C1 : 0) |
      (incomplete ? Status.C2 : 0);
    // Without a quotient C0 and C3 stay as they were.
    finish(x, codes, bits === undefined ? Status.C1 | Status.C2 : CONDITION_CODES);
    if (!blocked(env)) state.set(0, value);
  };
}
