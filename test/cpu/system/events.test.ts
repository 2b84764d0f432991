import { describe, expect, test } from "vitest";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr4, Flag } from "../../../src/cpu/registers.ts";
import { combine, type SystemEvent } from "../../../src/cpu/system/events.ts";
import {
  Activity,
  activity,
  Dr6,
  deliverDebug,
  deliverEvent,
  deliverFault,
  NMI_BLOCKED,
  nmiAllowed,
} from "../../../src/cpu/system/index.ts";
import { At, INNER_STACK, IST_STACK, Sel, STACK, World } from "./world.ts";

const HANDLER = 0x9000;
const ALL_FLAGS = Flag.IF | Flag.TF | Flag.NT | Flag.RF | Flag.AC | Flag.CF;

describe("real-address mode", () => {
  test("an interrupt pushes FLAGS, CS, IP and loads CS:IP from the vector table", () => {
    const world = new World("real");
    world.poke(0x20 * 4, 2, 0x1234, 0x0800);
    world.cpu.rflags = 2 | Flag.IF | Flag.TF | Flag.AC | Flag.CF;
    expect(deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x20 })).toBe("delivered");
    expect(world.slots(0x8000 - 6, 2, 3)).toEqual([At.CODE, 0, 2 | Flag.IF | Flag.TF | Flag.CF]);
    expect(world.cpu.segment(Segment.CS)).toMatchObject({ selector: 0x800, base: 0x8000n });
    expect(world.cpu.rip).toBe(0x1234n);
    expect(world.cpu.rflags).toBe(2 | Flag.CF);
  });
  test("an exception pushes no error code", () => {
    const world = new World("real");
    world.poke(13 * 4, 2, 0x1234, 0);
    deliverFault(world.core, world.cpu, Vector.GP, 0x18);
    expect(world.rsp).toBe(0x8000 - 6);
  });
  test("a vector beyond the limit of the table ends in shutdown when #GP and #DF are beyond it too", () => {
    const world = new World("real");
    world.cpu.setI32(L.IDTR_LIMIT, 3);
    expect(deliverFault(world.core, world.cpu, Vector.UD, 0)).toBe("shutdown");
    expect(activity(world.cpu)).toBe(Activity.SHUTDOWN);
  });
});

