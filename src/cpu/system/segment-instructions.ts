/** MOV and POP to segment registers, LDS and its kin, LAR, LSL, VERR, VERW, ARPL (SDM vol. 2). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment, Shadow } from "../layout.ts";
import { Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import {
  attributesOf,
  type Descriptor,
  dplOf,
  findDescriptor,
  isCode,
  isConforming,
  isNullSelector,
  isReadable,
  isSystem,
  isWritableData,
  limitOf,
  longMode,
  SystemType,
  typeOf,
} from "./descriptor.ts";
import {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  type RecordView,
  readReg,
  type SystemHelpers,
  writeRegister,
} from "./helper.ts";
import { isRealOrVirtual8086, nextRip } from "./modes.ts";
import { readMemoryOperand, writeMemoryOperand } from "./operand.ts";
import { loadSegment } from "./segmentation.ts";
import { currentStack, movePointer, peek, pushAll, setStackPointer } from "./stack.ts";

/** A 16-bit r/m operand. */
export function readSelector(core: Core, cpu: CpuState, record: RecordView): number {
  return record.isMemory ? Number(readMemoryOperand(core, cpu, record, 2)) : readReg(cpu, record.regB, 2);
}

/**
 * A load of SS inhibits interrupts and debug traps until the next instruction has ended, so that SS and ESP
 * can be set together (SDM vol. 3A 6.8.3). The run loop applies the shadow: `EVENT`.
 */
function afterLoad(cpu: CpuState, record: RecordView, segment: number): HelperResult {
  if (segment !== Segment.SS) return CONTINUE;
  cpu.setI32(L.SHADOW, cpu.i32(L.SHADOW) | Shadow.MOV_SS);
  cpu.rip = nextRip(cpu, record.length);
  return EVENT;
}

/** 8E /r: MOV Sreg, r/m16. */
const movToSegment: Helper = (core, cpu, record) => {
  const segment = record.segmentOperand;
  // #UD if an attempt is made to load the CS register, or a register that does not exist.
  if (segment === Segment.CS || segment > Segment.GS) throw new Fault(Vector.UD);
  loadSegment(core, cpu, segment, readSelector(core, cpu, record));
  return afterLoad(cpu, record, segment);
};

/** 8C /r: MOV r/m, Sreg. Memory gets 16 bits whatever the operand size; a register is zero-extended. */
const movFromSegment: Helper = (core, cpu, record) => {
  const segment = record.segmentOperand;
  if (segment > Segment.GS) throw new Fault(Vector.UD);
  const selector = BigInt(cpu.selector(segment));
  if (record.isMemory) writeMemoryOperand(core, cpu, record, 2, selector);
  else writeRegister(cpu, record.regB, record.operandSize, selector);
  return CONTINUE;
};

/** 06, 0E, 16, 1E, 0F A0, 0F A8: a 32-bit push writes 16 bits and moves the pointer by four. */
const pushSegment: Helper = (core, cpu, record) => {
  const stack = currentStack(cpu);
  const size = record.operandSize as 2 | 4 | 8;
  const selector = BigInt(cpu.selector(record.segmentOperand));
  if (size === 4) {
    stack.pointer = movePointer(stack, -2);
    pushAll(core, cpu, stack, 2, [selector]);
  } else pushAll(core, cpu, stack, size, [selector]);
  setStackPointer(cpu, stack);
  return CONTINUE;
};

/** 07, 17, 1F, 0F A1, 0F A9. */
const popSegment: Helper = (core, cpu, record) => {
  const segment = record.segmentOperand;
  if (segment === Segment.CS || segment > Segment.GS) throw new Fault(Vector.UD);
  const stack = currentStack(cpu);
  // The whole slot is read, though only 16 bits count.
  const selector = Number(peek(core, cpu, stack, record.operandSize as 2 | 4 | 8, 0) & 0xffffn);
  stack.pointer = movePointer(stack, record.operandSize);
  loadSegment(core, cpu, segment, selector);
  // The pointer moves in the size of the old stack segment.
  setStackPointer(cpu, stack);
  return afterLoad(cpu, record, segment);
};

/** LES, LDS, LSS, LFS, LGS: r, m16:16 / m16:32 / m16:64. */
function loadFarPointer(segment: number): Helper {
  return (core, cpu, record) => {
    // #UD if the source operand is not a memory location.
    if (!record.isMemory) throw new Fault(Vector.UD);
    const size = record.operandSize as 2 | 4 | 8;
    const offset = readMemoryOperand(core, cpu, record, size);
    const selector = Number(readMemoryOperand(core, cpu, record, 2, size));
    loadSegment(core, cpu, segment, selector);
    writeRegister(cpu, record.regA, size, offset);
    // Unlike MOV SS, LSS loads both halves at once and needs no shadow; SS.B may have changed though.
    if (segment !== Segment.SS) return CONTINUE;
    cpu.rip = nextRip(cpu, record.length);
    return EVENT;
  };
}

