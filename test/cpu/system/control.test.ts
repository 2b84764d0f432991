import { describe, expect, test } from "vitest";
import { parseCpuModel } from "../../../src/cpu/cpuid/index.ts";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment, Shadow } from "../../../src/cpu/layout.ts";
import { Cr0, Cr4, Efer, Flag } from "../../../src/cpu/registers.ts";
import { Activity, activity, EVENT, setIdentity } from "../../../src/cpu/system/index.ts";
import { At, Sel, STACK, World } from "./world.ts";

const RAX = L.GPR;
type WorldMode = ConstructorParameters<typeof World>[0];

function writeControl(world: World, register: number, value: bigint): void {
  world.cpu.setGpr(0, value);
  world.run("mov_to_cr", { a: register, b: RAX, length: 3 });
}
function refuseControl(world: World, register: number, value: bigint): void {
  world.cpu.setGpr(0, value);
  world.expectFault("mov_to_cr", { a: register, b: RAX }, Vector.GP, 0);
}

describe("MOV to CR0", () => {
  const PE_PG = 0x8000_0001n;
  const refused: [string, WorldMode, bigint, (world: World) => void][] = [
    ["PG set with PE clear", "protected", 0x8000_0000n, () => {}],
    ["NW set with CD clear", "protected", 0x2000_0001n, () => {}],
    ["a bit of 63:32 set", "long", PE_PG | (1n << 32n), () => {}],
    ["PG cleared in 64-bit mode", "long", 1n, () => {}],
    [
      "PG cleared while CR4.PCIDE is set",
      "compatibility",
      1n,
      (w) => w.cpu.setI32(L.CR4, w.cpu.cr4 | Cr4.PCIDE),
    ],
    [
      "paging with EFER.LME set but without CR4.PAE",
      "protected",
      PE_PG,
      (w) => w.cpu.setI32(L.EFER, Efer.LME),
    ],
    [
      "activating IA-32e mode in a code segment with L set",
      "protected",
      PE_PG,
      (w) => {
        w.cpu.setI32(L.EFER, Efer.LME);
        w.cpu.setI32(L.CR4, Cr4.PAE);
        w.cpu.setSegment(Segment.CS, { ...w.cpu.segment(Segment.CS), attributes: 0xa09b });
      },
    ],
    [
      "PAE paging with reserved bits in a PDPTE",
      "protected",
      PE_PG,
      (w) => {
        w.cpu.setI32(L.CR4, Cr4.PAE);
        w.pdptesValid = false;
      },
    ],
  ];
  test.each(refused)("#GP(0): %s", (_name, mode, value, prepare) => {
    const world = new World(mode);
    prepare(world);
    refuseControl(world, 0, value);
  });
  test("#GP(0) above CPL 0", () => {
    const world = new World();
    world.ring(3);
    refuseControl(world, 0, 1n);
  });
  test("setting PG with EFER.LME sets LMA; clearing it in compatibility mode clears LMA", () => {
    const world = new World();
    world.cpu.setI32(L.CR4, Cr4.PAE);
    world.cpu.setI32(L.EFER, Efer.LME);
    writeControl(world, 0, PE_PG);
    expect(world.cpu.efer).toBe(Efer.LME | Efer.LMA);
    expect(world.calls).toContain("flush all");
    expect(world.cpu.rip).toBe(BigInt(At.CODE + 3));
    writeControl(world, 0, 1n);
    expect(world.cpu.efer).toBe(Efer.LME);
  });
  test("ET is always one, undefined bits read as zero", () => {
    const world = new World();
    writeControl(world, 0, 0x1000_0fc1n);
    world.run("mov_from_cr", { a: 0, b: L.GPR + 8 });
    expect(world.cpu.gpr(1)).toBe(BigInt(Cr0.PE | Cr0.ET));
  });
});

