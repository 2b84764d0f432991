/**
 * The machine: which devices it has, where they are, and what is wired to what.
 *
 * The processor core is not here: it is connected to `processorPort`. ACPI tables and boot protocols are
 * built elsewhere from the same `address-map`.
 */

import type { ProcessorPort } from "../cpu/outside.ts";
import { AcpiPm } from "../devices/acpi-pm.ts";
import { ApicBus } from "../devices/apic-bus.ts";
import { BochsDebugPort, DebugExit, PostPort } from "../devices/debug-ports.ts";
import type { Device, DeviceState, Log } from "../devices/device.ts";
import { I8042 } from "../devices/i8042.ts";
import { IoApic } from "../devices/ioapic.ts";
import { Lapic } from "../devices/lapic.ts";
import { LapicMsrs } from "../devices/lapic-msr.ts";
import { createHostBridge } from "../devices/pci/host-bridge.ts";
import { PciBus, PciConfigPorts, PciEcam } from "../devices/pci/pci-bus.ts";
import { Pic } from "../devices/pic.ts";
import { Pit, SystemControlB } from "../devices/pit.ts";
import { Rtc } from "../devices/rtc.ts";
import { ResetControl, SystemControlA } from "../devices/system-control.ts";
import { TickRate } from "../devices/tick-rate.ts";
import { Uart16550 } from "../devices/uart16550.ts";
import type { VirtioCounters } from "../devices/virtio/core.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import type { GuestMemory } from "../devices/virtio/guest-memory.ts";
import { VIRTIO_MMIO_SIZE, VirtioMmio } from "../devices/virtio/transport-mmio.ts";
import { createVirtioPci } from "../devices/virtio/transport-pci.ts";
import * as map from "./address-map.ts";
import { virtioMmioPlaces } from "./boot-platform.ts";
import { Bus, type BusSize, type Space } from "./bus.ts";
import { EventClock } from "./clock.ts";
import { InterruptLines } from "./irq.ts";
import { CoreLink, type LocalApic, PlatformProcessorPort } from "./processor-port.ts";
import type { VirtioAttachment } from "./virtio.ts";

/** What the machine tells the outside. Each comes from inside a guest access: take note, do not re-enter. */
export interface PlatformEvents {
  /** A byte on COM1. */
  onConsole(byte: number): void;
  /** A byte on the Bochs debug port E9h. */
  onDebugByte(byte: number): void;
  /** S5 was entered. */
  onPowerOff(): void;
  /** A reset was asked for, by the named device. The platform is not reset until `reset` is called. */
  onReset(source: string): void;
  /** isa-debug-exit: `status` is code * 2 + 1. */
  onDebugExit(status: number): void;
}

export interface PlatformOptions {
  /** Number of processors, 1 to 255. */
  readonly processors: number;
  /** RAM size in bytes. */
  readonly memorySize: number;
  readonly events: PlatformEvents;
  readonly log: Log;
  /** The real-time clock's date at power-on, in seconds since 1970 UTC; 2025-01-01 unless given. */
  readonly startDate?: number;
  /** CPUID.01H:ECX.x2APIC and .TSC_Deadline of the processor model; both true unless given. */
  readonly x2apic?: boolean;
  readonly tscDeadline?: boolean;
  /** MAXPHYADDR of the processor model; 40 unless given. */
  readonly physicalAddressBits?: number;
  /** In the order of their places: PCI slots from 00:01.0, MMIO pages from the first. */
  readonly virtio?: readonly VirtioAttachment[];
  /** Guest RAM; virtio devices need it. */
  readonly memory?: GuestMemory;
}

export const DEFAULT_START_DATE = Date.UTC(2025, 0, 1) / 1000;

/** Devices on PCI bus 0 beside the host bridge. */
const PCI_SLOTS = 31;

/** One entry of the machine table. */
interface Mapping {
  readonly name: string;
  readonly space: Space;
  readonly at: map.AddressRange;
  readonly widths: readonly BusSize[];
  readonly device: Device;
}

