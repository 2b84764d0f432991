import { describe, expect, test } from "vitest";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr4, Flag } from "../../../src/cpu/registers.ts";
import { At, INNER_STACK, Sel, STACK, World } from "./world.ts";

/** ptr16:32 as the decoder puts it into the immediate. */
const far = (selector: number, offset: number) => (BigInt(selector) << 32n) | BigInt(offset);
const TARGET = 0x9000;

describe("JMP far in protected mode", () => {
  const cases: [string, 0 | 3, number, number, number, [number, number] | null][] = [
    // name, CPL, attributes of the target, RPL, offset, fault
    ["non-conforming code at CPL", 0, 0xc09b, 0, TARGET, null],
    ["non-conforming code with DPL <> CPL raises #GP(selector)", 0, 0xc0fb, 0, TARGET, [Vector.GP, Sel.FREE]],
    ["non-conforming code with RPL > CPL raises #GP(selector)", 0, 0xc09b, 3, TARGET, [Vector.GP, Sel.FREE]],
    ["conforming code with DPL < CPL", 3, 0xc09f, 3, TARGET, null],
    ["conforming code with DPL > CPL raises #GP(selector)", 0, 0xc0ff, 0, TARGET, [Vector.GP, Sel.FREE]],
    ["data raises #GP(selector)", 0, 0xc093, 0, TARGET, [Vector.GP, Sel.FREE]],
    ["code that is not present raises #NP(selector)", 0, 0xc01b, 0, TARGET, [Vector.NP, Sel.FREE]],
    ["an offset beyond the limit raises #GP(0)", 0, 0x409b, 0, 0x10_0001, [Vector.GP, 0]],
  ];
  test.each(cases)("%s", (_name, cpl, attributes, rpl, offset, fault) => {
    const world = new World();
    world.ring(cpl);
    world.gdt(Sel.FREE, 0, attributes & 0x8000 ? 0xffff_ffff : 0xffff, attributes);
    const fields = { imm: far(Sel.FREE | rpl, offset) };
    if (fault !== null) world.expectFault("jmp_far", fields, ...fault);
    else {
      world.run("jmp_far", fields);
      // CS keeps CPL as its RPL.
      expect(world.cpu.selector(Segment.CS)).toBe(Sel.FREE | cpl);
      expect([world.cpu.rip, world.cpu.cpl]).toEqual([BigInt(offset), cpl]);
    }
  });
  test("a null selector raises #GP(0)", () => {
    new World().expectFault("jmp_far", { imm: far(3, TARGET) }, Vector.GP, 0);
  });
  test("through memory: m16:32", () => {
    const world = new World();
    world.poke(0x6000, 4, TARGET, Sel.CODE16);
    world.run("jmp_far", { mem: 0x6000 });
    expect([world.cpu.selector(Segment.CS), world.cpu.rip]).toEqual([Sel.CODE16, BigInt(TARGET)]);
  });
  test("through a call gate the gate's offset counts, not the instruction's", () => {
    const world = new World();
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, TARGET);
    world.run("jmp_far", { imm: far(Sel.GATE, 0x1111) });
    expect(world.cpu.rip).toBe(BigInt(TARGET));
  });
  test("a call gate cannot be jumped through to an inner level", () => {
    const world = new World();
    world.ring(3);
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, TARGET, 3);
    world.expectFault("jmp_far", { imm: far(Sel.GATE, 0) }, Vector.GP, Sel.CODE32);
  });
  test("from compatibility to 64-bit mode", () => {
    const world = new World("compatibility");
    world.run("jmp_far", { imm: far(Sel.CODE64, TARGET) });
    expect(world.cpu.i32(L.MODE)).toBe(2);
  });
  test("a code segment with both L and D set raises #GP(selector) in IA-32e mode", () => {
    const world = new World("compatibility");
    world.gdt(Sel.FREE, 0, 0xffff_ffff, 0xe09b);
    world.expectFault("jmp_far", { imm: far(Sel.FREE, TARGET) }, Vector.GP, Sel.FREE);
  });
  test("real mode: CS is selector * 16; an offset beyond the limit raises #GP(0)", () => {
    const world = new World("real");
    world.run("jmp_far", { imm: far(0x800, 0x10), size: 2 });
    expect([world.cpu.segment(Segment.CS).base, world.cpu.rip]).toEqual([0x8000n, 0x10n]);
    world.expectFault("jmp_far", { imm: far(0x800, 0x1_0000), size: 4 }, Vector.GP, 0);
  });
});

