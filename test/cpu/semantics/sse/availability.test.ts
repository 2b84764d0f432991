/** When MMX and SSE instructions may not run at all, by CR0, CR4 and the x87 status word (SDM vol. 3A 2.5, 13.1, 14.1). */
import { describe, expect, it } from "vitest";
import { Vector } from "../../../../src/cpu/fault.ts";
import { CR0, CR4, FSW, FTW, MXCSR } from "../../../../src/cpu/layout.ts";
import { Cr0, Cr4 } from "../../../../src/cpu/registers.ts";
import type { CpuState } from "../../../../src/cpu/state.ts";
import { buildCase } from "../../../conformance/build-case.ts";
import { COMPLETED } from "../../../conformance/case.ts";
import { HandlerExecutor } from "./handler-executor.ts";

const executor = new HandlerExecutor("interpreter");

type Change = (cpu: CpuState) => void;
const set0 =
  (bits: number): Change =>
  (cpu) =>
    cpu.setI32(CR0, cpu.i32(CR0) | bits);
const clear4 =
  (bits: number): Change =>
  (cpu) =>
    cpu.setI32(CR4, cpu.i32(CR4) & ~bits);
const pending: Change = (cpu) => cpu.setI32(FSW, 0x3881);
const all =
  (...changes: Change[]): Change =>
  (cpu) => {
    for (const change of changes) change(cpu);
  };

/** The vector of one instruction in 64-bit mode. */
function vector(bytes: string, prepare?: Change): number {
  return executor.run(buildCase(64, bytes), prepare)!.vector;
}

const MMX = {
  "PADDB mm,mm": "0f fc c1",
  "MOVD mm,r32": "0f 6e c0",
  EMMS: "0f 77",
  "PSRLW mm,i": "0f 71 d0 01",
};
const SSE = {
  "ADDSS xmm,xmm": "f3 0f 58 c1",
  "PADDB xmm,xmm": "66 0f fc c1",
  "MOVAPS xmm,xmm": "0f 28 c1",
  "PCMPISTRI xmm,xmm,i": "66 0f 3a 63 c1 00",
  "PTEST xmm,xmm": "66 0f 38 17 c1",
};
const BOTH = {
  "MOVQ2DQ xmm,mm": "f3 0f d6 c1",
  "CVTPI2PD xmm,mm": "66 0f 2a c1",
  "CVTTPS2PI mm,xmm": "0f 2c c1",
};

describe.each(Object.entries(MMX))("%s", (_name, bytes) => {
  it("runs with CR4.OSFXSR = 0", () => {
    expect(vector(bytes, clear4(Cr4.OSFXSR))).toBe(COMPLETED);
  });
  it("is #UD with CR0.EM = 1, whatever else holds", () => {
    expect(vector(bytes, all(set0(Cr0.EM | Cr0.TS), pending))).toBe(Vector.UD);
  });
  it("is #NM with CR0.TS = 1, before a pending x87 exception", () => {
    expect(vector(bytes, all(set0(Cr0.TS), pending))).toBe(Vector.NM);
  });
  it("is #MF with an unmasked x87 exception pending", () => {
    expect(vector(bytes, pending)).toBe(Vector.MF);
  });
});

describe.each(Object.entries(SSE))("%s", (_name, bytes) => {
  it("is #UD with CR0.EM = 1 or CR4.OSFXSR = 0, before #NM", () => {
    expect(vector(bytes, set0(Cr0.EM | Cr0.TS))).toBe(Vector.UD);
    expect(vector(bytes, all(clear4(Cr4.OSFXSR), set0(Cr0.TS)))).toBe(Vector.UD);
  });
  it("is #NM with CR0.TS = 1", () => {
    expect(vector(bytes, set0(Cr0.TS))).toBe(Vector.NM);
  });
  it("takes no notice of a pending x87 exception", () => {
    expect(vector(bytes, pending)).toBe(COMPLETED);
  });
});

describe.each(Object.entries(BOTH))("%s", (_name, bytes) => {
  it("obeys the rules of both register files", () => {
    expect(vector(bytes)).toBe(COMPLETED);
    expect(vector(bytes, clear4(Cr4.OSFXSR))).toBe(Vector.UD);
    expect(vector(bytes, set0(Cr0.TS))).toBe(Vector.NM);
    expect(vector(bytes, pending)).toBe(Vector.MF);
  });
  it("makes TOP 0 and all tags valid", () => {
    expect(vector(bytes, (cpu) => cpu.setI32(FSW, 0x3800))).toBe(COMPLETED);
    expect(executor.cpu.i32(FSW)).toBe(0);
    expect(executor.cpu.i32(FTW)).toBe(0);
  });
});

describe("an unmasked SIMD floating-point exception", () => {
  /** DIVSS of numbers by zero: XMM1 is zero. */
  const prepare =
    (change: Change = () => {}): Change =>
    (cpu) => {
      cpu.setI32(MXCSR, 0x1f80 & ~0x200);
      cpu.view.setFloat32(XMM0, 1, true);
      cpu.view.setFloat32(XMM0 + 32, 0, true);
      change(cpu);
    };
  const XMM0 = 0x400;
  it("is #XM and sets its flag in MXCSR, the destination stays", () => {
    expect(vector("f3 0f 5e c1", prepare())).toBe(Vector.XM);
    expect(executor.cpu.i32(MXCSR)).toBe(0x1f80 - 0x200 + 4);
    expect(executor.cpu.view.getFloat32(XMM0, true)).toBe(1);
  });
  it("is #UD with CR4.OSXMMEXCPT = 0", () => {
    expect(vector("f3 0f 5e c1", prepare(clear4(Cr4.OSXMMEXCPT)))).toBe(Vector.UD);
  });
});

describe("MOVNTI", () => {
  it("runs whatever CR0 and CR4 say", () => {
    const c = buildCase(64, "0f c3 04 24", { rax: 0x1234n });
    expect(executor.run(c, all(set0(Cr0.EM | Cr0.TS), clear4(Cr4.OSFXSR)))!.vector).toBe(COMPLETED);
  });
});
