import { describe, expect, test } from "vitest";
import { parseCpuModel } from "../../../src/cpu/cpuid/index.ts";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { MSRS } from "../../../src/cpu/msr/index.ts";
import { Cr0, Efer } from "../../../src/cpu/registers.ts";
import { EVENT, readMsr, setFirmwareMtrrs, setIdentity, writeMsr } from "../../../src/cpu/system/index.ts";
import { At, World } from "./world.ts";

const write = (world: World, index: number, value: bigint) => writeMsr(world.core, world.cpu, index, value);
const read = (world: World, index: number) => readMsr(world.core, world.cpu, index);
const gp = (action: () => void) => {
  expect(action).toThrow(expect.objectContaining({ vector: Vector.GP, error: 0 }));
};

describe("RDMSR and WRMSR", () => {
  test("move EDX:EAX and clear the upper halves", () => {
    const world = new World("long");
    world.cpu.setGpr(0, 0xffff_ffff_1234_5678n);
    world.cpu.setGpr(1, 0xffff_ffff_c000_0082n);
    world.cpu.setGpr(2, 0xffff_8000n);
    expect(world.run("wrmsr", { length: 2 })).toBe(EVENT);
    expect(world.cpu.rip).toBe(BigInt(At.CODE + 2));
    world.cpu.setGpr(0, (1n << 64n) - 1n);
    world.run("rdmsr");
    expect([world.cpu.gpr(0), world.cpu.gpr(2)]).toEqual([0x1234_5678n, 0xffff_8000n]);
  });
  test("an unknown register raises #GP(0) and one line in the log", () => {
    const world = new World();
    world.cpu.setGpr(1, 0xdeadn);
    world.expectFault("rdmsr", {}, Vector.GP, 0);
    expect(world.unknown).toEqual([`read of unknown MSR DEADH at RIP ${At.CODE.toString(16)}H: #GP(0)`]);
  });
  test("a register that kernels try and this processor rightly lacks raises #GP(0) without a line", () => {
    const world = new World();
    gp(() => read(world, 0x140));
    expect(world.unknown).toEqual([]);
  });
  test("a register of a feature that the model lacks raises #GP(0)", () => {
    const world = new World();
    setIdentity(world.core, { model: parseCpuModel("qemu64") });
    gp(() => read(world, 0x3b));
    expect(read(new World(), 0x3b)).toBe(0n);
  });
  test("registers of the local APIC are asked there", () => {
    const world = new World();
    world.port.apic.msrs.set(0x1b, [0xfee0_0900, 0]);
    expect(read(world, 0x1b)).toBe(0xfee0_0900n);
    gp(() => read(world, 0x802));
    write(world, 0x6e0, 0x1_0000_0002n);
    expect(world.port.apic.msrs.get(0x6e0)).toEqual([2, 1]);
  });
  test("every row of the table reads without a line in the log", () => {
    const world = new World("long");
    for (const row of MSRS) expect(typeof read(world, row.index)).toBe("bigint");
    expect(world.unknown).toEqual([]);
  });
});

describe("values that raise #GP(0)", () => {
  const NONCANONICAL = 1n << 47n;
  const cases: [string, number, bigint][] = [
    ["IA32_EFER: a reserved bit", 0xc000_0080, 2n],
    ["IA32_EFER: LME changed while paging is on", 0xc000_0080, 0n],
    ["IA32_LSTAR: not canonical", 0xc000_0082, NONCANONICAL],
    ["IA32_CSTAR: not canonical", 0xc000_0083, NONCANONICAL],
    ["IA32_FMASK: bits 63:32", 0xc000_0084, 1n << 32n],
    ["IA32_FS_BASE: not canonical", 0xc000_0100, NONCANONICAL],
    ["IA32_GS_BASE: not canonical", 0xc000_0101, NONCANONICAL],
    ["IA32_KERNEL_GS_BASE: not canonical", 0xc000_0102, NONCANONICAL],
    ["IA32_TSC_AUX: bits 63:32", 0xc000_0103, 1n << 32n],
    ["IA32_SYSENTER_ESP: not canonical", 0x175, NONCANONICAL],
    ["IA32_PAT: memory type 2", 0x277, 0x0007_0406_0007_0402n],
    ["IA32_MTRR_DEF_TYPE: a reserved bit", 0x2ff, 0x1000n],
    ["IA32_MTRR_DEF_TYPE: memory type 7", 0x2ff, 7n],
    ["IA32_MTRR_FIX64K: memory type 3", 0x250, 3n],
    ["IA32_MTRR_PHYSBASE0: bits 11:8", 0x200, 0x100n],
    ["IA32_MTRR_PHYSMASK0: above MAXPHYADDR", 0x201, 1n << 40n],
    ["IA32_XSS: a component that does not exist", 0xda0, 1n],
    ["IA32_ARCH_CAPABILITIES: read-only", 0x10a, 0n],
    ["IA32_MC0_STATUS: anything but zero", 0x401, 1n],
    ["IA32_MCG_CTL: neither all zeros nor all ones", 0x17b, 1n],
    ["IA32_MISC_ENABLE: XD disable", 0x1a0, 1n << 34n],
    ["IA32_DEBUGCTL: branch single-stepping", 0x1d9, 2n],
  ];
  test.each(cases)("%s", (_name, index, value) => {
    const world = new World("long");
    const before = world.cpu.bytes.slice(0, 0x1000);
    gp(() => write(world, index, value));
    expect(world.cpu.bytes.slice(0, 0x1000)).toEqual(before);
  });
});

