/**
 * The two 8259A interrupt controllers of a PC, with the edge/level control registers of PCI chip sets.
 *
 * Registers of each: 0 (A0 = 0) and 1 (A0 = 1). (Intel 8259A data sheet; ELCR: Intel ICH9 data sheet
 * 13.4.11.) The pair is one device to the processor: `acknowledge` runs the INTA cycles through the cascade.
 */

import type { AccessSize, Device, DeviceState, IrqLine } from "./device.ts";
import { restoreRecord, saveRecord } from "./state.ts";

const ICW1 = { IC4: 0x01, SNGL: 0x02, LTIM: 0x08, SELECT: 0x10 } as const;
const ICW4 = { UPM: 0x01, AEOI: 0x02, SFNM: 0x10 } as const;
const OCW3 = { SELECT: 0x08, RIS: 0x01, RR: 0x02, POLL: 0x04, SMM: 0x20, ESMM: 0x40 } as const;
/** OCW2: R, SL and EOI in bits 7:5. */
const OCW2 = { EOI: 0x20, SL: 0x40, R: 0x80 } as const;

/** Input of the first controller to which the second is cascaded. */
const CASCADE = 2;
/** "The spurious interrupt is on IR7." */
const SPURIOUS_LEVEL = 7;

function powerOn(): {
  irr: number;
  isr: number;
  imr: number;
  lines: number;
  vectorBase: number;
  lowestPriority: number;
  initStep: number;
  icw1: number;
  icw4: number;
  readIsr: boolean;
  poll: boolean;
  specialMask: boolean;
  rotateOnAeoi: boolean;
  elcr: number;
} {
  return {
    /** Interrupt request, in-service and mask registers. */
    irr: 0,
    isr: 0,
    imr: 0,
    /** Levels of the eight inputs. */
    lines: 0,
    /** ICW2: bits 7:3 of the vector. */
    vectorBase: 0,
    /** The level with the lowest priority; the next one up has the highest. */
    lowestPriority: 7,
    /** Which initialization command word comes next at A0 = 1: 2, 3, 4, or 0 for none. */
    initStep: 0,
    icw1: 0,
    icw4: 0,
    readIsr: false,
    poll: false,
    specialMask: false,
    rotateOnAeoi: false,
    /** Inputs that are level-triggered. */
    elcr: 0,
  };
}

/** One 8259A. */
class Controller {
  readonly s = powerOn();
  readonly #master: boolean;
  /** ELCR bits that can be set: IRQ 0, 1, 2, 8 and 13 are edge-triggered for ever. */
  readonly elcrMask: number;

  constructor(master: boolean) {
    this.#master = master;
    this.elcrMask = master ? 0xf8 : 0xde;
  }

  /** Changes an input. */
  setLine(level: number, high: boolean): void {
    const s = this.s;
    const bit = 1 << level;
    const rising = high && (s.lines & bit) === 0;
    s.lines = high ? s.lines | bit : s.lines & ~bit;
    if (this.#levelTriggered(bit)) {
      s.irr = high ? s.irr | bit : s.irr & ~bit;
    } else if (rising) {
      s.irr |= bit;
    } else if (!high) {
      // "The IR input must remain high until after the falling edge of the first INTA."
      s.irr &= ~bit;
    }
  }

