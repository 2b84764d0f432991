import { beforeEach, describe, expect, it } from "vitest";
import { ApicBus, BROADCAST, type InterruptMessage } from "../../src/devices/apic-bus.ts";
import { IoApic } from "../../src/devices/ioapic.ts";
import { TestLog } from "./rig.ts";

let bus: ApicBus;
let log: TestLog;
let sent: InterruptMessage[];
let ioApic: IoApic;

const select = (index: number) => ioApic.write(0x00, 4, index);
const read = (index: number) => {
  select(index);
  return ioApic.read(0x10, 4);
};
const write = (index: number, value: number) => {
  select(index);
  ioApic.write(0x10, 4, value);
};
const [MASKED, LEVEL, ACTIVE_LOW, REMOTE_IRR, LOGICAL] = [0x10000, 0x8000, 0x2000, 0x4000, 0x800];

beforeEach(() => {
  bus = new ApicBus();
  log = new TestLog();
  sent = [];
  bus.attach({
    matches: () => true,
    processorPriority: 0,
    softwareEnabled: true,
    accept: (message) => sent.push(message),
  });
  ioApic = new IoApic({ id: 3, pins: 24, activeLowPins: 1 << 16, bus, log });
});

it("identifies itself: ID in bits 27:24, version 20H with 24 entries, all masked after reset", () => {
  expect(read(0)).toBe(0x0300_0000);
  expect(read(1)).toBe(0x0017_0020);
  for (let pin = 0; pin < 24; pin++) expect(read(0x10 + 2 * pin)).toBe(MASKED);
  write(0, 0xff00_0000);
  expect(read(0)).toBe(0x0f00_0000);
  write(1, 0);
  expect(read(1)).toBe(0x0017_0020);
});

it("delivery status and remote IRR are read-only, the reserved bits read 0", () => {
  write(0x10, 0xffff_ffff & ~LEVEL);
  expect(read(0x10)).toBe(0x0001_2fff);
  write(0x11, 0xffff_ffff);
  expect(read(0x11)).toBe(0xff00_0000);
});

describe("edge-triggered", () => {
  it("each rising edge sends one message with vector, mode and destination of the entry", () => {
    write(0x11 + 2 * 4, 0x0200_0000);
    write(0x10 + 2 * 4, 0x34);
    const line = ioApic.line(4);
    line.set(true);
    line.set(true);
    line.set(false);
    line.set(true);
    expect(sent).toHaveLength(2);
    expect(sent[0]).toEqual({
      vector: 0x34,
      deliveryMode: 0,
      levelTriggered: false,
      destination: 2,
      logical: false,
    });
  });

  it("an edge on a masked pin is ignored, not held pending", () => {
    const line = ioApic.line(1);
    line.set(true);
    write(0x12, 0x31);
    expect(sent).toEqual([]);
    line.set(false);
    line.set(true);
    expect(sent).toHaveLength(1);
  });

  it("physical FFH is the broadcast; a logical destination stays as it is", () => {
    write(0x13, 0xff00_0000);
    write(0x12, 0x31);
    ioApic.line(1).set(true);
    write(0x12, 0x31 | LOGICAL);
    ioApic.line(1).set(false);
    ioApic.line(1).set(true);
    expect(sent.map((m) => [m.destination, m.logical])).toEqual([
      [BROADCAST, false],
      [0xff, true],
    ]);
  });
});

describe("level-triggered", () => {
  const pin = 16;
  const entry = 0x10 + 2 * pin;
  const programmed = 0x51 | LEVEL | ACTIVE_LOW;

  it("sends once, sets remote IRR, and sends again after the EOI while the line is asserted", () => {
    write(entry, programmed);
    const line = ioApic.line(pin);
    line.set(true);
    expect(sent).toHaveLength(1);
    expect(sent[0].levelTriggered).toBe(true);
    expect(read(entry) & REMOTE_IRR).toBe(REMOTE_IRR);
    line.set(false);
    line.set(true);
    expect(sent).toHaveLength(1);
    bus.broadcastEoi(0x51);
    expect(sent).toHaveLength(2);
    line.set(false);
    bus.broadcastEoi(0x51);
    expect(sent).toHaveLength(2);
    expect(read(entry) & REMOTE_IRR).toBe(0);
  });

  it("an EOI for another vector does not end it", () => {
    write(entry, programmed);
    ioApic.line(pin).set(true);
    bus.broadcastEoi(0x52);
    expect(read(entry) & REMOTE_IRR).toBe(REMOTE_IRR);
  });

  it("the EOI register ends it as an EOI message does", () => {
    write(entry, programmed);
    ioApic.line(pin).set(true);
    ioApic.write(0x40, 4, 0x51);
    expect(sent).toHaveLength(2);
  });

  it("a level that is there when the pin is unmasked is sent", () => {
    ioApic.line(pin).set(true);
    write(entry, programmed | MASKED);
    expect(sent).toEqual([]);
    write(entry, programmed);
    expect(sent).toHaveLength(1);
  });

  it("making the entry edge-triggered and level-triggered again clears remote IRR", () => {
    write(entry, programmed);
    ioApic.line(pin).set(true);
    ioApic.line(pin).set(false);
    write(entry, (programmed & ~LEVEL) | MASKED);
    write(entry, programmed);
    expect(read(entry) & REMOTE_IRR).toBe(0);
  });

  it("NMI and ExtINT are sent as edge-triggered even so", () => {
    write(entry, programmed | 0x400);
    ioApic.line(pin).set(true);
    expect(sent[0]).toMatchObject({ deliveryMode: 4, levelTriggered: false });
  });
});

it("a polarity against the wiring is reported once the pin is unmasked", () => {
  write(0x10 + 2 * 16, 0x51 | LEVEL | MASKED);
  expect(log.messages).toEqual([]);
  write(0x10 + 2 * 16, 0x51 | LEVEL);
  expect(log.messages[0]).toMatch(/pin 16 is active low/);
  write(0x10 + 2 * 9, 0x51 | LEVEL | ACTIVE_LOW);
  expect(log.messages[1]).toMatch(/pin 9 is active high/);
});

it("registers beyond the table are reported and read 0", () => {
  expect(read(0x40)).toBe(0);
  write(0x05, 1);
  expect(log.messages).toHaveLength(2);
});
