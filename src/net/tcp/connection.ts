/**
 * One TCP connection (RFC 9293, with the answers of RFC 5961 to blind attacks). It knows neither sockets nor frames: segments come
 * in by `arrive`, go out by `emit` when the link has room, and a `TcpUser` is at its end.
 *
 * Not offered: timestamps, selective acknowledgment, ECN, keep-alive, urgent data (the URG flag is ignored: its bytes are
 * ordinary ones).
 */
import type { Endpoint } from "../ipv4-address.ts";
import type { NetworkTimer } from "../timers.ts";
import { ChallengeLimit } from "./challenge-limit.ts";
import type { CloseReason, TcpEnvironment, TcpLimits, TcpState, TcpUser } from "./interfaces.ts";
import { TcpReceiver } from "./receiver.ts";
import { FLAG, type Segment, segmentLength, writeTcpHeader } from "./segment.ts";
import { TcpSender } from "./sender.ts";
import { unwrap } from "./sequence.ts";

/** RFC 879: of a peer that does not say. */
const DEFAULT_SEGMENT = 536;
/** A peer that wants less costs more than it should. */
const LEAST_SEGMENT = 88;
const WINDOW_SCALE = 7;
/** Twice the maximum segment lifetime. Nothing stays on this link for more than an instant. */
const TIME_WAIT_MS = 10_000;
/** How long a connection without a user waits for the peer's FIN. */
const ORPHAN_MS = 60_000;

/** How long a connection may take to open: no less than all retransmissions of its SYN take, and as long if none could be sent. */
const OPENING_MS = 300_000;

const NOBODY: TcpUser = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} };

