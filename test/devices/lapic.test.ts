import { beforeEach, describe, expect, it } from "vitest";
import { ApicBus } from "../../src/devices/apic-bus.ts";
import { Lapic } from "../../src/devices/lapic.ts";
import { TickRate } from "../../src/devices/tick-rate.ts";
import { EventClock, runFor, runTo, TestLog } from "./rig.ts";

const REG = {
  ID: 0x20,
  VERSION: 0x30,
  TPR: 0x80,
  PPR: 0xa0,
  EOI: 0xb0,
  LDR: 0xd0,
  DFR: 0xe0,
  SVR: 0xf0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  TIMER: 0x320,
  LINT0: 0x350,
  LINT1: 0x360,
  ERROR: 0x370,
  INITIAL: 0x380,
  CURRENT: 0x390,
  DIVIDE: 0x3e0,
};
const MASKED = 0x10000;

let clock: EventClock;
let log: TestLog;
let bus: ApicBus;
let apics: Lapic[];
let eois: number[];
let changes: number;
/** The core's TSC runs at 2 GHz. */
const timeOfTsc = (low: number, high: number) => (high * 2 ** 32 + low) / 2;

beforeEach(() => {
  clock = new EventClock();
  log = new TestLog();
  bus = new ApicBus();
  eois = [];
  changes = 0;
  bus.onEoi((vector) => eois.push(vector));
  apics = [0, 1, 2, 3].map((apicId) => {
    const lapic = new Lapic({
      apicId,
      clock,
      timerRate: new TickRate(1_000_000_000),
      tscDeadline: true,
      bus,
      core: { changed: () => changes++, timeOfTsc, acknowledgeExternal: () => 0x20 },
      log,
    });
    bus.attach(lapic);
    return lapic;
  });
  for (const lapic of apics) lapic.write(REG.SVR, 4, 0x1ff);
});

const rd = (register: number, cpu = 0) => apics[cpu].read(register, 4);
const wr = (register: number, value: number, cpu = 0) => apics[cpu].write(register, 4, value);
const fixed = (vector: number, destination = 0, levelTriggered = false) =>
  bus.send({ vector, deliveryMode: 0, levelTriggered, destination, logical: false });
/** Sends an IPI from processor 0. */
const ipi = (low: number, destination = 0) => {
  wr(REG.ICR_HIGH, (destination << 24) >>> 0);
  wr(REG.ICR_LOW, low);
};
const whoPends = () => apics.flatMap((lapic, cpu) => (lapic.interruptPending ? [cpu] : []));
const hasIrr = (vector: number, cpu = 0) => (rd(REG.IRR + (vector >> 5) * 16, cpu) >>> (vector & 31)) & 1;
const hasIsr = (vector: number, cpu = 0) => (rd(REG.ISR + (vector >> 5) * 16, cpu) >>> (vector & 31)) & 1;

describe("after power-up", () => {
  it("the registers are as SDM 11.4.7.1 says", () => {
    const lapic = apics[1];
    lapic.reset();
    const values = [REG.ID, REG.TPR, REG.LDR, REG.DFR, REG.SVR, REG.ESR, REG.ICR_LOW, REG.TIMER, REG.LINT0];
    expect(values.map((register) => lapic.read(register, 4))).toEqual([
      0x0100_0000,
      0,
      0,
      0xffff_ffff,
      0xff,
      0,
      0,
      MASKED,
      MASKED,
    ]);
    expect(lapic.read(REG.VERSION, 4) & 0xff).toBe(0x14);
  });

  it("the 12 bytes after a register read 0 and take no writes", () => {
    wr(REG.TPR + 4, 0x50);
    expect([rd(REG.TPR), rd(REG.SVR + 8)]).toEqual([0, 0]);
  });
});

