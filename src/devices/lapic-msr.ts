/**
 * The MSRs of a local APIC: IA32_APIC_BASE with its mode transitions, IA32_TSC_DEADLINE, and the x2APIC
 * registers 800H-8FFH (Intel SDM 3A 11.12).
 */

import type { DeviceState } from "./device.ts";
import type { Lapic } from "./lapic.ts";
import { APIC_BASE, ICR_WRITABLE, LVT, lvtIndex, MSR, REG, SVR } from "./lapic-registers.ts";
import { restoreRecord, saveRecord } from "./state.ts";

export interface LapicMsrOptions {
  readonly lapic: Lapic;
  /** Address after reset. */
  readonly base: number;
  /** Bootstrap processor: IA32_APIC_BASE[8]. */
  readonly bootstrap: boolean;
  /** CPUID.01H:ECX.x2APIC and .TSC_Deadline. */
  readonly x2apic: boolean;
  readonly tscDeadline: boolean;
  /** MAXPHYADDR. */
  readonly physicalAddressBits: number;
  /** The xAPIC page answers at another address from now on; `null` for none. */
  readonly onMove: (base: number | null) => void;
}

type Halves = readonly [low: number, high: number];

/** x2APIC registers that RDMSR reads; ICR is apart. */
const READABLE = new Set<number>([
  REG.ID,
  REG.VERSION,
  REG.TPR,
  REG.PPR,
  REG.LDR,
  REG.SVR,
  REG.ESR,
  REG.LVT_TIMER,
  REG.LVT_THERMAL,
  REG.LVT_PERFORMANCE,
  REG.LVT_LINT0,
  REG.LVT_LINT1,
  REG.LVT_ERROR,
  REG.INITIAL_COUNT,
  REG.CURRENT_COUNT,
  REG.DIVIDE_CONFIGURATION,
]);

/** x2APIC registers that WRMSR writes, with the bits that are not reserved; ICR and LVT are apart. */
const WRITABLE = new Map<number, number>([
  [REG.TPR, 0xff],
  // "WRMSR of a non-zero value causes #GP(0)."
  [REG.EOI, 0],
  [REG.SVR, SVR.VECTOR | SVR.ENABLE | SVR.FOCUS_DISABLE],
  [REG.ESR, 0],
  [REG.INITIAL_COUNT, 0xffff_ffff],
  [REG.DIVIDE_CONFIGURATION, 0xb],
  [REG.SELF_IPI, 0xff],
]);

export class LapicMsrs {
  readonly #options: LapicMsrOptions;
  readonly #s = { low: 0, high: 0 };

  constructor(options: LapicMsrOptions) {
    this.#options = options;
    this.#setResetValue();
  }

  /** Physical address of the xAPIC page, or `null` while the page does not answer. */
  get pageBase(): number | null {
    const { lapic } = this.#options;
    if (!lapic.enabled || lapic.x2apic) return null;
    return this.#s.high * 2 ** 32 + ((this.#s.low & APIC_BASE.ADDRESS_LOW) >>> 0);
  }

  owns(index: number): boolean {
    return (
      index === MSR.IA32_APIC_BASE ||
      index === MSR.IA32_TSC_DEADLINE ||
      (index >= MSR.X2APIC_FIRST && index <= MSR.X2APIC_LAST)
    );
  }

  /** RDMSR; `null` is #GP(0). */
  read(index: number): Halves | null {
    const { lapic, tscDeadline } = this.#options;
    if (index === MSR.IA32_APIC_BASE) return [this.#s.low, this.#s.high];
    if (index === MSR.IA32_TSC_DEADLINE) return tscDeadline ? lapic.timer.deadline : null;
    // SDM 3A 11.12.2: outside x2APIC mode these MSRs do not exist.
    if (!lapic.x2apic) return null;
    const register = (index - MSR.X2APIC_FIRST) << 4;
    if (register === REG.ICR_LOW) {
      return [lapic.readRegister(REG.ICR_LOW), lapic.readRegister(REG.ICR_HIGH)];
    }
    const inServiceAndRequest = register >= REG.ISR && register < REG.ESR;
    if (!inServiceAndRequest && !READABLE.has(register)) return null;
    return [lapic.readRegister(register), 0];
  }

  /** WRMSR; `false` is #GP(0). */
  write(index: number, low: number, high: number): boolean {
    const { lapic, tscDeadline } = this.#options;
    if (index === MSR.IA32_APIC_BASE) return this.#writeBase(low >>> 0, high >>> 0);
    if (index === MSR.IA32_TSC_DEADLINE) {
      if (tscDeadline) lapic.timer.setDeadline(low >>> 0, high >>> 0);
      return tscDeadline;
    }
    if (!lapic.x2apic) return false;
    return this.#writeX2apic((index - MSR.X2APIC_FIRST) << 4, low >>> 0, high >>> 0);
  }

  reset(): void {
    this.#setResetValue();
    this.#options.onMove(this.pageBase);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  /** The local APIC itself has been restored before. */
  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    this.#options.onMove(this.pageBase);
  }

  #setResetValue(): void {
    const { base, bootstrap } = this.#options;
    this.#s.low = ((base % 2 ** 32) | APIC_BASE.EN | (bootstrap ? APIC_BASE.BSP : 0)) >>> 0;
    this.#s.high = Math.floor(base / 2 ** 32);
  }

  #writeBase(low: number, high: number): boolean {
    const { lapic, x2apic, physicalAddressBits } = this.#options;
    const defined = APIC_BASE.ADDRESS_LOW | APIC_BASE.BSP | APIC_BASE.EN | (x2apic ? APIC_BASE.EXTD : 0);
    if ((low & ~defined) !== 0 || high >= 2 ** (physicalAddressBits - 32)) return false;
    const enable = (low & APIC_BASE.EN) !== 0;
    const extended = (low & APIC_BASE.EXTD) !== 0;
    // SDM 3A 11.12.5, figure 11-27: EXTD without EN is invalid; x2APIC mode is entered from xAPIC mode only
    // and left only by disabling.
    if (extended && (!enable || !lapic.enabled)) return false;
    if (lapic.x2apic && enable && !extended) return false;
    this.#s.low = low;
    this.#s.high = high;
    if (enable !== lapic.enabled || extended !== lapic.x2apic) lapic.setMode(enable, extended);
    this.#options.onMove(this.pageBase);
    return true;
  }

  #writeX2apic(register: number, low: number, high: number): boolean {
    const { lapic } = this.#options;
    if (register === REG.ICR_LOW) {
      // One 64-bit register: the write that sends has the destination with it.
      if ((low & ~ICR_WRITABLE) !== 0) return false;
      lapic.writeRegister(REG.ICR_HIGH, high);
      lapic.writeRegister(REG.ICR_LOW, low);
      return true;
    }
    if (high !== 0) return false;
    if (register >= REG.LVT_TIMER && register <= REG.LVT_ERROR) {
      const readOnly = LVT.DELIVERY_STATUS | LVT.REMOTE_IRR;
      if ((low & ~(lapic.lvt.defined(lvtIndex(register)) | readOnly)) !== 0) return false;
      lapic.writeRegister(register, low);
      return true;
    }
    const defined = WRITABLE.get(register);
    if (defined === undefined || (low & ~defined) !== 0) return false;
    if (register === REG.SELF_IPI) lapic.sendSelfIpi(low);
    else lapic.writeRegister(register, low);
    return true;
  }
}
