/** FCOM, FUCOM, FICOM, FTST, FXAM, FCOMI, FUCOMI and their popping forms. */

import {
  blocked,
  compareFlags,
  examine,
  extended80,
  integerOperand,
  type Relation,
  relation,
  unpack,
} from "../softfloat/index.ts";
import type { MemoryOperand } from "./arithmetic.ts";
import { type Execute, finish, type Instruction, pop, stackFault } from "./instruction.ts";
import { Status } from "./state.ts";

const C320 = Status.C3 | Status.C2 | Status.C0;
const COMPARE_MASK = C320 | Status.C1;

/** C3, C2, C0 by relation (SDM vol. 2A, FCOM, table 3-21). */
function conditionCodes(found: Relation): number {
  if (found === 2) return C320;
  return found === 0 ? Status.C3 : found < 0 ? Status.C0 : 0;
}

function popTimes(x: Instruction, pops: number): void {
  for (let i = 0; i < pops; i++) pop(x.state);
}

/** What a comparison with an empty register leaves: "unordered", and the pops if masked. */
function underflow(x: Instruction, pops: number): void {
  const masked = stackFault(x, false);
  finish(x, C320, COMPARE_MASK);
  if (masked) popTimes(x, pops);
}

/** Compares ST(0) with a memory operand (FCOM m32, FICOM m16, ...). */
export function compareMemory(operand: MemoryOperand, pops: number): Execute {
  return (x) => {
    const b = operand(x);
    if (x.state.isEmpty(0)) return underflow(x, pops);
    const found = relation(unpack(extended80, x.state.get(0)), b, x.env, true);
    finish(x, conditionCodes(found), COMPARE_MASK);
    if (!blocked(x.env)) popTimes(x, pops);
  };
}

/** Compares ST(0) with ST(i); the signalling forms raise IE for quiet NaNs too. */
export function compareRegister(signalling: boolean, pops: number): Execute {
  return (x) => {
    if (x.state.isEmpty(0) || x.state.isEmpty(x.i)) return underflow(x, pops);
    const found = registerRelation(x, signalling);
    finish(x, conditionCodes(found), COMPARE_MASK);
    if (!blocked(x.env)) popTimes(x, pops);
  };
}

function registerRelation(x: Instruction, signalling: boolean): Relation {
  const { state, env } = x;
  return relation(unpack(extended80, state.get(0)), unpack(extended80, state.get(x.i)), env, signalling);
}

/** FCOMI, FUCOMI and their popping forms: the relation goes to ZF, PF and CF; C1 stays. */
export function compareToFlags(signalling: boolean, pops: number): Execute {
  return (x) => {
    if (x.state.isEmpty(0) || x.state.isEmpty(x.i)) {
      const masked = stackFault(x, false);
      x.bus.setFlags(compareFlags(2));
      if (masked) popTimes(x, pops);
      return;
    }
    const found = registerRelation(x, signalling);
    x.bus.setFlags(compareFlags(found));
    finish(x, 0, 0);
    if (!blocked(x.env)) popTimes(x, pops);
  };
}

const ZERO = integerOperand(0n);

export const ftst: Execute = compareMemory(() => ZERO, 0);

/** FXAM: the class of ST(0) in C3, C2, C0, its sign in C1; an empty register is 101. */
export const fxam: Execute = (x) => {
  const { state } = x;
  const value = state.get(0);
  const kind = state.isEmpty(0) ? 0b101 : examine(value);
  const codes =
    (kind & 4 ? Status.C3 : 0) |
    (kind & 2 ? Status.C2 : 0) |
    (kind & 1 ? Status.C0 : 0) |
    (value >> 79n ? Status.C1 : 0);
  finish(x, codes, COMPARE_MASK);
};
