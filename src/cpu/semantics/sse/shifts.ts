/** Packed shifts: counts from an immediate, or from the low quadword of a register or memory (SDM vol. 2, PSLLW). */
import { type I32, type I64, i32, lane, op, select, type V128 } from "../../../wasm/index.ts";
import { ImmediateOperand, type Operand } from "../operands.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import {
  constant,
  IOTA,
  immediateByte,
  readVector,
  require,
  requireSse,
  sources,
  writeVector,
} from "./access.ts";

/** The count as an unsigned quadword; an XMM or memory count is read whole, for its alignment. */
function readCount(operand: Operand, s: Stage): I64 {
  if (operand instanceof ImmediateOperand) return s.b.let(operand.read().and(0xff));
  if (operand.width === 8) return operand.read();
  return s.b.let(lane<I64>("i64x2.extract_lane", [0], operand.readV()));
}

/** A logical shift by the element width or more clears; an arithmetic one fills with the sign. */
function shift(operator: string, bits: number): Definition {
  return (s) => {
    require(s);
    const { destination, first, second } = operandsOf(s);
    const count = readCount(second, s);
    const value = readVector(first);
    const shifted = (amount: I32) => op(operator, value, amount);
    const tooFar = count.gtU(bits - 1);
    if (operator.endsWith("shr_s")) {
      writeVector(destination, shifted(select(tooFar, i32(bits - 1), count.wrap())));
    } else {
      writeVector(destination, select(tooFar, constant(0, 0), shifted(count.wrap())));
    }
  };
}

/** Shift rows name their count last, immediates included. */
function operandsOf(s: Stage): { destination: Operand; first: Operand; second: Operand } {
  const last = s.operands.length - 1;
  return { destination: s.operand(0), first: s.operand(last === 2 ? 1 : 0), second: s.operand(last) };
}

/** The immediate, 16 or `limit` at most, as byte lanes. */
function byteCount(s: Stage, limit: number): V128 {
  const count = immediateByte(s);
  return s.b.let(op("i8x16.splat", s.b.let(select(count.gtU(limit), i32(limit), count))));
}

/** PSLLDQ, PSRLDQ: an index outside 0-15 makes the swizzle give zero. */
function shiftBytes(direction: "add" | "sub"): Definition {
  return (s) => {
    requireSse(s);
    const { destination, first } = operandsOf(s);
    const index = op(`i8x16.${direction}`, constant(...IOTA), byteCount(s, 16));
    destination.writeV(op("i8x16.swizzle", first.readV(), index));
  };
}

/** PALIGNR: the two sources as one, the second low, shifted right by bytes. */
const align: Definition = (s) => {
  require(s);
  const { destination, first, second } = sources(s);
  const low = readVector(second);
  const high = readVector(first);
  const mmx = destination.width === 8;
  const from = s.b.let(op("i8x16.add", constant(...IOTA), byteCount(s, mmx ? 16 : 32)));
  if (mmx) {
    const halves = lane<V128>("i64x2.replace_lane", [1], low, lane<I64>("i64x2.extract_lane", [0], high));
    writeVector(destination, op("i8x16.swizzle", halves, from));
    return;
  }
  const beyond = op("i8x16.sub", from, op("i8x16.splat", i32(16)));
  writeVector(destination, op("v128.or", op("i8x16.swizzle", low, from), op("i8x16.swizzle", high, beyond)));
};

export const shifts: Definitions = {
  PSLLW: shift("i16x8.shl", 16),
  PSLLD: shift("i32x4.shl", 32),
  PSLLQ: shift("i64x2.shl", 64),
  PSRLW: shift("i16x8.shr_u", 16),
  PSRLD: shift("i32x4.shr_u", 32),
  PSRLQ: shift("i64x2.shr_u", 64),
  PSRAW: shift("i16x8.shr_s", 16),
  PSRAD: shift("i32x4.shr_s", 32),
  PSLLDQ: shiftBytes("sub"),
  PSRLDQ: shiftBytes("add"),
  PALIGNR: align,
};
