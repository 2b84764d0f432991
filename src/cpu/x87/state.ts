/**
 * The x87 registers (SDM vol. 1, 8.1) as they lie in a processor's block; the offsets are in `layout.ts`.
 * A register is an 80-bit pattern, sign and exponent above the significand, as the soft-float library has it.
 */

import * as L from "../layout.ts";
import { ALL_EXCEPTIONS } from "../softfloat/index.ts";

/** Status word, SDM vol. 1, 8.1.3. Bits 5-0 are the exception flags. */
export const Status = {
  SF: 0x0040,
  ES: 0x0080,
  C0: 0x0100,
  C1: 0x0200,
  C2: 0x0400,
  C3: 0x4000,
  B: 0x8000,
} as const;

export const CONDITION_CODES = Status.C0 | Status.C1 | Status.C2 | Status.C3;
const TOP_SHIFT = 11;
const TOP_MASK = 7 << TOP_SHIFT;

/** Control-word bits that can be written: masks, PC, RC, infinity control; bit 6 always reads 1. */
const CONTROL_WRITABLE = 0x1f3f;
const CONTROL_ONES = 0x0040;

/** Tags, SDM vol. 1, 8.1.7. */
const TAG_VALID = 0;
const TAG_ZERO = 1;
const TAG_SPECIAL = 2;
const TAG_EMPTY = 3;

const SIGNIFICAND = 0xffff_ffff_ffff_ffffn;
const INTEGER_BIT = 1n << 63n;

export class X87State {
  readonly #view: DataView;

  /** `view` covers one processor's block (`CpuState.view`). */
  constructor(view: DataView) {
    this.#view = view;
  }

  /** FNINIT (SDM vol. 2A, FINIT): registers keep their contents, all are tagged empty. */
  initialize(): void {
    this.controlWord = 0x037f;
    this.#setU32(L.FSW, 0);
    this.#setU32(L.FTW, 0xffff);
    this.clearPointers();
  }

  get controlWord(): number {
    return this.#u32(L.FCW) & 0xffff;
  }
  set controlWord(value: number) {
    this.#setU32(L.FCW, (value & CONTROL_WRITABLE) | CONTROL_ONES);
    this.updateSummary();
  }

  get statusWord(): number {
    return this.#u32(L.FSW) & 0xffff;
  }
  /** ES and B are not taken over but follow from flags and masks. */
  set statusWord(value: number) {
    this.#setU32(L.FSW, value & 0xffff);
    this.updateSummary();
  }

  /** Recomputes ES and its mirror B: an unmasked exception is pending. */
  updateSummary(): void {
    const status = this.#u32(L.FSW) & ~(Status.ES | Status.B);
    const pending = status & ~this.#u32(L.FCW) & ALL_EXCEPTIONS;
    this.#setU32(L.FSW, pending ? status | Status.ES | Status.B : status);
  }

  /** True if an unmasked exception waits for the next waiting instruction. */
  get pending(): boolean {
    return (this.#u32(L.FSW) & Status.ES) !== 0;
  }

  get top(): number {
    return (this.#u32(L.FSW) & TOP_MASK) >> TOP_SHIFT;
  }
  set top(value: number) {
    this.#setU32(L.FSW, (this.#u32(L.FSW) & ~TOP_MASK) | ((value & 7) << TOP_SHIFT));
  }

  /** Contents of ST(i). */
  get(i: number): bigint {
    return this.physical((this.top + i) & 7);
  }
  /** Writes ST(i) and tags it as in use. */
  set(i: number, value: bigint): void {
    const register = (this.top + i) & 7;
    this.setPhysical(register, value);
    this.#setTag(register, TAG_VALID);
  }

  /** Contents of R0-R7. */
  physical(register: number): bigint {
    const at = L.X87 + register * L.X87_STRIDE;
    return (BigInt(this.#view.getUint16(at + 8, true)) << 64n) | this.#view.getBigUint64(at, true);
  }
  setPhysical(register: number, value: bigint): void {
    const at = L.X87 + register * L.X87_STRIDE;
    this.#view.setBigUint64(at, value & SIGNIFICAND, true);
    this.#view.setUint16(at + 8, Number(value >> 64n), true);
  }

  isEmpty(i: number): boolean {
    return ((this.#u32(L.FTW) >> (2 * ((this.top + i) & 7))) & 3) === TAG_EMPTY;
  }
  /** Tags ST(i) empty. */
  free(i: number): void {
    this.#setTag((this.top + i) & 7, TAG_EMPTY);
  }

  #setTag(register: number, tag: number): void {
    const shift = 2 * register;
    this.#setU32(L.FTW, (this.#u32(L.FTW) & ~(3 << shift)) | (tag << shift));
  }

  /** The tag word as FNSTENV shows it: tags of registers in use are made from their contents. */
  get tagWord(): number {
    const stored = this.#u32(L.FTW);
    let word = 0;
    for (let register = 0; register < 8; register++) {
      const shift = 2 * register;
      const empty = ((stored >> shift) & 3) === TAG_EMPTY;
      word |= (empty ? TAG_EMPTY : contentTag(this.physical(register))) << shift;
    }
    return word;
  }
  set tagWord(value: number) {
    this.#setU32(L.FTW, value & 0xffff);
  }

  /** Last instruction: offset, selector, low 11 bits of its opcode; offset and selector of its operand. */
  get instructionPointer(): bigint {
    return this.#view.getBigUint64(L.FIP, true);
  }
  get dataPointer(): bigint {
    return this.#view.getBigUint64(L.FDP, true);
  }
  get codeSelector(): number {
    return this.#u32(L.FCS) & 0xffff;
  }
  get dataSelector(): number {
    return this.#u32(L.FDS) & 0xffff;
  }
  get opcode(): number {
    return this.#u32(L.FOP) & 0x7ff;
  }
  setInstruction(pointer: bigint, selector: number, opcode: number): void {
    this.#view.setBigUint64(L.FIP, pointer, true);
    this.#setU32(L.FCS, selector & 0xffff);
    this.#setU32(L.FOP, opcode & 0x7ff);
  }
  setData(pointer: bigint, selector: number): void {
    this.#view.setBigUint64(L.FDP, pointer, true);
    this.#setU32(L.FDS, selector & 0xffff);
  }
  clearPointers(): void {
    this.setInstruction(0n, 0, 0);
    this.setData(0n, 0);
  }

  #u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }
  #setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }
}

function contentTag(value: bigint): number {
  const exponent = Number(value >> 64n) & 0x7fff;
  const significand = value & SIGNIFICAND;
  if (exponent === 0) return significand === 0n ? TAG_ZERO : TAG_SPECIAL;
  return exponent === 0x7fff || (significand & INTEGER_BIT) === 0n ? TAG_SPECIAL : TAG_VALID;
}
