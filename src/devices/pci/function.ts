/**
 * One PCI function with a type 0 header: identity, BARs that can be sized and moved, and INTx.
 *
 * A device model builds one from a description and gives a `Device` for each BAR; accesses then reach it as
 * offsets into the BAR, wherever software has put it.
 */

import type { AccessSize, Device, DeviceState, IrqLine } from "../device.ts";
import { COMMAND, HEADER, PciConfigSpace, STATUS } from "./config-space.ts";

/** Where a BAR's accesses come in; the machine's bus gives one for each. */
export interface MovableRange {
  /** `false` if something else is there. */
  move(base: number): boolean;
  unmap(): void;
}

export interface BarDescription {
  /** 0-5; a 64-bit BAR takes two. */
  readonly index: number;
  readonly kind: "io" | "memory32" | "memory64";
  readonly prefetchable?: boolean;
  /** A power of two, at least 4 for I/O and 16 for memory. */
  readonly size: number;
  readonly device: Device;
  readonly widths: readonly (1 | 2 | 4)[];
}

export interface FunctionDescription {
  readonly name: string;
  readonly vendorId: number;
  readonly deviceId: number;
  /** Base class, sub-class and programming interface: 060000h is a host bridge. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** INTA to INTD as 1 to 4; 0 for none. */
  readonly interruptPin?: number;
  readonly bars?: readonly BarDescription[];
}

/** A BAR and the range behind it. */
export interface Bar {
  readonly description: BarDescription;
  /** Set when the function is plugged into a bus. */
  range: MovableRange | null;
  /** Where it is mapped now; `null` while decoding is off. */
  base: number | null;
}

const BAR_IO = 0x1;
const BAR_MEMORY_64 = 0x4;
const BAR_PREFETCHABLE = 0x8;
const COMMAND_BITS =
  COMMAND.IO_SPACE |
  COMMAND.MEMORY_SPACE |
  COMMAND.BUS_MASTER |
  COMMAND.PARITY_ERROR_RESPONSE |
  COMMAND.SERR_ENABLE |
  COMMAND.INTERRUPT_DISABLE;

export class PciFunction {
  readonly name: string;
  readonly config = new PciConfigSpace();
  readonly bars: readonly Bar[];
  readonly interruptPin: number;
  /** The INTx wire, set when the function is plugged in. */
  interruptLine: IrqLine | null = null;
  #intx = false;

  /** Capabilities are added to `config` before the function is plugged in. */
  constructor(description: FunctionDescription) {
    this.name = description.name;
    this.interruptPin = description.interruptPin ?? 0;
    this.bars = (description.bars ?? []).map((bar) => ({ description: bar, range: null, base: null }));
    const { config } = this;
    config.set(HEADER.VENDOR_ID, 2, description.vendorId);
    config.set(HEADER.DEVICE_ID, 2, description.deviceId);
    config.set(HEADER.REVISION_ID, 1, description.revision ?? 0);
    config.set(HEADER.CLASS_CODE, 1, description.classCode);
    config.set(HEADER.CLASS_CODE + 1, 2, description.classCode >> 8);
    config.set(HEADER.SUBSYSTEM_VENDOR_ID, 2, description.subsystemVendorId ?? 0);
    config.set(HEADER.SUBSYSTEM_ID, 2, description.subsystemId ?? 0);
    config.set(HEADER.INTERRUPT_PIN, 1, this.interruptPin);
    config.allow(HEADER.COMMAND, 2, COMMAND_BITS);
    config.allow(HEADER.INTERRUPT_LINE, 1, 0xff);
    for (const bar of this.bars) this.#describeBar(bar.description);
  }

