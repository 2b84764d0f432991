/**
 * 8042 keyboard controller of the PS/2 kind, with nothing plugged into its two ports.
 *
 * Registers: `data` (60h) and `command` (64h). The controller itself is all there: drivers find it, test it
 * and use it to reset the machine; a byte sent to a keyboard or a mouse gets the answer of an empty socket,
 * a transmit timeout. (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller".)
 */

import type { AccessSize, Device, DeviceState, IrqLine, Log } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

const STATUS = {
  OUTPUT_FULL: 0x01,
  SYSTEM: 0x04,
  COMMAND: 0x08,
  /** Keyboard lock open. */
  NOT_INHIBITED: 0x10,
  AUX_OUTPUT_FULL: 0x20,
  TIMEOUT: 0x40,
} as const;

/** Command byte, byte 0 of the controller's RAM. */
const COMMAND_BYTE = { KEYBOARD_INTERRUPT: 0x01, AUX_INTERRUPT: 0x02, SYSTEM: 0x04 } as const;
const KEYBOARD_DISABLED = 0x10;
const AUX_DISABLED = 0x20;

const COMMAND = {
  READ_RAM: 0x20,
  WRITE_RAM: 0x60,
  DISABLE_AUX: 0xa7,
  ENABLE_AUX: 0xa8,
  TEST_AUX: 0xa9,
  SELF_TEST: 0xaa,
  TEST_KEYBOARD: 0xab,
  DISABLE_KEYBOARD: 0xad,
  ENABLE_KEYBOARD: 0xae,
  READ_INPUT_PORT: 0xc0,
  READ_OUTPUT_PORT: 0xd0,
  WRITE_OUTPUT_PORT: 0xd1,
  WRITE_KEYBOARD_BUFFER: 0xd2,
  WRITE_AUX_BUFFER: 0xd3,
  WRITE_AUX_DEVICE: 0xd4,
  PULSE_OUTPUT_PORT: 0xf0,
} as const;

const SELF_TEST_PASSED = 0x55;
const INTERFACE_TEST_PASSED = 0x00;
/** What the controller puts in its output buffer when a device does not take a byte. */
const RESEND = 0xfe;
/** Output port bits: 0 is the processor's reset line (active low), 1 gates A20. */
const OUTPUT_PORT = { NOT_RESET: 0x01, A20: 0x02, KEYBOARD_FULL: 0x10, AUX_FULL: 0x20 } as const;
/** No command is waiting for its data byte. */
const NONE = -1;

export interface I8042Options {
  readonly log: Log;
  readonly keyboardIrq: IrqLine;
  readonly auxIrq: IrqLine;
  readonly onReset: () => void;
}

function powerOn(): {
  ram: Uint8Array;
  output: number;
  outputFull: boolean;
  outputFromAux: boolean;
  timeout: boolean;
  lastWasCommand: boolean;
  awaiting: number;
  a20: boolean;
} {
  const ram = new Uint8Array(32);
  ram[0] = COMMAND_BYTE.SYSTEM | KEYBOARD_DISABLED | AUX_DISABLED;
  return {
    ram,
    output: 0,
    outputFull: false,
    outputFromAux: false,
    timeout: false,
    lastWasCommand: false,
    /** Command whose data byte comes next. */
    awaiting: NONE,
    a20: true,
  };
}

export class I8042 {
  readonly #options: I8042Options;
  readonly #s = powerOn();
  readonly data: Device;
  readonly command: Device;

  constructor(options: I8042Options) {
    this.#options = options;
    this.data = {
      read: () => this.#readData(),
      write: (_offset: number, _size: AccessSize, value: number) => this.#writeData(value),
      reset: () => {
        Object.assign(this.#s, powerOn());
        this.#update();
      },
      save: (): DeviceState => saveRecord(this.#s),
      restore: (state: DeviceState) => restoreRecord(this.#s, state),
    };
    this.command = {
      read: () => this.#status(),
      write: (_offset: number, _size: AccessSize, value: number) => this.#writeCommand(value),
      // The controller is reset and saved as one, with its data port.
      reset: () => {},
      save: () => null,
      restore: () => {},
    };
  }

  #status(): number {
    const s = this.#s;
    // The controller takes every byte at once: its input buffer is never full.
    return (
      STATUS.NOT_INHIBITED |
      (s.outputFull ? STATUS.OUTPUT_FULL : 0) |
      (s.outputFull && s.outputFromAux ? STATUS.AUX_OUTPUT_FULL : 0) |
      (s.outputFull && s.timeout ? STATUS.TIMEOUT : 0) |
      ((s.ram[0] & COMMAND_BYTE.SYSTEM) !== 0 ? STATUS.SYSTEM : 0) |
      (s.lastWasCommand ? STATUS.COMMAND : 0)
    );
  }

  #readData(): number {
    this.#s.outputFull = false;
    this.#update();
    return this.#s.output;
  }

  #answer(value: number, fromAux = false, timeout = false): void {
    const s = this.#s;
    s.output = value;
    s.outputFull = true;
    s.outputFromAux = fromAux;
    s.timeout = timeout;
    this.#update();
  }

