import { beforeEach, describe, expect, it } from "vitest";
import { AcpiPm } from "../../src/devices/acpi-pm.ts";
import { TickRate } from "../../src/devices/tick-rate.ts";
import { PM_TIMER_HZ } from "../../src/machine/address-map.ts";
import { EventClock, MS, runFor, S, TestLine, TestLog } from "./rig.ts";

let clock: EventClock;
let sci: TestLine;
let log: TestLog;
let off: number;
let pm: AcpiPm;

function build(timerBits: 24 | 32, s5SleepType = 5): void {
  clock = new EventClock();
  sci = new TestLine();
  log = new TestLog();
  off = 0;
  pm = new AcpiPm({
    clock,
    rate: new TickRate(PM_TIMER_HZ),
    timerBits,
    sci,
    s5SleepType,
    onPowerOff: () => off++,
    log,
  });
}

beforeEach(() => build(24));

describe("power management timer", () => {
  it("counts at 3.579545 MHz", () => {
    const before = pm.read(8, 4);
    runFor(clock, S);
    expect(pm.read(8, 4) - before).toBe(3_579_545);
  });

  it("wraps at 24 bits, or at 32 with TMR_VAL_EXT", () => {
    runFor(clock, 5 * S);
    expect(pm.read(8, 4)).toBe((5 * 3_579_545) % 2 ** 24);
    build(32);
    runFor(clock, 5 * S);
    expect(pm.read(8, 4)).toBe(5 * 3_579_545);
  });

  it("TMR_STS is set when the most significant bit changes, and with TMR_EN the SCI is raised", () => {
    pm.write(2, 2, 0x0001);
    const half = (2 ** 23 / PM_TIMER_HZ) * S;
    runFor(clock, Math.floor(half) - 1000);
    expect(sci.level).toBe(false);
    runFor(clock, 2000);
    expect(sci.level).toBe(true);
    expect(pm.read(0, 2)).toBe(0x0001);
    pm.write(0, 2, 0x0001);
    expect(sci.level).toBe(false);
    runFor(clock, 2 * S + 400 * MS);
    expect(sci.rises).toBe(2);
  });

  it("is read-only and has no events while TMR_EN is 0", () => {
    pm.write(8, 4, 0xffff_ffff);
    expect(pm.read(8, 4)).toBe(0);
    expect(clock.nextDeadline()).toBeNull();
  });
});

describe("PM1 registers", () => {
  it("SCI_EN is set from the start and cannot be cleared: there is no SMI command port", () => {
    expect(pm.read(4, 2) & 1).toBe(1);
    pm.write(4, 2, 0);
    expect(pm.read(4, 2) & 1).toBe(1);
  });

  it("the power button raises a level SCI if PWRBTN_EN is set, until its status bit is written as 1", () => {
    pm.pressPowerButton();
    expect(pm.read(0, 2)).toBe(0x0100);
    expect(sci.level).toBe(false);
    pm.write(2, 2, 0x0120);
    expect(sci.level).toBe(true);
    pm.write(0, 2, 0x0020);
    expect(sci.level).toBe(true);
    pm.write(0, 2, 0x0100);
    expect(sci.level).toBe(false);
    expect(pm.read(0, 4)).toBe(0x0120_0000);
  });

  it("are reached by bytes and by a doubleword too", () => {
    pm.write(3, 1, 0x01);
    expect(pm.read(2, 2)).toBe(0x0100);
    pm.pressPowerButton();
    expect(pm.read(1, 1)).toBe(0x01);
    pm.write(0, 4, 0x0020_0100);
    expect(pm.read(0, 4)).toBe(0x0020_0000);
  });
});

describe("sleep", () => {
  it("SLP_EN with the type of S5 powers off; SLP_EN reads as 0", () => {
    pm.write(4, 2, 5 << 10);
    expect(off).toBe(0);
    pm.write(4, 2, 0x2000 | (5 << 10));
    expect(off).toBe(1);
    expect(pm.read(4, 2)).toBe((5 << 10) | 1);
  });

  it("any other type is reported and does nothing", () => {
    pm.write(4, 2, 0x2000 | (1 << 10));
    expect(off).toBe(0);
    expect(log.messages[0]).toMatch(/sleep type 1/);
  });
});
