/**
 * CLI, STI, PUSHF, POPF, CLAC, STAC where privilege and virtual interrupts matter (SDM vol. 2; vol. 3A 20.3,
 * 20.4). The plain cases are staged; these are complete and serve them as reference.
 */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Shadow } from "../layout.ts";
import { Cr4, Flag, STATUS_FLAGS } from "../registers.ts";
import type { CpuState } from "../state.ts";
import {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  type RecordView,
  type SystemHelpers,
} from "./helper.ts";
import { hasFeature } from "./identity.ts";
import { iopl, isProtected, isVirtual8086, nextRip } from "./modes.ts";
import { currentStack, movePointer, peek, pushAll, setStackPointer } from "./stack.ts";

function leave(core: Core, cpu: CpuState, record: RecordView): HelperResult {
  cpu.rip = nextRip(cpu, record.length);
  core.modeChanged(cpu);
  return EVENT;
}

function setSystemFlag(cpu: CpuState, flag: number, set: boolean): void {
  const flags = cpu.i32(L.FLAGS_SYSTEM);
  cpu.setI32(L.FLAGS_SYSTEM, set ? flags | flag : flags & ~flag);
}

/** Which flag CLI and STI act on: IF, VIF where a mode virtualises it; #GP(0) elsewhere. */
function interruptFlag(cpu: CpuState): number {
  if (!isProtected(cpu) || iopl(cpu) >= cpu.cpl) return Flag.IF;
  // IOPL < CPL: virtual-8086 mode with CR4.VME, or CPL 3 with CR4.PVI.
  const virtual = isVirtual8086(cpu) ? Cr4.VME : cpu.cpl === 3 ? Cr4.PVI : 0;
  if (cpu.cr4 & virtual) return Flag.VIF;
  throw new Fault(Vector.GP, 0);
}

const cli: Helper = (_core, cpu) => {
  setSystemFlag(cpu, interruptFlag(cpu), false);
  return CONTINUE;
};

const sti: Helper = (core, cpu, record) => {
  const flag = interruptFlag(cpu);
  const flags = cpu.i32(L.FLAGS_SYSTEM);
  // #GP(0) if VIF is to be set while a virtual interrupt is pending.
  if (flag === Flag.VIF && flags & Flag.VIP) throw new Fault(Vector.GP, 0);
  setSystemFlag(cpu, flag, true);
  // If IF was clear, interrupts wait until after the next instruction.
  if (flag === Flag.IF && (flags & Flag.IF) === 0) {
    cpu.setI32(L.SHADOW, cpu.i32(L.SHADOW) | Shadow.STI);
    markShadow(cpu, record);
  }
  return leave(core, cpu, record);
};

/** The shadow covers the instruction at this RIP. */
function markShadow(cpu: CpuState, record: RecordView): void {
  cpu.setU64(L.SHADOW_RIP, nextRip(cpu, record.length));
}

const pushf: Helper = (core, cpu, record) => {
  const size = record.operandSize as 2 | 4 | 8;
  let image = cpu.rflags & ~(Flag.VM | Flag.RF);
  if (isVirtual8086(cpu) && iopl(cpu) < 3) {
    // #GP(0) if IOPL < 3, unless a 16-bit PUSHF shows VIF in place of IF and IOPL as 3.
    if (size !== 2 || (cpu.cr4 & Cr4.VME) === 0) throw new Fault(Vector.GP, 0);
    image = (image & ~Flag.IF) | (image & Flag.VIF ? Flag.IF : 0) | Flag.IOPL;
  }
  const stack = currentStack(cpu);
  pushAll(core, cpu, stack, size, [BigInt(image)]);
  setStackPointer(cpu, stack);
  return CONTINUE;
};

const popf: Helper = (core, cpu, record) => {
  const size = record.operandSize as 2 | 4 | 8;
  const stack = currentStack(cpu);
  const image = Number(peek(core, cpu, stack, size, 0) & 0xffff_ffffn);
  const old = cpu.rflags;
  const wide = size === 2 ? 0 : Flag.AC | Flag.ID;
  let taken = STATUS_FLAGS | Flag.TF | Flag.DF | Flag.NT | wide;
  let extra = 0;
  if (isVirtual8086(cpu)) {
    if (iopl(cpu) === 3) taken |= Flag.IF;
    else {
      // #GP(0) if IOPL < 3, unless a 16-bit POPF sets VIF in place of IF.
      if (size !== 2 || (cpu.cr4 & Cr4.VME) === 0) throw new Fault(Vector.GP, 0);
      const wakes = (image & Flag.IF) !== 0 && (old & Flag.VIP) !== 0;
      if (wakes || image & Flag.TF) throw new Fault(Vector.GP, 0);
      taken |= Flag.VIF;
      extra = image & Flag.IF ? Flag.VIF : 0;
    }
  } else {
    // IF is taken if CPL is at most IOPL, IOPL if CPL is 0; neither faults.
    if (!isProtected(cpu) || cpu.cpl <= iopl(cpu)) taken |= Flag.IF;
    if (cpu.cpl === 0) taken |= Flag.IOPL;
    // A 32- or 64-bit POPF clears VIF and VIP, and in every mode RF.
    if (size !== 2) taken |= cpu.cpl === 0 ? Flag.VIF | Flag.VIP : 0;
  }
  const cleared = (image & ~(Flag.VIF | Flag.VIP)) | extra;
  cpu.rflags = ((old & ~taken) | (cleared & taken)) & ~(size === 2 ? 0 : Flag.RF);
  stack.pointer = movePointer(stack, size);
  setStackPointer(cpu, stack);
  return leave(core, cpu, record);
};

/** CLAC and STAC: #UD above CPL 0, or if CPUID does not report SMAP. */
function alignmentCheck(set: boolean): Helper {
  return (core, cpu) => {
    if (cpu.cpl > 0 || !hasFeature(core, "smap")) throw new Fault(Vector.UD);
    setSystemFlag(cpu, Flag.AC, set);
    core.translation.contextChanged(cpu);
    return CONTINUE;
  };
}

export const flagInstructions: SystemHelpers = {
  cli,
  sti,
  pushf,
  popf,
  clac: alignmentCheck(false),
  stac: alignmentCheck(true),
};
