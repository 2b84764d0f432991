/**
 * Entering the handler of a vector: through the interrupt vector table of real mode, the gates of the IDT in
 * protected and IA-32e mode (SDM vol. 3A 6.10-6.14, 20.1.4, 20.2; vol. 2A, INT n). A fault met here changes
 * nothing of the interrupted program.
 */
import { Access, type Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Flag, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { checkTargetRip, gateTarget, observeRing, observeTransfer } from "./code-segment.ts";
import {
  Attribute,
  dplOf,
  isNullSelector,
  linear,
  longMode,
  markAccessed,
  nullSegment,
  SystemType,
  selectorError,
} from "./descriptor.ts";
import { checkRealRip, loadRealCode } from "./far-transfer.ts";
import { isCanonical, isProtected, isVirtual8086 } from "./modes.ts";
import { type CodeTarget, checkStackSegment, enterCode, nullStackSegment } from "./segmentation.ts";
import { currentStack, otherStack, pushAll, setStackPointer } from "./stack.ts";
import { innerStack, longModeStack } from "./task-state.ts";
import { switchTask } from "./task-switch.ts";

export interface HandlerEntry {
  readonly vector: number;
  /** Pushed after the frame; null where the vector has none, and always in real mode. */
  readonly errorCode: number | null;
  /** INT n, INT3, INTO: the gate's DPL is checked. */
  readonly software: boolean;
  /** EXT bit of error codes met on the way: 0 for INT n, INT3 and INTO, else 1. */
  readonly ext: 0 | 1;
  readonly returnRip: bigint;
  /** The RFLAGS image to save. */
  readonly flags: number;
}

/** Enters the handler. @throws Fault with nothing changed. */
export function enterHandler(core: Core, cpu: CpuState, entry: HandlerEntry): void {
  if (!isProtected(cpu)) enterRealMode(core, cpu, entry, cpu.u64(L.IDTR_BASE));
  else if (longMode(cpu)) enterLongMode(core, cpu, entry);
  else enterProtectedMode(core, cpu, entry);
}

/** Flags that a handler starts without. */
const CLEARED = Flag.TF | Flag.VM | Flag.RF | Flag.NT;

/**
 * Through a table of far pointers: the IDT in real mode, linear address 0 for software interrupts that
 * virtual-8086 mode extensions redirect.
 */
export function enterRealMode(core: Core, cpu: CpuState, entry: HandlerEntry, table: bigint): void {
  const offset = entry.vector * 4;
  // #GP if the vector lies beyond the limit of the table.
  if (!isProtected(cpu) && offset + 3 > cpu.u32(L.IDTR_LIMIT)) {
    throw new Fault(Vector.GP, entry.vector * 8 + 2 + entry.ext);
  }
  const pointer = core.memory.read(linear(cpu, table + BigInt(offset)), 4, Access.READ | Access.SYSTEM);
  const rip = BigInt(pointer & 0xffff);
  checkRealRip(cpu, rip);
  const stack = currentStack(cpu);
  pushAll(core, cpu, stack, 2, [BigInt(entry.flags), BigInt(cpu.selector(Segment.CS)), entry.returnRip]);
  setStackPointer(cpu, stack);
  loadRealCode(cpu, pointer >>> 16);
  cpu.rflags = isVirtual8086(cpu)
    ? cpu.rflags & ~(Flag.TF | Flag.NT | Flag.RF)
    : cpu.rflags & ~(Flag.IF | Flag.TF | Flag.AC | Flag.RF);
  const source = cpu.rip;
  cpu.rip = rip;
  core.modeChanged(cpu);
  observeTransfer(core, cpu, "event", cpu.cpl, source);
}

interface Gate {
  readonly type: number;
  readonly selector: number;
  readonly offset: number;
  /** Word 1 of a 64-bit gate holds the IST index. */
  readonly high: number;
}

/** Reads and checks the gate of the vector: `size` is 8, or 16 in IA-32e mode. */
function readGate(core: Core, cpu: CpuState, entry: HandlerEntry, size: 8 | 16): Gate {
  const offset = entry.vector * size;
  const error = entry.vector * 8 + 2 + entry.ext;
  // #GP(vector * 8 + 2 + EXT) if the gate lies beyond the limit of the IDT.
  if (offset + size - 1 > cpu.u32(L.IDTR_LIMIT)) throw new Fault(Vector.GP, error);
  const address = linear(cpu, cpu.u64(L.IDTR_BASE) + BigInt(offset));
  const access = Access.READ | Access.SYSTEM;
  const low = core.memory.read(address, 4, access);
  const high = core.memory.read(address + 4n, 4, access);
  const attributes = (high >>> 8) & 0xff;
  const type = attributes & (Attribute.TYPE | Attribute.S);
  const long = type === SystemType.INTERRUPT_GATE_32 || type === SystemType.TRAP_GATE_32;
  const legacy =
    size === 8 &&
    (type === SystemType.TASK_GATE ||
      type === SystemType.INTERRUPT_GATE_16 ||
      type === SystemType.TRAP_GATE_16);
  // #GP if the descriptor is no interrupt, trap or task gate.
  if (!long && !legacy) throw new Fault(Vector.GP, error);
  // #GP if a software interrupt meets a gate whose DPL is less than CPL.
  if (entry.software && dplOf(attributes) < cpu.cpl) throw new Fault(Vector.GP, error);
  // #NP if the gate is not present.
  if ((attributes & Attribute.P) === 0) throw new Fault(Vector.NP, error);
  return { type, selector: low >>> 16, offset: ((high & 0xffff_0000) | (low & 0xffff)) >>> 0, high };
}

/** Whether a gate leaves IF alone. */
function isTrapGate(type: number): boolean {
  return type === SystemType.TRAP_GATE_32 || type === SystemType.TRAP_GATE_16;
}

// ---- IA-32e mode --------------------------------------------------------------------------------------

const frame = new Uint8Array(48);
const frameView = new DataView(frame.buffer);

function enterLongMode(core: Core, cpu: CpuState, entry: HandlerEntry): void {
  const gate = readGate(core, cpu, entry, 16);
  const upper = core.memory.read(
    cpu.u64(L.IDTR_BASE) + BigInt(entry.vector * 16 + 8),
    4,
    Access.READ | Access.SYSTEM,
  );
  const rip = (BigInt(upper) << 32n) | BigInt(gate.offset);
  const cpl = cpu.cpl;
  const { ext } = entry;
  const { target, newCpl } = gateTarget(core, cpu, gate.selector, cpl, ext);
  const ist = gate.high & 7;
  let pointer: bigint;
  if (ist !== 0) pointer = longModeStack(core, cpu, ist + 3, ext);
  else if (newCpl !== cpl) pointer = longModeStack(core, cpu, newCpl, ext);
  else pointer = cpu.gpr(Gpr.RSP);
  // The frame starts on a 16-byte boundary and always holds SS:RSP (SDM vol. 3A 6.14.2).
  const top = pointer & ~15n;
  const size = entry.errorCode === null ? 40 : 48;
  const bottom = BigInt.asUintN(64, top - BigInt(size));
  // #SS(EXT) if the frame would lie at addresses that are not canonical.
  if (!isCanonical(cpu, bottom) || !isCanonical(cpu, top - 1n)) throw new Fault(Vector.SS, ext);
  checkTargetRip(cpu, target, rip, ext);

  let at = 0;
  const put = (value: bigint) => {
    frameView.setBigUint64(at, value, true);
    at += 8;
  };
  if (entry.errorCode !== null) put(BigInt(entry.errorCode >>> 0));
  put(entry.returnRip);
  put(BigInt(cpu.selector(Segment.CS)));
  put(BigInt(entry.flags));
  put(cpu.gpr(Gpr.RSP));
  put(BigInt(cpu.selector(Segment.SS)));
  // Without a change of level the frame is an ordinary access of the current level (SMAP looks at AC).
  const access = newCpl === cpl ? Access.WRITE : Access.WRITE | Access.SYSTEM;
  core.memory.writeBytes(bottom, size === 48 ? frame : frame.subarray(0, 40), access);

  enterCode(core, cpu, target, newCpl);
  if (newCpl !== cpl) cpu.setSegment(Segment.SS, nullStackSegment(newCpl, newCpl));
  cpu.setGpr(Gpr.RSP, bottom);
  finish(core, cpu, gate, rip, cpl);
}

function finish(core: Core, cpu: CpuState, gate: Gate, rip: bigint, from: number): void {
  const cleared = CLEARED | (isTrapGate(gate.type) ? 0 : Flag.IF);
  cpu.setI32(L.FLAGS_SYSTEM, cpu.i32(L.FLAGS_SYSTEM) & ~cleared);
  const source = cpu.rip;
  cpu.rip = rip;
  core.modeChanged(cpu);
  observeRing(core, cpu, from, "interrupt");
  observeTransfer(core, cpu, "event", from, source);
}

// ---- Legacy protected mode ----------------------------------------------------------------------------

function enterProtectedMode(core: Core, cpu: CpuState, entry: HandlerEntry): void {
  const gate = readGate(core, cpu, entry, 8);
  const { ext } = entry;
  if (gate.type === SystemType.TASK_GATE) {
    const errorCode = entry.errorCode === null ? {} : { errorCode: entry.errorCode };
    const options = { privileged: true, ext, ...errorCode };
    switchTask(core, cpu, gate.selector, "interrupt", entry.returnRip, options);
    return;
  }
  const wide = gate.type === SystemType.INTERRUPT_GATE_32 || gate.type === SystemType.TRAP_GATE_32;
  const size = wide ? 4 : 2;
  const rip = BigInt(wide ? gate.offset : gate.offset & 0xffff);
  const cpl = cpu.cpl;
  const { target, newCpl } = gateTarget(core, cpu, gate.selector, cpl, ext);
  checkTargetRip(cpu, target, rip, ext);
  const fromVirtual8086 = isVirtual8086(cpu);
  // #GP(selector + EXT) if a handler of virtual-8086 mode does not run at CPL 0.
  if (fromVirtual8086 && newCpl !== 0) throw new Fault(Vector.GP, selectorError(gate.selector, ext));
  const tail = [BigInt(entry.flags), BigInt(cpu.selector(Segment.CS)), entry.returnRip];
  if (entry.errorCode !== null) tail.push(BigInt(entry.errorCode >>> 0));

  if (newCpl === cpl) {
    const stack = { ...currentStack(cpu), error: ext };
    pushAll(core, cpu, stack, size, tail);
    setStackPointer(cpu, stack);
    enterCode(core, cpu, target, newCpl);
    finish(core, cpu, gate, rip, cpl);
    return;
  }
  const values = [BigInt(cpu.selector(Segment.SS)), cpu.gpr(Gpr.RSP), ...tail];
  if (fromVirtual8086) {
    const others = [Segment.GS, Segment.FS, Segment.DS, Segment.ES];
    values.unshift(...others.map((segment) => BigInt(cpu.selector(segment))));
  }
  const stack = handlerStack(core, cpu, target, newCpl, ext);
  pushAll(core, cpu, stack, size, values);
  if (fromVirtual8086) {
    // Selectors of virtual-8086 mode mean nothing to the handler: all become null.
    for (const segment of [Segment.GS, Segment.FS, Segment.DS, Segment.ES]) {
      cpu.setSegment(segment, nullSegment(0));
    }
  }
  enterCode(core, cpu, target, newCpl);
  cpu.setSegment(Segment.SS, stack.segment);
  setStackPointer(cpu, stack);
  finish(core, cpu, gate, rip, cpl);
}

/** The stack that the TSS gives for an inner level: faults of it are #TS(selector + EXT). */
function handlerStack(core: Core, cpu: CpuState, target: CodeTarget, cpl: number, ext: number) {
  const { selector, pointer } = innerStack(core, cpu, cpl, ext);
  if (isNullSelector(selector)) throw new Fault(Vector.TS, ext);
  const { register, descriptor } = checkStackSegment(core, cpu, selector, cpl, { vector: Vector.TS, ext });
  markAccessed(core, descriptor);
  return otherStack(register, pointer, target.is64, selectorError(selector, ext));
}
