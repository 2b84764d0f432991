/**
 * The processor: its parts put together, and the run loop, which goes round between emitted code and what emitted
 * code leaves to TypeScript.
 *
 * | part                | what                                                                            |
 * |---------------------|---------------------------------------------------------------------------------|
 * | `emitted-code.ts`   | entering emitted code, what it calls, leaving it in the middle of a block       |
 * | `slice.ts`          | the running slice's budget: what is spent, what is left, what is kept back      |
 * | `code-cache.ts`     | from RIP to a decoded record                                                    |
 * | `pending-events.ts` | delivery of faults, debug exceptions, interrupts, NMI, INIT, SIPI               |
 * | `single-step.ts`    | instructions that have to be executed by themselves                             |
 * | `watch-points.ts`   | callbacks before the instruction at an address                                  |
 * | `accounting.ts`     | the timing model's charges                                                      |
 */
import type { Accounting } from "./accounting.ts";
import { CodeCache, type CodeMemory } from "./code-cache.ts";
import type { Core, CoreLog, SystemObserver, TimeSource } from "./core.ts";
import { Decoder } from "./decode/decoder.ts";
import { EmittedCode, type EmittedCodeOptions, type SlowPaths } from "./emitted-code.ts";
import type { Handlers } from "./interpreter/handlers.ts";
import {
  BUDGET,
  CHAIN_LINK,
  CODE_BASE,
  CONST_10000,
  CPU_INDEX,
  CURRENT_RECORD,
  Exit,
  MODE,
  PENDING,
  RING_CONTROL,
  RingControl,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
} from "./layout.ts";
import { Mode } from "./modes.ts";
import type { ProcessorPort } from "./outside.ts";
import { PendingEvents } from "./pending-events.ts";
import { Cr4, Efer } from "./registers.ts";
import { SingleStep } from "./single-step.ts";
import { Stop } from "./slice.ts";
import type { CpuState } from "./state.ts";
import { decodeMode } from "./system/modes.ts";
import { type WatchCallback, WatchPoints } from "./watch-points.ts";

const CS_BASE = SEGMENTS + Segment.CS * SEGMENT_STRIDE + SEGMENT_BASE;

/** The MMU as the processor uses it. */
export interface ProcessorMmu extends CodeMemory, SlowPaths {
  /** The processor whose slow paths run. */
  current: CpuState;
}

export interface ProcessorOptions extends EmittedCodeOptions {
  /** Features of the CPU model that decoding depends on. */
  readonly features: ReadonlySet<string>;
  readonly mmu: ProcessorMmu;
  readonly linear: Core["memory"];
  readonly translation: Core["translation"];
  readonly port: ProcessorPort;
  readonly time: TimeSource;
  readonly log: CoreLog;
}

export class Processor implements Core {
  readonly memory: Core["memory"];
  readonly translation: Core["translation"];
  readonly port: ProcessorPort;
  readonly time: TimeSource;
  readonly log: CoreLog;
  readonly states: readonly CpuState[];
  readonly handlers: Handlers;
  readonly decoder: Decoder;
  readonly code: CodeCache;
  readonly charges: Accounting | null;

  onPause: (() => void) | null = null;
  #observer: SystemObserver | null = null;
  readonly #mmu: ProcessorMmu;
  readonly #records: DataView;
  readonly #emitted: EmittedCode;
  readonly #watches: WatchPoints;
  readonly #events: PendingEvents;
  readonly #single: SingleStep;

