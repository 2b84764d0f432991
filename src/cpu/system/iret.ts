/** IRET, IRETD, IRETQ in all modes (SDM vol. 2A, IRET; vol. 3A 6.14.3, 20.2). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Cr4, Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { checkTargetRip, observeRing, observeTransfer, returnTarget } from "./code-segment.ts";
import { NMI_BLOCKED } from "./cold-state.ts";
import { longMode } from "./descriptor.ts";
import { checkRealRip, loadRealCode, returnStack } from "./far-transfer.ts";
import { type Helper, type HelperResult, type SystemHelpers, transferred } from "./helper.ts";
import { iopl, is64BitCode, isProtected, isVirtual8086, nextRip } from "./modes.ts";
import { dropInnerSegments, enterCode, virtual8086Segment } from "./segmentation.ts";
import { currentStack, movePointer, peek, peekSlots, type Stack, setStackPointer } from "./stack.ts";
import { returnToPreviousTask } from "./task-switch.ts";

type Size = 2 | 4 | 8;

/** Flags that every IRET takes from the stack. */
const COMMON = Flag.CF | Flag.PF | Flag.AF | Flag.ZF | Flag.SF | Flag.TF | Flag.DF | Flag.OF | Flag.NT;
/** Also taken by a 32- or 64-bit IRET. */
const WIDE = Flag.RF | Flag.AC | Flag.ID;

/** Replaces the bits of `mask` in RFLAGS. */
function mergeFlags(cpu: CpuState, value: number, mask: number): void {
  cpu.rflags = (cpu.rflags & ~mask) | (value & mask);
}

/** Completes. */
function arrive(core: Core, cpu: CpuState, rip: bigint): HelperResult {
  cpu.rip = rip;
  core.modeChanged(cpu);
  return transferred(cpu);
}

/** Completes, and tells an observer: `from` is the level that returns. */
function arriveObserved(core: Core, cpu: CpuState, rip: bigint, from: number): HelperResult {
  const source = cpu.rip;
  const result = arrive(core, cpu, rip);
  observeTransfer(core, cpu, "IRET", from, source);
  return result;
}

const iret: Helper = (core, cpu, record) => {
  // Executing IRET unblocks NMIs even if it faults (SDM vol. 3A 6.7.1).
  cpu.setI32(NMI_BLOCKED, 0);
  const size = record.operandSize as Size;
  const stack = currentStack(cpu);
  if (!isProtected(cpu)) return returnInRealMode(core, cpu, stack, size);
  if (isVirtual8086(cpu)) return returnInVirtual8086(core, cpu, stack, size);
  if (cpu.rflags & Flag.NT) {
    // #GP(0) if NT is set in IA-32e mode; elsewhere NT asks for the previous task.
    if (longMode(cpu)) throw new Fault(Vector.GP, 0);
    return returnToPreviousTask(core, cpu, nextRip(cpu, record.length));
  }
  return returnInProtectedMode(core, cpu, stack, size);
};

function returnInRealMode(core: Core, cpu: CpuState, stack: Stack, size: Size): HelperResult {
  const rip = peek(core, cpu, stack, size, 0);
  const selector = Number(peek(core, cpu, stack, size, 1) & 0xffffn);
  const flags = Number(peek(core, cpu, stack, size, 2) & 0xffff_ffffn);
  checkRealRip(cpu, rip);
  loadRealCode(cpu, selector);
  // VM, VIF and VIP stay; a 16-bit IRET leaves the upper half alone.
  const taken = COMMON | Flag.IF | Flag.IOPL | (size === 2 ? 0 : WIDE);
  mergeFlags(cpu, flags, taken);
  stack.pointer = movePointer(stack, 3 * size);
  setStackPointer(cpu, stack);
  return arriveObserved(core, cpu, rip, cpu.cpl);
}

