/**
 * The machine at work: rounds, turns and slices of its processors, the time that passes when all of them wait, and the
 * account of both. Which place in the run something has is decided here, by counts of instructions and by virtual time.
 */
import { UNITS_PER_CYCLE } from "../cpu/cost.ts";
import type { Processor } from "../cpu/processor.ts";
import { Stop } from "../cpu/slice.ts";
import type { CpuState } from "../cpu/state.ts";
import { Activity, activity } from "../cpu/system/index.ts";
import type { EventClock } from "./clock.ts";
import type { RunOptions, StopReason } from "./machine-options.ts";
import type { OutsideInput } from "./outside-input.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Longest stay in emitted code: code that V8 has optimised meanwhile is entered at the next call. */
const SLICE = 100_000;
/** The least that an instruction costs with a timing model, roughly: an instruction limit is approached with it. */
const LEAST_UNITS = UNITS_PER_CYCLE / 8;
/**
 * A processor that executes PAUSE waits for another one: it gives its turn away, but not before it has spent these
 * nanoseconds of it. Else turns would be dearest where all of them wait for time to pass.
 */
const SHORTEST_SPIN = 500;

export interface ExecutionParts {
  readonly processor: Processor;
  readonly states: readonly CpuState[];
  readonly clock: EventClock;
  readonly time: VirtualTime;
  readonly outside: OutsideInput;
  /** The longest turn of a processor beside others, in units of the budget. */
  readonly quantum: number;
  /** Whether a timing model counts: budgets are in its units, else in instructions. */
  readonly timed: boolean;
}

export class Execution {
  /** As the members of the same names of `Machine`. */
  instructions = 0;
  readonly instructionsOf: number[];
  idleTime = 0;
  readonly idleTimeOf: number[];
  stolenTime = 0;

  readonly #processor: Processor;
  readonly #states: readonly CpuState[];
  readonly #clock: EventClock;
  readonly #time: VirtualTime;
  readonly #outside: OutsideInput;
  readonly #quantum: number;
  /** Units of the budget in an instruction without a timing model, or in a cycle of it. */
  readonly #scale: number;
  readonly #leastUnits: number;
  /** What each processor spent up to the running slice, in units of the budget. */
  readonly #spent: number[];
  /** The processor in its turn waits for another. */
  #yields = false;
  #stop: StopReason | null = null;
  #current: CpuState;
  /** Every processor waits. */
  #isIdle = false;

  constructor({ processor, states, clock, time, outside, quantum, timed }: ExecutionParts) {
    this.#processor = processor;
    this.#states = states;
    this.#clock = clock;
    this.#time = time;
    this.#outside = outside;
    this.#quantum = quantum;
    this.#scale = timed ? UNITS_PER_CYCLE : 1;
    this.#leastUnits = timed ? LEAST_UNITS : 1;
    this.#current = states[0]!;
    this.instructionsOf = states.map(() => 0);
    this.idleTimeOf = states.map(() => 0);
    this.#spent = states.map(() => 0);
    clock.onEarlierDeadline = (deadline) => {
      if (clock.currentTime !== null) processor.shortenSlice(time.unitsUntil(deadline));
    };
    processor.onPause = () => this.#pause();
  }

  /** Power-on. */
  reset(): void {
    this.#stop = null;
  }

  get current(): CpuState {
    return this.#current;
  }

