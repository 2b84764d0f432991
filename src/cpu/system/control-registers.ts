/** MOV to and from control registers, LMSW, SMSW, CLTS, XSETBV, XGETBV (SDM vol. 2; vol. 3A 2.5, 9.8.5). */
import type { Core } from "../core.ts";
import { enabledComponents, StateBit } from "../cpuid/index.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Cr0, Cr4, Efer, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { Attribute, longMode } from "./descriptor.ts";
import {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  type RecordView,
  readReg,
  readRegister,
  type SystemHelpers,
  writeRegister,
} from "./helper.ts";
import { hasFeature, identityOf } from "./identity.ts";
import { is64BitCode, isCanonical, nextRip } from "./modes.ts";
import { readMemoryOperand, writeMemoryOperand } from "./operand.ts";
import { checkUmip, requireCpl0 } from "./table-registers.ts";
import { isWideTss } from "./task-state.ts";
import { xinuse } from "./xsave.ts";

/** CR0 bits that exist; the others read as zero and are ignored. ET is always one. */
const CR0_DEFINED = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.NW | Cr0.CD | Cr0.PG;

/** CR4 bits by the feature that makes them exist; without it they are reserved. */
const CR4_FEATURES: readonly (readonly [number, string])[] = [
  [Cr4.VME | Cr4.PVI, "vme"],
  [Cr4.TSD, "tsc"],
  [Cr4.DE, "de"],
  [Cr4.PSE, "pse"],
  [Cr4.PAE, "pae"],
  [Cr4.MCE, "mce"],
  [Cr4.PGE, "pge"],
  [Cr4.OSFXSR, "fxsr"],
  [Cr4.OSXMMEXCPT, "sse"],
  [Cr4.UMIP, "umip"],
  [Cr4.LA57, "la57"],
  [Cr4.FSGSBASE, "fsgsbase"],
  [Cr4.PCIDE, "pcid"],
  [Cr4.OSXSAVE, "xsave"],
  [Cr4.SMEP, "smep"],
  [Cr4.SMAP, "smap"],
  [Cr4.PKE, "pku"],
];

function gp(): Fault {
  return new Fault(Vector.GP, 0);
}

/** The next instruction, under a new mode. */
function changed(core: Core, cpu: CpuState, record: RecordView): HelperResult {
  cpu.rip = nextRip(cpu, record.length);
  core.modeChanged(cpu);
  return EVENT;
}

/** PAE paging loads its four page-directory-pointer entries now: #GP(0) if reserved bits are set. */
function loadPdptes(core: Core, cpu: CpuState, cr3: bigint): void {
  if (!core.translation.loadPdptes(cpu, Number(cr3 & 0xffff_ffffn) | 0)) throw gp();
}

function usesPae(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & Cr0.PG) !== 0 && (cr4 & Cr4.PAE) !== 0 && (efer & (Efer.LMA | Efer.LME)) === 0;
}

/** Writes CR0 with everything that follows from it. @throws Fault #GP(0) with nothing changed. */
export function writeCr0(core: Core, cpu: CpuState, value: number): void {
  const next = (value & CR0_DEFINED) | Cr0.ET;
  const old = cpu.cr0;
  // #GP(0): PG set with PE clear; NW set with CD clear.
  if (next & Cr0.PG && (next & Cr0.PE) === 0) throw gp();
  if (next & Cr0.NW && (next & Cr0.CD) === 0) throw gp();
  let efer = cpu.efer;
  if (next & Cr0.PG && (old & Cr0.PG) === 0) {
    if (efer & Efer.LME) {
      // Activating IA-32e mode: #GP(0) without CR4.PAE, with CS.L set, or with a 16-bit TSS in TR.
      const cs = cpu.segment(Segment.CS);
      if ((cpu.cr4 & Cr4.PAE) === 0 || cs.attributes & Attribute.L) throw gp();
      const tr = cpu.segment(Segment.TR);
      if (!tr.isNull && tr.limit > 0 && tr.base !== 0n && !isWideTss(tr.attributes)) throw gp();
      efer |= Efer.LMA;
    } else if (usesPae(next, cpu.cr4, efer)) loadPdptes(core, cpu, cpu.u64(L.CR3));
  } else if ((next & Cr0.PG) === 0 && old & Cr0.PG) {
    // Leaving paging: #GP(0) in 64-bit code, or while CR4.PCIDE is set.
    if (is64BitCode(cpu) || cpu.cr4 & Cr4.PCIDE) throw gp();
    efer &= ~Efer.LMA;
  }
  cpu.setI32(L.CR0, next);
  cpu.setI32(L.EFER, efer);
  if ((old ^ next) & (Cr0.PE | Cr0.PG | Cr0.WP)) core.translation.flushAll(cpu);
  // CPL is 0 in real mode, and stays 0 when PE is set (SDM vol. 3A 9.9.1).
  if ((next & Cr0.PE) === 0) cpu.setI32(L.CPL, 0);
}

