/** The retransmission timeout (RFC 6298), in milliseconds. */

/** Rules 2.1 and 2.4: one second before anything was measured, and never less. */
const LEAST = 1000;
/** Rule 2.5. */
const MOST = 60_000;
/** The clock's granularity, G. */
const GRANULARITY = 1;

export class RoundTrip {
  #smoothed: number | null = null;
  #variation = 0;
  #timeout = LEAST;
  #backoff = 1;

  get timeout(): number {
    return Math.min(this.#timeout * this.#backoff, MOST);
  }

  /** A round trip of a segment that was sent once (Karn's algorithm, section 3). */
  sample(time: number): void {
    if (this.#smoothed === null) {
      this.#smoothed = time;
      this.#variation = time / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - time) - this.#variation) / 4;
      this.#smoothed += (time - this.#smoothed) / 8;
    }
    this.#timeout = Math.max(LEAST, this.#smoothed + Math.max(GRANULARITY, 4 * this.#variation));
  }

  /** The timer has expired (5.5). */
  backOff(): void {
    if (this.timeout < MOST) this.#backoff *= 2;
  }

  /** New data was acknowledged: the way is open again (5.3 with the computed timeout). */
  progress(): void {
    this.#backoff = 1;
  }
}
