/** Staged instructions whose meaning depends on privilege: single handlers on a bare processor state. */
import { describe, expect, it } from "vitest";
import { R_NEXT, R_REG_B } from "../../../src/cpu/decode/record.ts";
import { ROWS } from "../../../src/cpu/decode/tables/index.ts";
import { Vector } from "../../../src/cpu/fault.ts";
import { buildHandlerModule } from "../../../src/cpu/interpreter/handlers.ts";
import { HandlerOutcome } from "../../../src/cpu/interpreter/outcome.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Mode } from "../../../src/cpu/modes.ts";
import { Cr4, Flag } from "../../../src/cpu/registers.ts";
import { definitions } from "../../../src/cpu/semantics/index.ts";
import { CpuState } from "../../../src/cpu/state.ts";

const STACK_HOST = L.RECORDS + 0x2000;
const STACK = 0x7000n;

class Bench {
  readonly memory = new WebAssembly.Memory({ initial: (L.RECORDS >> 16) + 1 });
  readonly cpu = new CpuState(this.memory, 0);
  readonly view = new DataView(this.memory.buffer);
  /** Calls that were left to a TypeScript helper. */
  helperCalls = 0;

  constructor() {
    this.cpu.setI32(L.MODE, Mode.CODE_64);
    this.cpu.setU64(L.RIP_PAGE, 0x40_0000n);
    this.view.setUint16(L.RECORDS + R_NEXT, 0x123, true);
    this.view.setUint16(L.RECORDS + R_REG_B, L.GPR, true);
    this.cpu.setGpr(4, STACK);
    this.cpu.rflags = 0;
  }

  /** Runs the 64-bit register form of the row that starts with `encoding`. */
  run(encoding: string, operandSize: 2 | 4 | 8 = 8): number {
    const row = ROWS.find((r) => r.text.startsWith(`${encoding} |`))!;
    const form = { row, long: true, operandSize, addressSize: 8, memory: false, repeat: "" } as const;
    const stack = (_record: number, low: number) => STACK_HOST + low - Number(STACK);
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(buildHandlerModule(form, definitions, () => 0)),
      {
        env: { memory: this.memory, helper: () => ++this.helperCalls && HandlerOutcome.CONTINUE },
        mmu: { slowRead: stack, slowWrite: stack, commit: () => {}, legacyAddress: () => 0 },
      },
    );
    return (instance.exports["handler"] as (cpu: number, record: number) => number)(
      this.cpu.block,
      L.RECORDS,
    );
  }

  pushed(value: bigint): void {
    this.view.setBigUint64(STACK_HOST, value, true);
  }
}

describe("CLI and STI", () => {
  it("CPL above IOPL is left to the helper: #GP(0), or VIF in place of IF", () => {
    for (const encoding of ["FA", "FB"]) {
      const bench = new Bench();
      bench.cpu.setI32(L.CPL, 3);
      bench.cpu.rflags = Flag.IF | (2 << 12);
      bench.run(encoding);
      expect(bench.helperCalls).toBe(1);
      expect(bench.cpu.rflags & Flag.IF).toBe(Flag.IF);
    }
  });

  it("CPL equal to IOPL may change IF", () => {
    const bench = new Bench();
    bench.cpu.setI32(L.CPL, 3);
    bench.cpu.rflags = Flag.IF | Flag.IOPL;
    expect(bench.run("FA")).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.rflags & Flag.IF).toBe(0);
  });

  it("STI that sets IF inhibits interrupts for the next instruction", () => {
    const bench = new Bench();
    expect(bench.run("FB")).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.rflags & Flag.IF).toBe(Flag.IF);
    expect(bench.cpu.i32(L.SHADOW)).toBe(L.Shadow.STI);
    expect(bench.cpu.u64(L.SHADOW_RIP)).toBe(0x40_0123n);
  });

  it("STI leaves for the run loop when an interrupt waits, and only then", () => {
    const bench = new Bench();
    bench.cpu.setI32(L.PENDING, 1);
    expect(bench.run("FB")).toBe(HandlerOutcome.EVENT);
    expect(bench.cpu.rip).toBe(0x40_0123n);
    // IF is 1 already: no window opens and no shadow falls.
    bench.cpu.setI32(L.SHADOW, 0);
    expect(bench.run("FB")).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.i32(L.SHADOW)).toBe(0);
  });
});

