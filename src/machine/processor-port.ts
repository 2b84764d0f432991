/**
 * The platform's side of the processor's pins (`cpu/outside`): accesses to the bus, with each processor's
 * local APIC page in front of it, and interrupt delivery.
 */

import {
  EVENT,
  type LocalApicPort,
  type PortSize,
  type ProcessorPort,
  type ProcessorSide,
} from "../cpu/outside.ts";
import type { Log } from "../devices/device.ts";
import type { Lapic } from "../devices/lapic.ts";
import type { LapicMsrs } from "../devices/lapic-msr.ts";
import type { Bus } from "./bus.ts";

const PAGE = 4096;

/** A processor's local APIC with its MSR face. */
export interface LocalApic {
  readonly lapic: Lapic;
  readonly msrs: LapicMsrs;
}

function localApicPort({ lapic, msrs }: LocalApic): LocalApicPort {
  return {
    apicId: lapic.apicId,
    get globallyEnabled() {
      return lapic.enabled;
    },
    ownsMsr: (index) => msrs.owns(index),
    readMsr: (index) => msrs.read(index),
    writeMsr: (index, low, high) => msrs.write(index, low, high),
    readCr8: () => lapic.taskPriority >> 4,
    writeCr8: (value) => {
      lapic.taskPriority = value << 4;
    },
    timeStampCounterChanged: () => lapic.timer.timeStampCounterChanged(),
  };
}

/** The connection from the local APICs to a core that is connected later. */
export class CoreLink {
  side: ProcessorSide | null = null;

  changed(cpu: number): void {
    this.side?.onInterruptLine(cpu);
  }

  /** Without a core there is no time-stamp counter, and no value of it comes. */
  timeOfTsc(cpu: number, low: number, high: number): number {
    return this.side === null ? Number.POSITIVE_INFINITY : this.side.timeOfTsc(cpu, low, high);
  }

  moved(cpu: number, base: number | null): void {
    this.side?.onLocalApicMove(cpu, base);
  }
}

export class PlatformProcessorPort implements ProcessorPort {
  readonly #bus: Bus;
  readonly #apics: readonly LocalApic[];
  readonly #ports: readonly LocalApicPort[];
  readonly #link: CoreLink;
  readonly #log: Log;
  #selected = 0;

  constructor(bus: Bus, apics: readonly LocalApic[], link: CoreLink, log: Log) {
    this.#bus = bus;
    this.#apics = apics;
    this.#ports = apics.map(localApicPort);
    this.#link = link;
    this.#log = log;
  }

  connect(side: ProcessorSide): void {
    this.#link.side = side;
    this.#apics.forEach(({ lapic, msrs }, cpu) => {
      // What was armed or raised before is news to this core.
      lapic.timer.timeStampCounterChanged();
      side.onLocalApicMove(cpu, msrs.pageBase);
      side.onInterruptLine(cpu);
    });
  }

  selectProcessor(cpu: number): void {
    this.#selected = cpu;
  }

  readPort(port: number, size: PortSize): number {
    return this.#bus.readPort(port & 0xffff, size);
  }

  writePort(port: number, size: PortSize, value: number): void {
    this.#bus.writePort(port & 0xffff, size, truncate(value, size));
  }

  readMmio(address: number, size: PortSize): number {
    const offset = this.#localApicOffset(address);
    if (offset < 0) return this.#bus.readMmio(address, size);
    let value = 2 ** (8 * size) - 1;
    if (this.#fits(offset, size, "read")) value = this.#apics[this.#selected].lapic.read(offset, size);
    this.#observe(false, address, size, value);
    return value;
  }

  writeMmio(address: number, size: PortSize, value: number): void {
    const offset = this.#localApicOffset(address);
    if (offset < 0) {
      this.#bus.writeMmio(address, size, truncate(value, size));
      return;
    }
    if (this.#fits(offset, size, "write")) {
      this.#apics[this.#selected].lapic.write(offset, size, value >>> 0);
    }
    this.#observe(true, address, size, truncate(value, size));
  }

  pendingEvents(cpu: number): number {
    const { lapic } = this.#apics[cpu];
    return (
      (lapic.interruptPending ? EVENT.INTR : 0) |
      (lapic.signals.pending("nmi") ? EVENT.NMI : 0) |
      (lapic.signals.pending("init") ? EVENT.INIT : 0) |
      (lapic.signals.startupPending ? EVENT.SIPI : 0) |
      (lapic.signals.pending("smi") ? EVENT.SMI : 0)
    );
  }

  interruptPending(cpu: number): boolean {
    return this.#apics[cpu].lapic.interruptPending;
  }

  acknowledgeInterrupt(cpu: number): number {
    return this.#apics[cpu].lapic.acknowledge();
  }

  acknowledgeNmi(cpu: number): void {
    this.#apics[cpu].lapic.signals.take("nmi");
  }

  acknowledgeInit(cpu: number): void {
    this.#apics[cpu].lapic.signals.take("init");
  }

  acknowledgeStartup(cpu: number): number {
    return this.#apics[cpu].lapic.signals.takeStartup();
  }

  acknowledgeSmi(cpu: number): void {
    this.#apics[cpu].lapic.signals.take("smi");
  }

  lapic(cpu: number): LocalApicPort {
    return this.#ports[cpu];
  }

  /** Offset into the selected processor's local APIC page, or -1. */
  #localApicOffset(address: number): number {
    const base = this.#apics[this.#selected].msrs.pageBase;
    if (base === null || address < base || address >= base + PAGE) return -1;
    return address - base;
  }

  /** SDM 3A 11.4.1: registers "must be accessed using 128-bit aligned 32-bit loads or stores". */
  #fits(offset: number, size: number, what: string): boolean {
    if (size === 4 && (offset & 3) === 0) return true;
    this.#log.unknown(`lapic: ${what} of ${size} bytes at offset 0x${offset.toString(16)}`);
    return false;
  }

  #observe(write: boolean, address: number, size: number, value: number): void {
    this.#bus.observer?.({ space: "mmio", write, address, size, value, name: "lapic" });
  }
}

function truncate(value: number, size: number): number {
  return (size === 4 ? value : value & (2 ** (8 * size) - 1)) >>> 0;
}
