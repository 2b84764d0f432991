/** The result of `load.ts` as a table. */
import Table from "cli-table3";
import type { LoadFigure } from "./loads.ts";
import type { MachineName } from "./machine-command.ts";

export interface MachineReport {
  readonly machine: MachineName;
  readonly figures: Readonly<Record<string, LoadFigure>>;
  readonly faults: readonly string[];
}

const digits = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });

/** Rows are loads; each machine has its requests, errors and rate; with two, the first's rate over the second's. */
export function loadTable(reports: readonly MachineReport[]): string {
  const names = new Set(reports.flatMap(({ figures }) => Object.keys(figures)));
  const columns = reports.flatMap(({ machine }) => [`${machine}: requests`, "errors", "rate"]);
  const [ours, theirs] = reports;
  const table = new Table({
    head: ["load", ...columns, "unit", ...(theirs ? ["ratio"] : [])],
    style: { head: [], border: [] },
  });
  for (const name of names) {
    const cells = reports.flatMap(({ figures }) => {
      const figure = figures[name];
      if (figure === undefined) return ["", "", ""];
      return [digits(figure.requests), String(figure.errors), digits(figure.rate)];
    });
    const [a, b] = [ours?.figures[name], theirs?.figures[name]];
    const ratio = a && b && b.rate > 0 ? (a.rate / b.rate).toFixed(2) : "";
    table.push([name, ...cells, (a ?? b)!.unit, ...(theirs ? [ratio] : [])]);
  }
  const faults = reports.flatMap((report) => report.faults.map((fault) => `${report.machine}: ${fault}`));
  return [table.toString(), ...faults].join("\n");
}