  #levelTriggered(bit: number): boolean {
    return (this.s.icw1 & ICW1.LTIM) !== 0 || (this.s.elcr & bit) !== 0;
  }

  /** Place of a level in the present priority order: 0 is the highest. */
  #rank(level: number): number {
    return (level - this.s.lowestPriority - 1) & 7;
  }

  /** The level of highest priority among `bits`, or -1. */
  #highest(bits: number): number {
    for (let rank = 0; rank < 8; rank++) {
      const level = (this.s.lowestPriority + 1 + rank) & 7;
      if ((bits & (1 << level)) !== 0) return level;
    }
    return -1;
  }

  /** The level that INT is asserted for, or -1. */
  pending(): number {
    const s = this.s;
    const level = this.#highest(s.irr & ~s.imr);
    if (level < 0) return -1;
    // Special mask mode "inhibits further interrupts at that level and enables all other levels".
    let inService = s.specialMask ? s.isr & ~s.imr & (1 << level) : s.isr;
    // Special fully nested mode: a slave in service does not lock out its own further requests.
    if (this.#master && (s.icw4 & ICW4.SFNM) !== 0) inService &= ~(1 << CASCADE);
    const serving = this.#highest(inService);
    if (serving >= 0 && this.#rank(level) >= this.#rank(serving)) return -1;
    return level;
  }

  /** First INTA (or a poll read): the level goes into service. Gives it, or -1 if no request is left. */
  take(): number {
    const s = this.s;
    const level = this.pending();
    if (level < 0) return -1;
    const bit = 1 << level;
    if (!this.#levelTriggered(bit)) s.irr &= ~bit;
    if ((s.icw4 & ICW4.AEOI) !== 0) {
      if (s.rotateOnAeoi) s.lowestPriority = level;
    } else {
      s.isr |= bit;
    }
    return level;
  }

  read(offset: number): number {
    const s = this.s;
    if (s.poll) {
      // "The 8259A treats the next RD# pulse as an interrupt acknowledge."
      s.poll = false;
      const level = this.take();
      return level < 0 ? 0 : 0x80 | level;
    }
    if (offset === 1) return s.imr;
    return s.readIsr ? s.isr : s.irr;
  }

  write(offset: number, value: number): void {
    if (offset === 1) this.#writeHigh(value);
    else if ((value & ICW1.SELECT) !== 0) this.#icw1(value);
    else if ((value & OCW3.SELECT) !== 0) this.#ocw3(value);
    else this.#ocw2(value);
  }

  #icw1(value: number): void {
    const s = this.s;
    // Data sheet, "Initialization Command Words": (a) to (f).
    s.icw1 = value;
    s.irr = 0;
    s.isr = 0;
    s.imr = 0;
    s.lowestPriority = 7;
    s.specialMask = false;
    s.readIsr = false;
    s.poll = false;
    s.rotateOnAeoi = false;
    if ((value & ICW1.IC4) === 0) s.icw4 = 0;
    s.initStep = 2;
    // The edge sense circuit is reset: an edge-triggered input needs a new edge, a level one does not.
    for (let level = 0; level < 8; level++) {
      if (this.#levelTriggered(1 << level)) s.irr |= s.lines & (1 << level);
    }
  }

  #writeHigh(value: number): void {
    const s = this.s;
    const hasIcw4 = (s.icw1 & ICW1.IC4) !== 0;
    switch (s.initStep) {
      case 0:
        s.imr = value;
        return;
      case 2:
        s.vectorBase = value & 0xf8;
        s.initStep = (s.icw1 & ICW1.SNGL) === 0 ? 3 : hasIcw4 ? 4 : 0;
        return;
      case 3:
        // ICW3 names the cascade input, which the board fixes.
        s.initStep = hasIcw4 ? 4 : 0;
        return;
      default:
        s.icw4 = value;
        s.initStep = 0;
    }
  }

  #ocw2(value: number): void {
    const s = this.s;
    const level = value & 7;
    const rotate = (value & OCW2.R) !== 0;
    switch (value & (OCW2.R | OCW2.SL | OCW2.EOI)) {
      case OCW2.EOI:
      case OCW2.R | OCW2.EOI: {
        // Non-specific EOI; in special mask mode it does not reach a masked level.
        const serving = this.#highest(s.specialMask ? s.isr & ~s.imr : s.isr);
        if (serving < 0) return;
        s.isr &= ~(1 << serving);
        if (rotate) s.lowestPriority = serving;
        return;
      }
      case OCW2.SL | OCW2.EOI:
      case OCW2.R | OCW2.SL | OCW2.EOI:
        s.isr &= ~(1 << level);
        if (rotate) s.lowestPriority = level;
        return;
      case OCW2.R | OCW2.SL:
        s.lowestPriority = level;
        return;
      case OCW2.R:
        s.rotateOnAeoi = true;
        return;
      case 0:
        s.rotateOnAeoi = false;
    }
  }

  #ocw3(value: number): void {
    const s = this.s;
    s.poll = (value & OCW3.POLL) !== 0;
    if ((value & OCW3.RR) !== 0) s.readIsr = (value & OCW3.RIS) !== 0;
    if ((value & OCW3.ESMM) !== 0) s.specialMask = (value & OCW3.SMM) !== 0;
  }

  writeElcr(value: number): void {
    const s = this.s;
    s.elcr = value & this.elcrMask;
    for (let level = 0; level < 8; level++) {
      const bit = 1 << level;
      if (this.#levelTriggered(bit)) s.irr = (s.irr & ~bit) | (s.lines & bit);
    }
  }
}

export class Pic {
  readonly #controllers = [new Controller(true), new Controller(false)] as const;
  readonly #output: IrqLine;
  /** The two register pairs, 20h and A0h on a PC. */
  readonly ports: readonly [Device, Device];
  /** ELCR1 and ELCR2, 4D0h and 4D1h on a PC. */
  readonly elcr: Device;

  /** `output` is INT of the first controller. */
  constructor(output: IrqLine) {
    this.#output = output;
    this.ports = [this.#portDevice(0), this.#portDevice(1)];
    this.elcr = {
      read: (offset) => this.#controllers[offset].s.elcr,
      write: (offset, _size, value) => {
        this.#controllers[offset].writeElcr(value);
        this.#update();
      },
      // Saved and reset with the controllers.
      reset: () => {},
      save: () => null,
      restore: () => {},
    };
  }

  /** ISA interrupt request `irq`, 0 to 15. IRQ 2 is the cascade and has no line. */
  line(irq: number): IrqLine {
    const controller = this.#controllers[irq >> 3];
    return {
      set: (level) => {
        controller.setLine(irq & 7, level);
        this.#update();
      },
    };
  }

  /** Whether INT is asserted. */
  get asserted(): boolean {
    return this.#controllers[0].pending() >= 0;
  }

  /** The interrupt acknowledge cycles; gives the vector. With no request left it is the spurious IR7. */
  acknowledge(): number {
    const [master, slave] = this.#controllers;
    let level = master.take();
    let source = master;
    if (level === CASCADE) {
      source = slave;
      level = slave.take();
      // The slave's INT falls with its INTA: a further request of the slave is a new edge on the master.
      master.setLine(CASCADE, false);
    }
    this.#update();
    return source.s.vectorBase | (level < 0 ? SPURIOUS_LEVEL : level);
  }

  #portDevice(index: 0 | 1): Device {
    const controller = this.#controllers[index];
    return {
      read: (offset: number, _size: AccessSize): number => {
        const polls = controller.s.poll;
        const value = controller.read(offset);
        if (polls) this.#update();
        return value;
      },
      write: (offset: number, _size: AccessSize, value: number): void => {
        controller.write(offset, value);
        this.#update();
      },
      // The lines stay as the devices drive them.
      reset: () => {
        Object.assign(controller.s, { ...powerOn(), lines: controller.s.lines });
        this.#update();
      },
      save: (): DeviceState => saveRecord(controller.s),
      restore: (state: DeviceState) => restoreRecord(controller.s, state),
    };
  }

  #update(): void {
    const [master, slave] = this.#controllers;
    master.setLine(CASCADE, slave.pending() >= 0);
    this.#output.set(master.pending() >= 0);
  }
}