describe("acceptance and priority", () => {
  it("a request goes from IRR to ISR with the acknowledge, and ends with the EOI", () => {
    fixed(0x41);
    expect([hasIrr(0x41), hasIsr(0x41)]).toEqual([1, 0]);
    expect(apics[0].interruptPending).toBe(true);
    expect(apics[0].acknowledge()).toBe(0x41);
    expect([hasIrr(0x41), hasIsr(0x41)]).toEqual([0, 1]);
    expect(rd(REG.PPR)).toBe(0x40);
    wr(REG.EOI, 0);
    expect(hasIsr(0x41)).toBe(0);
    expect(rd(REG.PPR)).toBe(0);
  });

  it("only a higher class interrupts the one in service; of several the highest vector is first", () => {
    fixed(0x45);
    apics[0].acknowledge();
    fixed(0x4f);
    expect(apics[0].interruptPending).toBe(false);
    fixed(0x51);
    fixed(0xe0);
    expect(apics[0].acknowledge()).toBe(0xe0);
    wr(REG.EOI, 0);
    expect(apics[0].acknowledge()).toBe(0x51);
    wr(REG.EOI, 0);
    wr(REG.EOI, 0);
    expect(apics[0].acknowledge()).toBe(0x4f);
  });

  it("the task priority holds its class and those below back", () => {
    wr(REG.TPR, 0x50);
    fixed(0x5f);
    expect(apics[0].interruptPending).toBe(false);
    expect(rd(REG.PPR)).toBe(0x50);
    fixed(0x60);
    expect(apics[0].interruptPending).toBe(true);
    wr(REG.TPR, 0x6f);
    expect(apics[0].interruptPending).toBe(false);
    apics[0].taskPriority = 0x40;
    expect(apics[0].acknowledge()).toBe(0x60);
  });

  it("an acknowledge with nothing left gives the spurious vector and sets no ISR bit", () => {
    fixed(0x30);
    wr(REG.TPR, 0xf0);
    expect(apics[0].acknowledge()).toBe(0xff);
    expect(hasIrr(0x30)).toBe(1);
    for (let word = 0; word < 8; word++) expect(rd(REG.ISR + 16 * word)).toBe(0);
  });

  it("the EOI of a level-triggered interrupt is broadcast, of an edge-triggered one not", () => {
    fixed(0x51, 0, true);
    expect(rd(REG.TMR + 0x20)).toBe(1 << 17);
    apics[0].acknowledge();
    wr(REG.EOI, 0);
    fixed(0x51);
    apics[0].acknowledge();
    wr(REG.EOI, 0);
    expect(eois).toEqual([0x51]);
  });

  it("a vector below 16 is an error: received illegal vector", () => {
    fixed(15);
    expect(whoPends()).toEqual([]);
    expect(rd(REG.ESR)).toBe(0);
    wr(REG.ESR, 0);
    expect(rd(REG.ESR)).toBe(0x40);
    wr(REG.ESR, 0);
    expect(rd(REG.ESR)).toBe(0);
  });

  it("software-disabled, it masks its LVT and takes no fixed interrupts, but NMI, INIT and SIPI", () => {
    wr(REG.LINT0, 0x700);
    wr(REG.SVR, 0xff);
    expect(rd(REG.LINT0)).toBe(0x700 | MASKED);
    wr(REG.LINT0, 0x700);
    expect(rd(REG.LINT0)).toBe(0x700 | MASKED);
    fixed(0x41);
    expect(apics[0].interruptPending).toBe(false);
    bus.send({ vector: 0, deliveryMode: 4, levelTriggered: false, destination: 0, logical: false });
    expect(apics[0].signals.pending("nmi")).toBe(true);
    bus.send({ vector: 0x9a, deliveryMode: 6, levelTriggered: false, destination: 0, logical: false });
    expect(apics[0].signals.startupPending).toBe(true);
    expect(apics[0].signals.takeStartup()).toBe(0x9a);
    expect(apics[0].signals.startupPending).toBe(false);
  });
});

