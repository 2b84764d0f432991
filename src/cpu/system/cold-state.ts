/**
 * Fields of a processor's block that plain TypeScript keeps (emitted code at most reads them): they lie after
 * the registers of `layout.ts` and are part of the state that a snapshot keeps.
 */
import { COLD_STATE } from "../layout.ts";
import { Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";

const COLD = COLD_STATE;

/** i32: non-zero while NMIs are blocked by a running NMI handler, until the next IRET (SDM vol. 3A 6.7.1). */
export const NMI_BLOCKED = COLD;
/** i32: `Activity`. */
export const ACTIVITY = COLD + 0x04;
/** i32: DR6 bits of debug traps that wait for the end of the current instruction. */
export const PENDING_DEBUG = COLD + 0x08;
/** i32: non-zero once MONITOR has set MONITOR_ADDRESS and MWAIT has not consumed it. */
export const MONITOR_ARMED = COLD + 0x0c;
/** u64: linear address of the monitored line. */
export const MONITOR_ADDRESS = COLD + 0x10;
/** u64: state of the generator behind RDRAND and RDSEED. */
export const RANDOM_STATE = COLD + 0x18;
/** u64s: model-specific registers that only hold a value. */
export const MSR_TSC_ADJUST = COLD + 0x20;
export const MSR_MISC_ENABLE = COLD + 0x28;
export const MSR_MTRR_DEF_TYPE = COLD + 0x38;
/** 11 registers in the order of their indices 250H, 258H, 259H, 268H-26FH. */
export const MSR_MTRR_FIXED = COLD + 0x40;
/** MTRR_VARIABLE_COUNT pairs of base and mask. */
export const MSR_MTRR_VARIABLE = COLD + 0x98;
export const MTRR_VARIABLE_COUNT = 8;
export const MSR_MCG_STATUS = COLD + 0x118;
export const MSR_MCG_CTL = COLD + 0x120;
/** MC_BANKS registers IA32_MCi_CTL. */
export const MSR_MC_CTL = COLD + 0x128;
export const MC_BANKS = 10;
/** u32: with several processors the host address of the line that MONITOR watches, or 0. */
export const MONITOR_HOST = COLD + 0x178;
/** 64 bytes: what the line held at MONITOR. */
export const MONITOR_LINE = COLD + 0x180;

/** One past the last field; a snapshot has to keep the block up to here. */
export const COLD_END = COLD + 0x1c0;

/** What a processor is doing; all but RUNNING wait for an event (SDM vol. 3A 9.1, vol. 3C 24.4.2). */
export const Activity = {
  RUNNING: 0,
  /** HLT: until an interrupt that is not masked, NMI, SMI, INIT. */
  HALTED: 1,
  /** MWAIT: as HALTED; may end early at any time. */
  MWAIT: 2,
  WAIT_FOR_SIPI: 3,
  /** After a triple fault: until NMI, SMI, INIT or RESET. */
  SHUTDOWN: 4,
} as const;
export type Activity = (typeof Activity)[keyof typeof Activity];

/** MWAIT with ECX[0] set: masked interrupts end the wait too. Kept in bit 8 of ACTIVITY. */
export const MWAIT_BREAKS_ON_MASKED = 0x100;

export function activity(cpu: CpuState): Activity {
  return (cpu.i32(ACTIVITY) & 0xff) as Activity;
}

/** Whether a maskable interrupt ends the wait: with IF = 0 only an MWAIT that asked for it. */
export function wokenByInterrupt(cpu: CpuState, flagsSystem: number): boolean {
  return (flagsSystem & Flag.IF) !== 0 || (cpu.i32(ACTIVITY) & MWAIT_BREAKS_ON_MASKED) !== 0;
}
