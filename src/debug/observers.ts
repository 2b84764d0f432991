/** Several observers on the one place that the processor has for them. */
import type { SystemObserver } from "../cpu/core.ts";

/** Calls each in order; one alone is given back as it is. */
export function combineObservers(observers: readonly SystemObserver[]): SystemObserver | null {
  if (observers.length <= 1) return observers[0] ?? null;
  return {
    event: (cpu, kind, vector, error) => {
      for (const observer of observers) observer.event?.(cpu, kind, vector, error);
    },
    ring: (cpu, from, to, cause) => {
      for (const observer of observers) observer.ring?.(cpu, from, to, cause);
    },
    transfer: (cpu, cause, from, to, source) => {
      for (const observer of observers) observer.transfer?.(cpu, cause, from, to, source);
    },
  };
}
