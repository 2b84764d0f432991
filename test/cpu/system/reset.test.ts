import { describe, expect, test } from "vitest";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr0 } from "../../../src/cpu/registers.ts";
import {
  Activity,
  activity,
  NMI_BLOCKED,
  readMsr,
  resetCpu,
  setIdentity,
  startProcessor,
  waitForStartup,
} from "../../../src/cpu/system/index.ts";
import { World } from "./world.ts";

describe("after power-up (SDM vol. 3A table 9-1)", () => {
  const world = new World("long");
  world.cpu.setI32(L.XMM, 77);
  world.cpu.setI32(NMI_BLOCKED, 1);
  resetCpu(world.core, world.cpu, "power-up");
  const { cpu } = world;
  test("execution starts at FFFFFFF0H in real mode", () => {
    expect(cpu.segment(Segment.CS).base + cpu.rip).toBe(0xffff_fff0n);
    expect(cpu.segment(Segment.CS)).toMatchObject({ selector: 0xf000, limit: 0xffff });
    expect([cpu.i32(L.MODE), cpu.cpl, cpu.rflags]).toEqual([8, 0, 2]);
  });
  test("control registers, EFER, debug registers", () => {
    expect(cpu.u32(L.CR0)).toBe(0x6000_0010);
    expect([cpu.u64(L.CR2), cpu.u64(L.CR3), cpu.u64(L.CR4), cpu.efer]).toEqual([0n, 0n, 0n, 0]);
    expect([cpu.u32(L.DR + 48), cpu.u32(L.DR + 56)]).toEqual([0xffff_0ff0, 0x400]);
  });
  test("EDX holds family, model and stepping, the other registers zero", () => {
    expect(cpu.gpr(2)).toBe(0x30661n);
    expect([0, 1, 3, 4, 5, 6, 7, 8, 15].every((register) => cpu.gpr(register) === 0n)).toBe(true);
  });
  test("x87 and SSE: FCW 40H, tags 5555H, MXCSR 1F80H, XMM zero, XCR0 1", () => {
    expect([cpu.i32(L.FCW), cpu.i32(L.FTW), cpu.i32(L.MXCSR)]).toEqual([0x40, 0x5555, 0x1f80]);
    expect([cpu.i32(L.XMM), cpu.u64(L.XCR0)]).toEqual([0, 1n]);
  });
  test("descriptor-table registers, task register, PAT", () => {
    expect([cpu.i32(L.GDTR_LIMIT), cpu.i32(L.IDTR_LIMIT)]).toEqual([0xffff, 0xffff]);
    expect(cpu.segment(Segment.TR)).toMatchObject({ selector: 0, limit: 0xffff, attributes: 0x83 });
    expect(readMsr(world.core, cpu, 0x277)).toBe(0x0007_0406_0007_0406n);
  });
  test("NMIs are not blocked, the processor runs, translations are dropped", () => {
    expect([cpu.i32(NMI_BLOCKED), activity(cpu)]).toEqual([0, Activity.RUNNING]);
    expect(world.calls).toContain("flush all");
  });
});

test("INIT keeps x87, SSE, MSRs and CR0.CD and NW", () => {
  const world = new World("long");
  const { cpu } = world;
  cpu.setI32(L.FCW, 0x027f);
  cpu.setI32(L.XMM, 77);
  cpu.setU64(L.MSR_PAT, 0x0006_0406_0007_0406n);
  cpu.setI32(L.CR0, cpu.cr0 | Cr0.CD);
  resetCpu(world.core, cpu, "init");
  expect([cpu.i32(L.FCW), cpu.i32(L.XMM)]).toEqual([0x027f, 77]);
  expect(cpu.u64(L.MSR_PAT)).toBe(0x0006_0406_0007_0406n);
  expect(cpu.u32(L.CR0)).toBe(0x4000_0010);
});

test("a start-up IPI starts at vector << 12 in real mode", () => {
  const world = new World("real");
  resetCpu(world.core, world.cpu, "init");
  waitForStartup(world.cpu);
  expect(activity(world.cpu)).toBe(Activity.WAIT_FOR_SIPI);
  startProcessor(world.core, world.cpu, 0x9a);
  expect(world.cpu.segment(Segment.CS)).toMatchObject({ selector: 0x9a00, base: 0x9_a000n });
  expect([world.cpu.rip, activity(world.cpu)]).toEqual([0n, Activity.RUNNING]);
});

test("processors draw different random numbers, by seed and by number", () => {
  const seeds = [0n, 1n].map((seed) => {
    const world = new World("long");
    setIdentity(world.core, { seed });
    resetCpu(world.core, world.cpu, "power-up");
    world.run("rdrand", { b: L.GPR, size: 8 });
    return world.cpu.gpr(0);
  });
  expect(seeds[0]).not.toBe(seeds[1]);
});
