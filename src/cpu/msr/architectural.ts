/** The registers that operating systems live on (SDM vol. 4 table 2-2). */
import type { Core } from "../core.ts";
import { enabledComponents } from "../cpuid/index.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Cr0, Efer } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { MSR_MISC_ENABLE, MSR_TSC_ADJUST } from "../system/cold-state.ts";
import { hasFeature, identityOf } from "../system/identity.ts";
import { isCanonical } from "../system/modes.ts";
import { constant, gp, type MsrRow, stored } from "./types.ts";

const canonical = (_core: Core, cpu: CpuState, value: bigint) => isCanonical(cpu, value);
const only32 = (_core: Core, _cpu: CpuState, value: bigint) => value >> 32n === 0n;

function baseOf(segment: number): number {
  return L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_BASE;
}

/** IA32_EFER: #GP(0) for a reserved bit, and for a change of LME while paging is on. LMA is read-only. */
function writeEfer(core: Core, cpu: CpuState, value: bigint): void {
  let defined = Efer.LMA;
  if (hasFeature(core, "syscall")) defined |= Efer.SCE;
  if (hasFeature(core, "lm")) defined |= Efer.LME;
  if (hasFeature(core, "nx")) defined |= Efer.NXE;
  if (value & ~BigInt(defined)) throw gp();
  const old = cpu.efer;
  const next = (Number(value) & ~Efer.LMA) | (old & Efer.LMA);
  if ((old ^ next) & Efer.LME && cpu.cr0 & Cr0.PG) throw gp();
  cpu.setI32(L.EFER, next);
  if ((old ^ next) & Efer.NXE) core.translation.flushAll(cpu);
  core.modeChanged(cpu);
}

/** The counter moves, and with it IA32_TSC_ADJUST by as much (SDM vol. 3B 18.17.3). */
function writeTsc(core: Core, cpu: CpuState, value: bigint): void {
  const delta = value - core.time.tsc(cpu);
  core.time.setTsc(cpu, value);
  cpu.setU64(MSR_TSC_ADJUST, BigInt.asUintN(64, cpu.u64(MSR_TSC_ADJUST) + delta));
  core.port.lapic(cpu.index).timeStampCounterChanged();
}

function writeTscAdjust(core: Core, cpu: CpuState, value: bigint): void {
  const delta = value - cpu.u64(MSR_TSC_ADJUST);
  core.time.setTsc(cpu, BigInt.asUintN(64, core.time.tsc(cpu) + delta));
  cpu.setU64(MSR_TSC_ADJUST, value);
  core.port.lapic(cpu.index).timeStampCounterChanged();
}

/**
 * IA32_ARCH_CAPABILITIES: an in-order processor without speculation has none of the side channels.
 * RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO,
 * BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
 */
const ARCH_CAPABILITIES = [0n, 3n, 4n, 5n, 6n, 8n, 13n, 14n, 15n, 20n, 24n, 26n, 27n, 62n].reduce(
  (bits, bit) => bits | (1n << bit),
  0n,
);

/** IA32_MISC_ENABLE: fast strings; BTS and PEBS unavailable (read-only); MONITOR by the model. */
const MiscEnable = {
  FAST_STRINGS: 1n << 0n,
  BTS_UNAVAILABLE: 1n << 11n,
  PEBS_UNAVAILABLE: 1n << 12n,
  MONITOR: 1n << 18n,
  LIMIT_CPUID: 1n << 22n,
  XD_DISABLE: 1n << 34n,
} as const;

export function miscEnableReset(monitor: boolean): bigint {
  const { FAST_STRINGS, BTS_UNAVAILABLE, PEBS_UNAVAILABLE, MONITOR } = MiscEnable;
  return FAST_STRINGS | BTS_UNAVAILABLE | PEBS_UNAVAILABLE | (monitor ? MONITOR : 0n);
}

const miscEnable: MsrRow = {
  index: 0x1a0,
  name: "IA32_MISC_ENABLE",
  read: (_core, cpu) => cpu.u64(MSR_MISC_ENABLE),
  write: (core, cpu, value) => {
    // Fast strings and MONITOR may be switched here without effect; the CPUID limit and XD disable may not be
    // set, since CPUID would have to follow.
    const changeable = MiscEnable.FAST_STRINGS | (hasFeature(core, "monitor") ? MiscEnable.MONITOR : 0n);
    const fixed = miscEnableReset(false) & ~changeable;
    const known = changeable | fixed | MiscEnable.MONITOR;
    if (value & ~known) throw gp();
    cpu.setU64(MSR_MISC_ENABLE, (value & changeable) | fixed);
  },
};