describe("POPF", () => {
  const ALL = 0x3f_ffffn;

  it("at CPL 0 changes all flags but VM, RF, VIF and VIP", () => {
    const bench = new Bench();
    bench.cpu.rflags = Flag.RF;
    bench.pushed(ALL);
    expect(bench.run("9D")).toBe(HandlerOutcome.EVENT);
    expect(bench.cpu.rflags).toBe(0x24_7fd7);
    expect(bench.cpu.gpr(4)).toBe(STACK + 8n);
  });

  it("above IOPL leaves IF and IOPL alone", () => {
    const bench = new Bench();
    bench.cpu.setI32(L.CPL, 3);
    bench.pushed(ALL & ~BigInt(Flag.TF | Flag.AC));
    expect(bench.run("9D")).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.rflags).toBe(0x20_4cd7);
  });

  it("with a 16-bit operand leaves the upper flags alone", () => {
    const bench = new Bench();
    bench.cpu.rflags = Flag.ID;
    bench.pushed(0n);
    expect(bench.run("9D", 2)).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.rflags).toBe(Flag.ID | 2);
    expect(bench.cpu.gpr(4)).toBe(STACK + 2n);
  });

  it("leaves for the run loop when it opens the window for a waiting interrupt", () => {
    const bench = new Bench();
    bench.pushed(BigInt(Flag.IF));
    expect(bench.run("9D")).toBe(HandlerOutcome.CONTINUE);
    bench.cpu.setI32(L.PENDING, 1);
    bench.cpu.setGpr(4, STACK);
    expect(bench.run("9D")).toBe(HandlerOutcome.CONTINUE);
    bench.cpu.rflags = 0;
    bench.cpu.setGpr(4, STACK);
    expect(bench.run("9D")).toBe(HandlerOutcome.EVENT);
  });
});

describe("FS and GS bases", () => {
  const GS_BASE = L.SEGMENTS + L.Segment.GS * L.SEGMENT_STRIDE + L.SEGMENT_BASE;

  it("SWAPGS exchanges GS.base and IA32_KERNEL_GS_BASE", () => {
    const bench = new Bench();
    bench.cpu.setU64(GS_BASE, 0x1111n);
    bench.cpu.setU64(L.MSR_KERNEL_GS_BASE, 0xffff_8000_0000_0000n);
    expect(bench.run("0F 01 /7 reg rm=0", 4)).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.u64(GS_BASE)).toBe(0xffff_8000_0000_0000n);
    expect(bench.cpu.u64(L.MSR_KERNEL_GS_BASE)).toBe(0x1111n);
  });

  it("SWAPGS above CPL 0 raises #GP(0)", () => {
    const bench = new Bench();
    bench.cpu.setI32(L.CPL, 3);
    expect(bench.run("0F 01 /7 reg rm=0", 4)).toBe(HandlerOutcome.FAULT);
    expect(bench.cpu.i32(L.FAULT_VECTOR)).toBe(Vector.GP);
  });

  it("RDGSBASE and WRGSBASE raise #UD unless CR4.FSGSBASE is set", () => {
    for (const encoding of ["F3 0F AE /1 reg", "F3 0F AE /3 reg"]) {
      const bench = new Bench();
      expect(bench.run(encoding)).toBe(HandlerOutcome.FAULT);
      expect(bench.cpu.i32(L.FAULT_VECTOR)).toBe(Vector.UD);
    }
  });

  it("WRGSBASE of a non-canonical address raises #GP(0), of 57 bits with CR4.LA57 it does not", () => {
    const bench = new Bench();
    bench.cpu.setGpr(0, 0x0080_0000_0000_0000n);
    bench.cpu.setU64(L.CR4, BigInt(Cr4.FSGSBASE));
    expect(bench.run("F3 0F AE /3 reg")).toBe(HandlerOutcome.FAULT);
    expect(bench.cpu.i32(L.FAULT_VECTOR)).toBe(Vector.GP);
    bench.cpu.setU64(L.CR4, BigInt(Cr4.FSGSBASE | Cr4.LA57));
    expect(bench.run("F3 0F AE /3 reg")).toBe(HandlerOutcome.CONTINUE);
    expect(bench.cpu.u64(GS_BASE)).toBe(0x0080_0000_0000_0000n);
  });
});
