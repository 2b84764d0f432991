/**
 * The processor: runs emitted code in slices, and does between slices what emitted code leaves to it:
 * faults, interrupts, mode changes, single-stepping, decoding.
 */
import { Accounting } from "./accounting.ts";
import { CodeCache, type CodeMemory } from "./code-cache.ts";
import type { Core, CoreLog, SystemObserver, TimeSource } from "./core.ts";
import type { CostModel } from "./cost.ts";
import { Decoder } from "./decode/decoder.ts";
import { R_COUNT, R_FLAGS, R_LENGTH, R_NEXT, RECORD_SIZE, RecordFlag } from "./decode/record.ts";
import type { Row } from "./decode/rows.ts";
import { Fault } from "./fault.ts";
import { Handlers, type HostFunctions } from "./interpreter/handlers.ts";
import { HandlerOutcome } from "./interpreter/outcome.ts";
import {
  BUDGET,
  CHAIN_LINK,
  CODE_BASE,
  CONST_10000,
  CPU_INDEX,
  CURRENT_RECORD,
  DR,
  Exit,
  FAULT_ERROR,
  FAULT_VECTOR,
  FLAGS_SYSTEM,
  HELPER_VALUE,
  MODE,
  PENDING,
  RING_CONTROL,
  RIP,
  RIP_PAGE,
  RingControl,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
  SHADOW,
  SHADOW_RIP,
  Shadow,
  SLICE_INSTRUCTIONS,
} from "./layout.ts";
import { Mode } from "./modes.ts";
import { EVENT, type ProcessorPort } from "./outside.ts";
import { Cr4, Efer, Flag } from "./registers.ts";
import type { Definitions } from "./semantics/stage.ts";
import type { CpuState } from "./state.ts";
import {
  ACTIVITY,
  Activity,
  activity,
  NMI_BLOCKED,
  PENDING_DEBUG,
  wokenByInterrupt,
} from "./system/cold-state.ts";
import { Dr6, instructionBreakpoints } from "./system/debug-registers.ts";
import { type DeliveryResult, deliverDebug, deliverEvent, deliverFault } from "./system/events.ts";
import { RecordView, type SystemHelpers } from "./system/helper.ts";
import { decodeMode } from "./system/modes.ts";
import { legacyAddress } from "./system/operand.ts";
import { resetCpu, startProcessor, waitForStartup } from "./system/reset.ts";
import { type WatchCallback, WatchPoints } from "./watch-points.ts";

const CS_BASE = SEGMENTS + Segment.CS * SEGMENT_STRIDE + SEGMENT_BASE;

/** The MMU as the processor uses it. */
export interface ProcessorMmu extends CodeMemory {
  /** The processor whose slow paths run. */
  current: CpuState;
  slowRead(record: number, low: number, high: number, size: number): number;
  slowWrite(record: number, low: number, high: number, size: number): number;
  commit(): void;
}

export interface ProcessorOptions {
  readonly memory: WebAssembly.Memory;
  readonly states: readonly CpuState[];
  readonly rows: readonly Row[];
  readonly definitions: Definitions;
  readonly helpers: SystemHelpers;
  /** Features of the CPU model that decoding depends on. */
  readonly features: ReadonlySet<string>;
  readonly mmu: ProcessorMmu;
  readonly linear: Core["memory"];
  readonly translation: Core["translation"];
  readonly port: ProcessorPort;
  readonly time: TimeSource;
  readonly log: CoreLog;
  /** The timing model: budgets are in its units (`cost.ts`). Without one, in instructions. */
  readonly costs?: CostModel;
}

