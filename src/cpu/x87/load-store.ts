/** FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP, FXCH, FCMOVcc and the constants. */

import {
  binary32,
  blocked,
  convert,
  extended80,
  type FloatEnvironment,
  type FloatFormat,
  fromBcd,
  fromInteger,
  IE,
  type IntegerWidth,
  PE,
  toBcd,
  toInteger,
} from "../softfloat/index.ts";
import {
  type Execute,
  finish,
  INDEFINITE,
  type Instruction,
  pop,
  push,
  pushing,
  stackFault,
  storeBlocked,
} from "./instruction.ts";

/** Little-endian bytes as an unsigned number. */
export function fromBytes(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

export function toBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** FLD m32fp and m64fp convert; FLD m80fp takes any pattern as it is and raises nothing. */
export function loadFloat(format: FloatFormat): Execute {
  if (format === extended80) return pushing((x) => fromBytes(x.bus.read(10)));
  const length = format === binary32 ? 4 : 8;
  return pushing((x) => convert(format, extended80, fromBytes(x.bus.read(length)), x.env));
}

export function loadInteger(width: IntegerWidth): Execute {
  return pushing((x) => {
    const value = BigInt.asIntN(width, fromBytes(x.bus.read(width / 8)));
    return fromInteger(extended80, value, x.env);
  });
}

export const fbld: Execute = pushing((x) => fromBcd(fromBytes(x.bus.read(10))));

/** FLD ST(i). An empty source counts before a full stack. */
export const loadRegister: Execute = (x) => {
  const { state } = x;
  const underflow = state.isEmpty(x.i);
  if (underflow || !state.isEmpty(7)) {
    if (stackFault(x, !underflow)) push(x, INDEFINITE);
    return;
  }
  const value = state.get(x.i);
  finish(x);
  push(x, value);
};

/**
 * The constants (SDM vol. 2A, FLD1): each with 66 or more bits of its significand, to be rounded by RC as the
 * processors do since the 80387. No exception is raised, the inexactness is not reported.
 */
function constant(
  exponent: number,
  significand: bigint,
  rest: "none" | "below half" | "above half",
): Execute {
  return pushing((x) => {
    const up = rest !== "none" && (x.env.rounding === 2 || (x.env.rounding === 0 && rest === "above half"));
    return (BigInt(exponent) << 64n) | (significand + (up ? 1n : 0n));
  });
}

export const fld1 = constant(0x3fff, 0x8000_0000_0000_0000n, "none");
export const fldl2t = constant(0x4000, 0xd49a_784b_cd1b_8afen, "below half");
export const fldl2e = constant(0x3fff, 0xb8aa_3b29_5c17_f0bbn, "above half");
export const fldpi = constant(0x4000, 0xc90f_daa2_2168_c234n, "above half");
export const fldlg2 = constant(0x3ffd, 0x9a20_9a84_fbcf_f798n, "above half");
export const fldln2 = constant(0x3ffe, 0xb172_17f7_d1cf_79abn, "above half");
export const fldz = constant(0, 0n, "none");

/**
 * Stores what `convertTo` makes of ST(0) in memory, and pops if told. An unmasked exception that keeps the result
 * back does not keep the operand from being checked: a memory fault comes first.
 */
function storing(
  length: number,
  empty: bigint,
  pops: boolean,
  convertTo: (value: bigint, env: FloatEnvironment) => bigint,
): Execute {
  return (x) => {
    const { state, env, bus } = x;
    if (state.isEmpty(0)) {
      if (env.masks & IE) bus.write(toBytes(empty, length));
      else bus.probe(length);
      if (stackFault(x, false) && pops) pop(state);
      return;
    }
    const value = convertTo(state.get(0), env);
    const stored = !storeBlocked(env);
    if (!stored && !blocked(env)) {
      // Nothing was rounded into place, so nothing is said about it.
      env.flags &= ~PE;
      env.roundedUp = false;
    }
    if (stored) bus.write(toBytes(value, length));
    else bus.probe(length);
    finish(x);
    if (stored && pops) pop(state);
  };
}

export function storeFloat(format: FloatFormat, pops: boolean): Execute {
  if (format === extended80) return storing(10, INDEFINITE, pops, (value) => value);
  const single = format === binary32;
  const empty = single ? 0xffc0_0000n : 0xfff8_0000_0000_0000n;
  return storing(single ? 4 : 8, empty, pops, (value, env) => convert(extended80, format, value, env));
}

/** FIST and FISTP by RC; FISTTP toward zero. */
export function storeInteger(width: IntegerWidth, pops: boolean, truncates = false): Execute {
  return storing(width / 8, 1n << BigInt(width - 1), pops, (value, env) =>
    toInteger(extended80, value, width, env, truncates ? 3 : env.rounding),
  );
}

export const fbstp: Execute = storing(10, 0xffff_c000_0000_0000_0000n, true, toBcd);

/** FST ST(i) and FSTP ST(i). */
export function storeRegister(pops: boolean): Execute {
  return (x) => {
    const { state } = x;
    if (state.isEmpty(0)) {
      if (!stackFault(x, false)) return;
      state.set(x.i, INDEFINITE);
    } else {
      state.set(x.i, state.get(0));
      finish(x);
    }
    if (pops) pop(state);
  };
}

/** D9 D8+i, undocumented: FSTP ST(i) that raises nothing for an empty ST(0) and then only pops. */
export const fstpnce: Execute = (x) => {
  const { state } = x;
  if (!state.isEmpty(0)) state.set(x.i, state.get(0));
  finish(x);
  pop(state);
};

/** FXCH: an empty register takes part as the indefinite. */
export const fxch: Execute = (x) => {
  const { state } = x;
  const aEmpty = state.isEmpty(0);
  const bEmpty = state.isEmpty(x.i);
  const a = aEmpty ? INDEFINITE : state.get(0);
  const b = bEmpty ? INDEFINITE : state.get(x.i);
  if (aEmpty || bEmpty) {
    if (!stackFault(x, false)) return;
  } else {
    finish(x);
  }
  state.set(0, b);
  state.set(x.i, a);
};

const CF = 0x01;
const PF = 0x04;
const ZF = 0x40;

function conditionalMove(mask: number, wanted: boolean): Execute {
  return (x: Instruction) => {
    const { state } = x;
    if (state.isEmpty(0) || state.isEmpty(x.i)) {
      if (stackFault(x, false)) state.set(0, INDEFINITE);
      return;
    }
    if (((x.bus.flags & mask) !== 0) === wanted) state.set(0, state.get(x.i));
  };
}

export const fcmovb = conditionalMove(CF, true);
export const fcmove = conditionalMove(ZF, true);
export const fcmovbe = conditionalMove(CF | ZF, true);
export const fcmovu = conditionalMove(PF, true);
export const fcmovnb = conditionalMove(CF, false);
export const fcmovne = conditionalMove(ZF, false);
export const fcmovnbe = conditionalMove(CF | ZF, false);
export const fcmovnu = conditionalMove(PF, false);
