/** SGDT, SIDT, LGDT, LIDT, SLDT, LLDT, STR, LTR (SDM vol. 2; UMIP: vol. 3A 2.5). */
import { Access, type Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Cr4 } from "../registers.ts";
import type { CpuState } from "../state.ts";
import {
  attributesOf,
  isNullSelector,
  isPresent,
  isSystem,
  longMode,
  nullSegment,
  readDescriptor,
  readUpperHalf,
  SystemType,
  segmentRegister,
  selectorError,
  setBusy,
  typeOf,
} from "./descriptor.ts";
import { CONTINUE, type Helper, type SystemHelpers, writeRegister } from "./helper.ts";
import { is64BitCode, isCanonical, isRealOrVirtual8086 } from "./modes.ts";
import { operandAddress, writeMemoryOperand } from "./operand.ts";
import { readSelector } from "./segment-instructions.ts";

export function requireCpl0(cpu: CpuState): void {
  // #GP(0) if the current privilege level is not 0 (virtual-8086 mode runs at 3).
  if (cpu.cpl !== 0) throw new Fault(Vector.GP, 0);
}

/** User-mode instruction prevention: SGDT, SIDT, SLDT, SMSW, STR raise #GP(0) if CR4.UMIP = 1 and CPL > 0. */
export function checkUmip(cpu: CpuState): void {
  if (cpu.cr4 & Cr4.UMIP && cpu.cpl > 0) throw new Fault(Vector.GP, 0);
}

function storeTable(base: number, limit: number): Helper {
  return (core, cpu, record) => {
    checkUmip(cpu);
    const size = is64BitCode(cpu) ? 10 : 6;
    const address = operandAddress(cpu, record, size, true);
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, cpu.i32(limit), true);
    if (size === 10) view.setBigUint64(2, cpu.u64(base), true);
    else view.setUint32(2, cpu.u32(base), true);
    core.memory.writeBytes(address, bytes);
    return CONTINUE;
  };
}

function loadTable(base: number, limit: number): Helper {
  return (core, cpu, record) => {
    requireCpl0(cpu);
    const long = is64BitCode(cpu);
    const bytes = core.memory.readBytes(operandAddress(cpu, record, long ? 10 : 6, false), long ? 10 : 6);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let address = long ? view.getBigUint64(2, true) : BigInt(view.getUint32(2, true));
    // #GP(0) if the base is not canonical in 64-bit mode.
    if (long && !isCanonical(cpu, address)) throw new Fault(Vector.GP, 0);
    // A 16-bit operand size loads 24 bits of base.
    if (!long && record.operandSize === 2) address &= 0xff_ffffn;
    cpu.setU64(base, address);
    cpu.setI32(limit, view.getUint16(0, true));
    return CONTINUE;
  };
}

function storeSelector(segment: number): Helper {
  return (core, cpu, record) => {
    // #UD in real-address and virtual-8086 mode.
    if (isRealOrVirtual8086(cpu)) throw new Fault(Vector.UD);
    checkUmip(cpu);
    const selector = BigInt(cpu.selector(segment));
    if (record.isMemory) writeMemoryOperand(core, cpu, record, 2, selector);
    else writeRegister(cpu, record.regB, record.operandSize, selector);
    return CONTINUE;
  };
}

/** The base of an LDT or TSS: with its upper half in IA-32e mode. */
function systemBase(core: Core, cpu: CpuState, selector: number, low: bigint): bigint {
  if (!longMode(cpu)) return low;
  // #GP(selector) if the upper half lies outside the table or its type bits are not zero.
  const high = readUpperHalf(core, cpu, selector);
  if (high === null) throw new Fault(Vector.GP, selectorError(selector));
  const base = (BigInt(high) << 32n) | low;
  // #GP(selector) if the base is not canonical.
  if (!isCanonical(cpu, base)) throw new Fault(Vector.GP, selectorError(selector));
  return base;
}

const lldt: Helper = (core, cpu, record) => {
  if (isRealOrVirtual8086(cpu)) throw new Fault(Vector.UD);
  requireCpl0(cpu);
  loadLdt(core, cpu, readSelector(core, cpu, record));
  return CONTINUE;
};

/** Loads LDTR. A null selector is fine: references to the LDT then raise #GP. */
export function loadLdt(core: Core, cpu: CpuState, selector: number, vector: number = Vector.GP): void {
  if (isNullSelector(selector)) {
    cpu.setSegment(Segment.LDTR, nullSegment(selector));
    return;
  }
  // #GP(selector) if the selector does not point into the GDT, or the entry is not an LDT.
  if (selector & 4) throw new Fault(vector, selectorError(selector));
  const descriptor = readDescriptor(core, cpu, selector, vector);
  const attributes = attributesOf(descriptor);
  if (!isSystem(attributes) || typeOf(attributes) !== SystemType.LDT) {
    throw new Fault(vector, selectorError(selector));
  }
  // #NP(selector) if the LDT descriptor is not present; a task switch raises #TS.
  if (!isPresent(attributes)) {
    throw new Fault(vector === Vector.GP ? Vector.NP : vector, selectorError(selector));
  }
  const register = segmentRegister(selector, descriptor);
  register.base = systemBase(core, cpu, selector, register.base);
  cpu.setSegment(Segment.LDTR, register);
}

const ltr: Helper = (core, cpu, record) => {
  if (isRealOrVirtual8086(cpu)) throw new Fault(Vector.UD);
  requireCpl0(cpu);
  loadTaskRegister(core, cpu, readSelector(core, cpu, record));
  return CONTINUE;
};

/** Loads TR and marks the TSS busy. */
function loadTaskRegister(core: Core, cpu: CpuState, selector: number): void {
  // #GP(0) if the source operand contains a null selector.
  if (isNullSelector(selector)) throw new Fault(Vector.GP, 0);
  // #GP(selector) if it does not point into the GDT, or to a TSS that is not available.
  if (selector & 4) throw new Fault(Vector.GP, selectorError(selector));
  const descriptor = readDescriptor(core, cpu, selector);
  const attributes = attributesOf(descriptor);
  const type = typeOf(attributes);
  const available = type === SystemType.TSS_32 || (type === SystemType.TSS_16 && !longMode(cpu));
  if (!isSystem(attributes) || !available) throw new Fault(Vector.GP, selectorError(selector));
  // #NP(selector) if the TSS is marked not present.
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  const register = segmentRegister(selector, descriptor);
  register.base = systemBase(core, cpu, selector, register.base);
  core.memory.probeWrite(descriptor.address + 5n, 1, Access.WRITE | Access.SYSTEM);
  setBusy(core, descriptor, true);
  register.attributes |= 2;
  cpu.setSegment(Segment.TR, register);
}

export const tableRegisterInstructions: SystemHelpers = {
  sgdt: storeTable(L.GDTR_BASE, L.GDTR_LIMIT),
  sidt: storeTable(L.IDTR_BASE, L.IDTR_LIMIT),
  lgdt: loadTable(L.GDTR_BASE, L.GDTR_LIMIT),
  lidt: loadTable(L.IDTR_BASE, L.IDTR_LIMIT),
  sldt: storeSelector(Segment.LDTR),
  str: storeSelector(Segment.TR),
  lldt,
  ltr,
};
