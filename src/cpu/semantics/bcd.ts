/** Decimal adjustment, not in 64-bit code: DAA DAS AAA AAS AAM AAD (SDM vol. 2). */
import { type I32, type I64, i32, i64, select } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { Flag, Gpr } from "../registers.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

/** SF, ZF and PF of a byte, with AF and CF as given (each 0 or 1) and OF = 0, as an RFLAGS image. */
function setByteFlags(s: Stage, result: I64, adjust: I32, carry: I32): void {
  const byte = s.b.let(result.wrap().and(0xff));
  const image = byte
    .eqz()
    .shl(Math.log2(Flag.ZF))
    .or(byte.and(0x80))
    .or(byte.popcnt().and(1).eqz().shl(Math.log2(Flag.PF)))
    .or(adjust.shl(Math.log2(Flag.AF)))
    .or(carry);
  s.flags.setImage(image);
}

/** DAA and DAS. */
function decimalAdjust(sign: 1 | -1): Definition {
  return (s) => {
    const { b, flags } = s;
    const register = s.gpr(Gpr.RAX, 1);
    const al = register.read();
    const oldCarry = b.let(flags.cf());
    const low = b.let(al.and(15).gtU(9).or(flags.af()));
    const high = b.let(al.gtU(0x99).or(oldCarry));
    const afterLow = b.let(al.add(select(low, i64(6 * sign), i64(0))));
    const result = b.let(afterLow.add(select(high, i64(0x60 * sign), i64(0))));
    register.write(result);
    // DAS alone keeps the borrow of its first step (SDM vol. 2, DAS).
    const borrowed = sign === 1 ? high : high.or(low.and(al.ltU(6)));
    setByteFlags(s, result, low, b.let(borrowed));
  };
}

/** AAA and AAS: AX changes as a whole, so that the adjustment of AL carries into AH. */
function asciiAdjust(sign: 1 | -1): Definition {
  return (s) => {
    const { b, flags } = s;
    const register = s.gpr(Gpr.RAX, 2);
    const ax = register.read();
    const adjust = b.let(ax.and(15).gtU(9).or(flags.af()));
    const adjusted = b.let(ax.add(select(adjust, i64(0x106 * sign), i64(0))).and(0xff0f));
    register.write(adjusted);
    setByteFlags(s, adjusted, adjust, adjust);
  };
}

const adjustAfterMultiply: Definition = (s) => {
  const { b } = s;
  const base = s.operand(0).read();
  s.faultIf(base.eqz(), Vector.DE);
  const al = s.gpr(Gpr.RAX, 1).read();
  const low = b.let(al.remU(base));
  s.gpr(Gpr.RAX, 2).write(al.divU(base).shl(8).or(low));
  setByteFlags(s, low, i32(0), i32(0));
};

const adjustBeforeDivide: Definition = (s) => {
  const { b } = s;
  const base = s.operand(0).read();
  const register = s.gpr(Gpr.RAX, 2);
  const ax = register.read();
  const result = b.let(ax.and(0xff).add(ax.shrU(8).mul(base)).and(0xff));
  register.write(result);
  setByteFlags(s, result, i32(0), i32(0));
};

export const bcd: Definitions = {
  DAA: decimalAdjust(1),
  DAS: decimalAdjust(-1),
  AAA: asciiAdjust(1),
  AAS: asciiAdjust(-1),
  AAM: adjustAfterMultiply,
  AAD: adjustBeforeDivide,
};