export class Platform {
  readonly clock = new EventClock();
  readonly bus: Bus;
  readonly processorPort: ProcessorPort;
  readonly lines: InterruptLines;
  readonly apicBus: ApicBus;
  readonly pci: PciBus;
  /** COM1: `receive` is the keyboard of the serial console. */
  readonly console: Uart16550;
  readonly acpiPm: AcpiPm;
  readonly post: PostPort;
  readonly pic: Pic;
  readonly apics: readonly LocalApic[];
  /** Virtio devices and what they did. */
  readonly virtio: { readonly device: VirtioDevice; readonly counters: VirtioCounters }[] = [];
  /** Virtio devices on MMIO. */
  readonly virtioMmioCount: number;
  readonly #table: readonly Mapping[];

  constructor(options: PlatformOptions) {
    const { events, log } = options;
    const { clock } = this;
    const bus = new Bus(log);
    const link = new CoreLink();
    this.bus = bus;

    // Interrupt controllers.
    const apicBus = new ApicBus();
    const pic = new Pic({
      set: (level) => {
        for (const { lapic } of this.apics) lapic.setLint(0, level);
      },
    });
    const ioApic = new IoApic({
      id: map.ioapicId(options.processors),
      pins: map.IOAPIC_PINS,
      activeLowPins: map.GSI_PIRQ.reduce((pins, gsi) => pins | (1 << gsi), 0),
      bus: apicBus,
      log,
    });
    const timerRate = new TickRate(map.LOCAL_APIC_TIMER_HZ);
    this.apics = Array.from({ length: options.processors }, (_, cpu): LocalApic => {
      const lapic = new Lapic({
        apicId: map.localApicId(cpu),
        clock,
        timerRate,
        tscDeadline: options.tscDeadline ?? true,
        bus: apicBus,
        core: {
          changed: () => link.changed(cpu),
          timeOfTsc: (low, high) => link.timeOfTsc(cpu, low, high),
          acknowledgeExternal: () => pic.acknowledge(),
        },
        log,
      });
      apicBus.attach(lapic);
      const msrs = new LapicMsrs({
        lapic,
        base: map.LOCAL_APIC.base,
        bootstrap: cpu === 0,
        x2apic: options.x2apic ?? true,
        tscDeadline: options.tscDeadline ?? true,
        physicalAddressBits: options.physicalAddressBits ?? 40,
        onMove: (base) => link.moved(cpu, base),
      });
      return { lapic, msrs };
    });
    const lines = new InterruptLines({ pic, ioApic });

    // Timers and clocks.
    const pitRate = new TickRate(map.PIT_HZ);
    const pit = new Pit({ clock, rate: pitRate, irq: lines.isa(map.IRQ.pit) });
    const systemControlB = new SystemControlB({ clock, rate: pitRate, timer2: pit });
    const rtc = new Rtc({
      clock,
      irq: lines.isa(map.IRQ.rtc),
      startDate: options.startDate ?? DEFAULT_START_DATE,
      memorySize: options.memorySize,
    });
    const acpiPm = new AcpiPm({
      clock,
      rate: new TickRate(map.PM_TIMER_HZ),
      timerBits: map.PM_TIMER_BITS,
      sci: lines.isa(map.IRQ.sci),
      s5SleepType: map.ACPI_S5_SLEEP_TYPE,
      onPowerOff: () => events.onPowerOff(),
      log,
    });

    // Console, keyboard controller, ways to reset, debug ports.
    const com1 = new Uart16550({
      name: "com1",
      clock,
      irq: lines.isa(map.IRQ.com1),
      onTransmit: (byte) => events.onConsole(byte),
    });
    const i8042 = new I8042({
      log,
      keyboardIrq: lines.isa(map.IRQ.keyboard),
      auxIrq: lines.isa(map.IRQ.mouse),
      onReset: () => events.onReset("i8042"),
    });
    const systemControlA = new SystemControlA(() => events.onReset("port 92h"));
    const resetControl = new ResetControl(() => events.onReset("port CF9h"));
    const post = new PostPort();
    const bochsDebug = new BochsDebugPort((byte) => events.onDebugByte(byte));
    const debugExit = new DebugExit((status) => events.onDebugExit(status));

    // PCI.
    const pci = new PciBus({
      createRange: (name, bar) => {
        const space = bar.kind === "io" ? "port" : "mmio";
        const range = bus.addUnmapped(space, bar.size, bar.device, { name, widths: bar.widths });
        return {
          move: (base) => {
            const mapped = range.move(base);
            if (!mapped) log.unknown(`pci: ${name} at 0x${base.toString(16)} overlaps another range`);
            return mapped;
          },
          unmap: () => range.unmap(),
        };
      },
      pirq: (index) => lines.pirq(index),
      interruptLineOf: (pirq) => map.IRQ_PIRQ[pirq],
    });
    pci.plug(0, 0, createHostBridge());
    const pciConfig = new PciConfigPorts(pci, resetControl);
    const ecam = new PciEcam(pci);

    // Virtio.
    const { virtio = [], memory } = options;
    const onPci = virtio.filter(({ transport }) => transport === "pci");
    const onMmio = virtio.filter(({ transport }) => transport === "mmio");
    if (onPci.length > PCI_SLOTS) throw new RangeError(`more than ${PCI_SLOTS} virtio devices on PCI`);
    const places = virtioMmioPlaces(onMmio.length);
    if (places.length < onMmio.length) {
      throw new RangeError(`more than ${places.length} virtio devices on MMIO`);
    }
    const common = (device: VirtioDevice) => {
      if (memory === undefined) throw new Error("virtio devices need guest memory");
      const counters: VirtioCounters = { requests: 0, bytes: 0, interrupts: 0 };
      this.virtio.push({ device, counters });
      return { device, memory, clock, log, counters };
    };
    const sendMessage = (low: number, high: number, data: number): void => {
      // Interrupts are the only thing that messages are for; no device writes to memory through them.
      const sent = high === 0 && apicBus.sendMsi(low, data);
      if (!sent) log.unknown("pci: a message-signalled interrupt to an address that is no local APIC's");
    };
    onPci.forEach(({ device }, i) => {
      pci.plug(i + 1, 0, createVirtioPci({ ...common(device), sendMessage }));
    });
    const virtioMmio = onMmio.map(({ device }, i): Mapping => {
      const { registers, irq } = places[i]!;
      return {
        name: device.name,
        space: "mmio",
        at: { base: registers.base, length: VIRTIO_MMIO_SIZE },
        widths: [1, 2, 4],
        device: new VirtioMmio({ ...common(device), irq: lines.isa(irq) }),
      };
    });
    this.virtioMmioCount = onMmio.length;

    // The machine.
    const { PORTS } = map;
    this.#table = [
      { name: "pic1", space: "port", at: PORTS.pic1, widths: [1], device: pic.ports[0] },
      { name: "pic2", space: "port", at: PORTS.pic2, widths: [1], device: pic.ports[1] },
      { name: "elcr", space: "port", at: PORTS.elcr, widths: [1], device: pic.elcr },
      { name: "pit", space: "port", at: PORTS.pit, widths: [1], device: pit },
      {
        name: "system control B",
        space: "port",
        at: PORTS.systemControlB,
        widths: [1],
        device: systemControlB,
      },
      {
        name: "system control A",
        space: "port",
        at: PORTS.systemControlA,
        widths: [1],
        device: systemControlA,
      },
      { name: "rtc", space: "port", at: PORTS.rtc, widths: [1], device: rtc },
      { name: "i8042 data", space: "port", at: PORTS.i8042Data, widths: [1], device: i8042.data },
      { name: "i8042 command", space: "port", at: PORTS.i8042Command, widths: [1], device: i8042.command },
      { name: "com1", space: "port", at: PORTS.com1, widths: [1], device: com1 },
      { name: "acpi pm", space: "port", at: PORTS.acpiPm, widths: [1, 2, 4], device: acpiPm },
      { name: "pci config", space: "port", at: PORTS.pciConfig, widths: [1, 2, 4], device: pciConfig },
      { name: "post", space: "port", at: PORTS.post, widths: [1], device: post },
      { name: "debug console", space: "port", at: PORTS.bochsDebug, widths: [1], device: bochsDebug },
      { name: "debug exit", space: "port", at: PORTS.debugExit, widths: [1, 2, 4], device: debugExit },
      { name: "ioapic", space: "mmio", at: map.IOAPIC, widths: [4], device: ioApic },
      { name: "pci ecam", space: "mmio", at: map.PCI_ECAM, widths: [1, 2, 4], device: ecam },
      ...virtioMmio,
    ];
    for (const { name, space, at, widths, device } of this.#table) {
      bus.add(space, at.base, at.length, device, { name, widths });
    }
    for (const { name, base, length } of map.ABSENT_PORTS) bus.addAbsent("port", base, length, name);
    for (const { name, base, length } of map.ABSENT_MMIO) bus.addAbsent("mmio", base, length, name);