describe("protected mode", () => {
  test("an interrupt gate at the same level pushes EFLAGS, CS, EIP and the error code; IF is cleared", () => {
    const world = new World();
    world.idtGate(Vector.GP, 14, Sel.CODE32, HANDLER);
    world.cpu.rflags = 2 | (ALL_FLAGS & ~Flag.RF);
    deliverFault(world.core, world.cpu, Vector.GP, 0x48);
    // A fault's image has RF set.
    expect(world.slots(STACK - 16, 4, 4)).toEqual([0x48, At.CODE, Sel.CODE32, 2 | ALL_FLAGS]);
    expect([world.rsp, world.cpu.rip]).toEqual([STACK - 16, BigInt(HANDLER)]);
    expect(world.cpu.rflags).toBe(2 | Flag.AC | Flag.CF);
  });
  test("a trap gate leaves IF alone", () => {
    const world = new World();
    world.idtGate(0x30, 15, Sel.CODE32, HANDLER);
    world.cpu.rflags = 2 | Flag.IF;
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect(world.cpu.rflags).toBe(2 | Flag.IF);
  });
  test("a 16-bit gate pushes words", () => {
    const world = new World();
    world.idtGate(0x30, 6, Sel.CODE32, HANDLER);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect(world.slots(STACK - 6, 2, 3)).toEqual([At.CODE, Sel.CODE32, 2]);
  });
  test("an inner level takes its stack from the TSS and pushes SS:ESP first", () => {
    const world = new World();
    world.ring(3);
    world.idtGate(0x30, 14, Sel.CODE32, HANDLER);
    world.poke(At.TSS + 4, 4, INNER_STACK, Sel.DATA32);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    const frame = [At.CODE, Sel.USER_CODE32, 2, STACK, Sel.USER_DATA];
    expect(world.slots(INNER_STACK - 20, 4, 5)).toEqual(frame);
    expect(world.cpu.selector(Segment.SS)).toBe(Sel.DATA32);
    expect([world.cpu.cpl, world.rsp]).toEqual([0, INNER_STACK - 20]);
    expect(world.rings).toEqual(["3->0 interrupt"]);
  });
  test("virtual-8086 mode: nine slots, data segments become null, VM is cleared", () => {
    const world = new World();
    world.virtual8086(3);
    world.cpu.setSegment(Segment.GS, { ...world.cpu.segment(Segment.GS), selector: 0x55 });
    world.idtGate(0x30, 14, Sel.CODE32, HANDLER);
    world.poke(At.TSS + 4, 4, INNER_STACK, Sel.DATA32);
    const flags = world.cpu.rflags;
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    const frame = [At.CODE, 0, flags, 0x7000, 0, 0, 0, 0, 0x55];
    expect(world.slots(INNER_STACK - 36, 4, 9)).toEqual(frame);
    expect(world.cpu.rflags & Flag.VM).toBe(0);
    expect(world.cpu.segment(Segment.GS)).toMatchObject({ selector: 0, isNull: true });
  });

  /** Faults of INT n itself, seen at CPL 3. */
  const gates: [string, (world: World) => void, number, number][] = [
    [
      "gate DPL < CPL raises #GP(vector * 8 + 2)",
      (w) => w.idtGate(0x30, 14, Sel.CODE32, 0),
      Vector.GP,
      0x182,
    ],
    ["an empty gate raises #GP(vector * 8 + 2)", () => {}, Vector.GP, 0x182],
    [
      "a gate that is not present raises #NP(vector * 8 + 2)",
      (w) => {
        w.idtGate(0x30, 14, Sel.CODE32, 0, 3);
        w.memory.bytes[At.IDT + 0x30 * 8 + 5]! &= 0x7f;
      },
      Vector.NP,
      0x182,
    ],
    ["a null code selector raises #GP(0)", (w) => w.idtGate(0x30, 14, 0, 0, 3), Vector.GP, 0],
    ["a data selector raises #GP(selector)", (w) => w.idtGate(0x30, 14, Sel.DATA32, 0, 3), Vector.GP, 0x10],
    [
      "a TSS too short for the stack raises #TS(TSS selector)",
      (w) => {
        w.idtGate(0x30, 14, Sel.CODE32, HANDLER, 3);
        w.cpu.setSegment(Segment.TR, { ...w.cpu.segment(Segment.TR), limit: 10 });
      },
      Vector.TS,
      Sel.TSS,
    ],
    ["a null stack selector raises #TS(0)", (w) => w.idtGate(0x30, 14, Sel.CODE32, HANDLER, 3), Vector.TS, 0],
    [
      "a stack selector of another level raises #TS(selector)",
      (w) => {
        w.idtGate(0x30, 14, Sel.CODE32, HANDLER, 3);
        w.poke(At.TSS + 4, 4, INNER_STACK, Sel.USER_DATA);
      },
      Vector.TS,
      Sel.USER_DATA & ~3,
    ],
  ];
  test.each(gates)("INT n: %s", (_name, prepare, vector, error) => {
    const world = new World();
    world.ring(3);
    prepare(world);
    world.expectFault("int", { imm: 0x30n }, vector, error);
  });
  test("INT n pushes the address of the next instruction and needs no RF", () => {
    const world = new World();
    world.idtGate(0x80, 15, Sel.CODE32, HANDLER, 3);
    world.run("int", { imm: BigInt.asIntN(8, 0x80n), length: 2 });
    expect(world.slots(STACK - 12, 4, 3)).toEqual([At.CODE + 2, Sel.CODE32, 2]);
  });
  test("EXT is set in the error code of a fault met while an interrupt is delivered", () => {
    const world = new World();
    // The gate of vector 30H is empty; #GP has one.
    world.idtGate(Vector.GP, 14, Sel.CODE32, HANDLER);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect(world.read32(STACK - 16)).toBe(0x30 * 8 + 2 + 1);
  });
  test("INTO interrupts only if OF is set, INT3 through vector 3", () => {
    const world = new World();
    world.idtGate(Vector.OF, 15, Sel.CODE32, HANDLER, 3);
    world.idtGate(Vector.BP, 15, Sel.CODE32, HANDLER + 4, 3);
    expect(world.run("into", {})).toBe(0);
    world.cpu.statusFlags = Flag.OF;
    world.run("into", { length: 1 });
    expect(world.cpu.rip).toBe(BigInt(HANDLER));
    expect(world.read32(STACK - 12)).toBe(At.CODE + 1);
    world.run("int3", { length: 1 });
    expect(world.cpu.rip).toBe(BigInt(HANDLER + 4));
  });
  test("INT1 is not subject to the gate's DPL", () => {
    const world = new World();
    world.ring(3);
    world.idtGate(Vector.DB, 14, Sel.CODE32, HANDLER);
    world.poke(At.TSS + 4, 4, INNER_STACK, Sel.DATA32);
    world.run("int1", { length: 1 });
    expect(world.cpu.rip).toBe(BigInt(HANDLER));
  });
});

