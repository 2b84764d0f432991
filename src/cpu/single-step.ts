/**
 * Instructions that have to be executed by themselves: while someone looks at each, under RFLAGS.TF and RF, in an
 * interrupt shadow, with breakpoints enabled. The handlers are the same; the record lies in a scratch area.
 */
import type { CodeCache } from "./code-cache.ts";
import type { Decoder } from "./decode/decoder.ts";
import type { EmittedCode } from "./emitted-code.ts";
import { CURRENT_RECORD, DR, Exit, FLAGS_SYSTEM, SHADOW, Shadow } from "./layout.ts";
import { interruptShadow, type PendingEvents } from "./pending-events.ts";
import { Flag } from "./registers.ts";
import { Stop } from "./slice.ts";
import type { CpuState } from "./state.ts";
import { PENDING_DEBUG } from "./system/cold-state.ts";
import { Dr6, instructionBreakpoints } from "./system/debug-registers.ts";
import type { WatchPoints } from "./watch-points.ts";

/** The parts that a step is made of. */
export interface StepParts {
  readonly emitted: EmittedCode;
  readonly decoder: Decoder;
  readonly code: CodeCache;
  readonly watches: WatchPoints;
  readonly events: PendingEvents;
}

export class SingleStep {
  /** Called before each instruction while set. */
  onStep: ((cpu: CpuState) => void) | null = null;
  readonly #parts: StepParts;
  /** The watched instruction whose watchers were called, and that is executed by itself now. */
  #reached: { readonly cpu: CpuState; readonly rip: bigint } | null = null;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  /** Whether the next instruction has to be executed by itself. */
  mustStep(cpu: CpuState): boolean {
    return (
      this.onStep !== null ||
      (cpu.i32(FLAGS_SYSTEM) & (Flag.TF | Flag.RF)) !== 0 ||
      cpu.i32(SHADOW) !== 0 ||
      (cpu.i32(DR + 7 * 8) & 0xff) !== 0
    );
  }

  /** Emitted code has left before the watched instruction at `record`, its watchers were called: step from it on. */
  takeOver(cpu: CpuState, record: number): void {
    cpu.setI32(CURRENT_RECORD, record);
    this.#parts.emitted.leftMidBlock(cpu);
    cpu.setI32(CURRENT_RECORD, 0);
    this.#reached = { cpu, rip: cpu.rip };
  }

  /**
   * Executes exactly one instruction (one iteration of a repeated one), or delivers its fault.
   * @returns `Stop`
   */
  step(cpu: CpuState): number {
    const { code, decoder, events } = this.#parts;
    const flagsBefore = cpu.i32(FLAGS_SYSTEM);
    if (!(flagsBefore & Flag.RF) && !(interruptShadow(cpu) & Shadow.MOV_SS)) {
      const hit = instructionBreakpoints(cpu);
      if (hit !== 0) return events.debugException(cpu, hit, "fault");
    }
    this.onStep?.(cpu);
    // RF suppresses breakpoints for one instruction (SDM vol. 3B 18.3.1.1). The instruction may load it anew.
    cpu.setI32(FLAGS_SYSTEM, flagsBefore & ~Flag.RF);
    const shadowBefore = cpu.i32(SHADOW);
    const debugBefore = cpu.i32(PENDING_DEBUG);
    cpu.setI32(SHADOW, 0);
    const goesOn = this.#goesOn(cpu);
    const record = code.decodeOne(cpu);
    if (record === 0) return events.fault(cpu);
    const trapsBy = decoder.row?.attributes;
    if (!this.#executed(cpu, record, goesOn)) {
      cpu.setI32(SHADOW, shadowBefore);
      // Data breakpoints of an instruction that faults are met again when it restarts.
      cpu.setI32(PENDING_DEBUG, debugBefore);
      return events.fault(cpu);
    }
    // TF as it was before the instruction decides (SDM vol. 3B 18.3.1.4), but for a few.
    const deciding = trapsBy?.has("tfafter") ? cpu.i32(FLAGS_SYSTEM) : flagsBefore;
    // A load of SS holds the trap off for good; the next instruction's comes instead (SDM vol. 3A 6.8.3).
    const heldOff = (cpu.i32(SHADOW) & Shadow.MOV_SS) !== 0;
    if (deciding & Flag.TF && !heldOff && !trapsBy?.has("notrap")) {
      cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | Dr6.BS);
    }
    return Stop.NONE;
  }

  /** Whether the watchers of the instruction at RIP, if it has some, know of this execution already. */
  #goesOn(cpu: CpuState): boolean {
    if (this.#reached?.cpu !== cpu) return this.#parts.watches.goesOn(cpu);
    const { rip } = this.#reached;
    this.#reached = null;
    return rip === cpu.rip || this.#parts.watches.goesOn(cpu);
  }

  /** Runs the one record. @returns false when the instruction has faulted */
  #executed(cpu: CpuState, record: number, goesOn: boolean): boolean {
    const { emitted, watches } = this.#parts;
    // Without budget, emitted code leaves after this instruction. The rest of the slice waits.
    emitted.slice.hold(0);
    let exit = emitted.run(cpu.block, record);
    if (exit === Exit.WATCH) exit = emitted.run(cpu.block, watches.reached(cpu, goesOn));
    const faulted = exit === Exit.FAULT;
    if (faulted) emitted.leftMidBlock(cpu);
    emitted.slice.release();
    return !faulted;
  }
}