  constructor(options: ProcessorOptions) {
    const { memory, mmu, states } = options;
    this.memory = options.linear;
    this.translation = options.translation;
    this.port = options.port;
    this.time = options.time;
    this.log = options.log;
    this.states = states;
    for (const state of states) {
      state.setI32(CPU_INDEX, state.index);
      state.setU64(CONST_10000, 0x1_0000n);
    }
    this.#mmu = mmu;
    this.#records = new DataView(memory.buffer);
    const emitted = new EmittedCode(this, options);
    this.#emitted = emitted;
    this.handlers = emitted.handlers;
    this.charges = emitted.charges;
    this.decoder = new Decoder(options.rows, options.features, this.handlers);
    this.code = new CodeCache(memory, this.decoder, mmu, this.charges?.records);
    this.#watches = new WatchPoints(this.code, emitted);
    this.#events = new PendingEvents(this, emitted.slice, emitted.places);
    this.#single = new SingleStep({
      emitted,
      decoder: this.decoder,
      code: this.code,
      watches: this.#watches,
      events: this.#events,
    });
  }

  // ---- Who watches --------------------------------------------------------------------------------------

  get observer(): SystemObserver | null {
    return this.#observer;
  }
  /** Not while emitted code runs. */
  set observer(observer: SystemObserver | null) {
    this.#observer = observer;
    for (const cpu of this.states) this.#publishRingControl(cpu);
  }

  /** Called before each instruction while set: everything is single-stepped. From a watch: from that one on. */
  get onStep(): ((cpu: CpuState) => void) | null {
    return this.#single.onStep;
  }
  set onStep(onStep: ((cpu: CpuState) => void) | null) {
    this.#single.onStep = onStep;
  }

  /**
   * Calls `callback` before each execution of the instruction at a linear address, RIP at it and `spent` exact.
   * An instruction that restarts after a fault, or a repeated one after an interrupt, is executed again. The
   * callback may look at everything and may watch or release other addresses; it changes no state of the guest.
   * Code elsewhere keeps its speed, and what the guest does keeps its counts and its time; but each change of the
   * set of addresses drops all decoded code. A change takes effect at the end of the current block.
   * @returns a function that ends the watch
   */
  watch(address: bigint, callback: WatchCallback): () => void {
    return this.#watches.add(address, callback);
  }

  // ---- The running slice, for devices and time ------------------------------------------------------------

  /**
   * What the running slice has spent of its budget so far, exact inside a helper or device access: instructions,
   * with a timing model cost units.
   */
  get spent(): number {
    return this.#emitted.slice.spent;
  }

  /** Instructions executed so far in the running slice, exact where `spent` is. */
  get executed(): number {
    return this.#emitted.slice.executed;
  }

  /** Leaves at most `left` of the budget to the running slice. */
  shortenSlice(left: number): void {
    this.#emitted.slice.shorten(left);
  }

  /** Ends the running slice at the end of the current block. */
  interruptSlice(): void {
    this.shortenSlice(0);
  }

  /** A line into processor `index` changed: leave at the next opportunity. */
  noteEvent(index: number): void {
    const cpu = this.states[index]!;
    cpu.setI32(PENDING, this.port.pendingEvents(index));
    if (cpu === this.#emitted.slice.cpu && cpu.i32(PENDING) !== 0) this.interruptSlice();
  }

  // ---- What depends on the mode ---------------------------------------------------------------------------

  modeChanged(cpu: CpuState): void {
    const mode = decodeMode(cpu);
    cpu.setI32(MODE, mode);
    cpu.setU64(CODE_BASE, mode === Mode.CODE_64 ? 0n : cpu.u64(CS_BASE));
    this.#publishRingControl(cpu);
    this.translation.contextChanged(cpu);
  }

  #publishRingControl(cpu: CpuState): void {
    let control = cpu.cr0 & RingControl.AM;
    if (cpu.cr4 & Cr4.SMAP) control |= RingControl.SMAP;
    if (cpu.efer & Efer.SCE) control |= RingControl.SCE;
    if (!this.#observer?.ring && !this.#observer?.transfer) control |= RingControl.UNOBSERVED;
    cpu.setI32(RING_CONTROL, control);
  }

  // ---- The run loop ---------------------------------------------------------------------------------------

  /**
   * Runs one processor until about `budget` is spent (a block may exceed it): instructions, with a timing model
   * cost units.
   * @returns `Stop`
   */
  execute(cpu: CpuState, budget: number): number {
    this.#mmu.current = cpu;
    this.port.selectProcessor(cpu.index);
    this.#emitted.slice.begin(cpu, budget);
    const stop = this.#loop(cpu);
    this.#watches.settle();
    if (this.states.length > 1) this.#emitted.places.suspend(cpu);
    return stop;
  }

  /** Whether `execute` would execute something; ends an MWAIT whose line another processor has changed. */
  awake(cpu: CpuState): boolean {
    return this.#events.awake(cpu);
  }

  #loop(cpu: CpuState): number {
    for (;;) {
      const stop = this.#events.service(cpu);
      if (stop !== Stop.NONE) return stop;
      this.#watches.settle();
      if (cpu.i32(BUDGET) < 0) return Stop.NONE;
      if (this.#single.mustStep(cpu)) {
        const stepped = this.#single.step(cpu);
        if (stepped !== Stop.NONE) return stepped;
        continue;
      }
      const stopped = this.#runEmitted(cpu);
      if (stopped !== Stop.NONE) return stopped;
      this.#watches.settle();
      if (cpu.i32(BUDGET) <= 0) return Stop.NONE;
    }
  }

  /** Runs emitted code until something needs the loop above. @returns `Stop` */
  #runEmitted(cpu: CpuState): number {
    const { run } = this.#emitted;
    const goesOn = this.#watches.goesOn(cpu);
    let record = this.code.lookup(cpu);
    let resumed = goesOn ? record : 0;
    for (;;) {
      if (record === 0) return this.#events.fault(cpu);
      let exit = run(cpu.block, record);
      if (exit !== Exit.WATCH && this.#watches.settle()) {
        // The budget was kept back; emitted code itself goes on while it is not negative. Links are gone.
        if (exit === Exit.CHAIN || (exit === Exit.BUDGET && cpu.i32(BUDGET) >= 0)) exit = Exit.LOOKUP;
      }
      switch (exit) {
        case Exit.WATCH:
          record = this.#watches.reached(cpu, cpu.i32(CURRENT_RECORD) === resumed);
          resumed = 0;
          // Who was called may want to see every instruction from this one on.
          if (this.#single.onStep !== null) {
            this.#single.takeOver(cpu, record);
            return Stop.NONE;
          }
          break;
        case Exit.LOOKUP:
          record = this.code.lookup(cpu);
          break;
        case Exit.CHAIN:
          record = this.#chain(cpu);
          break;
        case Exit.FAULT:
          this.#emitted.leftMidBlock(cpu);
          return this.#events.fault(cpu);
        default:
          return Stop.NONE;
      }
    }
  }

  /** As `CodeCache.lookup`, for a branch within its page: links it to the record, which it will find by itself. */
  #chain(cpu: CpuState): number {
    const { counters } = this.code;
    const { flushes } = counters;
    const link = cpu.i32(CHAIN_LINK);
    const record = this.code.lookup(cpu);
    // A flush has dropped the branch itself.
    if (record !== 0 && flushes === counters.flushes) this.#records.setInt32(link, record, true);
    return record;
  }
}
