import { describe, expect, it } from "vitest";
import type { CodeMemory } from "../../src/cpu/code-cache.ts";
import { RAM, TLB_READ, TLB_WRITE } from "../../src/cpu/layout.ts";
import { PhysicalMemory } from "../../src/mmu/physical-memory.ts";
import {
  createMachine,
  Entry,
  fastPath,
  halves,
  host,
  type Machine,
  PageTables,
  RAM_SIZE,
  setControls,
} from "./machine.ts";

const HIGH = 2 ** 32;

describe("the physical map", () => {
  it("is low RAM, a hole and high RAM, flat in the WebAssembly memory", () => {
    const { physical } = createMachine({ highSize: 0x2_0000 });
    expect(physical.regions).toEqual([
      { base: 0, size: RAM_SIZE, kind: "RAM", host: RAM },
      { base: RAM_SIZE, size: HIGH - RAM_SIZE, kind: "hole", host: 0 },
      { base: HIGH, size: 0x2_0000, kind: "RAM", host: RAM + RAM_SIZE },
    ]);
    expect(physical.size).toBe(RAM_SIZE + 0x2_0000);
    expect(physical.hostAddress(RAM_SIZE - 1)).toBe(RAM + RAM_SIZE - 1);
    expect(physical.hostAddress(RAM_SIZE)).toBe(0);
    expect(physical.hostAddress(HIGH + 0x1_2345)).toBe(RAM + RAM_SIZE + 0x1_2345);
    expect(physical.hostAddress(HIGH + 0x2_0000)).toBe(0);
    expect(physical.hostAddress(2 ** 51)).toBe(0);
    for (const page of [0, 5, RAM_SIZE / 4096 - 1, HIGH / 4096, HIGH / 4096 + 0x1f]) {
      expect(physical.pageOfHostPage(physical.hostAddress(page * 4096) / 4096)).toBe(page);
    }
  });

  it("holes hide RAM, whose contents come back, and ROM keeps what it holds", () => {
    const { physical, mmu, bus } = createMachine();
    physical.write(0xa_0000, Uint8Array.of(1, 2, 3));
    physical.map(0xa_0000, 0x2_0000, "hole");
    physical.map(0xf_0000, 0x1_0000, "ROM");
    expect(physical.regions.map(({ base, kind }) => [base, kind])).toEqual([
      [0, "RAM"],
      [0xa_0000, "hole"],
      [0xc_0000, "RAM"],
      [0xf_0000, "ROM"],
      [0x10_0000, "RAM"],
    ]);
    expect([...physical.read(0x9_ffff, 3)]).toEqual([0, 0xff, 0xff]);
    physical.fill(0x9_fffe, 0x2_0004, 0x55);
    expect(mmu.read(0xa_0000n, 2)).toBe(0x0100);
    expect(bus.accesses).toMatchObject([{ address: 0xa_0000 }]);
    physical.map(0xa_0000, 0x2_0000, "RAM");
    expect([...physical.read(0x9_fffe, 5)]).toEqual([0x55, 0x55, 1, 2, 3]);
    expect(physical.read8(0xc_0001)).toBe(0x55);

    physical.load(0xf_fff0, Uint8Array.of(0xea));
    physical.write(0xf_fff0, Uint8Array.of(0));
    physical.write32(0xf_fff0, 0);
    expect(physical.read8(0xf_fff0)).toBe(0xea);
  });

  it("refuses what is not pages of RAM", () => {
    const { physical } = createMachine();
    expect(() => physical.map(0x800, 0x1000, "ROM")).toThrow(RangeError);
    expect(() => physical.map(RAM_SIZE - 0x1000, 0x2000, "ROM")).toThrow(RangeError);
    expect(() => physical.map(0x1000, 0, "hole")).toThrow(RangeError);
    const { memory } = physical;
    expect(() => new PhysicalMemory(memory, { lowSize: 0x1234 })).toThrow(RangeError);
    expect(() => new PhysicalMemory(memory, { lowSize: 0x1000_0000 })).toThrow(RangeError);
  });

  it("a changed map drops translations", () => {
    const machine = createMachine();
    machine.mmu.slowWrite(0, 0xf_0000, 0, 4);
    expect(fastPath(machine, TLB_WRITE, 0xf_0000n, 4)).toBe(host(0xf_0000));
    machine.physical.map(0xf_0000, 0x1_0000, "ROM");
    expect(fastPath(machine, TLB_WRITE, 0xf_0000n, 4)).toBeNull();
  });

  it("views and tests of ranges stop at the region's end", () => {
    const { physical } = createMachine();
    physical.map(0x5000, 0x1000, "hole");
    expect(physical.isRam(0x4000, 0x1000)).toBe(true);
    expect(physical.isRam(0x4000, 0x1001)).toBe(false);
    expect(physical.isRam(-1, 1)).toBe(false);
    expect(physical.view(0x4ff0, 0x11)).toBeNull();
    physical.view(0x4ff0, 0x10)!.fill(9);
    expect(physical.read32(0x4ffc)).toBe(0x0909_0909);
  });

  it("values of each width are little-endian, and all ones where nothing is", () => {
    const { physical } = createMachine();
    physical.write64(0x1000, 0x8877_6655_4433_2211n);
    expect(physical.read8(0x1007)).toBe(0x88);
    expect(physical.read16(0x1002)).toBe(0x4433);
    expect(physical.read32(0x1004)).toBe(0x8877_6655);
    physical.write8(0x1000, 0xaa);
    physical.write16(0x1002, 0xbbcc);
    expect(physical.read64(0x1000)).toBe(0x8877_6655_bbcc_22aan);
    expect([physical.read8(RAM_SIZE), physical.read16(RAM_SIZE), physical.read32(RAM_SIZE)]).toEqual([
      0xff, 0xffff, 0xffff_ffff,
    ]);
    expect(physical.read64(RAM_SIZE)).toBe(0xffff_ffff_ffff_ffffn);
    physical.write64(RAM_SIZE, 0n);
  });
});

