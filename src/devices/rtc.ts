/**
 * MC146818A real-time clock with 128 bytes of CMOS RAM (as in the PC/AT).
 *
 * Registers: 0 the index (70h), 1 the data (71h). The calendar is computed from virtual time when it is
 * looked at; events exist only for interrupts that are enabled. The start date is given by the machine, so
 * two runs show the same time.
 */

import type { AccessSize, Clock, Device, DeviceState, IrqLine, Timer } from "./device.ts";
import { CALENDAR, type CalendarFormat, decodeCalendar, encodeCalendar, nextAlarm } from "./rtc-calendar.ts";
import { restoreRecord, saveRecord } from "./state.ts";
import { TickRate } from "./tick-rate.ts";

const ALARM = { SECONDS: 0x01, MINUTES: 0x03, HOURS: 0x05 } as const;
const REGISTER = { A: 0x0a, B: 0x0b, C: 0x0c, D: 0x0d } as const;

const A = { UIP: 0x80, DV: 0x70, RS: 0x0f } as const;
const B = { SET: 0x80, PIE: 0x40, AIE: 0x20, UIE: 0x10, SQWE: 0x08, DM: 0x04, H24: 0x02 } as const;
const C = { IRQF: 0x80, PF: 0x40, AF: 0x20, UF: 0x10 } as const;
const D_VRT = 0x80;

/** Divider on a 32.768 kHz time base (DV = 010); with 11x the divider is held reset. */
const DV_32KHZ = 0x20;
const DV_RESET = 0x60;

/** "The UIP bit goes high 244 us before the update": a reader that sees 0 has that long. */
const UIP_NS = 244_000;
const NS = 1_000_000_000;
const BASE = new TickRate(32_768);

/** CMOS RAM that a PC's firmware fills in (IBM PC/AT Technical Reference; Ralf Brown's CMOS list). */
const CMOS = {
  EQUIPMENT: 0x14,
  BASE_MEMORY_KIB: 0x15,
  EXTENDED_MEMORY_KIB: 0x17,
  CHECKSUM: 0x2e,
  EXTENDED_MEMORY_KIB_COPY: 0x30,
  /** Memory above 16 MiB in units of 64 KiB. */
  HIGH_MEMORY_64KIB: 0x34,
} as const;

export interface RtcOptions {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** Date at power-on, in seconds since 1970-01-01 00:00:00 UTC. */
  readonly startDate: number;
  /** RAM size in bytes, which CMOS RAM shows. */
  readonly memorySize: number;
}

function dividerHeld(registerA: number): boolean {
  return (registerA & DV_RESET) === DV_RESET;
}

interface RtcState {
  index: number;
  ram: Uint8Array;
  /** Calendar date at virtual time 0 of the present count, in seconds; see `#seconds`. */
  origin: number;
  /** Virtual ns of a moment at which the divider chain passed a whole second. */
  phase: number;
  /** Day-of-week register less the true day of the week: the chip just counts to 7. */
  weekdayShift: number;
  /** SET or a held divider stops the calendar: its registers are plain bytes in `ram`. */
  frozen: boolean;
  /** PF, AF and UF that are known to be set. */
  flags: number;
  /** Virtual ns up to which `flags` is complete. */
  flagsAt: number;
}

export class Rtc implements Device {
  readonly #options: RtcOptions;
  readonly #timer: Timer;
  readonly #s: RtcState;

