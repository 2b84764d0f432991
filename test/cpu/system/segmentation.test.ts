import { describe, expect, test } from "vitest";
import { Fault, Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment, Shadow } from "../../../src/cpu/layout.ts";
import { Flag } from "../../../src/cpu/registers.ts";
import { checkedAddress, EVENT, legacyAddress } from "../../../src/cpu/system/index.ts";
import { SizeFlag } from "../../../src/cpu/system/operand.ts";
import { At, Attr, Sel, STACK, World } from "./world.ts";

const sreg = (segment: number) => L.SEGMENTS + segment * L.SEGMENT_STRIDE;
const RAX = L.GPR;

function load(world: World, segment: number, selector: number): void {
  world.cpu.setGpr(0, BigInt(selector));
  world.run("mov_to_sreg", { a: sreg(segment), b: RAX });
}
function refuse(world: World, segment: number, selector: number, vector: number, error: number): void {
  world.cpu.setGpr(0, BigInt(selector));
  world.expectFault("mov_to_sreg", { a: sreg(segment), b: RAX }, vector, error);
}

describe("MOV to DS, ES, FS, GS in protected mode", () => {
  const FREE = Sel.FREE;
  const cases: [name: string, attributes: number, cpl: 0 | 3, rpl: number, fault: number | null][] = [
    ["data, DPL 0, CPL 0, RPL 0 loads", 0xc093, 0, 0, null],
    ["read-only data loads", 0xc091, 0, 0, null],
    ["readable code loads", 0xc09b, 0, 0, null],
    ["execute-only code raises #GP(selector)", 0xc099, 0, 0, Vector.GP],
    ["a system descriptor raises #GP(selector)", 0x0082, 0, 0, Vector.GP],
    ["data whose DPL is less than RPL raises #GP(selector)", 0xc093, 0, 3, Vector.GP],
    ["data whose DPL is less than CPL raises #GP(selector)", 0xc093, 3, 3, Vector.GP],
    ["conforming readable code loads whatever CPL and RPL are", 0xc09f, 3, 3, null],
    ["non-conforming code whose DPL is less than CPL raises #GP(selector)", 0xc09b, 3, 3, Vector.GP],
    ["data at DPL 3 loads at CPL 3", 0xc0f3, 3, 3, null],
    ["a segment that is not present raises #NP(selector)", 0xc013, 0, 0, Vector.NP],
  ];
  test.each(cases)("%s", (_name, attributes, cpl, rpl, fault) => {
    const world = new World();
    world.ring(cpl);
    world.gdt(FREE, 0x1234, 0xffff_ffff, attributes);
    if (fault === null) {
      load(world, Segment.ES, FREE | rpl);
      expect(world.cpu.segment(Segment.ES)).toMatchObject({
        selector: FREE | rpl,
        base: 0x1234n,
        limit: 0xffff_ffff,
        isNull: false,
      });
    } else refuse(world, Segment.ES, FREE | rpl, fault, FREE);
  });

  test("the accessed bit of the descriptor is set", () => {
    const world = new World();
    world.gdt(FREE, 0, 0xffff, 0x92);
    load(world, Segment.DS, FREE);
    expect(world.memory.view.getUint8(At.GDT + FREE + 5)).toBe(0x93);
  });
  test("a selector outside the descriptor table limits raises #GP(selector)", () => {
    refuse(new World(), Segment.DS, 0x100, Vector.GP, 0x100);
  });
  test("a selector of the LDT while LDTR is null raises #GP(selector)", () => {
    refuse(new World(), Segment.DS, 0x0c, Vector.GP, 0x0c);
  });
  test("a null selector loads, and its use raises #GP(0)", () => {
    const world = new World();
    load(world, Segment.DS, 3);
    expect(world.cpu.segment(Segment.DS)).toMatchObject({ selector: 3, isNull: true });
    expect(() => checkedAddress(world.cpu, Segment.DS, 0n, 1, false)).toThrow(Fault);
  });
  test("MOV to CS is #UD", () => {
    const world = new World();
    world.expectFault("mov_to_sreg", { a: sreg(Segment.CS), b: RAX }, Vector.UD);
  });
});

