/**
 * Interrupt wiring: which controller pins each line of the board drives.
 *
 * An ISA interrupt request reaches both the 8259 pair and the I/O APIC; whichever the guest has not masked
 * delivers it. A PCI wire is shared: it is asserted while any function asserts it.
 */

import type { IrqLine } from "../devices/device.ts";
import { GSI_PIRQ, GSI_PIT, IRQ, IRQ_PIRQ } from "./address-map.ts";

/** The interrupt controllers, as the wiring sees them. */
export interface InterruptInputs {
  readonly pic: { line(irq: number): IrqLine };
  readonly ioApic: { line(pin: number): IrqLine };
}

/** Several outputs on one wire. */
class SharedWire {
  readonly #drive: (level: boolean) => void;
  readonly #asserted: boolean[] = [];

  constructor(drive: (level: boolean) => void) {
    this.#drive = drive;
  }

  input(): IrqLine {
    const index = this.#asserted.push(false) - 1;
    return {
      set: (level) => {
        if (this.#asserted[index] === level) return;
        this.#asserted[index] = level;
        this.#drive(this.#asserted.includes(true));
      },
    };
  }
}

/**
 * Nothing here has to be saved: the levels at the pins are saved with the controllers, and a function on a
 * shared wire drives it again when it is restored.
 */
export class InterruptLines {
  readonly #inputs: InterruptInputs;
  readonly #pirqs: readonly SharedWire[];
  /** Levels of the ISA requests and of PIRQ A-D, to count rising edges. */
  readonly #level = new Map<string, boolean>();
  /** How often each line was raised, by name: `IRQ 4`, `PIRQ A`. */
  readonly raised = new Map<string, number>();

  constructor(inputs: InterruptInputs) {
    this.#inputs = inputs;
    // PIRQ A and C share one ISA interrupt on the 8259 pair, B and D the other.
    const picWires = new Map<number, SharedWire>();
    for (const irq of IRQ_PIRQ) {
      const line = inputs.pic.line(irq);
      if (!picWires.has(irq)) picWires.set(irq, new SharedWire((level) => line.set(level)));
    }
    this.#pirqs = GSI_PIRQ.map((gsi, i) => {
      const pin = inputs.ioApic.line(gsi);
      const pic = picWires.get(IRQ_PIRQ[i])!.input();
      const name = `PIRQ ${"ABCD"[i]}`;
      return new SharedWire((level) => {
        this.#count(name, level);
        pic.set(level);
        pin.set(level);
      });
    });
  }

  /** The line of ISA interrupt request `irq`. IRQ 2 is the cascade between the 8259s: no device has it. */
  isa(irq: number): IrqLine {
    if (irq === IRQ.cascade || irq < 0 || irq > 15) throw new Error(`irq: there is no ISA line ${irq}`);
    const pic = this.#inputs.pic.line(irq);
    const pin = this.#inputs.ioApic.line(irq === IRQ.pit ? GSI_PIT : irq);
    const name = `IRQ ${irq}`;
    return {
      set: (level) => {
        this.#count(name, level);
        pic.set(level);
        pin.set(level);
      },
    };
  }

  /** One more input of PIRQ A (0) to D (3). */
  pirq(index: number): IrqLine {
    return this.#pirqs[index].input();
  }

  #count(name: string, level: boolean): void {
    if (this.#level.get(name) === level) return;
    this.#level.set(name, level);
    if (level) this.raised.set(name, (this.raised.get(name) ?? 0) + 1);
  }
}
