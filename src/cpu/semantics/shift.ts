/**
 * Shifts and rotates: SHL SHR SAR, ROL ROR, RCL RCR, SHLD SHRD (SDM vol. 2, SAL/SAR/SHL/SHR and RCL/RCR).
 *
 * Counts are masked to 5 bits, 6 for 64-bit operands. A masked count of 0 changes no flag; the destination is
 * written even so, which zero-extends a 32-bit register.
 */
import { type I64, i64 } from "../../wasm/index.ts";
import { bitOf, signOf, truncate } from "./operand-reads.ts";
import type { Operand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

/** The masked count. */
function countOf(s: Stage, operand: Operand, width: number): I64 {
  return s.b.let(operand.read().and(width === 8 ? 63 : 31));
}

interface Outcome {
  /** What lies above the width may be anything. */
  readonly result: I64;
  /** CF and OF, each 0 or 1; only evaluated where the count is not 0. */
  readonly carry: () => I64;
  readonly overflow: (carry: I64, result: I64) => I64;
}

function shift(compute: (a: I64, count: I64, width: number, s: Stage) => Outcome): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const count = countOf(s, s.operand(1), width);
    destination.update((a) => {
      const { result, carry, overflow } = compute(a, count, width, s);
      const value = s.b.let(result);
      s.b.if(count.eqz().eqz(), () => {
        const out = s.b.let(carry());
        s.flags.result(width, value, out, overflow(out, value));
      });
      return value;
    });
  };
}

/** OF is defined for 1-bit shifts only; these formulas are what processors compute for all counts. */
const shl = shift((a, count, width) => ({
  result: a.shl(count),
  // The bit last shifted out: bit (bits - count); bits beyond the operand are 0.
  carry: () => (width === 8 ? a.shl(count.sub(1)).shrU(63) : bitOf(a.shl(count), width * 8)),
  overflow: (carry, result) => carry.xor(signOf(result, width)),
}));

const shr = shift((a, count, width) => ({
  result: a.shrU(count),
  carry: () => bitOf(a, count.sub(1)),
  overflow: () => signOf(a, width),
}));

const sar = shift((a, count, width, s) => {
  const signed = s.b.let(a.signExtend((width * 8) as 8 | 16 | 32 | 64));
  return {
    result: signed.shrS(count),
    carry: () => signed.shrS(count.sub(1)).and(1),
    overflow: () => i64(0),
  };
});

/** Rotates change CF and OF alone. */
function rotate(
  compute: (a: I64, count: I64, width: number) => I64,
  carry: (result: I64, width: number) => I64,
  overflow: (result: I64, carry: I64, width: number) => I64,
): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const count = countOf(s, s.operand(1), width);
    destination.update((a) => {
      const result = s.b.let(truncate(compute(a, count, width), width));
      s.b.if(count.eqz().eqz(), () => {
        const out = s.b.let(carry(result, width));
        s.flags.setCarryOverflow(out, overflow(result, out, width));
      });
      return result;
    });
  };
}

/** Left rotation; 8- and 16-bit operands turn by the count modulo their width. */
function rotateLeft(a: I64, count: I64, width: number): I64 {
  if (width === 8) return a.rotl(count);
  if (width === 4) return a.wrap().rotl(count.wrap()).toU64();
  const turn = count.and(width * 8 - 1);
  return a.shl(turn).or(a.shrU(i64(width * 8).sub(turn)));
}

function rotateRight(a: I64, count: I64, width: number): I64 {
  if (width === 8) return a.rotr(count);
  if (width === 4) return a.wrap().rotr(count.wrap()).toU64();
  const turn = count.and(width * 8 - 1);
  return a.shrU(turn).or(a.shl(i64(width * 8).sub(turn)));
}

/** The two highest bits differ: OF of the right rotates. */
function topBitsDiffer(result: I64, width: number): I64 {
  return signOf(result, width).xor(bitOf(result, width * 8 - 2));
}

const rol = rotate(
  rotateLeft,
  (result) => result.and(1),
  (result, carry, width) => carry.xor(signOf(result, width)),
);
const ror = rotate(
  rotateRight,
  (result, width) => signOf(result, width),
  (result, _carry, width) => topBitsDiffer(result, width),
);

