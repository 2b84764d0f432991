/** Segment and system descriptors (SDM vol. 3A 3.4.5, 3.5, 5.8.3, 6.11, 7.2). */
import type { Core } from "../core.ts";
import { Access } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Efer } from "../registers.ts";
import type { CpuState, SegmentRegister } from "../state.ts";

/** Attribute bits as SEGMENT_ATTRIBUTES holds them: descriptor bits 40-55. */
export const Attribute = {
  TYPE: 0x0f,
  S: 0x10,
  DPL: 0x60,
  P: 0x80,
  AVL: 0x1000,
  L: 0x2000,
  DB: 0x4000,
  G: 0x8000,
} as const;

/** Type bits of code and data segments (S = 1). */
export const SegmentType = {
  ACCESSED: 1,
  /** Data: writable. Code: readable. */
  WRITABLE: 2,
  READABLE: 2,
  /** Data: expand-down. Code: conforming. */
  EXPAND_DOWN: 4,
  CONFORMING: 4,
  CODE: 8,
} as const;

/** Types of system segments and gates (S = 0), SDM vol. 3A table 3-2. */
export const SystemType = {
  TSS_16: 1,
  LDT: 2,
  TSS_16_BUSY: 3,
  CALL_GATE_16: 4,
  TASK_GATE: 5,
  INTERRUPT_GATE_16: 6,
  TRAP_GATE_16: 7,
  /** 64-bit in IA-32e mode, as the four that follow. */
  TSS_32: 9,
  TSS_32_BUSY: 11,
  CALL_GATE_32: 12,
  INTERRUPT_GATE_32: 14,
  TRAP_GATE_32: 15,
} as const;

/** What SYSCALL, SYSRET, SYSENTER and SYSEXIT make up without reading a table: flat segments of 4 GiB, DPL 0. */
export const FLAT_CODE =
  Attribute.P | Attribute.S | Attribute.G | SegmentType.CODE | SegmentType.READABLE | SegmentType.ACCESSED;
export const FLAT_DATA =
  Attribute.P | Attribute.S | Attribute.G | Attribute.DB | SegmentType.WRITABLE | SegmentType.ACCESSED;

/** A descriptor as it lies in its table: two unsigned or signed 32-bit words. */
export interface Descriptor {
  /** Linear address, for the accessed and busy bits. */
  readonly address: bigint;
  readonly low: number;
  readonly high: number;
}

export function attributesOf(descriptor: Descriptor): number {
  return (descriptor.high >>> 8) & 0xf0ff;
}
export function typeOf(attributes: number): number {
  return attributes & Attribute.TYPE;
}
export function dplOf(attributes: number): number {
  return (attributes & Attribute.DPL) >> 5;
}
export function isSystem(attributes: number): boolean {
  return (attributes & Attribute.S) === 0;
}
export function isPresent(attributes: number): boolean {
  return (attributes & Attribute.P) !== 0;
}
/** A code segment (S = 1). */
export function isCode(attributes: number): boolean {
  return (attributes & (Attribute.S | SegmentType.CODE)) === (Attribute.S | SegmentType.CODE);
}
export function isConforming(attributes: number): boolean {
  return isCode(attributes) && (attributes & SegmentType.CONFORMING) !== 0;
}
/** A data segment that may be written: what SS takes. */
export function isWritableData(attributes: number): boolean {
  const mask = Attribute.S | SegmentType.CODE | SegmentType.WRITABLE;
  return (attributes & mask) === (Attribute.S | SegmentType.WRITABLE);
}
/** Data, or code that may be read: what DS, ES, FS and GS take. */
export function isReadable(attributes: number): boolean {
  if (isSystem(attributes)) return false;
  return (attributes & SegmentType.CODE) === 0 || (attributes & SegmentType.READABLE) !== 0;
}

export function baseOf(descriptor: Descriptor): number {
  const { low, high } = descriptor;
  return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
}

/** The limit in bytes, inclusive, granularity applied. */
export function limitOf(descriptor: Descriptor): number {
  const raw = (descriptor.low & 0xffff) | (descriptor.high & 0xf_0000);
  return descriptor.high & 0x80_0000 ? ((raw << 12) | 0xfff) >>> 0 : raw;
}

/** A register loaded from `descriptor`. */
export function segmentRegister(selector: number, descriptor: Descriptor): SegmentRegister {
  return {
    selector,
    attributes: attributesOf(descriptor),
    base: BigInt(baseOf(descriptor)),
    limit: limitOf(descriptor),
    isNull: false,
  };
}

export function nullSegment(selector: number): SegmentRegister {
  return { selector, attributes: 0, base: 0n, limit: 0, isNull: true };
}