/** A machine whose code cache forgets a page as soon as it is told. */
function withCode(): { machine: Machine; dropped: number[] } {
  const machine = createMachine();
  const dropped: number[] = [];
  machine.mmu.onCodeWrite = (page) => {
    dropped.push(page);
    machine.mmu.clearCode(page);
  };
  return { machine, dropped };
}

describe("pages that bear code", () => {
  it("the MMU is what the code cache needs", () => {
    const { machine } = withCode();
    const memory: CodeMemory = machine.mmu;
    expect(memory.hostPage(0x5678)).toBe(host(0x5000));
    expect(memory.hostPage(RAM_SIZE)).toBe(0);
    expect(memory.readDevice(RAM_SIZE + 0x77)).toBe(0x77);
  });

  it("lose their write entries in every context, address and processor, and only those", () => {
    const machine = createMachine({ processors: 2 });
    const tables = new PageTables(machine, "4-level", 0x10_0000);
    tables.map(0x1000n, 0x5000, Entry.RW);
    tables.map(0xffff_8000_0000_3000n, 0x5000, Entry.RW);
    tables.map(0x2000n, 0x6000, Entry.RW);
    setControls(machine, "4-level");
    tables.load();
    const addresses = [0x1000n, 0xffff_8000_0000_3000n, 0x2000n];
    for (const address of addresses) machine.mmu.slowWrite(0, ...halves(address), 4);
    machine.mmu.current = machine.cpus[1]!;
    machine.mmu.slowWrite(0, 0x5000, 0, 4);
    machine.mmu.current = machine.cpu;

    machine.mmu.markCode(0x5123, 3);
    expect(addresses.map((address) => fastPath(machine, TLB_WRITE, address, 4))).toEqual([
      null,
      null,
      host(0x6000),
    ]);
    expect(fastPath(machine, TLB_WRITE, 0x5000n, 4, machine.cpus[1])).toBeNull();
    expect(fastPath(machine, TLB_READ, 0x1000n, 4)).toBe(host(0x5000));
  });

  it("report a store that touches a decoded line before it is visible; stores beside it stay unreported", () => {
    const { machine, dropped } = withCode();
    const { mmu, physical } = machine;
    mmu.markCode(0x5100, 0x41);
    mmu.slowWrite(0, 0x50ff, 0, 1);
    mmu.slowWrite(0, 0x50f8, 0, 8);
    mmu.slowWrite(0, 0x5180, 0, 8);
    mmu.slowWrite(0, 0x5000, 0, 16);
    expect(dropped).toEqual([]);
    expect(fastPath(machine, TLB_WRITE, 0x5000n, 1)).toBeNull();

    physical.write8(0x5140, 0x90);
    expect(dropped).toEqual([5]);
    mmu.markCode(0x5140, 1);
    let seen = -1;
    mmu.onCodeWrite = (page) => {
      seen = physical.read8(0x5140);
      mmu.clearCode(page);
    };
    mmu.write(0x513fn, 2, 0xcccc);
    expect(seen).toBe(0x90);
    expect(physical.read8(0x5140)).toBe(0xcc);
    // The page bears no code now: the store that dropped it put it back into the TLB.
    expect(fastPath(machine, TLB_WRITE, 0x5140n, 4)).toBe(host(0x5140));
    expect(mmu.statistics.codeWrites).toBe(2);
  });

  it("every line of a page is told apart", () => {
    const { machine, dropped } = withCode();
    for (let line = 0; line < 64; line++) {
      machine.mmu.markCode(0x7000 + line * 64, 1);
      for (let other = 0; other < 64; other++) {
        if (other !== line) machine.mmu.slowWrite(0, 0x7000 + other * 64, 0, 32);
      }
      expect(dropped).toHaveLength(line);
      machine.mmu.slowWrite(0, 0x7000 + line * 64 + 63, 0, 1);
      expect(dropped).toHaveLength(line + 1);
    }
  });

  it("code that crosses a page marks both", () => {
    const { machine, dropped } = withCode();
    machine.mmu.markCode(0x5ffe, 5);
    machine.mmu.slowWrite(0, 0x6002, 0, 1);
    machine.mmu.slowWrite(0, 0x5fff, 0, 1);
    expect(dropped).toEqual([6, 5]);
  });

  it("are watched in stores that cross a page, byte arrays, DMA, fills and 64-bit values", () => {
    const { machine, dropped } = withCode();
    const { mmu, physical } = machine;
    const stores: (() => void)[] = [
      () => mmu.slowWrite(0, 0x4ffc, 0, 8),
      () => mmu.writeBytes(0x4800n, new Uint8Array(4096)),
      () => mmu.write64(0x5000n, 0n),
      () => physical.write(0x4000, new Uint8Array(0x2000)),
      () => physical.fill(0x4000, 0x2000, 0),
      () => physical.load(0x5000, new Uint8Array(1)),
      () => physical.write64(0x5000, 0n),
      () => physical.write16(0x5000, 0),
      () => physical.map(0x5000, 0x1000, "ROM"),
    ];
    stores.forEach((store, i) => {
      mmu.markCode(0x5000, 2);
      store();
      expect(dropped).toHaveLength(i + 1);
    });
    expect(new Set(dropped)).toEqual(new Set([5]));
  });

  it("are watched by the page walk, which sets accessed and dirty flags", () => {
    const { machine, dropped } = withCode();
    const tables = new PageTables(machine, "4-level", 0x10_0000);
    const path = tables.map(0x1000n, 0x5000, Entry.RW);
    setControls(machine, "4-level");
    tables.load();
    machine.mmu.markCode(path.at(-1)!, 1);
    machine.mmu.slowRead(0, 0x1000, 0, 1);
    expect(dropped).toEqual([Math.floor(path.at(-1)! / 4096)]);
  });

  it("outside memory nothing is marked", () => {
    const { machine, dropped } = withCode();
    machine.mmu.markCode(RAM_SIZE - 1, 16);
    machine.mmu.clearCode(RAM_SIZE / 4096);
    machine.mmu.write(BigInt(RAM_SIZE), 4, 0);
    expect(dropped).toEqual([]);
  });
});
