/**
 * Loading of segment registers (SDM vol. 3A 3.4.3-3.4.4, 5.5-5.7, 20.1; vol. 2B, MOV).
 * Checking of addresses against them is in `operand.ts`, descriptors are in `descriptor.ts`.
 */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import type { CpuState, SegmentRegister } from "../state.ts";
import {
  Attribute,
  attributesOf,
  type Descriptor,
  dplOf,
  isConforming,
  isNullSelector,
  isPresent,
  isReadable,
  isWritableData,
  longMode,
  markAccessed,
  nullSegment,
  probeAccessed,
  readDescriptor,
  SegmentType,
  segmentRegister,
  selectorError,
} from "./descriptor.ts";
import { is64BitCode, isProtected, isVirtual8086 } from "./modes.ts";

export { checkedAddress, legacyAddress } from "./operand.ts";

/** Present, read/write data, accessed: what a segment register holds in real mode. */
export const REAL_MODE_ATTRIBUTES = Attribute.P | Attribute.S | SegmentType.WRITABLE | SegmentType.ACCESSED;

/** A segment register of virtual-8086 mode: base selector * 16, limit FFFFH, DPL 3 (SDM vol. 3A 20.2.1). */
export function virtual8086Segment(selector: number): SegmentRegister {
  return {
    selector,
    attributes: REAL_MODE_ATTRIBUTES | Attribute.DPL,
    base: BigInt(selector << 4),
    limit: 0xffff,
    isNull: false,
  };
}

/**
 * A load in real-address mode changes selector and base; limit and attributes stay as protected mode left
 * them, which is what "unreal mode" lives on. A register that held a null selector becomes usable again.
 */
export function realModeSegment(cpu: CpuState, segment: number, selector: number): SegmentRegister {
  const old = cpu.segment(segment);
  const base = BigInt(selector << 4);
  if (old.isNull) return { selector, attributes: REAL_MODE_ATTRIBUTES, base, limit: 0xffff, isNull: false };
  return { ...old, selector, base };
}

/** SS of 64-bit code: any null selector with the right RPL; only DPL (= CPL) means anything. */
export function nullStackSegment(selector: number, cpl: number): SegmentRegister {
  return { ...nullSegment(selector), attributes: cpl << 5 };
}

/**
 * A data or readable code segment for DS, ES, FS or GS in protected mode. Changes nothing but page-table
 * accessed bits; `commit` marks the descriptor accessed.
 */
export function checkDataSegment(
  core: Core,
  cpu: CpuState,
  selector: number,
  cpl: number,
): { register: SegmentRegister; descriptor: Descriptor | null } {
  if (isNullSelector(selector)) return { register: nullSegment(selector), descriptor: null };
  // #GP(selector) if the index is outside the descriptor table limits.
  const descriptor = readDescriptor(core, cpu, selector);
  const attributes = attributesOf(descriptor);
  // #GP(selector) if the segment is not a data or readable code segment.
  if (!isReadable(attributes)) throw new Fault(Vector.GP, selectorError(selector));
  // #GP(selector) if it is data or non-conforming code and both RPL and CPL are not at most DPL.
  const dpl = dplOf(attributes);
  if (!isConforming(attributes) && ((selector & 3) > dpl || cpl > dpl)) {
    throw new Fault(Vector.GP, selectorError(selector));
  }
  // #NP(selector) if the segment is marked not present.
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  return { register: segmentRegister(selector, descriptor), descriptor };
}

/** Vectors and EXT bit with which a stack segment is refused: MOV SS raises #GP, a task or gate #TS. */
export interface StackFaults {
  readonly vector: number;
  readonly ext: number;
}

