/**
 * Counts what happens while it runs: every instruction is stepped, every delivery of an event observed, and each is
 * charged to a phase (`counts.ts`).
 */
import type { SystemObserver, TransferCause } from "../cpu/core.ts";
import {
  CODE_BASE,
  CR3,
  GDTR_BASE,
  IDTR_BASE,
  MODE,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
} from "../cpu/layout.ts";
import { Mode } from "../cpu/modes.ts";
import { Cr4, Flag } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import { peekLinear } from "../debug/peek.ts";
import type { Part, SymbolTable } from "../debug/symbols.ts";
import type { Machine } from "../machine/machine.ts";
import { noPhaseCounts, type Phase, type PhaseCounts } from "./counts.ts";
import { type Effects, type EffectsDecoder, operandAddress } from "./instruction-effects.ts";
import { mappingOf } from "./mapping.ts";
import { StackWatch } from "./stack-watch.ts";
import type { TlbModel } from "./tlb-model.ts";

const RSP = 4;
const RCX = 1;
const MAX_LENGTH = 15;
const CR3_NO_FLUSH = 1n << 63n;
const TSS_RSP0 = 4n;
const TR_BASE = SEGMENTS + Segment.TR * SEGMENT_STRIDE + SEGMENT_BASE;
/** Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP (SDM vol. 3A table 6-1). */
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

interface MemoryAccess {
  readonly address: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** An instruction that has begun. */
interface Begun {
  readonly phase: Phase;
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly rcx: bigint;
  /** RFLAGS.DF: string instructions go down. */
  readonly isDown: boolean;
  readonly effects: Effects;
  readonly accesses: readonly MemoryAccess[];
  /** Of MOV to CR3 and INVLPG. */
  readonly value: bigint;
}

/** A decoded instruction, and the last address space in which its bytes were compared. */
interface Known {
  readonly effects: Effects;
  epoch: number;
}

const NO_EFFECTS: Effects = {
  bytes: new Uint8Array(0),
  kind: "plain",
  operands: [],
  element: 0,
  descriptorReads: 0,
  adjustsRsp: false,
  usesStack: false,
  source: -1,
};

export class Meter implements SystemObserver {
  readonly #machine: Machine;
  readonly #symbols: SymbolTable;
  readonly #decode: EffectsDecoder;
  readonly #tlb: TlbModel;
  readonly #known = new Map<bigint, Known>();
  /** Counts the moments at which an address may have become another's. */
  #epoch = 0;
  #counts: PhaseCounts = noPhaseCounts();
  #begun: Begun | null = null;
  #cycles = 0;
  #vector = 0;
  #isFault = false;
  readonly #stack = new StackWatch();

  constructor(machine: Machine, symbols: SymbolTable, decode: EffectsDecoder, tlb: TlbModel) {
    this.#machine = machine;
    this.#symbols = symbols;
    this.#decode = decode;
    this.#tlb = tlb;
  }

  /** The next `step` is the first instruction of what is counted. */
  begin(): void {
    this.#counts = noPhaseCounts();
    this.#begun = null;
    this.#stack.begin();
    this.#epoch++;
    this.#cycles = this.#machine.cycles;
    this.#machine.forgetFigures();
  }

  /** The instruction that is about to be executed does not count any more. */
  end(cpu: CpuState): PhaseCounts {
    this.#complete(cpu);
    return this.#counts;
  }

  /** The instruction at RIP is about to be executed. */
  step(cpu: CpuState): void {
    this.#complete(cpu);
    const { rip } = cpu;
    const effects = this.#effectsAt(cpu, rip);
    const phase = this.#phase(rip, effects);
    this.#fetch(cpu, phase, rip, effects.bytes.length);
    const rsp = cpu.gpr(RSP);
    this.#stack.step(rsp);
    const switchedBy = effects.usesStack ? this.#stack.use(rsp) : null;
    if (switchedBy !== null) this.#counts[switchedBy].stackSwitches++;
    this.#begun = {
      ...{ phase, rip, effects },
      rsp,
      rcx: cpu.gpr(RCX),
      isDown: effects.element !== 0 && (cpu.rflags & Flag.DF) !== 0,
      accesses: effects.operands.map((operand) => ({
        address: operandAddress(cpu, operand),
        read: operand.read,
        write: operand.write,
      })),
      value: effects.source < 0 ? 0n : cpu.gpr(effects.source),
    };
  }

