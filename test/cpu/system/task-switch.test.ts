import { describe, expect, test } from "vitest";
import { Fault, Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr0, Flag } from "../../../src/cpu/registers.ts";
import { Dr6, deliverFault, takePendingDebug } from "../../../src/cpu/system/index.ts";
import { At, INNER_STACK, Sel, STACK, World } from "./world.ts";

const far = (selector: number) => BigInt(selector) << 32n;
const ENTRY = 0x9000;
const typeOf = (world: World, selector: number) => world.memory.bytes[At.GDT + selector + 5]! & 15;

/** A world with a second task of CPL 0 and its 32-bit TSS. */
function twoTasks(): World {
  const world = new World();
  world.gdt(Sel.TSS, At.TSS, 0x1ff, 0x008b);
  world.gdt(Sel.TSS2, At.TSS2, 0x67, 0x0089);
  const at = At.TSS2;
  world.poke(at + 0x20, 4, ENTRY, 2 | Flag.CF);
  world.poke(at + 0x28, 4, 10, 11, 12, 13, INNER_STACK, 15, 16, 17);
  const { CODE32, DATA32 } = Sel;
  world.poke(at + 0x48, 4, DATA32, CODE32, DATA32, DATA32, DATA32, 0, 0);
  return world;
}

describe("task switches with 32-bit TSSs", () => {
  test("JMP saves the old task, loads the new one, and moves the busy bit", () => {
    const world = twoTasks();
    const { cpu } = world;
    cpu.setGpr(0, 0xaaaan);
    cpu.rflags = 2 | Flag.IF;
    world.run("jmp_far", { imm: far(Sel.TSS2), length: 7 });
    expect(world.slots(At.TSS + 0x20, 4, 3)).toEqual([At.CODE + 7, 2 | Flag.IF, 0xaaaa]);
    expect(world.read32(At.TSS + 0x38)).toBe(STACK);
    expect(world.read16(At.TSS + 0x4c)).toBe(Sel.CODE32);
    expect([cpu.rip, world.rsp, cpu.gpr(0), cpu.gpr(7)]).toEqual([BigInt(ENTRY), INNER_STACK, 10n, 17n]);
    expect(cpu.rflags).toBe(2 | Flag.CF);
    expect(cpu.selector(Segment.TR)).toBe(Sel.TSS2);
    expect([typeOf(world, Sel.TSS), typeOf(world, Sel.TSS2)]).toEqual([9, 11]);
    // CR0.TS is set on every task switch.
    expect(cpu.cr0 & Cr0.TS).toBeTruthy();
    expect(cpu.segment(Segment.GS).isNull).toBe(true);
  });
  test("CALL leaves the old task busy, links back and sets NT; IRET returns", () => {
    const world = twoTasks();
    world.cpu.setGpr(3, 0xbbbbn);
    world.run("call_far", { imm: far(Sel.TSS2), length: 7 });
    expect(world.read16(At.TSS2)).toBe(Sel.TSS);
    expect(world.cpu.rflags & Flag.NT).toBe(Flag.NT);
    expect([typeOf(world, Sel.TSS), typeOf(world, Sel.TSS2)]).toEqual([11, 11]);
    world.run("iret", { size: 4, length: 1 });
    expect([world.cpu.rip, world.cpu.gpr(3)]).toEqual([BigInt(At.CODE + 7), 0xbbbbn]);
    expect(world.cpu.selector(Segment.TR)).toBe(Sel.TSS);
    expect(typeOf(world, Sel.TSS2)).toBe(9);
    // NT is cleared in what the left task saved; it goes on after its IRET.
    expect(world.slots(At.TSS2 + 0x20, 4, 2)).toEqual([ENTRY + 1, 2 | Flag.CF]);
  });
  test("an exception through a task gate pushes its error code on the new task's stack", () => {
    const world = twoTasks();
    world.idtGate(Vector.DF, 5, Sel.TSS2, 0);
    deliverFault(world.core, world.cpu, Vector.DF, 0);
    expect(world.cpu.selector(Segment.TR)).toBe(Sel.TSS2);
    expect(world.rsp).toBe(INNER_STACK - 4);
    expect(world.read32(INNER_STACK - 4)).toBe(0);
    expect(world.read16(At.TSS2)).toBe(Sel.TSS);
  });
  test("through a task gate in the GDT the gate's DPL counts", () => {
    const world = twoTasks();
    world.gate(At.GDT + Sel.GATE, 5, Sel.TSS2, 0, 0);
    world.run("jmp_far", { imm: far(Sel.GATE) });
    expect(world.cpu.selector(Segment.TR)).toBe(Sel.TSS2);
    const user = twoTasks();
    user.ring(3);
    user.gate(At.GDT + Sel.GATE, 5, Sel.TSS2, 0, 0);
    user.expectFault("jmp_far", { imm: far(Sel.GATE) }, Vector.GP, Sel.GATE);
  });
  test("the T flag of the new TSS raises #DB with DR6.BT", () => {
    const world = twoTasks();
    world.poke(At.TSS2 + 0x64, 2, 1);
    world.run("jmp_far", { imm: far(Sel.TSS2) });
    expect(takePendingDebug(world.cpu)).toBe(Dr6.BT);
  });
  test("local breakpoint enables of DR7 are cleared", () => {
    const world = twoTasks();
    world.cpu.setI32(L.DR + 56, 0x403);
    world.run("jmp_far", { imm: far(Sel.TSS2) });
    expect(world.cpu.i32(L.DR + 56)).toBe(0x402);
  });

  const refused: [string, (world: World) => void, [number, number]][] = [
    ["a busy TSS raises #GP(selector)", (w) => w.gdt(Sel.TSS2, At.TSS2, 0x67, 0x8b), [Vector.GP, Sel.TSS2]],
    [
      "a TSS that is not present raises #NP(selector)",
      (w) => w.gdt(Sel.TSS2, At.TSS2, 0x67, 0x09),
      [11, 0x90],
    ],
    ["a TSS that is too short raises #TS(selector)", (w) => w.gdt(Sel.TSS2, At.TSS2, 0x66, 0x89), [10, 0x90]],
    [
      "an old TSS that cannot be written raises #PF, with nothing changed",
      (w) => w.memory.readOnly.add(At.TSS >> 12),
      [Vector.PF, 3],
    ],
  ];
  test.each(refused)("JMP: %s", (_name, prepare, fault) => {
    const world = twoTasks();
    prepare(world);
    world.expectFault("jmp_far", { imm: far(Sel.TSS2) }, ...fault);
  });
  test("a bad segment of the new task raises #TS(selector) in the new task", () => {
    const world = twoTasks();
    world.poke(At.TSS2 + 0x4c, 4, Sel.DATA32);
    let fault: unknown;
    try {
      world.run("jmp_far", { imm: far(Sel.TSS2) });
    } catch (thrown) {
      fault = thrown;
    }
    expect(fault).toBeInstanceOf(Fault);
    expect(fault).toMatchObject({ vector: Vector.TS, error: Sel.DATA32 });
    expect([world.cpu.selector(Segment.TR), world.cpu.rip]).toEqual([Sel.TSS2, BigInt(ENTRY)]);
  });
  test("IRET with a back link to a task that is not busy raises #TS(selector)", () => {
    const world = twoTasks();
    world.poke(At.TSS, 2, Sel.TSS2);
    world.cpu.rflags = 2 | Flag.NT;
    world.expectFault("iret", { size: 4 }, Vector.TS, Sel.TSS2);
  });
});

test("a 16-bit TSS holds words; the upper halves of the registers stay", () => {
  const world = twoTasks();
  world.gdt(Sel.TSS2, At.TSS2, 0x2b, 0x0081);
  world.poke(At.TSS2 + 0x0e, 2, ENTRY, 2, 10, 11, 12, 13, 0x7000, 15, 16, 17);
  world.poke(At.TSS2 + 0x22, 2, Sel.DATA16, Sel.CODE16, Sel.DATA16, Sel.DATA16, 0);
  world.cpu.setGpr(0, 0x1234_5678n);
  world.run("jmp_far", { imm: far(Sel.TSS2) });
  expect(world.cpu.gpr(0)).toBe(0x1234_000an);
  expect(world.cpu.i32(L.MODE)).toBe(0);
  expect(world.cpu.segment(Segment.FS).isNull).toBe(true);
});

test("IA-32e mode has no task switches: a TSS raises #GP(selector)", () => {
  const world = new World("compatibility");
  world.gdt(Sel.TSS2, At.TSS2, 0x67, 0x89);
  world.expectFault("jmp_far", { imm: far(Sel.TSS2) }, Vector.GP, Sel.TSS2);
});