export function writeCr3(core: Core, cpu: CpuState, value: bigint): void {
  const pcid = (cpu.cr4 & Cr4.PCIDE) !== 0;
  let keep = false;
  let next = value;
  if (pcid) {
    // Bit 63 asks to keep the translations of the PCID; it is not stored.
    keep = next >> 63n === 1n;
    next &= (1n << 63n) - 1n;
  }
  // #GP(0) if a bit at or above MAXPHYADDR is set.
  if (longMode(cpu) && next >> BigInt(identityOf(core).model.physicalBits) !== 0n) throw gp();
  if (usesPae(cpu.cr0, cpu.cr4, cpu.efer)) loadPdptes(core, cpu, next);
  cpu.setU64(L.CR3, next);
  core.charges?.charge(keep ? "cr3.keep" : "cr3.flush");
  core.translation.addressSpaceChanged(cpu, keep);
}

/** A change of any of these drops all translations, global ones included (SDM vol. 3A 4.10.4.1). */
const CR4_FLUSHING = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP | Cr4.LA57 | Cr4.PKE;

export function writeCr4(core: Core, cpu: CpuState, value: number): void {
  let defined = 0;
  for (const [bits, feature] of CR4_FEATURES) if (hasFeature(core, feature)) defined |= bits;
  // #GP(0) if a reserved bit is set.
  if (value & ~defined) throw gp();
  const old = cpu.cr4;
  const difference = old ^ value;
  if (longMode(cpu)) {
    // #GP(0) if PAE is cleared or LA57 changed in IA-32e mode.
    if ((value & Cr4.PAE) === 0 || difference & Cr4.LA57) throw gp();
  }
  if (value & Cr4.PCIDE && (old & Cr4.PCIDE) === 0) {
    // #GP(0) if PCIDE is set outside IA-32e mode or while CR3[11:0] is not 0.
    if (!longMode(cpu) || (cpu.i32(L.CR3) & 0xfff) !== 0) throw gp();
  }
  if (difference & (Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.SMEP) && usesPae(cpu.cr0, value, cpu.efer)) {
    loadPdptes(core, cpu, cpu.u64(L.CR3));
  }
  cpu.setI32(L.CR4, value);
  if (difference & CR4_FLUSHING) core.translation.flushAll(cpu);
}

/** The source of MOV CR: 64 bits in 64-bit mode, else 32. */
function source(cpu: CpuState, record: RecordView): bigint {
  return is64BitCode(cpu) ? cpu.u64(record.regB) : BigInt(readReg(cpu, record.regB, 4));
}

/** CR0 and CR4: #GP(0) if one of bits 63:32 is set. */
function source32(cpu: CpuState, record: RecordView): number {
  const value = source(cpu, record);
  if (value >> 32n !== 0n) throw gp();
  return Number(value) | 0;
}

/** MOV CR: #UD at any privilege level for CR1, CR5-CR7, CR9-CR15, and for CR8 outside 64-bit mode; then #GP(0). */
function requireControlRegister(cpu: CpuState, number: number): void {
  const exists = number === 0 || (number >= 2 && number <= 4) || (number === 8 && is64BitCode(cpu));
  if (!exists) throw new Fault(Vector.UD);
  requireCpl0(cpu);
}

/** 0F 22: MOV CRn, r. */
const movToControl: Helper = (core, cpu, record) => {
  requireControlRegister(cpu, record.regA);
  switch (record.regA) {
    case 0:
      writeCr0(core, cpu, source32(cpu, record));
      return changed(core, cpu, record);
    case 2:
      cpu.setU64(L.CR2, source(cpu, record));
      return CONTINUE;
    case 3:
      writeCr3(core, cpu, source(cpu, record));
      return changed(core, cpu, record);
    case 4:
      writeCr4(core, cpu, source32(cpu, record));
      return changed(core, cpu, record);
    default: {
      const value = source(cpu, record);
      // CR8: #GP(0) if a bit above 3 is set.
      if (value >> 4n !== 0n) throw gp();
      core.port.lapic(cpu.index).writeCr8(Number(value));
      return changed(core, cpu, record);
    }
  }
};

function controlRegister(core: Core, cpu: CpuState, number: number): bigint {
  switch (number) {
    case 0:
      return BigInt(cpu.u32(L.CR0));
    case 2:
      return cpu.u64(L.CR2);
    case 3:
      return cpu.u64(L.CR3);
    case 4:
      return BigInt(cpu.u32(L.CR4));
    default:
      return BigInt(core.port.lapic(cpu.index).readCr8());
  }
}

/** 0F 20: MOV r, CRn. */
const movFromControl: Helper = (core, cpu, record) => {
  requireControlRegister(cpu, record.regA);
  const value = controlRegister(core, cpu, record.regA);
  writeRegister(cpu, record.regB, is64BitCode(cpu) ? 8 : 4, value);
  return CONTINUE;
};

/** 0F 01 /6: LMSW r/m16 loads CR0[3:0]; it can set PE but not clear it. */
const lmsw: Helper = (core, cpu, record) => {
  requireCpl0(cpu);
  const word = record.isMemory
    ? Number(readMemoryOperand(core, cpu, record, 2))
    : readReg(cpu, record.regB, 2);
  const MACHINE_STATUS = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS;
  const old = cpu.cr0;
  writeCr0(core, cpu, (old & ~MACHINE_STATUS) | (word & MACHINE_STATUS) | (old & Cr0.PE));
  return changed(core, cpu, record);
};

