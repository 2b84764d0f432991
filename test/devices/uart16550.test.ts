import { beforeEach, describe, expect, it } from "vitest";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { EventClock, MS, runFor, S, TestLine } from "./rig.ts";

let clock: EventClock;
let irq: TestLine;
let sent: number[];
let uart: Uart16550;

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];
const out = (register: number, value: number) => uart.write(register, 1, value);
const inp = (register: number) => uart.read(register, 1);
/** 115200 baud, 8N1: a character takes 86.8 us. */
const CHARACTER = 86_806;

beforeEach(() => {
  clock = new EventClock();
  irq = new TestLine();
  sent = [];
  uart = new Uart16550({ name: "com1", clock, irq, onTransmit: (byte) => sent.push(byte) });
  out(LCR, 0x83);
  out(0, 1);
  out(1, 0);
  out(LCR, 0x03);
});

describe("as Linux's 8250 driver looks for the port", () => {
  it("IER has four bits", () => {
    out(IER, 0);
    expect(inp(IER)).toBe(0);
    out(IER, 0xff);
    expect(inp(IER)).toBe(0x0f);
  });

  it("in loopback RTS and OUT2 are seen as CTS and DCD", () => {
    out(MCR, 0x1a);
    expect(inp(MSR) & 0xf0).toBe(0x90);
    out(MCR, 0x1f);
    expect(inp(MSR) & 0xf0).toBe(0xf0);
  });

  it("IIR shows enabled FIFOs of 16 bytes, whatever FCR bit 5 says; EFR is not there", () => {
    out(LCR, 0xbf);
    out(IIR, 0);
    out(LCR, 0);
    out(IIR, 0x01);
    expect(inp(IIR) >> 6).toBe(3);
    out(LCR, 0x80);
    expect(inp(IIR)).not.toBe(0);
    out(IIR, 0x21);
    expect(inp(IIR) & 0xe0).toBe(0xc0);
    out(LCR, 0);
    out(IIR, 0);
    expect(inp(IIR) & 0xc0).toBe(0);
  });

  it("enabling the THRE interrupt raises it each time, as the driver's THRE test expects", () => {
    for (let i = 0; i < 2; i++) {
      out(IER, 0x02);
      expect(inp(IIR)).toBe(0x02);
      out(IER, 0);
    }
    out(IER, 0x02);
    out(IER, 0);
    expect(inp(IIR)).toBe(0x01);
    out(IER, 0x02);
    expect(inp(IIR)).toBe(0x02);
  });

  it("the scratch register and the divisor latch keep their values", () => {
    out(SCR, 0xa5);
    out(LCR, 0x80);
    out(0, 0x34);
    out(1, 0x12);
    expect([inp(0), inp(1), inp(SCR)]).toEqual([0x34, 0x12, 0xa5]);
    out(LCR, 0x03);
    expect(inp(LCR)).toBe(0x03);
  });
});

describe("transmitter", () => {
  it("takes a byte at any time: THRE and TEMT are set", () => {
    for (const byte of [0x68, 0x69]) {
      expect(inp(LSR) & 0x60).toBe(0x60);
      out(RBR, byte);
    }
    expect(sent).toEqual([0x68, 0x69]);
  });

  it("the THRE interrupt is cleared by reading it from IIR, and comes again after a write to THR", () => {
    out(IER, 0x02);
    expect(irq.level).toBe(true);
    expect(inp(IIR)).toBe(0x02);
    expect(irq.level).toBe(false);
    expect(inp(IIR)).toBe(0x01);
    out(RBR, 0x41);
    expect(irq.level).toBe(true);
  });

  it("a write to THR while the interrupt waits makes a new edge", () => {
    out(IER, 0x02);
    expect(irq.rises).toBe(1);
    out(RBR, 0x41);
    expect(irq.rises).toBe(2);
  });
});

