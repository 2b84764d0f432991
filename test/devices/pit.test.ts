import { beforeEach, describe, expect, it } from "vitest";
import { Pit, SystemControlB } from "../../src/devices/pit.ts";
import { TickRate } from "../../src/devices/tick-rate.ts";
import { PIT_HZ } from "../../src/machine/address-map.ts";
import { EventClock, MS, runFor, runTo, S, TestLine } from "./rig.ts";

const rate = new TickRate(PIT_HZ);
let clock: EventClock;
let irq: TestLine;
let pit: Pit;
let portB: SystemControlB;

beforeEach(() => {
  clock = new EventClock();
  irq = new TestLine();
  pit = new Pit({ clock, rate, irq });
  portB = new SystemControlB({ clock, rate, timer2: pit });
});

const control = (value: number) => pit.write(3, 1, value);
/** Control word: counter, both bytes, mode. */
const program = (counter: number, mode: number, count: number, bcd = 0) => {
  control((counter << 6) | 0x30 | (mode << 1) | bcd);
  pit.write(counter, 1, count & 0xff);
  pit.write(counter, 1, count >> 8);
};
const latch = (counter: number) => {
  control(counter << 6);
  return pit.read(counter, 1) | (pit.read(counter, 1) << 8);
};
const statusOf = (counter: number) => {
  control(0xe0 | (2 << counter));
  return pit.read(counter, 1);
};
/** Goes to the CLK pulse number `tick` after now. */
const ticks = (n: number) => runTo(clock, rate.timeOf(rate.ticksAt(clock.now()) + n));

describe("mode 0, interrupt on terminal count", () => {
  it("OUT is low after the control word and goes high N + 1 CLK pulses after the count was written", () => {
    program(0, 0, 1000);
    expect(irq.level).toBe(false);
    ticks(1000);
    expect(irq.level).toBe(false);
    ticks(1);
    expect(irq.level).toBe(true);
    runFor(clock, S);
    expect(irq.rises).toBe(1);
  });

  it("writing the first byte of a new count disables counting and sets OUT low", () => {
    program(0, 0, 10);
    ticks(20);
    expect(irq.level).toBe(true);
    pit.write(0, 1, 0x34);
    expect(irq.level).toBe(false);
    runFor(clock, S);
    expect(irq.rises).toBe(1);
    pit.write(0, 1, 0);
    ticks(0x35);
    expect(irq.rises).toBe(2);
  });

  it("after the terminal count it goes on from FFFFH", () => {
    program(0, 0, 5);
    ticks(1 + 5 + 3);
    expect(latch(0)).toBe(0xfffd);
  });

  it("GATE low holds the count of counter 2, and GATE high lets it go on", () => {
    portB.write(0, 1, 1);
    program(2, 0, 500);
    ticks(101);
    portB.write(0, 1, 0);
    runFor(clock, S);
    expect(latch(2)).toBe(400);
    expect(portB.read() & 0x20).toBe(0);
    portB.write(0, 1, 1);
    ticks(400);
    expect(portB.read() & 0x20).toBe(0x20);
  });
});

describe("mode 2, rate generator", () => {
  it("raises OUT every N CLK pulses: 100 interrupts a second at count 11932", () => {
    program(0, 2, 11_932);
    irq.rises = 0;
    runFor(clock, 10 * S);
    expect(irq.rises).toBe(Math.floor((10 * PIT_HZ - 1) / 11_932));
  });

  it("count 0 divides by 65536", () => {
    program(0, 2, 0);
    irq.rises = 0;
    runFor(clock, S);
    expect(irq.rises).toBe(18);
  });

  it("counts N to 1; OUT is low for the pulse in which it is 1", () => {
    portB.write(0, 1, 1);
    program(2, 2, 4);
    ticks(1);
    const seen = [];
    for (let i = 0; i < 9; i++) {
      seen.push(`${latch(2)}${portB.read() & 0x20 ? "H" : "L"}`);
      ticks(1);
    }
    expect(seen).toEqual(["4H", "3H", "2H", "1L", "4H", "3H", "2H", "1L", "4H"]);
  });

  it("a count written while counting is loaded at the end of the cycle", () => {
    program(0, 2, 1000);
    ticks(1 + 100);
    irq.rises = 0;
    pit.write(0, 1, 50);
    pit.write(0, 1, 0);
    expect(statusOf(0) & 0x40).toBe(0x40);
    ticks(899);
    expect(irq.rises).toBe(0);
    expect(latch(0)).toBe(1);
    ticks(1);
    expect(irq.rises).toBe(1);
    expect(statusOf(0) & 0x40).toBe(0);
    ticks(50);
    expect(irq.rises).toBe(2);
  });
});

