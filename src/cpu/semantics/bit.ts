/** BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT, CRC32. */
import { type I64, i32, i64 } from "../../wasm/index.ts";
import { Flag } from "../registers.ts";
import { bitOf } from "./operand-reads.ts";
import { MemoryOperand, type Operand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

/**
 * The operand that holds the bit, and the bit's place in it. A bit offset in a register reaches beyond a memory
 * operand, in units of the operand size (SDM vol. 2, BT).
 */
function bitPlace(s: Stage): { holder: Operand; place: I64 } {
  const base = s.operand(0);
  const offset = s.operand(1);
  const bits = base.width * 8;
  if (!(base instanceof MemoryOperand) || s.form.row.operands[1]!.kind === "I") {
    return { holder: base, place: s.b.let(offset.read().and(bits - 1)) };
  }
  const signed = offset.readSigned();
  const unit = Math.log2(bits);
  const delta = signed.shrS(unit).shl(Math.log2(base.width));
  return { holder: base.displaced(delta), place: s.b.let(signed.and(bits - 1)) };
}

/** CF is the bit's old value; the flags that are undefined stay, as ZF does. */
function bitTest(change: ((old: I64, mask: I64) => I64) | null): Definition {
  return (s) => {
    const { b, flags } = s;
    const { holder, place } = bitPlace(s);
    if (change === null) {
      flags.setCarry(b.let(bitOf(holder.read(), place)));
      return;
    }
    holder.update((old) => {
      flags.setCarry(b.let(bitOf(old, place)));
      return change(old, i64(1).shl(place));
    });
  };
}

/** BSF and BSR leave the destination alone where the source is 0 (AMD APM vol. 3; Intel's do so too). */
function scan(index: (value: I64) => I64): Definition {
  return (s) => {
    const source = s.operand(1);
    const value = source.read();
    const destination = s.operand(0);
    s.flags.logic(source.scalar, value);
    s.b.if(value.eqz().eqz(), () => destination.write(index(value)));
  };
}

/** TZCNT and LZCNT: CF for a source of 0, ZF for a result of 0. */
function count(compute: (value: I64, width: number) => I64): Definition {
  return (s) => {
    const source = s.operand(1);
    const width = source.scalar;
    const value = source.read();
    const result = s.b.let(compute(value, width));
    s.flags.result(width, result, s.b.let(value.eqz().toU64()), i64(0));
    s.operand(0).write(result);
  };
}

const populationCount: Definition = (s) => {
  const value = s.operand(1).read();
  s.operand(0).write(value.popcnt());
  s.flags.setImage(value.eqz().shl(Math.log2(Flag.ZF)));
};

/** The polynomial 11EDC6F41H, bits reversed: the register shifts right (SDM vol. 2, CRC32). */
const CRC32C = 0x82f6_3b78n;

/** All bits of the source pass in one loop: its bits above 31 wait in the upper half of the register. */
const crc32: Definition = (s) => {
  const { b } = s;
  const destination = s.operand(0);
  const source = s.operand(1);
  const data = source.read();
  const value = b.local("i64");
  const left = b.local("i32");
  b.set(value, destination.read().and(0xffff_ffffn).xor(data));
  b.set(left, i32(source.bits));
  b.loop((again) => {
    const feedback = i64(0).sub(value.and(1)).and(CRC32C);
    b.set(value, value.shrU(1).xor(feedback));
    b.set(left, left.sub(1));
    b.brIf(again, left);
  });
  destination.write(value);
};

export const bits: Definitions = {
  BT: bitTest(null),
  BTS: bitTest((old, mask) => old.or(mask)),
  BTR: bitTest((old, mask) => old.and(mask.not())),
  BTC: bitTest((old, mask) => old.xor(mask)),
  BSF: scan((value) => value.ctz()),
  BSR: scan((value) => i64(63).sub(value.clz())),
  // A bit set just above the operand gives its width for a source of 0.
  TZCNT: count((value, width) => (width === 8 ? value.ctz() : value.or(1n << BigInt(width * 8)).ctz())),
  LZCNT: count((value, width) => value.clz().sub(64 - width * 8)),
  POPCNT: populationCount,
  CRC32: crc32,
};