/** Why `execute` came back before its budget was spent. */
export const Stop = {
  NONE: 0,
  /** The processor waits (HLT, MWAIT, wait-for-SIPI). */
  IDLE: 1,
  /** Triple fault. */
  SHUTDOWN: 2,
} as const;

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
  /** With a timing model, what it is told. */
  readonly charges: Accounting | null;
  /** Called before each instruction while set: everything is single-stepped. From a watch: from that one on. */
  onStep: ((cpu: CpuState) => void) | null = null;

  #observer: SystemObserver | null = null;
  readonly #mmu: ProcessorMmu;
  readonly #run: (cpu: number, record: number) => number;
  readonly #record: RecordView;
  readonly #recordMemory: DataView;
  readonly #helpers: SystemHelpers;
  #cpu: CpuState;
  /** BUDGET at the start of the running slice. */
  #sliceBudget = 0;
  /** Budget that is kept back while a single instruction is executed. */
  #held = 0;
  /**
   * The record whose instruction is in a helper or a slow memory access now, else 0: BUDGET does not yet
   * hold the instructions of its block that come before it, but devices and RDTSC must see their time.
   */
  #accessRecord = 0;
  /** A helper has thrown the fault that emitted code is about to leave with. */
  #helperFaulted = false;
  /** The record of the store that `commit` completes. */
  #storeRecord = 0;
  readonly #watches = new WatchPoints();
  /** RIP of a watched instruction whose watchers were called, and that is executed by itself now. */
  #reached: bigint | null = null;

  constructor(options: ProcessorOptions) {
    const { memory, mmu } = options;
    this.memory = options.linear;
    this.translation = options.translation;
    this.port = options.port;
    this.time = options.time;
    this.log = options.log;
    this.states = options.states;
    this.#mmu = mmu;
    this.#cpu = options.states[0]!;
    this.#helpers = options.helpers;
    this.#record = new RecordView(memory);
    this.#recordMemory = new DataView(memory.buffer);
    for (const state of options.states) {
      state.setI32(CPU_INDEX, state.index);
      state.setU64(CONST_10000, 0x1_0000n);
    }
    const costs = options.costs ?? null;
    const host: HostFunctions = {
      memory,
      slowRead: (record, low, high, size) => {
        this.#accessRecord = record;
        const host = mmu.slowRead(record, low, high, size);
        this.#accessRecord = 0;
        return host;
      },
      slowWrite: (record, low, high, size) => {
        this.#accessRecord = record;
        this.#storeRecord = record;
        const host = mmu.slowWrite(record, low, high, size);
        this.#accessRecord = 0;
        return host;
      },
      commit: () => {
        this.#accessRecord = this.#storeRecord;
        mmu.commit();
        this.#accessRecord = 0;
      },
      legacyAddress: (_record, offset, size) => this.#legacyAddress(offset, size),
      helper: (index, record) => this.#callHelper(index, record),
    };
    this.handlers = new Handlers(options.rows, options.definitions, host, costs);
    this.charges = costs && new Accounting(memory, this.#cpu, costs, this.handlers.forms);
    this.#run = this.handlers.run;
    this.decoder = new Decoder(options.rows, options.features, this.handlers);
    this.code = new CodeCache(memory, this.decoder, mmu, this.charges?.records);
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
    if (this.#watches.add(address, callback)) this.#watchesChanged();
    let active = true;
    return () => {
      if (active && this.#watches.remove(address, callback)) this.#watchesChanged();
      active = false;
    };
  }

  /** Emitted code leaves at the end of its block, as if its budget were spent: the budget is kept back. */
  #watchesChanged(): void {
    const budget = this.#cpu.i32(BUDGET);
    if (budget < 0) return;
    this.#held += budget + 1;
    this.#cpu.setI32(BUDGET, -1);
  }

  /** Between runs of emitted code: the watched addresses are those that were asked for. */
  #settleWatches(cpu: CpuState): void {
    if (!this.#watches.takeChanged()) return;
    cpu.setI32(BUDGET, cpu.i32(BUDGET) + this.#held);
    this.#held = 0;
    this.code.setWatched(this.#watches.addresses());
  }

  get observer(): SystemObserver | null {
    return this.#observer;
  }
  /** Not while emitted code runs. */
  set observer(observer: SystemObserver | null) {
    this.#observer = observer;
    for (const cpu of this.states) this.#publishRingControl(cpu);
  }

  /**
   * What the running slice has spent of its budget so far, exact inside a helper or device access: instructions,
   * with a timing model cost units.
   */
  get spent(): number {
    return this.#sliceBudget - this.#cpu.i32(BUDGET) - this.#held + this.#uncounted();
  }

  /** Instructions executed so far in the running slice, exact where `spent` is. */
  get executed(): number {
    if (this.charges === null) return this.spent;
    return this.#cpu.i32(SLICE_INSTRUCTIONS) + this.#instructionsBefore();
  }

  #uncounted(): number {
    if (this.charges === null || this.#accessRecord === 0) return this.#instructionsBefore();
    return this.charges.records.unitsBefore(this.#accessRecord);
  }

  /** Instructions of its block that come before the one that is in a helper or a slow memory access. */
  #instructionsBefore(): number {
    return this.#accessRecord === 0 ? 0 : this.#recordMemory.getUint8(this.#accessRecord + R_COUNT) - 1;
  }

  /** Ends the running slice at the end of the current block. */
  interruptSlice(): void {
    this.shortenSlice(0);
  }

  /** Leaves at most `left` of the budget to the running slice. */
  shortenSlice(left: number): void {
    const excess = this.#cpu.i32(BUDGET) + this.#held - Math.max(0, left + this.#uncounted());
    if (excess <= 0) return;
    // What is taken from the budget was not executed: the slice becomes shorter by as much.
    this.#sliceBudget -= excess;
    const fromHeld = Math.min(excess, this.#held);
    this.#held -= fromHeld;
    this.#cpu.setI32(BUDGET, this.#cpu.i32(BUDGET) - (excess - fromHeld));
  }

  /** A line into processor `index` changed: leave at the next opportunity. */
  noteEvent(index: number): void {
    const cpu = this.states[index]!;
    cpu.setI32(PENDING, this.port.pendingEvents(index));
    if (cpu === this.#cpu && cpu.i32(PENDING) !== 0) this.interruptSlice();
  }

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

  // ---- Calls from emitted code --------------------------------------------------------------------------

  #legacyAddress(offset: number, size: number): number {
    const linear = legacyAddress(this.#cpu, offset, size);
    if (linear < 0) return 0;
    this.#cpu.setI32(HELPER_VALUE, linear | 0);
    return 1;
  }

  /** RIP of the instruction at `record`. */
  #setRipOf(cpu: CpuState, record: number): void {
    const view = this.#recordMemory;
    const offset = view.getUint16(record + R_NEXT, true) - view.getUint8(record + R_LENGTH);
    const low = cpu.i32(RIP_PAGE);
    const sum = (low >>> 0) + offset;
    cpu.setI32(RIP, sum | 0);
    const high = cpu.i32(RIP_PAGE + 4) + (sum > 0xffff_ffff ? 1 : 0);
    cpu.setI32(RIP + 4, (cpu.i32(MODE) & Mode.SIZE) === Mode.CODE_64 ? high : 0);
  }

  #callHelper(index: number, record: number): number {
    const cpu = this.#cpu;
    cpu.setI32(CURRENT_RECORD, record);
    this.#setRipOf(cpu, record);
    const name = this.handlers.helpers.names[index]!;
    const helper = this.#helpers[name];
    if (!helper) throw new Error(`no helper ${name}`);
    this.#accessRecord = record;
    const level = cpu.cpl;
    try {
      const outcome = helper(this, cpu, this.#record.at(record));
      if (outcome !== HandlerOutcome.CONTINUE) this.charges?.transferred(name, level);
      return outcome;
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      this.#helperFaulted = true;
      cpu.setI32(FAULT_VECTOR, fault.vector);
      cpu.setI32(FAULT_ERROR, fault.error);
      return HandlerOutcome.FAULT;
    } finally {
      this.#accessRecord = 0;
    }
  }

  // ---- The run loop -------------------------------------------------------------------------------------

  /**
   * Runs one processor until about `budget` is spent (a block may exceed it): instructions, with a timing model
   * cost units.
   * @returns `Stop`
   */
  execute(cpu: CpuState, budget: number): number {
    this.#cpu = cpu;
    if (this.charges !== null) {
      this.charges.cpu = cpu;
      cpu.setI32(SLICE_INSTRUCTIONS, 0);
    }
    this.#mmu.current = cpu;
    this.port.selectProcessor(cpu.index);
    this.#sliceBudget = budget;
    this.#held = 0;
    cpu.setI32(BUDGET, budget);
    const stop = this.#loop(cpu);
    this.#settleWatches(cpu);
    return stop;
  }

  #loop(cpu: CpuState): number {
    for (;;) {
      const stop = this.#service(cpu);
      if (stop !== Stop.NONE) return stop;
      this.#settleWatches(cpu);
      if (cpu.i32(BUDGET) < 0) return Stop.NONE;
      if (this.#mustStep(cpu)) {
        const stepped = this.#step(cpu);
        if (stepped !== Stop.NONE) return stepped;
        continue;
      }
      const stopped = this.#emitted(cpu);
      if (stopped !== Stop.NONE) return stopped;
      this.#settleWatches(cpu);
      if (cpu.i32(BUDGET) <= 0) return Stop.NONE;
    }
  }

  /** Runs emitted code until something needs the loop above. */
  #emitted(cpu: CpuState): number {
    const run = this.#run;
    const goesOn = this.#goesOnRepeating(cpu);
    let record = this.code.lookup(cpu);
    let resumed = goesOn ? record : 0;
    for (;;) {
      if (record === 0) return this.#fault(cpu);
      let exit = run(cpu.block, record);
      if (exit !== Exit.WATCH && this.#watches.changed) {
        this.#settleWatches(cpu);
        // The budget was kept back; emitted code itself goes on while it is not negative. Links are gone.
        if (exit === Exit.CHAIN || (exit === Exit.BUDGET && cpu.i32(BUDGET) >= 0)) exit = Exit.LOOKUP;
      }
      switch (exit) {
        case Exit.WATCH:
          record = this.#atWatch(cpu, cpu.i32(CURRENT_RECORD) === resumed);
          resumed = 0;
          // Who was called may want to see every instruction from this one on.
          if (this.onStep !== null) {
            cpu.setI32(CURRENT_RECORD, record);
            this.#leaveMidBlock(cpu);
            cpu.setI32(CURRENT_RECORD, 0);
            this.#reached = cpu.rip;
            return Stop.NONE;
          }
          break;
        case Exit.LOOKUP:
          record = this.code.lookup(cpu);
          break;
        case Exit.CHAIN: {
          const flushes = this.code.counters.flushes;
          const link = cpu.i32(CHAIN_LINK);
          record = this.code.lookup(cpu);
          if (record !== 0 && flushes === this.code.counters.flushes) {
            this.#recordMemory.setInt32(link, record, true);
          }
          break;
        }
        case Exit.FAULT:
          this.#leaveMidBlock(cpu);
          return this.#fault(cpu);
        default:
          return Stop.NONE;
      }
    }
  }

  /** Whether a watched instruction at RIP would be a repeated one that goes on and not a new execution. */
  #goesOnRepeating(cpu: CpuState): boolean {
    return !this.#watches.empty && this.#repeating(cpu);
  }

  /** At the WATCH record CURRENT_RECORD. @returns the record of the watched instruction */
  #atWatch(cpu: CpuState, resumed: boolean): number {
    const watch = cpu.i32(CURRENT_RECORD);
    const record = watch + RECORD_SIZE;
    if (resumed) return record;
    this.#setRipOf(cpu, watch);
    this.#accessRecord = record;
    try {
      this.#watches.reached(cpu, BigInt.asUintN(64, cpu.rip + cpu.u64(CODE_BASE)));
    } finally {
      this.#accessRecord = 0;
    }
    return record;
  }

  /** A fault inside a block: RIP is the faulting instruction's; those before it count. */
  #leaveMidBlock(cpu: CpuState): void {
    const record = cpu.i32(CURRENT_RECORD);
    // A task switch may fault when RIP is the new task's already: a helper's RIP stands.
    if (this.#helperFaulted) this.#helperFaulted = false;
    else this.#setRipOf(cpu, record);
    if (this.charges !== null) this.charges.leftMidBlock(record);
    else cpu.setI32(BUDGET, cpu.i32(BUDGET) - (this.#recordMemory.getUint8(record + R_COUNT) - 1));
  }

  #fault(cpu: CpuState): number {
    return this.#delivered(cpu, deliverFault(this, cpu, cpu.i32(FAULT_VECTOR), cpu.i32(FAULT_ERROR)));
  }

  #delivered(cpu: CpuState, result: DeliveryResult): number {
    // An event is progress: without a cost, a guest whose handler faults would never end its slice.
    // With a timing model its delivery has been charged already.
    if (this.charges !== null) this.charges.count(1);
    else cpu.setI32(BUDGET, cpu.i32(BUDGET) - 1);
    return result === "shutdown" ? Stop.SHUTDOWN : Stop.NONE;
  }

  /** Delivers what is pending, in the order of SDM vol. 3A table 6-2. */
  #service(cpu: CpuState): number {
    const pendingDebug = cpu.i32(PENDING_DEBUG);
    const shadow = this.#shadow(cpu);
    if (pendingDebug !== 0 && !(shadow & Shadow.MOV_SS)) {
      cpu.setI32(PENDING_DEBUG, 0);
      const stop = this.#delivered(cpu, deliverDebug(this, cpu, pendingDebug, "trap"));
      if (stop !== Stop.NONE) return stop;
    }
    const events = this.port.pendingEvents(cpu.index);
    cpu.setI32(PENDING, events);
    const state = activity(cpu);
    if (state === Activity.SHUTDOWN) return Stop.SHUTDOWN;
    if (events & (EVENT.INIT | EVENT.SIPI)) this.#startOrReset(cpu, events);
    if (events & EVENT.NMI && cpu.i32(NMI_BLOCKED) === 0 && shadow === 0) {
      this.port.acknowledgeNmi(cpu.index);
      cpu.setI32(ACTIVITY, Activity.RUNNING);
      return this.#delivered(cpu, deliverEvent(this, cpu, { kind: "nmi", repeating: this.#repeating(cpu) }));
    }
    const flags = cpu.i32(FLAGS_SYSTEM);
    if (events & EVENT.INTR) {
      if (state !== Activity.RUNNING && wokenByInterrupt(cpu, flags)) cpu.setI32(ACTIVITY, Activity.RUNNING);
      if (flags & Flag.IF && shadow === 0) {
        const vector = this.port.acknowledgeInterrupt(cpu.index);
        return this.#delivered(
          cpu,
          deliverEvent(this, cpu, { kind: "interrupt", vector, repeating: this.#repeating(cpu) }),
        );
      }
    }
    return activity(cpu) === Activity.RUNNING ? Stop.NONE : Stop.IDLE;
  }

  /** INIT resets; a start-up IPI starts a processor that waits for one, others ignore it (SDM vol. 3A 9.4.4). */
  #startOrReset(cpu: CpuState, events: number): void {
    if (events & EVENT.INIT) {
      this.port.acknowledgeInit(cpu.index);
      resetCpu(this, cpu, "init");
      // Processor 0 is the bootstrap processor: it starts at the reset vector again.
      if (cpu.index !== 0) waitForStartup(cpu);
    }
    if (events & EVENT.SIPI) {
      const vector = this.port.acknowledgeStartup(cpu.index);
      if (activity(cpu) === Activity.WAIT_FOR_SIPI) startProcessor(this, cpu, vector);
    }
  }

  /** Whether the instruction at RIP is a string instruction that has left between two iterations. */
  #repeating(cpu: CpuState): boolean {
    const record = cpu.i32(CURRENT_RECORD);
    const view = this.#recordMemory;
    if (record === 0 || !(view.getUint8(record + R_FLAGS) & (RecordFlag.REP | RecordFlag.REPNE)))
      return false;
    const offset = view.getUint16(record + R_NEXT, true) - view.getUint8(record + R_LENGTH);
    return BigInt.asUintN(64, cpu.u64(RIP_PAGE) + BigInt(offset)) === cpu.rip;
  }

  /** The interrupt shadow in force at RIP. STI's covers one instruction, known by its RIP. */
  #shadow(cpu: CpuState): number {
    const shadow = cpu.i32(SHADOW);
    if (shadow === 0) return 0;
    if (shadow === Shadow.STI && cpu.u64(SHADOW_RIP) !== cpu.rip) {
      cpu.setI32(SHADOW, 0);
      return 0;
    }
    return shadow;
  }

  /** Whether the next instruction has to be executed by itself. */
  #mustStep(cpu: CpuState): boolean {
    return (
      this.onStep !== null ||
      (cpu.i32(FLAGS_SYSTEM) & (Flag.TF | Flag.RF)) !== 0 ||
      cpu.i32(SHADOW) !== 0 ||
      (cpu.i32(DR + 7 * 8) & 0xff) !== 0
    );
  }

  /** Executes exactly one instruction (one iteration of a repeated one). */
  #step(cpu: CpuState): number {
    const flagsBefore = cpu.i32(FLAGS_SYSTEM);
    if (!(flagsBefore & Flag.RF) && !(this.#shadow(cpu) & Shadow.MOV_SS)) {
      const hit = instructionBreakpoints(cpu);
      if (hit !== 0) {
        return this.#delivered(cpu, deliverDebug(this, cpu, hit, "fault"));
      }
    }
    this.onStep?.(cpu);
    // RF suppresses breakpoints for one instruction (SDM vol. 3B 18.3.1.1). The instruction may load it anew.
    cpu.setI32(FLAGS_SYSTEM, flagsBefore & ~Flag.RF);
    const shadowBefore = cpu.i32(SHADOW);
    const debugBefore = cpu.i32(PENDING_DEBUG);
    cpu.setI32(SHADOW, 0);
    const goesOn = this.#reached === cpu.rip || this.#goesOnRepeating(cpu);
    this.#reached = null;
    const record = this.code.decodeOne(cpu);
    if (record === 0) return this.#fault(cpu);
    const trapsBy = this.decoder.row?.attributes;
    // Without budget, emitted code leaves after this instruction. The rest of the slice waits.
    this.#held += cpu.i32(BUDGET);
    cpu.setI32(BUDGET, 0);
    let exit = this.#run(cpu.block, record);
    if (exit === Exit.WATCH) exit = this.#run(cpu.block, this.#atWatch(cpu, goesOn));
    const faulted = exit === Exit.FAULT;
    if (faulted) this.#leaveMidBlock(cpu);
    cpu.setI32(BUDGET, cpu.i32(BUDGET) + this.#held);
    this.#held = 0;
    if (faulted) {
      cpu.setI32(SHADOW, shadowBefore);
      // Data breakpoints of an instruction that faults are met again when it restarts.
      cpu.setI32(PENDING_DEBUG, debugBefore);
      return this.#fault(cpu);
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
}