/** RCL and RCR turn the operand and CF together: 9, 17, 33 or 65 bits. */
function rotateThroughCarry(left: boolean): Definition {
  return (s) => {
    const { b } = s;
    const destination = s.operand(0);
    const width = destination.scalar;
    const bits = width * 8;
    const masked = countOf(s, s.operand(1), width);
    const turn = width >= 4 ? masked : b.let(masked.remU(bits + 1));
    destination.update((a) => {
      const value = b.local("i64");
      b.set(value, a);
      b.if(turn.eqz().eqz(), () => {
        const carry = b.let(s.flags.cf().toU64());
        const rest = i64(bits).sub(turn);
        // Shifting by 1 first keeps every count below 64.
        const shifted = left
          ? a
              .shl(turn)
              .or(carry.shl(turn.sub(1)))
              .or(a.shrU(1).shrU(rest))
          : a.shrU(turn).or(carry.shl(rest)).or(a.shl(1).shl(rest));
        b.set(value, truncate(shifted, width));
        const out = b.let(left ? bitOf(a, rest) : bitOf(a, turn.sub(1)));
        s.flags.setCarryOverflow(out, left ? out.xor(signOf(value, width)) : topBitsDiffer(value, width));
      });
      return value;
    });
  };
}

/**
 * SHLD and SHRD. A 16-bit operand with a count above 16 is undefined; processors go on with the destination's
 * own bits, as here.
 */
function shiftDouble(left: boolean): Definition {
  return (s) => {
    const { b } = s;
    const destination = s.operand(0);
    const width = destination.scalar;
    const bits = width * 8;
    const source = s.operand(1).read();
    const count = countOf(s, s.operand(2), width);
    destination.update((a) => {
      const value = b.local("i64");
      b.set(value, a);
      b.if(count.eqz().eqz(), () => {
        const carry = b.local("i64");
        if (width === 2) {
          // destination : source : destination, 48 bits, shifted by up to 31.
          const line = b.let(a.shl(32).or(source.shl(16)).or(a));
          b.set(value, left ? line.shl(count).shrU(32) : line.shrU(count));
          b.set(carry, left ? bitOf(line.shl(count), 48) : bitOf(line, count.sub(1)));
        } else if (width === 4) {
          const line = b.let(left ? a.shl(32).or(source) : source.shl(32).or(a));
          b.set(value, left ? line.shl(count).shrU(32) : line.shrU(count));
          b.set(carry, left ? line.shl(count.sub(1)).shrU(63) : bitOf(line, count.sub(1)));
        } else {
          const rest = i64(64).sub(count);
          b.set(value, left ? a.shl(count).or(source.shrU(rest)) : a.shrU(count).or(source.shl(rest)));
          b.set(carry, left ? bitOf(a, rest) : bitOf(a, count.sub(1)));
        }
        b.set(value, truncate(value, width));
        // OF: the sign changed (defined for a count of 1).
        s.flags.result(width, value, carry, bitOf(a.xor(value), bits - 1));
      });
      return value;
    });
  };
}

/** SARX SHLX SHRX: three operands, no flags; RORX (SDM vol. 2, BMI2). */
function plainShift(compute: (a: I64, count: I64) => I64, signed = false): Definition {
  return (s) => {
    const source = s.operand(1);
    const value = signed ? source.readSigned() : source.read();
    const count = countOf(s, s.operand(2), source.width);
    s.operand(0).write(compute(value, count));
  };
}

export const shifts: Definitions = {
  SHL: shl,
  SHR: shr,
  SAR: sar,
  ROL: rol,
  ROR: ror,
  RCL: rotateThroughCarry(true),
  RCR: rotateThroughCarry(false),
  SHLD: shiftDouble(true),
  SHRD: shiftDouble(false),
  SHLX: plainShift((a, count) => a.shl(count)),
  SHRX: plainShift((a, count) => a.shrU(count)),
  SARX: plainShift((a, count) => a.shrS(count), true),
  RORX: (s) => {
    const source = s.operand(1);
    const count = countOf(s, s.operand(2), source.width);
    s.operand(0).write(rotateRight(source.read(), count, source.width));
  },
};
