/** The checks that every transfer to another code segment makes (SDM vol. 3A 5.8; vol. 2, JMP, CALL, RET, IRET). */
import type { Core, TransferCause } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import type { CpuState } from "../state.ts";
import {
  Attribute,
  attributesOf,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNullSelector,
  isPresent,
  longMode,
  readDescriptor,
  selectorError,
} from "./descriptor.ts";
import { isCanonical } from "./modes.ts";
import { type CodeTarget, codeTarget } from "./segmentation.ts";

/** In IA-32e mode a code segment with both L and D set raises #GP(selector). */
function checkCodeSize(cpu: CpuState, selector: number, attributes: number): void {
  const both = Attribute.L | Attribute.DB;
  if (longMode(cpu) && (attributes & both) === both) throw new Fault(Vector.GP, selectorError(selector));
}

/** The code segment of a direct JMP or CALL: CPL does not change. */
export function directTarget(
  core: Core,
  cpu: CpuState,
  selector: number,
  descriptor: Descriptor,
): CodeTarget {
  const attributes = attributesOf(descriptor);
  const dpl = dplOf(attributes);
  const cpl = cpu.cpl;
  if (isConforming(attributes)) {
    // Conforming code: #GP(selector) if DPL > CPL.
    if (dpl > cpl) throw new Fault(Vector.GP, selectorError(selector));
  } else if ((selector & 3) > cpl || dpl !== cpl) {
    // Non-conforming code: #GP(selector) if RPL > CPL or DPL <> CPL.
    throw new Fault(Vector.GP, selectorError(selector));
  }
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  checkCodeSize(cpu, selector, attributes);
  return codeTarget(core, cpu, selector, descriptor, cpl);
}

/** The code segment that RETF or IRET returns to: its RPL is the new CPL, which cannot be below CPL. */
export function returnTarget(core: Core, cpu: CpuState, selector: number): CodeTarget {
  // #GP(0) if the return code segment selector is null.
  if (isNullSelector(selector)) throw new Fault(Vector.GP, 0);
  const descriptor = readDescriptor(core, cpu, selector);
  const attributes = attributesOf(descriptor);
  const rpl = selector & 3;
  // #GP(selector) if it is not a code segment or its RPL is less than CPL.
  if (!isCode(attributes) || rpl < cpu.cpl) throw new Fault(Vector.GP, selectorError(selector));
  const dpl = dplOf(attributes);
  // #GP(selector) if conforming with DPL > RPL, or non-conforming with DPL <> RPL.
  if (isConforming(attributes) ? dpl > rpl : dpl !== rpl) {
    throw new Fault(Vector.GP, selectorError(selector));
  }
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  checkCodeSize(cpu, selector, attributes);
  return codeTarget(core, cpu, selector, descriptor, rpl);
}

/**
 * The code segment that a gate leads to, and the CPL it runs at.
 * @param ext EXT bit of the error codes
 * @param cpl the level that calls
 */
export function gateTarget(
  core: Core,
  cpu: CpuState,
  selector: number,
  cpl: number,
  ext: number,
): { target: CodeTarget; newCpl: number } {
  // #GP(EXT) if the selector in the gate is null.
  if (isNullSelector(selector)) throw new Fault(Vector.GP, ext);
  const descriptor = readDescriptor(core, cpu, selector, Vector.GP, ext);
  const attributes = attributesOf(descriptor);
  const dpl = dplOf(attributes);
  // #GP(selector + EXT) if it is not a code segment, or its DPL is greater than CPL.
  if (!isCode(attributes) || dpl > cpl) throw new Fault(Vector.GP, selectorError(selector, ext));
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector, ext));
  // In IA-32e mode a gate leads to 64-bit code only: #GP unless L = 1 and D = 0.
  if (longMode(cpu) && (attributes & (Attribute.L | Attribute.DB)) !== Attribute.L) {
    throw new Fault(Vector.GP, selectorError(selector, ext));
  }
  const newCpl = isConforming(attributes) ? cpl : dpl;
  return { target: codeTarget(core, cpu, selector, descriptor, newCpl), newCpl };
}

/** #GP(error) if a new instruction pointer lies outside its code segment or is not canonical. */
export function checkTargetRip(cpu: CpuState, target: CodeTarget, rip: bigint, error = 0): void {
  const outside = target.is64 ? !isCanonical(cpu, rip) : rip > BigInt(target.register.limit);
  if (outside) throw new Fault(Vector.GP, error);
}

/** Tells an observer that control has passed between rings. */
export function observeRing(core: Core, cpu: CpuState, from: number, cause: string): void {
  const to = cpu.i32(L.CPL);
  if (from !== to) core.observer?.ring?.(cpu, from, to, cause);
}

/** Tells an observer of a completed transfer: `SystemObserver.transfer`. */
export function observeTransfer(
  core: Core,
  cpu: CpuState,
  cause: TransferCause,
  from: number,
  source: bigint,
): void {
  core.observer?.transfer?.(cpu, cause, from, cpu.i32(L.CPL), source);
}
