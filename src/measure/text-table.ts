/** A report as aligned text, for terminals. */
import { type Align, plainTable } from "../debug/plain-table.ts";
import { PHASES, type Phase } from "./counts.ts";
import {
  PUBLISHED_CR3_PLUS,
  PUBLISHED_MECHANISMS,
  PUBLISHED_MECHANISMS_MODEL,
  PUBLISHED_MECHANISMS_SOURCE,
  PUBLISHED_RATIOS,
} from "./published.ts";
import {
  CALL_MEANINGS,
  cr3Differences,
  type ImageRows,
  MODE_MEANINGS,
  mechanismComparisons,
  nanoseconds,
  type Report,
  ratiosOf,
} from "./report.ts";
import type { Row } from "./statistics.ts";

type Cell = string | number;

/** Cycles are a model's: more than three digits would claim too much. */
export function roughly(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)));
}

const count = (value: number): string => (value === 0 ? "." : String(value));

/** Phases that any row has: empty columns are left out. */
function phasesUsed(images: readonly ImageRows[]): Phase[] {
  const used = (phase: Phase) =>
    images.some(({ rows }) =>
      rows.some(({ phases }) => phases[phase].instructions + phases[phase].cycles !== 0),
    );
  return PHASES.filter(used);
}

function cells(row: Row, phases: readonly Phase[], report: Report): Cell[] {
  const { total } = row;
  const spread =
    row.least.cycles === row.most.cycles ? "" : `${roughly(row.least.cycles)}-${roughly(row.most.cycles)}`;
  return [
    total.instructions,
    ...phases.map((phase) => count(row.phases[phase].instructions)),
    count(total.reads),
    count(total.writes),
    count(total.instructionTlbMisses + total.dataTlbMisses),
    count(total.pageWalks),
    count(total.stackSwitches),
    count(total.cr3Writes),
    count(total.ringTransitions),
    count(total.faults),
    roughly(total.cycles),
    spread,
    roughly(nanoseconds(total.cycles, report)),
  ];
}

/** Every row of the images: the modes of a call under one another. */
export async function rowLines(
  report: Report,
  images: readonly ImageRows[],
  payloadName = "bytes",
): Promise<string[]> {
  const phases = phasesUsed(images);
  const groups = Map.groupBy(
    images.flatMap(({ mode, rows }) => rows.map((row) => ({ mode, row }))),
    ({ row }) => `${row.payload} ${row.call}`,
  );
  const several = images.length > 1;
  const rows: Cell[][] = [];
  for (const group of groups.values()) {
    group.forEach(({ mode, row }, i) => {
      const name = i === 0 ? [row.call, row.payload] : ["", ""];
      rows.push([...name, ...(several ? [mode] : []), ...cells(row, phases, report)]);
    });
  }
  const head = ["call", payloadName, ...(several ? ["mode"] : []), "instr", ...phases];
  head.push(
    "reads",
    "writes",
    "TLB miss",
    "walks",
    "stacks",
    "CR3",
    "rings",
    "faults",
    "cycles",
    "least-most",
    "ns",
  );
  const aligns = head.map((name, i): Align => (i === 0 || name === "mode" ? "left" : "right"));
  return plainTable(head, aligns, rows);
}

async function mechanismLines(report: Report, rows: readonly Row[]): Promise<string[]> {
  const comparable = report.model.name === PUBLISHED_MECHANISMS_MODEL;
  const lines = mechanismComparisons(rows).map(({ mechanism, cycles, plus, plusKept }): Cell[] => {
    const published = PUBLISHED_MECHANISMS[mechanism];
    const beside = published === undefined ? [] : [published, percent(cycles, published)];
    return [
      ...[mechanism, roughly(cycles), ...(comparable ? (beside.length > 0 ? beside : ["", ""]) : [])],
      ...[...plus, ...plusKept].map((more) => (more === undefined ? "-" : `+${roughly(more)}`)),
    ];
  });
  if (comparable) {
    const plus = PUBLISHED_CR3_PLUS.slice(1).map((cycles) => `+${cycles}`);
    lines.push(["published, for SYSCALL/SYSRET", "", "", "", ...plus, "", ""]);
    lines.push(["differs", "", "", "", ...cr3Differences(rows).map(signedPercent), "", ""]);
  }
  const head = ["mechanism", "cycles", ...(comparable ? ["published", "differs"] : [])];
  head.push("1 CR3 write", "2 writes", "1 with PCID", "2 with PCID");
  return plainTable(
    head,
    head.map((_, i) => (i === 0 ? "left" : "right")),
    lines,
  );
}

