/**
 * Task switches of legacy protected mode, with 16- and 32-bit TSSs (SDM vol. 3A 7.3). The steps are numbered
 * as there. IA-32e mode has none.
 *
 * From step 12 on the processor is in the new task: a fault thrown there is the new task's, with RIP already
 * the new task's, and is delivered by it.
 */
import { Access, type Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment, Shadow } from "../layout.ts";
import { Cr0, Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { PENDING_DEBUG } from "./cold-state.ts";
import {
  attributesOf,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNullSelector,
  isPresent,
  isSystem,
  linear,
  markAccessed,
  nullSegment,
  readDescriptor,
  SystemType,
  segmentRegister,
  selectorError,
  setBusy,
  typeOf,
} from "./descriptor.ts";
import { EVENT, type HelperResult } from "./helper.ts";
import { checkDataSegment, checkStackSegment, virtual8086Segment } from "./segmentation.ts";
import { currentStack, pushAll, setStackPointer } from "./stack.ts";
import { loadLdt } from "./table-registers.ts";
import { isWideTss } from "./task-state.ts";

export type TaskSwitchCause = "jump" | "call" | "interrupt" | "iret";

/** DR6.BT, and DR7's local enable bits (SDM vol. 3B 18.2). */
const DR6_BT = 1 << 15;
const DR7_LOCAL = 0x155;

/** Where the dynamic fields lie: 32-bit and 16-bit TSS. The registers are in the order of their encodings. */
const LAYOUT_32 = {
  limit: 0x67,
  eip: 0x20,
  eflags: 0x24,
  registers: 0x28,
  segments: 0x48,
  ldt: 0x60,
} as const;
const LAYOUT_16 = {
  limit: 0x2b,
  eip: 0x0e,
  eflags: 0x10,
  registers: 0x12,
  segments: 0x22,
  ldt: 0x2a,
} as const;

/** ES CS SS DS, and FS GS in the 32-bit TSS. */
const TSS_SEGMENTS = [Segment.ES, Segment.CS, Segment.SS, Segment.DS, Segment.FS, Segment.GS] as const;

interface NewTask {
  readonly eip: number;
  readonly eflags: number;
  readonly registers: readonly number[];
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly cr3: number | null;
  readonly trap: boolean;
}

/** Through a task gate. @param ext EXT bit of error codes. */
export function switchThroughGate(
  core: Core,
  cpu: CpuState,
  selector: number,
  gate: Descriptor,
  cause: TaskSwitchCause,
  returnRip: bigint,
): HelperResult {
  const attributes = attributesOf(gate);
  const dpl = dplOf(attributes);
  // #GP(gate selector) if the gate's DPL is less than CPL or RPL.
  if (dpl < cpu.cpl || dpl < (selector & 3)) throw new Fault(Vector.GP, selectorError(selector));
  // #NP(gate selector) if the task gate is not present.
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector));
  return switchTask(core, cpu, gate.low >>> 16, cause, returnRip, { privileged: true });
}

export interface SwitchOptions {
  /** The privilege check was made on a gate, or is not made at all (interrupts, IRET). */
  readonly privileged?: boolean;
  readonly ext?: number;
  /** Pushed on the new task's stack. */
  readonly errorCode?: number;
}

