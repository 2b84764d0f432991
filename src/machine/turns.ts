/**
 * Whose turn it is: several processors on one thread, and the one virtual time that they share.
 *
 * Time goes in rounds. In a round each of the n processors that have something to execute gets one turn of at most
 * a quantum, in the order of their numbers. While turns run, time moves on by an n-th of what they spend, so that
 * it never goes back from one processor to the next: whoever reads the time-stamp counter later in the run reads
 * no less, on whichever processor. A full round takes a quantum, as if the processors ran side by side; where one
 * gave its turn away, what is missing passes at the round's end.
 *
 * A round of one processor is a slice of any length, which is all that a machine with one processor ever has.
 * Amounts are in units of the budget (`pace.ts`).
 */

/** Virtual nanoseconds of a quantum: unless another is asked for, and what may be asked for. */
export const QUANTUM = { unlessGiven: 10_000, least: 1000, most: 1e6 } as const;

export class Turns {
  /** Virtual nanoseconds at which the round began. */
  start = 0;
  #processors: readonly number[] = [];
  #at = 0;
  /** What each turn may spend. */
  #length = 0;
  /** What the round's turns have spent: all of them, the present one, the longest. */
  #total = 0;
  #turn = 0;
  #longest = 0;

  /** Begins a round. @param length what each processor may spend */
  begin(processors: readonly number[], start: number, length: number): void {
    this.#processors = processors;
    this.start = start;
    this.#length = length;
    this.#at = 0;
    this.#total = 0;
    this.#turn = 0;
    this.#longest = 0;
  }

  /** Whether a turn is to be had. */
  get active(): boolean {
    return this.#at < this.#processors.length;
  }

  /** Whose turn it is. */
  get processor(): number {
    return this.#processors[this.#at]!;
  }

  /** Processors in the round. */
  get sharing(): number {
    return this.#processors.length;
  }

  has(processor: number): boolean {
    return this.#processors.includes(processor);
  }

  /** What is left of the turn. */
  get left(): number {
    return this.#length - this.#turn;
  }

  /** What the turn has spent when the running slice has spent `units`. */
  turnSpent(units: number): number {
    return this.#turn + units;
  }

  /** How far time has moved on since `start` when the running slice has spent `units`. */
  passed(units: number): number {
    const total = this.#total + units;
    const n = this.#processors.length;
    return n === 1 ? total : Math.floor(total / n);
  }

  /** The longest turn of the round. */
  get longest(): number {
    return this.#longest;
  }

  /** A slice has spent `units`. @param over the processor gives the rest of its turn away */
  spend(units: number, over: boolean): void {
    this.#total += units;
    this.#turn += units;
    this.#longest = Math.max(this.#longest, this.#turn);
    if (!over && this.#turn < this.#length) return;
    this.#turn = 0;
    this.#at++;
  }

  /** Forgets the round. */
  reset(): void {
    this.begin([], 0, 0);
  }
}