describe("MOV to CR3, CR4, CR8", () => {
  test("CR3: a bit at or above MAXPHYADDR raises #GP(0)", () => {
    const world = new World("long");
    refuseControl(world, 3, 1n << 40n);
    refuseControl(world, 3, 1n << 63n);
    writeControl(world, 3, 0x1234_5000n);
    expect(world.calls).toEqual(["cr3 keep=false"]);
  });
  test("CR3: bit 63 keeps translations while CR4.PCIDE is set, and is not stored", () => {
    const world = new World("long");
    world.cpu.setI32(L.CR4, Cr4.PAE | Cr4.PCIDE);
    writeControl(world, 3, (1n << 63n) | 0x1005n);
    expect(world.calls).toEqual(["cr3 keep=true"]);
    expect(world.cpu.u64(L.CR3)).toBe(0x1005n);
  });
  const refused: [string, WorldMode, number, (world: World) => void][] = [
    ["a reserved bit", "protected", 1 << 23, () => {}],
    ["LA57 on a model without it", "protected", Cr4.LA57, () => {}],
    ["clearing PAE in IA-32e mode", "long", 0, () => {}],
    ["PCIDE outside IA-32e mode", "protected", Cr4.PCIDE, () => {}],
    ["PCIDE while CR3[11:0] is not 0", "long", Cr4.PAE | Cr4.PCIDE, (w) => w.cpu.setU64(L.CR3, 1n)],
  ];
  test.each(refused)("CR4, #GP(0): %s", (_name, mode, value, prepare) => {
    const world = new World(mode);
    prepare(world);
    refuseControl(world, 4, BigInt(value >>> 0));
  });
  test("LA57 may be set before, not in, IA-32e mode", () => {
    const world = new World("protected");
    setIdentity(world.core, { model: parseCpuModel("x86-64-v2,+la57") });
    writeControl(world, 4, BigInt(Cr4.LA57 | Cr4.PAE));
    expect(world.cpu.cr4).toBe(Cr4.LA57 | Cr4.PAE);
    const long = new World("long");
    setIdentity(long.core, { model: parseCpuModel("x86-64-v2,+la57") });
    refuseControl(long, 4, BigInt(Cr4.LA57 | Cr4.PAE));
  });
  test("a model without SMEP has CR4.SMEP reserved", () => {
    const world = new World("long");
    writeControl(world, 4, BigInt(Cr4.PAE | Cr4.SMEP));
    const plain = new World("long");
    setIdentity(plain.core, { model: parseCpuModel("qemu64") });
    refuseControl(plain, 4, BigInt(Cr4.PAE | Cr4.SMEP));
  });
  test("a change of CR4.PGE drops all translations", () => {
    const world = new World("long");
    writeControl(world, 4, BigInt(Cr4.PAE | Cr4.PGE));
    expect(world.calls).toEqual(["flush all"]);
  });
  test("CR8 is the local APIC's task priority; bits above 3 raise #GP(0)", () => {
    const world = new World("long");
    writeControl(world, 8, 9n);
    expect(world.port.apic.cr8).toBe(9);
    refuseControl(world, 8, 16n);
  });
  test.each([1, 5, 6, 7, 9, 15])("CR%i is #UD", (register) => {
    const world = new World("long");
    world.expectFault("mov_to_cr", { a: register, b: RAX }, Vector.UD);
    world.expectFault("mov_from_cr", { a: register, b: RAX }, Vector.UD);
  });
});

describe("LMSW, SMSW, CLTS", () => {
  test("LMSW sets PE but cannot clear it", () => {
    const world = new World("real");
    world.cpu.setGpr(0, 0x0001n);
    world.run("lmsw", { b: RAX });
    expect(world.cpu.cr0 & Cr0.PE).toBe(Cr0.PE);
    world.cpu.setGpr(0, 0x000en);
    world.run("lmsw", { b: RAX });
    expect(world.cpu.cr0 & 0xf).toBe(0xf);
  });
  test("SMSW writes 16 bits to memory and the operand size to a register", () => {
    const world = new World();
    world.poke(0x6000, 4, 0xffff_ffff);
    world.run("smsw", { mem: 0x6000, size: 4 });
    expect(world.read32(0x6000)).toBe(0xffff_0011);
    world.run("smsw", { b: RAX, size: 4 });
    expect(world.cpu.gpr(0)).toBe(0x11n);
  });
  test("CLTS clears CR0.TS at CPL 0 only", () => {
    const world = new World();
    world.cpu.setI32(L.CR0, world.cpu.cr0 | Cr0.TS);
    world.run("clts");
    expect(world.cpu.cr0 & Cr0.TS).toBe(0);
    world.ring(3);
    world.expectFault("clts", {}, Vector.GP, 0);
  });
});

