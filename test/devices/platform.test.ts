/** The machine as a whole: drivers' ways through several devices, and saving and restoring all of them. */

import { beforeEach, describe, expect, it } from "vitest";
import { EVENT, type ProcessorSide } from "../../src/cpu/outside.ts";
import type { DeviceState } from "../../src/devices/device.ts";
import * as map from "../../src/machine/address-map.ts";
import { createPlatform, type Platform } from "../../src/machine/platform.ts";
import { MS, runFor, TestLog, US } from "./rig.ts";

interface Rig {
  readonly platform: Platform;
  readonly log: TestLog;
  readonly events: string[];
  readonly interrupted: Set<number>;
  readonly moved: (number | null)[];
}

function build(processors = 2): Rig {
  const events: string[] = [];
  const log = new TestLog();
  const interrupted = new Set<number>();
  const moved: (number | null)[] = [];
  const platform = createPlatform({
    processors,
    memorySize: 256 << 20,
    log,
    events: {
      onConsole: (byte) => events.push(`console ${byte}`),
      onDebugByte: (byte) => events.push(`debug ${byte}`),
      onPowerOff: () => events.push("off"),
      onReset: (source) => events.push(`reset by ${source}`),
      onDebugExit: (status) => events.push(`exit ${status}`),
    },
  });
  const side: ProcessorSide = {
    onInterruptLine: (cpu) => interrupted.add(cpu),
    timeOfTsc: (_cpu, low, high) => high * 2 ** 32 + low,
    onLocalApicMove: (cpu, base) => {
      if (cpu === 0) moved.push(base);
    },
  };
  platform.processorPort.connect(side);
  return { platform, log, events, interrupted, moved };
}

let rig: Rig;
beforeEach(() => {
  rig = build();
});

const outb = (port: number, value: number, { platform } = rig) =>
  platform.processorPort.writePort(port, 1, value);
const inb = (port: number, { platform } = rig) => platform.processorPort.readPort(port, 1);
const apicWrite = (offset: number, value: number, { platform } = rig) =>
  platform.processorPort.writeMmio(map.LOCAL_APIC.base + offset, 4, value);
const apicRead = (offset: number, { platform } = rig) =>
  platform.processorPort.readMmio(map.LOCAL_APIC.base + offset, 4);
const redirect = (pin: number, low: number, destination = 0, { platform } = rig) => {
  platform.processorPort.writeMmio(map.IOAPIC.base, 4, 0x11 + 2 * pin);
  platform.processorPort.writeMmio(map.IOAPIC.base + 0x10, 4, (destination << 24) >>> 0);
  platform.processorPort.writeMmio(map.IOAPIC.base, 4, 0x10 + 2 * pin);
  platform.processorPort.writeMmio(map.IOAPIC.base + 0x10, 4, low);
};
const pending = (cpu = 0) => rig.platform.processorPort.interruptPending(cpu);
const acknowledge = (cpu = 0) => rig.platform.processorPort.acknowledgeInterrupt(cpu);

/** Linux's init_8259A: vectors 30h and 38h, everything masked but what `unmasked` names. */
function initialize8259(unmasked: number): void {
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x30],
    [0x21, 0x04],
    [0x21, 0x01],
    [0xa0, 0x11],
    [0xa1, 0x38],
    [0xa1, 0x02],
    [0xa1, 0x01],
    [0x21, ~(unmasked | 4) & 0xff],
    [0xa1, (~unmasked >> 8) & 0xff],
  ]) {
    outb(port, value);
  }
}

function startPit(): void {
  outb(0x43, 0x34);
  outb(0x40, 11932 & 0xff);
  outb(0x40, 11932 >> 8);
}

describe("address map", () => {
  it("no range overlaps another, and RAM ends below the first of MMIO", () => {
    const ranges = rig.platform.bus.ranges();
    expect(ranges.length).toBeGreaterThan(30);
    expect(map.PCI_ECAM.base).toBeGreaterThanOrEqual(map.RAM_LIMIT);
    expect(map.PCI_ECAM.base + map.PCI_ECAM.length).toBeLessThanOrEqual(map.PCI_MMIO_32.base);
    expect(map.PCI_MMIO_32.base + map.PCI_MMIO_32.length).toBeLessThanOrEqual(map.IOAPIC.base);
    expect(map.ACPI_TABLES.base + map.ACPI_TABLES.length).toBe(map.HIGH_MEMORY);
  });

  it("ports that Linux probes in vain are absent by design, not unknown", () => {
    for (const port of [0x2f9, 0x3e9, 0x2e9, 0x87, 0x3f4, 0x1f7, 0x177, 0xed, 0x3d4]) {
      expect(inb(port)).toBe(0xff);
    }
    expect(rig.platform.processorPort.readMmio(map.HPET_ABSENT.base, 4)).toBe(0xffff_ffff);
    expect(rig.log.messages).toEqual([]);
    inb(0x1234);
    expect(rig.log.messages).toHaveLength(1);
  });
});

