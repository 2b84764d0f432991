/**
 * The sending half of a connection (RFC 9293, 3.3.1, 3.8): what may be sent now, and when it is to be sent again. It makes no
 * segments by itself: it is asked for one whenever the link has room, so nothing waits in queues and acknowledged
 * windows are the only buffers.
 */
import type { NetworkTimer, TimerQueue } from "../timers.ts";
import { Congestion } from "./congestion.ts";
import { RoundTrip } from "./round-trip.ts";
import { SendBuffer } from "./send-buffer.ts";

/** Retransmissions in a row before the connection is given up: over 100 seconds (RFC 9293, 3.8.3, R2) ... */
const MOST_RETRANSMISSIONS = 10;
/**
 * ... and over three minutes for a SYN. There is no congestion to make worse on this link: a SYN that is lost has found a full
 * backlog, or nobody yet. So it is sent again at shorter intervals than RFC 6298 has, and not together with all
 * others that found the same.
 */
const MOST_SYN_RETRANSMISSIONS = 90;
const MOST_SYN_TIMEOUT_MS = 2000;
const SYN_JITTER_MS = 1000;
/** Segments in one frame: devices cut up no more (segmentation.ts of virtio). */
const MOST_SEGMENTS = 256;

export interface SendPlan {
  readonly sequence: number;
  readonly length: number;
  readonly syn: boolean;
  readonly fin: boolean;
}

/** What an acknowledgment was: of something not yet sent, or far too old; or of use. */
export type Acknowledgment = "unacceptable" | "old" | "current" | "progress";

export interface SenderEvents {
  /** There may be something to send. */
  ready(): void;
  /** Retransmitted in vain. */
  failed(): void;
  /** A number of 32 bits. */
  random(): number;
}

export class TcpSender {
  readonly #initial: number;
  readonly #buffer = new SendBuffer();
  readonly #roundTrip = new RoundTrip();
  readonly #retransmission: NetworkTimer;
  readonly #persist: NetworkTimer;
  readonly #timers: TimerQueue;
  readonly #events: SenderEvents;
  #largest: number;
  #segment = 536;
  #congestion = new Congestion(536);
  /** SND.UNA, SND.NXT, and the highest SND.NXT there ever was. */
  #unacknowledged: number;
  #next: number;
  #highest: number;
  /** The sequence number after the last byte in the buffer. */
  #end: number;
  /** SND.WND, and the largest there ever was. */
  #window = 0;
  #largestWindow = 0;
  /** SND.WL1 and SND.WL2. */
  #windowSequence = 0;
  #windowAcknowledgment = 0;
  /** Data may be sent: the handshake is over. */
  #open = false;
  #finQueued = false;
  #resendFirst = false;
  #probe = false;
  #retransmissions = 0;
  /** The sequence number whose acknowledgment ends the measured round trip; null while none is measured. */
  #timed: number | null = null;
  #timedAt = 0;

