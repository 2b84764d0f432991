/**
 * MSI-X (PCI Local Bus 3.0 section 6.8.2): interrupts as memory writes, from a table of messages that lies in a BAR.
 */

import type { AccessSize, Device, DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { PciConfigSpace } from "./config-space.ts";

export const CAPABILITY_MSIX = 0x11;
/** Message Control (6.8.2.3), at offset 2 of the capability. */
const CONTROL = { FUNCTION_MASK: 0x4000, ENABLE: 0x8000 } as const;

/** An entry of the table (6.8.2.6 to 6.8.2.9). */
const ENTRY_SIZE = 16;
const VECTOR_CONTROL = 3;
const MASKED = 1;

/** Where the Pending Bit Array begins in the BAR; the table has the half before it. */
const PBA_OFFSET = 0x800;
export const MSIX_BAR_SIZE = 0x1000;

/** The message's write to memory. */
export type SendMessage = (addressLow: number, addressHigh: number, data: number) => void;

/** The table and the pending bits: what the BAR holds. Registers are doublewords. */
export class Msix implements Device {
  readonly vectors: number;
  readonly #send: SendMessage;
  readonly #s: { table: Uint32Array; pending: Uint32Array };
  #config: PciConfigSpace | null = null;
  #control = 0;

  /** @param vectors 1 to 128 */
  constructor(vectors: number, send: SendMessage) {
    this.vectors = vectors;
    this.#send = send;
    this.#s = {
      table: new Uint32Array((vectors * ENTRY_SIZE) / 4),
      pending: new Uint32Array(Math.ceil(vectors / 32)),
    };
    this.reset();
  }

  /** Adds the capability; `bar` is the BAR that this is the device of. */
  addCapability(config: PciConfigSpace, bar: number): void {
    const body = new DataView(new ArrayBuffer(10));
    body.setUint16(0, this.vectors - 1, true);
    body.setUint32(2, bar, true);
    body.setUint32(6, PBA_OFFSET | bar, true);
    const offset = config.addCapability(CAPABILITY_MSIX, new Uint8Array(body.buffer));
    this.#config = config;
    this.#control = offset + 2;
    config.allow(this.#control, 2, CONTROL.ENABLE | CONTROL.FUNCTION_MASK);
  }

  get #controlBits(): number {
    return this.#config === null ? 0 : this.#config.get(this.#control, 2);
  }

  /** The function may use INTx only while this is not set. */
  get enabled(): boolean {
    return (this.#controlBits & CONTROL.ENABLE) !== 0;
  }

  /** The event of `vector` has happened: sends its message, or keeps it while it is masked. */
  signal(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    this.#s.pending[vector >> 5]! |= 1 << (vector & 31);
    this.deliverPending();
  }

  /** Sends what was kept and is masked no more; to be called after a write to the capability. */
  deliverPending(): void {
    const control = this.#controlBits;
    if ((control & CONTROL.ENABLE) === 0 || (control & CONTROL.FUNCTION_MASK) !== 0) return;
    const { table, pending } = this.#s;
    for (let vector = 0; vector < this.vectors; vector++) {
      const bit = 1 << (vector & 31);
      if ((pending[vector >> 5]! & bit) === 0) continue;
      const entry = vector * 4;
      if ((table[entry + VECTOR_CONTROL]! & MASKED) !== 0) continue;
      pending[vector >> 5]! &= ~bit;
      this.#send(table[entry]!, table[entry + 1]!, table[entry + 2]!);
    }
  }

  read(offset: number, _size: AccessSize): number {
    const { table, pending } = this.#s;
    const words = offset >= PBA_OFFSET ? pending : table;
    return words[(offset & (PBA_OFFSET - 1)) >> 2] ?? 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    // Pending bits are read-only (6.8.2.10).
    const { table } = this.#s;
    const word = offset >> 2;
    if (offset >= PBA_OFFSET || word >= table.length) return;
    table[word] = (word & 3) === VECTOR_CONTROL ? value & MASKED : value;
    this.deliverPending();
  }

  reset(): void {
    const { table, pending } = this.#s;
    pending.fill(0);
    // 6.8.2.9: every vector is masked after a reset.
    for (let word = 0; word < table.length; word++) table[word] = (word & 3) === VECTOR_CONTROL ? MASKED : 0;
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
