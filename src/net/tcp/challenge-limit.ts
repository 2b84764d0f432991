/** How often a connection answers what it does not accept (RFC 5961, 7), so that two of them cannot go on for ever. */
import type { NetworkClock } from "../clock.ts";

/** Acknowledgments of unacceptable segments in a second. */
const MOST_CHALLENGES = 10;

export class ChallengeLimit {
  readonly #clock: NetworkClock;
  #count = 0;
  #since = Number.NEGATIVE_INFINITY;

  constructor(clock: NetworkClock) {
    this.#clock = clock;
  }

  /** Whether one more is allowed; it counts. */
  take(): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= 1000) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count <= MOST_CHALLENGES;
  }
}
