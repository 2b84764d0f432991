import { beforeEach, describe, expect, it } from "vitest";
import { Pic } from "../../src/devices/pic.ts";
import { TestLine } from "./rig.ts";

let intr: TestLine;
let pic: Pic;

const out = (port: 0x20 | 0x21 | 0xa0 | 0xa1, value: number) =>
  pic.ports[port >> 7].write(port & 1, 1, value);
const inp = (port: 0x20 | 0x21 | 0xa0 | 0xa1) => pic.ports[port >> 7].read(port & 1, 1);
const raise = (irq: number) => pic.line(irq).set(true);
const lower = (irq: number) => pic.line(irq).set(false);
const isr = (port: 0x20 | 0xa0) => {
  out(port, 0x0b);
  return inp(port);
};

/** As Linux's init_8259A does, with both controllers unmasked. */
function initialize(icw4Master = 0x01, icw4Slave = 0x01): void {
  out(0x20, 0x11);
  out(0x21, 0x30);
  out(0x21, 0x04);
  out(0x21, icw4Master);
  out(0xa0, 0x11);
  out(0xa1, 0x38);
  out(0xa1, 0x02);
  out(0xa1, icw4Slave);
  out(0x21, 0);
  out(0xa1, 0);
}

beforeEach(() => {
  intr = new TestLine();
  pic = new Pic(intr);
  initialize();
});

it("as Linux probes: the mask register reads back", () => {
  out(0xa1, 0xff);
  out(0x21, 0xfb);
  expect(inp(0x21)).toBe(0xfb);
});

describe("fully nested mode", () => {
  it("the vector is ICW2's base with the level in its low bits", () => {
    raise(4);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x34);
    expect(intr.level).toBe(false);
    expect(isr(0x20)).toBe(0x10);
  });

  it("a lower priority waits for the EOI, a higher one does not", () => {
    raise(4);
    pic.acknowledge();
    raise(6);
    expect(intr.level).toBe(false);
    raise(1);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x31);
    out(0x20, 0x20);
    expect(isr(0x20)).toBe(0x10);
    out(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x36);
  });

  it("the slave comes through IR2 with its own vector, above IR3 of the master", () => {
    raise(3);
    raise(8);
    expect(pic.acknowledge()).toBe(0x38);
    expect(isr(0x20)).toBe(0x04);
    expect(isr(0xa0)).toBe(0x01);
    expect(intr.level).toBe(false);
    out(0xa0, 0x60);
    out(0x20, 0x62);
    expect(pic.acknowledge()).toBe(0x33);
  });

  it("a second request of the slave comes after both EOIs", () => {
    raise(14);
    pic.acknowledge();
    raise(15);
    expect(intr.level).toBe(false);
    out(0xa0, 0x20);
    expect(intr.level).toBe(false);
    out(0x20, 0x20);
    expect(intr.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x3f);
  });
});

describe("edge and level", () => {
  it("an edge-triggered input that stays high interrupts once", () => {
    raise(4);
    pic.acknowledge();
    out(0x20, 0x20);
    expect(intr.level).toBe(false);
    lower(4);
    raise(4);
    expect(intr.level).toBe(true);
  });

  it("a level-triggered input (ELCR) that stays high interrupts again after the EOI", () => {
    pic.elcr.write(1, 1, 0x04);
    raise(10);
    expect(pic.acknowledge()).toBe(0x3a);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x3a);
    lower(10);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(intr.level).toBe(false);
  });

  it("ELCR bits of IRQ 0, 1, 2, 8 and 13 cannot be set", () => {
    pic.elcr.write(0, 1, 0xff);
    pic.elcr.write(1, 1, 0xff);
    expect([pic.elcr.read(0, 1), pic.elcr.read(1, 1)]).toEqual([0xf8, 0xde]);
  });

  it("an input that goes low before the first INTA gives the spurious IR7, without an ISR bit", () => {
    raise(4);
    lower(4);
    expect(intr.level).toBe(false);
    expect(pic.acknowledge()).toBe(0x37);
    expect(isr(0x20)).toBe(0);
  });

  it("a request of the slave that is withdrawn before the INTA cycle is the master's spurious IR7", () => {
    raise(12);
    expect(intr.level).toBe(true);
    lower(12);
    expect(pic.acknowledge()).toBe(0x37);
    expect([isr(0x20), isr(0xa0)]).toEqual([0, 0]);
  });
});

it("a masked request is remembered in IRR and comes when it is unmasked", () => {
  out(0x21, 0x10);
  raise(4);
  expect(intr.level).toBe(false);
  out(0x20, 0x0a);
  expect(inp(0x20)).toBe(0x10);
  out(0x21, 0);
  expect(pic.acknowledge()).toBe(0x34);
});

it("automatic EOI leaves no ISR bit, also for the requests of the slave that follow at once", () => {
  initialize(0x03, 0x03);
  raise(9);
  raise(11);
  expect(pic.acknowledge()).toBe(0x39);
  expect(isr(0x20)).toBe(0);
  expect(intr.level).toBe(true);
  expect(pic.acknowledge()).toBe(0x3b);
  expect(intr.level).toBe(false);
});

describe("rotation", () => {
  it("rotate on non-specific EOI gives the level served the lowest priority", () => {
    raise(3);
    pic.acknowledge();
    out(0x20, 0xa0);
    lower(3);
    raise(3);
    raise(5);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it("set priority names the lowest level", () => {
    out(0x20, 0xc0 | 4);
    raise(1);
    raise(5);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it("rotate in automatic EOI mode turns the order with each interrupt", () => {
    initialize(0x03);
    out(0x20, 0x80);
    raise(0);
    pic.acknowledge();
    lower(0);
    raise(0);
    raise(7);
    expect(pic.acknowledge()).toBe(0x37);
    out(0x20, 0x00);
  });
});

it("special mask mode lets lower levels in while a masked level is in service", () => {
  raise(1);
  pic.acknowledge();
  raise(5);
  expect(intr.level).toBe(false);
  out(0x21, 0x02);
  out(0x20, 0x68);
  expect(intr.level).toBe(true);
  expect(pic.acknowledge()).toBe(0x35);
  out(0x20, 0x20); // Non-specific: does not reach the masked level 1.
  expect(isr(0x20)).toBe(0x02);
  out(0x20, 0x61);
  expect(isr(0x20)).toBe(0);
});

it("special fully nested mode lets a higher request of the slave in while its IR2 is in service", () => {
  initialize(0x11);
  raise(12);
  pic.acknowledge();
  raise(8);
  expect(intr.level).toBe(true);
  expect(pic.acknowledge()).toBe(0x38);
});

it("the poll command takes the highest request without an INTA cycle", () => {
  raise(6);
  raise(3);
  out(0x20, 0x0c);
  expect(inp(0x20)).toBe(0x83);
  expect(isr(0x20)).toBe(0x08);
  out(0x20, 0x20);
  out(0x20, 0x0c);
  expect(inp(0x20)).toBe(0x86);
  out(0x20, 0x20);
  out(0x20, 0x0c);
  expect(inp(0x20) & 0x80).toBe(0);
});

it("ICW1 clears the mask and the requests: an edge-triggered input needs a new edge", () => {
  raise(4);
  out(0x21, 0xff);
  initialize();
  expect(inp(0x21)).toBe(0);
  expect(intr.level).toBe(false);
  lower(4);
  raise(4);
  expect(intr.level).toBe(true);
});
