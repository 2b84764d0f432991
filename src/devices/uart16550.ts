/**
 * 16550A UART. (National Semiconductor PC16550D data sheet.)
 *
 * Transmission takes no virtual time: a byte written to THR is with the host at once and the transmitter is
 * empty again, so a kernel that prints by polling LSR does not burn time at 115200 baud, while the THRE
 * interrupt comes by the data sheet's rules. Reception is paced by the programmed baud rate: the line sends
 * the next byte one character time after the last, and holds while the guest shows no interest or the FIFO
 * is full, so nothing typed ahead is lost.
 */

import type { AccessSize, Clock, Device, DeviceState, IrqLine, Timer } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

const REG = { RBR_THR_DLL: 0, IER_DLM: 1, IIR_FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;

const IER = { ERBFI: 0x01, ETBEI: 0x02, ELSI: 0x04, EDSSI: 0x08 } as const;
const IER_BITS = 0x0f;
const IIR = {
  NONE: 0x01,
  LINE_STATUS: 0x06,
  RECEIVED_DATA: 0x04,
  CHARACTER_TIMEOUT: 0x0c,
  THR_EMPTY: 0x02,
  MODEM_STATUS: 0x00,
  FIFOS_ENABLED: 0xc0,
} as const;
const FCR = { ENABLE: 0x01, RESET_RX: 0x02 } as const;
const LCR = { WORD_LENGTH: 0x03, STOP_BITS: 0x04, PARITY: 0x08, DLAB: 0x80 } as const;
const MCR = { DTR: 0x01, RTS: 0x02, OUT1: 0x04, OUT2: 0x08, LOOP: 0x10 } as const;
const MCR_BITS = 0x1f;
const LSR = { DR: 0x01, OE: 0x02, BI: 0x10, THRE: 0x20, TEMT: 0x40, FIFO_ERROR: 0x80 } as const;
const LSR_ERRORS = 0x1e;
const MSR = {
  DCTS: 0x01,
  DDSR: 0x02,
  TERI: 0x04,
  DDCD: 0x08,
  CTS: 0x10,
  DSR: 0x20,
  RI: 0x40,
  DCD: 0x80,
} as const;

const FIFO_SIZE = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14];
/** A PC's 1.8432 MHz crystal; the baud rate generator divides it by 16. */
const BAUD_BASE = 1_843_200 / 16;
/** 9600 baud: what a PC's firmware leaves. */
const DEFAULT_DIVISOR = 12;
/** "At least one character is in the FIFO, and the last was received more than 4 character times ago." */
const TIMEOUT_CHARACTERS = 4;
/** Receive entries carry their line-status errors above the byte. */
const ERRORS_SHIFT = 8;

export interface UartOptions {
  /** Names the timers: `com1`. */
  readonly name: string;
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** A byte leaves on SOUT. */
  readonly onTransmit: (byte: number) => void;
}

function powerOn(): {
  ier: number;
  lcr: number;
  mcr: number;
  scr: number;
  divisor: number;
  fifoEnabled: boolean;
  triggerLevel: number;
  rx: number[];
  overrun: boolean;
  thrEmptyInterrupt: boolean;
  timeoutInterrupt: boolean;
  modemDelta: number;
  modemInputs: number;
} {
  return {
    ier: 0,
    lcr: 0,
    mcr: 0,
    scr: 0,
    divisor: DEFAULT_DIVISOR,
    fifoEnabled: false,
    triggerLevel: 1,
    /** Receiver FIFO, or the one byte of RBR; oldest first. */
    rx: [],
    overrun: false,
    /** The THRE interrupt waits: cleared by reading it from IIR, or by writing THR. */
    thrEmptyInterrupt: false,
    timeoutInterrupt: false,
    modemDelta: 0,
    /** The terminal at the other end is on and ready. */
    modemInputs: MSR.CTS | MSR.DSR | MSR.DCD,
  };
}

export class Uart16550 implements Device {
  readonly #options: UartOptions;
  readonly #arrival: Timer;
  readonly #timeout: Timer;
  /** `line`: what the other end has sent and the UART has not yet received. */
  readonly #s = { ...powerOn(), line: [] as number[], arrivalAt: -1, timeoutAt: -1 };

