/** JMP far, CALL far and RETF in all modes, with call gates (SDM vol. 2, JMP, CALL, RET; vol. 3A 5.8). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import {
  checkTargetRip,
  directTarget,
  gateTarget,
  observeRing,
  observeTransfer,
  returnTarget,
} from "./code-segment.ts";
import {
  attributesOf,
  type Descriptor,
  dplOf,
  isCode,
  isNullSelector,
  isPresent,
  isSystem,
  longMode,
  markAccessed,
  probeAccessed,
  readDescriptor,
  readUpperHalf,
  SystemType,
  selectorError,
  typeOf,
} from "./descriptor.ts";
import { EVENT, type Helper, type HelperResult, type RecordView, type SystemHelpers } from "./helper.ts";
import { isProtected, isRealOrVirtual8086, nextRip } from "./modes.ts";
import { readMemoryOperand } from "./operand.ts";
import {
  type CodeTarget,
  checkStackSegment,
  dropInnerSegments,
  enterCode,
  nullStackSegment,
  realModeSegment,
  virtual8086Segment,
} from "./segmentation.ts";
import {
  currentStack,
  movePointer,
  otherStack,
  peekAt,
  pushAll,
  type Stack,
  setStackPointer,
} from "./stack.ts";
import { innerStack, longModeStack } from "./task-state.ts";
import { switchTask, switchThroughGate } from "./task-switch.ts";

/** The far pointer of ptr16:16/32 or m16:16/32/64. */
function farPointer(core: Core, cpu: CpuState, record: RecordView): { selector: number; offset: bigint } {
  const size = record.operandSize as 2 | 4 | 8;
  if (!record.isMemory) {
    return {
      selector: record.immHigh & 0xffff,
      offset: BigInt(size === 2 ? record.imm32 & 0xffff : record.imm32 >>> 0),
    };
  }
  const offset = readMemoryOperand(core, cpu, record, size);
  return { selector: Number(readMemoryOperand(core, cpu, record, 2, size)), offset };
}

/** CS of real-address or virtual-8086 mode. */
export function loadRealCode(cpu: CpuState, selector: number): void {
  cpu.setSegment(
    Segment.CS,
    isProtected(cpu) ? virtual8086Segment(selector) : realModeSegment(cpu, Segment.CS, selector),
  );
}

/** #GP(0) if the new instruction pointer is beyond the limit that CS keeps in real or virtual-8086 mode. */
export function checkRealRip(cpu: CpuState, offset: bigint): void {
  const limit = isProtected(cpu) ? 0xffff : cpu.u32(L.SEGMENTS + L.SEGMENT_STRIDE + L.SEGMENT_LIMIT);
  if (offset > BigInt(limit)) throw new Fault(Vector.GP, 0);
}

function arrive(core: Core, cpu: CpuState, rip: bigint): HelperResult {
  cpu.rip = rip;
  core.modeChanged(cpu);
  return EVENT;
}

/** As `arrive`, and tells an observer: `from` is the level that calls or returns. */
function arriveObserved(
  core: Core,
  cpu: CpuState,
  rip: bigint,
  cause: "call gate" | "RETF",
  from: number,
): HelperResult {
  const source = cpu.rip;
  const result = arrive(core, cpu, rip);
  observeTransfer(core, cpu, cause, from, source);
  return result;
}

interface Gate {
  readonly selector: number;
  readonly offset: bigint;
  readonly parameters: number;
  /** Bytes of each slot that a call through it pushes. */
  readonly size: 2 | 4 | 8;
}

/** A call gate after its own checks. */
function callGate(core: Core, cpu: CpuState, selector: number, descriptor: Descriptor): Gate {
  const attributes = attributesOf(descriptor);
  const dpl = dplOf(attributes);
  // #GP(gate selector) if the gate's DPL is less than CPL or RPL.
  if (dpl < cpu.cpl || dpl < (selector & 3)) throw new Fault(Vector.GP, selectorError(selector));
  // #NP(gate selector) if the gate is not present.
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  const { low, high } = descriptor;
  const target = low >>> 16;
  if (longMode(cpu)) {
    const upper = readUpperHalf(core, cpu, selector);
    // #GP(gate selector) if the upper half is outside the table or its type bits are not zero.
    if (upper === null) throw new Fault(Vector.GP, selectorError(selector));
    const offset = (BigInt(upper) << 32n) | BigInt(((high & 0xffff_0000) | (low & 0xffff)) >>> 0);
    return { selector: target, offset, parameters: 0, size: 8 };
  }
  const wide = typeOf(attributes) === SystemType.CALL_GATE_32;
  const offset = wide ? ((high & 0xffff_0000) | (low & 0xffff)) >>> 0 : low & 0xffff;
  return { selector: target, offset: BigInt(offset), parameters: high & 0x1f, size: wide ? 4 : 2 };
}