export class TcpConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #environment: TcpEnvironment;
  readonly #limits: TcpLimits;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  readonly #expiry: NetworkTimer;
  readonly #challenges: ChallengeLimit;
  #user: TcpUser = NOBODY;
  #state: TcpState = "CLOSED";
  /** Of the peer's SYN. */
  #peerInitial = 0;
  /** Shift of windows that the peer sends. */
  #peerScale = 0;
  #scales = true;
  #peerSegment: number | null = null;
  #blocked = false;
  /** `end` was called. */
  #ending = false;
  /** `leave` was called. */
  #left = false;

  constructor(local: Endpoint, remote: Endpoint, limits: TcpLimits, environment: TcpEnvironment) {
    this.local = local;
    this.remote = remote;
    this.#limits = limits;
    this.#environment = environment;
    const { timers, largestPayload } = environment;
    this.#sender = new TcpSender(environment.random(), largestPayload, timers, {
      ready: () => this.#ready(),
      failed: () => this.#fail(),
      random: () => environment.random(),
    });
    this.#receiver = new TcpReceiver(limits.receive, timers, {
      ready: () => this.#ready(),
      deliver: (bytes) => this.#user.data(bytes),
    });
    this.#expiry = timers.timer(() => this.#expired());
    this.#challenges = new ChallengeLimit(timers.clock);
  }

  get state(): TcpState {
    return this.#state;
  }
  /** Bytes that are written and not acknowledged. */
  get buffered(): number {
    return this.#sender.buffered;
  }
  /** Segments are to be cut to this size. */
  get segmentSize(): number {
    return this.#sender.segmentSize;
  }

  /** Opens it actively. */
  connect(user: TcpUser): void {
    this.#user = user;
    this.#state = "SYN-SENT";
    this.#expiry.arm(OPENING_MS);
    this.#ready();
  }

  /** A SYN that waits for `accept`, `refuse` or `drop`. */
  offer(syn: Segment): void {
    this.#state = "OFFERED";
    this.#takeSyn(syn);
  }

  /** Who will use an offered connection, and is told if the peer gives up. */
  hold(user: TcpUser): void {
    this.#user = user;
  }

  /** Answers the SYN, if the peer still waits for it. */
  accept(): void {
    if (this.#state !== "OFFERED") return;
    this.#state = "SYN-RECEIVED";
    this.#ready();
  }

  /** Answers the SYN with a reset. */
  refuse(): void {
    if (this.#state !== "OFFERED") return;
    this.#environment.reset(this, 0, this.#receiver.next);
    this.#close("refused");
  }

  /** Forgets the SYN without an answer. */
  drop(): void {
    this.#close("aborted");
  }

  /**
   * Sends bytes; long ones are kept, not copied, and must not change.
   * @returns false if it is enough for now: `drained` will be called
   */
  write(bytes: Uint8Array): boolean {
    if (!this.#canSend || bytes.length === 0) return true;
    this.#sender.append(bytes);
    this.#blocked = this.#sender.buffered >= this.#limits.send;
    return !this.#blocked;
  }

  get #canSend(): boolean {
    const state = this.#state;
    return (
      state === "ESTABLISHED" || state === "CLOSE-WAIT" || state === "SYN-RECEIVED" || state === "SYN-SENT"
    );
  }

  /** Sends no more: FIN follows what is written. Receiving goes on. */
  end(): void {
    if (!this.#canSend) return;
    if (this.#state === "CLOSE-WAIT") this.#state = "LAST-ACK";
    // Before the handshake is over, FIN is only noted (3.10.4).
    else if (this.#state === "ESTABLISHED") this.#state = "FIN-WAIT-1";
    this.#ending = true;
    this.#sender.finish();
  }

  /** Resets it. */
  abort(): void {
    if (this.#state === "CLOSED") return;
    if (this.#state === "OFFERED") {
      this.refuse();
      return;
    }
    // There is nobody to reset in SYN-SENT, nothing to reset in TIME-WAIT.
    if (this.#state !== "SYN-SENT" && this.#state !== "TIME-WAIT") this.#sendReset();
    this.#close("aborted");
  }

  /** The user is gone, in order: what is written is sent, what comes is refused, and FIN is waited for only so long. */
  leave(): void {
    this.end();
    this.#user = NOBODY;
    this.#left = true;
    if (this.#state === "FIN-WAIT-2") this.#expiry.arm(ORPHAN_MS);
  }

  /** The user is done with bytes that it was given. */
  consumed(count: number): void {
    this.#receiver.consumed(count);
  }

  #sendReset(): void {
    this.#environment.reset(this, this.#sender.sequence, this.#receiver.next);
  }

  #ready(): void {
    if (this.#state !== "CLOSED" && this.#state !== "OFFERED") this.#environment.ready(this);
  }

  #fail(): void {
    if (this.#state !== "SYN-SENT") this.#sendReset();
    this.#close("timeout");
  }

  #expired(): void {
    if (this.#state === "FIN-WAIT-2") this.#sendReset();
    this.#close("timeout");
  }

  #close(reason: CloseReason): void {
    if (this.#state === "CLOSED") return;
    const quiet = this.#state === "TIME-WAIT";
    this.#state = "CLOSED";
    this.#stop();
    const user = this.#user;
    this.#user = NOBODY;
    this.#environment.changed(this);
    if (!quiet) user.closed(reason);
  }

  #stop(): void {
    this.#sender.stop();
    this.#receiver.stop();
    this.#expiry.disarm();
  }

  /**
   * Writes the next segment, header and payload, with a checksum field of 0.
   * @returns its length; 0 if there is nothing to send now
   */
  emit(bytes: Uint8Array, at: number): number {
    if (this.#state === "CLOSED" || this.#state === "OFFERED") return 0;
    const plan = this.#sender.plan();
    const receiver = this.#receiver;
    if (plan === null && !receiver.acknowledgmentDue) return 0;
    const syn = plan?.syn ?? false;
    let flags: number = this.#state === "SYN-SENT" ? 0 : FLAG.ACK;
    if (syn) flags |= FLAG.SYN;
    if (plan?.fin) flags |= FLAG.FIN;
    if (plan !== null && plan.length > 0) flags |= FLAG.PSH;
    const { maximumSegmentSize } = this.#environment;
    const options = { maximumSegmentSize, windowScale: this.#scales ? WINDOW_SCALE : null };
    const window = flags & FLAG.ACK ? receiver.takeWindow() : Math.min(this.#limits.receive, 0xffff);
    const header = writeTcpHeader(bytes, at, {
      sourcePort: this.local.port,
      destinationPort: this.remote.port,
      sequence: plan?.sequence ?? this.#sender.sequence,
      acknowledgment: flags & FLAG.ACK ? receiver.next : 0,
      flags,
      window,
      ...(syn ? { options } : {}),
    });
    if (plan === null) return header;
    this.#sender.copy(plan, bytes, at + header);
    return header + plan.length;
  }

  /** A segment of the peer's (3.10.7). */
  arrive(segment: Segment): void {
    switch (this.#state) {
      case "CLOSED":
        return;
      case "OFFERED":
        // What matters is whether the peer still wants it.
        if (segment.flags & FLAG.RST) this.#close("reset");
        return;
      case "SYN-SENT":
        this.#arriveInSynSent(segment);
        return;
      default:
        this.#arriveSynchronized(segment);
    }
  }

  /** 3.10.7.3. */
  #arriveInSynSent(segment: Segment): void {
    const { flags } = segment;
    const acknowledgment = unwrap(this.#sender.unacknowledged, segment.acknowledgment);
    const right = acknowledgment > this.#sender.unacknowledged && acknowledgment <= this.#sender.highest;
    if (flags & FLAG.ACK && !right) {
      if (!(flags & FLAG.RST)) this.#environment.reset(this, acknowledgment, null);
      return;
    }
    if (flags & FLAG.RST) {
      if (flags & FLAG.ACK) this.#close("refused");
      return;
    }
    if (!(flags & FLAG.SYN)) return;
    this.#takeSyn(segment);
    if (flags & FLAG.ACK) {
      this.#sender.acknowledge(acknowledgment, segment.window, this.#peerInitial, false);
      this.#establish(segment.window, acknowledgment);
      this.#receiver.acknowledge();
    } else {
      // Both open at once (figure 8): our SYN again, with an acknowledgment.
      this.#state = "SYN-RECEIVED";
      this.#sender.resendSyn();
    }
  }

  #takeSyn({ sequence, maximumSegmentSize, windowScale }: Segment): void {
    this.#peerInitial = sequence;
    this.#peerSegment = maximumSegmentSize;
    this.#scales = windowScale !== null;
    this.#peerScale = windowScale ?? 0;
    this.#receiver.start(sequence);
  }

  /** @param window bytes */
  #establish(window: number, acknowledgment: number): void {
    const own = this.#environment.maximumSegmentSize;
    const peer = Math.max(this.#peerSegment ?? DEFAULT_SEGMENT, LEAST_SEGMENT);
    this.#state = this.#ending ? "FIN-WAIT-1" : "ESTABLISHED";
    this.#expiry.disarm();
    const segment = Math.min(own, peer);
    this.#receiver.open(this.#scales ? WINDOW_SCALE : 0, segment);
    this.#sender.open(segment, window, this.#peerInitial, acknowledgment);
    this.#user.opened();
  }

  /** 3.10.7.4, in its order. */
  #arriveSynchronized(segment: Segment): void {
    const { flags } = segment;
    const receiver = this.#receiver;
    const sequence = unwrap(receiver.next, segment.sequence);
    if (!receiver.accepts(sequence, segmentLength(segment))) {
      if (!(flags & FLAG.RST)) this.#arriveOutside(segment, sequence);
      return;
    }
    if (flags & FLAG.RST) {
      // RFC 5961, 3.2: only the number that is expected resets; others are asked about.
      if (sequence !== receiver.next) this.#challenge();
      else this.#close(this.#state === "SYN-RECEIVED" ? "refused" : "reset");
      return;
    }
    if (flags & FLAG.SYN) {
      // RFC 5961, 4.2.
      this.#challenge();
      return;
    }
    if (!(flags & FLAG.ACK)) return;
    if (!this.#takeAcknowledgment(segment, sequence)) return;
    if (segment.payload.length > 0 || flags & FLAG.FIN) this.#takePayload(segment, sequence);
  }

  /** A segment outside the window: it is answered with an acknowledgment. */
  #arriveOutside(segment: Segment, sequence: number): void {
    const { flags, payload } = segment;
    const receiver = this.#receiver;
    if (this.#state === "SYN-RECEIVED" && flags & FLAG.SYN) {
      // The peer's SYN once more: it wants the answer again. With ACK, both have opened at once (figure 8).
      if (!(flags & FLAG.ACK)) this.#sender.resendSyn();
      else if (this.#takeAcknowledgment(segment, sequence)) receiver.acknowledge();
      return;
    }
    if (this.#state === "TIME-WAIT") this.#expiry.arm(TIME_WAIT_MS);
    // A window of zero does not keep acknowledgments out.
    if (receiver.window === 0 && sequence === receiver.next && (flags & (FLAG.ACK | FLAG.SYN)) === FLAG.ACK) {
      if (!this.#takeAcknowledgment(segment, sequence)) return;
    }
    // Answers to data cannot go back and forth for ever, others could.
    if (payload.length > 0) receiver.acknowledge();
    else this.#challenge();
  }

  /** @returns whether the segment is to be looked at further */
  #takeAcknowledgment(segment: Segment, sequence: number): boolean {
    const sender = this.#sender;
    const acknowledgment = unwrap(sender.unacknowledged, segment.acknowledgment);
    const window = segment.flags & FLAG.SYN ? segment.window : segment.window << this.#peerScale;
    if (this.#state === "SYN-RECEIVED") {
      if (acknowledgment <= sender.unacknowledged || acknowledgment > sender.highest) {
        this.#environment.reset(this, acknowledgment, null);
        return false;
      }
      sender.acknowledge(acknowledgment, window, sequence, false);
      this.#establish(window, acknowledgment);
      return this.state !== "CLOSED";
    }
    const bare = segment.payload.length === 0 && !(segment.flags & FLAG.FIN);
    const what = sender.acknowledge(acknowledgment, window, sequence, bare);
    if (what === "unacceptable") {
      this.#challenge();
      return false;
    }
    if (what === "progress") this.#progressed();
    return this.state !== "CLOSED";
  }

  #progressed(): void {
    if (this.#sender.finAcknowledged) {
      if (this.#state === "FIN-WAIT-1") {
        this.#state = "FIN-WAIT-2";
        if (this.#left) this.#expiry.arm(ORPHAN_MS);
      } else if (this.#state === "CLOSING") this.#wait();
      else if (this.#state === "LAST-ACK") this.#close("done");
      return;
    }
    if (this.#blocked && this.#sender.buffered <= this.#limits.send / 2) {
      this.#blocked = false;
      this.#user.drained();
    }
  }

  #takePayload(segment: Segment, sequence: number): void {
    const state = this.#state;
    const receiver = this.#receiver;
    if (state !== "ESTABLISHED" && state !== "FIN-WAIT-1" && state !== "FIN-WAIT-2") {
      // After the peer's FIN there is nothing new; it may have missed the acknowledgment.
      receiver.acknowledge();
      return;
    }
    if (this.#left && segment.payload.length > 0) {
      // 3.10.7.1 and RFC 1122, 4.2.2.13: nobody will read it, and the peer should know.
      this.#sendReset();
      this.#close("aborted");
      return;
    }
    receiver.arrive(sequence, segment.payload, (segment.flags & FLAG.FIN) !== 0);
    if (receiver.finished) this.#peerEnded();
  }

  #peerEnded(): void {
    switch (this.#state) {
      case "ESTABLISHED":
        this.#state = "CLOSE-WAIT";
        this.#user.ended();
        return;
      case "FIN-WAIT-1":
        // Were our FIN acknowledged, the state would be another one already.
        this.#state = "CLOSING";
        this.#user.ended();
        return;
      case "FIN-WAIT-2":
        this.#user.ended();
        this.#wait();
    }
  }

  /** Everything is done, but for a FIN of the peer's that may come again. */
  #wait(): void {
    if (this.state === "CLOSED") return;
    this.#state = "TIME-WAIT";
    const user = this.#user;
    this.#user = NOBODY;
    this.#sender.stop();
    this.#expiry.arm(TIME_WAIT_MS);
    this.#environment.changed(this);
    user.closed("done");
  }

  /** 3.10.7.4, first check: whether a SYN may open the connection anew, in TIME-WAIT. */
  mayReopen({ flags, sequence }: Segment): boolean {
    return (
      this.#state === "TIME-WAIT" &&
      (flags & (FLAG.SYN | FLAG.ACK | FLAG.RST)) === FLAG.SYN &&
      unwrap(this.#receiver.next, sequence) >= this.#receiver.next
    );
  }

  #challenge(): void {
    if (this.#challenges.take()) this.#receiver.acknowledge();
  }
}