describe("LINT pins", () => {
  it("LINT0 as ExtINT follows its level and is acknowledged by the 8259", () => {
    wr(REG.LINT0, 0x700);
    apics[0].setLint(0, true);
    expect(apics[0].interruptPending).toBe(true);
    expect(apics[0].acknowledge()).toBe(0x20);
    apics[0].setLint(0, false);
    expect(apics[0].interruptPending).toBe(false);
  });

  it("ExtINT ignores the task priority and leaves ISR alone", () => {
    wr(REG.LINT0, 0x700);
    wr(REG.TPR, 0xff);
    apics[0].setLint(0, true);
    expect(apics[0].acknowledge()).toBe(0x20);
    expect(rd(REG.PPR)).toBe(0xff);
    wr(REG.LINT0, 0x700 | MASKED);
    expect(apics[0].interruptPending).toBe(false);
  });

  it("LINT0 as an edge-triggered fixed interrupt gives its vector once for each edge", () => {
    wr(REG.LINT0, 0x31);
    apics[0].setLint(0, true);
    expect(apics[0].acknowledge()).toBe(0x31);
    wr(REG.EOI, 0);
    expect(apics[0].interruptPending).toBe(false);
    apics[0].setLint(0, false);
    apics[0].setLint(0, true);
    expect(apics[0].interruptPending).toBe(true);
  });

  it("LINT0 as a level-triggered one sets remote IRR, and asks again after the EOI while it is high", () => {
    wr(REG.LINT0, 0x8031);
    apics[0].setLint(0, true);
    expect(rd(REG.LINT0)).toBe(0xc031);
    apics[0].acknowledge();
    wr(REG.EOI, 0);
    expect(apics[0].acknowledge()).toBe(0x31);
    apics[0].setLint(0, false);
    wr(REG.EOI, 0);
    expect(rd(REG.LINT0)).toBe(0x8031);
    expect(apics[0].interruptPending).toBe(false);
  });

  it("LINT1 as NMI latches an NMI for each rising edge", () => {
    wr(REG.LINT1, 0x400);
    apics[0].setLint(1, true);
    expect(apics[0].signals.pending("nmi")).toBe(true);
    apics[0].signals.take("nmi");
    apics[0].setLint(1, true);
    expect(apics[0].signals.pending("nmi")).toBe(false);
  });

  it("globally disabled, LINT0 is INTR itself", () => {
    apics[0].setMode(false, false);
    apics[0].setLint(0, true);
    expect(apics[0].interruptPending).toBe(true);
    expect(apics[0].acknowledge()).toBe(0x20);
    fixed(0x41);
    apics[0].setLint(0, false);
    expect(apics[0].interruptPending).toBe(false);
  });
});