it("mode 3, square wave: OUT is high for (N + 1) / 2 and low for (N - 1) / 2 CLK pulses if N is odd", () => {
  portB.write(0, 1, 1);
  program(2, 3, 7);
  ticks(1);
  let wave = "";
  const counts = [];
  for (let i = 0; i < 14; i++) {
    wave += portB.read() & 0x20 ? "H" : "L";
    counts.push(latch(2));
    ticks(1);
  }
  expect(wave).toBe("HHHHLLLHHHHLLL");
  expect(counts.slice(0, 7)).toEqual([6, 4, 2, 0, 6, 4, 2]);
});

it("mode 4, software triggered strobe: each count written gives one interrupt", () => {
  control(0x38);
  for (let i = 1; i <= 3; i++) {
    pit.write(0, 1, 0xe8);
    pit.write(0, 1, 3);
    expect(irq.level).toBe(true);
    runFor(clock, 5 * MS);
    expect(irq.rises).toBe(i + 1);
  }
});

it.each([1, 5])("mode %d is started by the rising edge of GATE, and again by the next", (mode) => {
  program(2, mode, 100);
  runFor(clock, MS);
  expect(portB.read() & 0x20).toBe(0x20);
  for (let i = 0; i < 2; i++) {
    portB.write(0, 1, 0);
    portB.write(0, 1, 1);
    ticks(50);
    expect(portB.read() & 0x20).toBe(mode === 1 ? 0 : 0x20);
    ticks(51);
    expect(portB.read() & 0x20).toBe(mode === 1 ? 0x20 : 0);
    ticks(1);
    expect(portB.read() & 0x20).toBe(0x20);
  }
});

describe("reading", () => {
  it("a latched count holds until it is read, and later latch commands are ignored meanwhile", () => {
    program(0, 2, 50_000);
    ticks(1 + 1000);
    control(0x00);
    ticks(500);
    control(0x00);
    expect(pit.read(0, 1) | (pit.read(0, 1) << 8)).toBe(49_000);
    expect(latch(0)).toBe(48_500);
  });

  it("the read-back command latches status and count of several counters; status is read first", () => {
    program(0, 2, 1000);
    program(1, 2, 18);
    ticks(1);
    control(0xc0 | (1 << 1) | (1 << 2));
    ticks(7);
    expect(pit.read(0, 1)).toBe(0x80 | 0x30 | (2 << 1));
    expect(pit.read(0, 1) | (pit.read(0, 1) << 8)).toBe(1000);
    expect(pit.read(1, 1)).toBe(0x80 | 0x30 | (2 << 1));
    expect(pit.read(1, 1)).toBe(18);
  });

  it("NULL COUNT is 1 from the control word until the count is loaded", () => {
    control(0x34);
    expect(statusOf(0) & 0x40).toBe(0x40);
    pit.write(0, 1, 100);
    pit.write(0, 1, 0);
    expect(statusOf(0) & 0x40).toBe(0x40);
    ticks(1);
    expect(statusOf(0) & 0x40).toBe(0);
  });

  it("access mode 1 reads and writes the least significant byte alone, mode 2 the most significant", () => {
    control(0x14);
    pit.write(0, 1, 0x80);
    ticks(1 + 16);
    expect(pit.read(0, 1)).toBe(0x70);
    expect(pit.read(0, 1)).toBe(0x70);
    control(0x24);
    pit.write(0, 1, 0x12);
    ticks(1 + 0x100);
    expect(pit.read(0, 1)).toBe(0x11);
  });

  it("counts four decades in BCD mode", () => {
    program(0, 2, 0x1000, 1);
    ticks(1 + 1);
    expect(latch(0)).toBe(0x0999);
    program(0, 0, 0, 1);
    ticks(1 + 1);
    expect(latch(0)).toBe(0x9999);
  });
});

it("as Linux calibrates: counter 2 in mode 0 ends 50 ms after its gate opens", () => {
  portB.write(0, 1, (portB.read() & ~2) | 1);
  const start = clock.now();
  program(2, 0, Math.floor(PIT_HZ / 20));
  while ((portB.read() & 0x20) === 0) runFor(clock, 1000);
  expect((clock.now() - start) / MS).toBeCloseTo(50, 2);
});

it("port 61h: the refresh bit toggles every 15 us, and bits 3:0 read back", () => {
  portB.write(0, 1, 0xff);
  expect(portB.read() & 0xcf).toBe(0x0f);
  let toggles = 0;
  let before = portB.read() & 0x10;
  for (let i = 0; i < 1000; i++) {
    runFor(clock, 1000);
    const now = portB.read() & 0x10;
    if (now !== before) toggles++;
    before = now;
  }
  expect(toggles).toBeGreaterThanOrEqual(66);
  expect(toggles).toBeLessThanOrEqual(67);
});
