/** What a ring trace adds up to: time by ring, transitions by cause, and system calls. */

import { errorName } from "./linux-errno.ts";
import { plainTable } from "./plain-table.ts";
import { executedBetween, type Frame, type Moment, type RingSink, type Transition } from "./ring-events.ts";
import { duration } from "./ring-lines.ts";
import type { RingNames } from "./ring-names.ts";

/** Times are virtual nanoseconds. */
interface Spent {
  time: number;
  instructions: number;
  cycles: number;
}

export interface SideTotal extends Spent {
  /** How often control came to it. */
  arrivals: number;
  /** The part of `time` in which the processor was halted. */
  idle: number;
}

export interface Total extends Spent {
  /** How often it began. */
  count: number;
  /** How often it was seen to end: times are of those. */
  ended: number;
  minimum: number;
  maximum: number;
  errors: number;
}

export interface CauseTotal {
  readonly from: string;
  readonly to: string;
  readonly cause: string;
  readonly detail: string;
  count: number;
}

export interface RingReport {
  readonly timing: string;
  readonly time: number;
  readonly instructions: number;
  readonly cycles?: number;
  readonly rings: Readonly<Record<string, SideTotal>>;
  readonly transitions: readonly CauseTotal[];
  readonly events: Readonly<Record<string, Total>>;
  readonly systemCalls: Readonly<Record<string, Total>>;
  readonly calls: Readonly<Record<string, Total>>;
}

function addTo(
  totals: Map<string, Total>,
  frame: Frame,
  end: { moment: Moment; result: bigint } | null,
): void {
  const name =
    frame.kind === "event" && frame.name.startsWith("interrupt") && frame.detail !== ""
      ? `${frame.name} ${frame.detail}`
      : frame.name;
  let total = totals.get(name);
  if (total === undefined) {
    const zero = { time: 0, instructions: 0, cycles: 0 };
    total = { count: 0, ended: 0, ...zero, minimum: Number.POSITIVE_INFINITY, maximum: 0, errors: 0 };
    totals.set(name, total);
  }
  if (end === null) {
    total.count++;
    return;
  }
  const { start } = frame;
  const time = end.moment.time - start.time;
  total.ended++;
  total.time += time;
  const executed = executedBetween(start, end.moment);
  total.instructions += executed.instructions;
  total.cycles += executed.cycles;
  total.minimum = Math.min(total.minimum, time);
  total.maximum = Math.max(total.maximum, time);
  if (frame.kind === "system call" && errorName(end.result) !== undefined) total.errors++;
}

