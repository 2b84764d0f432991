/**
 * I/O APIC (Intel 82093AA data sheet; version 20H with the EOI register, ICH9 data sheet 13.5).
 *
 * Registers: IOREGSEL at 00H, IOWIN at 10H, EOI at 40H. Lines are logical: `set(true)` asserts the pin
 * whichever level that is on the wire, and the polarity bit is kept but not obeyed; a guest that programs
 * it against the wiring is reported.
 */

import { type ApicBus, DELIVERY, physicalDestination } from "./apic-bus.ts";
import type { AccessSize, Device, DeviceState, IrqLine, Log } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

const OFFSET = { IOREGSEL: 0x00, IOWIN: 0x10, EOI: 0x40 } as const;
const INDEX = { ID: 0x00, VERSION: 0x01, ARBITRATION: 0x02, REDIRECTION: 0x10 } as const;
const VERSION = 0x20;
const ID_SHIFT = 24;
const ID_MASK = 0x0f00_0000;

/** Redirection table entry, low half. */
const ENTRY = {
  VECTOR: 0xff,
  DELIVERY_MODE: 0x700,
  DELIVERY_MODE_SHIFT: 8,
  LOGICAL: 1 << 11,
  ACTIVE_LOW: 1 << 13,
  REMOTE_IRR: 1 << 14,
  LEVEL_TRIGGERED: 1 << 15,
  MASKED: 1 << 16,
} as const;

const ENTRY_WRITABLE =
  ENTRY.VECTOR |
  ENTRY.DELIVERY_MODE |
  ENTRY.LOGICAL |
  ENTRY.ACTIVE_LOW |
  ENTRY.LEVEL_TRIGGERED |
  ENTRY.MASKED;

export interface IoApicOptions {
  readonly id: number;
  readonly pins: number;
  /** Bit n: pin n is wired active low. */
  readonly activeLowPins: number;
  readonly bus: ApicBus;
  readonly log: Log;
}

