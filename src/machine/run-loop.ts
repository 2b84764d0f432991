/** `Machine.run`: slices, idle time, and the turns of the host's event loop between them. */
import type { EventClock } from "./clock.ts";
import type { Execution } from "./execution.ts";
import type { RunOptions, StopReason } from "./machine-options.ts";
import type { OutsideInput } from "./outside-input.ts";

/**
 * Wall time between two turns of the host's event loop, ms. A turn costs a microsecond or two; what comes over a
 * network waits for one, half of this time on the average.
 */
const YIELD_MS = { alone: 20, withNetwork: 1 } as const;

export async function runPaced(
  execution: Execution,
  outside: OutsideInput,
  clock: EventClock,
  options: RunOptions,
): Promise<StopReason> {
  const { pacing, onYield } = options;
  pacing?.begin(clock.now());
  const yieldAfter = outside.hasNetwork ? YIELD_MS.withNetwork : YIELD_MS.alone;
  for (;;) {
    const until = performance.now() + yieldAfter;
    do {
      const start = clock.now();
      const reason = execution.slice(options);
      if (reason) return reason;
      const now = clock.now();
      const idle = execution.idle();
      if (idle === 0) {
        if (pacing === undefined) continue;
        const jump = pacing.catchUp(now, now - start, execution.untilDeadline());
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
        const halted = execution.skip(idle);
        if (halted) return halted;
        continue;
      }
      // What the guest has said is seen before it sleeps.
      await onYield?.();
      await outside.wait(sleep);
      const woken = pacing?.woken(now, now + idle) ?? now;
      if (woken === now + idle) execution.skip(idle);
      else if (woken > now) outside.moveTime(woken);
    } while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve));
    await onYield?.();
  }
}