export function percent(value: number, reference: number): string {
  return signedPercent((value / reference - 1) * 100);
}

export function signedPercent(difference: number | undefined): string {
  if (difference === undefined) return "-";
  return `${difference < 0 ? "-" : "+"}${Math.abs(difference).toFixed(1)} %`;
}

async function ratioLines(report: Report): Promise<string[]> {
  const rows = ratiosOf(report.images).map((ratio): Cell[] => [
    ratio.mode,
    ...[ratio.call.instructions, ratio.function.instructions, `${roughly(ratio.instructions)} : 1`],
    ...[roughly(ratio.call.cycles), roughly(ratio.function.cycles), `${roughly(ratio.cycles)} : 1`],
    MODE_MEANINGS[ratio.mode] ?? "",
  ]);
  const head = ["mode", "instr", "function", "ratio", "cycles", "function", "ratio", "a system call is"];
  return plainTable(
    head,
    head.map((_, i) => (i === 0 || i === head.length - 1 ? "left" : "right")),
    rows,
  );
}

/** The whole report. */
export async function textReport(report: Report): Promise<string> {
  const { model, images, mechanisms, assumed } = report;
  const lines: string[] = [];
  const section = (title: string, body: readonly string[]) => {
    if (lines.length > 0) lines.push("");
    lines.push(title, "", ...body);
  };
  if (images.length > 0) {
    section("Calls: instructions by phase, and what else was counted", await rowLines(report, images));
    const calls = new Set(images.flatMap(({ rows }) => rows.map(({ call }) => call)));
    const meanings = [...calls].flatMap((call) =>
      CALL_MEANINGS[call] ? [`  ${call}: ${CALL_MEANINGS[call]}`] : [],
    );
    if (meanings.length > 0) section("What each call is", meanings);
  }
  if (mechanisms !== null) {
    section(
      "Mechanisms by themselves, ring 3 to ring 0 and back with an empty handler",
      await mechanismLines(report, mechanisms.rows),
    );
    if (model.name === PUBLISHED_MECHANISMS_MODEL)
      lines.push("", `published: ${PUBLISHED_MECHANISMS_SOURCE}`);
  }
  const ratios = await ratioLines(report);
  if (ratiosOf(images).length > 0) {
    section("An empty system call : a function call", ratios);
    lines.push(
      "",
      ...PUBLISHED_RATIOS.map(({ what, value, source }) => `published: ${what} = ${value} (${source})`),
    );
  }
  section(`Model: ${model.name}, ${model.title}, ${model.frequencyHz / 1e9} GHz`, [
    "Instructions, accesses and transitions are counted and exact. Cycles and nanoseconds are modelled.",
    ...assumedLines(report),
  ]);
  if (assumed.length === 0) lines.push("No figure was used that has no source.");
  return `${lines.join("\n")}\n`;
}

/** Assumed figures by name and value, and which rows rest on each. */
function assumedLines({ assumed, images, mechanisms }: Report): string[] {
  if (assumed.length === 0) return [];
  const all = [...(mechanisms === null ? [] : [mechanisms]), ...images].flatMap(({ rows }) => rows);
  const lines = assumed.map(({ name, value, source, description }) => {
    const calls = new Set(all.filter((row) => row.assumed.includes(name)).map(({ call }) => call));
    const most = calls.size > 6 ? `${calls.size} calls` : [...calls].join(", ");
    return `  ${name} = ${value} (${description}; ${source}): ${most}`;
  });
  return ["Assumed figures that rows rest on:", ...lines];
}