describe("MOV to SS", () => {
  const cases: [string, "protected" | "compatibility" | "long", 0 | 3, number, [number, number] | null][] = [
    ["a null selector raises #GP(0) in protected mode", "protected", 0, 0, [Vector.GP, 0]],
    ["a null selector raises #GP(0) in compatibility mode", "compatibility", 0, 0, [Vector.GP, 0]],
    ["a null selector loads in 64-bit mode at CPL 0", "long", 0, 0, null],
    ["a null selector whose RPL is not CPL raises #GP(0)", "long", 0, 1, [Vector.GP, 0]],
    ["a null selector raises #GP(0) in 64-bit mode at CPL 3", "long", 3, 3, [Vector.GP, 0]],
    ["RPL <> CPL raises #GP(selector)", "protected", 0, Sel.DATA32 | 1, [Vector.GP, Sel.DATA32]],
    ["DPL <> CPL raises #GP(selector)", "protected", 0, Sel.USER_DATA & ~3, [Vector.GP, Sel.USER_DATA & ~3]],
    ["code raises #GP(selector)", "protected", 0, Sel.CODE32, [Vector.GP, Sel.CODE32]],
    ["writable data at CPL loads", "protected", 3, Sel.USER_DATA, null],
  ];
  test.each(cases)("%s", (_name, mode, cpl, selector, fault) => {
    const world = new World(mode);
    world.ring(cpl, mode === "long");
    if (fault === null) {
      load(world, Segment.SS, selector);
      expect(world.cpu.selector(Segment.SS)).toBe(selector);
    } else refuse(world, Segment.SS, selector, fault[0], fault[1]);
  });
  test("a stack segment that is not present raises #SS(selector)", () => {
    const world = new World();
    world.gdt(Sel.FREE, 0, 0xffff, 0x13);
    refuse(world, Segment.SS, Sel.FREE, Vector.SS, Sel.FREE);
  });
  test("interrupts are inhibited until the next instruction has ended", () => {
    const world = new World();
    world.cpu.setGpr(0, BigInt(Sel.DATA32));
    expect(world.run("mov_to_sreg", { a: sreg(Segment.SS), b: RAX, length: 2 })).toBe(EVENT);
    expect(world.cpu.i32(L.SHADOW)).toBe(Shadow.MOV_SS);
    expect(world.cpu.rip).toBe(BigInt(At.CODE + 2));
  });
});

describe("segment loads without descriptors", () => {
  test("real mode: base is selector * 16, limit and attributes stay as they were", () => {
    const world = new World("real");
    const ds = world.cpu.segment(Segment.DS);
    world.cpu.setSegment(Segment.DS, { ...ds, limit: 0xffff_ffff, attributes: 0xc093 });
    load(world, Segment.DS, 0x1234);
    expect(world.cpu.segment(Segment.DS)).toEqual({
      selector: 0x1234,
      base: 0x1_2340n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
      isNull: false,
    });
  });
  test("virtual-8086 mode: base is selector * 16, limit FFFFH, DPL 3", () => {
    const world = new World();
    world.virtual8086(0);
    load(world, Segment.ES, 0x4321);
    expect(world.cpu.segment(Segment.ES)).toMatchObject({ base: 0x4_3210n, limit: 0xffff, attributes: 0xf3 });
  });
  test("64-bit mode: a null selector clears the base of FS", () => {
    const world = new World("long");
    load(world, Segment.FS, 0);
    expect(world.cpu.segment(Segment.FS)).toMatchObject({ base: 0n, isNull: true });
  });
});

describe("POP and PUSH of segment registers, far pointer loads", () => {
  test("a 32-bit PUSH moves ESP by four and writes two bytes", () => {
    const world = new World();
    world.poke(STACK - 4, 4, 0xdddd_dddd);
    world.run("push_sreg", { a: sreg(Segment.DS), size: 4 });
    expect(world.rsp).toBe(STACK - 4);
    expect(world.read32(STACK - 4)).toBe(0xdddd_0000 + Sel.DATA32);
  });
  test("POP loads the selector and moves the pointer by the operand size", () => {
    const world = new World();
    world.poke(STACK, 4, Sel.USER_DATA);
    world.run("pop_sreg", { a: sreg(Segment.ES), size: 4 });
    expect(world.cpu.selector(Segment.ES)).toBe(Sel.USER_DATA);
    expect(world.rsp).toBe(STACK + 4);
  });
  test("POP of a bad selector faults with the stack pointer unmoved", () => {
    const world = new World();
    world.poke(STACK, 4, Sel.TSS);
    world.expectFault("pop_sreg", { a: sreg(Segment.ES), size: 4 }, Vector.GP, Sel.TSS);
  });
  test("LFS r32, m16:32 loads both", () => {
    const world = new World();
    world.poke(0x6000, 4, 0x8765_4321);
    world.poke(0x6004, 2, Sel.DATA32);
    world.run("lfs", { a: L.GPR + 8, mem: 0x6000, size: 4 });
    expect(world.cpu.gpr(1)).toBe(0x8765_4321n);
    expect(world.cpu.selector(Segment.FS)).toBe(Sel.DATA32);
  });
  test("MOV from a segment register zero-extends into a 32-bit register, writes 16 bits to memory", () => {
    const world = new World();
    world.cpu.setGpr(0, 0xffff_ffff_ffff_ffffn);
    world.run("mov_from_sreg", { a: sreg(Segment.DS), b: RAX, size: 4 });
    expect(world.cpu.gpr(0)).toBe(BigInt(Sel.DATA32));
    world.poke(0x6000, 4, 0xffff_ffff);
    world.run("mov_from_sreg", { a: sreg(Segment.DS), mem: 0x6000, size: 4 });
    expect(world.read32(0x6000)).toBe(0xffff_0000 + Sel.DATA32);
  });
});