/** 0F 01 /4: SMSW r/m. Memory gets 16 bits; a register the operand size. */
const smsw: Helper = (core, cpu, record) => {
  checkUmip(cpu);
  const value = BigInt(cpu.u32(L.CR0));
  if (record.isMemory) writeMemoryOperand(core, cpu, record, 2, value & 0xffffn);
  else writeRegister(cpu, record.regB, record.operandSize, value);
  return CONTINUE;
};

/** Emitted code may have tested CR0.TS for the block that runs: `EVENT` makes the run loop look again. */
const clts: Helper = (core, cpu, record) => {
  requireCpl0(cpu);
  cpu.setI32(L.CR0, cpu.cr0 & ~Cr0.TS);
  return changed(core, cpu, record);
};

const edxEax = (cpu: CpuState) => (BigInt(cpu.gpr32(Gpr.RDX)) << 32n) | BigInt(cpu.gpr32(Gpr.RAX));

function requireXsave(core: Core, cpu: CpuState): void {
  // #UD if CPUID does not report XSAVE, or if CR4.OSXSAVE = 0.
  if (!hasFeature(core, "xsave") || (cpu.cr4 & Cr4.OSXSAVE) === 0) throw new Fault(Vector.UD);
}

const xgetbv: Helper = (core, cpu) => {
  requireXsave(core, cpu);
  const index = cpu.gpr32(Gpr.RCX);
  let value: number;
  if (index === 0) value = cpu.i32(L.XCR0);
  else if (index === 1 && hasFeature(core, "xgetbv1")) value = cpu.i32(L.XCR0) & xinuse(cpu);
  // #GP(0) if ECX names no extended control register.
  else throw gp();
  cpu.setGpr32(Gpr.RAX, value);
  cpu.setGpr32(Gpr.RDX, 0);
  return CONTINUE;
};

const xsetbv: Helper = (core, cpu, record) => {
  requireXsave(core, cpu);
  requireCpl0(cpu);
  if (cpu.gpr32(Gpr.RCX) !== 0) throw gp();
  const value = edxEax(cpu);
  const supported = BigInt(enabledComponents(identityOf(core).model, "user"));
  // #GP(0): an unsupported bit set, bit 0 clear, or AVX state without SSE state.
  if (value & ~supported || (value & BigInt(StateBit.X87)) === 0n) throw gp();
  if (value & BigInt(StateBit.AVX) && (value & BigInt(StateBit.SSE)) === 0n) throw gp();
  cpu.setU64(L.XCR0, value);
  return changed(core, cpu, record);
};

/** RDPKRU and WRPKRU: #UD without CR4.PKE; ECX, and EDX of a write, must be 0. */
const rdpkru: Helper = (_core, cpu) => {
  if ((cpu.cr4 & Cr4.PKE) === 0) throw new Fault(Vector.UD);
  if (cpu.gpr32(Gpr.RCX) !== 0) throw gp();
  cpu.setGpr32(Gpr.RAX, cpu.i32(L.PKRU));
  cpu.setGpr32(Gpr.RDX, 0);
  return CONTINUE;
};

const wrpkru: Helper = (core, cpu) => {
  if ((cpu.cr4 & Cr4.PKE) === 0) throw new Fault(Vector.UD);
  if (cpu.gpr32(Gpr.RCX) !== 0 || cpu.gpr32(Gpr.RDX) !== 0) throw gp();
  cpu.setI32(L.PKRU, cpu.gpr32(Gpr.RAX));
  core.translation.contextChanged(cpu);
  return CONTINUE;
};

/** The FS or GS base instructions: the staged definitions' reference. */
function segmentBase(segment: number, write: boolean): Helper {
  const at = L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_BASE;
  return (_core, cpu, record) => {
    // #UD outside 64-bit mode, or if CR4.FSGSBASE = 0.
    if (!is64BitCode(cpu) || (cpu.cr4 & Cr4.FSGSBASE) === 0) throw new Fault(Vector.UD);
    if (!write) {
      writeRegister(cpu, record.regB, record.operandSize, cpu.u64(at));
      return CONTINUE;
    }
    const value = readRegister(cpu, record.regB, record.operandSize);
    // #GP(0) if the source is not canonical.
    if (!isCanonical(cpu, value)) throw gp();
    cpu.setU64(at, value);
    return CONTINUE;
  };
}

export const controlRegisterInstructions: SystemHelpers = {
  mov_to_cr: movToControl,
  mov_from_cr: movFromControl,
  lmsw,
  smsw,
  clts,
  xgetbv,
  xsetbv,
  rdpkru,
  wrpkru,
  rdfsbase: segmentBase(Segment.FS, false),
  rdgsbase: segmentBase(Segment.GS, false),
  wrfsbase: segmentBase(Segment.FS, true),
  wrgsbase: segmentBase(Segment.GS, true),
};
