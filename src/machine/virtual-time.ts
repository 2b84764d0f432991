/**
 * Virtual time while processors run: what of it has passed by what they have spent, in nanoseconds for devices and in
 * ticks for the time-stamp counters, which differ from each other by what was written to them alone.
 */
import type { TimeSource } from "../cpu/core.ts";
import type { CpuState } from "../cpu/state.ts";
import type { EventClock } from "./clock.ts";
import type { Pace } from "./pace.ts";
import { Turns } from "./turns.ts";

export class VirtualTime implements TimeSource {
  readonly turns = new Turns();
  readonly #clock: EventClock;
  readonly #pace: Pace;
  /** What the running slice has spent. */
  readonly #spent: () => number;
  readonly #tscOffset: bigint[] = [];

  /** @param spent what the running slice has spent, in the pace's units */
  constructor(clock: EventClock, pace: Pace, spent: () => number) {
    this.#clock = clock;
    this.#pace = pace;
    this.#spent = spent;
  }

  /** Power-on. */
  reset(): void {
    this.#pace.reset();
    this.#tscOffset.length = 0;
    this.turns.reset();
  }

  // ---- Time-stamp counters: at 1 GHz, or the timing model's frequency -------------------------------------

  tsc(cpu: CpuState): bigint {
    return BigInt.asUintN(64, this.#ticks() + this.#offset(cpu.index));
  }

  setTsc(cpu: CpuState, value: bigint): void {
    this.#tscOffset[cpu.index] = value - this.#ticks();
  }

  /** As `ProcessorSide.timeOfTsc`. */
  timeOfTsc(cpu: number, low: number, high: number): number {
    const tsc = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const time = this.#pace.timeOfTicks(tsc - this.#offset(cpu));
    if (time < 0n) return 0;
    return time > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(time);
  }

  #offset(cpu: number): bigint {
    return this.#tscOffset[cpu] ?? 0n;
  }

  #ticks(): bigint {
    const { turns } = this;
    if (this.#clock.currentTime !== null) return this.#pace.ticks(turns.start, turns.passed(this.#spent()));
    const [start, passed] = turns.active ? [turns.start, turns.passed(0)] : [this.#clock.now(), 0];
    return this.#pace.ticks(start, passed);
  }

  /** Between slices: time passes in which no processor executes. @param to ns, not in the past */
  moveTo(to: number): void {
    if (this.turns.active) this.turns.start += to - this.#clock.now();
    this.#clock.advanceTo(to);
  }

  // ---- Slices ------------------------------------------------------------------------------------------

  /** What a processor spends in `nanoseconds`. */
  units(nanoseconds: number): number {
    return this.#pace.units(nanoseconds);
  }

  /** What the processor in its turn may spend until a deadline. */
  unitsUntil(deadline: number | null): number {
    if (deadline === null) return Number.POSITIVE_INFINITY;
    return this.#pace.units(deadline - this.#clock.now()) * this.turns.sharing;
  }

  /** A slice begins: the clock follows what it spends. */
  beginSlice(): void {
    const { turns } = this;
    this.#clock.currentTime = () => turns.start + this.#pace.nanoseconds(turns.passed(this.#spent()));
  }

  /**
   * It has ended, and time moves on by what was spent; at the end of a round by what is missing of its longest turn.
   * @param over the processor gives the rest of its turn away
   * @returns the nanoseconds of the round if this was its end, else 0
   */
  endSlice(over: boolean): number {
    const { turns } = this;
    const clock = this.#clock;
    clock.currentTime = null;
    turns.spend(this.#spent(), over);
    if (turns.active) {
      clock.advanceTo(turns.start + this.#pace.nanoseconds(turns.passed(0)));
      return 0;
    }
    // What has become due meanwhile is not late for that.
    const due = clock.nextDeadline();
    const until = due === null ? Number.POSITIVE_INFINITY : this.#pace.units(due - turns.start);
    const units = Math.max(turns.passed(0), Math.min(turns.longest, until));
    const nanoseconds = this.#pace.pass(units);
    clock.advanceTo(turns.start + nanoseconds);
    return nanoseconds;
  }
}