function setZeroFlag(cpu: CpuState, set: boolean): void {
  const flags = cpu.statusFlags;
  cpu.statusFlags = set ? flags | Flag.ZF : flags & ~Flag.ZF;
}

function requireProtectedMode(cpu: CpuState): void {
  // #UD: the instruction is not recognized in real-address and virtual-8086 mode.
  if (isRealOrVirtual8086(cpu)) throw new Fault(Vector.UD);
}

const LAR_TYPES = new Set<number>([
  SystemType.TSS_16,
  SystemType.LDT,
  SystemType.TSS_16_BUSY,
  SystemType.CALL_GATE_16,
  SystemType.TASK_GATE,
  SystemType.TSS_32,
  SystemType.TSS_32_BUSY,
  SystemType.CALL_GATE_32,
]);
const LSL_TYPES = new Set<number>([
  SystemType.TSS_16,
  SystemType.LDT,
  SystemType.TSS_16_BUSY,
  SystemType.TSS_32,
  SystemType.TSS_32_BUSY,
]);
/** In IA-32e mode the 16-bit types and task gates do not exist (SDM vol. 2A table 3-53, LSL likewise). */
const LONG_MODE_TYPES = new Set<number>([
  SystemType.LDT,
  SystemType.TSS_32,
  SystemType.TSS_32_BUSY,
  SystemType.CALL_GATE_32,
]);

/** The descriptor of a selector if LAR or LSL may look at it; null otherwise. Never faults but for #PF. */
function visibleDescriptor(
  core: Core,
  cpu: CpuState,
  selector: number,
  systemTypes: ReadonlySet<number>,
): Descriptor | null {
  if (isNullSelector(selector)) return null;
  const descriptor = findDescriptor(core, cpu, selector);
  if (descriptor === null) return null;
  const attributes = attributesOf(descriptor);
  if (isSystem(attributes)) {
    const type = typeOf(attributes);
    if (!systemTypes.has(type) || (longMode(cpu) && !LONG_MODE_TYPES.has(type))) return null;
  }
  // Visible: conforming code, or DPL not below CPL and RPL.
  const dpl = dplOf(attributes);
  if (!isConforming(attributes) && (cpu.cpl > dpl || (selector & 3) > dpl)) return null;
  return descriptor;
}

const lar: Helper = (core, cpu, record) => {
  requireProtectedMode(cpu);
  const descriptor = visibleDescriptor(core, cpu, readSelector(core, cpu, record), LAR_TYPES);
  if (descriptor !== null) {
    const rights = BigInt(descriptor.high & 0x00f0_ff00);
    writeRegister(cpu, record.regA, record.operandSize, record.operandSize === 2 ? rights & 0xff00n : rights);
  }
  setZeroFlag(cpu, descriptor !== null);
  return CONTINUE;
};

const lsl: Helper = (core, cpu, record) => {
  requireProtectedMode(cpu);
  const descriptor = visibleDescriptor(core, cpu, readSelector(core, cpu, record), LSL_TYPES);
  if (descriptor !== null) writeRegister(cpu, record.regA, record.operandSize, BigInt(limitOf(descriptor)));
  setZeroFlag(cpu, descriptor !== null);
  return CONTINUE;
};

function verify(allowed: (attributes: number) => boolean): Helper {
  return (core, cpu, record) => {
    requireProtectedMode(cpu);
    const descriptor = visibleDescriptor(core, cpu, readSelector(core, cpu, record), new Set());
    setZeroFlag(cpu, descriptor !== null && allowed(attributesOf(descriptor)));
    return CONTINUE;
  };
}

/** 63 /r outside 64-bit mode: ARPL r/m16, r16. */
const arpl: Helper = (core, cpu, record) => {
  requireProtectedMode(cpu);
  const destination = readSelector(core, cpu, record);
  const rpl = readReg(cpu, record.regA, 2) & 3;
  const raise = (destination & 3) < rpl;
  if (raise) {
    const value = BigInt((destination & 0xfffc) | rpl);
    if (record.isMemory) writeMemoryOperand(core, cpu, record, 2, value);
    else writeRegister(cpu, record.regB, 2, value);
  }
  setZeroFlag(cpu, raise);
  return CONTINUE;
};

export const segmentInstructions: SystemHelpers = {
  mov_to_sreg: movToSegment,
  mov_from_sreg: movFromSegment,
  push_sreg: pushSegment,
  pop_sreg: popSegment,
  les: loadFarPointer(Segment.ES),
  lds: loadFarPointer(Segment.DS),
  lss: loadFarPointer(Segment.SS),
  lfs: loadFarPointer(Segment.FS),
  lgs: loadFarPointer(Segment.GS),
  lar,
  lsl,
  verr: verify(isReadable),
  verw: verify((attributes) => !isCode(attributes) && isWritableData(attributes)),
  arpl,
};
