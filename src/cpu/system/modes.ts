/** Which mode the processor is in, by the manual's names (SDM vol. 3A 2.2). */
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Mode } from "../modes.ts";
import { Cr0, Cr4, Efer, Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { Attribute } from "./descriptor.ts";

const CS_ATTRIBUTES = L.SEGMENTS + Segment.CS * L.SEGMENT_STRIDE + L.SEGMENT_ATTRIBUTES;
const SS_ATTRIBUTES = L.SEGMENTS + Segment.SS * L.SEGMENT_STRIDE + L.SEGMENT_ATTRIBUTES;

export function isProtected(cpu: CpuState): boolean {
  return (cpu.cr0 & Cr0.PE) !== 0;
}
export function isVirtual8086(cpu: CpuState): boolean {
  return isProtected(cpu) && (cpu.i32(L.FLAGS_SYSTEM) & Flag.VM) !== 0;
}
/** Real-address or virtual-8086 mode: segments are selector * 16. */
export function isRealOrVirtual8086(cpu: CpuState): boolean {
  return !isProtected(cpu) || (cpu.i32(L.FLAGS_SYSTEM) & Flag.VM) !== 0;
}
/** IA-32e mode with CS.L = 1. */
export function is64BitCode(cpu: CpuState): boolean {
  return (cpu.efer & Efer.LMA) !== 0 && (cpu.i32(CS_ATTRIBUTES) & Attribute.L) !== 0;
}
/** Bytes of the stack pointer: 8 in 64-bit mode, else by SS.B. */
export function stackPointerSize(cpu: CpuState): 2 | 4 | 8 {
  if (is64BitCode(cpu)) return 8;
  return (cpu.i32(SS_ATTRIBUTES) & Attribute.DB) !== 0 ? 4 : 2;
}
/** The decode mode, `Mode` bits, of the code and stack segments that are loaded. */
export function decodeMode(cpu: CpuState): number {
  if (is64BitCode(cpu)) return Mode.CODE_64;
  let mode: number = cpu.i32(CS_ATTRIBUTES) & Attribute.DB ? Mode.CODE_32 : Mode.CODE_16;
  if (cpu.i32(SS_ATTRIBUTES) & Attribute.DB) mode |= Mode.STACK_32;
  if (isRealOrVirtual8086(cpu)) mode |= Mode.REAL_OR_V86;
  return mode;
}
export function iopl(cpu: CpuState): number {
  return (cpu.i32(L.FLAGS_SYSTEM) >> 12) & 3;
}

/** Whether a 64-bit linear address is canonical: 48 significant bits, or 57 with CR4.LA57. */
export function isCanonical(cpu: CpuState, address: bigint): boolean {
  const bits = cpu.cr4 & Cr4.LA57 ? 57 : 48;
  return BigInt.asIntN(bits, address) === BigInt.asIntN(64, address);
}

/** RIP after the instruction of `length` bytes, cut to the code segment's size. */
export function nextRip(cpu: CpuState, length: number): bigint {
  const rip = cpu.rip + BigInt(length);
  return is64BitCode(cpu) ? BigInt.asUintN(64, rip) : BigInt.asUintN(32, rip);
}