function returnInVirtual8086(core: Core, cpu: CpuState, stack: Stack, size: Size): HelperResult {
  const virtual = iopl(cpu) < 3;
  // #GP(0) if IOPL < 3, unless virtual-8086 mode extensions handle a 16-bit IRET.
  if (virtual && ((cpu.cr4 & Cr4.VME) === 0 || size !== 2)) throw new Fault(Vector.GP, 0);
  const rip = peek(core, cpu, stack, size, 0);
  const selector = Number(peek(core, cpu, stack, size, 1) & 0xffffn);
  const flags = Number(peek(core, cpu, stack, size, 2) & 0xffff_ffffn);
  checkRealRip(cpu, rip);
  if (virtual) {
    // #GP(0) if the image sets TF, or sets IF while VIP is set; IF of the image becomes VIF.
    const wakes = (flags & Flag.IF) !== 0 && (cpu.rflags & Flag.VIP) !== 0;
    if (wakes || (flags & Flag.TF) !== 0) throw new Fault(Vector.GP, 0);
    mergeFlags(cpu, flags | (flags & Flag.IF ? Flag.VIF : 0), COMMON | Flag.VIF);
  } else {
    mergeFlags(cpu, flags, COMMON | Flag.IF | (size === 2 ? 0 : WIDE));
  }
  loadRealCode(cpu, selector);
  stack.pointer = movePointer(stack, 3 * size);
  setStackPointer(cpu, stack);
  return arriveObserved(core, cpu, rip, cpu.cpl);
}

function returnInProtectedMode(core: Core, cpu: CpuState, stack: Stack, size: Size): HelperResult {
  const cpl = cpu.cpl;
  const code64 = is64BitCode(cpu);
  const slots = peekSlots(core, cpu, stack, size, code64 ? 5 : 3);
  const rip = slots[0]!;
  const selector = Number(slots[1]! & 0xffffn);
  const flags = Number(slots[2]! & 0xffff_ffffn);
  if (size === 4 && flags & Flag.VM && cpl === 0 && !longMode(cpu)) {
    return returnToVirtual8086(core, cpu, stack, flags);
  }
  const target = returnTarget(core, cpu, selector);
  checkTargetRip(cpu, target, rip);
  const newCpl = selector & 3;
  let outer: Stack | null = null;
  // 64-bit code always pops SS:RSP; other code only on a return to an outer level.
  if (code64 || newCpl > cpl) {
    const pointer = slots[3] ?? peek(core, cpu, stack, size, 3);
    const stackSelector = Number((slots[4] ?? peek(core, cpu, stack, size, 4)) & 0xffffn);
    outer = returnStack(core, cpu, target, stackSelector, newCpl, pointer);
  }
  enterCode(core, cpu, target, newCpl);
  if (outer !== null) {
    cpu.setSegment(Segment.SS, outer.segment);
    setStackPointer(cpu, outer);
  } else {
    stack.pointer = movePointer(stack, 3 * size);
    setStackPointer(cpu, stack);
  }
  // IF is taken if CPL was at most IOPL; IOPL, VIF and VIP if CPL was 0.
  let taken = COMMON | (size === 2 ? 0 : WIDE);
  if (cpl <= iopl(cpu)) taken |= Flag.IF;
  if (cpl === 0) taken |= Flag.IOPL | (size === 2 ? 0 : Flag.VIF | Flag.VIP);
  mergeFlags(cpu, flags, taken);
  if (newCpl > cpl) {
    dropInnerSegments(cpu, newCpl);
    observeRing(core, cpu, cpl, "IRET");
  }
  return arriveObserved(core, cpu, rip, cpl);
}

/** From a monitor at CPL 0: nine doublewords are popped, the segments are virtual-8086's. */
function returnToVirtual8086(core: Core, cpu: CpuState, stack: Stack, flags: number): HelperResult {
  const slot = (index: number) => Number(peek(core, cpu, stack, 4, index));
  const rip = slot(0);
  const segments = [
    [Segment.CS, slot(1)],
    [Segment.SS, slot(4)],
    [Segment.ES, slot(5)],
    [Segment.DS, slot(6)],
    [Segment.FS, slot(7)],
    [Segment.GS, slot(8)],
  ] as const;
  const pointer = slot(3);
  // #GP(0) if the return instruction pointer is beyond the limit of a virtual-8086 code segment.
  if (rip > 0xffff) throw new Fault(Vector.GP, 0);
  for (const [segment, selector] of segments) cpu.setSegment(segment, virtual8086Segment(selector & 0xffff));
  cpu.setGpr32(4, pointer);
  cpu.rflags = flags;
  cpu.setI32(L.CPL, 3);
  observeRing(core, cpu, 0, "IRET");
  return arriveObserved(core, cpu, BigInt(rip), 0);
}

export const iretInstructions: SystemHelpers = { iret, iretd: iret, iretq: iret };
