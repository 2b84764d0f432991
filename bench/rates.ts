/** Rates of both machines in turn, as medians and as a table. */
import Table from "cli-table3";
import type { MachineName } from "../test/campaigns/machine-command.ts";
import { median } from "./median.ts";

/** Megabytes (10^6) a second by the name of what was measured. */
export type Rates = Readonly<Record<string, number>>;

export interface RateFigures {
  readonly what: string;
  readonly machine: MachineName;
  /** Median, megabytes a second of wall time. */
  readonly rate: number;
  readonly slowest: number;
  readonly fastest: number;
  /** Of this emulator's median to QEMU's. */
  readonly ratioToQemu: number | null;
}

/** Each machine in turn, so that a slow phase of the host hits all alike. */
export async function measureRates(
  machines: readonly MachineName[],
  runs: number,
  once: (machine: MachineName) => Promise<Rates>,
): Promise<RateFigures[]> {
  const found = new Map<MachineName, Rates[]>(machines.map((machine) => [machine, []]));
  for (let run = 0; run < runs; run++) {
    for (const [machine, list] of found) {
      if (process.stderr.isTTY) process.stderr.write(`\r${machine}: run ${run + 1} of ${runs} `);
      list.push(await once(machine));
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const names = Object.keys(found.get(machines[0]!)![0]!);
  const values = (machine: MachineName, what: string) => found.get(machine)?.map((rates) => rates[what]!);
  return names.flatMap((what) => {
    const reference = values("qemu", what);
    return machines.map((machine) => {
      const list = values(machine, what)!;
      const rate = median(list);
      const ratioToQemu = reference === undefined ? null : rate / median(reference);
      return { what, machine, rate, slowest: Math.min(...list), fastest: Math.max(...list), ratioToQemu };
    });
  });
}

export function rateTable(figures: readonly RateFigures[]): string {
  const table = new Table({
    head: ["what", "machine", "MB/s", "range", "x QEMU"],
    colAligns: ["left", "left", "right", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const { what, machine, rate, slowest, fastest, ratioToQemu } of figures) {
    const range = `${slowest.toFixed(0)}-${fastest.toFixed(0)}`;
    table.push([what, machine, rate.toFixed(0), range, ratioToQemu?.toFixed(2) ?? ""]);
  }
  return table.toString();
}