describe("CALL far and RETF", () => {
  test("a call pushes CS and the next instruction, RETF returns and releases", () => {
    const world = new World();
    world.run("call_far", { imm: far(Sel.CODE32, TARGET), length: 7 });
    expect(world.slots(STACK - 8, 4, 2)).toEqual([At.CODE + 7, Sel.CODE32]);
    world.run("retf", { imm: 16n });
    expect([world.cpu.rip, world.rsp]).toEqual([BigInt(At.CODE + 7), STACK + 16]);
  });
  test("a call whose frame cannot be pushed faults with nothing changed", () => {
    const world = new World();
    world.memory.absent.add((STACK - 1) >> 12);
    world.expectFault("call_far", { imm: far(Sel.CODE32, TARGET), length: 7 }, Vector.PF, 2);
  });
  test("through a 32-bit call gate to an inner level: stack from the TSS, parameters copied", () => {
    const world = new World();
    world.ring(3);
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, TARGET, 3, 2);
    world.poke(At.TSS + 4, 4, INNER_STACK, Sel.DATA32);
    world.poke(STACK, 4, 0x1111, 0x2222);
    world.run("call_far", { imm: far(Sel.GATE | 3, 0), length: 7 });
    const frame = [At.CODE + 7, Sel.USER_CODE32, 0x1111, 0x2222, STACK, Sel.USER_DATA];
    expect(world.slots(INNER_STACK - 24, 4, 6)).toEqual(frame);
    expect([world.cpu.cpl, world.cpu.selector(Segment.CS)]).toEqual([0, Sel.CODE32]);
    expect(world.rings).toEqual(["3->0 CALL"]);
    // And back, giving up the parameters on both stacks.
    world.run("retf", { imm: 8n });
    expect([world.cpu.cpl, world.rsp]).toEqual([3, STACK + 8]);
    expect(world.cpu.rip).toBe(BigInt(At.CODE + 7));
  });
  test("a 16-bit call gate pushes words and cuts its offset to 16 bits", () => {
    const world = new World();
    world.gate(At.GDT + Sel.GATE, 4, Sel.CODE32, 0x5_9000);
    world.run("call_far", { imm: far(Sel.GATE, 0), length: 7 });
    expect(world.slots(STACK - 4, 2, 2)).toEqual([At.CODE + 7, Sel.CODE32]);
    expect(world.cpu.rip).toBe(0x9000n);
  });
  const gates: [string, (world: World) => void, [number, number]][] = [
    ["gate DPL < CPL raises #GP(gate)", (w) => w.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, 0), [13, Sel.GATE]],
    [
      "a gate that is not present raises #NP(gate)",
      (w) => {
        w.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, 0, 3);
        w.memory.bytes[At.GDT + Sel.GATE + 5]! &= 0x7f;
      },
      [Vector.NP, Sel.GATE],
    ],
    ["a null selector in the gate raises #GP(0)", (w) => w.gate(At.GDT + Sel.GATE, 12, 0, 0, 3), [13, 0]],
    [
      "a data segment in the gate raises #GP(selector)",
      (w) => w.gate(At.GDT + Sel.GATE, 12, Sel.DATA32, 0, 3),
      [13, Sel.DATA32],
    ],
    [
      "a null stack selector in the TSS raises #TS(0)",
      (w) => w.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, 0, 3),
      [Vector.TS, 0],
    ],
  ];
  test.each(gates)("call gate at CPL 3: %s", (_name, prepare, fault) => {
    const world = new World();
    world.ring(3);
    prepare(world);
    world.expectFault("call_far", { imm: far(Sel.GATE | 3, 0) }, ...fault);
  });
  test("call gate: DPL < CPL raises #GP(gate) even if RPL is 0", () => {
    const world = new World();
    world.ring(3);
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE32, TARGET);
    world.expectFault("call_far", { imm: far(Sel.GATE, 0) }, Vector.GP, Sel.GATE);
  });
  test("call gate to a less privileged code segment raises #GP(selector)", () => {
    const world = new World();
    world.gate(At.GDT + Sel.GATE, 12, Sel.USER_CODE32, TARGET);
    world.expectFault("call_far", { imm: far(Sel.GATE, 0) }, Vector.GP, Sel.USER_CODE32 & ~3);
  });
  test("a frame that crosses into an absent page faults before anything of it is written", () => {
    const world = new World();
    world.cpu.setGpr(4, BigInt(STACK + 4));
    world.memory.absent.add((STACK - 1) >> 12);
    world.expectFault("call_far", { imm: far(Sel.CODE32, TARGET), length: 7 }, Vector.PF, 2);
    expect(world.read32(STACK)).toBe(0);
  });
  test("a 64-bit call gate: RSP0, null SS, quadwords, no parameters", () => {
    const world = new World("long");
    world.ring(3, true);
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE64, TARGET, 3);
    world.poke(At.TSS + 4, 8, INNER_STACK);
    world.poke(0x6000, 4, 0);
    world.poke(0x6004, 2, Sel.GATE | 3);
    world.run("call_far", { mem: 0x6000, length: 6 });
    expect(world.slots(INNER_STACK - 32, 8, 4)).toEqual([At.CODE + 6, Sel.USER_CODE64, STACK, Sel.USER_DATA]);
    expect(world.cpu.segment(Segment.SS)).toMatchObject({ selector: 0, isNull: true });
  });
  test("a 64-bit call gate whose upper half has a type raises #GP(gate)", () => {
    const world = new World("long");
    world.gate(At.GDT + Sel.GATE, 12, Sel.CODE64, TARGET, 3);
    world.poke(At.GDT + Sel.GATE + 12, 4, 0x0c00);
    world.poke(0x6000, 4, 0, Sel.GATE);
    world.expectFault("call_far", { mem: 0x6000 }, Vector.GP, Sel.GATE);
  });

  const returns: [string, number, number, [number, number]][] = [
    ["a null code selector raises #GP(0)", 0, Sel.USER_DATA, [Vector.GP, 0]],
    ["a selector whose RPL is less than CPL raises #GP(selector)", Sel.CODE32, 0, [Vector.GP, Sel.CODE32]],
    ["non-conforming code with DPL <> RPL raises #GP(selector)", Sel.CODE32 | 3, 0, [Vector.GP, Sel.CODE32]],
  ];
  test.each(returns)("RETF: %s", (_name, code, _stack, fault) => {
    const world = new World();
    if (code === Sel.CODE32) world.ring(3);
    world.poke(STACK, 4, TARGET, code);
    world.expectFault("retf", { size: 4 }, ...fault);
  });
  test("RETF to an outer level: a null stack selector raises #GP(0), a foreign one #GP(selector)", () => {
    const world = new World();
    world.poke(STACK, 4, TARGET, Sel.USER_CODE32, STACK, 0);
    world.expectFault("retf", { size: 4 }, Vector.GP, 0);
    world.poke(STACK + 12, 4, Sel.DATA32);
    world.expectFault("retf", { size: 4 }, Vector.GP, Sel.DATA32);
  });
  test("a return to an outer level makes data segments null that it may not use", () => {
    const world = new World();
    world.poke(STACK, 4, TARGET, Sel.USER_CODE32, STACK + 0x100, Sel.USER_DATA);
    world.cpu.setSegment(Segment.ES, { ...world.cpu.segment(Segment.ES), attributes: 0xc0f3 });
    world.run("retf", { size: 4 });
    expect(world.cpu.segment(Segment.DS).isNull).toBe(true);
    expect(world.cpu.segment(Segment.ES).isNull).toBe(false);
    expect(world.rings).toEqual(["0->3 RET"]);
  });
  test("real mode: words on a 16-bit stack", () => {
    const world = new World("real");
    world.run("call_far", { imm: far(0x900, 4), size: 2, length: 5 });
    expect(world.slots(0x8000 - 4, 2, 2)).toEqual([At.CODE + 5, 0]);
    world.run("retf", { size: 2 });
    expect([world.cpu.rip, world.rsp]).toEqual([BigInt(At.CODE + 5), 0x8000]);
  });
});

