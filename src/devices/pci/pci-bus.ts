/**
 * PCI bus 0: which function is where, and the ways to reach configuration space: mechanism #1 through ports
 * (PCI 3.0 section 3.2.2.3.2) and the memory-mapped window (PCI Express 4.0 section 7.2.2).
 */

import type { AccessSize, Device, DeviceState, IrqLine } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { HEADER } from "./config-space.ts";
import type { Bar, BarDescription, MovableRange, PciFunction } from "./function.ts";

export interface PciBusOptions {
  /** Makes the range that a BAR moves. */
  readonly createRange: (name: string, bar: BarDescription) => MovableRange;
  /** One input of the wire PIRQ A to D (0 to 3). */
  readonly pirq: (index: number) => IrqLine;
  /** What firmware writes into Interrupt Line for a PIRQ. */
  readonly interruptLineOf: (pirq: number) => number;
}

/** A window of the host bridge out of which BARs are given addresses. */
export interface BarWindow {
  readonly base: number;
  readonly length: number;
}

interface Slot {
  readonly device: number;
  readonly function: number;
  readonly content: PciFunction;
}

/** What reads return where no function answers: the master abort of a host bridge. */
function masterAbort(size: AccessSize): number {
  return 2 ** (8 * size) - 1;
}

export class PciBus {
  readonly #options: PciBusOptions;
  readonly #slots: Slot[] = [];

  constructor(options: PciBusOptions) {
    this.#options = options;
  }

  /** Plugs a function in. Throws if the place is taken, or a function above 0 has no function 0. */
  plug(device: number, fn: number, content: PciFunction): void {
    const place = `00:${device.toString(16).padStart(2, "0")}.${fn}`;
    if (this.#find(device, fn) !== null) throw new Error(`pci: ${place} is taken`);
    if (fn > 0) {
      const first = this.#find(device, 0);
      if (first === null) throw new Error(`pci: ${place} needs a function 0`);
      first.config.set(HEADER.HEADER_TYPE, 1, 0x80);
      first.config.sealResetValues();
    }
    this.#slots.push({ device, function: fn, content });
    if (content.interruptPin > 0) {
      // PCI-to-PCI bridge 1.2 section 9.1, and what _PRT says: each slot shifts the four wires by one.
      const pirq = (content.interruptPin - 1 + device) & 3;
      content.interruptLine = this.#options.pirq(pirq);
      content.config.set(HEADER.INTERRUPT_LINE, 1, this.#options.interruptLineOf(pirq));
    }
    for (const bar of content.bars) {
      bar.range = this.#options.createRange(`${content.name} BAR ${bar.description.index}`, bar.description);
    }
    content.config.sealResetValues();
  }

  /** Gives every BAR an address, largest first, as firmware does. Throws if a window is too small. */
  assignAddresses(windows: { io: BarWindow; memory32: BarWindow; memory64: BarWindow }): void {
    const next = { io: windows.io.base, memory32: windows.memory32.base, memory64: windows.memory64.base };
    const all = this.#slots.flatMap(({ content }) => content.bars.map((bar) => ({ content, bar })));
    all.sort((a, b) => b.bar.description.size - a.bar.description.size);
    for (const { content, bar } of all) {
      const { kind, size } = bar.description;
      const base = Math.ceil(next[kind] / size) * size;
      if (base + size > windows[kind].base + windows[kind].length) {
        throw new Error(`pci: no room for BAR ${bar.description.index} of ${content.name}`);
      }
      next[kind] = base + size;
      this.#writeBar(content, bar, base);
    }
  }

  #writeBar(content: PciFunction, bar: Bar, base: number): void {
    const offset = HEADER.BAR0 + 4 * bar.description.index;
    content.writeConfig(offset, 4, base % 2 ** 32);
    if (bar.description.kind === "memory64") content.writeConfig(offset + 4, 4, Math.floor(base / 2 ** 32));
  }

  /** Reads a configuration register; `register` up to FFFh. All ones where nobody answers. */
  readConfig(bus: number, device: number, fn: number, register: number, size: AccessSize): number {
    const target = bus === 0 ? this.#find(device, fn) : null;
    return target === null ? masterAbort(size) : target.readConfig(register, size);
  }

  writeConfig(
    bus: number,
    device: number,
    fn: number,
    register: number,
    size: AccessSize,
    value: number,
  ): void {
    if (bus === 0) this.#find(device, fn)?.writeConfig(register, size, value);
  }

  reset(): void {
    for (const { content } of this.#slots) content.reset();
  }

  save(): DeviceState {
    return this.#slots.map(({ content }) => content.save());
  }

  restore(state: DeviceState): void {
    const saved = state as DeviceState[];
    if (!Array.isArray(state) || saved.length !== this.#slots.length) {
      throw new Error("pci: the saved state has other functions than this machine");
    }
    this.#slots.forEach(({ content }, i) => {
      content.restore(saved[i]);
    });
  }

