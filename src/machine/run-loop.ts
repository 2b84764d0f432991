/** `Machine.run`: slices, idle time, and the turns of the host's event loop between them. */
import type { RunOptions, StopReason } from "./machine-options.ts";
import type { OutsideInput } from "./outside-input.ts";

/** What the loop drives. Times are in virtual nanoseconds. */
export interface Steps {
  readonly outside: OutsideInput;
  now(): number;
  /** Lets in what has come, and executes one slice. */
  slice(): StopReason | null;
  /** Time to the next event if every processor waits and nothing has come in, `Infinity` if there is none; else 0. */
  idle(): number;
  /** Lets idle time pass. */
  skip(nanoseconds: number): StopReason | null;
  /** Time to the next event. */
  untilDeadline(): number;
}

/**
 * Wall time between two turns of the host's event loop, ms. A turn costs a microsecond or two; what comes over a
 * network waits for one, half of this time on the average.
 */
const YIELD_MS = { alone: 20, withNetwork: 1 } as const;

export async function runPaced(machine: Steps, { pacing, onYield }: RunOptions): Promise<StopReason> {
  const { outside } = machine;
  pacing?.begin(machine.now());
  const yieldAfter = outside.hasNetwork ? YIELD_MS.withNetwork : YIELD_MS.alone;
  for (;;) {
    const until = performance.now() + yieldAfter;
    do {
      const start = machine.now();
      const reason = machine.slice();
      if (reason) return reason;
      const now = machine.now();
      const idle = machine.idle();
      if (idle === 0) {
        if (pacing === undefined) continue;
        const jump = pacing.catchUp(now, now - start, machine.untilDeadline());
        if (jump > 0) outside.moveTime(now + jump);
        const pause = pacing.pause(now + jump);
        if (pause === 0) continue;
        await onYield?.();
        await outside.wait(pause);
        continue;
      }
      const onlyInput = idle === Number.POSITIVE_INFINITY;
      const sleep = !onlyInput ? (pacing?.sleep(now, now + idle) ?? 0) : outside.mayCome ? idle : 0;
      if (sleep === 0) {
        const halted = machine.skip(idle);
        if (halted) return halted;
        continue;
      }
      // What the guest has said is seen before it sleeps.
      await onYield?.();
      await outside.wait(sleep);
      const woken = pacing?.woken(now, now + idle) ?? now;
      if (woken === now + idle) machine.skip(idle);
      else if (woken > now) outside.moveTime(woken);
    } while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve));
    await onYield?.();
  }
}