describe("the timer interrupt reaches the processor", () => {
  it("from the 8259 through LINT0 as ExtINT, as a kernel without any APIC driver has it", () => {
    initialize8259(0x01);
    startPit();
    expect(acknowledge()).toBe(0x30);
    outb(0x20, 0x20);
    rig.interrupted.clear();
    runFor(rig.platform.clock, 11 * MS);
    expect(rig.interrupted.has(0)).toBe(true);
    expect(rig.platform.processorPort.pendingEvents(0)).toBe(EVENT.INTR);
    expect(acknowledge()).toBe(0x30);
    expect(pending()).toBe(false);
    // The application processor's LINT0 is masked.
    expect(pending(1)).toBe(false);
  });

  it("from the 8259 directly while the local APIC is disabled, and again after it was enabled", () => {
    const apic = rig.platform.processorPort.lapic(0);
    expect(apic.writeMsr(0x1b, 0xfee0_0100, 0)).toBe(true);
    expect(apic.globallyEnabled).toBe(false);
    expect(rig.moved.at(-1)).toBeNull();
    initialize8259(0x01);
    startPit();
    expect(acknowledge()).toBe(0x30);
    outb(0x20, 0x20);
    expect(apic.writeMsr(0x1b, 0xfee0_0900, 0)).toBe(true);
    runFor(rig.platform.clock, 11 * MS);
    expect(pending()).toBe(false);
    apicWrite(0xf0, 0x1ff);
    apicWrite(0x350, 0x700);
    expect(acknowledge()).toBe(0x30);
  });

  it("through pin 2 of the I/O APIC, as Linux's check_timer has it", () => {
    initialize8259(0);
    redirect(2, 0x30, 1);
    apicWrite(0xf0, 0x1ff);
    rig.platform.processorPort.selectProcessor(1);
    apicWrite(0xf0, 0x1ff);
    startPit();
    let taken = 0;
    for (let i = 0; i < 100; i++) {
      runFor(rig.platform.clock, 10 * MS);
      if (!pending(1)) continue;
      expect(acknowledge(1)).toBe(0x30);
      apicWrite(0xb0, 0);
      taken++;
    }
    expect(taken).toBe(100);
    expect(pending(0)).toBe(false);
  });
});

it("COM1 transmits by interrupt: each burst ends with an empty IIR", () => {
  redirect(4, 0x34);
  outb(0x3fc, 0x0b);
  outb(0x3fa, 0x01);
  const text = [..."a line longer than one FIFO of the UART\n"].map((c) => c.charCodeAt(0));
  const queue = [...text];
  outb(0x3f9, 0x02);
  let interrupts = 0;
  while (pending()) {
    expect(acknowledge()).toBe(0x34);
    interrupts++;
    for (let iir = inb(0x3fa); (iir & 1) === 0; iir = inb(0x3fa)) {
      expect(iir & 0x0f).toBe(0x02);
      for (let i = 0; i < 16 && queue.length > 0; i++) outb(0x3f8, queue.shift()!);
      if (queue.length === 0) outb(0x3f9, 0);
    }
    apicWrite(0xb0, 0);
  }
  expect(rig.events).toEqual(text.map((byte) => `console ${byte}`));
  expect(interrupts).toBeLessThanOrEqual(2);
});

it("COM1 receives by interrupt what was typed", () => {
  redirect(4, 0x34);
  outb(0x3fa, 0x01);
  outb(0x3fc, 0x0b);
  outb(0x3f9, 0x01);
  rig.platform.console.receive([0x6c, 0x73, 0x0a]);
  const got: number[] = [];
  for (let i = 0; i < 100; i++) {
    runFor(rig.platform.clock, MS);
    if (!pending()) continue;
    acknowledge();
    while ((inb(0x3fd) & 1) !== 0) got.push(inb(0x3f8));
    apicWrite(0xb0, 0);
  }
  expect(got).toEqual([0x6c, 0x73, 0x0a]);
});

it("the SCI is a level on pin 9: the power button interrupts until its status is cleared", () => {
  redirect(map.GSI_SCI, 0x39 | 0x8000);
  rig.platform.processorPort.writePort(map.ACPI_PM1A_EVENT + 2, 2, 0x0100);
  rig.platform.acpiPm.pressPowerButton();
  expect(acknowledge()).toBe(0x39);
  apicWrite(0xb0, 0);
  expect(acknowledge()).toBe(0x39);
  rig.platform.processorPort.writePort(map.ACPI_PM1A_EVENT, 2, 0x0100);
  apicWrite(0xb0, 0);
  expect(pending()).toBe(false);
});