  #setCommandByte(bits: number, on: boolean): void {
    const ram = this.#s.ram;
    ram[0] = on ? ram[0] | bits : ram[0] & ~bits;
  }

  #writeCommand(value: number): void {
    const s = this.#s;
    s.lastWasCommand = true;
    s.awaiting = NONE;
    if (value >= COMMAND.PULSE_OUTPUT_PORT) {
      // Bits 3:0 name the output port bits that stay as they are; bit 0 pulsed low resets the processor.
      if ((value & OUTPUT_PORT.NOT_RESET) === 0) this.#options.onReset();
      return;
    }
    if (value >= COMMAND.READ_RAM && value < COMMAND.READ_RAM + 32) {
      this.#answer(s.ram[value & 0x1f]);
      return;
    }
    if (value >= COMMAND.WRITE_RAM && value < COMMAND.WRITE_RAM + 32) {
      s.awaiting = value;
      return;
    }
    switch (value) {
      case COMMAND.DISABLE_AUX:
        this.#setCommandByte(AUX_DISABLED, true);
        return;
      case COMMAND.ENABLE_AUX:
        this.#setCommandByte(AUX_DISABLED, false);
        return;
      case COMMAND.DISABLE_KEYBOARD:
        this.#setCommandByte(KEYBOARD_DISABLED, true);
        return;
      case COMMAND.ENABLE_KEYBOARD:
        this.#setCommandByte(KEYBOARD_DISABLED, false);
        return;
      case COMMAND.TEST_AUX:
      case COMMAND.TEST_KEYBOARD:
        this.#answer(INTERFACE_TEST_PASSED);
        return;
      case COMMAND.SELF_TEST:
        this.#setCommandByte(COMMAND_BYTE.SYSTEM, true);
        this.#answer(SELF_TEST_PASSED);
        return;
      case COMMAND.READ_INPUT_PORT:
        // Bit 7: the keyboard lock is open.
        this.#answer(0x80);
        return;
      case COMMAND.READ_OUTPUT_PORT:
        this.#answer(this.#outputPort());
        return;
      case COMMAND.WRITE_OUTPUT_PORT:
      case COMMAND.WRITE_KEYBOARD_BUFFER:
      case COMMAND.WRITE_AUX_BUFFER:
      case COMMAND.WRITE_AUX_DEVICE:
        s.awaiting = value;
        return;
      default:
        this.#options.log.unknown(`i8042: unknown command 0x${value.toString(16)}`);
    }
  }

  #writeData(value: number): void {
    const s = this.#s;
    const command = s.awaiting;
    s.awaiting = NONE;
    s.lastWasCommand = false;
    switch (command) {
      case NONE:
        // For the keyboard, and sending to it enables it. Nothing is plugged in.
        this.#setCommandByte(KEYBOARD_DISABLED, false);
        this.#answer(RESEND, false, true);
        return;
      case COMMAND.WRITE_AUX_DEVICE:
        this.#answer(RESEND, true, true);
        return;
      case COMMAND.WRITE_KEYBOARD_BUFFER:
        this.#answer(value);
        return;
      case COMMAND.WRITE_AUX_BUFFER:
        this.#answer(value, true);
        return;
      case COMMAND.WRITE_OUTPUT_PORT:
        s.a20 = (value & OUTPUT_PORT.A20) !== 0;
        if ((value & OUTPUT_PORT.NOT_RESET) === 0) this.#options.onReset();
        return;
      default:
        s.ram[command & 0x1f] = value;
        this.#update();
    }
  }

  /** A20's gate is only remembered: address line 20 is never masked. */
  #outputPort(): number {
    const s = this.#s;
    const full = s.outputFull ? (s.outputFromAux ? OUTPUT_PORT.AUX_FULL : OUTPUT_PORT.KEYBOARD_FULL) : 0;
    return OUTPUT_PORT.NOT_RESET | (s.a20 ? OUTPUT_PORT.A20 : 0) | full;
  }

  #update(): void {
    const s = this.#s;
    const enabled = s.ram[0];
    const aux = s.outputFull && s.outputFromAux && (enabled & COMMAND_BYTE.AUX_INTERRUPT) !== 0;
    const keyboard = s.outputFull && !s.outputFromAux && (enabled & COMMAND_BYTE.KEYBOARD_INTERRUPT) !== 0;
    this.#options.keyboardIrq.set(keyboard);
    this.#options.auxIrq.set(aux);
  }
}
