/**
 * The processor after power-up, RESET or INIT (SDM vol. 3A table 9-1), and after a start-up IPI. What
 * a boot protocol asks for beyond that is the machine's business.
 */
import type { Core } from "../core.ts";
import { signature } from "../cpuid/index.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { miscEnableReset } from "../msr/architectural.ts";
import { PAT_RESET } from "../msr/mtrr.ts";
import { Cr0, Gpr } from "../registers.ts";
import type { CpuState, SegmentRegister } from "../state.ts";
import {
  ACTIVITY,
  Activity,
  COLD_END,
  MONITOR_ARMED,
  MSR_MISC_ENABLE,
  NMI_BLOCKED,
  PENDING_DEBUG,
  RANDOM_STATE,
} from "./cold-state.ts";
import { randomSeed } from "./counters.ts";
import { DR6_RESET, DR7_RESET } from "./debug-registers.ts";
import { Attribute, SystemType } from "./descriptor.ts";
import { initializeX87, MXCSR_RESET, x87Of } from "./fpu-state.ts";
import { hasFeature, identityOf } from "./identity.ts";
import { REAL_MODE_ATTRIBUTES } from "./segmentation.ts";

/** CR0 after reset: CD, NW, ET. */
const CR0_RESET = Cr0.CD | Cr0.NW | Cr0.ET;

/** Power-up and RESET; INIT keeps the caches, the x87 and SSE state, the MSRs and the TSC. */
export type ResetKind = "power-up" | "init";

/** Puts the processor into its state after `kind`; execution starts at F000:FFF0 = FFFFFFF0H. */
export function resetCpu(core: Core, cpu: CpuState, kind: ResetKind): void {
  const { model, seed } = identityOf(core);
  if (kind === "power-up") {
    cpu.bytes.fill(0, L.FLAGS_RESULT, L.TLB_KEY);
    cpu.bytes.fill(0, L.SEGMENTS, COLD_END);
    cpu.setI32(L.CPU_INDEX, cpu.index);
    // CPU block constants that emitted code relies on.
    cpu.setU64(L.CONST_10000, 0x1_0000n);
    cpu.setI32(L.MXCSR, MXCSR_RESET);
    initializeX87(cpu);
    // FNINIT gives 037FH; power-up gives 0040H and tags that say "zero" (table 9-1).
    x87Of(cpu).controlWord = 0x0040;
    x87Of(cpu).tagWord = 0x5555;
    cpu.setU64(L.XCR0, 1n);
    cpu.setU64(L.MSR_PAT, PAT_RESET);
    cpu.setU64(MSR_MISC_ENABLE, miscEnableReset(hasFeature(core, "monitor")));
    cpu.setU64(RANDOM_STATE, randomSeed(seed, cpu.index));
  }
  for (let register = 0; register < 16; register++) cpu.setGpr(register, 0n);
  cpu.setU64(L.ZERO, 0n);
  // EDX holds family, model and stepping.
  cpu.setGpr32(Gpr.RDX, signature(model));
  cpu.rip = 0xfff0n;
  cpu.rflags = 2;
  const data: SegmentRegister = {
    selector: 0,
    attributes: REAL_MODE_ATTRIBUTES,
    base: 0n,
    limit: 0xffff,
    isNull: false,
  };
  for (const segment of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) {
    cpu.setSegment(segment, data);
  }
  cpu.setSegment(Segment.CS, { ...data, selector: 0xf000, base: 0xffff_0000n });
  cpu.setSegment(Segment.LDTR, { ...data, attributes: Attribute.P | SystemType.LDT });
  cpu.setSegment(Segment.TR, { ...data, attributes: Attribute.P | SystemType.TSS_16_BUSY });
  for (const [base, limit] of [
    [L.GDTR_BASE, L.GDTR_LIMIT],
    [L.IDTR_BASE, L.IDTR_LIMIT],
  ] as const) {
    cpu.setU64(base, 0n);
    cpu.setI32(limit, 0xffff);
  }
  // INIT leaves CD and NW as they are.
  const cr0 = kind === "power-up" ? CR0_RESET : (cpu.cr0 & (Cr0.CD | Cr0.NW)) | Cr0.ET;
  cpu.setU64(L.CR0, 0n);
  cpu.setI32(L.CR0, cr0);
  for (const register of [L.CR2, L.CR3, L.CR4]) cpu.setU64(register, 0n);
  cpu.setU64(L.EFER, 0n);
  for (let register = 0; register < 4; register++) cpu.setU64(L.DR + register * 8, 0n);
  cpu.setU64(L.DR + 6 * 8, BigInt(DR6_RESET >>> 0));
  cpu.setU64(L.DR + 7 * 8, BigInt(DR7_RESET));
  cpu.setI32(L.CPL, 0);
  cpu.setI32(L.SHADOW, 0);
  cpu.setI32(NMI_BLOCKED, 0);
  cpu.setI32(PENDING_DEBUG, 0);
  cpu.setI32(MONITOR_ARMED, 0);
  cpu.setI32(ACTIVITY, Activity.RUNNING);
  core.modeChanged(cpu);
  core.translation.flushAll(cpu);
}

/** An application processor after INIT: it waits for a start-up IPI. */
export function waitForStartup(cpu: CpuState): void {
  cpu.setI32(ACTIVITY, Activity.WAIT_FOR_SIPI);
}

/** A start-up IPI: execution starts in real mode at `vector << 12` (SDM vol. 3A 9.4.4). */
export function startProcessor(core: Core, cpu: CpuState, vector: number): void {
  const cs = cpu.segment(Segment.CS);
  cpu.setSegment(Segment.CS, { ...cs, selector: vector << 8, base: BigInt(vector << 12) });
  cpu.rip = 0n;
  cpu.setI32(ACTIVITY, Activity.RUNNING);
  core.modeChanged(cpu);
}