  #describeBar(bar: BarDescription): void {
    const offset = HEADER.BAR0 + 4 * bar.index;
    const minimum = bar.kind === "io" ? 4 : 16;
    if (bar.size < minimum || !Number.isInteger(Math.log2(bar.size))) {
      throw new Error(`pci: ${this.name}: BAR ${bar.index} has size ${bar.size}`);
    }
    // Sizing: software writes ones and finds those bits that are not writable still zero.
    const sizing = 2n ** 64n - BigInt(bar.size);
    this.config.allow(offset, 4, Number(sizing & 0xffff_ffffn));
    if (bar.kind === "io") {
      this.config.set(offset, 4, BAR_IO);
      return;
    }
    const wide = bar.kind === "memory64";
    const flags = (wide ? BAR_MEMORY_64 : 0) | (bar.prefetchable === true ? BAR_PREFETCHABLE : 0);
    this.config.set(offset, 4, flags);
    if (wide) this.config.allow(offset + 4, 4, Number(sizing >> 32n));
  }

  /** Software reads configuration space. */
  readConfig(offset: number, size: AccessSize): number {
    return this.config.read(offset, size);
  }

  /** Software writes configuration space. */
  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.config.write(offset, size, value);
    const header = offset < HEADER.SUBSYSTEM_VENDOR_ID && offset + size > HEADER.COMMAND;
    if (header) {
      this.#mapBars();
      this.#driveInterrupt();
    }
  }

  /** Asserts or releases INTx. */
  setInterrupt(asserted: boolean): void {
    this.#intx = asserted;
    this.#driveInterrupt();
  }

  /** Whether the function may read and write guest memory. */
  get busMaster(): boolean {
    return (this.config.get(HEADER.COMMAND, 2) & COMMAND.BUS_MASTER) !== 0;
  }

  reset(): void {
    this.config.reset();
    this.#intx = false;
    this.#mapBars();
    this.#driveInterrupt();
    for (const bar of this.bars) bar.description.device.reset();
  }

  save(): DeviceState {
    return {
      config: this.config.save(),
      intx: this.#intx,
      bars: this.bars.map((bar) => bar.description.device.save()),
    };
  }

  restore(state: DeviceState): void {
    const { config, intx, bars } = state as { config: DeviceState; intx: boolean; bars: DeviceState[] };
    this.config.restore(config);
    this.#intx = intx;
    this.bars.forEach((bar, i) => {
      bar.description.device.restore(bars[i]);
    });
    this.#mapBars();
    this.#driveInterrupt();
  }

  #barAddress(bar: BarDescription): number {
    const offset = HEADER.BAR0 + 4 * bar.index;
    const low = this.config.get(offset, 4);
    if (bar.kind === "io") return low - (low & 3);
    const high = bar.kind === "memory64" ? this.config.get(offset + 4, 4) : 0;
    return high * 2 ** 32 + low - (low & 0xf);
  }

  /** Puts each BAR where its register and the command register say. */
  #mapBars(): void {
    const command = this.config.get(HEADER.COMMAND, 2);
    for (const bar of this.bars) {
      const { kind, size } = bar.description;
      const enable = kind === "io" ? COMMAND.IO_SPACE : COMMAND.MEMORY_SPACE;
      const limit = kind === "io" ? 2 ** 16 : kind === "memory32" ? 2 ** 32 : 2 ** 52;
      const address = this.#barAddress(bar.description);
      const decoded = (command & enable) !== 0 && address !== 0 && address + size <= limit;
      const base = decoded ? address : null;
      if (base === bar.base) continue;
      bar.base = base;
      if (base === null) bar.range?.unmap();
      else if (bar.range?.move(base) === false) bar.base = null;
    }
  }

  #driveInterrupt(): void {
    const { config } = this;
    const status = config.get(HEADER.STATUS, 2);
    config.set(HEADER.STATUS, 2, this.#intx ? status | STATUS.INTERRUPT : status & ~STATUS.INTERRUPT);
    const disabled = (config.get(HEADER.COMMAND, 2) & COMMAND.INTERRUPT_DISABLE) !== 0;
    this.interruptLine?.set(this.#intx && !disabled);
  }
}
