/**
 * The six status flags, kept lazily and without a record of the operation that set them.
 *
 * Three values describe them, whatever the operand width was:
 * - result: the result shifted left so that its sign is bit 63. ZF = (result == 0).
 * - carry: the vector of carries (or borrows) out of each bit, shifted in the same way.
 *   CF = bit 63, OF = bit 63 xor bit 62.
 * - parity (i32): byte 0 is the result's low byte (PF is its parity); bit 11 is the carry out of bit 3 (AF);
 *   bit 16 flips SF, which is bit 63 of result otherwise. The flip exists for POPF and SAHF, which can set
 *   ZF and SF together.
 * So a conditional branch never asks which instruction came before.
 */
import { type FunctionBuilder, type I32, type I64, i32, i64, load, op, select } from "../../wasm/index.ts";
import { FLAGS_CARRY, FLAGS_PARITY, FLAGS_RESULT } from "../layout.ts";
import { Flag } from "../registers.ts";

/** Operand width in bytes. */
export type Width = 1 | 2 | 4 | 8;

export class Flags {
  readonly #b: FunctionBuilder;
  readonly #cpu: I32;

  constructor(b: FunctionBuilder, cpu: I32) {
    this.#b = b;
    this.#cpu = cpu;
  }

  #set(width: Width, result: I64, carries: I64 | null): void {
    const shift = 64 - 8 * width;
    const b = this.#b;
    b.store("i64.store", this.#cpu, result.shl(shift), FLAGS_RESULT);
    b.store("i64.store", this.#cpu, carries ? carries.shl(shift) : i64(0), FLAGS_CARRY);
    const low = result.wrap().and(0xff);
    b.store("i32.store", this.#cpu, carries ? low.or(carries.wrap().and(8).shl(8)) : low, FLAGS_PARITY);
  }

  /** After `result = a + b` (+ carry); bits above the width may be anything. */
  add(width: Width, a: I64, b: I64, result: I64): void {
    this.#set(width, result, this.#b.let(a.and(b).or(a.or(b).and(result.not()))));
  }

  /** After `result = a - b` (- borrow). */
  sub(width: Width, a: I64, b: I64, result: I64): void {
    this.#set(width, result, this.#b.let(a.not().and(b).or(a.xor(b).not().and(result))));
  }

  /** AND, OR, XOR, TEST: CF = OF = 0; AF, undefined, becomes 0. */
  logic(width: Width, result: I64): void {
    this.#set(width, result, null);
  }

  /** INC and DEC: as `add`/`sub` with 1, but CF stays. */
  increment(width: Width, a: I64, result: I64, sign: 1 | -1): void {
    const b = this.#b;
    const carries = b.let(sign === 1 ? a.and(result.not()) : a.not().and(result));
    const shift = 64 - 8 * width;
    // OF stays bit 63 xor bit 62 of the new vector, bit 63 must be the old CF.
    const shifted = b.let(carries.shl(shift));
    const overflow = shifted.xor(shifted.shl(1)).shrU(63);
    const old = b.let(load("i64.load", this.#cpu, FLAGS_CARRY).shrU(63));
    const vector = old.shl(63).or(old.xor(overflow).shl(62));
    b.store("i64.store", this.#cpu, vector, FLAGS_CARRY);
    b.store("i64.store", this.#cpu, result.shl(shift), FLAGS_RESULT);
    b.store("i32.store", this.#cpu, result.wrap().and(0xff).or(carries.wrap().and(8).shl(8)), FLAGS_PARITY);
  }

  /** SF, ZF and PF from `result`; CF and OF (each 0 or 1) as given; AF becomes 0. */
  result(width: Width, result: I64, cf: I64, of: I64): void {
    const b = this.#b;
    const carry = b.let(cf);
    b.store("i64.store", this.#cpu, result.shl(64 - 8 * width), FLAGS_RESULT);
    b.store("i64.store", this.#cpu, carry.shl(63).or(carry.xor(of).shl(62)), FLAGS_CARRY);
    b.store("i32.store", this.#cpu, result.wrap().and(0xff), FLAGS_PARITY);
  }

  /** CF (0 or 1) and OF (0 or 1) alone; the others stay. */
  setCarryOverflow(cf: I64, of: I64): void {
    const b = this.#b;
    const carry = b.let(cf);
    b.store("i64.store", this.#cpu, carry.shl(63).or(carry.xor(of).shl(62)), FLAGS_CARRY);
  }

  /** CF (0 or 1) alone; OF stays. */
  setCarry(cf: I64): void {
    const overflow = this.#b.let(this.of().toU64());
    this.setCarryOverflow(cf, overflow);
  }

  #result(): I64 {
    return load("i64.load", this.#cpu, FLAGS_RESULT);
  }
  #carry(): I64 {
    return load("i64.load", this.#cpu, FLAGS_CARRY);
  }
  #parity(): I32 {
    return load("i32.load", this.#cpu, FLAGS_PARITY);
  }
  #overflowAtSign(): I64 {
    return this.#carry().xor(this.#carry().shl(1));
  }
  #signFlip(): I32 {
    return load("i32.load8_u", this.#cpu, FLAGS_PARITY + 2);
  }

  /** Each flag as 0 or 1. */
  cf(): I32 {
    return this.#carry().shrU(63).wrap();
  }
  of(): I32 {
    return this.#overflowAtSign().shrU(63).wrap();
  }
  zf(): I32 {
    return this.#result().eqz();
  }
  sf(): I32 {
    return this.#result().shrU(63).wrap().xor(this.#signFlip());
  }
  pf(): I32 {
    return this.#parity().and(0xff).popcnt().and(1).eqz();
  }
  af(): I32 {
    return this.#parity().shrU(11).and(1);
  }
  /** SF != OF. */
  less(): I32 {
    return this.#result().xor(this.#overflowAtSign()).shrU(63).wrap().xor(this.#signFlip());
  }

  /** Condition `code` (0-15) as 0 or 1. */
  condition(code: number): I32 {
    const positive = [
      () => this.of(),
      () => this.cf(),
      () => this.zf(),
      () => this.cf().or(this.zf()),
      () => this.sf(),
      () => this.pf(),
      () => this.less(),
      () => this.less().or(this.zf()),
    ][code >> 1]!();
    return code & 1 ? positive.eqz() : positive;
  }

  /** The six flags in their RFLAGS positions. */
  image(): I32 {
    return this.cf()
      .or(this.pf().shl(2))
      .or(this.af().shl(4))
      .or(this.zf().shl(6))
      .or(this.sf().shl(7))
      .or(this.of().shl(11));
  }

  /** Sets the six flags from an RFLAGS image. */
  setImage(image: I32): void {
    const b = this.#b;
    const flags = b.let(image);
    const bit = (mask: number) => flags.and(mask).ne(0);
    b.store("i64.store", this.#cpu, bit(Flag.ZF).eqz().toU64(), FLAGS_RESULT);
    const cf = b.let(bit(Flag.CF).toU64());
    b.store("i64.store", this.#cpu, cf.shl(63).or(cf.xor(bit(Flag.OF).toU64()).shl(62)), FLAGS_CARRY);
    const parity = bit(Flag.PF).eqz().or(bit(Flag.AF).shl(11)).or(bit(Flag.SF).shl(16));
    b.store("i32.store", this.#cpu, parity, FLAGS_PARITY);
  }

  /** Replaces ZF alone; the others stay. For the rare instructions that do so. */
  setZero(zf: I32): void {
    const zero = this.#b.let(zf);
    this.setImage(select(zero, this.image().or(Flag.ZF), this.image().and(~Flag.ZF)));
  }
}

/** 1 when bit `index` of a constant table is set: for small truth tables. */
export function tableBit(table: number, index: I32): I32 {
  return op("i32.shr_u", i32(table), index).and(1);
}