describe("addresses in 16- and 32-bit modes", () => {
  const NONE = -1;
  const cases: [string, number, number, number, number, boolean, number][] = [
    // name, attributes, limit, offset, size, write, linear less base
    ["the last byte within the limit is allowed", 0x4093, 0xfff, 0xffc, 4, true, 0xffc],
    ["an operand that exceeds the limit is not", 0x4093, 0xfff, 0xffd, 4, false, NONE],
    ["an operand that wraps past FFFFFFFFH is not", 0xc093, 0xffff_ffff, 0xffff_ffff, 2, false, NONE],
    ["a write to read-only data is not", 0x4091, 0xfff, 0, 1, true, NONE],
    ["a read of read-only data is allowed", 0x4091, 0xfff, 0, 1, false, 0],
    ["a write to code is not", 0x409b, 0xfff, 0, 1, true, NONE],
    ["a read of readable code is allowed", 0x409b, 0xfff, 0, 1, false, 0],
    ["a read of execute-only code is not", 0x4099, 0xfff, 0, 1, false, NONE],
    ["expand-down: an offset at the limit is not", 0x4097, 0xfff, 0xfff, 1, false, NONE],
    ["expand-down: an offset above the limit is allowed", 0x4097, 0xfff, 0x1000, 4, true, 0x1000],
    ["expand-down with B = 0 ends at FFFFH", 0x0097, 0xfff, 0xfffe, 4, false, NONE],
    ["expand-down with B = 1 ends at FFFFFFFFH", 0x4097, 0xfff, 0x1_0000, 4, false, 0x1_0000],
  ];
  test.each(cases)("%s", (_name, attributes, limit, offset, size, write, expected) => {
    const world = new World();
    const base = 0x1000n;
    for (const [segment, vector] of [
      [Segment.ES, Vector.GP],
      [Segment.SS, Vector.SS],
    ] as const) {
      world.cpu.setSegment(segment, { selector: 8, attributes, base, limit, isNull: false });
      const flags = size | (segment << SizeFlag.SEGMENT_SHIFT) | (write ? SizeFlag.WRITE : 0);
      const linear = legacyAddress(world.cpu, offset | 0, flags);
      if (expected === NONE) {
        expect(linear).toBe(-1);
        // A violation of SS raises #SS(0), of any other segment #GP(0).
        expect([world.cpu.i32(L.FAULT_VECTOR), world.cpu.i32(L.FAULT_ERROR)]).toEqual([vector, 0]);
      } else expect(linear).toBe(expected + 0x1000);
    }
  });
  test("real mode checks the limit and no type", () => {
    const world = new World("real");
    const cs = Segment.CS << SizeFlag.SEGMENT_SHIFT;
    expect(legacyAddress(world.cpu, 0xffff, 1 | cs | SizeFlag.WRITE)).toBe(0xffff);
    expect(legacyAddress(world.cpu, 0xffff, 2 | cs)).toBe(-1);
  });
  test("base + offset wraps at 4 GiB", () => {
    const world = new World();
    const segment = {
      selector: 8,
      attributes: 0xc093,
      base: 0xffff_f000n,
      limit: 0xffff_ffff,
      isNull: false,
    };
    world.cpu.setSegment(Segment.ES, segment);
    expect(legacyAddress(world.cpu, 0x2000, 4)).toBe(0x1000);
  });
});