/** A stack segment for code at `cpl` in protected mode; not for null selectors. */
export function checkStackSegment(
  core: Core,
  cpu: CpuState,
  selector: number,
  cpl: number,
  faults: StackFaults = { vector: Vector.GP, ext: 0 },
): { register: SegmentRegister; descriptor: Descriptor } {
  const descriptor = readDescriptor(core, cpu, selector, faults.vector, faults.ext);
  const attributes = attributesOf(descriptor);
  // #GP(selector) if RPL or DPL differs from CPL, or if the segment is not writable data.
  if ((selector & 3) !== cpl || dplOf(attributes) !== cpl || !isWritableData(attributes)) {
    throw new Fault(faults.vector, selectorError(selector, faults.ext));
  }
  // #SS(selector) if the segment is marked not present.
  if (!isPresent(attributes)) throw new Fault(Vector.SS, selectorError(selector, faults.ext));
  return { register: segmentRegister(selector, descriptor), descriptor };
}

/** Loads DS, ES, FS, GS or SS as MOV, POP and LDS do, in any mode. */
export function loadSegment(core: Core, cpu: CpuState, segment: number, selector: number): void {
  if (!isProtected(cpu)) {
    cpu.setSegment(segment, realModeSegment(cpu, segment, selector));
    return;
  }
  if (isVirtual8086(cpu)) {
    cpu.setSegment(segment, virtual8086Segment(selector));
    return;
  }
  const cpl = cpu.cpl;
  if (segment !== Segment.SS) {
    const { register, descriptor } = checkDataSegment(core, cpu, selector, cpl);
    if (descriptor !== null) markAccessed(core, descriptor);
    cpu.setSegment(segment, register);
    return;
  }
  if (isNullSelector(selector)) {
    // #GP(0) if SS is loaded with a null selector, but for 64-bit code at CPL < 3 whose RPL is CPL.
    if (!is64BitCode(cpu) || cpl === 3 || (selector & 3) !== cpl) throw new Fault(Vector.GP, 0);
    cpu.setSegment(Segment.SS, nullStackSegment(selector, cpl));
  } else {
    const { register, descriptor } = checkStackSegment(core, cpu, selector, cpl);
    markAccessed(core, descriptor);
    cpu.setSegment(Segment.SS, register);
  }
  core.modeChanged(cpu);
}

/** A code segment that a transfer has checked but not yet entered. */
export interface CodeTarget {
  readonly register: SegmentRegister;
  readonly descriptor: Descriptor;
  readonly attributes: number;
  /** IA-32e mode with L = 1. */
  readonly is64: boolean;
}

/** The code segment of a selector that passed its privilege checks; RPL becomes `cpl`. */
export function codeTarget(
  core: Core,
  cpu: CpuState,
  selector: number,
  descriptor: Descriptor,
  cpl: number,
): CodeTarget {
  const attributes = attributesOf(descriptor);
  const register = segmentRegister((selector & 0xfffc) | cpl, descriptor);
  probeAccessed(core, descriptor);
  return { register, descriptor, attributes, is64: longMode(cpu) && (attributes & Attribute.L) !== 0 };
}

/** Enters a code segment at `cpl`: CS, CPL, accessed bit. The caller sets RIP and calls `modeChanged`. */
export function enterCode(core: Core, cpu: CpuState, target: CodeTarget, cpl: number): void {
  markAccessed(core, target.descriptor);
  cpu.setSegment(Segment.CS, target.register);
  cpu.setI32(L.CPL, cpl);
}

/**
 * After a return to an outer level: DS, ES, FS and GS that the new level may not use become null
 * (SDM vol. 2B, RET; vol. 3A 5.8.6).
 */
export function dropInnerSegments(cpu: CpuState, cpl: number): void {
  for (const segment of [Segment.ES, Segment.FS, Segment.GS, Segment.DS]) {
    const register = cpu.segment(segment);
    if (register.isNull || isConforming(register.attributes)) continue;
    if (dplOf(register.attributes) < cpl) {
      // The base of FS and GS survives in 64-bit mode's eyes only while the selector is valid.
      cpu.setSegment(segment, nullSegment(0));
    }
  }
}