describe("virtual-8086 mode and INT n", () => {
  test("IOPL < 3 raises #GP(0)", () => {
    const world = new World();
    world.virtual8086(0);
    world.idtGate(0x30, 14, Sel.CODE32, HANDLER, 3);
    world.expectFault("int", { imm: 0x30n }, Vector.GP, 0);
  });
  test("with CR4.VME and a clear bit of the redirection map it goes through the 8086 table", () => {
    const world = new World();
    world.virtual8086(0);
    world.cpu.setI32(L.CR4, Cr4.VME);
    world.cpu.rflags |= Flag.VIF;
    world.poke(At.TSS + 102, 2, 0x88);
    world.poke(0x30 * 4, 2, 0x1234, 0x0100);
    world.run("int", { imm: 0x30n, length: 2 });
    expect(world.cpu.rip).toBe(0x1234n);
    expect(world.cpu.selector(Segment.CS)).toBe(0x100);
    // The saved image shows VIF as IF and IOPL 3; VIF is cleared, IF is not.
    expect(world.slots(0x7000 - 6, 2, 3)).toEqual([At.CODE + 2, 0, 2 | Flag.IF | Flag.IOPL]);
    expect(world.cpu.rflags & Flag.VIF).toBe(0);
  });
});

describe("IA-32e mode", () => {
  const prepare = () => {
    const world = new World("long");
    world.idtGate64(Vector.PF, 14, Sel.CODE64, 0x9000n);
    world.idtGate64(0x30, 14, Sel.CODE64, 0xffff_8000_0000_9000n, 3);
    return world;
  };
  test("SS:RSP is pushed at the same level too, on a 16-byte boundary", () => {
    const world = prepare();
    world.cpu.setGpr(4, BigInt(STACK - 3));
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    const top = STACK - 16;
    expect(world.slots(top - 40, 8, 5)).toEqual([At.CODE, Sel.CODE64, 2, STACK - 3, Sel.DATA32]);
    expect(world.rsp).toBe(top - 40);
    expect(world.cpu.rip).toBe(0xffff_8000_0000_9000n);
    // Without a change of level SS stays.
    expect(world.cpu.selector(Segment.SS)).toBe(Sel.DATA32);
  });
  test("a change of level loads RSP0 and a null SS with RPL = CPL", () => {
    const world = prepare();
    world.ring(3, true);
    world.poke(At.TSS + 4, 8, INNER_STACK);
    deliverFault(world.core, world.cpu, Vector.PF, 6);
    expect(world.slots(INNER_STACK - 48, 8, 6)).toEqual([
      6,
      At.CODE,
      Sel.USER_CODE64,
      2 | Flag.RF,
      STACK,
      Sel.USER_DATA,
    ]);
    expect(world.cpu.segment(Segment.SS)).toMatchObject({ selector: 0, isNull: true });
    expect(world.cpu.cpl).toBe(0);
  });
  test("an IST index switches stacks even at the same level", () => {
    const world = prepare();
    world.idtGate64(Vector.NMI, 14, Sel.CODE64, 0x9000n, 0, 3);
    world.poke(At.TSS + 36 + 2 * 8, 8, IST_STACK);
    deliverEvent(world.core, world.cpu, { kind: "nmi" });
    expect(world.rsp).toBe(IST_STACK - 40);
    expect(world.read64(IST_STACK - 16)).toBe(BigInt(STACK));
  });
  test("compatibility-mode code is interrupted with 64-bit frames", () => {
    const world = new World("compatibility");
    world.idtGate64(0x30, 14, Sel.CODE64, 0x9000n);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect(world.slots(STACK - 40, 8, 5)).toEqual([At.CODE, Sel.CODE32, 2, STACK, Sel.DATA32]);
  });
  test("a gate to code that is not 64-bit raises #GP(selector)", () => {
    const world = prepare();
    world.idtGate64(0x31, 14, Sel.CODE32, 0x9000n, 3);
    world.expectFault("int", { imm: 0x31n }, Vector.GP, Sel.CODE32);
  });
  test("16-bit and task gates raise #GP(vector * 8 + 2)", () => {
    const world = prepare();
    for (const type of [5, 6, 7]) {
      world.idtGate64(0x31, type, Sel.CODE64, 0x9000n, 3);
      world.expectFault("int", { imm: 0x31n }, Vector.GP, 0x31 * 8 + 2);
    }
  });
  test("a frame at non-canonical addresses raises #SS(0)", () => {
    const world = prepare();
    world.cpu.setGpr(4, 0x8000_0000_1000n);
    world.expectFault("int", { imm: 0x30n }, Vector.SS, 0);
  });
});

