import { beforeEach, describe, expect, it } from "vitest";
import type { Device } from "../../src/devices/device.ts";
import { Bus, type BusAccess, type BusSize } from "../../src/machine/bus.ts";
import { TestLog } from "../devices/rig.ts";

/** A device that answers with the offset in every byte, and keeps what is done to it. */
class Probe implements Device {
  readonly accesses: string[] = [];

  read(offset: number, size: number): number {
    this.accesses.push(`r${size}@${offset}`);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + ((offset + i) & 0xff);
    return value;
  }

  write(offset: number, size: number, value: number): void {
    this.accesses.push(`w${size}@${offset}=${value.toString(16)}`);
  }

  reset(): void {}
  save(): null {
    return null;
  }
  restore(): void {}
}

let log: TestLog;
let bus: Bus;
let probe: Probe;
const widths = (...list: BusSize[]) => ({ name: "probe", widths: list });

beforeEach(() => {
  log = new TestLog();
  bus = new Bus(log);
  probe = new Probe();
});

describe("ranges", () => {
  it("reach the device as an offset, in both spaces, to the last byte", () => {
    bus.add("port", 0x3f8, 8, probe, widths(1));
    bus.add("mmio", 2 ** 40, 0x1000, probe, widths(4));
    expect(bus.readPort(0x3ff, 1)).toBe(7);
    expect(bus.readMmio(2 ** 40 + 0xffc, 4)).toBe(0xfffefdfc);
    expect(probe.accesses).toEqual(["r1@7", "r4@4092"]);
  });

  it("that overlap are rejected, and both are named", () => {
    bus.add("port", 0x20, 2, probe, { name: "first", widths: [1] });
    expect(() => bus.add("port", 0x21, 4, probe, { name: "second", widths: [1] })).toThrow(
      /second at port 0x21-0x24 overlaps first at 0x20-0x21/,
    );
    bus.add("mmio", 0x20, 2, probe, { name: "other space", widths: [1] });
    expect(() => bus.add("mmio", 0, 0x21, probe, { name: "third", widths: [1] })).toThrow(/third/);
    bus.add("port", 0x22, 2, probe, { name: "neighbour", widths: [1] });
    expect(bus.ranges().map((range) => range.name)).toEqual(["first", "neighbour", "other space"]);
  });

  it("outside their space are rejected", () => {
    expect(() => bus.add("port", 0xffff, 2, probe, widths(1))).toThrow(/outside the port space/);
    expect(() => bus.add("mmio", 2 ** 52 - 1, 2, probe, widths(1))).toThrow(/outside the mmio space/);
  });

  it("can be moved and unmapped at run time; a move onto another range leaves them unmapped", () => {
    const range = bus.add("mmio", 0x1000, 0x100, probe, widths(4));
    bus.add("mmio", 0x4000, 0x100, new Probe(), { name: "fixed", widths: [4] });
    expect(bus.readMmio(0x1004, 4)).toBe(0x07060504);
    expect(range.move(0x2000)).toBe(true);
    expect(bus.hasMmio(0x1004)).toBe(false);
    expect(bus.readMmio(0x2004, 4)).toBe(0x07060504);
    expect(range.move(0x40fc)).toBe(false);
    expect(range.base).toBeNull();
    expect(bus.hasMmio(0x2004)).toBe(false);
    const ports = bus.addUnmapped("port", 4, probe, { name: "bar", widths: [1] });
    expect(ports.move(0xc000)).toBe(true);
    expect(bus.readPort(0xc003, 1)).toBe(3);
    ports.unmap();
    expect(bus.readPort(0xc003, 1)).toBe(0xff);
  });

  it("are found among many, whichever was asked for last", () => {
    for (let i = 0; i < 40; i++) {
      bus.add("mmio", 0x10_0000 - i * 0x2000, 0x1000, probe, { name: `r${i}`, widths: [1] });
    }
    for (let i = 39; i >= 0; i -= 3) {
      expect(bus.readMmio(0x10_0000 - i * 0x2000 + 5, 1)).toBe(5);
      expect(bus.hasMmio(0x10_0000 - i * 0x2000 + 0x1000)).toBe(false);
    }
  });
});

