/**
 * ACPI fixed hardware: PM1a event and control blocks and the power management timer (ACPI 4.8.3).
 *
 * Registers: 0 PM1_STS, 2 PM1_EN, 4 PM1_CNT (16 bits each), 8 PM_TMR (32 bits). The machine has no SMI
 * command port, so it is in ACPI mode from the start and SCI_EN stays set (ACPI 5.2.9: SMI_CMD = 0). There
 * are no general-purpose events.
 */

import type { AccessSize, Clock, Device, DeviceState, IrqLine, Log, Timer } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";
import type { TickRate } from "./tick-rate.ts";

/** PM1 status bits; the enable register has the same positions but for WAK. */
const PM1 = { TMR: 0x0001, GBL: 0x0020, PWRBTN: 0x0100, SLPBTN: 0x0200, RTC: 0x0400, WAK: 0x8000 } as const;
const PM1_ENABLE_BITS = PM1.TMR | PM1.GBL | PM1.PWRBTN | PM1.SLPBTN | PM1.RTC;
const CNT = { SCI_EN: 0x0001, BM_RLD: 0x0002, SLP_TYP: 0x1c00, SLP_TYP_SHIFT: 10, SLP_EN: 0x2000 } as const;

const OFFSET = { EVENT: 0, CONTROL: 4, TIMER: 8 } as const;

export interface AcpiPmOptions {
  readonly clock: Clock;
  /** 3.579545 MHz. */
  readonly rate: TickRate;
  /** 24, or 32 if the FADT sets TMR_VAL_EXT. */
  readonly timerBits: 24 | 32;
  /** The SCI, level-triggered. */
  readonly sci: IrqLine;
  /** SLP_TYPa of \_S5. */
  readonly s5SleepType: number;
  readonly onPowerOff: () => void;
  readonly log: Log;
}

export class AcpiPm implements Device {
  readonly #options: AcpiPmOptions;
  readonly #timer: Timer;
  /** Ticks between two changes of the timer's most significant bit. */
  readonly #halfPeriod: number;
  /** `tmrHalf`: half periods up to which TMR_STS is complete. */
  readonly #s = { status: 0, enable: 0, control: CNT.SCI_EN as number, tmrHalf: 0 };

  constructor(options: AcpiPmOptions) {
    this.#options = options;
    this.#halfPeriod = 2 ** (options.timerBits - 1);
    this.#timer = options.clock.timer("acpi pm", () => this.#update());
  }

  /** The user presses the power button. */
  pressPowerButton(): void {
    this.#s.status |= PM1.PWRBTN;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    const shift = 8 * (offset & 3);
    return (this.#readDword(offset & ~3) >>> shift) & (2 ** (8 * size) - 1);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const shift = 8 * (offset & 3);
    const mask = ((2 ** (8 * size) - 1) << shift) >>> 0;
    const bits = (value << shift) & mask;
    switch (offset & ~3) {
      case OFFSET.EVENT:
        this.#settle();
        // Status bits are cleared by writing one; enables are plain bits.
        this.#s.status &= ~(bits & 0xffff);
        this.#s.enable = ((this.#s.enable & ~(mask >>> 16)) | (bits >>> 16)) & PM1_ENABLE_BITS;
        break;
      case OFFSET.CONTROL:
        this.#writeControl((this.#s.control & ~mask) | bits);
        break;
      default:
        // PM_TMR is read-only.
        return;
    }
    this.#update();
  }

  /** SCI_EN is set again as firmware leaves it; the timer counts on. */
  reset(): void {
    Object.assign(this.#s, { status: 0, enable: 0, control: CNT.SCI_EN, tmrHalf: this.#half() });
    this.#update();
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    this.#arm();
  }

  #ticks(): number {
    return this.#options.rate.ticksAt(this.#options.clock.now());
  }

  #half(): number {
    return Math.floor(this.#ticks() / this.#halfPeriod);
  }

  #readDword(offset: number): number {
    switch (offset) {
      case OFFSET.EVENT:
        this.#settle();
        return (this.#s.status | (this.#s.enable << 16)) >>> 0;
      case OFFSET.CONTROL:
        return this.#s.control;
      default:
        return this.#ticks() % 2 ** this.#options.timerBits;
    }
  }

  #writeControl(value: number): void {
    const s = this.#s;
    // SLP_EN and GBL_RLS are write-only and read as zero; SCI_EN belongs to the hardware.
    s.control = (value & (CNT.BM_RLD | CNT.SLP_TYP)) | CNT.SCI_EN;
    if ((value & CNT.SLP_EN) === 0) return;
    const type = (value & CNT.SLP_TYP) >> CNT.SLP_TYP_SHIFT;
    if (type === this.#options.s5SleepType) this.#options.onPowerOff();
    else
      this.#options.log.unknown(
        `acpi: sleep type ${type}: only S5 (type ${this.#options.s5SleepType}) exists`,
      );
  }

  /** "TMR_STS is set any time the most significant bit of the counter changes." */
  #settle(): void {
    const half = this.#half();
    if (half > this.#s.tmrHalf) this.#s.status |= PM1.TMR;
    this.#s.tmrHalf = half;
  }

  #update(): void {
    this.#settle();
    this.#options.sci.set((this.#s.status & this.#s.enable) !== 0);
    this.#arm();
  }

  /** The timer's carry is an event only while its interrupt is enabled. */
  #arm(): void {
    const { status, enable, tmrHalf } = this.#s;
    if ((enable & ~status & PM1.TMR) === 0) this.#timer.disarm();
    else this.#timer.arm(this.#options.rate.timeOf((tmrHalf + 1) * this.#halfPeriod));
  }
}