  #find(device: number, fn: number): PciFunction | null {
    for (const slot of this.#slots) {
      if (slot.device === device && slot.function === fn) return slot.content;
    }
    return null;
  }
}

/** The memory-mapped window: bus in bits 27:20, device 19:15, function 14:12, register 11:0. */
export class PciEcam implements Device {
  readonly #pci: PciBus;

  constructor(pci: PciBus) {
    this.#pci = pci;
  }

  read(offset: number, size: AccessSize): number {
    return this.#pci.readConfig(offset >>> 20, (offset >> 15) & 31, (offset >> 12) & 7, offset & 0xfff, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const [bus, device, fn] = [offset >>> 20, (offset >> 15) & 31, (offset >> 12) & 7];
    this.#pci.writeConfig(bus, device, fn, offset & 0xfff, size, value);
  }

  reset(): void {}

  save(): DeviceState {
    return null;
  }

  restore(): void {}
}

const CONFIG_ADDRESS = { ENABLE: 0x8000_0000, BITS: 0x80ff_fffc } as const;
const CONFIG_DATA = 4;
const RESET_CONTROL = 1;

/**
 * Mechanism #1: CONFIG_ADDRESS at 0 (CF8h), CONFIG_DATA at 4 (CFCh). Only doubleword accesses at 0 are
 * CONFIG_ADDRESS; narrower ones "pass through": at 1 (CF9h) lies the chip set's reset control register.
 */
export class PciConfigPorts implements Device {
  readonly #pci: PciBus;
  readonly #resetControl: Device;
  readonly #s = { address: 0 };

  constructor(pci: PciBus, resetControl: Device) {
    this.#pci = pci;
    this.#resetControl = resetControl;
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= CONFIG_DATA) {
      const a = this.#target(offset);
      return a === null ? masterAbort(size) : this.#pci.readConfig(a.bus, a.device, a.fn, a.register, size);
    }
    if (size === 4) return this.#s.address;
    return offset === RESET_CONTROL && size === 1 ? this.#resetControl.read(0, 1) : masterAbort(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFIG_DATA) {
      const a = this.#target(offset);
      if (a !== null) this.#pci.writeConfig(a.bus, a.device, a.fn, a.register, size, value);
    } else if (size === 4) {
      this.#s.address = (value & CONFIG_ADDRESS.BITS) >>> 0;
    } else if (offset === RESET_CONTROL && size === 1) {
      this.#resetControl.write(0, 1, value);
    }
    // Other narrow writes reach nothing: Linux writes CFBh to see that this is mechanism #1.
  }

  reset(): void {
    this.#s.address = 0;
    this.#resetControl.reset();
  }

  save(): DeviceState {
    return { ports: saveRecord(this.#s), resetControl: this.#resetControl.save() };
  }

  restore(state: DeviceState): void {
    const { ports, resetControl } = state as { [part: string]: DeviceState };
    restoreRecord(this.#s, ports);
    this.#resetControl.restore(resetControl);
  }

  /** What CONFIG_ADDRESS and the offset into CONFIG_DATA name; `null` while accesses are plain I/O. */
  #target(offset: number): { bus: number; device: number; fn: number; register: number } | null {
    const { address } = this.#s;
    if ((address & CONFIG_ADDRESS.ENABLE) === 0) return null;
    return {
      bus: (address >> 16) & 0xff,
      device: (address >> 11) & 31,
      fn: (address >> 8) & 7,
      register: (address & 0xfc) + (offset - CONFIG_DATA),
    };
  }
}