describe("interprocessor interrupts", () => {
  it("reach the physical destination; FFH is everybody", () => {
    ipi(0x4041, 2);
    expect(whoPends()).toEqual([2]);
    ipi(0x4042, 0xff);
    expect(whoPends()).toEqual([0, 1, 2, 3]);
  });

  it.each([
    [1, [0]],
    [2, [0, 1, 2, 3]],
    [3, [1, 2, 3]],
  ])("shorthand %d", (shorthand, expected) => {
    ipi(0x4041 | (shorthand << 18), 7);
    expect(whoPends()).toEqual(expected);
  });

  it("the flat model matches any common bit of the logical ID", () => {
    apics.forEach((lapic, cpu) => {
      lapic.write(REG.LDR, 4, 1 << (24 + cpu));
    });
    ipi(0x4841, 0b1010);
    expect(whoPends()).toEqual([1, 3]);
  });

  it("the cluster model matches the cluster, and cluster FH is all of them", () => {
    [0x11, 0x12, 0x21, 0x22].forEach((id, cpu) => {
      wr(REG.DFR, 0x0fff_ffff, cpu);
      wr(REG.LDR, id << 24, cpu);
    });
    ipi(0x4841, 0x23);
    expect(whoPends()).toEqual([2, 3]);
    ipi(0x4842, 0xf1);
    expect(hasIrr(0x42, 0)).toBe(1);
    expect(hasIrr(0x42, 1)).toBe(0);
    expect(hasIrr(0x42, 2)).toBe(1);
  });

  it("lowest priority goes to one processor, the one with the lowest PPR", () => {
    [0x50, 0x30, 0x20, 0x40].forEach((tpr, cpu) => {
      wr(REG.TPR, tpr, cpu);
      wr(REG.LDR, 0x0100_0000, cpu);
    });
    ipi(0x4861 | 0x100, 1);
    expect(apics.map((_, cpu) => hasIrr(0x61, cpu))).toEqual([0, 0, 1, 0]);
  });

  it("NMI is latched at the destination", () => {
    ipi(0x4400, 1);
    expect(apics.map((lapic) => lapic.signals.pending("nmi"))).toEqual([false, true, false, false]);
  });

  it("INIT resets the destination's APIC but for its ID; the level de-assert does nothing", () => {
    wr(REG.LDR, 0x0200_0000, 1);
    wr(REG.TPR, 0x30, 1);
    ipi(0x8500, 1);
    expect(apics[1].signals.pending("init")).toBe(false);
    ipi(0xc500, 1);
    expect(apics[1].signals.pending("init")).toBe(true);
    expect([rd(REG.ID, 1), rd(REG.LDR, 1), rd(REG.TPR, 1), rd(REG.SVR, 1)]).toEqual([
      0x0100_0000, 0, 0, 0xff,
    ]);
    ipi(0x4608, 1);
    expect(apics[1].signals.takeStartup()).toBe(0x08);
  });

  it("an illegal vector is not sent: send illegal vector, with the error interrupt", () => {
    wr(REG.ERROR, 0xfe);
    ipi(0x4005, 1);
    expect(whoPends()).toEqual([0]);
    expect(apics[0].acknowledge()).toBe(0xfe);
    wr(REG.ESR, 0);
    expect(rd(REG.ESR)).toBe(0x20);
  });

  it("ICR reads back without the delivery status ever set", () => {
    ipi(0x4041, 3);
    expect([rd(REG.ICR_LOW), rd(REG.ICR_HIGH)]).toEqual([0x4041, 0x0300_0000]);
  });
});

