/** FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, and the legacy region that XSAVE shares (SDM vol. 1 10.5, 13.4.1). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr0, Cr4 } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { X87State } from "../x87/state.ts";
import { CONTINUE, type Helper, type RecordView, type SystemHelpers } from "./helper.ts";
import { is64BitCode } from "./modes.ts";
import { operandAddress, readMemoryOperand, writeMemoryOperand } from "./operand.ts";

/** Bits of MXCSR that exist: the mask that FXSAVE shows. */
export const MXCSR_MASK = 0xffff;
export const MXCSR_RESET = 0x1f80;

/** Offsets in the legacy region. */
const AT = {
  FCW: 0,
  FSW: 2,
  FTW: 4,
  FOP: 6,
  FIP: 8,
  FCS: 12,
  FDP: 16,
  FDS: 20,
  MXCSR: 24,
  MASK: 28,
} as const;
export const ST_AREA = 32;
export const XMM_AREA = 160;
const TAG_EMPTY = 3;

const states = new WeakMap<CpuState, X87State>();

/** The x87 registers of a processor. */
export function x87Of(cpu: CpuState): X87State {
  let state = states.get(cpu);
  if (state === undefined) {
    state = new X87State(cpu.view);
    states.set(cpu, state);
  }
  return state;
}

/** XMM8-XMM15 exist in 64-bit code only. */
export function xmmCount(cpu: CpuState): number {
  return is64BitCode(cpu) ? 16 : 8;
}

/** Writes the x87 part of an image: bytes 0-23 and the registers in stack order. `wide`: REX.W, 64-bit pointers. */
export function storeX87(cpu: CpuState, image: DataView, wide: boolean): void {
  const x87 = x87Of(cpu);
  image.setUint16(AT.FCW, x87.controlWord, true);
  image.setUint16(AT.FSW, x87.statusWord, true);
  const tags = cpu.i32(L.FTW);
  // The tag byte has one bit for each physical register: in use.
  let inUse = 0;
  for (let register = 0; register < 8; register++) {
    if (((tags >> (register * 2)) & 3) !== TAG_EMPTY) inUse |= 1 << register;
  }
  image.setUint16(AT.FTW, inUse, true);
  image.setUint16(AT.FOP, x87.opcode, true);
  if (wide) {
    image.setBigUint64(AT.FIP, x87.instructionPointer, true);
    image.setBigUint64(AT.FDP, x87.dataPointer, true);
  } else {
    image.setUint32(AT.FIP, Number(x87.instructionPointer & 0xffff_ffffn), true);
    image.setUint32(AT.FCS, x87.codeSelector, true);
    image.setUint32(AT.FDP, Number(x87.dataPointer & 0xffff_ffffn), true);
    image.setUint32(AT.FDS, x87.dataSelector, true);
  }
  const { top } = x87;
  for (let i = 0; i < 8; i++) {
    const from = L.X87 + ((top + i) & 7) * L.X87_STRIDE;
    const to = ST_AREA + i * 16;
    image.setBigUint64(to, cpu.u64(from), true);
    image.setBigUint64(to + 8, BigInt(cpu.view.getUint16(from + 8, true)), true);
  }
}

export function loadX87(cpu: CpuState, image: DataView, wide: boolean): void {
  const x87 = x87Of(cpu);
  x87.controlWord = image.getUint16(AT.FCW, true);
  x87.statusWord = image.getUint16(AT.FSW, true);
  const inUse = image.getUint8(AT.FTW);
  let tags = 0;
  // The contents make the tag of a register in use; only "empty" is kept.
  for (let register = 0; register < 8; register++) {
    if ((inUse & (1 << register)) === 0) tags |= TAG_EMPTY << (register * 2);
  }
  x87.tagWord = tags;
  const opcode = image.getUint16(AT.FOP, true);
  if (wide) {
    x87.setInstruction(image.getBigUint64(AT.FIP, true), 0, opcode);
    x87.setData(image.getBigUint64(AT.FDP, true), 0);
  } else {
    x87.setInstruction(BigInt(image.getUint32(AT.FIP, true)), image.getUint16(AT.FCS, true), opcode);
    x87.setData(BigInt(image.getUint32(AT.FDP, true)), image.getUint16(AT.FDS, true));
  }
  const { top } = x87;
  for (let i = 0; i < 8; i++) {
    const to = L.X87 + ((top + i) & 7) * L.X87_STRIDE;
    const from = ST_AREA + i * 16;
    cpu.setU64(to, image.getBigUint64(from, true));
    cpu.view.setUint16(to + 8, image.getUint16(from + 8, true), true);
  }
}