  constructor(options: RtcOptions) {
    this.#options = options;
    this.#timer = options.clock.timer("rtc", () => this.#update());
    this.#s = {
      index: 0,
      ram: new Uint8Array(128),
      origin: options.startDate,
      phase: 0,
      weekdayShift: 0,
      frozen: false,
      flags: 0,
      flagsAt: 0,
    };
    this.#firmwareValues(options.memorySize);
  }

  /** What firmware leaves in a PC's CMOS RAM. */
  #firmwareValues(memorySize: number): void {
    const ram = this.#s.ram;
    const word = (at: number, value: number): void => {
      ram[at] = value & 0xff;
      ram[at + 1] = value >> 8;
    };
    ram[REGISTER.A] = DV_32KHZ | 6;
    ram[REGISTER.B] = B.H24;
    // Bit 1: a coprocessor. No display, no floppy drive.
    ram[CMOS.EQUIPMENT] = 0x02;
    word(CMOS.BASE_MEMORY_KIB, 640);
    const extended = Math.min(0xffff, Math.max(0, Math.floor(memorySize / 1024) - 1024));
    word(CMOS.EXTENDED_MEMORY_KIB, extended);
    word(CMOS.EXTENDED_MEMORY_KIB_COPY, extended);
    word(CMOS.HIGH_MEMORY_64KIB, Math.min(0xffff, Math.max(0, Math.floor(memorySize / 65_536) - 256)));
    // The PC/AT's checksum covers 10h-2Dh, most significant byte first.
    const sum = ram.subarray(0x10, 0x2e).reduce((total, byte) => total + byte, 0);
    ram[CMOS.CHECKSUM] = sum >> 8;
    ram[CMOS.CHECKSUM + 1] = sum & 0xff;
  }

  read(offset: number, _size: AccessSize): number {
    // The index register cannot be read back.
    if (offset === 0) return 0xff;
    const s = this.#s;
    switch (s.index) {
      case REGISTER.A:
        return (s.ram[REGISTER.A] & ~A.UIP) | (this.#updateInProgress() ? A.UIP : 0);
      case REGISTER.C: {
        this.#settleFlags();
        const value = s.flags | (this.#requesting() ? C.IRQF : 0);
        // "The flag bits are cleared when register C is read."
        s.flags = 0;
        this.#update();
        return value;
      }
      case REGISTER.D:
        return D_VRT;
      default:
        return this.#calendar().get(s.index) ?? s.ram[s.index];
    }
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const s = this.#s;
    if (offset === 0) {
      // Bit 7 masks NMI on a PC; nothing raises the NMI that it would mask.
      s.index = value & 0x7f;
      return;
    }
    this.#settleFlags();
    switch (s.index) {
      case REGISTER.A:
        this.#writeA(value);
        break;
      case REGISTER.B:
        this.#writeB(value);
        break;
      case REGISTER.C:
      case REGISTER.D:
        // Read-only.
        break;
      default:
        if (!this.#writeCalendar(s.index, value)) s.ram[s.index] = value;
    }
    this.#update();
  }

  /** RESET#: "clears PIE, AIE, UIE, SQWE and the flags"; time and RAM live on from the battery. */
  reset(): void {
    this.#settleFlags();
    this.#s.ram[REGISTER.B] &= ~(B.PIE | B.AIE | B.UIE | B.SQWE);
    this.#s.flags = 0;
    this.#update();
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    this.#arm();
  }

  // ---- calendar ----

  #format(): CalendarFormat {
    const b = this.#s.ram[REGISTER.B];
    return { binary: (b & B.DM) !== 0, hours24: (b & B.H24) !== 0 };
  }

  /** The date at virtual time `ns`, in whole seconds; not while the calendar is frozen. */
  #seconds(ns: number): number {
    return this.#s.origin + Math.floor((ns - this.#s.phase) / NS);
  }

  /** The calendar registers by number. */
  #calendar(): Map<number, number> {
    const s = this.#s;
    if (s.frozen) return new Map(Object.values(CALENDAR).map((register) => [register, s.ram[register]]));
    const registers = encodeCalendar(this.#seconds(this.#options.clock.now()), this.#format());
    const day = registers.get(CALENDAR.DAY_OF_WEEK)!;
    registers.set(CALENDAR.DAY_OF_WEEK, ((day - 1 + s.weekdayShift) % 7) + 1);
    return registers;
  }

  /** Makes the running clock show `registers`; its progress within the second stays. */
  #setCalendar(registers: ReadonlyMap<number, number>): void {
    const s = this.#s;
    const date = Math.max(0, decodeCalendar(registers, this.#format()));
    s.origin += date - this.#seconds(this.#options.clock.now());
    s.weekdayShift = 0;
    const shown = this.#calendar().get(CALENDAR.DAY_OF_WEEK)!;
    s.weekdayShift = ((registers.get(CALENDAR.DAY_OF_WEEK)! & 7) - shown + 14) % 7;
  }

  /** Writes a calendar register; `false` if `index` is none. */
  #writeCalendar(index: number, value: number): boolean {
    const registers = this.#calendar();
    if (!registers.has(index)) return false;
    if (this.#s.frozen) this.#s.ram[index] = value;
    else this.#setCalendar(registers.set(index, value));
    return true;
  }

  #writeA(value: number): void {
    const s = this.#s;
    // "The first update occurs one-half second after the divider chain is released."
    const released = dividerHeld(s.ram[REGISTER.A]) && !dividerHeld(value);
    if (released) s.phase = this.#options.clock.now() - NS / 2;
    s.ram[REGISTER.A] = value & ~A.UIP;
    this.#startOrStop();
  }

  #writeB(value: number): void {
    const s = this.#s;
    const registers = this.#calendar();
    const changed = s.ram[REGISTER.B] ^ value;
    // "When SET is 1, UIE is cleared."
    s.ram[REGISTER.B] = value & B.SET ? value & ~B.UIE : value;
    // DM and 24/12 do not convert what is in the registers: the same bytes get a new meaning.
    if (!s.frozen && (changed & (B.DM | B.H24)) !== 0) this.#setCalendar(registers);
    this.#startOrStop();
  }

  /** SET = 1 or a held divider stops the calendar; afterwards it goes on from what the registers show. */
  #startOrStop(): void {
    const s = this.#s;
    const stop = dividerHeld(s.ram[REGISTER.A]) || (s.ram[REGISTER.B] & B.SET) !== 0;
    if (stop && !s.frozen) {
      for (const [register, value] of this.#calendar()) s.ram[register] = value;
      s.frozen = true;
    } else if (!stop && s.frozen) {
      const registers = this.#calendar();
      s.frozen = false;
      this.#setCalendar(registers);
    }
  }

  #updateInProgress(): boolean {
    if (this.#s.frozen) return false;
    const intoSecond = (((this.#options.clock.now() - this.#s.phase) % NS) + NS) % NS;
    return intoSecond >= NS - UIP_NS;
  }

  // ---- interrupts ----

  /** Period of the periodic interrupt in ticks of 32.768 kHz; 0 for none. */
  #period(): number {
    const select = this.#s.ram[REGISTER.A] & A.RS;
    if (select === 0) return 0;
    return 1 << (select < 3 ? select + 6 : select - 1);
  }

  #alarm(): { seconds: number; minutes: number; hours: number } {
    const ram = this.#s.ram;
    return { seconds: ram[ALARM.SECONDS], minutes: ram[ALARM.MINUTES], hours: ram[ALARM.HOURS] };
  }

  /** First virtual ns after `since` at which `flag` is set; `Infinity` if never. */
  #next(flag: number, since: number): number {
    const s = this.#s;
    if (flag === C.PF) {
      const period = this.#period();
      if (period === 0) return Number.POSITIVE_INFINITY;
      const tick = BASE.ticksAt(since);
      return BASE.timeOf((Math.floor(tick / period) + 1) * period);
    }
    if (s.frozen) return Number.POSITIVE_INFINITY;
    const seconds = this.#seconds(since);
    const next = flag === C.UF ? seconds + 1 : nextAlarm(seconds, this.#alarm(), this.#format());
    return s.phase + (next - s.origin) * NS;
  }

  /** Sets the flags of what happened since they were last brought up to date. */
  #settleFlags(): void {
    const s = this.#s;
    const now = this.#options.clock.now();
    for (const flag of [C.PF, C.AF, C.UF]) {
      if ((s.flags & flag) === 0 && this.#next(flag, s.flagsAt) <= now) s.flags |= flag;
    }
    s.flagsAt = now;
  }

  /** Interrupt enables in register B have the bit positions of the flags in register C. */
  #requesting(): boolean {
    return (this.#s.flags & this.#s.ram[REGISTER.B] & (C.PF | C.AF | C.UF)) !== 0;
  }

  #update(): void {
    this.#settleFlags();
    this.#options.irq.set(this.#requesting());
    this.#arm();
  }

  /** Arms for the next enabled event; while one requests already, nothing more can happen on the line. */
  #arm(): void {
    const enabled = this.#s.ram[REGISTER.B];
    let deadline = Number.POSITIVE_INFINITY;
    if (!this.#requesting()) {
      for (const flag of [C.PF, C.AF, C.UF]) {
        if ((enabled & flag) !== 0) deadline = Math.min(deadline, this.#next(flag, this.#s.flagsAt));
      }
    }
    if (deadline === Number.POSITIVE_INFINITY) this.#timer.disarm();
    else this.#timer.arm(deadline);
  }
}