describe("values that are kept", () => {
  const cases: [string, number, bigint][] = [
    ["IA32_STAR", 0xc000_0081, 0x0023_0010_0000_0000n],
    ["IA32_KERNEL_GS_BASE", 0xc000_0102, 0xffff_8000_0000_0000n],
    ["IA32_PAT", 0x277, 0x0407_0106_0007_0106n],
    ["IA32_MTRR_PHYSMASK7", 0x20f, 0xff_c000_0800n],
    ["IA32_MTRR_FIX4K_F8000", 0x26f, 0x0505_0505_0505_0505n],
    ["IA32_MC3_CTL", 0x40c, (1n << 64n) - 1n],
    ["IA32_SYSENTER_EIP", 0x176, 0xffff_ffff_8100_0000n],
  ];
  test.each(cases)("%s", (_name, index, value) => {
    const world = new World("long");
    write(world, index, value);
    expect(read(world, index)).toBe(value);
  });
  test("IA32_FS_BASE is the base of FS", () => {
    const world = new World("long");
    write(world, 0xc000_0100, 0x1234_5678_9000n);
    expect(world.cpu.segment(Segment.FS).base).toBe(0x1234_5678_9000n);
  });
  test("IA32_EFER: LMA cannot be written, NXE drops translations", () => {
    const world = new World("long");
    write(world, 0xc000_0080, BigInt(Efer.LME | Efer.NXE));
    expect(world.cpu.efer).toBe(Efer.LME | Efer.LMA | Efer.NXE);
    expect(world.calls).toEqual(["flush all"]);
    const off = new World("protected");
    off.cpu.setI32(L.CR0, Cr0.PE);
    write(off, 0xc000_0080, BigInt(Efer.LMA | Efer.LME));
    expect(off.cpu.efer).toBe(Efer.LME);
  });
});

describe("the time-stamp counter", () => {
  test("a write moves IA32_TSC_ADJUST by as much, and tells the local APIC", () => {
    const world = new World();
    write(world, 0x10, 5000n);
    expect([world.tsc, read(world, 0x3b)]).toEqual([5000n, 4000n]);
    expect(world.port.apic.tscChanges).toBe(1);
  });
  test("a write to IA32_TSC_ADJUST moves the counter", () => {
    const world = new World();
    write(world, 0x3b, 500n);
    write(world, 0x3b, 200n);
    expect(world.tsc).toBe(1200n);
    write(world, 0x3b, (1n << 64n) - 100n);
    expect(world.tsc).toBe(900n);
  });
  test("RDTSC at CPL 3 raises #GP(0) with CR4.TSD", () => {
    const world = new World("long");
    world.tsc = 0x1_2345_6789n;
    world.ring(3, true);
    world.run("rdtsc");
    expect([world.cpu.gpr(0), world.cpu.gpr(2)]).toEqual([0x2345_6789n, 1n]);
    world.cpu.setI32(L.CR4, 4);
    world.expectFault("rdtsc", {}, Vector.GP, 0);
    world.expectFault("rdtscp", {}, Vector.GP, 0);
  });
  test("RDTSCP and RDPID show IA32_TSC_AUX", () => {
    const world = new World("long");
    write(world, 0xc000_0103, 0x8000_0007n);
    world.run("rdtscp");
    world.run("rdpid", { b: L.GPR + 24 });
    expect([world.cpu.gpr(1), world.cpu.gpr(3)]).toEqual([0x8000_0007n, 0x8000_0007n]);
  });
  test("RDPMC has no counter to read: #GP(0)", () => {
    new World().expectFault("rdpmc", {}, Vector.GP, 0);
  });
});

describe("RDRAND and RDSEED", () => {
  const draw = (world: World) => {
    world.run("rdrand", { b: L.GPR, size: 8 });
    expect(world.cpu.rflags).toBe(3);
    return world.cpu.gpr(0);
  };
  test("set CF, clear the other status flags, and never repeat shortly", () => {
    const world = new World("long");
    const numbers = new Set(Array.from({ length: 1000 }, () => draw(world)));
    expect(numbers.size).toBe(1000);
  });
  test("the same state gives the same numbers", () => {
    expect(draw(new World("long"))).toBe(draw(new World("long")));
  });
  test("#UD on a model without them", () => {
    const world = new World("long");
    setIdentity(world.core, { model: parseCpuModel("x86-64-v2,-rdseed") });
    world.expectFault("rdseed", { b: L.GPR }, Vector.UD);
  });
});

test("MTRRs as firmware leaves them: write-back, devices below 4 GiB uncacheable", () => {
  const world = new World();
  setFirmwareMtrrs(world.core, world.cpu, 0xc000_0000);
  expect(read(world, 0x2ff)).toBe(0xc06n);
  expect(read(world, 0x200)).toBe(0xc000_0000n);
  expect(read(world, 0x201)).toBe(0xff_c000_0800n);
  expect(read(world, 0x259)).toBe(0n);
  expect(read(world, 0x268)).toBe(0x0505_0505_0505_0505n);
});
