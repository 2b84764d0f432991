/** Privileged and processor-control instructions without a home of their own (SDM vol. 2). */
import type { Core } from "../core.ts";
import { cpuid as cpuidLeaf } from "../cpuid/index.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr4, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { ACTIVITY, Activity, MONITOR_ADDRESS, MONITOR_ARMED, MWAIT_BREAKS_ON_MASKED } from "./cold-state.ts";
import { longMode } from "./descriptor.ts";
import {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  type RecordView,
  readRegister,
  type SystemHelpers,
  writeRegister,
} from "./helper.ts";
import { hasFeature, identityOf } from "./identity.ts";
import { is64BitCode, isCanonical, nextRip } from "./modes.ts";
import { monitoredLineChanged, watchLine } from "./monitored-line.ts";
import { checkedAddress, operandAddress } from "./operand.ts";
import { requireCpl0 } from "./table-registers.ts";

function leave(cpu: CpuState, record: RecordView): HelperResult {
  cpu.rip = nextRip(cpu, record.length);
  return EVENT;
}

/** 0F 01 /7: the page of a linear address in the current segment; limits are not checked. */
const invlpg: Helper = (core, cpu, record) => {
  requireCpl0(cpu);
  let address = record.linearOperand(cpu);
  if (!longMode(cpu)) address = BigInt.asUintN(32, address);
  // A non-canonical address makes it a NOP (SDM vol. 2A, INVLPG).
  if (isCanonical(cpu, address)) core.translation.flushPage(cpu, address);
  return leave(cpu, record);
};

/** 66 0F 38 82: the type is in the register, PCID and linear address in the 16-byte descriptor. */
const invpcid: Helper = (core, cpu, record) => {
  requireCpl0(cpu);
  const type = readRegister(cpu, record.regA, is64BitCode(cpu) ? 8 : 4);
  const address = operandAddress(cpu, record, 16, false);
  const low = core.memory.read64(address);
  const linear = core.memory.read64(BigInt.asUintN(64, address + 8n));
  // #GP(0) if the type is above 3, or bits 63:12 of the descriptor are not zero.
  if (type > 3n || low >> 12n !== 0n) throw new Fault(Vector.GP, 0);
  const pcidsOff = (cpu.cr4 & Cr4.PCIDE) === 0;
  // #GP(0) if a PCID other than 0 is named while CR4.PCIDE = 0, or the address is not canonical (type 0).
  if (type <= 1n && pcidsOff && low !== 0n) throw new Fault(Vector.GP, 0);
  if (type === 0n && !isCanonical(cpu, linear)) throw new Fault(Vector.GP, 0);
  const current = pcidsOff ? 0n : cpu.u64(L.CR3) & 0xfffn;
  if (type === 0n && low === current) core.translation.flushPage(cpu, linear);
  else if (type <= 1n) core.translation.flushPcid(cpu, Number(low));
  else core.translation.flushAll(cpu);
  return leave(cpu, record);
};

/** INVD, WBINVD: memory is always coherent here. */
const flushCaches: Helper = (_core, cpu) => {
  requireCpl0(cpu);
  return CONTINUE;
};

const hlt: Helper = (_core, cpu, record) => {
  requireCpl0(cpu);
  cpu.setI32(ACTIVITY, Activity.HALTED);
  return leave(cpu, record);
};

/** MONITOR and MWAIT: #UD if CPUID does not report them, or above CPL 0. */
function requireMonitor(core: Core, cpu: CpuState): void {
  if (!hasFeature(core, "monitor") || cpu.cpl !== 0) throw new Fault(Vector.UD);
}

const monitor: Helper = (core, cpu, record) => {
  requireMonitor(core, cpu);
  // #GP(0) if ECX is not 0.
  if (cpu.gpr32(Gpr.RCX) !== 0) throw new Fault(Vector.GP, 0);
  const offset = BigInt.asUintN(record.addressSize * 8, cpu.gpr(Gpr.RAX));
  const address = checkedAddress(cpu, record.segment, offset, 1, false);
  // The address is checked as a byte load is.
  core.memory.read(address, 1);
  cpu.setU64(MONITOR_ADDRESS, address & ~63n);
  cpu.setI32(MONITOR_ARMED, 1);
  // Nobody else stores where there is one processor.
  if (identityOf(core).processors > 1) watchLine(cpu, core.memory.hostLine(address));
  return CONTINUE;
};

const mwait: Helper = (core, cpu, record) => {
  requireMonitor(core, cpu);
  const extensions = cpu.gpr32(Gpr.RCX);
  // #GP(0) if a bit of ECX other than bit 0 is set.
  if (extensions & ~1) throw new Fault(Vector.GP, 0);
  // Without an armed monitor MWAIT does not wait.
  if (cpu.i32(MONITOR_ARMED) !== 0) {
    cpu.setI32(MONITOR_ARMED, 0);
    if (monitoredLineChanged(cpu)) return leave(cpu, record);
    cpu.setI32(ACTIVITY, Activity.MWAIT | (extensions & 1 ? MWAIT_BREAKS_ON_MASKED : 0));
  }
  return leave(cpu, record);
};

/**
 * F3 90: the processor waits for another one, and may let it have its turn. With REX.B it is XCHG. A processor by
 * itself has no use for the hint: its NOP is emitted code.
 */
const pause: Helper = (core, cpu, record) => {
  const { regB, operandSize } = record;
  if (regB === L.GPR + Gpr.RAX * 8) core.onPause?.();
  else {
    const other = readRegister(cpu, regB, operandSize);
    writeRegister(cpu, regB, operandSize, readRegister(cpu, L.GPR + Gpr.RAX * 8, operandSize));
    writeRegister(cpu, L.GPR + Gpr.RAX * 8, operandSize, other);
  }
  return CONTINUE;
};

/** RSM outside system-management mode, which this machine does not have: #UD. */
const rsm: Helper = () => {
  throw new Fault(Vector.UD);
};

const cpuid: Helper = (core, cpu) => {
  const identity = identityOf(core);
  const lapic = core.port.lapic(cpu.index);
  const result = cpuidLeaf(
    {
      model: identity.model,
      processors: identity.processors,
      apicId: lapic.apicId,
      apicEnabled: lapic.globallyEnabled,
      osxsave: (cpu.cr4 & Cr4.OSXSAVE) !== 0,
      ospke: (cpu.cr4 & Cr4.PKE) !== 0,
      xcr0: cpu.i32(L.XCR0),
      xss: cpu.i32(L.MSR_XSS),
      tscHz: identity.tscHz,
      crystalHz: identity.crystalHz,
    },
    cpu.gpr32(Gpr.RAX),
    cpu.gpr32(Gpr.RCX),
  );
  cpu.setGpr32(Gpr.RAX, result.eax);
  cpu.setGpr32(Gpr.RBX, result.ebx);
  cpu.setGpr32(Gpr.RCX, result.ecx);
  cpu.setGpr32(Gpr.RDX, result.edx);
  return CONTINUE;
};

export const controlInstructions: SystemHelpers = {
  invlpg,
  invpcid,
  invd: flushCaches,
  wbinvd: flushCaches,
  hlt,
  monitor,
  mwait,
  pause,
  rsm,
  cpuid,
};