  event(cpu: CpuState, kind: "fault" | "interrupt" | "software" | "nmi", vector: number): void {
    this.#vector = vector;
    this.#isFault = kind === "fault";
    if (kind === "software") return;
    if (kind === "fault") {
      // The instruction has not been executed: it will be, when it restarts. Its repetitions so far have been.
      this.#charge(this.#begun?.phase ?? "entry");
      if (this.#begun !== null && this.#begun.effects.element !== 0) this.#repetitions(cpu, this.#begun);
      this.#begun = null;
      this.#counts.entry.faults++;
    } else {
      this.#complete(cpu);
      this.#counts.entry.interrupts++;
    }
  }

  transfer(cpu: CpuState, cause: TransferCause, from: number, to: number): void {
    const phase = cause === "event" ? "entry" : (this.#begun?.phase ?? "entry");
    const counts = this.#counts[phase];
    if (from !== to) {
      counts.ringTransitions++;
      // Between rings SS and RSP go over the stack too; a gate's way in reads CS's descriptor and the TSS.
      if (cause === "call gate") {
        counts.reads += 2;
        counts.writes += 2;
      } else if (cause === "RETF") counts.reads += 2;
    }
    if (cause === "event") this.#delivered(cpu);
  }

  /** What a delivery reads and writes (SDM vol. 3A 6.14): gate, CS descriptor, TSS, and the frame. */
  #delivered(cpu: CpuState): void {
    this.#charge("entry");
    const counts = this.#counts.entry;
    const rsp = cpu.gpr(RSP);
    const reads = [cpu.u64(IDTR_BASE) + BigInt(this.#vector) * 16n];
    reads.push(cpu.u64(GDTR_BASE) + BigInt(cpu.selector(Segment.CS) & ~7));
    if (this.#stack.load(rsp)) {
      counts.stackSwitches++;
      reads.push(cpu.u64(TR_BASE) + TSS_RSP0);
    }
    const pushes = this.#isFault && WITH_ERROR_CODE.has(this.#vector) ? 6 : 5;
    counts.reads += reads.length;
    counts.writes += pushes;
    for (const address of reads) this.#translate(cpu, "entry", "data", address);
    for (let i = 0; i < pushes; i++) this.#translate(cpu, "entry", "data", rsp + BigInt(i * 8));
  }

  /** Completes the instruction that has begun, if one has. Cycles since the last one are its own. */
  #complete(cpu: CpuState): void {
    const begun = this.#begun;
    this.#charge(begun?.phase ?? "entry");
    if (begun === null) return;
    this.#begun = null;
    const { effects, phase } = begun;
    const counts = this.#counts[phase];
    if (effects.element !== 0) {
      this.#repetitions(cpu, begun);
      // Between two repetitions it has not come to its end.
      if (cpu.rip !== begun.rip) counts.instructions++;
    } else {
      counts.instructions++;
      for (const { address, read, write } of begun.accesses) {
        if (read) counts.reads++;
        if (write) counts.writes++;
        this.#translate(cpu, phase, "data", address);
      }
    }
    counts.reads += effects.descriptorReads;
    const rsp = cpu.gpr(RSP);
    if (effects.kind === "enter" || effects.kind === "leave") {
      if (this.#stack.load(rsp)) counts.stackSwitches++;
    } else this.#stack.move(begun.rsp, rsp, phase, effects.adjustsRsp);
    this.#followPaging(cpu, begun);
  }

  /** The accesses of a string instruction's repetitions, by how far RCX has counted down; each page once. */
  #repetitions(cpu: CpuState, { rcx, isDown, effects: { element }, phase, accesses }: Begun): void {
    const times = Number(BigInt.asUintN(64, rcx - cpu.gpr(RCX)));
    if (times === 0) return;
    const counts = this.#counts[phase];
    const length = BigInt(times * element);
    for (const { address, read, write } of accesses) {
      if (read) counts.reads += times;
      if (write) counts.writes += times;
      const first = isDown ? address + BigInt(element) - length : address;
      const last = first + length - 1n;
      for (let page = first >> 12n; page <= last >> 12n; page++) {
        this.#translate(cpu, phase, "data", page << 12n);
      }
    }
  }

  #followPaging(cpu: CpuState, { effects: { kind }, phase, value }: Begun): void {
    switch (kind) {
      case "mov-cr3":
        this.#counts[phase].cr3Writes++;
        if (!(cpu.cr4 & Cr4.PCIDE) || !(value & CR3_NO_FLUSH)) this.#tlb.flushPcid(this.#pcid(cpu));
        this.#epoch++;
        break;
      case "invlpg":
        this.#tlb.flushPage(Number(value), this.#pcid(cpu));
        this.#epoch++;
        break;
      case "mov-cr4":
      case "invpcid":
        // Which of its types it was is not looked at: all of them drop at least this.
        this.#tlb.flushAll();
        this.#epoch++;
        break;
    }
  }

  #charge(phase: Phase): void {
    const { cycles } = this.#machine;
    this.#counts[phase].cycles += cycles - this.#cycles;
    this.#cycles = cycles;
  }