/** Where a far JMP or CALL to a protected-mode selector leads. */
function classify(core: Core, cpu: CpuState, selector: number) {
  // #GP(0) if the code segment selector is null.
  if (isNullSelector(selector)) throw new Fault(Vector.GP, 0);
  const descriptor = readDescriptor(core, cpu, selector);
  const attributes = attributesOf(descriptor);
  if (isCode(attributes)) return { kind: "code", descriptor } as const;
  if (isSystem(attributes)) {
    const type = typeOf(attributes);
    if (type === SystemType.CALL_GATE_32) return { kind: "gate", descriptor } as const;
    // IA-32e mode has neither 16-bit gates nor task switches (SDM vol. 3A 5.8.3.1, 7.7).
    if (!longMode(cpu)) {
      if (type === SystemType.CALL_GATE_16) return { kind: "gate", descriptor } as const;
      if (type === SystemType.TASK_GATE) return { kind: "task gate", descriptor } as const;
      if (type === SystemType.TSS_16 || type === SystemType.TSS_32) {
        return { kind: "tss", descriptor } as const;
      }
    }
  }
  // #GP(selector) if the descriptor is of no type that can be jumped to.
  throw new Fault(Vector.GP, selectorError(selector));
}

/** FF /5 and EA: JMP far. */
const jumpFar: Helper = (core, cpu, record) => {
  const { selector, offset } = farPointer(core, cpu, record);
  if (isRealOrVirtual8086(cpu)) {
    checkRealRip(cpu, offset);
    loadRealCode(cpu, selector);
    return arrive(core, cpu, offset);
  }
  const { kind, descriptor } = classify(core, cpu, selector);
  if (kind === "tss") return switchTask(core, cpu, selector, "jump", nextRip(cpu, record.length));
  if (kind === "task gate") {
    return switchThroughGate(core, cpu, selector, descriptor, "jump", nextRip(cpu, record.length));
  }
  let target: CodeTarget;
  let rip = offset;
  if (kind === "gate") {
    const gate = callGate(core, cpu, selector, descriptor);
    const through = gateTarget(core, cpu, gate.selector, cpu.cpl, 0);
    // A jump cannot change CPL: #GP(selector) if non-conforming code has another DPL.
    if (through.newCpl !== cpu.cpl) throw new Fault(Vector.GP, selectorError(gate.selector));
    target = through.target;
    rip = gate.offset;
  } else target = directTarget(core, cpu, selector, descriptor);
  checkTargetRip(cpu, target, rip);
  enterCode(core, cpu, target, cpu.cpl);
  return arrive(core, cpu, rip);
};

/** FF /3 and 9A: CALL far. */
const callFar: Helper = (core, cpu, record) => {
  const { selector, offset } = farPointer(core, cpu, record);
  const size = record.operandSize as 2 | 4 | 8;
  const returnRip = nextRip(cpu, record.length);
  const cs = BigInt(cpu.selector(Segment.CS));
  const stack = currentStack(cpu);
  if (isRealOrVirtual8086(cpu)) {
    checkRealRip(cpu, offset);
    pushAll(core, cpu, stack, size, [cs, returnRip]);
    setStackPointer(cpu, stack);
    loadRealCode(cpu, selector);
    return arrive(core, cpu, offset);
  }
  const { kind, descriptor } = classify(core, cpu, selector);
  if (kind === "tss") return switchTask(core, cpu, selector, "call", returnRip);
  if (kind === "task gate") return switchThroughGate(core, cpu, selector, descriptor, "call", returnRip);
  if (kind === "gate") {
    return callThroughGate(core, cpu, callGate(core, cpu, selector, descriptor), returnRip);
  }
  const target = directTarget(core, cpu, selector, descriptor);
  checkTargetRip(cpu, target, offset);
  pushAll(core, cpu, stack, size, [cs, returnRip]);
  setStackPointer(cpu, stack);
  enterCode(core, cpu, target, cpu.cpl);
  return arrive(core, cpu, offset);
};

function callThroughGate(core: Core, cpu: CpuState, gate: Gate, returnRip: bigint): HelperResult {
  const cpl = cpu.cpl;
  const { target, newCpl } = gateTarget(core, cpu, gate.selector, cpl, 0);
  checkTargetRip(cpu, target, gate.offset);
  const cs = BigInt(cpu.selector(Segment.CS));
  const old = currentStack(cpu);
  if (newCpl === cpl) {
    pushAll(core, cpu, old, gate.size, [cs, returnRip]);
    setStackPointer(cpu, old);
    enterCode(core, cpu, target, cpl);
    return arriveObserved(core, cpu, gate.offset, "call gate", cpl);
  }
  // To an inner level: the stack comes from the TSS; old SS:ESP and the parameters are copied to it.
  const ss = BigInt(cpu.selector(Segment.SS));
  const stack = callStack(core, cpu, newCpl, target.is64);
  const frame = [ss, old.pointer];
  for (let index = gate.parameters - 1; index >= 0; index--) {
    frame.push(peekAt(core, cpu, old, gate.size as 2 | 4, index * gate.size));
  }
  frame.push(cs, returnRip);
  pushAll(core, cpu, stack, gate.size, frame);
  enterCode(core, cpu, target, newCpl);
  cpu.setSegment(Segment.SS, stack.segment);
  setStackPointer(cpu, stack);
  observeRing(core, cpu, cpl, "CALL");
  return arriveObserved(core, cpu, gate.offset, "call gate", cpl);
}

