/** Counts exceptions and interrupts, for `--stats`. */
import type { SystemObserver } from "../cpu/core.ts";

export class EventCounts implements SystemObserver {
  /** Faults and traps by vector. */
  readonly faults = new Map<number, number>();
  /** Maskable interrupts by vector, as acknowledged. */
  readonly interrupts = new Map<number, number>();
  /** Called with each vector when its first interrupt comes. */
  onFirstInterrupt: ((vector: number) => void) | null = null;
  /** INT n, INT3, INTO by vector. */
  readonly software = new Map<number, number>();
  nmis = 0;
  /** Changes of the privilege level by cause. */
  readonly rings = new Map<string, number>();

  event(_cpu: unknown, kind: "fault" | "interrupt" | "software" | "nmi", vector: number): void {
    if (kind === "nmi") {
      this.nmis++;
      return;
    }
    const counts = kind === "fault" ? this.faults : kind === "interrupt" ? this.interrupts : this.software;
    const count = counts.get(vector) ?? 0;
    counts.set(vector, count + 1);
    if (count === 0 && kind === "interrupt") this.onFirstInterrupt?.(vector);
  }

  ring(_cpu: unknown, from: number, to: number, cause: string): void {
    const key = `${cause} ${from} to ${to}`;
    this.rings.set(key, (this.rings.get(key) ?? 0) + 1);
  }
}
