/**
 * The contract between emitted code and the instructions written as plain TypeScript.
 *
 * Before a helper runs, `cpu.rip` is the RIP of the instruction and the record describes it. A helper either
 * returns one of the three results below, or throws `Fault` having changed nothing: a fault of this instruction.
 *
 * Operand conventions of rows that call a helper (the decoder fills the record so):
 *
 * | field          | meaning                                                                             |
 * |----------------|-------------------------------------------------------------------------------------|
 * | R_REG_A        | ModRM.reg as a general register: its offset in the processor's block                |
 * |                | as a segment register (Sw, PUSH/POP Sreg): `SEGMENTS + n * SEGMENT_STRIDE`          |
 * |                | as a control or debug register (Cd, Dd): the plain number 0-15, REX.R included      |
 * | R_REG_B        | ModRM.rm as a general register, or the register in the opcode's low bits            |
 * | R_REG_C byte 0 | operand size in bytes: 2, 4, 8. IN, OUT, INS, OUTS: 1, 2, 4                         |
 * | R_REG_C byte 1 | address size in bytes: 2, 4, 8; bit 7 set when the r/m operand is in memory         |
 * | R_IMM          | the immediate, sign-extended. Far pointer: offset in bits 0-31, selector in 32-47   |
 *
 * The operand size of instructions that ignore the prefix is what the manual fixes: 8 for SYSRET with REX.W,
 * else 4; MOV CR and MOV DR 8 in 64-bit code, else 4; near and far transfers by prefix and mode.
 */
import type { Core } from "../core.ts";
import * as R from "../decode/record.ts";
import { RecordFlag } from "../decode/record.ts";
import * as L from "../layout.ts";
import { Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";

/** Go on with the next record; the helper left RIP alone. */
export const CONTINUE = 0;
/** The helper set RIP; find it in the jump cache. Nothing else that the run loop looks at has changed. */
export const JUMP = 1;
/** The helper set RIP to the next instruction; modes, pending events and the shadow must be looked at again. */
export const EVENT = 2;
export type HelperResult = typeof CONTINUE | typeof JUMP | typeof EVENT;

/**
 * The result of a transfer that may have loaded RFLAGS: JUMP, unless an event waits, the next instruction has to
 * be executed by itself, or the shadow of an STI lies on it. Emitted forms (`semantics/ring-switch.ts`) leave in
 * the same way, so that a run does not depend on who does the transfer.
 */
export function transferred(cpu: CpuState): HelperResult {
  if (cpu.i32(L.PENDING) !== 0 || cpu.i32(L.FLAGS_SYSTEM) & (Flag.TF | Flag.RF)) return EVENT;
  if (cpu.i32(L.SHADOW) !== 0) {
    if (cpu.u64(L.SHADOW_RIP) === cpu.rip) return EVENT;
    cpu.setI32(L.SHADOW, 0);
  }
  return JUMP;
}

export type Helper = (core: Core, cpu: CpuState, record: RecordView) => HelperResult;

/** Helpers by the manual's mnemonic in lower case; suffixes tell forms apart, see `index.ts`. */
export type SystemHelpers = Readonly<Record<string, Helper>>;

/** In byte 1 of R_REG_C. */
export const MEMORY_OPERAND = 0x80;

export type OperandSize = 1 | 2 | 4 | 8;

/** One decoded instruction, read in place: `view.at(address)` moves it and gives itself back. */
export class RecordView {
  readonly #view: DataView;
  #at = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer);
  }

  at(address: number): this {
    this.#at = address;
    return this;
  }
  get address(): number {
    return this.#at;
  }

  /** Length of the instruction in bytes. */
  get length(): number {
    return this.#view.getUint8(this.#at + R.R_LENGTH);
  }
  get regA(): number {
    return this.#view.getUint16(this.#at + R.R_REG_A, true);
  }
  get regB(): number {
    return this.#view.getUint16(this.#at + R.R_REG_B, true);
  }
  get operandSize(): OperandSize {
    return this.#view.getUint8(this.#at + R.R_REG_C) as OperandSize;
  }
  get addressSize(): 2 | 4 | 8 {
    return (this.#view.getUint8(this.#at + R.R_REG_C + 1) & 15) as 2 | 4 | 8;
  }
  /** Whether the r/m operand is in memory. */
  get isMemory(): boolean {
    return (this.#view.getUint8(this.#at + R.R_REG_C + 1) & MEMORY_OPERAND) !== 0;
  }
  get flags(): number {
    return this.#view.getUint8(this.#at + R.R_FLAGS);
  }
  /** Number of the memory operand's segment register, `Segment`. */
  get segment(): number {
    return this.flags & RecordFlag.SEGMENT;
  }
  /** Number of the segment register operand (Sw). */
  get segmentOperand(): number {
    return (this.regA - L.SEGMENTS) / L.SEGMENT_STRIDE;
  }
  /** Low half of the immediate, signed. */
  get imm32(): number {
    return this.#view.getInt32(this.#at + R.R_IMM, true);
  }
  /** High half of the immediate, signed. */
  get immHigh(): number {
    return this.#view.getInt32(this.#at + R.R_IMM + 4, true);
  }
  get immediate(): bigint {
    return this.#view.getBigInt64(this.#at + R.R_IMM, true);
  }

  /** Offset of the memory operand in its segment, cut to the address size; unsigned. */
  effectiveOffset(cpu: CpuState): bigint {
    const view = this.#view;
    const at = this.#at;
    const sum =
      cpu.u64(view.getUint16(at + R.R_BASE, true)) +
      (cpu.u64(view.getUint16(at + R.R_INDEX, true)) << BigInt(view.getUint8(at + R.R_SCALE))) +
      BigInt(view.getInt32(at + R.R_DISP, true));
    const flags = this.flags;
    if (flags & RecordFlag.ADDRESS_16) return BigInt.asUintN(16, sum);
    if (flags & RecordFlag.ADDRESS_32) return BigInt.asUintN(32, sum);
    return BigInt.asUintN(64, sum);
  }

  /** Linear address of the memory operand without any check; `operand.ts` has the checked form. */
  linearOperand(cpu: CpuState): bigint {
    const base = cpu.u64(this.#view.getUint16(this.#at + R.R_SEGMENT_BASE, true));
    return BigInt.asUintN(64, base + this.effectiveOffset(cpu));
  }
}

/** A register by its offset in the block, unsigned. */
export function readReg(cpu: CpuState, offset: number, width: 1 | 2 | 4): number {
  if (width === 1) return cpu.view.getUint8(offset);
  if (width === 2) return cpu.view.getUint16(offset, true);
  return cpu.view.getUint32(offset, true);
}

/** Writes a register by its offset; a 32-bit write clears the upper half (SDM vol. 1 3.4.1.1). */
export function writeReg(cpu: CpuState, offset: number, width: 1 | 2 | 4, value: number): void {
  if (width === 1) cpu.view.setUint8(offset, value);
  else if (width === 2) cpu.view.setUint16(offset, value, true);
  else cpu.setU64(offset, BigInt(value >>> 0));
}

/** A register of 2, 4 or 8 bytes, unsigned. */
export function readRegister(cpu: CpuState, offset: number, size: OperandSize): bigint {
  return size === 8 ? cpu.u64(offset) : BigInt(readReg(cpu, offset, size));
}

/** Writes a register of any width; a 32-bit write clears the upper half. */
export function writeRegister(cpu: CpuState, offset: number, size: OperandSize, value: bigint): void {
  if (size === 8) cpu.setU64(offset, value);
  else writeReg(cpu, offset, size, Number(BigInt.asUintN(32, value)));
}
