/**
 * The frame of every soft-path helper: operands come from where emitted code put them (`lanes.ts`), the
 * exceptions go into MXCSR, and only an instruction without an unmasked one changes its destination.
 */
import { Fault, Vector } from "../fault.ts";
import { MXCSR } from "../layout.ts";
import { Cr4 } from "../registers.ts";
import { SOFT_FIRST, SOFT_SECOND } from "../semantics/sse/lanes.ts";
import {
  binary32,
  type FloatEnvironment,
  type FloatFormat,
  packedFlags,
  setSseEnvironment,
  sseEnvironment,
} from "../softfloat/index.ts";
import type { CpuState } from "../state.ts";

/** One environment for all: helpers do not nest. */
const shared = sseEnvironment(0x1f80);

/** The environment MXCSR asks for, without any flag raised. */
export function environmentOf(cpu: CpuState): FloatEnvironment {
  return setSseEnvironment(shared, cpu.i32(MXCSR));
}

/** Bytes of an element of `format`. */
export function sizeOf(format: FloatFormat): 4 | 8 {
  return format === binary32 ? 4 : 8;
}

/** Element `index` at `offset` in the processor's block, unsigned. */
export function readElement(cpu: CpuState, offset: number, size: 4 | 8, index: number): bigint {
  return size === 4 ? BigInt(cpu.view.getUint32(offset + index * 4, true)) : cpu.u64(offset + index * 8);
}

export function writeElement(cpu: CpuState, offset: number, size: 4 | 8, index: number, value: bigint): void {
  if (size === 4) cpu.view.setUint32(offset + index * 4, Number(BigInt.asUintN(32, value)), true);
  else cpu.setU64(offset + index * 8, value);
}

export function first(cpu: CpuState, format: FloatFormat, index: number): bigint {
  return readElement(cpu, SOFT_FIRST, sizeOf(format), index);
}
export function second(cpu: CpuState, format: FloatFormat, index: number): bigint {
  return readElement(cpu, SOFT_SECOND, sizeOf(format), index);
}

/**
 * Enters `flags` into MXCSR.
 * @throws Fault when one is unmasked: #XM, or #UD while CR4.OSXMMEXCPT is clear (SDM vol. 3A 2.5).
 */
export function signal(cpu: CpuState, flags: number, masks: number): void {
  cpu.setI32(MXCSR, cpu.i32(MXCSR) | flags);
  if (flags & ~masks) throw new Fault(cpu.cr4 & Cr4.OSXMMEXCPT ? Vector.XM : Vector.UD);
}

/** Computes `count` elements one by one; the exceptions are those of the packed instruction as a whole. */
export function eachElement(
  cpu: CpuState,
  count: number,
  compute: (index: number, env: FloatEnvironment) => bigint,
): bigint[] {
  const env = environmentOf(cpu);
  const results: bigint[] = [];
  const flags: number[] = [];
  for (let i = 0; i < count; i++) {
    env.flags = 0;
    results.push(compute(i, env));
    flags.push(env.flags);
  }
  signal(cpu, packedFlags(flags, env.masks), env.masks);
  return results;
}

/** Writes an MMX register by its offset: bits 79-64 become ones. */
export function writeMmx(cpu: CpuState, offset: number, value: bigint): void {
  cpu.setU64(offset, value);
  cpu.view.setUint16(offset + 8, 0xffff, true);
}
