import { beforeEach, describe, expect, it } from "vitest";
import { ApicBus, BROADCAST } from "../../src/devices/apic-bus.ts";
import { Lapic } from "../../src/devices/lapic.ts";
import { LapicMsrs } from "../../src/devices/lapic-msr.ts";
import { TickRate } from "../../src/devices/tick-rate.ts";
import { EventClock, TestLog } from "./rig.ts";

const IA32_APIC_BASE = 0x1b;
const [DISABLED, XAPIC, X2APIC, INVALID] = [0xfee0_0100, 0xfee0_0900, 0xfee0_0d00, 0xfee0_0500];

let clock: EventClock;
let bus: ApicBus;
let cpus: { lapic: Lapic; msrs: LapicMsrs }[];
let moves: (number | null)[];

function build(
  features: { x2apic: boolean; tscDeadline: boolean },
  ids: readonly number[] = [0, 1, 0x12],
): void {
  clock = new EventClock();
  bus = new ApicBus();
  moves = [];
  cpus = ids.map((apicId, cpu) => {
    const lapic = new Lapic({
      apicId,
      clock,
      timerRate: new TickRate(1_000_000_000),
      tscDeadline: features.tscDeadline,
      bus,
      core: { changed: () => {}, timeOfTsc: (low) => low, acknowledgeExternal: () => 0 },
      log: new TestLog(),
    });
    bus.attach(lapic);
    const msrs = new LapicMsrs({
      lapic,
      base: 0xfee0_0000,
      bootstrap: cpu === 0,
      ...features,
      physicalAddressBits: 39,
      onMove: (base) => moves.push(base),
    });
    return { lapic, msrs };
  });
}

beforeEach(() => build({ x2apic: true, tscDeadline: true }));

const rd = (index: number, cpu = 0) => cpus[cpu].msrs.read(index);
const wr = (index: number, low: number, high = 0, cpu = 0) => cpus[cpu].msrs.write(index, low, high);

/** Brings processor 0 into one of the states. */
function enter(state: number): void {
  if (state === DISABLED) expect(wr(IA32_APIC_BASE, DISABLED)).toBe(true);
  if (state === X2APIC) expect(wr(IA32_APIC_BASE, X2APIC)).toBe(true);
}