describe("access widths", () => {
  it("wider than the device takes are split, low address first", () => {
    bus.add("port", 0x40, 4, probe, widths(1));
    expect(bus.readPort(0x40, 4)).toBe(0x03020100);
    bus.writePort(0x42, 2, 0xbeef);
    expect(probe.accesses).toEqual(["r1@0", "r1@1", "r1@2", "r1@3", "w1@2=ef", "w1@3=be"]);
    expect(log.messages).toEqual([]);
  });

  it("narrower than the device takes are unknown: all ones, and writes are dropped", () => {
    bus.add("mmio", 0xfec0_0000, 0x20, probe, widths(4));
    expect(bus.readMmio(0xfec0_0010, 1)).toBe(0xff);
    bus.writeMmio(0xfec0_0010, 2, 1);
    expect(probe.accesses).toEqual([]);
    expect(log.messages).toHaveLength(2);
    expect(log.messages[0]).toMatch(/mmio 0xfec00010 read 1: not a width of probe/);
  });

  it("misaligned within the range are made of aligned ones", () => {
    bus.add("port", 0x600, 12, probe, widths(1, 2, 4));
    expect(bus.readPort(0x601, 2)).toBe(0x0201);
    expect(bus.readPort(0x602, 4)).toBe(0x05040302);
    expect(probe.accesses).toEqual(["r1@1", "r1@2", "r2@2", "r2@4"]);
  });

  it("that are half outside read all ones for the rest", () => {
    bus.add("port", 0x70, 2, probe, widths(1));
    expect(bus.readPort(0x71, 2)).toBe(0xff01);
    expect(bus.readPort(0x6e, 4)).toBe(0x0100ffff);
    bus.writePort(0x71, 2, 0x1234);
    expect(probe.accesses).toEqual(["r1@1", "r1@0", "r1@1", "w1@1=34"]);
  });

  it("past port FFFFH wrap", () => {
    bus.add("port", 0, 1, probe, widths(1));
    expect(bus.readPort(0xffff, 2)).toBe(0x00ff);
  });
});

describe("unknown accesses", () => {
  it("read all ones, are logged once and counted always", () => {
    for (let i = 0; i < 3; i++) expect(bus.readPort(0x2f8, 1)).toBe(0xff);
    expect(bus.readPort(0x2f8, 2)).toBe(0xffff);
    expect(bus.readMmio(0xdead_0000, 4)).toBe(0xffff_ffff);
    bus.writePort(0x2f8, 1, 0x55);
    expect(log.messages).toEqual([
      "bus: port 0x2f8 read 1: nothing there",
      "bus: port 0x2f8 read 2: nothing there",
      "bus: mmio 0xdead0000 read 4: nothing there",
      "bus: port 0x2f8 write 1 value 0x55: nothing there",
    ]);
    expect(bus.unknownAccesses.get("port 0x2f8 read 1")).toBe(3);
  });

  it("do not fill memory when a guest scans", () => {
    for (let i = 0; i < 10_000; i++) bus.readMmio(0xc000_0000 + 4 * i, 4);
    expect(bus.unknownAccesses.size).toBeLessThan(5_000);
    expect(bus.unknownAccesses.get("mmio others")).toBeGreaterThan(5_000);
  });

  it("of hardware that is absent by design are not unknown", () => {
    bus.addAbsent("port", 0x2f8, 8, "COM2");
    expect(bus.readPort(0x2fd, 1)).toBe(0xff);
    expect(bus.readPort(0x2f8, 4)).toBe(0xffff_ffff);
    bus.writePort(0x2f9, 1, 0);
    expect(log.messages).toEqual([]);
  });
});

it("an observer sees every access once, with the range that answered", () => {
  const seen: BusAccess[] = [];
  bus.observer = (access) => seen.push(access);
  bus.add("port", 0x40, 4, probe, widths(1));
  bus.readPort(0x40, 2);
  bus.writeMmio(0x5000, 4, 7);
  expect(seen).toEqual([
    { space: "port", write: false, address: 0x40, size: 2, value: 0x0100, name: "probe" },
    { space: "mmio", write: true, address: 0x5000, size: 4, value: 7, name: null },
  ]);
});
