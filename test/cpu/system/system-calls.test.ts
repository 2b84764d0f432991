import { describe, expect, test } from "vitest";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Efer, Flag } from "../../../src/cpu/registers.ts";
import { At, Sel, STACK, World } from "./world.ts";

const ENTRY = 0xffff_ffff_8100_0000n;
const R11 = 11;

function prepared(cpl: 0 | 3, is64 = true): World {
  const world = new World(is64 ? "long" : "compatibility");
  world.ring(cpl, is64);
  const { cpu } = world;
  // As Linux sets it: kernel code 10H; user segments from 23H.
  cpu.setU64(L.MSR_STAR, 0x0023_0010_0000_0000n);
  cpu.setU64(L.MSR_LSTAR, ENTRY);
  cpu.setU64(L.MSR_FMASK, BigInt(Flag.IF | Flag.TF | Flag.DF | Flag.AC));
  cpu.setU64(L.MSR_SYSENTER_CS, 0x10n);
  cpu.setU64(L.MSR_SYSENTER_ESP, 0xffff_8000_0000_1000n);
  cpu.setU64(L.MSR_SYSENTER_EIP, ENTRY);
  return world;
}

describe("SYSCALL and SYSRET", () => {
  test("SYSCALL saves RIP in RCX and RFLAGS in R11, masks RFLAGS, loads flat segments", () => {
    const world = prepared(3);
    const { cpu } = world;
    cpu.rflags = 2 | Flag.IF | Flag.CF | Flag.RF | Flag.DF;
    world.run("syscall", { length: 2 });
    expect(cpu.gpr(1)).toBe(BigInt(At.CODE + 2));
    expect(cpu.gpr(R11)).toBe(BigInt(2 | Flag.IF | Flag.CF | Flag.DF));
    expect(cpu.rflags).toBe(2 | Flag.CF);
    expect([cpu.rip, cpu.cpl]).toEqual([ENTRY, 0]);
    expect(cpu.segment(Segment.CS)).toMatchObject({ selector: 0x10, attributes: 0xa09b, base: 0n });
    expect(cpu.segment(Segment.SS)).toMatchObject({
      selector: 0x18,
      attributes: 0xc093,
      limit: 0xffff_ffff,
    });
    expect(world.rsp).toBe(STACK);
    expect(world.rings).toEqual(["3->0 SYSCALL"]);
  });
  test("SYSRET with REX.W returns to 64-bit code at CPL 3", () => {
    const world = prepared(0);
    const { cpu } = world;
    cpu.setGpr(1, 0x1234n);
    cpu.setGpr(R11, 0xffff_ffff_ffff_ffffn);
    world.run("sysret", { size: 8 });
    expect([cpu.rip, cpu.cpl]).toEqual([0x1234n, 3]);
    expect(cpu.segment(Segment.CS)).toMatchObject({ selector: 0x33, attributes: 0xa0fb });
    expect(cpu.segment(Segment.SS)).toMatchObject({ selector: 0x2b, attributes: 0xc0f3 });
    // RF, VM and the reserved bits are cleared.
    expect(cpu.rflags).toBe(0x3c_7fd7);
  });
  test("SYSRET without REX.W returns to compatibility mode and cuts RCX to 32 bits", () => {
    const world = prepared(0);
    world.cpu.setGpr(1, 0xffff_8000_0000_1234n);
    world.run("sysret", { size: 4 });
    expect(world.cpu.rip).toBe(0x1234n);
    expect(world.cpu.segment(Segment.CS)).toMatchObject({ selector: 0x23, attributes: 0xc0fb });
    expect(world.cpu.i32(L.MODE) & 3).toBe(1);
  });
  test("SYSRET with a non-canonical RCX raises #GP at CPL 0", () => {
    const world = prepared(0);
    world.cpu.setGpr(1, 0x8000_0000_0000n);
    world.expectFault("sysret", { size: 8 }, Vector.GP, 0);
    expect(world.cpu.cpl).toBe(0);
  });
  test("SYSRET at CPL 3 raises #GP(0)", () => {
    prepared(3).expectFault("sysret", { size: 8 }, Vector.GP, 0);
  });
  test.each(["syscall", "sysret"])("%s is #UD in compatibility mode, and with IA32_EFER.SCE = 0", (name) => {
    prepared(0, false).expectFault(name, {}, Vector.UD);
    const world = prepared(0);
    world.cpu.setI32(L.EFER, Efer.LME | Efer.LMA);
    world.expectFault(name, {}, Vector.UD);
  });
});