describe("double and triple faults", () => {
  const C = Vector.GP;
  const cases: [SystemEvent, number, ReturnType<typeof combine>][] = [
    [{ kind: "fault", vector: Vector.UD, error: 0 }, C, "serial"],
    [{ kind: "fault", vector: Vector.UD, error: 0 }, Vector.PF, "serial"],
    [{ kind: "fault", vector: Vector.DE, error: 0 }, Vector.NP, "double fault"],
    [{ kind: "fault", vector: C, error: 0 }, Vector.PF, "serial"],
    [{ kind: "fault", vector: Vector.PF, error: 0 }, Vector.PF, "double fault"],
    [{ kind: "fault", vector: Vector.PF, error: 0 }, Vector.TS, "double fault"],
    [{ kind: "fault", vector: Vector.PF, error: 0 }, Vector.AC, "serial"],
    [{ kind: "fault", vector: Vector.DF, error: 0 }, Vector.PF, "shutdown"],
    [{ kind: "fault", vector: Vector.DF, error: 0 }, C, "shutdown"],
    [{ kind: "interrupt", vector: Vector.DF }, C, "serial"],
    [{ kind: "nmi" }, Vector.PF, "serial"],
  ];
  test.each(cases)("%o, then vector %i: %s (SDM table 6-5)", (first, second, expected) => {
    expect(combine(first, second)).toBe(expected);
  });

  const userStackFault = () => {
    const world = new World("long");
    world.idtGate64(Vector.PF, 14, Sel.CODE64, 0x9000n);
    world.idtGate64(Vector.DF, 14, Sel.CODE64, 0xa000n, 0, 1);
    world.poke(At.TSS + 36, 8, IST_STACK);
    return world;
  };
  test("a #PF at CPL 0 whose frame cannot be pushed becomes #DF on its IST, with CR2 kept, restartable", () => {
    const world = userStackFault();
    // The application's stack page is absent: the push that faulted, and then the frame of its #PF.
    world.memory.absent.add((STACK - 8) >> 12);
    world.cpu.setU64(L.CR2, BigInt(STACK - 8));
    expect(deliverFault(world.core, world.cpu, Vector.PF, 2)).toBe("delivered");
    expect(world.cpu.rip).toBe(0xa000n);
    expect(Number(world.cpu.u64(L.CR2)) >> 12).toBe((STACK - 8) >> 12);
    const frame = [0, At.CODE, Sel.CODE64, 2 | Flag.RF, STACK, Sel.DATA32];
    expect(world.slots(IST_STACK - 48, 8, 6)).toEqual(frame);
    // The handler maps the page, drops the error code and returns to the faulting instruction.
    world.memory.absent.clear();
    world.cpu.setGpr(4, BigInt(IST_STACK - 40));
    world.run("iret", { size: 8 });
    expect([world.cpu.rip, world.rsp]).toEqual([BigInt(At.CODE), STACK]);
  });
  test("a #PF while #DF is delivered shuts the processor down", () => {
    const world = userStackFault();
    world.memory.absent.add((STACK - 8) >> 12);
    world.memory.absent.add((IST_STACK - 8) >> 12);
    expect(deliverFault(world.core, world.cpu, Vector.PF, 2)).toBe("shutdown");
    expect(activity(world.cpu)).toBe(Activity.SHUTDOWN);
    // Nothing of the interrupted program was lost.
    expect([world.cpu.rip, world.rsp]).toEqual([BigInt(At.CODE), STACK]);
  });
  test("a fault while an interrupt is delivered is handled serially, at the interrupted instruction", () => {
    const world = userStackFault();
    world.idtGate64(0x30, 14, Sel.DATA32, 0x9000n);
    world.idtGate64(Vector.GP, 14, Sel.CODE64, 0xb000n);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect(world.cpu.rip).toBe(0xb000n);
    expect(world.slots(STACK - 48, 8, 2)).toEqual([Sel.DATA32 + 1, At.CODE]);
  });
});

