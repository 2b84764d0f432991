/**
 * Any number of timers on a clock that is asked for one call at a time. Every connection has a few timers that are set
 * anew with each segment, and clocks are not made for that.
 */
import type { NetworkClock } from "./clock.ts";

export class NetworkTimer {
  readonly #queue: TimerQueue;
  readonly fire: () => void;
  /** Milliseconds on the clock. */
  deadline = 0;
  /** Place in the queue's heap; -1 if not armed. */
  place = -1;

  constructor(queue: TimerQueue, fire: () => void) {
    this.#queue = queue;
    this.fire = fire;
  }

  get armed(): boolean {
    return this.place >= 0;
  }

  /** Sets it, or sets it anew. @param delay milliseconds from now */
  arm(delay: number): void {
    this.#queue.insert(this, this.#queue.clock.now() + delay);
  }

  disarm(): void {
    this.#queue.remove(this);
  }
}

export class TimerQueue {
  readonly clock: NetworkClock;
  /** A binary heap, earliest deadline first. */
  readonly #heap: NetworkTimer[] = [];
  #cancel: (() => void) | null = null;
  #wakeAt = Number.POSITIVE_INFINITY;
  #running = false;

  constructor(clock: NetworkClock) {
    this.clock = clock;
  }

  timer(fire: () => void): NetworkTimer {
    return new NetworkTimer(this, fire);
  }

  /** How many are armed. */
  get size(): number {
    return this.#heap.length;
  }

  insert(timer: NetworkTimer, deadline: number): void {
    if (timer.place < 0) {
      timer.deadline = deadline;
      timer.place = this.#heap.length;
      this.#heap.push(timer);
      this.#up(timer.place);
    } else {
      const earlier = deadline < timer.deadline;
      timer.deadline = deadline;
      if (earlier) this.#up(timer.place);
      else this.#down(timer.place);
    }
    this.#schedule();
  }

  remove(timer: NetworkTimer): void {
    const { place } = timer;
    if (place < 0) return;
    timer.place = -1;
    const last = this.#heap.pop()!;
    if (last === timer) return;
    this.#heap[place] = last;
    last.place = place;
    this.#up(place);
    this.#down(last.place);
  }

  /** Disarms all. */
  clear(): void {
    for (const timer of this.#heap) timer.place = -1;
    this.#heap.length = 0;
    this.#cancel?.();
    this.#cancel = null;
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  /** A call that comes too early costs little, so one that is scheduled is only replaced by an earlier one. */
  #schedule(): void {
    const first = this.#heap[0];
    if (this.#running || first === undefined || first.deadline >= this.#wakeAt) return;
    this.#cancel?.();
    this.#wakeAt = first.deadline;
    this.#cancel = this.clock.after(Math.max(0, first.deadline - this.clock.now()), () => this.#run());
  }

  #run(): void {
    this.#cancel = null;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#running = true;
    const now = this.clock.now();
    try {
      for (let first = this.#heap[0]; first !== undefined && first.deadline <= now; first = this.#heap[0]) {
        this.remove(first);
        first.fire();
      }
    } finally {
      this.#running = false;
      this.#schedule();
    }
  }

  #place(timer: NetworkTimer, place: number): void {
    this.#heap[place] = timer;
    timer.place = place;
  }

  #up(start: number): void {
    const timer = this.#heap[start]!;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent]!;
      if (above.deadline <= timer.deadline) break;
      this.#place(above, place);
      place = parent;
    }
    this.#place(timer, place);
  }

  #down(start: number): void {
    const heap = this.#heap;
    const timer = heap[start]!;
    let place = start;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.deadline < heap[child]!.deadline) child++;
      if (heap[child]!.deadline >= timer.deadline) break;
      this.#place(heap[child]!, place);
      place = child;
    }
    this.#place(timer, place);
  }
}