  /** As `Machine.cyclesOf`. */
  cyclesOf(index: number): number {
    const runs = this.#clock.currentTime !== null && this.#current.index === index;
    return (this.#spent[index]! + (runs ? this.#processor.spent : 0)) / this.#scale;
  }

  // ---- What ends or shortens the running slice -----------------------------------------------------------

  /** The run ends at the end of the slice; the first reason counts. */
  end(reason: StopReason): void {
    this.#stop ??= reason;
    this.#processor.interruptSlice();
    this.#outside.wake();
  }

  /** An interrupt line of a processor has changed. */
  interruptLine(cpu: number): void {
    this.#processor.noteEvent(cpu);
    // One that runs alone, and may for long, makes room for another that it, or a device, has woken.
    const { turns } = this.#time;
    if (this.#clock.currentTime === null || turns.sharing > 1 || turns.has(cpu)) return;
    if (this.#processor.awake(this.#states[cpu]!)) this.#processor.interruptSlice();
  }

  /** The processor in its turn has executed PAUSE. */
  #pause(): void {
    const { turns } = this.#time;
    if (turns.sharing === 1) return;
    if (turns.turnSpent(this.#processor.spent) < this.#time.units(SHORTEST_SPIN)) return;
    this.#yields = true;
    this.#processor.interruptSlice();
  }

  // ---- Slices --------------------------------------------------------------------------------------------

  /** The processors that have something to execute. One by itself finds out by executing. */
  #awake(): number[] {
    if (this.#states.length === 1) return [0];
    return this.#states.filter((cpu) => this.#processor.awake(cpu)).map((cpu) => cpu.index);
  }

  /** Begins a round of turns. `false`: every processor waits. */
  #beginRound(): boolean {
    const awake = this.#awake();
    if (awake.length === 0) return false;
    // By itself a processor may run until something happens; a line that MWAIT watches has to be looked at.
    const alone = awake.length === 1 && !this.#states.some((cpu) => activity(cpu) === Activity.MWAIT);
    const length = alone ? Number.POSITIVE_INFINITY : this.#quantum;
    this.#time.turns.begin(awake, this.#clock.now(), length);
    return true;
  }

  /** One stay in a processor: its turn, or a part of it. Null: the run goes on. */
  slice({ maxInstructions = Number.POSITIVE_INFINITY }: RunOptions): StopReason | null {
    const clock = this.#clock;
    const applied = this.#outside.apply();
    this.#isIdle = false;
    // What input has made due.
    clock.runDue();
    if (this.#stop) return this.#takeStop();
    if (applied === "end") return { kind: "replayed" };
    const left = Math.min(maxInstructions, this.#outside.maxInstructions) - this.instructions;
    if (left <= 0) return { kind: "instruction-limit" };
    const { turns } = this.#time;
    if (!turns.active && !this.#beginRound()) {
      this.#isIdle = true;
      return null;
    }
    const limit = left * this.#leastUnits;
    const pause = this.#time.unitsUntil(clock.nextDeadline());
    const budget = Math.max(1, Math.min(SLICE * this.#scale, limit, pause, turns.left));
    const cpu = this.#states[turns.processor]!;
    this.#current = cpu;
    this.#yields = false;
    this.#time.beginSlice();
    const stop = this.#processor.execute(cpu, budget);
    const { spent, executed } = this.#processor;
    this.instructions += executed;
    this.instructionsOf[cpu.index]! += executed;
    this.#spent[cpu.index]! += spent;
    // A round of one is a slice, so that others who were woken meanwhile come into the next.
    const round = this.#time.endSlice(stop === Stop.IDLE || this.#yields || turns.sharing === 1);
    for (const { index } of this.#states) if (!turns.has(index)) this.idleTimeOf[index]! += round;
    if (this.#stop) return this.#takeStop();
    if (stop === Stop.SHUTDOWN) return { kind: "triple-fault" };
    // At once, as in `moveTime`: a place of input is a time alone, and at each of them all that is due has been done.
    const fired = clock.runDue();
    this.#isIdle = stop === Stop.IDLE && this.#states.length === 1 && fired === 0;
    return null;
  }

  #takeStop(): StopReason {
    const reason = this.#stop!;
    this.#stop = null;
    return reason;
  }

  // ---- Time in which nothing is executed -----------------------------------------------------------------

  /** Virtual nanoseconds from now to the next event if every processor waits and nothing has come in, else 0. */
  idle(): number {
    if (!this.#isIdle || this.#outside.apply() !== "nothing") return 0;
    return Math.max(0, this.untilDeadline());
  }

  /** Virtual nanoseconds from now to the next event, `Infinity` if there is none. */
  untilDeadline(): number {
    return (this.#clock.nextDeadline() ?? Number.POSITIVE_INFINITY) - this.#clock.now();
  }

  /** Lets idle time pass; with nothing to wait for, the machine has halted. */
  skip(nanoseconds: number): StopReason | null {
    if (nanoseconds === Number.POSITIVE_INFINITY) return { kind: "halted" };
    if (nanoseconds > 0) this.moveTime(this.#clock.now() + nanoseconds);
    return null;
  }

  /** Time passes in which nothing is executed: idle, or stolen. @param to ns, not in the past */
  moveTime(to: number): void {
    const nanoseconds = to - this.#clock.now();
    if (this.#isIdle) {
      this.idleTime += nanoseconds;
      for (const { index } of this.#states) this.idleTimeOf[index]! += nanoseconds;
    } else this.stolenTime += nanoseconds;
    this.#time.moveTo(to);
    if (this.#clock.runDue() > 0) this.#isIdle = false;
  }
}