const tsc: MsrRow = {
  index: 0x10,
  name: "IA32_TIME_STAMP_COUNTER",
  feature: "tsc",
  read: (core, cpu) => core.time.tsc(cpu),
  write: writeTsc,
};

const tscAdjust: MsrRow = {
  index: 0x3b,
  name: "IA32_TSC_ADJUST",
  feature: "tsc_adjust",
  read: (_core, cpu) => cpu.u64(MSR_TSC_ADJUST),
  write: writeTscAdjust,
};

/** Exists if RDTSCP or RDPID does; bits 63:32 are reserved. */
const tscAux: MsrRow = {
  index: 0xc000_0103,
  name: "IA32_TSC_AUX",
  read: (core, cpu) => {
    if (!hasFeature(core, "rdtscp") && !hasFeature(core, "rdpid")) throw gp();
    return cpu.u64(L.MSR_TSC_AUX);
  },
  write: (core, cpu, value) => {
    if (!hasFeature(core, "rdtscp") && !hasFeature(core, "rdpid")) throw gp();
    if (value >> 32n !== 0n) throw gp();
    cpu.setU64(L.MSR_TSC_AUX, value);
  },
};

/** The microcode of this processor has revision 1, in the upper half; a write before CPUID is the protocol. */
const biosSignId: MsrRow = {
  index: 0x8b,
  name: "IA32_BIOS_SIGN_ID",
  read: () => 1n << 32n,
  write: () => {},
};

/** Ratios of 100 MHz: maximum non-turbo in bits 15:8, minimum in bits 47:40. */
const platformInfo: MsrRow = {
  index: 0xce,
  name: "MSR_PLATFORM_INFO",
  read: (core) => {
    const ratio = BigInt(Math.max(1, Math.round(identityOf(core).tscHz / 1e8))) & 0xffn;
    return (ratio << 8n) | (ratio << 40n);
  },
};

export const architecturalRows: readonly MsrRow[] = [
  tsc,
  constant(0x17, "IA32_PLATFORM_ID", 0n),
  tscAdjust,
  biosSignId,
  platformInfo,
  constant(0x10a, "IA32_ARCH_CAPABILITIES", ARCH_CAPABILITIES, "arch-capabilities"),
  stored(0x174, "IA32_SYSENTER_CS", L.MSR_SYSENTER_CS, only32, "sep"),
  stored(0x175, "IA32_SYSENTER_ESP", L.MSR_SYSENTER_ESP, canonical, "sep"),
  stored(0x176, "IA32_SYSENTER_EIP", L.MSR_SYSENTER_EIP, canonical, "sep"),
  miscEnable,
  {
    // Branch records and branch single-stepping do not exist: only zero can be written.
    index: 0x1d9,
    name: "IA32_DEBUGCTL",
    read: () => 0n,
    write: (_core, _cpu, value) => {
      if (value !== 0n) throw gp();
    },
  },
  stored(
    0xda0,
    "IA32_XSS",
    L.MSR_XSS,
    (core, _cpu, value) => (value & ~BigInt(enabledComponents(identityOf(core).model, "supervisor"))) === 0n,
    "xsaves",
  ),
  { index: 0xc000_0080, name: "IA32_EFER", read: (_core, cpu) => BigInt(cpu.efer), write: writeEfer },
  stored(0xc000_0081, "IA32_STAR", L.MSR_STAR, undefined, "syscall"),
  stored(0xc000_0082, "IA32_LSTAR", L.MSR_LSTAR, canonical, "syscall"),
  stored(0xc000_0083, "IA32_CSTAR", L.MSR_CSTAR, canonical, "syscall"),
  stored(0xc000_0084, "IA32_FMASK", L.MSR_FMASK, only32, "syscall"),
  stored(0xc000_0100, "IA32_FS_BASE", baseOf(Segment.FS), canonical, "lm"),
  stored(0xc000_0101, "IA32_GS_BASE", baseOf(Segment.GS), canonical, "lm"),
  stored(0xc000_0102, "IA32_KERNEL_GS_BASE", L.MSR_KERNEL_GS_BASE, canonical, "lm"),
  tscAux,
];
