/**
 * The running slice and its budget. Emitted code counts the word BUDGET down at the ends of blocks and leaves when
 * it is spent; in the middle of a block the word lags behind, but devices and RDTSC must see the time of their
 * instruction. So what is spent is what BUDGET says, and what the block has executed up to `access`.
 */
import type { Accounting } from "./accounting.ts";
import { BUDGET, SLICE_INSTRUCTIONS } from "./layout.ts";
import type { RecordPlaces } from "./record-place.ts";
import type { CpuState } from "./state.ts";

/** Why a slice ended before its budget was spent. */
export const Stop = {
  NONE: 0,
  /** The processor waits (HLT, MWAIT, wait-for-SIPI). */
  IDLE: 1,
  /** Triple fault. */
  SHUTDOWN: 2,
} as const;

/** Budgets are in instructions, with a timing model in its units (`cost.ts`). */
export class Slice {
  /** The processor that runs. */
  cpu: CpuState;
  /** The record whose instruction is in a helper, a slow memory access or a watch's callback now, else 0. */
  access = 0;
  /** BUDGET at the start. */
  #budget = 0;
  /** What is kept back of BUDGET so that emitted code leaves early. */
  #held = 0;
  readonly #places: RecordPlaces;
  readonly #charges: Accounting | null;

  constructor(cpu: CpuState, places: RecordPlaces, charges: Accounting | null) {
    this.cpu = cpu;
    this.#places = places;
    this.#charges = charges;
  }

  begin(cpu: CpuState, budget: number): void {
    this.cpu = cpu;
    if (this.#charges !== null) {
      this.#charges.cpu = cpu;
      cpu.setI32(SLICE_INSTRUCTIONS, 0);
    }
    this.#budget = budget;
    this.#held = 0;
    cpu.setI32(BUDGET, budget);
  }

  /** Exact between instructions and inside whatever has set `access`. */
  get spent(): number {
    return this.#budget - this.cpu.i32(BUDGET) - this.#held + this.#spentInBlock();
  }

  /** Instructions executed, exact where `spent` is. */
  get executed(): number {
    if (this.#charges === null) return this.spent;
    return this.cpu.i32(SLICE_INSTRUCTIONS) + this.#executedInBlock();
  }

  #spentInBlock(): number {
    if (this.#charges === null || this.access === 0) return this.#executedInBlock();
    return this.#charges.records.unitsBefore(this.access);
  }

  #executedInBlock(): number {
    return this.access === 0 ? 0 : this.#places.instructionsBefore(this.access);
  }

  /** Leaves at most `left` of the budget. */
  shorten(left: number): void {
    const excess = this.cpu.i32(BUDGET) + this.#held - Math.max(0, left + this.#spentInBlock());
    if (excess <= 0) return;
    // What is taken from the budget was not executed: the slice becomes shorter by as much.
    this.#budget -= excess;
    const fromHeld = Math.min(excess, this.#held);
    this.#held -= fromHeld;
    this.cpu.setI32(BUDGET, this.cpu.i32(BUDGET) - (excess - fromHeld));
  }

  /**
   * Keeps back the budget but for `left`: with 0, emitted code leaves after one more block; with -1, when called
   * from emitted code, at the end of the current one.
   */
  hold(left: 0 | -1): void {
    const budget = this.cpu.i32(BUDGET);
    if (budget <= left) return;
    this.#held += budget - left;
    this.cpu.setI32(BUDGET, left);
  }

  /** Gives back what was kept. */
  release(): void {
    this.cpu.setI32(BUDGET, this.cpu.i32(BUDGET) + this.#held);
    this.#held = 0;
  }

  /** Emitted code has left at `record` without executing it: what comes before it in its block counts. */
  leftMidBlock(record: number): void {
    const { cpu } = this;
    if (this.#charges !== null) this.#charges.leftMidBlock(record);
    else cpu.setI32(BUDGET, cpu.i32(BUDGET) - this.#places.instructionsBefore(record));
  }

  /**
   * An event was delivered. That is progress: without a cost, a guest whose handler faults would never end its
   * slice. With a timing model the delivery has been charged already.
   */
  delivered(): void {
    const { cpu } = this;
    if (this.#charges !== null) this.#charges.count(1);
    else cpu.setI32(BUDGET, cpu.i32(BUDGET) - 1);
  }
}
