/**
 * Runs conformance cases on the emulated processor, in the same surroundings and under the same rules as the
 * native runner: the case starts at CPL 3, and an exception ends it, which is really delivered: through the
 * IDT, to a HLT at CPL 0. What the event saved on the kernel stack is the outcome.
 */

import * as L from "../../src/cpu/layout.ts";
import { Segment } from "../../src/cpu/layout.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import { Cr0, Cr4, Efer } from "../../src/cpu/registers.ts";
import { Stop } from "../../src/cpu/slice.ts";
import type { CpuState } from "../../src/cpu/state.ts";
import { ACTIVITY, Activity, PENDING_DEBUG } from "../../src/cpu/system/cold-state.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { PhysicalMemory } from "../../src/mmu/physical-memory.ts";
import {
  COMPLETED,
  type ConformanceCase,
  type Executor,
  HUNG,
  initialRflags,
  type Outcome,
  type Patch,
} from "./case.ts";
import {
  EnvironmentMemory,
  GDT_BASE,
  HANDLER_SIZE,
  HANDLERS,
  IDT_BASE,
  IDT_LIMIT,
  KERNEL_STACK,
  LDT_BASE,
  LDT_LIMIT,
  LDT_SELECTOR,
  type Mapped,
  TSS_BASE,
  TSS_LIMIT,
  TSS_SELECTOR,
} from "./emulator-memory.ts";
import {
  codeBase,
  defaultFxImage,
  encodeDescriptor,
  FX_DEFINED,
  GDT,
  GDT_LIMIT,
  LDT,
} from "./environment.ts";
import { loadFxImage, readFxImage } from "./fx-state.ts";
import { SpecialisedStep } from "./specialised-step.ts";

export type Stage = "interpreter" | "specialised";

/** Longest case: a REP string instruction over two pages, with room to spare. */
const MAX_INSTRUCTIONS = 20_000;

const CR0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.PG;
const CR4 =
  Cr4.DE |
  Cr4.PSE |
  Cr4.PAE |
  Cr4.MCE |
  Cr4.PGE |
  Cr4.OSFXSR |
  Cr4.OSXMMEXCPT |
  Cr4.UMIP |
  Cr4.FSGSBASE |
  Cr4.OSXSAVE |
  Cr4.SMEP |
  Cr4.SMAP;
const EFER = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
/** x87 and SSE. */
const XCR0 = 3n;
const DR6_RESET = 0xffff_0ff0n;
const DR6_BS = 0x4000n;

const VECTOR_DB = 1;
const VECTOR_BP = 3;
const VECTOR_PF = 14;
/** Vectors whose frame starts with an error code. */
const WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** Descriptors by selector without RPL, as the hidden part of a segment register wants them. */
const DESCRIPTORS: ReadonlyMap<number, bigint> = new Map([
  ...[...GDT].map(([index, d]) => [index * 8, d] as const),
  ...LDT.map((d) => [d.selector & ~3, encodeDescriptor(d)] as const),
]);

export class EmulatorExecutor implements Executor {
  readonly name: string;
  readonly #processor: Processor;
  readonly #cpu: CpuState;
  readonly #physical: PhysicalMemory;
  readonly #memory: EnvironmentMemory;
  readonly #defaultFx = defaultFxImage();
  readonly #specialised: SpecialisedStep | null;
  /** The writable windows with the content the running case started with. */
  readonly #writable: { window: Mapped; now: Uint8Array; expected: Uint8Array }[];

  constructor(stage: Stage, machine: Pick<Machine, "processor" | "states" | "memory">) {
    this.name = `emulator, ${stage}`;
    this.#processor = machine.processor;
    this.#cpu = machine.states[0]!;
    this.#physical = machine.memory;
    this.#memory = new EnvironmentMemory(machine.memory);
    this.#specialised =
      stage === "specialised" ? new SpecialisedStep(machine.processor, machine.memory.memory) : null;
    this.#writable = this.#memory.windows
      .filter((w) => w.writable)
      .map((window) => ({
        window,
        now: machine.memory.view(window.physical, window.size)!,
        expected: window.content.slice(),
      }));
    this.#enterLongMode();
  }

  static async open(stage: Stage): Promise<EmulatorExecutor> {
    return new EmulatorExecutor(stage, new Machine({ memory: 16 << 20, cpu: "max" }));
  }