describe("IRET", () => {
  test("real mode takes IOPL and IF, a 16-bit IRET keeps the upper half of EFLAGS", () => {
    const world = new World("real");
    world.cpu.rflags = 2 | Flag.AC;
    world.poke(0x8000, 2, 0x10, 0x900, 2 | Flag.IF | Flag.IOPL | Flag.CF);
    world.run("iret", { size: 2 });
    expect(world.cpu.rflags).toBe(2 | Flag.AC | Flag.IF | Flag.IOPL | Flag.CF);
    expect([world.cpu.rip, world.cpu.selector(Segment.CS)]).toEqual([0x10n, 0x900]);
  });
  test("protected mode: at CPL > IOPL neither IF nor IOPL changes", () => {
    const world = new World();
    world.ring(3);
    world.cpu.rflags = 2;
    world.poke(STACK, 4, TARGET, Sel.USER_CODE32, 2 | Flag.IF | Flag.IOPL | Flag.DF | Flag.ID);
    world.run("iret", { size: 4 });
    expect(world.cpu.rflags).toBe(2 | Flag.DF | Flag.ID);
    expect(world.rsp).toBe(STACK + 12);
  });
  test("protected mode to an outer level pops SS:ESP", () => {
    const world = new World();
    world.poke(STACK, 4, TARGET, Sel.USER_CODE32, 2 | Flag.IF, 0x7000, Sel.USER_DATA);
    world.run("iret", { size: 4 });
    expect([world.cpu.cpl, world.rsp, world.cpu.rflags]).toEqual([3, 0x7000, 2 | Flag.IF]);
    expect(world.cpu.segment(Segment.DS).isNull).toBe(true);
  });
  test("to virtual-8086 mode: nine doublewords, CPL 3, segments at selector * 16", () => {
    const world = new World();
    const flags = 2 | Flag.VM | Flag.IF;
    world.poke(STACK, 4, 0x100, 0x200, flags, 0x300, 0x400, 0x500, 0x600, 0x700, 0x800);
    world.run("iret", { size: 4 });
    const { cpu } = world;
    expect([cpu.rip, cpu.cpl, cpu.rflags, world.rsp]).toEqual([0x100n, 3, flags, 0x300]);
    expect([0, 1, 2, 3, 4, 5].map((s) => cpu.selector(s))).toEqual([
      0x500, 0x200, 0x400, 0x600, 0x700, 0x800,
    ]);
    expect(cpu.segment(Segment.GS).base).toBe(0x8000n);
    expect(cpu.i32(L.MODE) & 8).toBe(8);
  });
  test("VM in the image is ignored at CPL 3", () => {
    const world = new World();
    world.ring(3);
    world.poke(STACK, 4, TARGET, Sel.USER_CODE32, 2 | Flag.VM);
    world.run("iret", { size: 4 });
    expect(world.cpu.rflags).toBe(2);
  });
  test("virtual-8086 mode: IOPL < 3 raises #GP(0); IOPL = 3 keeps IOPL", () => {
    const world = new World();
    world.virtual8086(0);
    world.expectFault("iret", { size: 2 }, Vector.GP, 0);
    world.virtual8086(3);
    world.poke(0x7000, 2, 0x10, 0x20, 2 | Flag.IF);
    world.run("iret", { size: 2 });
    expect(world.cpu.rflags).toBe(2 | Flag.VM | Flag.IF | Flag.IOPL);
  });
  test("virtual-8086 mode with VME: IF of the image becomes VIF; with VIP pending it raises #GP(0)", () => {
    const world = new World();
    world.virtual8086(0);
    world.cpu.setI32(L.CR4, Cr4.VME);
    world.poke(0x7000, 2, 0x10, 0x20, 2 | Flag.IF);
    world.cpu.rflags |= Flag.VIP;
    world.expectFault("iret", { size: 2 }, Vector.GP, 0);
    world.cpu.rflags &= ~Flag.VIP;
    world.run("iret", { size: 2 });
    expect(world.cpu.rflags).toBe(2 | Flag.VM | Flag.VIF);
  });
  test("64-bit mode always pops SS:RSP, a null SS included", () => {
    const world = new World("long");
    world.poke(STACK, 8, TARGET, Sel.CODE64, 2 | Flag.RF, 0x7000, 0);
    world.run("iret", { size: 8 });
    expect([world.rsp, world.cpu.rip]).toEqual([0x7000, BigInt(TARGET)]);
    expect(world.cpu.segment(Segment.SS).isNull).toBe(true);
    expect(world.cpu.rflags & Flag.RF).toBe(Flag.RF);
  });
  test("64-bit mode to compatibility mode at CPL 3", () => {
    const world = new World("long");
    world.poke(STACK, 8, TARGET, Sel.USER_CODE32, 2, 0x1_0000_7000n, Sel.USER_DATA);
    world.run("iret", { size: 8 });
    expect(world.cpu.i32(L.MODE) & 3).toBe(1);
    expect([world.cpu.cpl, world.rsp]).toEqual([3, 0x7000]);
  });
  test("a return to a 16-bit stack changes SP only", () => {
    const world = new World("long");
    world.gdt(Sel.FREE, 0, 0xffff, 0x00f3);
    world.poke(STACK, 8, TARGET, Sel.USER_CODE32, 2, 0x7000, Sel.FREE | 3);
    world.run("iret", { size: 8 });
    expect(world.rsp).toBe((STACK & ~0xffff) | 0x7000);
  });
  const faults: [string, (number | bigint)[], [number, number]][] = [
    ["a null SS for CPL 3 raises #GP(0)", [TARGET, Sel.USER_CODE64, 2, 0x7000, 0], [13, 0]],
    ["a null SS whose RPL is not the new CPL raises #GP(0)", [TARGET, Sel.CODE64, 2, 0x7000, 1], [13, 0]],
    ["a null SS for compatibility mode raises #GP(0)", [TARGET, Sel.CODE32, 2, 0x7000, 0], [13, 0]],
    ["a non-canonical RIP raises #GP(0)", [1n << 47n, Sel.CODE64, 2, 0x7000, 0], [13, 0]],
    ["a null CS raises #GP(0)", [TARGET, 0, 2, 0x7000, 0], [13, 0]],
    ["data as CS raises #GP(selector)", [TARGET, Sel.DATA32, 2, 0x7000, 0], [13, Sel.DATA32]],
  ];
  test.each(faults)("IRETQ: %s", (_name, frame, fault) => {
    const world = new World("long");
    world.poke(STACK, 8, ...frame);
    world.expectFault("iret", { size: 8 }, ...fault);
  });
});