/** Switches to the task whose TSS `selector` names. `returnRip` is where the old task will go on. */
export function switchTask(
  core: Core,
  cpu: CpuState,
  selector: number,
  cause: TaskSwitchCause,
  returnRip: bigint,
  options: SwitchOptions = {},
): HelperResult {
  const ext = options.ext ?? 0;
  const vector = cause === "iret" ? Vector.TS : Vector.GP;
  // Step 1: the TSS must be in the GDT.
  if (selector & 4 || isNullSelector(selector)) throw new Fault(vector, selectorError(selector, ext));
  const descriptor = readDescriptor(core, cpu, selector, vector, ext);
  const attributes = attributesOf(descriptor);
  const type = typeOf(attributes);
  // Step 2: #GP(selector) if the DPL of the TSS is less than CPL or RPL, where no gate was passed.
  if (cause !== "iret" && !options.privileged) {
    if (dplOf(attributes) < cpu.cpl || dplOf(attributes) < (selector & 3)) {
      throw new Fault(vector, selectorError(selector, ext));
    }
  }
  // Step 4: available for JMP, CALL and interrupts, busy for IRET.
  const wanted: readonly number[] =
    cause === "iret"
      ? [SystemType.TSS_32_BUSY, SystemType.TSS_16_BUSY]
      : [SystemType.TSS_32, SystemType.TSS_16];
  if (!isSystem(attributes) || !wanted.includes(type)) throw new Fault(vector, selectorError(selector, ext));
  // Step 3: present, and long enough: #NP(selector), #TS(selector).
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector, ext));
  const wide = isWideTss(attributes);
  const tss = segmentRegister(selector, descriptor);
  const layout = wide ? LAYOUT_32 : LAYOUT_16;
  if (tss.limit < layout.limit) throw new Fault(Vector.TS, selectorError(selector, ext));

  // Step 5: everything that the switch touches must be mapped, before anything changes.
  const old = cpu.segment(Segment.TR);
  const oldWide = isWideTss(old.attributes);
  const system = Access.SYSTEM;
  const nested = cause === "call" || cause === "interrupt";
  const oldLayout = oldWide ? LAYOUT_32 : LAYOUT_16;
  core.memory.probeWrite(
    linear(cpu, old.base + BigInt(oldLayout.eip)),
    oldLayout.ldt - oldLayout.eip,
    system | 1,
  );
  if (nested) core.memory.probeWrite(linear(cpu, tss.base), 2, system | 1);
  const task = readTask(core, cpu, tss.base, wide, (cpu.cr0 & Cr0.PG) !== 0);
  const oldDescriptor =
    cause === "jump" || cause === "iret" ? readDescriptor(core, cpu, old.selector, Vector.TS, ext) : null;

  // Steps 6-8: the old task is no longer busy after JMP and IRET; IRET clears NT in what is saved.
  if (oldDescriptor !== null) setBusy(core, oldDescriptor, false);
  const saved = cause === "iret" ? cpu.rflags & ~Flag.NT : cpu.rflags;
  writeTask(core, cpu, old.base, oldWide, Number(returnRip & 0xffff_ffffn), saved);
  // Step 10-11: the new task is busy; nested ones link back to the old.
  if (nested) core.memory.write(linear(cpu, tss.base), 2, old.selector, Access.WRITE | system);
  if (cause !== "iret") setBusy(core, descriptor, true);

  // Step 12: TR and the registers of the new task.
  const from = cpu.cpl;
  const source = cpu.rip;
  cpu.setSegment(Segment.TR, { ...tss, attributes: tss.attributes | 2 });
  cpu.setI32(L.CR0, cpu.cr0 | Cr0.TS);
  cpu.setI32(L.DR + 7 * 8, cpu.i32(L.DR + 7 * 8) & ~DR7_LOCAL);
  if (task.cr3 !== null && BigInt(task.cr3) !== cpu.u64(L.CR3)) {
    cpu.setU64(L.CR3, BigInt(task.cr3));
    core.translation.addressSpaceChanged(cpu, false);
  }
  cpu.rip = BigInt(task.eip);
  cpu.rflags = nested ? task.eflags | Flag.NT : task.eflags;
  for (let register = 0; register < 8; register++) {
    if (wide) cpu.setGpr32(register, task.registers[register]!);
    else cpu.setGpr16(register, task.registers[register]!);
  }
  cpu.setI32(L.SHADOW, cpu.i32(L.SHADOW) & ~(Shadow.STI | Shadow.MOV_SS));
  loadTaskSegments(core, cpu, task, ext);
  core.observer?.ring?.(cpu, from, cpu.cpl, "task switch");
  core.observer?.transfer?.(cpu, "task switch", from, cpu.cpl, source);

  if (options.errorCode !== undefined) {
    const stack = currentStack(cpu);
    pushAll(core, cpu, stack, wide ? 4 : 2, [BigInt(options.errorCode)]);
    setStackPointer(cpu, stack);
  }
  // The T flag of the new TSS raises #DB after the switch (SDM vol. 3B 18.3.1.5).
  if (task.trap) cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | DR6_BT);
  return EVENT;
}

/** Reads all of the new task's state; nothing changes. */
function readTask(core: Core, cpu: CpuState, base: bigint, wide: boolean, paging: boolean): NewTask {
  const layout = wide ? LAYOUT_32 : LAYOUT_16;
  const bytes = core.memory.readBytes(linear(cpu, base), layout.limit + 1, Access.READ | Access.SYSTEM);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const step = wide ? 4 : 2;
  const field = (offset: number) => (wide ? view.getUint32(offset, true) : view.getUint16(offset, true));
  const segments = wide ? 6 : 4;
  return {
    eip: field(layout.eip),
    // A 16-bit TSS holds the low half of EFLAGS; the upper half becomes zero.
    eflags: field(layout.eflags),
    registers: Array.from({ length: 8 }, (_, index) => field(layout.registers + index * step)),
    selectors: Array.from({ length: 6 }, (_, index) =>
      index < segments ? view.getUint16(layout.segments + index * step, true) : 0,
    ),
    ldt: view.getUint16(layout.ldt, true),
    cr3: wide && paging ? view.getUint32(0x1c, true) : null,
    trap: wide && (view.getUint16(0x64, true) & 1) !== 0,
  };
}