describe("NMI, debug exceptions, shadows", () => {
  test("NMIs are blocked until the next IRET", () => {
    const world = new World("long");
    world.idtGate64(Vector.NMI, 14, Sel.CODE64, 0x9000n);
    deliverEvent(world.core, world.cpu, { kind: "nmi" });
    expect(world.cpu.i32(NMI_BLOCKED)).toBe(1);
    expect(nmiAllowed(world.cpu)).toBe(false);
    world.run("iret", { size: 8 });
    expect(nmiAllowed(world.cpu)).toBe(true);
  });
  test("IRET unblocks NMIs even if it faults", () => {
    const world = new World("long");
    world.cpu.setI32(NMI_BLOCKED, 1);
    world.cpu.rflags = 2 | Flag.NT;
    world.expectFault("iret", { size: 8 }, Vector.GP, 0);
    expect(world.cpu.i32(NMI_BLOCKED)).toBe(0);
  });
  test("a single-step trap sets DR6.BS, keeps sticky bits, and pushes RF = 0", () => {
    const world = new World("long");
    world.idtGate64(Vector.DB, 14, Sel.CODE64, 0x9000n);
    world.cpu.setU64(L.DR + 48, BigInt(Dr6.BT | 1));
    world.cpu.setU64(L.DR + 56, BigInt((1 << 13) | 0x400));
    world.cpu.rflags = 2 | Flag.TF;
    deliverDebug(world.core, world.cpu, Dr6.BS, "trap");
    expect(world.cpu.i32(L.DR + 48)).toBe(Dr6.BT | Dr6.BS);
    // TF is in the image, not in the handler; DR7.GD is cleared on entry.
    expect(world.read64(STACK - 24)).toBe(BigInt(2 | Flag.TF));
    expect(world.cpu.rflags & Flag.TF).toBe(0);
    expect(world.cpu.i32(L.DR + 56)).toBe(0x400);
  });
  test("an instruction breakpoint pushes RF as it was, other faults push RF = 1", () => {
    const world = new World("long");
    world.idtGate64(Vector.DB, 14, Sel.CODE64, 0x9000n);
    deliverDebug(world.core, world.cpu, 1, "fault");
    expect(world.read64(STACK - 24)).toBe(2n);
  });
  test("an interrupt between two iterations of a string instruction pushes RF = 1", () => {
    const world = new World("long");
    world.idtGate64(0x30, 14, Sel.CODE64, 0x9000n);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30, repeating: true });
    expect(world.read64(STACK - 24)).toBe(BigInt(2 | Flag.RF));
  });
  test("delivery ends the interrupt shadow and HLT", () => {
    const world = new World("long");
    world.idtGate64(0x30, 14, Sel.CODE64, 0x9000n);
    world.run("hlt", { length: 1 });
    expect(activity(world.cpu)).toBe(Activity.HALTED);
    expect(world.cpu.rip).toBe(BigInt(At.CODE + 1));
    world.cpu.setI32(L.SHADOW, 1);
    deliverEvent(world.core, world.cpu, { kind: "interrupt", vector: 0x30 });
    expect([activity(world.cpu), world.cpu.i32(L.SHADOW)]).toEqual([Activity.RUNNING, 0]);
  });
});