  #phase(rip: bigint, { kind }: Effects): Phase {
    if (kind === "enter") return "entry";
    if (kind === "leave") return "exit";
    // Page 0 is the trampoline of zpoline.
    if (rip < 4096n) return "stub";
    return this.#symbols.partOf(rip) ?? partWithoutSymbol(rip);
  }

  #effectsAt(cpu: CpuState, rip: bigint): Effects {
    if ((cpu.i32(MODE) & Mode.SIZE) !== Mode.CODE_64) return NO_EFFECTS;
    const known = this.#known.get(rip);
    if (known?.epoch === this.#epoch) return known.effects;
    const bytes = peekLinear(this.#machine.mmu, cpu, rip + cpu.u64(CODE_BASE), MAX_LENGTH);
    if (known !== undefined && startsWith(bytes, known.effects.bytes)) {
      known.epoch = this.#epoch;
      return known.effects;
    }
    // Not mapped: the fetch will fault.
    const effects = bytes.length === 0 ? NO_EFFECTS : this.#decode(bytes, rip);
    this.#known.set(rip, { effects, epoch: this.#epoch });
    return effects;
  }

  // ---- Translations ---------------------------------------------------------------------------------------

  #pcid(cpu: CpuState): number {
    return cpu.cr4 & Cr4.PCIDE ? Number(cpu.u64(CR3) & 0xfffn) : 0;
  }

  #fetch(cpu: CpuState, phase: Phase, rip: bigint, length: number): void {
    this.#translate(cpu, phase, "instruction", rip);
    const last = rip + BigInt(Math.max(1, length) - 1);
    if (last >> 12n !== rip >> 12n) this.#translate(cpu, phase, "instruction", last);
  }

  #translate(cpu: CpuState, phase: Phase, kind: "instruction" | "data", address: bigint): void {
    const linear = BigInt.asUintN(64, address);
    const mapping = () => mappingOf(this.#machine.mmu, cpu, linear);
    const outcome = this.#tlb.access(kind, Number(linear >> 12n) * 4096, this.#pcid(cpu), mapping);
    if (outcome === 0) return;
    const counts = this.#counts[phase];
    if (kind === "instruction") counts.instructionTlbMisses++;
    else counts.dataTlbMisses++;
    if (outcome === 2) counts.pageWalks++;
  }
}

/** The upper half is a kernel's. */
function partWithoutSymbol(rip: bigint): Part {
  return rip >> 63n === 1n ? "work" : "app";
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  if (bytes.length < start.length) return false;
  for (let i = 0; i < start.length; i++) if (bytes[i] !== start[i]) return false;
  return true;
}