export class IoApic implements Device {
  readonly #options: IoApicOptions;
  readonly #s: {
    id: number;
    select: number;
    /** Bit n: pin n is asserted. */
    asserted: number;
    low: Uint32Array;
    high: Uint32Array;
  };

  constructor(options: IoApicOptions) {
    this.#options = options;
    this.#s = {
      id: options.id,
      select: 0,
      asserted: 0,
      low: new Uint32Array(options.pins).fill(ENTRY.MASKED),
      high: new Uint32Array(options.pins),
    };
    options.bus.onEoi((vector) => this.#endOfInterrupt(vector));
  }

  /** Interrupt input `pin`. */
  line(pin: number): IrqLine {
    return { set: (level) => this.#setPin(pin, level) };
  }

  read(offset: number, _size: AccessSize): number {
    if (offset === OFFSET.IOREGSEL) return this.#s.select;
    if (offset === OFFSET.IOWIN) return this.#readIndexed(this.#s.select);
    return 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === OFFSET.IOREGSEL) this.#s.select = value & 0xff;
    else if (offset === OFFSET.IOWIN) this.#writeIndexed(this.#s.select, value);
    else if (offset === OFFSET.EOI) this.#endOfInterrupt(value & 0xff);
    else this.#options.log.unknown(`ioapic: write of reserved offset 0x${offset.toString(16)}`);
  }

  /** Entries masked; the lines stay as the devices drive them. */
  reset(): void {
    const s = this.#s;
    s.id = this.#options.id;
    s.select = 0;
    s.low.fill(ENTRY.MASKED);
    s.high.fill(0);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }

  #readIndexed(index: number): number {
    const s = this.#s;
    if (index === INDEX.ID || index === INDEX.ARBITRATION) return s.id << ID_SHIFT;
    if (index === INDEX.VERSION) return VERSION | ((this.#options.pins - 1) << 16);
    const pin = (index - INDEX.REDIRECTION) >> 1;
    if (index < INDEX.REDIRECTION || pin >= this.#options.pins) {
      this.#options.log.unknown(`ioapic: read of reserved register 0x${index.toString(16)}`);
      return 0;
    }
    return (index & 1) === 0 ? s.low[pin] : s.high[pin];
  }

  #writeIndexed(index: number, value: number): void {
    const s = this.#s;
    if (index === INDEX.ID) {
      s.id = (value & ID_MASK) >>> ID_SHIFT;
      return;
    }
    // Version and arbitration ID are read-only.
    if (index === INDEX.VERSION || index === INDEX.ARBITRATION) return;
    const pin = (index - INDEX.REDIRECTION) >> 1;
    if (index < INDEX.REDIRECTION || pin >= this.#options.pins) {
      this.#options.log.unknown(`ioapic: write of reserved register 0x${index.toString(16)}`);
    } else if ((index & 1) !== 0) {
      s.high[pin] = value & 0xff00_0000;
    } else {
      this.#writeEntry(pin, value);
    }
  }

  #writeEntry(pin: number, value: number): void {
    const s = this.#s;
    // Remote IRR is read-only and belongs to level-triggered entries: making one edge-triggered clears it,
    // by which guests end an interrupt where there is no EOI register.
    const level = (value & ENTRY.LEVEL_TRIGGERED) !== 0;
    s.low[pin] = (value & ENTRY_WRITABLE) | (level ? s.low[pin] & ENTRY.REMOTE_IRR : 0);
    const wired = (this.#options.activeLowPins & (1 << pin)) !== 0;
    if ((value & ENTRY.MASKED) === 0 && wired !== ((value & ENTRY.ACTIVE_LOW) !== 0)) {
      this.#options.log.unknown(
        `ioapic: pin ${pin} is active ${wired ? "low" : "high"}, programmed the other way`,
      );
    }
    if (level) this.#service(pin);
  }

  #setPin(pin: number, level: boolean): void {
    const s = this.#s;
    const bit = 1 << pin;
    const rising = level && (s.asserted & bit) === 0;
    s.asserted = level ? s.asserted | bit : s.asserted & ~bit;
    if ((s.low[pin] & ENTRY.LEVEL_TRIGGERED) !== 0) this.#service(pin);
    // "Edge-sensitive interrupts signaled on a masked interrupt pin are ignored."
    else if (rising && (s.low[pin] & ENTRY.MASKED) === 0) this.#send(pin);
  }

  /** Sends a level-triggered interrupt that is asserted, not masked and not yet under way. */
  #service(pin: number): void {
    const s = this.#s;
    if ((s.asserted & (1 << pin)) === 0) return;
    if ((s.low[pin] & (ENTRY.MASKED | ENTRY.REMOTE_IRR)) !== 0) return;
    s.low[pin] |= ENTRY.REMOTE_IRR;
    this.#send(pin);
  }

  #send(pin: number): void {
    const low = this.#s.low[pin];
    const deliveryMode = (low & ENTRY.DELIVERY_MODE) >> ENTRY.DELIVERY_MODE_SHIFT;
    const logical = (low & ENTRY.LOGICAL) !== 0;
    const fixed = deliveryMode === DELIVERY.FIXED || deliveryMode === DELIVERY.LOWEST_PRIORITY;
    this.#options.bus.send({
      vector: low & ENTRY.VECTOR,
      deliveryMode,
      // NMI, SMI, INIT and ExtINT are "treated as an edge triggered interrupt" even if programmed as level.
      levelTriggered: fixed && (low & ENTRY.LEVEL_TRIGGERED) !== 0,
      destination: physicalDestination(this.#s.high[pin] >>> 24, logical),
      logical,
    });
  }

  /** An EOI message, or a write of the EOI register: every entry with that vector may interrupt again. */
  #endOfInterrupt(vector: number): void {
    const s = this.#s;
    for (let pin = 0; pin < this.#options.pins; pin++) {
      if ((s.low[pin] & ENTRY.VECTOR) !== vector || (s.low[pin] & ENTRY.REMOTE_IRR) === 0) continue;
      s.low[pin] &= ~ENTRY.REMOTE_IRR;
      this.#service(pin);
    }
  }
}