/** The state after FNINIT with all registers zero: the initial configuration of component 0. */
export function initializeX87(cpu: CpuState): void {
  x87Of(cpu).initialize();
  cpu.bytes.fill(0, L.X87, L.X87 + 8 * L.X87_STRIDE);
}

export function storeMxcsr(cpu: CpuState, image: DataView): void {
  image.setUint32(AT.MXCSR, cpu.i32(L.MXCSR), true);
  image.setUint32(AT.MASK, MXCSR_MASK, true);
}

/** MXCSR of an image. @throws Fault #GP(0) if a reserved bit is set. */
export function checkedMxcsr(image: DataView): number {
  const mxcsr = image.getUint32(AT.MXCSR, true);
  if (mxcsr & ~MXCSR_MASK) throw new Fault(Vector.GP, 0);
  return mxcsr;
}

export function storeXmm(cpu: CpuState, image: DataView): void {
  const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  for (let register = 0; register < xmmCount(cpu); register++) {
    const from = L.XMM + register * L.XMM_STRIDE;
    bytes.set(cpu.bytes.subarray(from, from + 16), XMM_AREA + register * 16);
  }
}

export function loadXmm(cpu: CpuState, image: DataView): void {
  const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  for (let register = 0; register < xmmCount(cpu); register++) {
    const from = XMM_AREA + register * 16;
    cpu.bytes.set(bytes.subarray(from, from + 16), L.XMM + register * L.XMM_STRIDE);
  }
}

/** FXSAVE and FXRSTOR: #NM if CR0.EM or CR0.TS is set; #GP(0) if the operand is not 16-byte aligned. */
function fxArea(cpu: CpuState, record: RecordView, write: boolean): bigint {
  if (cpu.cr0 & (Cr0.EM | Cr0.TS)) throw new Fault(Vector.NM);
  const address = operandAddress(cpu, record, 512, write);
  if ((address & 15n) !== 0n) throw new Fault(Vector.GP, 0);
  return address;
}

const fxsave: Helper = (core, cpu, record) => {
  const address = fxArea(cpu, record, true);
  // All 512 bytes must be writable, also those that stay as they are.
  core.memory.probeWrite(address, 512);
  // Without CR4.OSFXSR only the x87 part is saved; XMM8-XMM15 and what follows are left alone outside 64-bit code.
  const sse = (cpu.cr4 & Cr4.OSFXSR) !== 0;
  const bytes = new Uint8Array(sse ? XMM_AREA + xmmCount(cpu) * 16 : XMM_AREA);
  const image = new DataView(bytes.buffer);
  storeX87(cpu, image, record.operandSize === 8);
  storeMxcsr(cpu, image);
  if (sse) storeXmm(cpu, image);
  core.memory.writeBytes(address, bytes);
  return CONTINUE;
};

const fxrstor: Helper = (core, cpu, record) => {
  const address = fxArea(cpu, record, false);
  const bytes = core.memory.readBytes(address, 512);
  const image = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // #GP(0) for a reserved bit of MXCSR, before anything is loaded.
  const mxcsr = checkedMxcsr(image);
  loadX87(cpu, image, record.operandSize === 8);
  if (cpu.cr4 & Cr4.OSFXSR) {
    cpu.setI32(L.MXCSR, mxcsr);
    loadXmm(cpu, image);
  }
  return CONTINUE;
};

/** SSE instructions: #UD if CR0.EM = 1 or CR4.OSFXSR = 0; #NM if CR0.TS = 1. */
function requireSse(cpu: CpuState): void {
  if (cpu.cr0 & Cr0.EM || (cpu.cr4 & Cr4.OSFXSR) === 0) throw new Fault(Vector.UD);
  if (cpu.cr0 & Cr0.TS) throw new Fault(Vector.NM);
}

const ldmxcsr: Helper = (core, cpu, record) => {
  requireSse(cpu);
  const value = Number(readMemoryOperand(core, cpu, record, 4));
  // #GP(0) for an attempt to set a reserved bit.
  if (value & ~MXCSR_MASK) throw new Fault(Vector.GP, 0);
  cpu.setI32(L.MXCSR, value);
  return CONTINUE;
};

const stmxcsr: Helper = (core: Core, cpu, record) => {
  requireSse(cpu);
  writeMemoryOperand(core, cpu, record, 4, BigInt(cpu.u32(L.MXCSR)));
  return CONTINUE;
};

export const fpuStateInstructions: SystemHelpers = { fxsave, fxrstor, ldmxcsr, stmxcsr };