describe("descriptor-table registers", () => {
  test("LGDT in 64-bit mode loads ten bytes, SGDT stores them", () => {
    const world = new World("long");
    world.poke(0x6000, 2, 0x7f);
    world.poke(0x6002, 8, 0xffff_8000_0000_1000n);
    world.run("lgdt", { mem: 0x6000, size: 8 });
    expect(world.cpu.u64(L.GDTR_BASE)).toBe(0xffff_8000_0000_1000n);
    world.run("sgdt", { mem: 0x6100, size: 8 });
    expect(world.memory.bytes.slice(0x6100, 0x610a)).toEqual(world.memory.bytes.slice(0x6000, 0x600a));
    world.poke(0x6002, 8, 1n << 47n);
    world.expectFault("lidt", { mem: 0x6000, size: 8 }, Vector.GP, 0);
  });
  test("a 16-bit operand size loads 24 bits of base", () => {
    const world = new World();
    world.poke(0x6000, 2, 0x7f, 0x5678, 0xab12);
    world.run("lidt", { mem: 0x6000, size: 2 });
    expect(world.cpu.u64(L.IDTR_BASE)).toBe(0x12_5678n);
  });
  test.each(["sgdt", "sidt", "sldt", "str", "smsw"])("%s raises #GP(0) at CPL 3 with CR4.UMIP", (name) => {
    const world = new World("long");
    world.cpu.setI32(L.CR4, Cr4.PAE | Cr4.UMIP);
    world.run(name, { mem: 0x6000, size: 8 });
    world.ring(3, true);
    world.expectFault(name, { mem: 0x6000, size: 8 }, Vector.GP, 0);
    world.cpu.setI32(L.CR4, Cr4.PAE);
    world.run(name, { mem: 0x6000, size: 8 });
  });
  test("LTR loads a 64-bit TSS and marks it busy", () => {
    const world = new World("long");
    world.poke(At.GDT + Sel.TSS + 8, 4, 0xffff_8000, 0);
    world.cpu.setGpr(0, BigInt(Sel.TSS));
    world.run("ltr", { b: RAX, size: 2 });
    expect(world.cpu.segment(Segment.TR)).toMatchObject({
      selector: Sel.TSS,
      base: 0xffff_8000_0000_4000n,
      attributes: 0x8b,
    });
    expect(world.memory.bytes[At.GDT + Sel.TSS + 5]).toBe(0x8b);
    // A busy TSS raises #GP(selector).
    world.expectFault("ltr", { b: RAX, size: 2 }, Vector.GP, Sel.TSS);
  });
  const refused: [string, string, number, [number, number]][] = [
    ["ltr", "a null selector raises #GP(0)", 0, [Vector.GP, 0]],
    ["ltr", "a selector of the LDT raises #GP(selector)", 0x44, [Vector.GP, 0x44]],
    ["ltr", "code raises #GP(selector)", Sel.CODE32, [Vector.GP, Sel.CODE32]],
    ["lldt", "a TSS raises #GP(selector)", Sel.TSS, [Vector.GP, Sel.TSS]],
  ];
  test.each(refused)("%s: %s", (name, _condition, selector, fault) => {
    const world = new World();
    world.cpu.setGpr(0, BigInt(selector));
    world.expectFault(name, { b: RAX, size: 2 }, ...fault);
  });
  test("LLDT takes a null selector, and an LDT that is not present raises #NP(selector)", () => {
    const world = new World();
    world.cpu.setGpr(0, BigInt(Sel.LDT));
    world.run("lldt", { b: RAX, size: 2 });
    expect(world.cpu.segment(Segment.LDTR)).toMatchObject({ base: BigInt(At.LDT), limit: 0x7f });
    world.gdt(Sel.LDT, At.LDT, 0x7f, 0x02);
    world.expectFault("lldt", { b: RAX, size: 2 }, Vector.NP, Sel.LDT);
    world.cpu.setGpr(0, 0n);
    world.run("lldt", { b: RAX, size: 2 });
    expect(world.cpu.segment(Segment.LDTR).isNull).toBe(true);
  });
});