export class RingSummary implements RingSink {
  readonly #names: RingNames;
  readonly #timing: string;
  readonly #sides = new Map<string, SideTotal>();
  readonly #causes = new Map<string, CauseTotal>();
  readonly #totals = {
    "system call": new Map<string, Total>(),
    call: new Map<string, Total>(),
    event: new Map<string, Total>(),
  };
  /** By processor: its last transition, and the side that it came to. */
  readonly #last: Moment[] = [];
  readonly #side: string[] = [];

  /** @param timing name of the timing model, "none" without one */
  constructor(names: RingNames, timing: string) {
    this.#names = names;
    this.#timing = timing;
  }

  #sideTotal(side: string): SideTotal {
    let total = this.#sides.get(side);
    if (total === undefined) {
      total = { arrivals: 0, time: 0, idle: 0, instructions: 0, cycles: 0 };
      this.#sides.set(side, total);
    }
    return total;
  }

  /** What has passed since the last transition was spent on the side that it came to. */
  #spend(moment: Moment): void {
    const { processor } = moment;
    const total = this.#sideTotal(this.#side[processor] ?? "0");
    const last = this.#last[processor] ?? { time: 0, instructions: 0, cycles: 0, idle: 0 };
    total.time += moment.time - last.time;
    total.idle += moment.idle - last.idle;
    total.instructions += moment.instructions - last.instructions;
    total.cycles += moment.cycles - last.cycles;
    this.#last[processor] = moment;
  }

  transition({ moment, cause, from, to, enters, leaves, result }: Transition): void {
    this.#spend(moment);
    this.#side[moment.processor] = to.side;
    if (from.side !== to.side) this.#sideTotal(to.side).arrivals++;
    const detail = enters !== null && cause.startsWith("interrupt") ? enters.detail : "";
    const key = `${from.side} ${to.side} ${cause} ${detail}`;
    const known = this.#causes.get(key);
    if (known === undefined) {
      this.#causes.set(key, { from: from.side, to: to.side, cause, detail, count: 1 });
    } else known.count++;
    if (enters !== null) addTo(this.#totals[enters.kind], enters, null);
    if (leaves !== null) addTo(this.#totals[leaves.kind], leaves, { moment, result });
  }

  end(moments: readonly Moment[]): void {
    for (const moment of moments) this.#spend(moment);
  }

  report(): RingReport {
    const named = (totals: ReadonlyMap<string, Total>) =>
      Object.fromEntries(
        [...totals]
          .sort(([, a], [, b]) => b.time - a.time || b.count - a.count)
          .map(([name, total]) => [name, { ...total, minimum: total.ended === 0 ? 0 : total.minimum }]),
      );
    // Of several processors time is the same, and the rest adds up.
    const time = Math.max(0, ...this.#last.map((moment) => moment.time));
    const instructions = this.#last.reduce((sum, moment) => sum + moment.instructions, 0);
    const cycles = this.#last.reduce((sum, moment) => sum + moment.cycles, 0);
    return {
      timing: this.#timing,
      ...{ time, instructions },
      ...(this.#timing === "none" ? {} : { cycles }),
      rings: Object.fromEntries(
        [...this.#sides]
          .sort(([a], [b]) => (a < b ? 1 : -1))
          .map(([side, total]) => [this.sideName(side), total]),
      ),
      transitions: [...this.#causes.values()]
        .sort((a, b) => b.count - a.count)
        .map((total) => ({ ...total, from: this.sideName(total.from), to: this.sideName(total.to) })),
      systemCalls: named(this.#totals["system call"]),
      calls: named(this.#totals.call),
      events: named(this.#totals.event),
    };
  }

  /** "ring 3", "ring 0 application", "ring 0 kernel". */
  sideName(side: string): string {
    if (side === "0 app") return "ring 0 application";
    return side === "0" && this.#names.hasApplication ? "ring 0 kernel" : `ring ${side}`;
  }

  /** The report as tables. */
  async lines(): Promise<string[]> {
    const report = this.report();
    const timed = report.cycles !== undefined;
    const count = (value: number) => Math.round(value).toLocaleString("en-US");
    const lines: string[] = [];
    const table = async (head: readonly string[], left: number, rows: readonly (readonly string[])[]) => {
      if (rows.length === 0) return;
      if (lines.length > 0) lines.push("");
      const aligns = head.map((_, i) => (i < left ? "left" : "right"));
      lines.push(...(await plainTable(head, aligns, rows)));
    };
    const wholeTime = Object.values(report.rings).reduce((sum, { time }) => sum + time, 0);
    const cycleHead = timed ? ["Cycles"] : [];
    await table(
      ["Ring", "Arrivals", "Instructions", ...cycleHead, "Time", "of it idle", "Share"],
      1,
      Object.entries(report.rings).map(([side, total]) => [
        side,
        count(total.arrivals),
        count(total.instructions),
        ...(timed ? [count(total.cycles)] : []),
        duration(total.time),
        duration(total.idle),
        `${((100 * total.time) / Math.max(1, wholeTime)).toFixed(1)} %`,
      ]),
    );
    await table(
      ["From", "To", "By", "Count"],
      3,
      report.transitions.map(({ from, to, cause, detail, count: n }) => [
        from,
        to,
        detail === "" ? cause : `${cause} ${detail}`,
        count(n),
      ]),
    );
    const totals = (title: string, all: Readonly<Record<string, Total>>, withErrors: boolean) =>
      table(
        [
          ...[
            title,
            "Count",
            ...(withErrors ? ["Errors"] : []),
            "Ended",
            "Total",
            "Average",
            "Least",
            "Most",
          ],
          ...(timed ? ["Cycles each"] : ["Instructions each"]),
        ],
        1,
        Object.entries(all).map(([name, total]) => {
          const average = (sum: number) => sum / Math.max(1, total.ended);
          const times = [total.time, average(total.time), total.minimum, total.maximum].map(duration);
          return [
            ...[name, count(total.count), ...(withErrors ? [count(total.errors)] : []), count(total.ended)],
            ...(total.ended === 0 ? ["-", "-", "-", "-", "-"] : times),
            ...(total.ended === 0 ? [] : [count(average(timed ? total.cycles : total.instructions))]),
          ];
        }),
      );
    await totals("System call", report.systemCalls, true);
    await totals("Kernel function called", report.calls, false);
    await totals("Exception or interrupt", report.events, false);
    return lines;
  }
}
