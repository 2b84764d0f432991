import { describe, expect, test } from "vitest";
import { RecordFlag } from "../../../src/cpu/decode/record.ts";
import { Vector } from "../../../src/cpu/fault.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Flag } from "../../../src/cpu/registers.ts";
import { CONTINUE, JUMP } from "../../../src/cpu/system/index.ts";
import { At, World } from "./world.ts";

describe("IN and OUT", () => {
  test("IN AL changes AL only, IN EAX clears the upper half of RAX", () => {
    const world = new World("long");
    world.port.next = 0x12;
    world.cpu.setGpr(0, 0xffff_ffff_ffff_ffffn);
    world.run("in_imm", { imm: 0x60n, size: 1 });
    expect(world.cpu.gpr(0)).toBe(0xffff_ffff_ffff_ff12n);
    world.cpu.setGpr(2, 0xcf8n);
    world.run("in_dx", { size: 4 });
    expect(world.cpu.gpr(0)).toBe(0x13n);
    expect(world.port.log).toEqual(["in 60 1", "in cf8 4"]);
  });
  test("an immediate port is unsigned, REX.W means 32 bits", () => {
    const world = new World("long");
    world.cpu.setGpr(0, 0x1_8765_4321n);
    world.run("out_imm", { imm: BigInt.asIntN(8, 0xe9n), size: 1 });
    world.run("out_dx", { size: 8 });
    expect(world.port.log).toEqual(["out e9 1 21", "out 0 4 87654321"]);
  });
});

describe("permission to access ports", () => {
  const user = (iopl = 0) => {
    const world = new World("long");
    world.ring(3, true);
    world.cpu.rflags |= iopl << 12;
    world.cpu.setGpr(2, 0x3f8n);
    // The map follows the TSS: base 68H.
    world.poke(At.TSS + 102, 2, 0x68);
    for (let byte = 0; byte < 0x198; byte++) world.memory.bytes[At.TSS + 0x68 + byte] = 0xff;
    return world;
  };
  const allow = (world: World, port: number) => {
    world.memory.bytes[At.TSS + 0x68 + (port >> 3)]! &= ~(1 << (port & 7));
  };
  test("CPL <= IOPL needs no map", () => {
    user(3).run("in_dx", { size: 1 });
  });
  test("CPL > IOPL raises #GP(0) if any bit of the access is set", () => {
    const world = user();
    world.expectFault("in_dx", { size: 1 }, Vector.GP, 0);
    allow(world, 0x3f8);
    world.run("in_dx", { size: 1 });
    world.expectFault("in_dx", { size: 2 }, Vector.GP, 0);
    allow(world, 0x3f9);
    world.run("out_dx", { size: 2 });
  });
  test("an access may cross a byte of the map", () => {
    const world = user();
    world.cpu.setGpr(2, 0x3f7n);
    allow(world, 0x3f7);
    world.expectFault("in_dx", { size: 2 }, Vector.GP, 0);
    allow(world, 0x3f8);
    world.run("in_dx", { size: 2 });
  });
  test("a port beyond the limit of the TSS raises #GP(0)", () => {
    const world = user();
    world.cpu.setGpr(2, 0xffffn);
    world.expectFault("in_dx", { size: 1 }, Vector.GP, 0);
  });
  test("a 16-bit TSS has no map", () => {
    const world = user();
    allow(world, 0x3f8);
    world.cpu.setSegment(Segment.TR, { ...world.cpu.segment(Segment.TR), attributes: 0x83 });
    world.expectFault("in_dx", { size: 1 }, Vector.GP, 0);
  });
  test("virtual-8086 mode always asks the map", () => {
    const world = new World();
    world.virtual8086(3);
    world.poke(At.TSS + 102, 2, 0x68);
    world.memory.bytes[At.TSS + 0x68] = 0xff;
    world.expectFault("in_imm", { imm: 4n, size: 1 }, Vector.GP, 0);
  });
});

describe("INS and OUTS", () => {
  test("REP INSB reads rCX elements to ES:rDI, upwards or downwards", () => {
    const world = new World("long");
    world.port.next = 1;
    world.cpu.setGpr(7, 0x6000n);
    world.cpu.setGpr(1, 3n);
    expect(world.run("ins", { size: 1, flags: RecordFlag.REP })).toBe(CONTINUE);
    expect([...world.memory.bytes.slice(0x6000, 0x6004)]).toEqual([1, 2, 3, 0]);
    expect([world.cpu.gpr(7), world.cpu.gpr(1)]).toEqual([0x6003n, 0n]);
    world.cpu.rflags |= Flag.DF;
    world.run("ins", { size: 2 });
    expect(world.cpu.gpr(7)).toBe(0x6001n);
  });
  test("OUTSW writes from DS:rSI", () => {
    const world = new World();
    world.poke(0x6000, 2, 0xbeef);
    world.cpu.setGpr(6, 0x6000n);
    world.cpu.setGpr(2, 0x1f0n);
    world.run("outs", { size: 2 });
    expect(world.port.log).toEqual(["out 1f0 2 beef"]);
    expect(world.cpu.gpr(6)).toBe(0x6002n);
  });
  test("a page fault in the middle keeps what is done, and no port was read for the element that faults", () => {
    const world = new World("long");
    world.memory.absent.add(7);
    world.cpu.setGpr(7, 0x6ffen);
    world.cpu.setGpr(1, 4n);
    expect(() => world.run("ins", { size: 1, flags: RecordFlag.REP })).toThrow(
      expect.objectContaining({ vector: Vector.PF, error: 2 }),
    );
    expect([world.cpu.gpr(7), world.cpu.gpr(1)]).toEqual([0x7000n, 2n]);
    expect(world.port.log).toHaveLength(2);
    world.memory.absent.clear();
    world.run("ins", { size: 1, flags: RecordFlag.REP });
    expect([...world.memory.bytes.slice(0x6ffe, 0x7002)]).toEqual([0, 1, 2, 3]);
  });
  test("a long repetition comes back at the same instruction", () => {
    const world = new World("long");
    world.cpu.setGpr(7, 0x6000n);
    world.cpu.setGpr(1, 1000n);
    let calls = 1;
    while (world.run("ins", { size: 4, flags: RecordFlag.REP }) === JUMP) {
      calls++;
      expect(world.cpu.rip).toBe(BigInt(At.CODE));
    }
    expect([calls, world.port.log.length, world.cpu.gpr(7)]).toEqual([4, 1000, 0x6000n + 4000n]);
  });
  test("with a 16-bit address size SI wraps in its segment", () => {
    const world = new World("real");
    world.cpu.setGpr(6, 0x1_ffffn);
    world.run("outs", { size: 1, addressSize: 2 });
    expect(world.cpu.gpr(6)).toBe(0x1_0000n);
  });
});
