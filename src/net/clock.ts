/** Where a network takes its time from: the host, or the virtual time of a machine. */
export interface NetworkClock {
  /** Milliseconds since any fixed moment; fractions are allowed. Never goes back. */
  now(): number;
  /**
   * Calls `action` once, `delay` milliseconds from now or later, and never within `after` itself.
   * @returns a function that takes it back; harmless after the call
   */
  after(delay: number, action: () => void): () => void;
}

export const HOST_CLOCK: NetworkClock = {
  now: () => performance.now(),
  after(delay, action) {
    const timer = setTimeout(action, delay);
    return () => clearTimeout(timer);
  },
};
