/** The virtual time of a machine as a network's clock: its timers are events of the machine's own queue. */
import type { Machine } from "../../machine/machine.ts";
import type { NetworkClock } from "../../net/clock.ts";

type Timer = ReturnType<Machine["platform"]["clock"]["timer"]>;

interface Event {
  /** Virtual nanoseconds. */
  readonly at: number;
  readonly action: () => void;
}

const NS_PER_MS = 1e6;

export class MachineClock implements NetworkClock {
  #machine: Machine | null = null;
  #timer: Timer | null = null;
  /** Earliest first; equal ones in the order of their calls. A network has two or three. */
  readonly #events: Event[] = [];

  /** Before the machine runs, and before `after` is called: networks are made before their machines. */
  connect(machine: Machine): void {
    this.#machine = machine;
    this.#timer = machine.platform.clock.timer("network of the load", () => this.#due());
  }

  now(): number {
    return (this.#machine?.time ?? 0) / NS_PER_MS;
  }

  after(delay: number, action: () => void): () => void {
    if (this.#machine === null) throw new Error("clock: expected a machine before the first timer");
    const event = { at: Math.ceil(this.#machine.time + delay * NS_PER_MS), action };
    const later = this.#events.findIndex(({ at }) => at > event.at);
    this.#events.splice(later < 0 ? this.#events.length : later, 0, event);
    this.#schedule();
    return () => {
      const place = this.#events.indexOf(event);
      if (place >= 0) this.#events.splice(place, 1);
      this.#schedule();
    };
  }

  #schedule(): void {
    const [first] = this.#events;
    if (first === undefined) this.#timer?.disarm();
    else this.#timer?.arm(first.at);
  }

  #due(): void {
    const now = this.#machine!.time;
    while (this.#events.length > 0 && this.#events[0]!.at <= now) this.#events.shift()!.action();
    this.#schedule();
  }
}
