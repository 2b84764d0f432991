/** What a process costs the host: from /proc (proc(5)). */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Linux's USER_HZ on every architecture that this runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that a process has taken, in user and system mode, all of its threads. */
export function processorSeconds(pid: number): number {
  // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Percent of a core that a process takes over so many seconds. */
export async function loadOf(pid: number, seconds: number): Promise<number> {
  const [before, start] = [processorSeconds(pid), performance.now()];
  await sleep(seconds * 1000);
  return ((processorSeconds(pid) - before) / ((performance.now() - start) / 1000)) * 100;
}