describe("SYSENTER and SYSEXIT", () => {
  test("SYSENTER clears IF and VM and goes to CPL 0 with the MSRs' RSP and RIP", () => {
    const world = prepared(3, false);
    world.cpu.rflags = 2 | Flag.IF | Flag.CF;
    world.run("sysenter", { length: 2 });
    expect([world.cpu.rip, world.cpu.cpl, world.cpu.rflags]).toEqual([ENTRY, 0, 2 | Flag.CF]);
    expect(world.cpu.gpr(4)).toBe(0xffff_8000_0000_1000n);
    // In IA-32e mode the target is 64-bit code.
    expect(world.cpu.i32(L.MODE)).toBe(2);
  });
  test("outside IA-32e mode SYSENTER loads 32 bits and a 32-bit code segment", () => {
    const world = new World();
    world.ring(3);
    world.cpu.setU64(L.MSR_SYSENTER_CS, 0x08n);
    world.cpu.setU64(L.MSR_SYSENTER_ESP, 0x7000n);
    world.cpu.setU64(L.MSR_SYSENTER_EIP, 0x9000n);
    world.run("sysenter", {});
    expect([world.cpu.rip, world.rsp, world.cpu.i32(L.MODE) & 3]).toEqual([0x9000n, 0x7000, 1]);
    expect(world.cpu.selector(Segment.SS)).toBe(0x10);
  });
  test("SYSENTER raises #GP(0) in real mode and with a null IA32_SYSENTER_CS", () => {
    new World("real").expectFault("sysenter", {}, Vector.GP, 0);
    const world = prepared(3);
    world.cpu.setU64(L.MSR_SYSENTER_CS, 3n);
    world.expectFault("sysenter", {}, Vector.GP, 0);
  });
  test("SYSEXIT: RSP from RCX, RIP from RDX; selectors 16 or 32 above IA32_SYSENTER_CS", () => {
    const world = prepared(0);
    world.cpu.setGpr(1, 0x1_0000_7000n);
    world.cpu.setGpr(2, 0x9000n);
    world.run("sysexit", { size: 4 });
    expect([world.cpu.rip, world.rsp, world.cpu.selector(Segment.CS)]).toEqual([0x9000n, 0x7000, 0x23]);
    const wide = prepared(0);
    wide.cpu.setGpr(1, 0x1_0000_7000n);
    wide.run("sysexit", { size: 8 });
    expect([wide.rsp, wide.cpu.selector(Segment.CS), wide.cpu.selector(Segment.SS)]).toEqual([
      0x1_0000_7000, 0x33, 0x3b,
    ]);
  });
  test("SYSEXIT raises #GP(0) above CPL 0 and for a non-canonical RDX", () => {
    prepared(3).expectFault("sysexit", { size: 4 }, Vector.GP, 0);
    const world = prepared(0);
    world.cpu.setGpr(2, 1n << 63n);
    world.expectFault("sysexit", { size: 8 }, Vector.GP, 0);
  });
});

describe("SWAPGS", () => {
  test("exchanges the base of GS with IA32_KERNEL_GS_BASE", () => {
    const world = prepared(0);
    world.cpu.setU64(L.MSR_KERNEL_GS_BASE, 0x1234n);
    world.run("swapgs");
    expect(world.cpu.segment(Segment.GS).base).toBe(0x1234n);
    expect(world.cpu.u64(L.MSR_KERNEL_GS_BASE)).toBe(0n);
  });
  test("is #UD outside 64-bit mode and #GP(0) above CPL 0", () => {
    prepared(0, false).expectFault("swapgs", {}, Vector.UD);
    prepared(3).expectFault("swapgs", {}, Vector.GP, 0);
  });
});

test("Sel constants match the STAR convention used here", () => {
  expect([Sel.USER_CODE32, Sel.USER_DATA, Sel.USER_CODE64]).toEqual([0x23, 0x2b, 0x33]);
});