  constructor(options: UartOptions) {
    this.#options = options;
    this.#arrival = options.clock.timer(`${options.name} receive`, () => this.#arrive());
    this.#timeout = options.clock.timer(`${options.name} timeout`, () => {
      this.#s.timeoutAt = -1;
      this.#s.timeoutInterrupt = true;
      this.#update();
    });
  }

  /** The other end sends `bytes`; they arrive one by one, however many they are. */
  receive(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#s.line.push(byte & 0xff);
    this.#pace();
  }

  /** The other end sends a break: a character of zeros with LSR.BI. */
  receiveBreak(): void {
    this.#s.line.push(LSR.BI << ERRORS_SHIFT);
    this.#pace();
  }

  /** Bytes from `receive` that the UART has not yet taken in. */
  get receiveBacklog(): number {
    return this.#s.line.length;
  }

  read(offset: number, _size: AccessSize): number {
    const s = this.#s;
    const dlab = (s.lcr & LCR.DLAB) !== 0;
    switch (offset) {
      case REG.RBR_THR_DLL:
        return dlab ? s.divisor & 0xff : this.#readReceiver();
      case REG.IER_DLM:
        return dlab ? s.divisor >> 8 : s.ier;
      case REG.IIR_FCR: {
        const cause = this.#cause();
        if (cause === IIR.THR_EMPTY) {
          s.thrEmptyInterrupt = false;
          this.#update();
        }
        return cause | (s.fifoEnabled ? IIR.FIFOS_ENABLED : 0);
      }
      case REG.LCR:
        return s.lcr;
      case REG.MCR:
        return s.mcr;
      case REG.LSR: {
        const value = this.#lineStatus();
        // Reading LSR clears OE and the errors of the character on top of the FIFO.
        s.overrun = false;
        if (s.rx.length > 0) s.rx[0] &= 0xff;
        if ((value & LSR_ERRORS) !== 0) this.#update();
        return value;
      }
      case REG.MSR: {
        const value = this.#modemStatus();
        s.modemDelta = 0;
        this.#update();
        return value;
      }
      default:
        return s.scr;
    }
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const s = this.#s;
    const dlab = (s.lcr & LCR.DLAB) !== 0;
    switch (offset) {
      case REG.RBR_THR_DLL:
        if (dlab) s.divisor = (s.divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case REG.IER_DLM:
        if (dlab) {
          s.divisor = (s.divisor & 0xff) | (value << 8);
          break;
        }
        // The transmitter is empty: enabling its interrupt raises it.
        if ((value & ~s.ier & IER.ETBEI) !== 0) s.thrEmptyInterrupt = true;
        s.ier = value & IER_BITS;
        break;
      case REG.IIR_FCR:
        this.#writeFifoControl(value);
        break;
      case REG.LCR:
        s.lcr = value;
        break;
      case REG.MCR:
        this.#setModemControl(value & MCR_BITS);
        break;
      case REG.SCR:
        s.scr = value;
        break;
      default:
        // LSR is "intended for read operations only", MSR's bits are inputs: factory test only.
        break;
    }
    this.#pace();
    this.#update();
  }

  /** MR: registers to their reset values. What the other end has sent is still under way. */
  reset(): void {
    Object.assign(this.#s, powerOn());
    this.#disarmTimeout();
    this.#pace();
    this.#update();
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
    if (this.#s.arrivalAt < 0) this.#arrival.disarm();
    else this.#arrival.arm(this.#s.arrivalAt);
    if (this.#s.timeoutAt < 0) this.#timeout.disarm();
    else this.#timeout.arm(this.#s.timeoutAt);
  }

  // ---- receiver ----

  get #capacity(): number {
    return this.#s.fifoEnabled ? FIFO_SIZE : 1;
  }

  /** Virtual ns that one character takes on the line: start, data, parity and stop bits. */
  #characterTime(): number {
    const { lcr, divisor } = this.#s;
    const bits =
      1 +
      5 +
      (lcr & LCR.WORD_LENGTH) +
      ((lcr & LCR.PARITY) !== 0 ? 1 : 0) +
      ((lcr & LCR.STOP_BITS) !== 0 ? 2 : 1);
    return Math.ceil((bits * (divisor || 1) * 1e9) / BAUD_BASE);
  }

  /** Whether the other end may send: it honours RTS, and takes an enabled receive interrupt for consent. */
  #mayArrive(): boolean {
    const { mcr, ier, rx } = this.#s;
    const wanted = (mcr & MCR.RTS) !== 0 || (ier & IER.ERBFI) !== 0;
    return wanted && (mcr & MCR.LOOP) === 0 && rx.length < this.#capacity;
  }

  /** Lets the next character of the line arrive one character time from now, if there is one. */
  #pace(): void {
    const s = this.#s;
    if (s.line.length === 0 || !this.#mayArrive()) {
      s.arrivalAt = -1;
      this.#arrival.disarm();
    } else if (s.arrivalAt < 0) {
      s.arrivalAt = this.#options.clock.now() + this.#characterTime();
      this.#arrival.arm(s.arrivalAt);
    }
  }

  #arrive(): void {
    const s = this.#s;
    s.arrivalAt = -1;
    const entry = s.line.shift();
    if (entry !== undefined) this.#push(entry);
    this.#pace();
    this.#update();
  }

  #push(entry: number): void {
    const s = this.#s;
    if (s.rx.length >= this.#capacity) {
      // A full FIFO keeps its contents; RBR alone is overwritten.
      s.overrun = true;
      if (!s.fifoEnabled) s.rx[0] = entry;
    } else {
      s.rx.push(entry);
    }
    this.#restartTimeout();
  }

  #readReceiver(): number {
    const s = this.#s;
    const entry = s.rx.shift() ?? 0;
    s.timeoutInterrupt = false;
    this.#restartTimeout();
    this.#pace();
    this.#update();
    return entry & 0xff;
  }

  /** The timer of the character timeout restarts with each character received or read. */
  #restartTimeout(): void {
    const s = this.#s;
    if (!s.fifoEnabled || s.rx.length === 0 || s.rx.length >= s.triggerLevel) {
      this.#disarmTimeout();
      return;
    }
    s.timeoutAt = this.#options.clock.now() + TIMEOUT_CHARACTERS * this.#characterTime();
    this.#timeout.arm(s.timeoutAt);
  }

  #disarmTimeout(): void {
    this.#s.timeoutAt = -1;
    this.#timeout.disarm();
  }

  #writeFifoControl(value: number): void {
    const s = this.#s;
    const enable = (value & FCR.ENABLE) !== 0;
    // "Changing from FIFO mode to 16450 mode or vice versa clears the FIFOs."
    const clear = enable !== s.fifoEnabled || (enable && (value & FCR.RESET_RX) !== 0);
    if (clear) {
      s.rx = [];
      s.timeoutInterrupt = false;
      this.#disarmTimeout();
    }
    s.fifoEnabled = enable;
    // The other bits are "not programmed" unless bit 0 is written as 1. The transmit FIFO is always empty.
    s.triggerLevel = enable ? TRIGGER_LEVELS[value >> 6] : 1;
  }

  // ---- transmitter and modem ----

  #transmit(byte: number): void {
    const s = this.#s;
    if ((s.mcr & MCR.LOOP) !== 0) this.#push(byte);
    else this.#options.onTransmit(byte);
    // Writing THR takes the interrupt back, and the byte's way into the shift register raises it anew.
    s.thrEmptyInterrupt = false;
    this.#update();
    s.thrEmptyInterrupt = true;
  }

  #setModemControl(value: number): void {
    const s = this.#s;
    const before = this.#modemLevels();
    s.mcr = value;
    const after = this.#modemLevels();
    const changed = before ^ after;
    if ((changed & MSR.CTS) !== 0) s.modemDelta |= MSR.DCTS;
    if ((changed & MSR.DSR) !== 0) s.modemDelta |= MSR.DDSR;
    if ((changed & MSR.DCD) !== 0) s.modemDelta |= MSR.DDCD;
    // Only the trailing edge of RI counts.
    if ((changed & before & MSR.RI) !== 0) s.modemDelta |= MSR.TERI;
  }

  /** In loopback the four modem outputs are the four inputs. */
  #modemLevels(): number {
    const { mcr, modemInputs } = this.#s;
    if ((mcr & MCR.LOOP) === 0) return modemInputs;
    return (
      ((mcr & MCR.RTS) !== 0 ? MSR.CTS : 0) |
      ((mcr & MCR.DTR) !== 0 ? MSR.DSR : 0) |
      ((mcr & MCR.OUT1) !== 0 ? MSR.RI : 0) |
      ((mcr & MCR.OUT2) !== 0 ? MSR.DCD : 0)
    );
  }

  #modemStatus(): number {
    return this.#modemLevels() | this.#s.modemDelta;
  }

  // ---- status and interrupt ----

  #lineStatus(): number {
    const s = this.#s;
    let value = LSR.THRE | LSR.TEMT;
    if (s.rx.length > 0) value |= LSR.DR | (s.rx[0] >> ERRORS_SHIFT);
    if (s.overrun) value |= LSR.OE;
    if (s.fifoEnabled && s.rx.some((entry) => entry >> ERRORS_SHIFT !== 0)) value |= LSR.FIFO_ERROR;
    return value;
  }

  /** The interrupt of highest priority in IIR's code (data sheet, Table III). */
  #cause(): number {
    const s = this.#s;
    if ((s.ier & IER.ELSI) !== 0 && (this.#lineStatus() & LSR_ERRORS) !== 0) return IIR.LINE_STATUS;
    if ((s.ier & IER.ERBFI) !== 0) {
      if (s.rx.length >= s.triggerLevel) return IIR.RECEIVED_DATA;
      if (s.timeoutInterrupt) return IIR.CHARACTER_TIMEOUT;
    }
    if ((s.ier & IER.ETBEI) !== 0 && s.thrEmptyInterrupt) return IIR.THR_EMPTY;
    if ((s.ier & IER.EDSSI) !== 0 && s.modemDelta !== 0) return IIR.MODEM_STATUS;
    return IIR.NONE;
  }

  /**
   * INTR goes straight to the interrupt line. The PC/AT's adapter gates it with OUT2; later chips need not,
   * and guests that were only ever run on virtual machines do not set OUT2.
   */
  #update(): void {
    this.#options.irq.set(this.#cause() !== IIR.NONE);
  }
}
