import { describe, expect, test } from "vitest";
import { parseCpuModel } from "../../../src/cpu/cpuid/index.ts";
import { Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Cr0, Cr4 } from "../../../src/cpu/registers.ts";
import { setIdentity } from "../../../src/cpu/system/index.ts";
import { World } from "./world.ts";

const AREA = 0x6000;
const STATE = [L.MXCSR, L.X87 + 8 * L.X87_STRIDE] as const;

function world(mode: ConstructorParameters<typeof World>[0] = "long"): World {
  const made = new World(mode);
  made.cpu.setI32(L.CR4, Cr4.PAE | Cr4.OSFXSR | Cr4.OSXSAVE);
  made.cpu.setU64(L.XCR0, 3n);
  made.cpu.setI32(L.FCW, 0x037f);
  made.cpu.setI32(L.FTW, 0xffff);
  return made;
}
/** Recognisable contents everywhere: TOP = 6, R6 and R7 in use. */
function fill(made: World): void {
  const { cpu } = made;
  cpu.setI32(L.FCW, 0x0f7f);
  cpu.setI32(L.FSW, 6 << 11);
  cpu.setI32(L.FTW, 0x0fff);
  cpu.setI32(L.FOP, 0x123);
  cpu.setU64(L.FIP, 0x1122_3344_5566n);
  cpu.setU64(L.FDP, 0x7788_99aa_bbccn);
  cpu.setI32(L.FCS, 0x33);
  cpu.setI32(L.FDS, 0x2b);
  for (let register = 0; register < 8; register++) {
    cpu.setU64(L.X87 + register * 16, 0x8000_0000_0000_0000n | BigInt(register));
    cpu.view.setUint16(L.X87 + register * 16 + 8, 0x3fff + register, true);
  }
  for (let register = 0; register < 16; register++) {
    cpu.setU64(L.XMM + register * 32, BigInt(register + 1) * 0x0101_0101_0101_0101n);
    cpu.setU64(L.XMM + register * 32 + 8, BigInt(register + 1));
  }
  cpu.setI32(L.MXCSR, 0x1f83);
}
const state = (made: World) => made.cpu.bytes.slice(...STATE);
function clear(made: World): void {
  made.cpu.bytes.fill(0, ...STATE);
  made.cpu.setI32(L.FCW, 0x037f);
  made.cpu.setI32(L.FTW, 0xffff);
}

describe("FXSAVE and FXRSTOR", () => {
  test("the image: words, tag bits by physical register, registers in stack order", () => {
    const made = world();
    fill(made);
    made.run("fxsave", { mem: AREA, size: 4 });
    expect(made.slots(AREA, 2, 4)).toEqual([0x0f7f, 6 << 11, 0xc0, 0x123]);
    expect(made.slots(AREA + 8, 4, 6)).toEqual([0x3344_5566, 0x33, 0x99aa_bbcc, 0x2b, 0x1f83, 0xffff]);
    // ST(0) is R6.
    expect(made.read16(AREA + 32 + 8)).toBe(0x3fff + 6);
    expect(made.read16(AREA + 32 + 2 * 16 + 8)).toBe(0x3fff);
    expect(made.read64(AREA + 160 + 15 * 16)).toBe(0x1010_1010_1010_1010n);
  });
  test.each([4, 8] as const)("operand size %i restores what it saved", (size) => {
    const made = world();
    fill(made);
    if (size === 8) {
      // The 64-bit image has no selectors.
      made.cpu.setI32(L.FCS, 0);
      made.cpu.setI32(L.FDS, 0);
    } else {
      made.cpu.setU64(L.FIP, 0x5566n);
      made.cpu.setU64(L.FDP, 0xbbccn);
    }
    const before = state(made);
    made.run("fxsave", { mem: AREA, size });
    clear(made);
    made.run("fxrstor", { mem: AREA, size });
    // The tag word keeps only which registers are empty.
    expect(made.cpu.i32(L.FTW)).toBe(0x0fff);
    expect(state(made)).toEqual(before);
  });
  test("outside 64-bit mode XMM8-XMM15 are neither saved nor loaded", () => {
    const made = world("protected");
    fill(made);
    made.memory.bytes.fill(0xcc, AREA, AREA + 512);
    made.run("fxsave", { mem: AREA });
    expect(made.read32(AREA + 288)).toBe(0xcccc_cccc);
    made.poke(AREA + 24, 4, 0x1f80);
    made.run("fxrstor", { mem: AREA });
    expect(made.cpu.u64(L.XMM + 8 * 32)).toBe(0x0909_0909_0909_0909n);
  });
  test("a reserved bit of MXCSR raises #GP(0) before anything is loaded", () => {
    const made = world();
    made.poke(AREA + 24, 4, 0x1_1f80);
    const before = state(made);
    made.expectFault("fxrstor", { mem: AREA }, Vector.GP, 0);
    expect(state(made)).toEqual(before);
  });
  test.each(["fxsave", "fxrstor"])(
    "%s: #NM with CR0.TS or CR0.EM, #GP(0) when not 16-byte aligned",
    (name) => {
      const made = world();
      made.expectFault(name, { mem: AREA + 8 }, Vector.GP, 0);
      for (const bit of [Cr0.TS, Cr0.EM]) {
        const { cr0 } = made.cpu;
        made.cpu.setI32(L.CR0, cr0 | bit);
        made.expectFault(name, { mem: AREA }, Vector.NM);
        made.cpu.setI32(L.CR0, cr0);
      }
    },
  );
});

