/** Tables of the measurement page: what the charts show, for readers who cannot see them or want the numbers. */
import type { Figure } from "../timing/index.ts";
import { type Field, PHASES } from "./counts.ts";
import {
  PUBLISHED_CR3_PLUS,
  PUBLISHED_MECHANISMS,
  PUBLISHED_MECHANISMS_MODEL,
  PUBLISHED_RATIOS,
  PUBLISHED_UKL,
  PUBLISHED_UKL_SOURCE,
} from "./published.ts";
import {
  cr3Differences,
  type ImageRows,
  MODE_MEANINGS,
  mechanismComparisons,
  nanoseconds,
  type Report,
  ratiosOf,
} from "./report.ts";
import type { Row } from "./statistics.ts";
import { percent, roughly, signedPercent } from "./text-table.ts";

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (letter) => entities[letter]!);
}

/** A cell: text is aligned to the left, everything else to the right. */
export type HtmlCell = string | number | { readonly text: string; readonly wide?: boolean };

function cell(value: HtmlCell): string {
  if (typeof value !== "object") return `<td>${escapeHtml(String(value))}</td>`;
  const width = value.wide ? " wide" : value.text.length < 24 ? " short" : "";
  return `<td class="text${width}">${escapeHtml(value.text)}</td>`;
}

