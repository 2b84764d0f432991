import type { NetworkClock } from "../../src/net/clock.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** Time that passes when a test says so, and not otherwise. */
export class VirtualClock implements NetworkClock {
  /** A binary heap. */
  readonly #events: Event[] = [];
  readonly #cancelled = new Set<Event>();
  #time = 0;
  #order = 0;

  now(): number {
    return this.#time;
  }

  after(delay: number, action: () => void): () => void {
    const event = { at: this.#time + delay, order: this.#order++, action };
    this.#events.push(event);
    this.#up();
    return () => {
      if (this.#events.includes(event)) this.#cancelled.add(event);
    };
  }

  get pending(): number {
    return this.#events.length - this.#cancelled.size;
  }

  /** Runs what is due until `time`; or until nothing is left, or `done`. */
  run(time: number = Number.POSITIVE_INFINITY, done: () => boolean = () => false): void {
    while (!done()) {
      const first = this.#events[0];
      if (first === undefined || first.at > time) {
        if (time !== Number.POSITIVE_INFINITY) this.#time = Math.max(this.#time, time);
        return;
      }
      this.#pop();
      if (this.#cancelled.delete(first)) continue;
      this.#time = first.at;
      first.action();
    }
  }

  advance(milliseconds: number): void {
    this.run(this.#time + milliseconds);
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#events[a]!, this.#events[b]!];
    return x.at < y.at || (x.at === y.at && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    [this.#events[a], this.#events[b]] = [this.#events[b]!, this.#events[a]!];
  }

  #up(): void {
    for (let at = this.#events.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const last = this.#events.pop()!;
    if (this.#events.length === 0) return;
    this.#events[0] = last;
    for (let at = 0; ; ) {
      let child = 2 * at + 1;
      if (child >= this.#events.length) return;
      if (child + 1 < this.#events.length && this.#before(child + 1, child)) child++;
      if (!this.#before(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }
}