describe("IA32_APIC_BASE", () => {
  it("after reset is FEE00000h, enabled, with BSP on the bootstrap processor", () => {
    expect(rd(IA32_APIC_BASE)).toEqual([0xfee0_0900, 0]);
    expect(rd(IA32_APIC_BASE, 1)).toEqual([0xfee0_0800, 0]);
  });

  it.each([
    ["disabled", DISABLED, DISABLED, true],
    ["disabled", DISABLED, XAPIC, true],
    ["disabled", DISABLED, X2APIC, false],
    ["xAPIC", XAPIC, DISABLED, true],
    ["xAPIC", XAPIC, XAPIC, true],
    ["xAPIC", XAPIC, X2APIC, true],
    ["x2APIC", X2APIC, DISABLED, true],
    ["x2APIC", X2APIC, XAPIC, false],
    ["x2APIC", X2APIC, X2APIC, true],
    ["disabled", DISABLED, INVALID, false],
    ["xAPIC", XAPIC, INVALID, false],
    ["x2APIC", X2APIC, INVALID, false],
  ])("from %s (%i), writing %i is legal: %s", (_name, from, to, legal) => {
    enter(from);
    const before = rd(IA32_APIC_BASE);
    expect(wr(IA32_APIC_BASE, to)).toBe(legal);
    expect(rd(IA32_APIC_BASE)).toEqual(legal ? [to, 0] : before);
    expect(cpus[0].lapic.enabled).toBe(((legal ? to : from) & 0x800) !== 0);
    expect(cpus[0].lapic.x2apic).toBe(((legal ? to : from) & 0x400) !== 0);
  });

  it("reserved bits and addresses above MAXPHYADDR raise #GP", () => {
    expect(wr(IA32_APIC_BASE, 0xfee0_0901)).toBe(false);
    expect(wr(IA32_APIC_BASE, 0xfee0_0b00)).toBe(false);
    expect(wr(IA32_APIC_BASE, 0xfee0_0900, 0x80)).toBe(false);
    expect(wr(IA32_APIC_BASE, 0xfee0_0900, 0x7f)).toBe(true);
    build({ x2apic: false, tscDeadline: true });
    expect(wr(IA32_APIC_BASE, X2APIC)).toBe(false);
  });

  it("moves the page, and tells so; there is none in x2APIC mode or while disabled", () => {
    wr(IA32_APIC_BASE, 0xd000_0900, 1);
    expect(cpus[0].msrs.pageBase).toBe(0x1_d000_0000);
    wr(IA32_APIC_BASE, X2APIC);
    wr(IA32_APIC_BASE, DISABLED);
    wr(IA32_APIC_BASE, XAPIC);
    expect(moves).toEqual([0x1_d000_0000, null, null, 0xfee0_0000]);
  });

  it("EN can be cleared and set again: the APIC is as after power-up", () => {
    const { lapic } = cpus[0];
    lapic.writeRegister(0xf0, 0x1ff);
    lapic.writeRegister(0x80, 0x40);
    wr(IA32_APIC_BASE, DISABLED);
    wr(IA32_APIC_BASE, XAPIC);
    expect([lapic.readRegister(0xf0), lapic.readRegister(0x80)]).toEqual([0xff, 0]);
    expect(lapic.readRegister(0x350)).toBe(0x10000);
    lapic.writeRegister(0xf0, 0x1ff);
    bus.send({ vector: 0x41, deliveryMode: 0, levelTriggered: false, destination: 0, logical: false });
    expect(lapic.interruptPending).toBe(true);
  });
});