/** The two words of a descriptor with these fields; `limit` in bytes as `limitOf` gives it. */
export function formatDescriptor(base: number, limit: number, attributes: number): [number, number] {
  const raw = attributes & Attribute.G ? limit >>> 12 : limit;
  const low = ((base & 0xffff) << 16) | (raw & 0xffff);
  const high =
    (base & 0xff00_0000) | ((base >>> 16) & 0xff) | (raw & 0xf_0000) | ((attributes & 0xf0ff) << 8);
  return [low >>> 0, high >>> 0];
}

export function longMode(cpu: CpuState): boolean {
  return (cpu.efer & Efer.LMA) !== 0;
}

/** A selector as an error code: the RPL gives way to the EXT and IDT bits (SDM vol. 3A 6.13). */
export function selectorError(selector: number, ext = 0): number {
  return (selector & 0xfffc) | ext;
}

export function isNullSelector(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}

/** Linear addresses have 32 bits outside IA-32e mode. */
export function linear(cpu: CpuState, address: bigint): bigint {
  return longMode(cpu) ? BigInt.asUintN(64, address) : BigInt.asUintN(32, address);
}

/** Linear address of a selector's descriptor, or null if it lies outside its table. */
function descriptorAddress(cpu: CpuState, selector: number, size: 8 | 16): bigint | null {
  const offset = selector & 0xfff8;
  if (selector & 4) {
    const at = L.SEGMENTS + Segment.LDTR * L.SEGMENT_STRIDE;
    if (cpu.i32(at + L.SEGMENT_NULL) !== 0 || offset + size - 1 > cpu.u32(at + L.SEGMENT_LIMIT)) return null;
    return linear(cpu, cpu.u64(at + L.SEGMENT_BASE) + BigInt(offset));
  }
  if (offset + size - 1 > cpu.u32(L.GDTR_LIMIT)) return null;
  return linear(cpu, cpu.u64(L.GDTR_BASE) + BigInt(offset));
}

/** The descriptor of a selector, or null if it lies outside its table. */
export function findDescriptor(core: Core, cpu: CpuState, selector: number): Descriptor | null {
  const address = descriptorAddress(cpu, selector, 8);
  if (address === null) return null;
  const low = core.memory.read(address, 4, Access.READ | Access.SYSTEM);
  const high = core.memory.read(address + 4n, 4, Access.READ | Access.SYSTEM);
  return { address, low, high };
}

/** The descriptor of a selector. @throws Fault of `vector` with the selector if it lies outside its table. */
export function readDescriptor(
  core: Core,
  cpu: CpuState,
  selector: number,
  vector: number = Vector.GP,
  ext = 0,
): Descriptor {
  const descriptor = findDescriptor(core, cpu, selector);
  if (descriptor === null) throw new Fault(vector, selectorError(selector, ext));
  return descriptor;
}

/**
 * Bits 32-63 of the base in a 16-byte system descriptor of IA-32e mode, or null if the table ends before it.
 * The type field of the upper half must be zero (SDM vol. 3A 3.5.2, 7.2.3): null as well.
 */
export function readUpperHalf(core: Core, cpu: CpuState, selector: number): number | null {
  const address = descriptorAddress(cpu, selector, 16);
  if (address === null) return null;
  const type = core.memory.read(address + 12n, 4, Access.READ | Access.SYSTEM);
  if (type & 0x1f00) return null;
  return core.memory.read(address + 8n, 4, Access.READ | Access.SYSTEM);
}

/** Sets the accessed bit when a code or data descriptor is loaded into a register (SDM vol. 3A 3.4.5.1). */
export function markAccessed(core: Core, descriptor: Descriptor): void {
  const byte = (descriptor.high >>> 8) & 0xff;
  if (byte & SegmentType.ACCESSED) return;
  core.memory.write(descriptor.address + 5n, 1, byte | SegmentType.ACCESSED, Access.WRITE | Access.SYSTEM);
}

/** Faults if `markAccessed` would. */
export function probeAccessed(core: Core, descriptor: Descriptor): void {
  if ((descriptor.high >>> 8) & SegmentType.ACCESSED) return;
  core.memory.probeWrite(descriptor.address + 5n, 1, Access.WRITE | Access.SYSTEM);
}

/** Sets or clears the busy bit of a TSS descriptor (SDM vol. 3A 7.2.2). */
export function setBusy(core: Core, descriptor: Descriptor, busy: boolean): void {
  const byte = ((descriptor.high >>> 8) & 0xff & ~2) | (busy ? 2 : 0);
  core.memory.write(descriptor.address + 5n, 1, byte, Access.WRITE | Access.SYSTEM);
}
