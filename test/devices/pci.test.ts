import { beforeEach, describe, expect, it } from "vitest";
import type { Device } from "../../src/devices/device.ts";
import { PciFunction } from "../../src/devices/pci/function.ts";
import { createHostBridge } from "../../src/devices/pci/host-bridge.ts";
import { PciBus, PciConfigPorts, PciEcam } from "../../src/devices/pci/pci-bus.ts";
import { ResetControl } from "../../src/devices/system-control.ts";
import { Bus } from "../../src/machine/bus.ts";
import { TestLine, TestLog } from "./rig.ts";

let bus: Bus;
let pci: PciBus;
let ports: PciConfigPorts;
let ecam: PciEcam;
let pirqs: TestLine[];
let resets: number;
let card: PciFunction;

/** Answers a fixed byte in every lane. */
const filled = (byte: number): Device => ({
  read: (_offset, size) => (byte * 0x0101_0101) % 2 ** (8 * size),
  write: () => {},
  reset: () => {},
  save: () => null,
  restore: () => {},
});

beforeEach(() => {
  bus = new Bus(new TestLog());
  pirqs = [0, 1, 2, 3].map(() => new TestLine());
  resets = 0;
  pci = new PciBus({
    createRange: (name, bar) =>
      bus.addUnmapped(bar.kind === "io" ? "port" : "mmio", bar.size, bar.device, {
        name,
        widths: bar.widths,
      }),
    pirq: (index) => pirqs[index],
    interruptLineOf: (pirq) => 10 + (pirq & 1),
  });
  pci.plug(0, 0, createHostBridge());
  card = new PciFunction({
    name: "card",
    vendorId: 0x1af4,
    deviceId: 0x1041,
    classCode: 0x02_0000,
    revision: 1,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x40,
    interruptPin: 1,
    bars: [
      { index: 0, kind: "io", size: 32, device: filled(0x10), widths: [1, 2, 4] },
      { index: 1, kind: "memory32", size: 4096, device: filled(0x32), widths: [4] },
      { index: 4, kind: "memory64", prefetchable: true, size: 0x4000, device: filled(0x64), widths: [4] },
    ],
  });
  card.config.addCapability(0x09, new Uint8Array([0x10, 1, 4]));
  card.config.addCapability(0x11, new Uint8Array(10));
  pci.plug(3, 0, card);
  ports = new PciConfigPorts(pci, new ResetControl(() => resets++));
  ecam = new PciEcam(pci);
});

const address = (device: number, register: number, fn = 0, busNumber = 0) =>
  (0x8000_0000 + (busNumber << 16) + (device << 11) + (fn << 8) + (register & 0xfc)) >>> 0;
const read = (device: number, register: number, size: 1 | 2 | 4 = 4) => {
  ports.write(0, 4, address(device, register));
  return ports.read(4 + (register & 3), size);
};
const write = (device: number, register: number, size: 1 | 2 | 4, value: number) => {
  ports.write(0, 4, address(device, register));
  ports.write(4 + (register & 3), size, value);
};

describe("configuration mechanism #1", () => {
  it("is found as Linux looks for it: CONFIG_ADDRESS keeps 80000000h; a byte at CFBh changes nothing", () => {
    ports.write(0, 4, 0x8000_1234);
    ports.write(3, 1, 0x01);
    expect(ports.read(0, 4)).toBe(0x8000_1234);
    ports.write(0, 4, 0x8000_0000);
    expect(ports.read(0, 4)).toBe(0x8000_0000);
    expect(ports.read(4 + 2, 2)).toBe(0x0008);
  });

  it("reads bytes, words and doublewords of a register", () => {
    expect(read(3, 0)).toBe(0x1041_1af4);
    expect(read(3, 2, 2)).toBe(0x1041);
    expect(read(3, 0x0b, 1)).toBe(0x02);
    expect(read(3, 0x08)).toBe(0x0200_0001);
    expect(read(3, 0x2c)).toBe(0x0040_1af4);
  });

  it("gives all ones where nothing is, and while the enable bit is 0", () => {
    expect(read(4, 0)).toBe(0xffff_ffff);
    ports.write(0, 4, address(3, 0, 1));
    expect(ports.read(4, 2)).toBe(0xffff);
    ports.write(0, 4, address(3, 0, 0, 1));
    expect(ports.read(4, 4)).toBe(0xffff_ffff);
    ports.write(0, 4, address(3, 0) & 0x7fff_ffff);
    expect(ports.read(4, 4)).toBe(0xffff_ffff);
  });

  it("leaves CF9h to the reset control register", () => {
    ports.write(0, 4, address(3, 0));
    ports.write(1, 1, 0x0e);
    expect(resets).toBe(1);
    expect(ports.read(1, 1)).toBe(0x0e);
    expect(ports.read(0, 4)).toBe(address(3, 0));
    expect(ports.read(0, 1)).toBe(0xff);
  });
});

it("ECAM shows the same registers at bus, device, function and register", () => {
  expect(ecam.read((3 << 15) | 0, 4)).toBe(0x1041_1af4);
  ecam.write((3 << 15) | 0x3c, 1, 0x55);
  expect(read(3, 0x3c, 1)).toBe(0x55);
  expect(ecam.read(1 << 20, 4)).toBe(0xffff_ffff);
  expect(ecam.read((3 << 15) | (1 << 12), 4)).toBe(0xffff_ffff);
  // No extended capabilities: the first doubleword of extended space is 0.
  expect(ecam.read((3 << 15) | 0x100, 4)).toBe(0);
});

