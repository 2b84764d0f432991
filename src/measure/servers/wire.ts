/**
 * What lies between the machine's network device and the load generator's network: a wire that takes a fixed time and never
 * loses anything. All of the time passes on the way from the guest, so that everything the generator does happens between
 * two slices, where counts are exact; to who waits for an answer it is the same.
 */
import type { Machine } from "../../machine/machine.ts";
import type { NetworkBackend, OutgoingFrame } from "../../net/backend.ts";

type Work = OutgoingFrame["work"];
type Timer = ReturnType<Machine["platform"]["clock"]["timer"]>;

interface Travelling {
  /** Virtual nanoseconds. */
  readonly arrival: number;
  readonly frame: Uint8Array;
  readonly work: Work;
}

export class Wire {
  readonly takesUnfinished: boolean;
  /** Set by the machine. */
  onFrames: () => void = () => {};
  readonly #network: NetworkBackend;
  readonly #roundTrip: number;
  readonly #travelling: Travelling[] = [];
  #machine: Machine | null = null;
  #arrival: Timer | null = null;
  #departure: Timer | null = null;

  /** @param roundTrip virtual nanoseconds */
  constructor(network: NetworkBackend, roundTrip: number) {
    this.#network = network;
    this.#roundTrip = roundTrip;
    this.takesUnfinished = network.takesUnfinished;
    network.onFrames = () => this.#frames();
  }

  connect(machine: Machine): void {
    this.#machine = machine;
    const { clock } = machine.platform;
    this.#arrival = clock.timer("wire", () => this.#arrive());
    this.#departure = clock.timer("wire to the guest", () => {});
  }

  /** A frame from the guest. */
  send(frame: Uint8Array, work: Work): void {
    if (this.#machine === null) return;
    const arrival = this.#machine.time + this.#roundTrip;
    this.#travelling.push({ arrival, frame: frame.slice(), work });
    if (this.#travelling.length === 1) this.#arrival!.arm(arrival);
  }

  #arrive(): void {
    const now = this.#machine!.time;
    while (this.#travelling.length > 0 && this.#travelling[0]!.arrival <= now) {
      const { frame, work } = this.#travelling.shift()!;
      this.#network.send(frame, work);
    }
    const [next] = this.#travelling;
    if (next !== undefined) this.#arrival!.arm(next.arrival);
  }

  /** Frames enter between two slices: a timer sees to it that the next one does not last. */
  #frames(): void {
    if (this.#machine !== null) this.#departure!.arm(this.#machine.time + 1);
    this.onFrames();
  }

  /** The next frame for the guest. */
  next(): OutgoingFrame | null {
    return this.#network.next();
  }
}
