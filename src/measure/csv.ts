/** A report as comma-separated values (RFC 4180): one line for each row and phase, and one for the sum. */
import { type Counts, FIELDS, PHASES } from "./counts.ts";
import { nanoseconds, type Report } from "./report.ts";

function quote(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines of values (RFC 4180). */
export function csvLines(lines: readonly (readonly (string | number)[])[]): string {
  return lines.map((values) => `${values.map(quote).join(",")}\r\n`).join("");
}

export function csvReport(report: Report): string {
  const head = ["image", "mode", "call", "payload", "rounds", "phase", ...FIELDS, "nanoseconds", "assumed"];
  const lines: (readonly (string | number)[])[] = [head];
  const { images, mechanisms } = report;
  for (const { file, mode, rows } of mechanisms === null ? images : [mechanisms, ...images]) {
    for (const row of rows) {
      const line = (phase: string, counts: Counts) => {
        const values = [...FIELDS.map((field) => counts[field]), nanoseconds(counts.cycles, report)];
        const start = [file, mode, row.call, row.payload, row.rounds, phase];
        lines.push([...start, ...values, row.assumed.join(" ")]);
      };
      line("all", row.total);
      for (const phase of PHASES) line(phase, row.phases[phase]);
    }
  }
  return csvLines(lines);
}