describe("INVLPG and INVPCID", () => {
  test("INVLPG drops the page of the linear address, FS and GS bases applied", () => {
    const world = new World("long");
    world.cpu.setU64(L.SEGMENTS + Segment.GS * L.SEGMENT_STRIDE + L.SEGMENT_BASE, 0x10_0000n);
    world.run("invlpg", { mem: 0x6000, segment: Segment.GS });
    expect(world.calls).toEqual(["flush 106000"]);
  });
  test("a non-canonical address makes INVLPG a NOP", () => {
    const world = new World("long");
    world.cpu.setGpr(3, 1n << 47n);
    world.run("invlpg", { mem: 0, base: L.GPR + 24 });
    expect(world.calls).toEqual([]);
  });
  const invpcid = (type: bigint, low: bigint, address: bigint, cr4 = Cr4.PAE | Cr4.PCIDE) => {
    const world = new World("long");
    world.cpu.setI32(L.CR4, cr4);
    world.cpu.setU64(L.CR3, 5n);
    world.cpu.setGpr(1, type);
    world.poke(0x6000, 8, low, address);
    return { world, fields: { a: L.GPR + 8, mem: 0x6000 } };
  };
  const done: [string, bigint, bigint, bigint, string][] = [
    ["type 0: one address of the current PCID", 0n, 5n, 0x7000n, "flush 7000"],
    ["type 0: an address of another PCID drops that PCID", 0n, 6n, 0x7000n, "flush pcid 6"],
    ["type 1: one PCID", 1n, 5n, 0n, "flush pcid 5"],
    ["type 2: everything", 2n, 0n, 0n, "flush all"],
    ["type 3: everything but global pages, here everything", 3n, 0n, 0n, "flush all"],
  ];
  test.each(done)("INVPCID %s", (_name, type, low, address, call) => {
    const { world, fields } = invpcid(type, low, address);
    world.run("invpcid", fields);
    expect(world.calls).toEqual([call]);
  });
  const refused: [string, bigint, bigint, bigint, number][] = [
    ["a type above 3", 4n, 0n, 0n, Cr4.PAE | Cr4.PCIDE],
    ["bits 63:12 of the descriptor set", 0n, 0x1000n, 0n, Cr4.PAE | Cr4.PCIDE],
    ["a PCID while CR4.PCIDE = 0", 1n, 1n, 0n, Cr4.PAE],
    ["a non-canonical address", 0n, 0n, 1n << 47n, Cr4.PAE],
  ];
  test.each(refused)("INVPCID, #GP(0): %s", (_name, type, low, address, cr4) => {
    const { world, fields } = invpcid(type, low, address, cr4);
    world.expectFault("invpcid", fields, Vector.GP, 0);
  });
});

