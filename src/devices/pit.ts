/**
 * 8254 programmable interval timer, and system control port B (61h) through which a PC reaches counter 2.
 *
 * Registers: 0-2 the counters, 3 the control word. (Intel 8254 data sheet; IBM PC/AT Technical Reference
 * for port 61h.)
 */

import type { AccessSize, Clock, Device, DeviceState, IrqLine, Timer } from "./device.ts";
import * as counter from "./pit-counter.ts";
import { restoreRecord, saveRecord } from "./state.ts";
import type { TickRate } from "./tick-rate.ts";

const CONTROL_WORD = 3;
/** SC1:SC0 = 11: read-back command. */
const SELECT_READ_BACK = 3;
/** Read-back: COUNT# and STATUS# are active low. */
const READ_BACK_NO_COUNT = 1 << 5;
const READ_BACK_NO_STATUS = 1 << 4;
/** RW1:RW0 = 00: counter latch command. */
const ACCESS_LATCH = 0;

export interface PitOptions {
  readonly clock: Clock;
  /** CLK of all three counters. */
  readonly rate: TickRate;
  /** OUT of counter 0. */
  readonly irq: IrqLine;
}

export class Pit implements Device {
  readonly #clock: Clock;
  readonly #rate: TickRate;
  readonly #irq: IrqLine;
  readonly #timer: Timer;
  /** GATE of counters 0 and 1 is tied high; port 61h drives that of counter 2. */
  readonly #s = { counters: [true, true, false].map(counter.powerOnCounter) };

  constructor(options: PitOptions) {
    this.#clock = options.clock;
    this.#rate = options.rate;
    this.#irq = options.irq;
    this.#timer = options.clock.timer("pit", () => this.#rise());
  }

  read(offset: number, _size: AccessSize): number {
    // The control word register cannot be read; the data bus floats.
    if (offset === CONTROL_WORD) return 0xff;
    return counter.readCounter(this.#s.counters[offset], this.#tick());
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const tick = this.#tick();
    if (offset === CONTROL_WORD) this.#control(value, tick);
    else counter.writeCount(this.#s.counters[offset], value, tick);
    if (offset === 0 || offset === CONTROL_WORD) this.#update(tick);
  }

  /** Drives GATE of counter 2. */
  setGate2(level: boolean): void {
    counter.setGate(this.#s.counters[2], level, this.#tick());
  }

  /** OUT of counter 2, the speaker. */
  out2(): boolean {
    return counter.out(this.#s.counters[2], this.#tick());
  }

  reset(): void {
    this.#s.counters.forEach((c, i) => {
      Object.assign(c, counter.powerOnCounter(i !== 2));
    });
    this.#update(this.#tick());
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    this.#arm(this.#tick());
  }

  #tick(): number {
    return this.#rate.ticksAt(this.#clock.now());
  }

  #control(value: number, tick: number): void {
    const select = value >> 6;
    if (select === SELECT_READ_BACK) {
      for (let i = 0; i < 3; i++) {
        if ((value & (2 << i)) === 0) continue;
        if ((value & READ_BACK_NO_COUNT) === 0) counter.latchCount(this.#s.counters[i], tick);
        if ((value & READ_BACK_NO_STATUS) === 0) counter.latchStatus(this.#s.counters[i], tick);
      }
      return;
    }
    const access = (value >> 4) & 3;
    if (access === ACCESS_LATCH) {
      counter.latchCount(this.#s.counters[select], tick);
      return;
    }
    // M2 is ignored in modes 2 and 3: 6 and 7 are the same modes.
    const mode = (value >> 1) & 7;
    counter.writeControl(this.#s.counters[select], mode > 5 ? mode - 4 : mode, access, (value & 1) !== 0);
  }

  /** Brings the interrupt line and the next event in step with counter 0. */
  #update(tick: number): void {
    this.#irq.set(counter.out(this.#s.counters[0], tick));
    this.#arm(tick);
  }

  #arm(tick: number): void {
    const rise = counter.nextRise(this.#s.counters[0], tick);
    if (rise === Number.POSITIVE_INFINITY) this.#timer.disarm();
    else this.#timer.arm(this.#rate.timeOf(rise));
  }

  /**
   * OUT of counter 0 rises. Its falling edge matters to nobody, so it has no event of its own: the line is
   * shown low for an instant before the rise.
   */
  #rise(): void {
    this.#irq.set(false);
    this.#irq.set(true);
    this.#update(this.#tick());
  }
}

// ---- Port 61h -----------------------------------------------------------------------------------------

const PORT_B = {
  TIMER2_GATE: 1 << 0,
  SPEAKER_DATA: 1 << 1,
  /** PCI SERR# and IOCHK# NMI enables: kept, but nothing raises those NMIs. */
  PARITY_DISABLE: 1 << 2,
  IO_CHECK_DISABLE: 1 << 3,
  REFRESH_TOGGLE: 1 << 4,
  TIMER2_OUT: 1 << 5,
} as const;

const PORT_B_WRITABLE =
  PORT_B.TIMER2_GATE | PORT_B.SPEAKER_DATA | PORT_B.PARITY_DISABLE | PORT_B.IO_CHECK_DISABLE;

/** Memory refresh every 15.085 us: counter 1 divides CLK by 18 on a PC. */
const REFRESH_TICKS = 18;

export interface SystemControlBOptions {
  readonly clock: Clock;
  readonly rate: TickRate;
  /** Counter 2 of the 8254. */
  readonly timer2: { setGate2(level: boolean): void; out2(): boolean };
}

export class SystemControlB implements Device {
  readonly #options: SystemControlBOptions;
  readonly #s = { latch: 0 };

  constructor(options: SystemControlBOptions) {
    this.#options = options;
  }

  read(): number {
    const { clock, rate, timer2 } = this.#options;
    const refresh = Math.floor(rate.ticksAt(clock.now()) / REFRESH_TICKS) % 2 === 1;
    return this.#s.latch | (refresh ? PORT_B.REFRESH_TOGGLE : 0) | (timer2.out2() ? PORT_B.TIMER2_OUT : 0);
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#s.latch = value & PORT_B_WRITABLE;
    this.#options.timer2.setGate2((value & PORT_B.TIMER2_GATE) !== 0);
  }

  reset(): void {
    this.write(0, 1, 0);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
