/** Registers and bits of the local APIC, by the names of the Intel SDM, volume 3A, chapter 11 ("APIC"). */

/** Offsets in the 4-KiB xAPIC page; an x2APIC MSR is 800H + offset / 16. (SDM 3A table 11-1, 11-6) */
export const REG = {
  ID: 0x020,
  VERSION: 0x030,
  TPR: 0x080,
  APR: 0x090,
  PPR: 0x0a0,
  EOI: 0x0b0,
  RRD: 0x0c0,
  LDR: 0x0d0,
  DFR: 0x0e0,
  SVR: 0x0f0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PERFORMANCE: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  INITIAL_COUNT: 0x380,
  CURRENT_COUNT: 0x390,
  DIVIDE_CONFIGURATION: 0x3e0,
  /** x2APIC only. */
  SELF_IPI: 0x3f0,
} as const;

export const MSR = {
  IA32_APIC_BASE: 0x1b,
  IA32_TSC_DEADLINE: 0x6e0,
  X2APIC_FIRST: 0x800,
  X2APIC_LAST: 0x8ff,
} as const;

export const APIC_BASE = { BSP: 1 << 8, EXTD: 1 << 10, EN: 1 << 11, ADDRESS_LOW: 0xffff_f000 } as const;

/** Version 14H, an integrated APIC; six LVT entries: "Max LVT Entry" is one less. No EOI suppression. */
export const VERSION_VALUE = 0x0005_0014;

/** Spurious-interrupt vector register. */
export const SVR = { VECTOR: 0xff, ENABLE: 1 << 8, FOCUS_DISABLE: 1 << 9 } as const;

export const LVT = {
  VECTOR: 0xff,
  DELIVERY_MODE: 0x700,
  DELIVERY_MODE_SHIFT: 8,
  DELIVERY_STATUS: 1 << 12,
  POLARITY: 1 << 13,
  REMOTE_IRR: 1 << 14,
  LEVEL_TRIGGERED: 1 << 15,
  MASKED: 1 << 16,
  TIMER_MODE: 3 << 17,
  TIMER_MODE_SHIFT: 17,
} as const;

const LINT_BITS = LVT.VECTOR | LVT.DELIVERY_MODE | LVT.POLARITY | LVT.LEVEL_TRIGGERED | LVT.MASKED;

/** The LVT in register order, with the bits that software writes in each (SDM 3A figure 11-8). */
export const LVT_WRITABLE: readonly number[] = [
  LVT.VECTOR | LVT.MASKED | LVT.TIMER_MODE,
  LVT.VECTOR | LVT.DELIVERY_MODE | LVT.MASKED,
  LVT.VECTOR | LVT.DELIVERY_MODE | LVT.MASKED,
  LINT_BITS,
  LINT_BITS,
  LVT.VECTOR | LVT.MASKED,
];

/** Index of an LVT register in `LVT_WRITABLE`. */
export function lvtIndex(register: number): number {
  return (register - REG.LVT_TIMER) >> 4;
}

export const TIMER_MODE = { ONE_SHOT: 0, PERIODIC: 1, TSC_DEADLINE: 2 } as const;

/** Interrupt command register, low half. */
export const ICR = {
  VECTOR: 0xff,
  DELIVERY_MODE: 0x700,
  DELIVERY_MODE_SHIFT: 8,
  LOGICAL: 1 << 11,
  LEVEL_ASSERT: 1 << 14,
  LEVEL_TRIGGERED: 1 << 15,
  SHORTHAND: 3 << 18,
  SHORTHAND_SHIFT: 18,
} as const;

export const ICR_WRITABLE =
  ICR.VECTOR | ICR.DELIVERY_MODE | ICR.LOGICAL | ICR.LEVEL_ASSERT | ICR.LEVEL_TRIGGERED | ICR.SHORTHAND;

export const SHORTHAND = { NONE: 0, SELF: 1, ALL: 2, OTHERS: 3 } as const;

/** Error status register. */
export const ESR = {
  SEND_ILLEGAL_VECTOR: 0x20,
  RECEIVE_ILLEGAL_VECTOR: 0x40,
  ILLEGAL_REGISTER: 0x80,
} as const;

/** Vectors 0-15 are illegal for fixed interrupts (SDM 3A 11.5.2). */
export const FIRST_LEGAL_VECTOR = 16;
