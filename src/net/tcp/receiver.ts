/**
 * The receiving half of a connection (RFC 9293, 3.3.1, 3.8.6, 3.10.7.4): bytes in order go to the user at once, others wait; the
 * window says how much more the user can take; acknowledgments may wait a moment.
 */
import type { NetworkTimer, TimerQueue } from "../timers.ts";

/** Pieces that wait for what lies before them. A peer that needs more has lost very much. */
const MOST_PIECES = 64;
/** 3.8.6.3: less than half a second. */
const DELAYED_ACK_MS = 40;

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export interface ReceiverEvents {
  /** An acknowledgment is due. */
  ready(): void;
  /** Bytes in order. They are only lent. */
  deliver(bytes: Uint8Array): void;
}

export class TcpReceiver {
  readonly #full: number;
  /** What windows can say: until the handshake is over, and without a scale, 16 bits. */
  #capacity: number;
  readonly #events: ReceiverEvents;
  readonly #delayed: NetworkTimer;
  /** RCV.NXT. */
  #next = 0;
  /** The right edge of the window: never goes back (3.8.6). */
  #edge = 0;
  /** Bytes that the user has been given and is not done with. */
  #held = 0;
  /** Out of order: sorted, not overlapping. */
  #pieces: Piece[] = [];
  /** The sequence number of the peer's FIN, once it is known. */
  #finAt: number | null = null;
  #finished = false;
  #acknowledgmentDue = false;
  /** Acknowledgments of segments out of order: each has its own, since the peer counts them (RFC 5681, 3.2). */
  #duplicatesDue = 0;
  /** Bytes since the last acknowledgment. */
  #unacknowledged = 0;
  #scale = 0;
  #segment = 536;
  #stopped = false;

  /** @param capacity bytes, at most, that the user holds or that wait */
  constructor(capacity: number, timers: TimerQueue, events: ReceiverEvents) {
    this.#full = capacity;
    this.#capacity = Math.min(capacity, 0xffff);
    this.#events = events;
    this.#delayed = timers.timer(() => this.acknowledge());
  }

  /** @param initial the sequence number of the peer's SYN */
  start(initial: number): void {
    this.#next = initial + 1;
    this.#edge = this.#next + this.#capacity;
  }

  /** The handshake is over. @param scale shift of windows that are sent. @param segment what the peer sends at most in one */
  open(scale: number, segment: number): void {
    this.#scale = scale;
    this.#segment = segment;
    if (scale > 0) this.#capacity = this.#full;
  }

  /** RCV.NXT. */
  get next(): number {
    return this.#next;
  }
  /** RCV.WND. */
  get window(): number {
    return this.#edge - this.#next;
  }
  /** Whether the peer's FIN has arrived, and everything before it. */
  get finished(): boolean {
    return this.#finished;
  }
  get acknowledgmentDue(): boolean {
    return this.#acknowledgmentDue;
  }

  /** Table 5 of 3.4: whether a segment is in the window. */
  accepts(sequence: number, length: number): boolean {
    const { window } = this;
    const last = sequence + length - 1;
    const begins = sequence >= this.#next && sequence < this.#edge;
    if (length === 0) return window === 0 ? sequence === this.#next : begins;
    if (window === 0) return false;
    return (
      begins || (last >= this.#next && last < this.#edge) || (sequence < this.#next && last >= this.#edge)
    );
  }

  /** Acknowledges as soon as the link has room. */
  acknowledge(): void {
    if (this.#stopped) return;
    this.#acknowledgmentDue = true;
    this.#events.ready();
  }

  /** The payload, and FIN, of a segment that `accepts`. */
  arrive(sequence: number, payload: Uint8Array, fin: boolean): void {
    const end = sequence + payload.length;
    if (fin && end <= this.#edge) this.#finAt ??= end;
    const limit = this.#finAt === null ? this.#edge : Math.min(this.#edge, this.#finAt);
    const from = Math.max(sequence, this.#next);
    const bytes = payload.subarray(from - sequence, Math.max(from, Math.min(end, limit)) - sequence);
    const before = this.#next;
    if (from === this.#next) {
      this.#deliver(bytes);
      this.#drain();
    } else if (bytes.length > 0) this.#keep(from, bytes);
    if (this.#finAt === this.#next && !this.#finished) {
      this.#next++;
      this.#edge = Math.max(this.#edge, this.#next);
      this.#finished = true;
    }
    const advanced = this.#next - before;
    this.#unacknowledged += advanced;
    // 3.8.6.3 and RFC 5681, 4.2: at once for gaps, what fills them, what was known, and every second full segment.
    const atOnce =
      this.#finished ||
      this.#pieces.length > 0 ||
      advanced !== payload.length ||
      this.#unacknowledged >= 2 * this.#segment;
    if (advanced > 0) this.#duplicatesDue = 0;
    else if (this.#pieces.length > 0) this.#duplicatesDue = Math.min(this.#duplicatesDue + 1, MOST_PIECES);
    if (atOnce) this.acknowledge();
    else if (this.#unacknowledged > 0 && !this.#delayed.armed && !this.#stopped) {
      this.#delayed.arm(DELAYED_ACK_MS);
    }
  }

  #deliver(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#next += bytes.length;
    this.#held += bytes.length;
    this.#events.deliver(bytes);
  }

  #drain(): void {
    for (
      let first = this.#pieces[0];
      first !== undefined && first.start <= this.#next;
      first = this.#pieces[0]
    ) {
      this.#pieces.shift();
      const known = this.#next - first.start;
      if (known < first.bytes.length) this.#deliver(first.bytes.subarray(known));
    }
  }

  /** Keeps a copy of what is new. */
  #keep(start: number, bytes: Uint8Array): void {
    let from = start;
    const end = start + bytes.length;
    for (let place = 0; from < end; place++) {
      const piece = this.#pieces[place];
      if (piece !== undefined && piece.start + piece.bytes.length <= from) continue;
      const stop = Math.min(end, piece?.start ?? end);
      if (from < stop) {
        if (this.#pieces.length >= MOST_PIECES) return;
        this.#pieces.splice(place, 0, { start: from, bytes: bytes.slice(from - start, stop - start) });
        place++;
      }
      if (piece === undefined) return;
      from = Math.max(from, piece.start + piece.bytes.length);
    }
  }

  /** The user is done with bytes that it was given. */
  consumed(count: number): void {
    this.#held -= count;
    if (this.#stopped || this.#finished) return;
    // 3.8.6.2.2: the edge moves on in steps worth a segment of its own.
    const { window } = this;
    const step = this.#next + this.#capacity - this.#held - this.#edge;
    if (
      step >= this.#capacity / 2 ||
      (window < this.#segment && step >= Math.min(this.#segment, this.#capacity / 2))
    ) {
      this.acknowledge();
    }
  }

  /** The window field of a segment that is sent now; with it everything is acknowledged. */
  takeWindow(): number {
    const possible = this.#next + this.#capacity - this.#held;
    if (possible - this.#edge >= Math.min(this.#capacity / 2, this.#segment)) this.#edge = possible;
    if (this.#duplicatesDue > 0) this.#duplicatesDue--;
    this.#acknowledgmentDue = this.#duplicatesDue > 0;
    this.#unacknowledged = 0;
    this.#delayed.disarm();
    return Math.min(this.window >> this.#scale, 0xffff);
  }

  /** Nothing more will be received. */
  stop(): void {
    this.#stopped = true;
    this.#acknowledgmentDue = false;
    this.#pieces = [];
    this.#delayed.disarm();
  }
}
