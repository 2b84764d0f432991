/** Ports that exist for debugging: POST codes (80h), the Bochs console (E9h), QEMU's isa-debug-exit (F4h). */

import type { AccessSize, Device, DeviceState } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

/** Port 80h: keeps the last POST code; guests also write it for a short delay, which costs nothing here. */
export class PostPort implements Device {
  readonly #s = { code: 0 };

  /** The last code written. */
  get code(): number {
    return this.#s.code;
  }

  read(): number {
    return this.#s.code;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#s.code = value;
  }

  reset(): void {
    this.#s.code = 0;
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}

const BOCHS_DEBUG_PRESENT = 0xe9;

/** The Bochs debug console: each byte written is output; a read gives E9h, by which guests find it. */
export class BochsDebugPort implements Device {
  readonly #onByte: (byte: number) => void;

  constructor(onByte: (byte: number) => void) {
    this.#onByte = onByte;
  }

  read(): number {
    return BOCHS_DEBUG_PRESENT;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#onByte(value);
  }

  reset(): void {}

  save(): DeviceState {
    return null;
  }

  restore(): void {}
}

/** QEMU's isa-debug-exit: a write of `code` ends the run with status `code * 2 + 1`. Reads give 0. */
export class DebugExit implements Device {
  readonly #onExit: (status: number) => void;

  constructor(onExit: (status: number) => void) {
    this.#onExit = onExit;
  }

  read(): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    // A host sees eight bits of a status; the shift drops what does not fit, as QEMU's does.
    this.#onExit(((value << 1) | 1) >>> 0);
  }

  reset(): void {}

  save(): DeviceState {
    return null;
  }

  restore(): void {}
}
