/** Model-specific registers: the table, RDMSR and WRMSR (SDM vol. 2, vol. 4). */
import type { Core } from "../core.ts";
import { Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { CONTINUE, EVENT, type Helper, type SystemHelpers } from "../system/helper.ts";
import { hasFeature } from "../system/identity.ts";
import { nextRip } from "../system/modes.ts";
import { requireCpl0 } from "../system/table-registers.ts";
import { ABSENT } from "./absent.ts";
import { architecturalRows } from "./architectural.ts";
import { machineCheckRows } from "./machine-check.ts";
import { memoryTypeRows } from "./mtrr.ts";
import { gp, type MsrRow } from "./types.ts";

export { setFirmwareMtrrs } from "./mtrr.ts";
export type { MsrRow } from "./types.ts";

/** Every register but those of the local APIC, which answers for its own. */
export const MSRS: readonly MsrRow[] = [...architecturalRows, ...memoryTypeRows, ...machineCheckRows];

const BY_INDEX = new Map<number, MsrRow>();
for (const row of MSRS) {
  for (let index = row.index; index < row.index + (row.count ?? 1); index++) BY_INDEX.set(index, row);
}

const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
/** IA32_APIC_BASE.EXTD: x2APIC mode. */
const APIC_BASE_EXTD = 1 << 10;

/** Features that registers of the local APIC belong to. */
function localApicAllows(core: Core, index: number, low: number): boolean {
  if (index === IA32_TSC_DEADLINE) return hasFeature(core, "tsc-deadline");
  if (index === IA32_APIC_BASE) return (low & APIC_BASE_EXTD) === 0 || hasFeature(core, "x2apic");
  return hasFeature(core, "x2apic");
}

function hex(value: number | bigint): string {
  return `${value.toString(16).toUpperCase()}H`;
}

/** The row of a register that this processor has. @throws Fault #GP(0), logged unless rightly absent. */
function find(core: Core, cpu: CpuState, index: number, access: string): MsrRow {
  const row = BY_INDEX.get(index);
  if (row !== undefined && (row.feature === undefined || hasFeature(core, row.feature))) return row;
  if (row === undefined && !ABSENT.has(index)) {
    core.log.unknown(`${access} of unknown MSR ${hex(index)} at RIP ${hex(cpu.rip)}: #GP(0)`);
  }
  throw gp();
}

/** @throws Fault #GP(0) if the register does not exist. */
export function readMsr(core: Core, cpu: CpuState, index: number): bigint {
  const lapic = core.port.lapic(cpu.index);
  if (lapic.ownsMsr(index)) {
    if (!localApicAllows(core, index, 0)) throw gp();
    const halves = lapic.readMsr(index);
    if (halves === null) throw gp();
    return (BigInt(halves[1] >>> 0) << 32n) | BigInt(halves[0] >>> 0);
  }
  return find(core, cpu, index, "read").read(core, cpu, index);
}

/** @throws Fault #GP(0) if the register does not exist or refuses the value; nothing changed. */
export function writeMsr(core: Core, cpu: CpuState, index: number, value: bigint): void {
  const lapic = core.port.lapic(cpu.index);
  if (lapic.ownsMsr(index)) {
    const low = Number(value & 0xffff_ffffn);
    if (!localApicAllows(core, index, low) || !lapic.writeMsr(index, low, Number(value >> 32n))) throw gp();
    return;
  }
  const row = find(core, cpu, index, "write");
  if (row.write === undefined) {
    core.log.unknown(`write of ${hex(value)} to read-only ${row.name} at RIP ${hex(cpu.rip)}: #GP(0)`);
    throw gp();
  }
  row.write(core, cpu, value, index);
}

const rdmsr: Helper = (core, cpu) => {
  requireCpl0(cpu);
  const value = readMsr(core, cpu, cpu.gpr32(Gpr.RCX));
  cpu.setGpr32(Gpr.RAX, Number(value & 0xffff_ffffn));
  cpu.setGpr32(Gpr.RDX, Number(value >> 32n));
  return CONTINUE;
};

const wrmsr: Helper = (core, cpu, record) => {
  requireCpl0(cpu);
  const value = (BigInt(cpu.gpr32(Gpr.RDX)) << 32n) | BigInt(cpu.gpr32(Gpr.RAX));
  writeMsr(core, cpu, cpu.gpr32(Gpr.RCX), value);
  cpu.rip = nextRip(cpu, record.length);
  return EVENT;
};

export const msrInstructions: SystemHelpers = { rdmsr, wrmsr };