describe("x2APIC registers", () => {
  beforeEach(() => {
    for (const cpu of [0, 1, 2]) wr(IA32_APIC_BASE, cpu === 0 ? X2APIC : X2APIC & ~0x100, 0, cpu);
    for (const cpu of [0, 1, 2]) wr(0x80f, 0x1ff, 0, cpu);
  });
  const whoPends = () => cpus.flatMap(({ lapic }, cpu) => (lapic.interruptPending ? [cpu] : []));

  it("do not exist outside x2APIC mode", () => {
    build({ x2apic: true, tscDeadline: true });
    expect(rd(0x802)).toBeNull();
    expect(wr(0x808, 0)).toBe(false);
  });

  it("the ID is 32 bits wide and LDR is made of it", () => {
    expect(rd(0x802, 2)).toEqual([0x12, 0]);
    expect(rd(0x80d, 2)).toEqual([0x0001_0004, 0]);
    expect(rd(0x80d, 1)).toEqual([0x0000_0002, 0]);
  });

  it.each([0x809, 0x80b, 0x80c, 0x80e, 0x831, 0x83f, 0x800, 0x82f, 0x840, 0x8ff])(
    "RDMSR of %i raises #GP",
    (index) => {
      expect(rd(index)).toBeNull();
    },
  );

  it.each([0x802, 0x803, 0x80a, 0x80d, 0x80e, 0x810, 0x820, 0x831, 0x839, 0x840])(
    "WRMSR of %i raises #GP",
    (index) => {
      expect(wr(index, 0)).toBe(false);
    },
  );

  it.each([
    [0x808, 0x100, 0],
    [0x80b, 1, 0],
    [0x80f, 0x400, 0],
    [0x828, 1, 0],
    [0x830, 0x1000, 0],
    [0x832, 0x100, 0],
    [0x837, 0x400, 0],
    [0x83e, 0x4, 0],
    [0x83f, 0x100, 0],
    [0x808, 0, 1],
  ])("reserved bits raise #GP: MSR %i, %i, %i", (index, low, high) => {
    expect(wr(index, low, high)).toBe(false);
  });

  it("ICR is one 64-bit register: destination and command in one write", () => {
    expect(wr(0x830, 0x4041, 0x12)).toBe(true);
    expect(rd(0x830)).toEqual([0x4041, 0x12]);
    expect(whoPends()).toEqual([2]);
    wr(0x830, 0x4042, BROADCAST);
    expect(whoPends()).toEqual([0, 1, 2]);
  });

  it("a logical destination names a cluster and processors in it", () => {
    wr(0x830, 0x4841, 0x0001_0004);
    wr(0x830, 0x4842, 0x0000_0002);
    expect(whoPends()).toEqual([1, 2]);
  });

  it("SELF IPI", () => {
    expect(wr(0x83f, 0x77)).toBe(true);
    expect(whoPends()).toEqual([0]);
    expect(cpus[0].lapic.acknowledge()).toBe(0x77);
    expect(rd(0x813)).toEqual([1 << 23, 0]);
    expect(wr(0x80b, 0)).toBe(true);
    expect(rd(0x813)).toEqual([0, 0]);
  });

  it("the LVT, the timer and the task priority are those of the xAPIC", () => {
    wr(0x808, 0x20);
    wr(0x83e, 0xb);
    wr(0x832, 0x200ec);
    wr(0x838, 500);
    expect([rd(0x808), rd(0x83e), rd(0x832), rd(0x838), rd(0x839)]).toEqual([
      [0x20, 0],
      [0xb, 0],
      [0x200ec, 0],
      [500, 0],
      [500, 0],
    ]);
    expect(cpus[0].lapic.taskPriority).toBe(0x20);
  });

  it("an 8-bit physical destination of an I/O APIC reaches an x2APIC by its ID, FFh reaches all", () => {
    bus.sendMsi(0xfee0_1000, 0x0051);
    expect(whoPends()).toEqual([1]);
    bus.sendMsi(0xfeef_f000, 0x0052);
    expect(whoPends()).toEqual([0, 1, 2]);
  });

  it("leaving x2APIC mode for disabled and coming back gives an xAPIC after power-up", () => {
    wr(0x808, 0x20);
    wr(IA32_APIC_BASE, DISABLED);
    wr(IA32_APIC_BASE, XAPIC);
    expect(cpus[0].lapic.readRegister(0x20)).toBe(0);
    expect(cpus[0].lapic.taskPriority).toBe(0);
    expect(rd(0x808)).toBeNull();
  });
});

describe("IA32_TSC_DEADLINE", () => {
  it("is kept in TSC-deadline mode only, and raises #GP where CPUID does not show it", () => {
    expect(wr(0x6e0, 1000)).toBe(true);
    expect(rd(0x6e0)).toEqual([0, 0]);
    cpus[0].lapic.writeRegister(0xf0, 0x1ff);
    cpus[0].lapic.writeRegister(0x320, 0x400ec);
    expect(wr(0x6e0, 1000, 2)).toBe(true);
    expect(rd(0x6e0)).toEqual([1000, 2]);
    build({ x2apic: true, tscDeadline: false });
    expect(rd(0x6e0)).toBeNull();
    expect(wr(0x6e0, 1000)).toBe(false);
    cpus[0].lapic.writeRegister(0xf0, 0x1ff);
    cpus[0].lapic.writeRegister(0x320, 0x400ec);
    expect(cpus[0].lapic.readRegister(0x320)).toBe(0xec);
  });
});

describe("MSI", () => {
  it("address bits 19:12 are the destination, 3 and 2 ask for logical; data has vector and mode", () => {
    for (const { lapic } of cpus) lapic.writeRegister(0xf0, 0x1ff);
    cpus[2].lapic.writeRegister(0xd0, 0x0400_0000);
    expect(bus.sendMsi(0xfee0_400c, 0x0061)).toBe(true);
    expect(cpus[2].lapic.acknowledge()).toBe(0x61);
    bus.sendMsi(0xfee0_1000, 0x0400);
    expect(cpus[1].lapic.signals.pending("nmi")).toBe(true);
    expect(bus.sendMsi(0xfec0_0000, 0x61)).toBe(false);
  });
});