describe("CLI, STI, PUSHF, POPF", () => {
  const cases: [string, (world: World) => void, "IF" | "VIF" | "#GP"][] = [
    ["real mode", () => {}, "IF"],
    ["CPL 3, IOPL 0", (w) => w.ring(3), "#GP"],
    [
      "CPL 3, IOPL 3",
      (w) => {
        w.ring(3);
        w.cpu.rflags |= Flag.IOPL;
      },
      "IF",
    ],
    [
      "CPL 3 with CR4.PVI",
      (w) => {
        w.ring(3);
        w.cpu.setI32(L.CR4, Cr4.PVI);
      },
      "VIF",
    ],
    ["virtual-8086 mode, IOPL 0", (w) => w.virtual8086(0), "#GP"],
    [
      "virtual-8086 mode with CR4.VME",
      (w) => {
        w.virtual8086(0);
        w.cpu.setI32(L.CR4, Cr4.VME);
      },
      "VIF",
    ],
  ];
  test.each(cases)("STI and CLI in %s act on %s", (name, prepare, effect) => {
    const world = new World(name === "real mode" ? "real" : "protected");
    prepare(world);
    if (effect === "#GP") {
      world.expectFault("sti", {}, Vector.GP, 0);
      world.expectFault("cli", {}, Vector.GP, 0);
      return;
    }
    const before = world.cpu.rflags;
    expect(world.run("sti", { length: 1 })).toBe(EVENT);
    expect(world.cpu.rflags).toBe(before | Flag[effect]);
    world.run("cli");
    expect(world.cpu.rflags).toBe(before);
  });
  test("STI inhibits interrupts for one instruction if IF was clear, and only then", () => {
    const world = new World();
    world.run("sti", { length: 1 });
    expect(world.cpu.i32(L.SHADOW)).toBe(Shadow.STI);
    expect(world.cpu.u64(L.SHADOW_RIP)).toBe(BigInt(At.CODE + 1));
    world.cpu.setI32(L.SHADOW, 0);
    world.run("sti", { length: 1 });
    expect(world.cpu.i32(L.SHADOW)).toBe(0);
  });
  test("STI with VIP pending raises #GP(0) where it would set VIF", () => {
    const world = new World();
    world.virtual8086(0);
    world.cpu.setI32(L.CR4, Cr4.VME);
    world.cpu.rflags |= Flag.VIP;
    world.expectFault("sti", {}, Vector.GP, 0);
  });
  const pops: [string, (world: World) => void, 2 | 4, number, number][] = [
    // name, preparation, size, image, RFLAGS after
    [
      "CPL 0 takes IF and IOPL",
      () => {},
      4,
      Flag.IF | Flag.IOPL | Flag.ID,
      2 | Flag.IF | Flag.IOPL | Flag.ID,
    ],
    ["CPL 3, IOPL 0 keeps IF and IOPL", (w) => w.ring(3), 4, Flag.IF | Flag.IOPL | Flag.AC, 2 | Flag.AC],
    ["VM and RF are never taken", () => {}, 4, Flag.VM | Flag.RF, 2],
    ["VIF and VIP are cleared", (w) => (w.cpu.rflags |= Flag.VIF | Flag.VIP), 4, Flag.VIF | Flag.VIP, 2],
    [
      "a 16-bit POPF keeps the upper half",
      (w) => (w.cpu.rflags |= Flag.AC),
      2,
      Flag.CF,
      2 | Flag.AC | Flag.CF,
    ],
  ];
  test.each(pops)("POPF: %s", (_name, prepare, size, image, expected) => {
    const world = new World();
    prepare(world);
    world.poke(STACK, size, image);
    world.run("popf", { size });
    expect(world.cpu.rflags).toBe(expected);
    expect(world.rsp).toBe(STACK + size);
  });
  test("PUSHF shows VM and RF as zero", () => {
    const world = new World();
    world.cpu.rflags = 2 | Flag.RF | Flag.AC;
    world.run("pushf", { size: 4 });
    expect(world.read32(STACK - 4)).toBe(2 | Flag.AC);
  });
  test("virtual-8086 mode, IOPL 0: PUSHF and POPF raise #GP(0), with VME they use VIF", () => {
    const world = new World();
    world.virtual8086(0);
    world.expectFault("pushf", { size: 2 }, Vector.GP, 0);
    world.expectFault("popf", { size: 2 }, Vector.GP, 0);
    world.cpu.setI32(L.CR4, Cr4.VME);
    world.cpu.rflags |= Flag.VIF;
    world.run("pushf", { size: 2 });
    expect(world.read16(0x7000 - 2)).toBe(2 | Flag.IF | Flag.IOPL);
    world.poke(0x7000 - 2, 2, 2);
    world.run("popf", { size: 2 });
    expect(world.cpu.rflags).toBe(2 | Flag.VM);
  });
});

describe("debug registers", () => {
  test("DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE", () => {
    const world = new World();
    world.cpu.setGpr(0, 0n);
    world.run("mov_to_dr", { a: 5, b: RAX });
    world.run("mov_from_dr", { a: 7, b: L.GPR + 8 });
    expect(world.cpu.gpr(1)).toBe(0x400n);
    world.cpu.setI32(L.CR4, Cr4.DE);
    world.expectFault("mov_from_dr", { a: 4, b: RAX }, Vector.UD);
  });
  test("fixed bits of DR6 and DR7 read as they must", () => {
    const world = new World();
    world.cpu.setGpr(0, 0xffff_ffffn);
    world.run("mov_to_dr", { a: 6, b: RAX });
    world.run("mov_to_dr", { a: 7, b: RAX });
    expect(world.cpu.u32(L.DR + 48)).toBe(0xffff_efff);
    expect(world.cpu.u32(L.DR + 56)).toBe(0xffff_27ff);
  });
  test("a bit of 63:32 of DR6 or DR7 raises #GP(0)", () => {
    const world = new World("long");
    world.cpu.setGpr(0, 1n << 32n);
    world.expectFault("mov_to_dr", { a: 7, b: RAX }, Vector.GP, 0);
    world.run("mov_to_dr", { a: 0, b: RAX });
  });
  test("DR7.GD raises #DB with DR6.BD before the access", () => {
    const world = new World();
    world.cpu.setI32(L.DR + 56, 0x2400);
    world.expectFault("mov_from_dr", { a: 0, b: RAX }, Vector.DB, 0);
    expect(world.cpu.i32(L.DR + 48) & 0x2000).toBe(0x2000);
  });
});