  async run(cases: readonly ConformanceCase[]): Promise<Outcome[]> {
    return cases.map((c) => this.#runOne(c));
  }

  async close(): Promise<void> {}

  #enterLongMode(): void {
    const cpu = this.#cpu;
    cpu.setU64(L.CR0, BigInt(CR0 >>> 0));
    cpu.setU64(L.CR3, BigInt(this.#memory.root));
    cpu.setU64(L.CR4, BigInt(CR4 >>> 0));
    cpu.setU64(L.EFER, BigInt(EFER));
    cpu.setU64(L.XCR0, XCR0);
    cpu.setU64(L.GDTR_BASE, GDT_BASE);
    cpu.setI32(L.GDTR_LIMIT, GDT_LIMIT);
    cpu.setU64(L.IDTR_BASE, IDT_BASE);
    cpu.setI32(L.IDTR_LIMIT, IDT_LIMIT);
    const system = (index: number, selector: number, base: bigint, limit: number, attributes: number): void =>
      cpu.setSegment(index, { selector, attributes, base, limit, isNull: false });
    system(Segment.LDTR, LDT_SELECTOR, LDT_BASE, LDT_LIMIT, 0x82);
    system(Segment.TR, TSS_SELECTOR, TSS_BASE, TSS_LIMIT, 0x8b);
    this.#processor.translation.flushAll(cpu);
  }

  #runOne(c: ConformanceCase): Outcome {
    this.#poke(c);
    this.#load(c);
    this.#specialised?.run(this.#cpu, MAX_INSTRUCTIONS);
    let left = MAX_INSTRUCTIONS;
    let stop: number = Stop.NONE;
    while (stop === Stop.NONE && left > 0) {
      stop = this.#processor.execute(this.#cpu, left);
      left -= Math.max(1, this.#processor.spent);
    }
    const outcome = this.#outcome(c, stop);
    this.#restore(c);
    return outcome;
  }

  #poke(c: ConformanceCase): void {
    this.#memory.poke(c.codeAddress, c.bytes);
    for (const patch of c.patches) {
      this.#memory.poke(patch.address, patch.bytes);
      for (const { window, expected } of this.#writable) copyInto(expected, window.linear, patch);
    }
  }

  #restore(c: ConformanceCase): void {
    this.#memory.restore(c.codeAddress, c.bytes.length);
    for (const patch of c.patches) {
      this.#memory.restore(patch.address, patch.bytes.length);
      for (const { window, expected } of this.#writable) {
        const from = Math.max(patch.address, window.linear) - window.linear;
        const to = Math.min(patch.address + patch.bytes.length, window.linear + window.size) - window.linear;
        if (from < to) expected.set(window.content.subarray(from, to), from);
      }
    }
  }

  #load(c: ConformanceCase): void {
    const cpu = this.#cpu;
    for (let i = 0; i < 16; i++) cpu.setU64(L.GPR + i * 8, c.gpr[i]!);
    cpu.rflags = initialRflags(c);
    cpu.rip = BigInt(c.codeAddress - codeBase(c.selectors[1]));
    for (let i = 0; i < 6; i++) this.#loadSegment(i, c.selectors[i]!);
    if (c.mode === 64) {
      cpu.setU64(L.SEGMENTS + Segment.FS * L.SEGMENT_STRIDE + L.SEGMENT_BASE, c.fsBase);
      cpu.setU64(L.SEGMENTS + Segment.GS * L.SEGMENT_STRIDE + L.SEGMENT_BASE, c.gsBase);
    }
    loadFxImage(cpu, c.fx ?? this.#defaultFx);
    cpu.setI32(L.CPL, 3);
    cpu.setU64(L.CR2, 0n);
    cpu.setU64(L.DR + 6 * 8, DR6_RESET);
    cpu.setI32(L.SHADOW, 0);
    cpu.setI32(ACTIVITY, Activity.RUNNING);
    cpu.setI32(PENDING_DEBUG, 0);
    this.#processor.modeChanged(cpu);
  }

  #loadSegment(index: number, selector: number): void {
    const descriptor = DESCRIPTORS.get(selector & ~3);
    if (descriptor === undefined || (selector & ~3) === 0) {
      this.#cpu.setSegment(index, { selector, attributes: 0, base: 0n, limit: 0, isNull: true });
      return;
    }
    const low = Number(descriptor & 0xffff_ffffn);
    const high = Number(descriptor >> 32n);
    const limit = (low & 0xffff) | (high & 0xf_0000);
    const base = (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);
    const attributes = (high >>> 8) & 0xf0ff;
    this.#cpu.setSegment(index, {
      selector,
      attributes,
      base: BigInt(base >>> 0),
      limit: attributes & 0x8000 ? ((limit << 12) | 0xfff) >>> 0 : limit,
      isNull: false,
    });
  }

  #outcome(c: ConformanceCase, stop: number): Outcome {
    const cpu = this.#cpu;
    const halted =
      stop === Stop.IDLE && cpu.rip > HANDLERS && cpu.rip < HANDLERS + BigInt(256 * HANDLER_SIZE);
    let vector = halted
      ? Number((cpu.rip - 1n - HANDLERS) / BigInt(HANDLER_SIZE))
      : stop === Stop.SHUTDOWN
        ? 8
        : HUNG;
    const hasError = WITH_ERROR_CODE.has(vector);
    const frame = (slot: number): bigint => this.#physical.read64(this.#memory.stackEnd - slot * 8);
    // From the top of the kernel stack down: SS, RSP, RFLAGS, CS, RIP, error code (SDM vol. 3A figure 6-9).
    let rip = halted ? frame(5) : cpu.rip;
    const start = BigInt(c.codeAddress - codeBase(c.selectors[1]));
    if (halted && cpu.gpr(4) !== KERNEL_STACK - BigInt(hasError ? 48 : 40)) vector = HUNG;
    if (vector === VECTOR_DB && cpu.u64(L.DR + 6 * 8) & DR6_BS) vector = COMPLETED;
    else if (vector === VECTOR_BP && BigInt.asUintN(64, rip - 1n - start) >= BigInt(c.bytes.length)) {
      vector = COMPLETED;
      rip--;
    }
    const gpr = new BigUint64Array(16);
    for (let i = 0; i < 16; i++) gpr[i] = cpu.gpr(i);
    if (halted) gpr[4] = frame(2);
    const selectors = [0, 1, 2, 3, 4, 5].map((i) => cpu.selector(i));
    if (halted) {
      selectors[Segment.CS] = Number(frame(4) & 0xffffn);
      selectors[Segment.SS] = Number(frame(1) & 0xffffn);
    }
    const before = c.fx ?? this.#defaultFx;
    const fx = readFxImage(cpu, before);
    let changed = false;
    for (let i = 0; i < FX_DEFINED && !changed; i++) changed = fx[i] !== before[i];
    return {
      vector,
      errorCode: halted && hasError ? Number(frame(6) & 0xffff_ffffn) : 0,
      cr2: vector === VECTOR_PF ? cpu.u64(L.CR2) : 0n,
      rip,
      rflags: halted ? Number(frame(3)) : cpu.rflags,
      gpr,
      selectors,
      fsBase: cpu.segment(Segment.FS).base,
      gsBase: cpu.segment(Segment.GS).base,
      fx: changed ? fx : null,
      changes: this.#takeChanges(),
    };
  }

  /** Runs of changed quadwords; the windows then hold again what the case started with. */
  #takeChanges(): Patch[] {
    const changes: Patch[] = [];
    for (const { window, now, expected } of this.#writable) {
      if (Buffer.compare(now, expected) === 0) continue;
      const same = (q: number): boolean => {
        for (let i = q; i < q + 8; i++) if (now[i] !== expected[i]) return false;
        return true;
      };
      for (let q = 0; q < window.size; q += 8) {
        if (same(q)) continue;
        let end = q + 8;
        while (end < window.size && !same(end)) end += 8;
        changes.push({ address: window.linear + q, bytes: now.slice(q, end) });
        now.set(expected.subarray(q, end), q);
        q = end;
      }
    }
    return changes;
  }
}

function copyInto(expected: Uint8Array, base: number, patch: Patch): void {
  const from = Math.max(patch.address, base);
  const to = Math.min(patch.address + patch.bytes.length, base + expected.length);
  if (from < to) expected.set(patch.bytes.subarray(from - patch.address, to - patch.address), from - base);
}
