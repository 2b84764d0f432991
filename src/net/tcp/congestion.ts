/**
 * Congestion control: slow start and congestion avoidance (RFC 5681), fast recovery (RFC 6582). The link to a guest loses nothing by
 * itself, but a guest that cannot keep up does.
 */

/** Duplicate acknowledgments that mean a loss (RFC 5681, 3.2). */
const DUPLICATES = 3;

export class Congestion {
  #segment: number;
  #threshold = Number.POSITIVE_INFINITY;
  #window: number;
  #duplicates = 0;
  /** The highest sequence number sent when the loss was noticed; null when not in recovery. */
  #recover: number | null = null;
  /** After a timeout, what is sent again makes duplicate acknowledgments that mean nothing (RFC 6582, 3.2, step 2). */
  #ignoreUpTo = Number.NEGATIVE_INFINITY;

  /** @param segment the sender's maximum segment size. The initial window is RFC 6928's. */
  constructor(segment: number) {
    this.#segment = segment;
    this.#window = Math.min(10 * segment, Math.max(2 * segment, 14_600));
  }

  get window(): number {
    return this.#window;
  }

  /** @returns whether the first unacknowledged segment is to be sent again: a partial acknowledgment (RFC 6582, 3.2) */
  acknowledged(bytes: number, upTo: number): boolean {
    this.#duplicates = 0;
    if (this.#recover !== null) {
      if (upTo < this.#recover) {
        this.#window = Math.max(this.#segment, this.#window - bytes) + this.#segment;
        return true;
      }
      this.#recover = null;
      this.#window = Math.max(this.#threshold, 2 * this.#segment);
      return false;
    }
    // Bytes, not acknowledgments, count (RFC 3465), since one acknowledgment covers a frame of many segments.
    if (this.#window < this.#threshold) this.#window += bytes;
    else this.#window += Math.max(1, (this.#segment * bytes) / this.#window);
    this.#window = Math.min(this.#window, 2 ** 30);
    return false;
  }

  /** @returns whether the first unacknowledged segment is lost and to be sent again */
  duplicate(acknowledgment: number, inFlight: number, highest: number): boolean {
    if (acknowledgment < this.#ignoreUpTo) return false;
    this.#duplicates++;
    if (this.#recover !== null) {
      this.#window += this.#segment;
      return false;
    }
    if (this.#duplicates !== DUPLICATES) return false;
    this.#threshold = Math.max(inFlight / 2, 2 * this.#segment);
    this.#window = this.#threshold + DUPLICATES * this.#segment;
    this.#recover = highest;
    return true;
  }

  /** The retransmission timer has expired (RFC 5681, 3.1). */
  timedOut(inFlight: number, highest: number): void {
    this.#threshold = Math.max(inFlight / 2, 2 * this.#segment);
    this.#window = this.#segment;
    this.#duplicates = 0;
    this.#recover = null;
    this.#ignoreUpTo = highest;
  }
}