describe("HLT, MONITOR, MWAIT, RSM", () => {
  test.each(["hlt", "invd", "wbinvd", "invlpg", "lmsw", "rdmsr", "wrmsr"])(
    "%s at CPL 3 raises #GP(0)",
    (name) => {
      const world = new World("long");
      world.ring(3, true);
      world.expectFault(name, { mem: 0x6000 }, Vector.GP, 0);
    },
  );
  test("MONITOR and MWAIT are #UD unless the model has them", () => {
    const world = new World("long");
    world.expectFault("monitor", {}, Vector.UD);
    world.expectFault("mwait", {}, Vector.UD);
  });
  test("MWAIT waits once after MONITOR; ECX other than its defined bits raises #GP(0)", () => {
    const world = new World("long");
    setIdentity(world.core, { model: parseCpuModel("max") });
    world.cpu.setGpr(0, 0x6000n);
    world.run("monitor");
    world.cpu.setGpr(1, 2n);
    world.expectFault("mwait", {}, Vector.GP, 0);
    world.cpu.setGpr(1, 0n);
    world.run("mwait");
    expect(activity(world.cpu)).toBe(Activity.MWAIT);
  });
  test("RSM outside system-management mode is #UD", () => {
    new World().expectFault("rsm", {}, Vector.UD);
  });
});

describe("XSETBV, XGETBV, FSGSBASE, STAC", () => {
  const xsave = (mode: WorldMode = "long") => {
    const world = new World(mode);
    world.cpu.setI32(L.CR4, Cr4.PAE | Cr4.OSXSAVE | Cr4.FSGSBASE);
    return world;
  };
  test("XSETBV stores XCR0, XGETBV reads it", () => {
    const world = xsave();
    world.cpu.setGpr(0, 3n);
    world.run("xsetbv");
    world.cpu.setGpr(0, 0n);
    world.run("xgetbv");
    expect(world.cpu.gpr(0)).toBe(3n);
  });
  const refused: [string, bigint, bigint][] = [
    ["bit 0 clear", 0n, 2n],
    ["an unsupported component", 0n, 7n],
    ["ECX other than 0", 1n, 3n],
  ];
  test.each(refused)("XSETBV, #GP(0): %s", (_name, ecx, eax) => {
    const world = xsave();
    world.cpu.setGpr(0, eax);
    world.cpu.setGpr(1, ecx);
    world.expectFault("xsetbv", {}, Vector.GP, 0);
  });
  test("without CR4.OSXSAVE both are #UD", () => {
    new World("long").expectFault("xgetbv", {}, Vector.UD);
    new World("long").expectFault("xsetbv", {}, Vector.UD);
  });
  test("WRFSBASE checks canonicality, RDFSBASE reads 32 or 64 bits", () => {
    const world = xsave();
    world.cpu.setGpr(0, 0xffff_8000_1234_5678n);
    world.run("wrfsbase", { b: RAX, size: 8 });
    world.run("rdfsbase", { b: L.GPR + 8, size: 4 });
    expect(world.cpu.gpr(1)).toBe(0x1234_5678n);
    world.cpu.setGpr(0, 1n << 47n);
    world.expectFault("wrgsbase", { b: RAX, size: 8 }, Vector.GP, 0);
    world.cpu.setI32(L.CR4, Cr4.PAE);
    world.expectFault("rdgsbase", { b: RAX, size: 8 }, Vector.UD);
  });
  test("STAC and CLAC set and clear AC at CPL 0, else #UD", () => {
    const world = xsave();
    world.run("stac");
    expect(world.cpu.rflags).toBe(2 | Flag.AC);
    world.run("clac");
    expect(world.cpu.rflags).toBe(2);
    world.ring(3, true);
    world.expectFault("stac", {}, Vector.UD);
  });
});
