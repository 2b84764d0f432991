/** The error status register of a local APIC (SDM 3A 11.5.3). */
import type { DeviceState } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

export class ErrorStatus {
  /** `value` as software reads it; `since` are the errors since it last wrote there. */
  readonly #s = { value: 0, since: 0 };
  readonly #onError: () => void;

  /** @param onError raises the interrupt of the LVT's error entry */
  constructor(onError: () => void) {
    this.#onError = onError;
  }

  get value(): number {
    return this.#s.value;
  }

  /** Software writes the register: it takes what happened since the last write. */
  latch(): void {
    const s = this.#s;
    s.value = s.since;
    s.since = 0;
  }

  /** @param bit one of `ESR` */
  note(bit: number): void {
    const s = this.#s;
    const fresh = (s.since & bit) === 0;
    s.since |= bit;
    // An error entry whose own vector is illegal must not raise errors for ever.
    if (fresh) this.#onError();
  }

  reset(): void {
    Object.assign(this.#s, { value: 0, since: 0 });
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