describe("addresses in 64-bit mode", () => {
  test("bases other than those of FS and GS are zero, limits do not exist", () => {
    const world = new World("long");
    const segment = { selector: 8, attributes: 0x93, base: 0x5000n, limit: 0, isNull: false };
    world.cpu.setSegment(Segment.DS, segment);
    world.cpu.setSegment(Segment.GS, segment);
    expect(checkedAddress(world.cpu, Segment.DS, 0x100n, 8, true)).toBe(0x100n);
    expect(checkedAddress(world.cpu, Segment.GS, 0x100n, 8, true)).toBe(0x5100n);
  });
  test.each([
    [Segment.DS, Vector.GP],
    [Segment.SS, Vector.SS],
  ])("a non-canonical address raises #GP(0), or #SS(0) for the stack", (segment, vector) => {
    const world = new World("long");
    expect(() => checkedAddress(world.cpu, segment, 0x8000_0000_0000n, 8, false)).toThrow(
      expect.objectContaining({ vector, error: 0 }),
    );
    // The last byte counts too.
    expect(() => checkedAddress(world.cpu, segment, 0x7fff_ffff_fffcn, 8, false)).toThrow();
    expect(checkedAddress(world.cpu, segment, 0x7fff_ffff_fff8n, 8, false)).toBe(0x7fff_ffff_fff8n);
  });
});

describe("LAR, LSL, VERR, VERW, ARPL", () => {
  const query = (world: World, name: string, selector: number): boolean => {
    world.cpu.setGpr(0, BigInt(selector));
    world.run(name, { a: L.GPR + 8, b: RAX, size: 4 });
    return (world.cpu.statusFlags & Flag.ZF) !== 0;
  };
  test("LAR gives the access rights of a visible segment and sets ZF", () => {
    const world = new World();
    expect(query(world, "lar", Sel.CODE32)).toBe(true);
    expect(world.cpu.gpr(1)).toBe(0x00cf_9b00n & 0x00f0_ff00n);
  });
  test("LSL gives the limit in bytes", () => {
    const world = new World();
    world.gdt(Sel.FREE, 0, 0x7_ffff, 0x8093);
    expect(query(world, "lsl", Sel.FREE)).toBe(true);
    expect(world.cpu.gpr(1)).toBe(0x7_ffffn);
  });
  test.each(["lar", "lsl"])("%s clears ZF and keeps the register for what CPL may not see", (name) => {
    const world = new World();
    world.ring(3);
    world.cpu.setGpr(1, 77n);
    for (const selector of [0, Sel.CODE32 | 3, 0xf8 | 3, 0x400]) {
      expect(query(world, name, selector)).toBe(false);
      expect(world.cpu.gpr(1)).toBe(77n);
    }
    expect(query(world, name, Sel.CONFORMING | 3)).toBe(true);
  });
  test("LSL of a call gate clears ZF, LAR sets it", () => {
    const world = new World();
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, 0);
    expect(query(world, "lsl", Sel.GATE)).toBe(false);
    expect(query(world, "lar", Sel.GATE)).toBe(true);
  });
  test("IA-32e mode knows no 16-bit system types", () => {
    const world = new World("compatibility");
    world.gdt(Sel.FREE, 0, 0xff, 0x81);
    expect(query(world, "lar", Sel.FREE)).toBe(false);
  });
  test.each([
    ["verr", Sel.DATA32, true],
    ["verr", Sel.CODE32, true],
    ["verr", Sel.TSS, false],
    ["verw", Sel.DATA32, true],
    ["verw", Sel.CODE32, false],
  ])("%s of selector %i: ZF = %s", (name, selector, expected) => {
    expect(query(new World(), name as string, selector as number)).toBe(expected);
  });
  test("ARPL raises the RPL of the destination to that of the source", () => {
    const world = new World();
    world.cpu.setGpr(0, 0x10n);
    world.cpu.setGpr(1, 0x23n);
    world.run("arpl", { a: L.GPR + 8, b: RAX, size: 2 });
    expect(world.cpu.gpr(0)).toBe(0x13n);
    expect(world.cpu.statusFlags & Flag.ZF).toBeTruthy();
    world.run("arpl", { a: L.GPR + 8, b: RAX, size: 2 });
    expect(world.cpu.statusFlags & Flag.ZF).toBe(0);
  });
  test.each(["lar", "lsl", "verr", "verw", "arpl"])("%s is #UD in real and virtual-8086 mode", (name) => {
    new World("real").expectFault(name, { a: L.GPR + 8, b: RAX }, Vector.UD);
    const world = new World();
    world.virtual8086(3);
    world.expectFault(name, { a: L.GPR + 8, b: RAX }, Vector.UD);
  });
});

test("attribute constants of the test agree with the GDT they make", () => {
  const world = new World();
  load(world, Segment.ES, Sel.USER_DATA);
  expect(world.cpu.segment(Segment.ES).attributes).toBe(Attr.USER_DATA);
});
