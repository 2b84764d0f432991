/**
 * The configuration space of one PCI function: bytes, which of them software may write, and the capability
 * list (PCI Local Bus 3.0 chapter 6; PCI Express 4.0 section 7.5).
 */

import type { AccessSize, DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";

export const CONFIG_SIZE = 256;

/** Offsets in the type 0 header. */
export const HEADER = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION_ID: 0x08,
  CLASS_CODE: 0x09,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES_POINTER: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

export const COMMAND = {
  IO_SPACE: 0x0001,
  MEMORY_SPACE: 0x0002,
  BUS_MASTER: 0x0004,
  PARITY_ERROR_RESPONSE: 0x0040,
  SERR_ENABLE: 0x0100,
  INTERRUPT_DISABLE: 0x0400,
} as const;

export const STATUS = { INTERRUPT: 0x0008, CAPABILITIES_LIST: 0x0010 } as const;

/** First byte after the header, where capabilities go. */
const FIRST_CAPABILITY = 0x40;

export class PciConfigSpace {
  readonly #s = { bytes: new Uint8Array(CONFIG_SIZE) };
  readonly #writable = new Uint8Array(CONFIG_SIZE);
  #reset = new Uint8Array(CONFIG_SIZE);
  #lastCapability = 0;
  #nextCapability = FIRST_CAPABILITY;

  /** Reads as the function itself does. */
  get(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#s.bytes[offset + i];
    return value;
  }

  /** Sets bytes, whether software may write them or not. */
  set(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#s.bytes[offset + i] = value >>> (8 * i);
  }

  /** Says which bits of a register software may write. */
  allow(offset: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[offset + i] = mask >>> (8 * i);
  }

  /** Software's read. Beyond the 256 bytes, in extended space, there is nothing: zero. */
  read(offset: number, size: AccessSize): number {
    return offset + size <= CONFIG_SIZE ? this.get(offset, size) : 0;
  }

  /** Software's write: bits that are not writable stay. */
  write(offset: number, size: AccessSize, value: number): void {
    if (offset + size > CONFIG_SIZE) return;
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i];
      const byte = (value >>> (8 * i)) & 0xff;
      this.#s.bytes[offset + i] = (this.#s.bytes[offset + i] & ~mask) | (byte & mask);
    }
  }

  /**
   * Appends a capability whose body, after ID and next pointer, is `body`; gives its offset. Throws if the
   * 256 bytes are full.
   */
  addCapability(id: number, body: Uint8Array): number {
    const offset = this.#nextCapability;
    const end = offset + 2 + body.length;
    if (end > CONFIG_SIZE) throw new Error("pci: no room for another capability");
    const link = this.#lastCapability === 0 ? HEADER.CAPABILITIES_POINTER : this.#lastCapability + 1;
    this.#s.bytes[link] = offset;
    this.#s.bytes[offset] = id;
    this.#s.bytes.set(body, offset + 2);
    this.#s.bytes[HEADER.STATUS] |= STATUS.CAPABILITIES_LIST;
    this.#lastCapability = offset;
    this.#nextCapability = (end + 3) & ~3;
    return offset;
  }

  /** Makes the present contents those that `reset` returns to. */
  sealResetValues(): void {
    this.#reset = this.#s.bytes.slice();
  }

  reset(): void {
    this.#s.bytes.set(this.#reset);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