    this.pic = pic;
    this.lines = lines;
    this.apicBus = apicBus;
    this.pci = pci;
    this.console = com1;
    this.acpiPm = acpiPm;
    this.post = post;
    this.processorPort = new PlatformProcessorPort(bus, this.apics, link, log);
    this.#leaveAsFirmware();
  }

  /** Names of the devices in the machine table. */
  get deviceNames(): readonly string[] {
    return this.#table.map(({ name }) => name);
  }

  /** RESET#: every device to its state after power-on, then as firmware leaves it. Time goes on. */
  reset(): void {
    for (const { device } of this.#table) device.reset();
    this.pci.reset();
    for (const { lapic, msrs } of this.apics) {
      lapic.reset();
      msrs.reset();
    }
    this.#leaveAsFirmware();
  }

  save(): DeviceState {
    return {
      devices: Object.fromEntries(this.#table.map(({ name, device }) => [name, device.save()])),
      pci: this.pci.save(),
      apics: this.apics.map(({ lapic, msrs }) => ({ lapic: lapic.save(), msrs: msrs.save() })),
      clock: this.clock.save(),
    };
  }

  /**
   * Restores what `save` gave on a machine with the same options. Throws, naming the field, if it does not
   * fit; the machine is then in an undefined state.
   */
  restore(state: DeviceState): void {
    const { devices, pci, apics, clock } = state as {
      devices: { [name: string]: DeviceState };
      pci: DeviceState;
      apics: { lapic: DeviceState; msrs: DeviceState }[];
      clock: DeviceState;
    };
    if (apics?.length !== this.apics.length)
      throw new Error("the saved state has another number of processors");
    // Time first: devices arm their timers by it. Functions that share a wire drive it as they are restored,
    // so the interrupt controllers come after them. Last the order of the armed timers.
    this.clock.restore(clock);
    this.pci.restore(pci);
    for (const { name, device } of this.#table) {
      if (!(name in devices)) throw new Error(`the saved state has no device "${name}"`);
      device.restore(devices[name]);
    }
    this.apics.forEach(({ lapic, msrs }, cpu) => {
      lapic.restore(apics[cpu].lapic);
      msrs.restore(apics[cpu].msrs);
    });
    this.clock.restore(clock);
  }

  /**
   * What a PC's firmware does before it boots an operating system, and no boot protocol does: the bootstrap
   * processor's local APIC in virtual wire mode (MultiProcessor Specification 1.4, 3.6.2.2), so that 8259
   * interrupts reach it; the 8259 pair initialized for real mode with everything masked; PCI level
   * interrupts; addresses for the BARs.
   */
  #leaveAsFirmware(): void {
    this.apics[0].lapic.setVirtualWireMode();
    const { PORTS } = map;
    const initialization = [
      [PORTS.pic1.base, [0x11, 0x08, 0x04, 0x01, 0xff]],
      [PORTS.pic2.base, [0x11, 0x70, 0x02, 0x01, 0xff]],
    ] as const;
    for (const [base, [icw1, ...words]] of initialization) {
      this.bus.writePort(base, 1, icw1);
      for (const word of words) this.bus.writePort(base + 1, 1, word);
    }
    const level = map.IRQ_PIRQ.reduce((lines, irq) => lines | (1 << irq), 1 << map.IRQ.sci);
    this.bus.writePort(PORTS.elcr.base, 1, level & 0xff);
    this.bus.writePort(PORTS.elcr.base + 1, 1, level >> 8);
    this.pci.assignAddresses({ io: map.PCI_IO, memory32: map.PCI_MMIO_32, memory64: map.PCI_MMIO_64 });
  }
}

/** Builds the machine. Throws if two of its ranges overlap. */
export function createPlatform(options: PlatformOptions): Platform {
  return new Platform(options);
}