describe("receiver", () => {
  it("characters arrive one character time apart", () => {
    out(MCR, 0x0b);
    out(IIR, 0x01);
    uart.receive([1, 2, 3]);
    runFor(clock, CHARACTER - 10);
    expect(inp(LSR) & 1).toBe(0);
    runFor(clock, 10);
    expect(inp(LSR) & 1).toBe(1);
    expect(inp(RBR)).toBe(1);
    expect(inp(LSR) & 1).toBe(0);
    runFor(clock, 2 * CHARACTER);
    expect([inp(RBR), inp(RBR)]).toEqual([2, 3]);
  });

  it("the data-available interrupt comes at the trigger level and falls below it", () => {
    out(MCR, 0x0b);
    out(IIR, 0x81); // 8 bytes
    out(IER, 0x01);
    uart.receive(Array.from({ length: 8 }, (_, i) => i));
    runFor(clock, 7 * CHARACTER + 100);
    expect(irq.level).toBe(false);
    runFor(clock, CHARACTER);
    expect(irq.level).toBe(true);
    expect(inp(IIR)).toBe(0xc4);
    inp(RBR);
    expect(inp(IIR)).toBe(0xc1);
  });

  it("the character timeout comes four character times after the last activity, and a read ends it", () => {
    out(MCR, 0x0b);
    out(IIR, 0xc1); // 14 bytes
    out(IER, 0x01);
    uart.receive([0x61, 0x62]);
    runFor(clock, (2 + 4) * CHARACTER - 100);
    expect(irq.level).toBe(false);
    runFor(clock, 200);
    expect(irq.level).toBe(true);
    expect(inp(IIR)).toBe(0xcc);
    expect(inp(RBR)).toBe(0x61);
    expect(inp(IIR)).toBe(0xc1);
    runFor(clock, 4 * CHARACTER + 100);
    expect(inp(IIR)).toBe(0xcc);
    expect(inp(RBR)).toBe(0x62);
    runFor(clock, S);
    expect(irq.level).toBe(false);
  });

  it("without FIFOs one byte waits in RBR and the rest on the line: nothing is lost", () => {
    out(IER, 0x01);
    const text = [...Buffer.from("echo typed ahead of the prompt, longer than any FIFO\n")];
    uart.receive(text);
    const got: number[] = [];
    while (got.length < text.length) {
      runFor(clock, MS);
      while ((inp(LSR) & 1) !== 0) got.push(inp(RBR));
      expect(inp(LSR) & 0x02).toBe(0);
    }
    expect(got).toEqual(text);
    expect(uart.receiveBacklog).toBe(0);
  });

  it("the line holds until the guest raises RTS or enables the receive interrupt", () => {
    uart.receive([0x78]);
    runFor(clock, S);
    expect(inp(LSR) & 1).toBe(0);
    out(IIR, 0x07);
    out(MCR, 0x03);
    runFor(clock, CHARACTER);
    expect(inp(RBR)).toBe(0x78);
  });

  it("FCR bit 1 and a change of mode empty the FIFO", () => {
    out(MCR, 0x03);
    for (const clear of [0x03, 0x00]) {
      out(IIR, 0x01);
      uart.receive([1, 2]);
      runFor(clock, MS);
      expect(inp(LSR) & 1).toBe(1);
      out(IIR, clear);
      expect(inp(LSR) & 1).toBe(0);
    }
  });

  it("a break shows as BI on top of the FIFO, with the line-status interrupt, until LSR is read", () => {
    out(MCR, 0x03);
    out(IIR, 0x01);
    out(IER, 0x05);
    uart.receiveBreak();
    runFor(clock, MS);
    expect(inp(IIR)).toBe(0xc6);
    expect(inp(LSR)).toBe(0x80 | 0x60 | 0x10 | 0x01);
    expect(inp(IIR)).toBe(0xc4);
    expect(inp(LSR)).toBe(0x61);
    expect(inp(RBR)).toBe(0);
  });
});

describe("loopback", () => {
  it("what is transmitted is received, and does not leave", () => {
    out(MCR, 0x1b);
    out(RBR, 0xae);
    expect(inp(LSR) & 1).toBe(1);
    expect(inp(RBR)).toBe(0xae);
    expect(sent).toEqual([]);
  });

  it("an overrun sets OE, keeps the FIFO, and overwrites RBR without one", () => {
    out(MCR, 0x10);
    out(RBR, 1);
    out(RBR, 2);
    expect(inp(LSR) & 0x02).toBe(0x02);
    expect(inp(LSR) & 0x02).toBe(0);
    expect(inp(RBR)).toBe(2);
    out(IIR, 0x01);
    for (let i = 0; i < 17; i++) out(RBR, i);
    expect(inp(LSR) & 0x02).toBe(0x02);
    for (let i = 0; i < 16; i++) expect(inp(RBR)).toBe(i);
    expect(inp(LSR) & 0x01).toBe(0);
  });
});

it("modem status: deltas are set by changes, raise the interrupt of lowest priority, and end with a read", () => {
  expect(inp(MSR)).toBe(0xb0);
  out(MCR, 0x10);
  expect(inp(MSR)).toBe(0x0b);
  out(IER, 0x08);
  out(MCR, 0x14);
  expect(inp(MSR) & 0x0f).toBe(0);
  out(MCR, 0x10);
  expect(inp(IIR)).toBe(0x00);
  expect(irq.level).toBe(true);
  expect(inp(MSR)).toBe(0x04);
  expect(irq.level).toBe(false);
  expect(inp(IIR)).toBe(0x01);
});
