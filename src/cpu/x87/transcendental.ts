/** F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS, FSINCOS. */

import {
  fpatan as angle,
  blocked,
  f2xm1 as exponential,
  type FloatEnvironment,
  fyl2x as logarithm,
  fyl2xp1 as logarithmPlusOne,
  trigonometric,
} from "../softfloat/index.ts";
import { type Execute, finish, INDEFINITE, pop, push, stackFault, unary } from "./instruction.ts";
import { Status } from "./state.ts";

export const f2xm1: Execute = unary(exponential);

/** Replaces ST(1) by a function of ST(0) and ST(1), and pops. */
function binary(compute: (x: bigint, y: bigint, env: FloatEnvironment) => bigint): Execute {
  return (x) => {
    const { state, env } = x;
    if (state.isEmpty(0) || state.isEmpty(1)) {
      if (!stackFault(x, false)) return;
      state.set(1, INDEFINITE);
    } else {
      const value = compute(state.get(0), state.get(1), env);
      finish(x);
      if (blocked(env)) return;
      state.set(1, value);
    }
    pop(state);
  };
}

export const fyl2x = binary(logarithm);
export const fyl2xp1 = binary(logarithmPlusOne);
export const fpatan = binary(angle);

/** C2 = 1 tells an operand of 2^63 or more, which is left alone. */
const MASK = Status.C1 | Status.C2;

function replacing(kind: "sine" | "cosine"): Execute {
  return (x) => {
    const { state, env } = x;
    if (state.isEmpty(0)) {
      if (stackFault(x, false)) state.set(0, INDEFINITE);
      finish(x, 0, MASK);
      return;
    }
    const { value, outOfRange } = trigonometric(kind, state.get(0), env);
    finish(x, outOfRange ? Status.C2 : 0, MASK);
    if (!blocked(env) && !outOfRange) state.set(0, value);
  };
}

export const fsin = replacing("sine");
export const fcos = replacing("cosine");

function replacingAndPushing(kind: "both" | "tangent"): Execute {
  return (x) => {
    const { state, env } = x;
    const underflow = state.isEmpty(0);
    if (underflow || !state.isEmpty(7)) {
      const masked = stackFault(x, !underflow);
      finish(x, 0, Status.C2);
      if (!masked) return;
      state.set(0, INDEFINITE);
      push(x, INDEFINITE);
      return;
    }
    const { value, pushed, outOfRange } = trigonometric(kind, state.get(0), env);
    finish(x, outOfRange ? Status.C2 : 0, MASK);
    if (blocked(env) || outOfRange) return;
    state.set(0, value);
    push(x, pushed);
  };
}

export const fsincos = replacingAndPushing("both");
export const fptan = replacingAndPushing("tangent");