/** Saves the dynamic state of the current task. */
function writeTask(
  core: Core,
  cpu: CpuState,
  base: bigint,
  wide: boolean,
  eip: number,
  eflags: number,
): void {
  const layout = wide ? LAYOUT_32 : LAYOUT_16;
  const length = layout.ldt - layout.eip;
  const address = linear(cpu, base + BigInt(layout.eip));
  // Reserved halves of the segment fields keep what they hold.
  const bytes = core.memory.readBytes(address, length, Access.READ | Access.SYSTEM).slice();
  const view = new DataView(bytes.buffer);
  const step = wide ? 4 : 2;
  const put = (offset: number, value: number) =>
    wide
      ? view.setUint32(offset - layout.eip, value, true)
      : view.setUint16(offset - layout.eip, value, true);
  put(layout.eip, eip);
  put(layout.eflags, eflags);
  for (let register = 0; register < 8; register++)
    put(layout.registers + register * step, cpu.gpr32(register));
  for (let index = 0; index < (wide ? 6 : 4); index++) {
    view.setUint16(layout.segments - layout.eip + index * step, cpu.selector(TSS_SEGMENTS[index]!), true);
  }
  core.memory.writeBytes(address, bytes, Access.WRITE | Access.SYSTEM);
}

/** Steps 13-14: descriptors of the new task's segments, with #TS(selector), #NP(selector), #SS(selector). */
function loadTaskSegments(core: Core, cpu: CpuState, task: NewTask, ext: number): void {
  const selectors = task.selectors;
  // Until it is loaded, a register holds its selector and cannot be used.
  TSS_SEGMENTS.forEach((segment, index) => {
    cpu.setSegment(segment, nullSegment(selectors[index]!));
  });
  cpu.setSegment(Segment.LDTR, nullSegment(task.ldt));
  const vector = Vector.TS;
  if (cpu.rflags & Flag.VM) {
    cpu.setI32(L.CPL, 3);
    loadLdt(core, cpu, task.ldt, vector);
    TSS_SEGMENTS.forEach((segment, index) => {
      cpu.setSegment(segment, virtual8086Segment(selectors[index]!));
    });
    core.modeChanged(cpu);
    return;
  }
  const codeSelector = selectors[1]!;
  const cpl = codeSelector & 3;
  cpu.setI32(L.CPL, cpl);
  loadLdt(core, cpu, task.ldt, vector);
  loadTaskCode(core, cpu, codeSelector, cpl, ext);
  // #TS(0) if SS is null, #TS(selector) if it does not fit, #SS(selector) if it is not present.
  const stackSelector = selectors[2]!;
  if (isNullSelector(stackSelector)) throw new Fault(vector, ext);
  const stack = checkStackSegment(core, cpu, stackSelector, cpl, { vector, ext });
  markAccessed(core, stack.descriptor);
  cpu.setSegment(Segment.SS, stack.register);
  core.modeChanged(cpu);
  for (const index of [0, 3, 4, 5]) {
    const { register, descriptor } = asTaskFault(ext, () =>
      checkDataSegment(core, cpu, selectors[index]!, cpl),
    );
    if (descriptor !== null) markAccessed(core, descriptor);
    cpu.setSegment(TSS_SEGMENTS[index]!, register);
  }
  if (cpu.rip > BigInt(cpu.segment(Segment.CS).limit)) throw new Fault(Vector.GP, 0);
}

function loadTaskCode(core: Core, cpu: CpuState, selector: number, cpl: number, ext: number): void {
  if (isNullSelector(selector)) throw new Fault(Vector.TS, ext);
  const descriptor = readDescriptor(core, cpu, selector, Vector.TS, ext);
  const attributes = attributesOf(descriptor);
  const dpl = dplOf(attributes);
  const fits = isCode(attributes) && (isConforming(attributes) ? dpl <= cpl : dpl === cpl);
  if (!fits) throw new Fault(Vector.TS, selectorError(selector, ext));
  if (!isPresent(attributes)) throw new Fault(Vector.NP, selectorError(selector, ext));
  markAccessed(core, descriptor);
  cpu.setSegment(Segment.CS, segmentRegister(selector, descriptor));
  core.modeChanged(cpu);
}

/** A task's segments that do not fit raise #TS where a MOV would raise #GP. */
function asTaskFault<T>(ext: number, check: () => T): T {
  try {
    return check();
  } catch (fault) {
    if (fault instanceof Fault && fault.vector === Vector.GP) throw new Fault(Vector.TS, fault.error | ext);
    throw fault;
  }
}

/** IRET with NT set: back to the task that the current TSS links to. */
export function returnToPreviousTask(core: Core, cpu: CpuState, returnRip: bigint): HelperResult {
  const tss = cpu.segment(Segment.TR);
  const link = core.memory.read(linear(cpu, tss.base), 2, Access.READ | Access.SYSTEM);
  return switchTask(core, cpu, link, "iret", returnRip, { privileged: true });
}