describe("LDMXCSR and STMXCSR", () => {
  test("move 32 bits; a reserved bit raises #GP(0)", () => {
    const made = world();
    made.poke(AREA, 4, 0x9fc0);
    made.run("ldmxcsr", { mem: AREA });
    made.run("stmxcsr", { mem: AREA + 4 });
    expect(made.read32(AREA + 4)).toBe(0x9fc0);
    made.poke(AREA, 4, 0x1_0000);
    made.expectFault("ldmxcsr", { mem: AREA }, Vector.GP, 0);
  });
  test.each([
    ["CR0.EM", Vector.UD, (w: World) => w.cpu.setI32(L.CR0, w.cpu.cr0 | Cr0.EM)],
    ["CR4.OSFXSR = 0", Vector.UD, (w: World) => w.cpu.setI32(L.CR4, Cr4.PAE)],
    ["CR0.TS", Vector.NM, (w: World) => w.cpu.setI32(L.CR0, w.cpu.cr0 | Cr0.TS)],
  ])("%s: vector %i", (_name, vector, prepare) => {
    const made = world();
    prepare(made);
    made.expectFault("ldmxcsr", { mem: AREA }, vector);
    made.expectFault("stmxcsr", { mem: AREA }, vector);
  });
});

describe("the XSAVE family", () => {
  const request = (made: World, bits: number) => {
    made.cpu.setGpr(0, BigInt(bits));
    made.cpu.setGpr(2, 0n);
  };
  const header = (made: World) => [made.read64(AREA + 512), made.read64(AREA + 520)];

  test.each([
    ["xsave", 3n, 0n],
    ["xsaveopt", 3n, 0n],
    ["xsavec", 3n, (1n << 63n) | 3n],
    ["xsaves", 3n, (1n << 63n) | 3n],
  ])("%s, then XRSTOR, gives the same state", (name, present, layout) => {
    const made = world();
    fill(made);
    made.cpu.setI32(L.FCS, 0);
    made.cpu.setI32(L.FDS, 0);
    const before = state(made);
    request(made, 3);
    made.run(name, { mem: AREA, size: 8 });
    expect(header(made)).toEqual([present, layout]);
    clear(made);
    made.run(name === "xsaves" ? "xrstors" : "xrstor", { mem: AREA, size: 8 });
    expect(state(made)).toEqual(before);
  });
  test("XSTATE_BV shows which components are in use; XSAVE keeps the bits not asked for", () => {
    const made = world();
    made.poke(AREA + 512, 8, 2n);
    request(made, 1);
    made.run("xsave", { mem: AREA });
    expect(header(made)[0]).toBe(2n);
    made.cpu.setI32(L.FCW, 0x027f);
    made.run("xsave", { mem: AREA });
    expect(header(made)[0]).toBe(3n);
  });
  test("XSAVEOPT and XSAVEC do not write components in their initial configuration, XSAVE does", () => {
    for (const [name, expected] of [
      ["xsave", 0],
      ["xsaveopt", 0xcccc_cccc],
      ["xsavec", 0xcccc_cccc],
    ] as const) {
      const made = world();
      made.memory.bytes.fill(0xcc, AREA, AREA + 512);
      request(made, 3);
      made.run(name, { mem: AREA });
      expect([name, made.read32(AREA + 160)]).toEqual([name, expected]);
    }
  });
  test("the compacted format counts MXCSR to the SSE component", () => {
    const made = world();
    made.cpu.setI32(L.MXCSR, 0x1fa0);
    request(made, 3);
    made.run("xsavec", { mem: AREA });
    expect(header(made)[0]).toBe(2n);
  });
  test("XRSTOR puts components whose XSTATE_BV bit is clear into their initial configuration", () => {
    const made = world();
    fill(made);
    made.poke(AREA + 24, 4, 0x1f80);
    request(made, 3);
    made.run("xrstor", { mem: AREA });
    expect(made.cpu.i32(L.FCW)).toBe(0x037f);
    expect(made.cpu.u64(L.XMM)).toBe(0n);
    expect(made.cpu.u64(L.X87)).toBe(0n);
  });
  test("XRSTOR of the standard format loads MXCSR even if XSTATE_BV[1] = 0", () => {
    const made = world();
    made.poke(AREA + 24, 4, 0x1fa5);
    request(made, 2);
    made.run("xrstor", { mem: AREA });
    expect(made.cpu.i32(L.MXCSR)).toBe(0x1fa5);
  });
  test("components not asked for are left alone", () => {
    const made = world();
    fill(made);
    request(made, 2);
    made.run("xrstor", { mem: AREA });
    expect(made.cpu.i32(L.FCW)).toBe(0x0f7f);
    expect(made.cpu.u64(L.XMM)).toBe(0n);
  });

  const bad: [string, string, (made: World) => void][] = [
    ["xrstor", "XSTATE_BV names a component that XCR0 does not enable", (w) => w.poke(AREA + 512, 8, 4n)],
    ["xrstor", "bytes 23:8 of the header are not zero", (w) => w.poke(AREA + 528, 8, 1n)],
    [
      "xrstor",
      "compacted, XSTATE_BV has a bit not in XCOMP_BV",
      (w) => w.poke(AREA + 512, 8, 3n, (1n << 63n) | 1n),
    ],
    ["xrstor", "compacted, XCOMP_BV has a bit not in XCR0", (w) => w.poke(AREA + 520, 8, (1n << 63n) | 4n)],
    [
      "xrstor",
      "compacted, bytes 63:16 of the header are not zero",
      (w) => w.poke(AREA + 520, 8, 1n << 63n, 0, 0, 1),
    ],
    ["xrstor", "MXCSR has a reserved bit set", (w) => w.poke(AREA + 24, 4, 0x8000_0000)],
    ["xrstors", "XCOMP_BV[63] = 0", () => {}],
    ["xsaves", "CPL > 0", (w) => w.ring(3, true)],
    ["xrstors", "CPL > 0", (w) => w.ring(3, true)],
  ];
  test.each(bad)("%s, #GP(0): %s", (name, _condition, prepare) => {
    const made = world();
    fill(made);
    request(made, 3);
    prepare(made);
    const before = state(made);
    made.expectFault(name, { mem: AREA }, Vector.GP, 0);
    expect(state(made)).toEqual(before);
  });
  test.each(["xsave", "xsavec", "xrstor"])(
    "%s: #UD, #NM, #GP(0) by CR4.OSXSAVE, CR0.TS, alignment",
    (name) => {
      const made = world();
      made.expectFault(name, { mem: AREA + 32 }, Vector.GP, 0);
      made.cpu.setI32(L.CR0, made.cpu.cr0 | Cr0.TS);
      made.expectFault(name, { mem: AREA }, Vector.NM);
      made.cpu.setI32(L.CR4, Cr4.PAE);
      made.expectFault(name, { mem: AREA }, Vector.UD);
    },
  );
  test("a page fault on the last component leaves the area as it was", () => {
    const made = world();
    setIdentity(made.core, { model: parseCpuModel("max") });
    made.cpu.setU64(L.XCR0, 0x203n);
    made.cpu.setI32(L.PKRU, 0x5555);
    fill(made);
    request(made, 0x203);
    const at = 0x7000 - 2688 + 64 * 10;
    made.memory.absent.add((at + 2688) >> 12);
    made.expectFault("xsave", { mem: at & ~63 }, Vector.PF, 2);
    expect(made.memory.bytes.slice(at & ~63, (at & ~63) + 512).every((byte) => byte === 0)).toBe(true);
  });
  test("PKRU is saved and restored, in both formats", () => {
    for (const [name, offset] of [
      ["xsave", 2688],
      ["xsavec", 576],
    ] as const) {
      const made = world();
      made.cpu.setU64(L.XCR0, 0x203n);
      made.cpu.setI32(L.PKRU, 0x5555_5554);
      request(made, 0x203);
      made.run(name, { mem: AREA });
      expect(made.read32(AREA + offset)).toBe(0x5555_5554);
      made.cpu.setI32(L.PKRU, 0);
      made.run("xrstor", { mem: AREA });
      expect(made.cpu.i32(L.PKRU)).toBe(0x5555_5554);
    }
  });
});
