/**
 * What a local APIC passes on to its processor beside interrupts: NMI, SMI, INIT and the start-up IPI. They bypass IRR and
 * ISR (SDM 3A 11.8) and are latched until the processor takes them.
 */
import type { DeviceState } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

export type CoreSignal = "nmi" | "init" | "smi";

/** Of a start-up IPI: none waits. */
const NONE = -1;

export class CoreSignals {
  readonly #s = { nmi: false, init: false, smi: false, startup: NONE };

  raise(signal: CoreSignal): void {
    this.#s[signal] = true;
    // Only a start-up IPI after INIT counts.
    if (signal === "init") this.#s.startup = NONE;
  }

  /** A start-up IPI. @param vector the page at which the processor begins */
  raiseStartup(vector: number): void {
    this.#s.startup = vector;
  }

  pending(signal: CoreSignal): boolean {
    return this.#s[signal];
  }

  take(signal: CoreSignal): void {
    this.#s[signal] = false;
  }

  get startupPending(): boolean {
    return this.#s.startup !== NONE;
  }

  /** @returns the vector of the start-up IPI that waits */
  takeStartup(): number {
    const vector = this.#s.startup;
    this.#s.startup = NONE;
    return vector;
  }

  reset(): void {
    Object.assign(this.#s, { nmi: false, init: false, smi: false, startup: NONE });
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