describe("a function", () => {
  it("keeps read-only registers as they are", () => {
    for (const register of [0x00, 0x08, 0x2c, 0x34, 0x40]) {
      const before = read(3, register);
      write(3, register, 4, 0xffff_ffff);
      expect(read(3, register)).toBe(before);
    }
  });

  it("lists its capabilities from the pointer at 34h", () => {
    expect(read(3, 0x06, 2) & 0x10).toBe(0x10);
    const ids = [];
    for (let at = read(3, 0x34, 1); at !== 0; at = read(3, at + 1, 1)) ids.push(read(3, at, 1));
    expect(ids).toEqual([0x09, 0x11]);
  });

  it("shows the size of its BARs to a write of all ones", () => {
    for (const register of [0x10, 0x14, 0x20, 0x24, 0x18]) write(3, register, 4, 0xffff_ffff);
    expect(read(3, 0x10)).toBe(0xffff_ffe1);
    expect(read(3, 0x14)).toBe(0xffff_f000);
    expect(read(3, 0x20)).toBe(0xffff_c00c);
    expect(read(3, 0x24)).toBe(0xffff_ffff);
    expect(read(3, 0x18)).toBe(0);
  });

  it("answers at its BARs while the command register says so, wherever they are put", () => {
    write(3, 0x10, 4, 0xc000);
    write(3, 0x14, 4, 0xf000_0000);
    write(3, 0x20, 4, 0x4000_0000);
    write(3, 0x24, 4, 0x0000_0008);
    expect(bus.readPort(0xc000, 1)).toBe(0xff);
    write(3, 0x04, 2, 0x0003);
    expect(bus.readPort(0xc01f, 1)).toBe(0x10);
    expect(bus.readMmio(0xf000_0ffc, 4)).toBe(0x3232_3232);
    expect(bus.readMmio(0x8_4000_3ffc, 4)).toBe(0x6464_6464);
    write(3, 0x14, 4, 0xf100_0000);
    expect(bus.hasMmio(0xf000_0000)).toBe(false);
    expect(bus.readMmio(0xf100_0000, 4)).toBe(0x3232_3232);
    write(3, 0x04, 2, 0x0001);
    expect(bus.hasMmio(0xf100_0000)).toBe(false);
    expect(bus.readPort(0xc000, 2)).toBe(0x1010);
  });

  it("drives INTx by its slot's swizzle, unless INTx is disabled; status bit 3 shows it either way", () => {
    card.setInterrupt(true);
    // INTA of device 3 is PIRQ D.
    expect(pirqs.map((line) => line.level)).toEqual([false, false, false, true]);
    expect(read(3, 0x06, 2) & 8).toBe(8);
    write(3, 0x04, 2, 0x0400);
    expect(pirqs[3].level).toBe(false);
    expect(read(3, 0x06, 2) & 8).toBe(8);
    write(3, 0x04, 2, 0);
    expect(pirqs[3].level).toBe(true);
    card.setInterrupt(false);
    expect(pirqs[3].level).toBe(false);
    expect(read(3, 0x3c, 2)).toBe(0x010b);
  });

  it("is given addresses in the host bridge's windows, naturally aligned and apart", () => {
    const other = new PciFunction({
      name: "other",
      vendorId: 0x1af4,
      deviceId: 0x1042,
      classCode: 0x01_0000,
      bars: [{ index: 0, kind: "memory32", size: 0x1_0000, device: filled(1), widths: [4] }],
    });
    pci.plug(4, 0, other);
    pci.assignAddresses({
      io: { base: 0xc000, length: 0x4000 },
      memory32: { base: 0xf000_1000, length: 0x10_0000 },
      memory64: { base: 0x8_0000_0000, length: 0x10_0000 },
    });
    expect(read(4, 0x10)).toBe(0xf001_0000);
    expect(read(3, 0x14)).toBe(0xf002_0000);
    expect(read(3, 0x10)).toBe(0xc001);
    expect([read(3, 0x20), read(3, 0x24)]).toEqual([0x0000_000c, 8]);
    expect(() =>
      pci.assignAddresses({
        io: { base: 0xc000, length: 16 },
        memory32: { base: 0xf000_0000, length: 0x10_0000 },
        memory64: { base: 0x8_0000_0000, length: 0x10_0000 },
      }),
    ).toThrow(/no room for BAR 0 of card/);
  });

  it("reset unmaps the BARs, releases INTx and keeps the identity", () => {
    write(3, 0x14, 4, 0xf000_0000);
    write(3, 0x04, 2, 0x0002);
    card.setInterrupt(true);
    pci.reset();
    expect(bus.hasMmio(0xf000_0000)).toBe(false);
    expect(pirqs[3].level).toBe(false);
    expect([read(3, 0), read(3, 4) & 0xffff, read(3, 0x14)]).toEqual([0x1041_1af4, 0, 0]);
  });

  it("restores its mapping and its interrupt", () => {
    write(3, 0x14, 4, 0xf000_0000);
    write(3, 0x04, 2, 0x0002);
    card.setInterrupt(true);
    const state = pci.save();
    pci.reset();
    pci.restore(state);
    expect(bus.readMmio(0xf000_0000, 4)).toBe(0x3232_3232);
    expect(pirqs[3].level).toBe(true);
  });
});

describe("plugging in", () => {
  it("a taken place or a function without a function 0 is refused", () => {
    const spare = () => new PciFunction({ name: "spare", vendorId: 1, deviceId: 1, classCode: 0 });
    expect(() => pci.plug(3, 0, spare())).toThrow(/00:03.0 is taken/);
    expect(() => pci.plug(5, 1, spare())).toThrow(/00:05.1 needs a function 0/);
    pci.plug(3, 1, spare());
    expect(read(3, 0x0e, 1)).toBe(0x80);
  });
});
