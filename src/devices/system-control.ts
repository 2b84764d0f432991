/** System control port A (92h) and the reset control register (CF9h): ways to reset a PC. */

import type { AccessSize, Device, DeviceState } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

const PORT_A = { INIT_NOW: 0x01, A20_GATE: 0x02 } as const;

/** Port 92h (ICH9 data sheet 13.7.3). A20's gate is only remembered: address line 20 is never masked. */
export class SystemControlA implements Device {
  readonly #onReset: () => void;
  readonly #s = { value: PORT_A.A20_GATE as number };

  constructor(onReset: () => void) {
    this.#onReset = onReset;
  }

  read(): number {
    return this.#s.value;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    // A change of INIT_NOW from 0 to 1 resets.
    const reset = (value & ~this.#s.value & PORT_A.INIT_NOW) !== 0;
    this.#s.value = value & (PORT_A.INIT_NOW | PORT_A.A20_GATE);
    if (reset) this.#onReset();
  }

  reset(): void {
    this.#s.value = PORT_A.A20_GATE;
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}

const RST_CNT = { SYS_RST: 0x02, RST_CPU: 0x04, FULL_RST: 0x08 } as const;

/** Port CF9h (ICH9 data sheet 13.7.5): RST_CPU going from 0 to 1 resets, hard or soft alike. */
export class ResetControl implements Device {
  readonly #onReset: () => void;
  readonly #s = { value: 0 };

  constructor(onReset: () => void) {
    this.#onReset = onReset;
  }

  read(): number {
    return this.#s.value;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    const reset = (value & ~this.#s.value & RST_CNT.RST_CPU) !== 0;
    this.#s.value = value & (RST_CNT.SYS_RST | RST_CNT.RST_CPU | RST_CNT.FULL_RST);
    if (reset) this.#onReset();
  }

  reset(): void {
    this.#s.value = 0;
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