it("the application processor is started with INIT and SIPI", () => {
  const port = rig.platform.processorPort;
  apicWrite(0x310, 0x0100_0000);
  apicWrite(0x300, 0xc500);
  expect(port.pendingEvents(1)).toBe(EVENT.INIT);
  port.acknowledgeInit(1);
  apicWrite(0x300, 0x8500);
  apicWrite(0x300, 0x4609);
  expect(port.pendingEvents(1)).toBe(EVENT.SIPI);
  expect(port.acknowledgeStartup(1)).toBe(0x09);
  expect(port.pendingEvents(1)).toBe(0);
  expect(rig.interrupted.has(1)).toBe(true);
});

it("each processor sees its own local APIC at the same address, and can move it alone", () => {
  const port = rig.platform.processorPort;
  expect(apicRead(0x20)).toBe(0);
  port.selectProcessor(1);
  expect(apicRead(0x20)).toBe(0x0100_0000);
  port.lapic(1).writeMsr(0x1b, 0xd000_0800, 0);
  expect(port.readMmio(0xd000_0020, 4)).toBe(0x0100_0000);
  port.selectProcessor(0);
  expect(apicRead(0x20)).toBe(0);
  expect(port.readMmio(0xd000_0020, 4)).toBe(0xffff_ffff);
});

it("CR8 is the class of the task priority", () => {
  const apic = rig.platform.processorPort.lapic(0);
  apic.writeCr8(5);
  expect(apicRead(0x80)).toBe(0x50);
  apicWrite(0x80, 0x7f);
  expect(apic.readCr8()).toBe(7);
});

it("an access to a local APIC register that is not 32 bits wide is reported", () => {
  const port = rig.platform.processorPort;
  expect(port.readMmio(map.LOCAL_APIC.base + 0x20, 1)).toBe(0xff);
  port.writeMmio(map.LOCAL_APIC.base + 0x80, 2, 0x50);
  expect(apicRead(0x80)).toBe(0);
  expect(rig.log.messages).toHaveLength(2);
});

it("an observer sees port, MMIO and local APIC accesses", () => {
  const seen: string[] = [];
  rig.platform.bus.observer = (a) =>
    seen.push(`${a.write ? "w" : "r"} ${a.address.toString(16)} ${a.value.toString(16)} ${a.name}`);
  outb(0x80, 0x42);
  apicRead(0x30);
  rig.platform.processorPort.writeMmio(map.IOAPIC.base, 4, 1);
  expect(seen).toEqual(["w 80 42 post", "r fee00030 50014 lapic", "w fec00000 1 ioapic"]);
});

it("power-off, the ways to reset, and the debug ports come out as events", () => {
  const port = rig.platform.processorPort;
  port.writePort(map.ACPI_PM1A_CONTROL, 2, 0x2000 | (map.ACPI_S5_SLEEP_TYPE << 10));
  outb(0x64, 0xfe);
  outb(0x92, 0x03);
  outb(map.ACPI_RESET_PORT, map.ACPI_RESET_VALUE);
  outb(0xe9, 0x21);
  port.writePort(0xf4, 4, 3);
  expect(rig.events).toEqual([
    "off",
    "reset by i8042",
    "reset by port 92h",
    "reset by port CF9h",
    "debug 33",
    "exit 7",
  ]);
  expect(inb(0xe9)).toBe(0xe9);
});

it("interrupts are counted by line", () => {
  startPit();
  rig.platform.lines.raised.clear();
  runFor(rig.platform.clock, 1001 * MS);
  expect(rig.platform.lines.raised.get("IRQ 0")).toBe(100);
});

/** Leaves power-on state behind in every device that has any. */
function exercise({ platform }: Rig): void {
  const port = platform.processorPort;
  initialize8259(0x13);
  startPit();
  outb(0x61, 0x01);
  outb(0x43, 0xb6);
  outb(0x42, 0x77);
  outb(0x4d0, 0x20);
  outb(0x70, 0x0a);
  outb(0x71, 0x2f);
  outb(0x70, 0x0b);
  outb(0x71, 0x72);
  outb(0x64, 0x60);
  outb(0x60, 0x03);
  outb(0x64, 0xd3);
  outb(0x60, 0x5a);
  outb(0x3fa, 0xc1);
  outb(0x3fc, 0x0b);
  outb(0x3f9, 0x0f);
  platform.console.receive([1, 2, 3, 4, 5]);
  runFor(platform.clock, 3 * MS + 123 * US);
  port.writePort(map.ACPI_PM1A_EVENT + 2, 2, 0x0101);
  platform.acpiPm.pressPowerButton();
  port.writePort(0xcf8, 4, 0x8000_0000);
  port.writeMmio(map.PCI_ECAM.base + 0x3c, 1, 0x0b);
  outb(0xcf9, 0x02);
  outb(0x80, 0x99);
  outb(0x92, 0x00);
  redirect(4, 0x34);
  redirect(9, 0x8039, 1);
  for (const cpu of [0, 1]) {
    port.selectProcessor(cpu);
    apicWrite(0xf0, 0x1ff);
    apicWrite(0x80, 0x20 + cpu);
    apicWrite(0x3e0, 0xb);
    apicWrite(0x320, 0x200ec);
    apicWrite(0x380, 50_000);
    apicWrite(0x300, 0x40041 + cpu);
  }
  port.selectProcessor(0);
  port.lapic(1).writeMsr(0x1b, 0xfee0_0c00, 0);
}