  /** @param largest bytes of payload in one frame, at most */
  constructor(initial: number, largest: number, timers: TimerQueue, events: SenderEvents) {
    this.#initial = this.#unacknowledged = this.#next = this.#highest = initial;
    this.#end = initial + 1;
    this.#largest = largest;
    this.#timers = timers;
    this.#events = events;
    this.#retransmission = timers.timer(() => this.#timedOut());
    this.#persist = timers.timer(() => {
      this.#probe = true;
      events.ready();
    });
  }

  /** The sequence number of a segment that carries nothing: one that is in the peer's window (3.10.7.4). */
  get sequence(): number {
    return Math.max(this.#next, Math.min(this.#highest, this.#unacknowledged + this.#window));
  }
  get unacknowledged(): number {
    return this.#unacknowledged;
  }
  get highest(): number {
    return this.#highest;
  }
  get segmentSize(): number {
    return this.#segment;
  }
  /** Bytes not yet acknowledged. */
  get buffered(): number {
    return this.#buffer.length;
  }
  get finAcknowledged(): boolean {
    return this.#finQueued && this.#unacknowledged > this.#end;
  }
  get synAcknowledged(): boolean {
    return this.#unacknowledged > this.#initial;
  }

  /** The handshake is over. */
  open(segment: number, window: number, sequence: number, acknowledgment: number): void {
    this.#open = true;
    this.#segment = segment;
    this.#largest = Math.min(this.#largest, MOST_SEGMENTS * segment);
    this.#congestion = new Congestion(segment);
    this.#setWindow(window, sequence, acknowledgment);
    this.#events.ready();
  }

  append(bytes: Uint8Array): void {
    this.#buffer.append(bytes);
    this.#end += bytes.length;
    this.#events.ready();
  }

  /** FIN follows the last byte. */
  finish(): void {
    this.#finQueued = true;
    this.#events.ready();
  }

  /** Copies the payload of a plan. */
  copy(plan: SendPlan, target: Uint8Array, at: number): void {
    if (plan.length === 0) return;
    this.#buffer.copy(plan.sequence - (this.#end - this.#buffer.length), plan.length, target, at);
  }

  /** What to send now; null if there is nothing, or no window for it. It counts as sent. */
  plan(): SendPlan | null {
    if (this.#next === this.#initial)
      return this.#sent({ sequence: this.#next, length: 0, syn: true, fin: false });
    if (!this.#open) return null;
    if (this.#resendFirst) {
      this.#resendFirst = false;
      const plan = this.#first();
      if (plan !== null) return plan;
    }
    const room = this.#unacknowledged + Math.min(this.#window, this.#congestion.window) - this.#next;
    const available = Math.max(0, this.#end - this.#next);
    const length = this.#usable(available, Math.max(0, Math.floor(room)));
    const fin = this.#finQueued && this.#next + length === this.#end && (length > 0 || this.#window > 0);
    if (length > 0 || fin) {
      this.#probe = false;
      this.#persist.disarm();
      return this.#sent({ sequence: this.#next, length, syn: false, fin });
    }
    const waiting = available > 0 || (this.#finQueued && this.#next === this.#end);
    if (!waiting || this.#next > this.#unacknowledged) return null;
    return this.#probeWindow(available);
  }

  /** Part of 3.8.6.2.1: no silly segments; what is too small waits until it is all there is, or the window is large. */
  #usable(available: number, room: number): number {
    let length = Math.min(available, room, this.#largest);
    if (length === available) return length;
    if (length >= this.#segment) length -= length % this.#segment;
    else if (length * 2 < this.#largestWindow) length = 0;
    return length;
  }

  #sent(plan: SendPlan): SendPlan {
    const end = plan.sequence + plan.length + (plan.syn ? 1 : 0) + (plan.fin ? 1 : 0);
    this.#next = end;
    if (this.#timed === null && plan.sequence >= this.#highest) {
      this.#timed = end;
      this.#timedAt = this.#timers.clock.now();
    }
    if (end > this.#highest) this.#highest = end;
    if (!this.#retransmission.armed)
      this.#retransmission.arm(plan.syn ? this.#synTimeout() : this.#roundTrip.timeout);
    return plan;
  }

  #synTimeout(): number {
    const jitter = ((this.#events.random() >>> 0) / 2 ** 32) * SYN_JITTER_MS;
    return Math.min(this.#roundTrip.timeout, MOST_SYN_TIMEOUT_MS) + jitter;
  }

  /** The first unacknowledged segment, once more. */
  #first(): SendPlan | null {
    const sequence = this.#unacknowledged;
    const length = Math.min(this.#segment, Math.min(this.#highest, this.#end) - sequence);
    const fin = this.#finQueued && sequence + length === this.#end && this.#highest > this.#end;
    this.#timed = null;
    return length > 0 || fin ? { sequence, length, syn: false, fin } : null;
  }

  /** 3.8.6.1: a window of zero is probed, at growing intervals, for as long as probes are answered. */
  #probeWindow(available: number): SendPlan | null {
    if (!this.#probe) {
      if (!this.#persist.armed) this.#persist.arm(this.#roundTrip.timeout);
      return null;
    }
    this.#probe = false;
    if (++this.#retransmissions > MOST_RETRANSMISSIONS) {
      this.#events.failed();
      return null;
    }
    this.#roundTrip.backOff();
    this.#persist.arm(this.#roundTrip.timeout);
    const length = Math.min(available, Math.max(1, Math.min(this.#window, this.#segment)));
    const plan = { sequence: this.#next, length, syn: false, fin: available === 0 };
    this.#highest = Math.max(this.#highest, this.#next + Math.max(length, 1));
    return plan;
  }

  /**
   * An acknowledgment and a window (3.10.7.4, fifth check).
   * @param bare the segment carried nothing else
   */
  acknowledge(acknowledgment: number, window: number, sequence: number, bare: boolean): Acknowledgment {
    if (acknowledgment > this.#highest) return "unacceptable";
    // RFC 5961, 5.2: an old one must lie within the largest window.
    if (acknowledgment < this.#unacknowledged - Math.max(this.#largestWindow, 0xffff)) return "unacceptable";
    if (acknowledgment < this.#unacknowledged) return "old";
    const progress = acknowledgment > this.#unacknowledged;
    if (progress) this.#advance(acknowledgment);
    else {
      // Whoever answers is alive: probes may go on for ever.
      if (this.#window === 0) this.#retransmissions = 0;
      const duplicate = bare && window === this.#window && this.#next > this.#unacknowledged;
      const inFlight = this.#next - this.#unacknowledged;
      if (duplicate && this.#congestion.duplicate(acknowledgment, inFlight, this.#highest))
        this.#resendFirst = true;
    }
    if (
      sequence > this.#windowSequence ||
      (sequence === this.#windowSequence && acknowledgment >= this.#windowAcknowledgment)
    ) {
      this.#setWindow(window, sequence, acknowledgment);
    }
    this.#events.ready();
    return progress ? "progress" : "current";
  }

  #advance(acknowledgment: number): void {
    const acknowledged = acknowledgment - this.#unacknowledged;
    this.#unacknowledged = acknowledgment;
    this.#next = Math.max(this.#next, acknowledgment);
    const first = this.#end - this.#buffer.length;
    const data = Math.min(acknowledgment, this.#end) - first;
    if (data > 0) this.#buffer.release(data);
    if (this.#timed !== null && acknowledgment >= this.#timed) {
      this.#roundTrip.sample(this.#timers.clock.now() - this.#timedAt);
      this.#timed = null;
    }
    this.#roundTrip.progress();
    this.#retransmissions = 0;
    if (this.#congestion.acknowledged(acknowledged, acknowledgment)) this.#resendFirst = true;
    this.#persist.disarm();
    if (acknowledgment === this.#highest) this.#retransmission.disarm();
    else this.#retransmission.arm(this.#roundTrip.timeout);
  }

  #setWindow(window: number, sequence: number, acknowledgment: number): void {
    this.#window = window;
    this.#largestWindow = Math.max(this.#largestWindow, window);
    this.#windowSequence = sequence;
    this.#windowAcknowledgment = acknowledgment;
  }

  /** A SYN of the peer came again: it has not seen the answer. */
  resendSyn(): void {
    if (this.#unacknowledged !== this.#initial) return;
    this.#next = this.#initial;
    this.#timed = null;
    this.#events.ready();
  }

  /** All that is not acknowledged is sent again from its beginning, slowly (RFC 6298, 5.4 to 5.7). */
  #timedOut(): void {
    const most = this.synAcknowledged ? MOST_RETRANSMISSIONS : MOST_SYN_RETRANSMISSIONS;
    if (++this.#retransmissions > most) {
      this.#events.failed();
      return;
    }
    this.#congestion.timedOut(this.#next - this.#unacknowledged, this.#highest);
    this.#roundTrip.backOff();
    this.#next = this.#unacknowledged;
    this.#timed = null;
    this.#resendFirst = false;
    this.#events.ready();
  }

  /** Nothing more will be sent. */
  stop(): void {
    this.#retransmission.disarm();
    this.#persist.disarm();
    this.#buffer.clear();
    this.#open = false;
    this.#finQueued = false;
  }
}