/** The first column heads its row. */
export function htmlTable(caption: string, head: readonly string[], rows: readonly HtmlCell[][]): string {
  // A column of text has its head to the left too.
  const isText = (i: number) => i === 0 || typeof rows[0]?.[i] === "object";
  const headCells = head.map(
    (name, i) => `<th scope="col"${isText(i) ? ' class="text"' : ""}>${escapeHtml(name)}</th>`,
  );
  const body = rows.map(([first, ...rest]) => {
    const name = typeof first === "object" ? first.text : String(first);
    const long = name.length > 30 ? ' class="long"' : "";
    return `<tr><th scope="row"${long}>${escapeHtml(name)}</th>${rest.map(cell).join("")}</tr>`;
  });
  // Outside of the table, so that on narrow screens it does not scroll away with it.
  const title = caption === "" ? "" : `<p class="caption">${escapeHtml(caption)}</p>`;
  const label = escapeHtml(caption === "" ? head.join(", ") : caption);
  return `${title}<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table><thead><tr>${headCells.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

const dot = (value: number): string => (value === 0 ? "·" : String(value));

/** One call in every mode: instructions by phase. */
export function callTable(report: Report, call: string, payload: number): string {
  const rows = report.images.flatMap(({ mode, rows }) =>
    rows.filter((row) => row.call === call && row.payload === payload).map((row) => ({ mode, row })),
  );
  if (rows.length === 0) return "";
  const phases = PHASES.filter((phase) => rows.some(({ row }) => row.phases[phase].instructions !== 0));
  return htmlTable(
    "Instructions; cycles and nanoseconds are modelled.",
    ["mode", ...phases, "all", "cycles", "ns"],
    rows.map(({ mode, row }) => [
      mode,
      ...phases.map((phase) => dot(row.phases[phase].instructions)),
      row.total.instructions,
      roughly(row.total.cycles),
      roughly(nanoseconds(row.total.cycles, report)),
    ]),
  );
}

export function ratioTable(report: Report): string {
  const ours = ratiosOf(report.images).map((ratio): HtmlCell[] => [
    ratio.mode,
    `${ratio.call.instructions} : ${ratio.function.instructions}`,
    roughly(ratio.instructions),
    `${roughly(ratio.call.cycles)} : ${roughly(ratio.function.cycles)}`,
    roughly(ratio.cycles),
    { text: MODE_MEANINGS[ratio.mode] ?? "", wide: true },
  ]);
  return htmlTable(
    "An empty system call : a function call. Instructions are exact, cycles are modelled.",
    ["mode", "instructions", "times", "cycles", "times", "a system call is"],
    ours,
  );
}

export function publishedRatios(): string {
  const rows = PUBLISHED_RATIOS.map(({ what, value, source }): HtmlCell[] => [
    what,
    { text: value },
    { text: source, wide: true },
  ]);
  return htmlTable("Published", ["what", "figure", "source"], rows);
}

/** Ours and UKL's, one byte of payload. Another processor and another kernel: only the proportions compare. */
export function uklTable(report: Report): string {
  const ours = (mode: string, call: string): number | null => {
    const rows = report.images.find((image) => image.mode === mode)?.rows;
    const row = rows?.find((one) => one.call === call && one.payload === (call === "getppid" ? 0 : 1));
    return row === undefined ? null : nanoseconds(row.total.cycles, report);
  };
  const shown = (value: number | null, base: number | null): string => {
    if (value === null) return "-";
    return base === null || base === value
      ? roughly(value)
      : `${roughly(value)} (${(value / base).toFixed(2)})`;
  };
  const rows = PUBLISHED_UKL.map(({ call, linux, ukl, bypass }): HtmlCell[] => {
    const base = ours("ring3", call);
    return [
      call,
      ...["ring3", "ukl", "ukl-byp"].map((mode) => shown(ours(mode, call), base)),
      ...[linux, ukl, bypass].map((value) => shown(value, linux)),
    ];
  });
  return htmlTable(
    `Nanoseconds, one byte of payload; in brackets, relative to ring 3. Published: ${PUBLISHED_UKL_SOURCE}.`,
    ["call", "ring3 here", "ukl here", "ukl-byp here", "Linux", "UKL", "UKL_BYP"],
    rows,
  );
}

export function mechanismTable(report: Report, rows: readonly Row[]): string {
  const comparable = report.model.name === PUBLISHED_MECHANISMS_MODEL;
  const plus = (value: number | undefined): string => (value === undefined ? "-" : `+${roughly(value)}`);
  const lines = mechanismComparisons(rows).map(({ mechanism, cycles, plus: flush, plusKept }): HtmlCell[] => {
    const published = PUBLISHED_MECHANISMS[mechanism];
    const beside = published === undefined ? ["", ""] : [published, percent(cycles, published)];
    return [
      ...[mechanism, roughly(cycles), ...(comparable ? beside : [])],
      ...[...flush, ...plusKept].map(plus),
    ];
  });
  if (comparable) {
    const published = PUBLISHED_CR3_PLUS.slice(1).map((value) => plus(value));
    lines.push(["published, SYSCALL/SYSRET", "", "", "", ...published, "", ""]);
    lines.push(["differs", "", "", "", ...cr3Differences(rows).map(signedPercent), "", ""]);
  }
  return htmlTable(
    "Cycles from ring 3 to ring 0 and back with an empty handler, and what CR3 writes add.",
    [
      ...["mechanism", "cycles", ...(comparable ? ["published", "differs"] : [])],
      ...["1 CR3 write", "2 writes", "1 with PCID", "2 with PCID"],
    ],
    lines,
  );
}

const FULL: readonly (readonly [Field, string])[] = [
  ["reads", "reads"],
  ["writes", "writes"],
  ["instructionTlbMisses", "TLB misses, code"],
  ["dataTlbMisses", "TLB misses, data"],
  ["pageWalks", "page walks"],
  ["stackSwitches", "stack switches"],
  ["cr3Writes", "CR3 writes"],
  ["ringTransitions", "ring transitions"],
  ["faults", "faults"],
];

/** Every row with everything that was counted. */
export function fullTable(report: Report, images: readonly ImageRows[], payload: string): string {
  const rows = images.flatMap(({ mode, rows }) => rows.map((row) => ({ mode, row })));
  const phases = PHASES.filter((phase) => rows.some(({ row }) => row.phases[phase].instructions !== 0));
  const order = [...new Set(rows.map(({ row }) => `${row.payload} ${row.call}`))];
  rows.sort(
    (a, b) =>
      order.indexOf(`${a.row.payload} ${a.row.call}`) - order.indexOf(`${b.row.payload} ${b.row.call}`),
  );
  return htmlTable(
    "The median of the rounds; the phases are instructions.",
    [
      "call",
      payload,
      "mode",
      "instructions",
      ...phases,
      ...FULL.map(([, name]) => name),
      "cycles",
      "least",
      "most",
      "ns",
    ],
    rows.map(({ mode, row }) => [
      row.call,
      row.payload,
      { text: mode },
      row.total.instructions,
      ...phases.map((phase) => dot(row.phases[phase].instructions)),
      ...FULL.map(([field]) => dot(row.total[field])),
      ...[row.total.cycles, row.least.cycles, row.most.cycles].map(roughly),
      roughly(nanoseconds(row.total.cycles, report)),
    ]),
  );
}

export function assumedTable(assumed: readonly Figure[], rows: readonly Row[]): string {
  return htmlTable(
    "",
    ["figure", "cycles", "what it stands for", "why this value", "rows that rest on it"],
    assumed.map(({ name, value, description, source }) => {
      const calls = [...new Set(rows.filter((row) => row.assumed.includes(name)).map(({ call }) => call))];
      return [
        name,
        Number(value.toPrecision(3)),
        { text: description, wide: true },
        { text: source, wide: true },
        { text: calls.join(", "), wide: true },
      ];
    }),
  );
}
