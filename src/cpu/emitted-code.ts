/**
 * The border between emitted code and TypeScript: how emitted code is entered, what it calls while it runs, and how
 * the state becomes exact when it has left in the middle of a block.
 */
import { Accounting } from "./accounting.ts";
import type { Core } from "./core.ts";
import type { CostModel } from "./cost.ts";
import type { Row } from "./decode/rows.ts";
import { Fault } from "./fault.ts";
import { Handlers, type HostFunctions } from "./interpreter/handlers.ts";
import { HandlerOutcome } from "./interpreter/outcome.ts";
import { CURRENT_RECORD, FAULT_ERROR, FAULT_VECTOR, HELPER_VALUE } from "./layout.ts";
import { RecordPlaces } from "./record-place.ts";
import type { Definitions } from "./semantics/stage.ts";
import { Slice } from "./slice.ts";
import type { CpuState } from "./state.ts";
import { RecordView, type SystemHelpers } from "./system/helper.ts";
import { legacyAddress } from "./system/operand.ts";

/** The slow paths of memory operands, for the processor that runs (`mmu/operand-access.ts`). */
export interface SlowPaths {
  slowRead(record: number, low: number, high: number, size: number): number;
  slowWrite(record: number, low: number, high: number, size: number): number;
  commit(): void;
}

export interface EmittedCodeOptions {
  readonly memory: WebAssembly.Memory;
  readonly states: readonly CpuState[];
  readonly rows: readonly Row[];
  readonly definitions: Definitions;
  readonly helpers: SystemHelpers;
  readonly mmu: SlowPaths;
  /** The timing model: budgets are in its units (`cost.ts`). Without one, in instructions. */
  readonly costs?: CostModel;
}

export class EmittedCode {
  readonly handlers: Handlers;
  readonly places: RecordPlaces;
  readonly slice: Slice;
  /** With a timing model, what it is told. */
  readonly charges: Accounting | null;
  /** Runs from a record on: (CPU block, record) -> `Exit`. */
  readonly run: (cpu: number, record: number) => number;
  readonly #core: Core;
  readonly #helpers: SystemHelpers;
  readonly #record: RecordView;
  /** A helper has thrown the fault that emitted code is about to leave with. */
  #helperFaulted = false;
  /** The record of the store that `commit` completes. */
  #storeRecord = 0;

  /** `core`: what helpers are handed. */
  constructor(core: Core, options: EmittedCodeOptions) {
    const { memory, costs = null } = options;
    const first = options.states[0]!;
    this.#core = core;
    this.#helpers = options.helpers;
    this.#record = new RecordView(memory);
    const host = this.#hostFunctions(memory, options.mmu);
    this.handlers = new Handlers(options.rows, options.definitions, host, costs);
    this.run = this.handlers.run;
    this.places = new RecordPlaces(memory);
    this.charges = costs && new Accounting(memory, first, costs, this.handlers.forms);
    this.slice = new Slice(first, this.places, this.charges);
  }

  /** What emitted code imports. Each tells the slice which instruction it works for. */
  #hostFunctions(memory: WebAssembly.Memory, mmu: SlowPaths): HostFunctions {
    return {
      memory,
      slowRead: (record, low, high, size) => {
        this.slice.access = record;
        const host = mmu.slowRead(record, low, high, size);
        this.slice.access = 0;
        return host;
      },
      slowWrite: (record, low, high, size) => {
        this.slice.access = record;
        this.#storeRecord = record;
        const host = mmu.slowWrite(record, low, high, size);
        this.slice.access = 0;
        return host;
      },
      commit: () => {
        this.slice.access = this.#storeRecord;
        mmu.commit();
        this.slice.access = 0;
      },
      legacyAddress: (_record, offset, size) => {
        const { cpu } = this.slice;
        const linear = legacyAddress(cpu, offset, size);
        if (linear < 0) return 0;
        cpu.setI32(HELPER_VALUE, linear | 0);
        return 1;
      },
      helper: (index, record) => this.#callHelper(index, record),
    };
  }

  /** @returns `HandlerOutcome` */
  #callHelper(index: number, record: number): number {
    const { slice } = this;
    const { cpu } = slice;
    cpu.setI32(CURRENT_RECORD, record);
    this.places.setRip(cpu, record);
    const name = this.handlers.helpers.names[index]!;
    const helper = this.#helpers[name];
    if (!helper) throw new Error(`no helper ${name}`);
    slice.access = record;
    const level = cpu.cpl;
    try {
      const outcome = helper(this.#core, cpu, this.#record.at(record));
      if (outcome !== HandlerOutcome.CONTINUE) this.charges?.transferred(name, level);
      return outcome;
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      this.#helperFaulted = true;
      cpu.setI32(FAULT_VECTOR, fault.vector);
      cpu.setI32(FAULT_ERROR, fault.error);
      return HandlerOutcome.FAULT;
    } finally {
      slice.access = 0;
    }
  }

  /** Emitted code has left at CURRENT_RECORD without executing it: RIP is that instruction's; those before it count. */
  leftMidBlock(cpu: CpuState): void {
    const record = cpu.i32(CURRENT_RECORD);
    // A task switch may fault when RIP is the new task's already: a helper's RIP stands.
    if (this.#helperFaulted) this.#helperFaulted = false;
    else this.places.setRip(cpu, record);
    this.slice.leftMidBlock(record);
  }
}