/** Runs for a while as a guest that takes every interrupt, and writes down what it sees. */
function observe(target: Rig): string[] {
  const { platform } = target;
  const port = platform.processorPort;
  const seen: string[] = [];
  for (let i = 0; i < 200; i++) {
    runFor(platform.clock, 37 * US);
    if (port.interruptPending(0)) {
      const vector = port.acknowledgeInterrupt(0);
      seen.push(`${platform.clock.now()}: ${vector.toString(16)}`);
      apicWrite(0xb0, 0, target);
      outb(0x20, 0x20, target);
      outb(0xa0, 0x20, target);
      inb(0x3fa, target);
      inb(0x3f8, target);
      outb(0x70, 0x0c, target);
      inb(0x71, target);
    }
    seen.push(`${inb(0x40, target)} ${inb(0x61, target)} ${apicRead(0x390, target)} ${inb(0x3fd, target)}`);
    seen.push(`${port.readPort(map.ACPI_PM_TIMER, 4)} ${port.pendingEvents(1)} ${inb(0x64, target)}`);
  }
  return seen;
}

describe("save and restore", () => {
  const parts = (state: DeviceState): Record<string, DeviceState> => {
    const { devices, pci, apics } = state as Record<string, DeviceState>;
    return { ...(devices as Record<string, DeviceState>), pci, apics };
  };

  it("every device with state left its power-on state in this test", () => {
    const before = parts(build().platform.save());
    exercise(rig);
    const after = parts(rig.platform.save());
    const stateless = ["elcr", "i8042 command", "debug console", "debug exit", "pci ecam"];
    for (const name of Object.keys(after)) {
      if (stateless.includes(name)) expect(after[name], name).toBeNull();
      else expect(after[name], name).not.toEqual(before[name]);
    }
  });

  it("a saved state is a copy, and round-trips through a fresh machine to the same state", () => {
    exercise(rig);
    const saved = rig.platform.save();
    const kept = structuredClone(saved);
    observe(rig);
    expect(saved).toEqual(kept);
    const other = build();
    other.platform.restore(saved);
    expect(other.platform.save()).toEqual(kept);
    expect(other.platform.clock.now()).toBe((kept as { clock: { time: number } }).clock.time);
  });

  it("the restored machine goes on as the saved one does", () => {
    exercise(rig);
    const saved = structuredClone(rig.platform.save());
    const other = build();
    other.platform.restore(saved);
    const expected = observe(rig);
    expect(observe(other)).toEqual(expected);
    expect(expected.filter((line) => line.includes(": ")).length).toBeGreaterThan(20);
    expect(other.platform.save()).toEqual(rig.platform.save());
  });

  it("a state of another machine is refused, with the name of what does not fit", () => {
    const state = structuredClone(rig.platform.save()) as { devices: Record<string, unknown> };
    expect(() => build(3).platform.restore(state as DeviceState)).toThrow(/number of processors/);
    const pit = state.devices["pit"] as { counters: { mode: unknown }[] };
    pit.counters[1].mode = "3";
    expect(() => build().platform.restore(state as DeviceState)).toThrow(/counters\[1\]\.mode/);
    delete state.devices["pit"];
    expect(() => build().platform.restore(state as DeviceState)).toThrow(/no device "pit"/);
  });
});

it("reset brings every device back to how firmware leaves it", () => {
  const fresh = build();
  const { devices: before, apics: apicsBefore } = fresh.platform.save() as Record<string, DeviceState>;
  exercise(rig);
  outb(0x70, 0x0b);
  rig.platform.reset();
  const { devices: after, apics } = rig.platform.save() as Record<string, DeviceState>;
  expect(apics).toEqual(apicsBefore);
  // The battery keeps the clock's index, time and RAM; what was on the serial line is still on it.
  for (const name of Object.keys(before as object)) {
    if (name === "rtc" || name === "com1") continue;
    expect((after as Record<string, DeviceState>)[name], name).toEqual(
      (before as Record<string, DeviceState>)[name],
    );
  }
  expect(rig.platform.processorPort.interruptPending(0)).toBe(false);
  expect(rig.log.messages).toEqual([]);
});