describe("timer", () => {
  it("one-shot: counts down to 0 and interrupts once", () => {
    wr(REG.DIVIDE, 0xb);
    wr(REG.TIMER, 0xec);
    wr(REG.INITIAL, 1000);
    runFor(clock, 400);
    expect(rd(REG.CURRENT)).toBe(600);
    runFor(clock, 599);
    expect(apics[0].interruptPending).toBe(false);
    runFor(clock, 1);
    expect(apics[0].acknowledge()).toBe(0xec);
    wr(REG.EOI, 0);
    expect(rd(REG.CURRENT)).toBe(0);
    expect(rd(REG.INITIAL)).toBe(1000);
    runFor(clock, 5000);
    expect(apics[0].interruptPending).toBe(false);
  });

  it.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])("divide configuration %i divides by %i", (configuration, divisor) => {
    wr(REG.DIVIDE, configuration);
    wr(REG.TIMER, 0xec);
    wr(REG.INITIAL, 100);
    runFor(clock, 10 * divisor);
    expect(rd(REG.CURRENT)).toBe(90);
    runFor(clock, 90 * divisor - 1);
    expect(apics[0].interruptPending).toBe(false);
    runFor(clock, 1);
    expect(apics[0].interruptPending).toBe(true);
  });

  it("periodic: reloads the initial count and keeps its phase", () => {
    wr(REG.DIVIDE, 0xb);
    wr(REG.TIMER, 0x200ec);
    wr(REG.INITIAL, 1000);
    const at: number[] = [];
    for (let i = 0; i < 5; i++) {
      runTo(clock, clock.nextDeadline()!);
      at.push(clock.now());
      apics[0].acknowledge();
      wr(REG.EOI, 0);
    }
    expect(at).toEqual([1000, 2000, 3000, 4000, 5000]);
    runFor(clock, 250);
    expect(rd(REG.CURRENT)).toBe(750);
    wr(REG.INITIAL, 0);
    expect(clock.nextDeadline()).toBeNull();
  });

  it("as Linux calibrates: masked, it counts without events, and unmasked it expires on time", () => {
    wr(REG.DIVIDE, 0x3);
    wr(REG.TIMER, MASKED | 0xec);
    wr(REG.INITIAL, 0xffff_ffff);
    expect(clock.nextDeadline()).toBeNull();
    runFor(clock, 100_000_000);
    expect(0xffff_ffff - rd(REG.CURRENT)).toBe(6_250_000);
    wr(REG.INITIAL, 1000);
    runFor(clock, 800);
    wr(REG.TIMER, 0xec);
    runFor(clock, 15_199);
    expect(apics[0].interruptPending).toBe(false);
    runFor(clock, 1);
    expect(apics[0].interruptPending).toBe(true);
  });

  it("a count that ended while masked does not interrupt afterwards", () => {
    wr(REG.DIVIDE, 0xb);
    wr(REG.TIMER, MASKED | 0xec);
    wr(REG.INITIAL, 1000);
    runFor(clock, 2000);
    wr(REG.TIMER, 0xec);
    runFor(clock, 5000);
    expect(apics[0].interruptPending).toBe(false);
    expect(rd(REG.CURRENT)).toBe(0);
  });

  it("a new divide configuration changes the rate of the count under way", () => {
    wr(REG.DIVIDE, 0xb);
    wr(REG.TIMER, 0xec);
    wr(REG.INITIAL, 1000);
    runFor(clock, 500);
    wr(REG.DIVIDE, 0x0);
    expect(rd(REG.CURRENT)).toBe(500);
    runFor(clock, 999);
    expect(apics[0].interruptPending).toBe(false);
    runFor(clock, 1);
    expect(apics[0].interruptPending).toBe(true);
  });

  describe("TSC-deadline", () => {
    beforeEach(() => wr(REG.TIMER, 0x400ec));

    it("interrupts when the TSC reaches the deadline, which then reads 0", () => {
      apics[0].timer.setDeadline(5000, 0);
      expect(apics[0].timer.deadline).toEqual([5000, 0]);
      runFor(clock, 2499);
      expect(apics[0].interruptPending).toBe(false);
      runFor(clock, 1);
      expect(apics[0].interruptPending).toBe(true);
      expect(apics[0].timer.deadline).toEqual([0, 0]);
    });

    it("a deadline in the past interrupts at once, zero disarms", () => {
      runFor(clock, 10_000);
      apics[0].timer.setDeadline(100, 0);
      clock.runDue();
      expect(apics[0].interruptPending).toBe(true);
      apics[0].timer.setDeadline(0x7fff_ffff, 0);
      apics[0].timer.setDeadline(0, 0);
      expect(clock.nextDeadline()).toBeNull();
    });

    it("the initial count is ignored, and the deadline in the other modes", () => {
      wr(REG.INITIAL, 1000);
      expect([rd(REG.INITIAL), rd(REG.CURRENT)]).toEqual([0, 0]);
      apics[0].timer.setDeadline(5000, 0);
      wr(REG.TIMER, 0xec);
      expect(clock.nextDeadline()).toBeNull();
      apics[0].timer.setDeadline(5000, 0);
      expect(apics[0].timer.deadline).toEqual([0, 0]);
    });
  });
});

describe("errors", () => {
  it("a reserved register reads 0, is reported, and sets illegal register address", () => {
    expect(rd(0x400 - 0x10)).toBe(0);
    wr(0x2f0, 1);
    expect(log.messages).toHaveLength(2);
    wr(REG.ESR, 0);
    expect(rd(REG.ESR)).toBe(0x80);
  });
});

it("every change that may move INTR is told to the core", () => {
  for (const act of [
    () => fixed(0x41),
    () => apics[0].acknowledge(),
    () => wr(REG.EOI, 0),
    () => wr(REG.TPR, 0x20),
    () => apics[0].setLint(0, true),
    () => wr(REG.SVR, 0xff),
  ]) {
    changes = 0;
    act();
    expect(changes).toBeGreaterThan(0);
  }
});