/** The stack of inner level `cpl` that a call gate switches to. */
function callStack(core: Core, cpu: CpuState, cpl: number, is64: boolean): Stack {
  if (longMode(cpu)) {
    const pointer = longModeStack(core, cpu, cpl, 0);
    // SS becomes a null selector whose RPL is the new CPL (SDM vol. 3A 5.8.5.1).
    return otherStack(nullStackSegment(cpl, cpl), pointer, is64, 0);
  }
  const { selector, pointer } = innerStack(core, cpu, cpl, 0);
  // #TS(0) if the new stack segment selector is null; other faults of it are #TS(selector).
  if (isNullSelector(selector)) throw new Fault(Vector.TS, 0);
  const faults = { vector: Vector.TS, ext: 0 };
  const { register, descriptor } = checkStackSegment(core, cpu, selector, cpl, faults);
  probeAccessed(core, descriptor);
  markAccessed(core, descriptor);
  return otherStack(register, pointer, false, selectorError(selector));
}

/** CA iw, CB: RETF. */
const returnFar: Helper = (core, cpu, record) => {
  const size = record.operandSize as 2 | 4 | 8;
  const release = record.imm32 & 0xffff;
  const stack = currentStack(cpu);
  const rip = peekAt(core, cpu, stack, size, 0);
  const selector = Number(peekAt(core, cpu, stack, size, size) & 0xffffn);
  if (isRealOrVirtual8086(cpu)) {
    checkRealRip(cpu, rip);
    loadRealCode(cpu, selector);
    stack.pointer = movePointer(stack, 2 * size + release);
    setStackPointer(cpu, stack);
    return arrive(core, cpu, rip);
  }
  const target = returnTarget(core, cpu, selector);
  checkTargetRip(cpu, target, rip);
  const cpl = cpu.cpl;
  const newCpl = selector & 3;
  if (newCpl === cpl) {
    enterCode(core, cpu, target, cpl);
    stack.pointer = movePointer(stack, 2 * size + release);
    setStackPointer(cpu, stack);
    return arriveObserved(core, cpu, rip, "RETF", cpl);
  }
  // To an outer level: SS:ESP lie above the released parameters, which both stacks give up.
  const pointer = peekAt(core, cpu, stack, size, 2 * size + release);
  const stackSelector = Number(peekAt(core, cpu, stack, size, 3 * size + release) & 0xffffn);
  const outer = returnStack(core, cpu, target, stackSelector, newCpl, pointer);
  enterCode(core, cpu, target, newCpl);
  cpu.setSegment(Segment.SS, outer.segment);
  outer.pointer = movePointer(outer, release);
  setStackPointer(cpu, outer);
  dropInnerSegments(cpu, newCpl);
  observeRing(core, cpu, cpl, "RET");
  return arriveObserved(core, cpu, rip, "RETF", cpl);
};

/** The stack that RETF or IRET returns to at level `cpl`, checked and marked accessed. */
export function returnStack(
  core: Core,
  cpu: CpuState,
  target: CodeTarget,
  selector: number,
  cpl: number,
  pointer: bigint,
): Stack {
  if (isNullSelector(selector)) {
    // #GP(0) if the stack selector is null, but for a return to 64-bit code at CPL < 3 with the same RPL.
    if (!target.is64 || cpl === 3 || (selector & 3) !== cpl) throw new Fault(Vector.GP, 0);
    return otherStack(nullStackSegment(selector, cpl), pointer, true, 0);
  }
  const { register, descriptor } = checkStackSegment(core, cpu, selector, cpl);
  markAccessed(core, descriptor);
  const stack = otherStack(register, pointer, target.is64, 0);
  // A 16-bit stack takes SP only and leaves the rest of the register as it was.
  if (stack.pointerSize === 2) {
    const upper = cpu.gpr(Gpr.RSP) & ~0xffffn;
    return { ...stack, pointer: upper | (pointer & 0xffffn) };
  }
  return stack;
}

export const farTransferInstructions: SystemHelpers = {
  jmp_far: jumpFar,
  call_far: callFar,
  retf: returnFar,
};
