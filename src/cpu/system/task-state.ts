/** Fields of task-state segments (SDM vol. 3A figures 7-2, 7-10, 7-11). */
import { Access, type Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import { Segment } from "../layout.ts";
import type { CpuState } from "../state.ts";
import { linear, SystemType, selectorError, typeOf } from "./descriptor.ts";

/** Whether a TSS type is 32-bit (64-bit in IA-32e mode) rather than 16-bit. */
export function isWideTss(attributes: number): boolean {
  const type = typeOf(attributes);
  return type === SystemType.TSS_32 || type === SystemType.TSS_32_BUSY;
}

/** SS:ESP for a privilege level from the current TSS of legacy protected mode. */
export function innerStack(
  core: Core,
  cpu: CpuState,
  cpl: number,
  ext: number,
): { selector: number; pointer: bigint } {
  const tss = cpu.segment(Segment.TR);
  const wide = isWideTss(tss.attributes);
  const offset = wide ? 4 + cpl * 8 : 2 + cpl * 4;
  const size = wide ? 8 : 4;
  // #TS(current TSS selector) if the new stack lies beyond the limit of the TSS.
  if (tss.isNull || offset + size - 1 > tss.limit) {
    throw new Fault(Vector.TS, selectorError(tss.selector, ext));
  }
  const access = Access.READ | Access.SYSTEM;
  const address = linear(cpu, tss.base + BigInt(offset));
  const pointer = BigInt(core.memory.read(address, wide ? 4 : 2, access));
  const selector = core.memory.read(address + (wide ? 4n : 2n), 2, access);
  return { selector, pointer };
}

/** RSPn (`index` 0-2) or ISTn (`index` 4-10, n + 3) from the 64-bit TSS. */
export function longModeStack(core: Core, cpu: CpuState, index: number, ext: number): bigint {
  const tss = cpu.segment(Segment.TR);
  const offset = 4 + index * 8;
  if (tss.isNull || offset + 7 > tss.limit) throw new Fault(Vector.TS, selectorError(tss.selector, ext));
  return core.memory.read64(linear(cpu, tss.base + BigInt(offset)), Access.READ | Access.SYSTEM);
}

/**
 * Whether the I/O permission bitmap allows an access of `size` bytes at `port` (SDM vol. 1 19.5.2). Two bytes
 * are read, and both have to lie within the limit, so that an access may cross a byte of the map.
 */
export function ioPermitted(core: Core, cpu: CpuState, port: number, size: number): boolean {
  const tss = cpu.segment(Segment.TR);
  // Only a 32-bit or 64-bit TSS has a map; its base is at offset 102.
  if (tss.isNull || !isWideTss(tss.attributes) || tss.limit < 103) return false;
  const access = Access.READ | Access.SYSTEM;
  const map = core.memory.read(linear(cpu, tss.base + 102n), 2, access);
  const offset = map + (port >> 3);
  if (offset + 1 > tss.limit) return false;
  const bits = core.memory.read(linear(cpu, tss.base + BigInt(offset)), 2, access);
  return ((bits >> (port & 7)) & ((1 << size) - 1)) === 0;
}

/** The interrupt redirection bitmap of virtual-8086 mode extensions: 32 bytes before the I/O map. */
export function redirectedToProtectedMode(core: Core, cpu: CpuState, vector: number): boolean {
  const tss = cpu.segment(Segment.TR);
  if (tss.isNull || !isWideTss(tss.attributes) || tss.limit < 103) return true;
  const access = Access.READ | Access.SYSTEM;
  const map = core.memory.read(linear(cpu, tss.base + 102n), 2, access);
  const offset = map - 32 + (vector >> 3);
  // #GP(0) if the map lies outside the TSS.
  if (offset < 0 || offset > tss.limit) throw new Fault(Vector.GP, 0);
  const bits = core.memory.read(linear(cpu, tss.base + BigInt(offset)), 1, access);
  return ((bits >> (vector & 7)) & 1) !== 0;
}
