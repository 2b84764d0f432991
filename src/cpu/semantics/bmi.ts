/** BMI1 and BMI2 without the shifts and MULX: ANDN BEXTR BLSI BLSMSK BLSR BZHI PDEP PEXT (SDM vol. 2). */
import { type I64, i64, select } from "../../wasm/index.ts";
import { truncate } from "./operand-reads.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

const andNot: Definition = (s) => {
  const destination = s.operand(0);
  const result = s.b.let(truncate(s.operand(1).read().not().and(s.operand(2).read()), destination.width));
  s.flags.logic(destination.scalar, result);
  destination.write(result);
};

/** BLSI, BLSMSK, BLSR: CF tells of a source of 0, the other way round for BLSI. */
function lowestBit(compute: (value: I64) => I64, carryWhenZero: boolean): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const value = s.operand(1).read();
    const result = s.b.let(truncate(compute(value), width));
    const zero = value.eqz();
    const carry = s.b.let((carryWhenZero ? zero : zero.eqz()).toU64());
    s.flags.result(width, result, carry, i64(0));
    destination.write(result);
  };
}

/** The low `count` bits set; any count from 0. */
function lowMask(s: Stage, count: I64): I64 {
  const n = s.b.let(count);
  return select(n.ltU(64), i64(1).shl(n).sub(1), i64(-1));
}

const extractBits: Definition = (s) => {
  const { b } = s;
  const destination = s.operand(0);
  const value = s.operand(1).read();
  const control = s.operand(2).read();
  const start = b.let(control.and(0xff));
  const shifted = b.let(select(start.ltU(64), value.shrU(start), i64(0)));
  const result = b.let(shifted.and(lowMask(s, control.shrU(8).and(0xff))));
  s.flags.logic(destination.scalar, result);
  destination.write(result);
};

/** CF: the index does not lie inside the operand. */
const zeroHighBits: Definition = (s) => {
  const { b } = s;
  const destination = s.operand(0);
  const width = destination.scalar;
  const value = s.operand(1).read();
  const index = b.let(s.operand(2).read().and(0xff));
  const result = b.let(value.and(lowMask(s, index)));
  const carry = b.let(index.gtU(width * 8 - 1).toU64());
  s.flags.result(width, result, carry, i64(0));
  destination.write(result);
};

/** PDEP and PEXT: one pass for each bit set in the mask. */
function scatter(deposit: boolean): Definition {
  return (s) => {
    const { b } = s;
    const source = s.operand(1).read();
    const mask = b.local("i64");
    const result = b.local("i64");
    const place = b.local("i64");
    b.set(mask, s.operand(2).read());
    b.set(result, i64(0));
    b.set(place, i64(1));
    b.block((done) => {
      b.loop((again) => {
        b.brIf(done, mask.eqz());
        const lowest = b.let(mask.and(mask.neg()));
        const [from, to] = deposit ? [place, lowest] : [lowest, place];
        b.set(result, result.or(select(source.and(from).eqz(), i64(0), to)));
        b.set(mask, mask.and(mask.sub(1)));
        b.set(place, place.shl(1));
        b.br(again);
      });
    });
    s.operand(0).write(result);
  };
}

export const bmi: Definitions = {
  ANDN: andNot,
  BLSI: lowestBit((value) => value.and(value.neg()), false),
  BLSMSK: lowestBit((value) => value.xor(value.sub(1)), true),
  BLSR: lowestBit((value) => value.and(value.sub(1)), true),
  BEXTR: extractBits,
  BZHI: zeroHighBits,
  PDEP: scatter(true),
  PEXT: scatter(false),
};
