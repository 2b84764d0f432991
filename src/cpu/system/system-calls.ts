/**
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS (SDM vol. 2; vol. 3A 5.8.7-5.8.8), as Intel processors do them:
 * SYSCALL and SYSRET are #UD outside 64-bit mode, and SYSRET checks RCX while still at CPL 0.
 */
import type { Core, TransferCause } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Efer, Flag, Gpr } from "../registers.ts";
import type { CpuState, SegmentRegister } from "../state.ts";
import { observeRing, observeTransfer } from "./code-segment.ts";
import { Attribute, FLAT_CODE, FLAT_DATA, longMode } from "./descriptor.ts";
import { CONTINUE, type Helper, type HelperResult, type SystemHelpers, transferred } from "./helper.ts";
import { is64BitCode, isCanonical, isProtected, nextRip } from "./modes.ts";
import { requireCpl0 } from "./table-registers.ts";

const R11 = 11;

/** A flat 4-GiB segment that these instructions make up without reading any table. */
function flat(selector: number, attributes: number, cpl: number): SegmentRegister {
  return {
    selector: selector & 0xffff,
    attributes: attributes | (cpl << 5),
    base: 0n,
    limit: 0xffff_ffff,
    isNull: false,
  };
}

/** Enters flat segments at `cpl`: code of 64 bits, or of 32. */
function enterFlat(cpu: CpuState, code: number, stack: number, cpl: number, is64: boolean): void {
  cpu.setSegment(Segment.CS, flat(code, FLAT_CODE | (is64 ? Attribute.L : Attribute.DB), cpl));
  cpu.setSegment(Segment.SS, flat(stack, FLAT_DATA, cpl));
  cpu.setI32(L.CPL, cpl);
}

function arrive(core: Core, cpu: CpuState, rip: bigint, from: number, cause: TransferCause): HelperResult {
  const source = cpu.rip;
  cpu.rip = rip;
  core.modeChanged(cpu);
  observeRing(core, cpu, from, cause);
  observeTransfer(core, cpu, cause, from, source);
  return transferred(cpu);
}

const syscall: Helper = (core, cpu, record) => {
  // #UD if not in 64-bit mode, or if IA32_EFER.SCE = 0.
  if (!is64BitCode(cpu) || (cpu.efer & Efer.SCE) === 0) throw new Fault(Vector.UD);
  const from = cpu.cpl;
  cpu.setGpr(Gpr.RCX, nextRip(cpu, record.length));
  cpu.setGpr(R11, BigInt(cpu.rflags & ~Flag.RF));
  cpu.rflags = cpu.rflags & ~cpu.i32(L.MSR_FMASK) & ~Flag.RF;
  const selector = cpu.i32(L.MSR_STAR + 4) & 0xfffc;
  enterFlat(cpu, selector, selector + 8, 0, true);
  return arrive(core, cpu, cpu.u64(L.MSR_LSTAR), from, "SYSCALL");
};

const sysret: Helper = (core, cpu, record) => {
  // #UD if not in 64-bit mode, or if IA32_EFER.SCE = 0.
  if (!is64BitCode(cpu) || (cpu.efer & Efer.SCE) === 0) throw new Fault(Vector.UD);
  // #GP(0) if CPL <> 0.
  requireCpl0(cpu);
  const to64 = record.operandSize === 8;
  const rcx = cpu.gpr(Gpr.RCX);
  // #GP(0), still at CPL 0, if the operand size is 64 bits and RCX is not canonical.
  if (to64 && !isCanonical(cpu, rcx)) throw new Fault(Vector.GP, 0);
  const KEPT = 0x003c_7fd7;
  cpu.rflags = Number(cpu.gpr(R11) & BigInt(KEPT)) | 2;
  const base = (cpu.i32(L.MSR_STAR + 4) >>> 16) & 0xffff;
  enterFlat(cpu, (base + (to64 ? 16 : 0)) | 3, (base + 8) | 3, 3, to64);
  return arrive(core, cpu, to64 ? rcx : BigInt(cpu.gpr32(Gpr.RCX)), 0, "SYSRET");
};

const sysenter: Helper = (core, cpu) => {
  const selector = cpu.i32(L.MSR_SYSENTER_CS) & 0xfffc;
  // #GP(0) if CR0.PE = 0 or IA32_SYSENTER_CS[15:2] = 0.
  if (!isProtected(cpu) || selector === 0) throw new Fault(Vector.GP, 0);
  const from = cpu.cpl;
  const long = longMode(cpu);
  cpu.rflags = cpu.rflags & ~(Flag.VM | Flag.IF | Flag.RF);
  enterFlat(cpu, selector, selector + 8, 0, long);
  const mask = long ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  cpu.setGpr(Gpr.RSP, cpu.u64(L.MSR_SYSENTER_ESP) & mask);
  return arrive(core, cpu, cpu.u64(L.MSR_SYSENTER_EIP) & mask, from, "SYSENTER");
};

const sysexit: Helper = (core, cpu, record) => {
  const selector = cpu.i32(L.MSR_SYSENTER_CS) & 0xfffc;
  // #GP(0) if CR0.PE = 0, IA32_SYSENTER_CS[15:2] = 0 or CPL <> 0.
  if (!isProtected(cpu) || selector === 0 || cpu.cpl !== 0) throw new Fault(Vector.GP, 0);
  const to64 = record.operandSize === 8;
  let rsp = cpu.gpr(Gpr.RCX);
  let rip = cpu.gpr(Gpr.RDX);
  if (to64) {
    // #GP(0) if the operand size is 64 bits and RCX or RDX is not canonical.
    if (!isCanonical(cpu, rsp) || !isCanonical(cpu, rip)) throw new Fault(Vector.GP, 0);
  } else {
    rsp &= 0xffff_ffffn;
    rip &= 0xffff_ffffn;
  }
  const code = selector + (to64 ? 32 : 16);
  enterFlat(cpu, code | 3, (code + 8) | 3, 3, to64);
  cpu.setGpr(Gpr.RSP, rsp);
  return arrive(core, cpu, rip, 0, "SYSEXIT");
};

const swapgs: Helper = (_core, cpu) => {
  // #UD if not in 64-bit mode; #GP(0) if CPL <> 0.
  if (!is64BitCode(cpu)) throw new Fault(Vector.UD);
  requireCpl0(cpu);
  const at = L.SEGMENTS + Segment.GS * L.SEGMENT_STRIDE + L.SEGMENT_BASE;
  const base = cpu.u64(at);
  cpu.setU64(at, cpu.u64(L.MSR_KERNEL_GS_BASE));
  cpu.setU64(L.MSR_KERNEL_GS_BASE, base);
  return CONTINUE;
};

export const systemCallInstructions: SystemHelpers = { syscall, sysret, sysenter, sysexit, swapgs };
