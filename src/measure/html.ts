/**
 * A report as one page that needs nothing else (`html-page.ts`): charts, with tables beside them. The same report gives
 * the same bytes.
 */
import { FIELD_MEANINGS, FIELDS, PHASE_MEANINGS, PHASES } from "./counts.ts";
import { chart, htmlPage } from "./html-page.ts";
import {
  assumedTable,
  callTable,
  escapeHtml,
  fullTable,
  htmlTable,
  mechanismTable,
  publishedRatios,
  ratioTable,
  uklTable,
} from "./html-tables.ts";
import { type PageData, pageMain, type StackedRow } from "./page-script.ts";
import {
  PUBLISHED_MECHANISMS,
  PUBLISHED_MECHANISMS_MODEL,
  PUBLISHED_MECHANISMS_SOURCE,
} from "./published.ts";
import {
  CALL_MEANINGS,
  EMPTY_CALL,
  MODE_MEANINGS,
  mechanismComparisons,
  nanoseconds,
  type Report,
  ratiosOf,
  VARIANTS,
} from "./report.ts";

const METRICS: PageData["metrics"] = [
  { key: "instructions", title: "instructions" },
  { key: "cycles", title: "modelled cycles" },
  { key: "ns", title: "modelled nanoseconds" },
  { key: "accesses", title: "memory accesses" },
];

/** Ratios that others published, as one number each. */
const PUBLISHED_TIMES = [
  { label: "Linux, KML's paper", value: 432 / 12 },
  { label: "Linux with mitigations, Unikraft's", value: 222 / 4 },
  { label: "Linux without", value: 154 / 4 },
  { label: "rewritten unikernel", value: 84 / 4 },
];

const LINE_CALLS = ["read", "write", "send", "recv"];

function pageData(report: Report): PageData {
  const { images, mechanisms, model } = report;
  const rows = images.flatMap(({ mode, rows }) =>
    rows.map(({ call, payload, phases }): StackedRow => {
      const each = (value: (phase: (typeof PHASES)[number]) => number) =>
        PHASES.map((phase) => Number(value(phase).toFixed(2)));
      return {
        ...{ mode, call, payload },
        values: {
          instructions: each((phase) => phases[phase].instructions),
          cycles: each((phase) => phases[phase].cycles),
          ns: each((phase) => nanoseconds(phases[phase].cycles, report)),
          accesses: each((phase) => phases[phase].reads + phases[phase].writes),
        },
      };
    }),
  );
  const ours = ratiosOf(images).map(({ mode, cycles }) => ({
    ...{ label: mode, value: Number(cycles.toFixed(2)), published: false },
  }));
  const comparable = model.name === PUBLISHED_MECHANISMS_MODEL;
  const lines = LINE_CALLS.map((call) => {
    const of = rows.filter((row) => row.call === call);
    const payloads = [...new Set(of.map(({ payload }) => payload))].sort((a, b) => a - b);
    const shown = images.filter(({ mode }) => !VARIANTS.includes(mode));
    const known = Object.keys(MODE_MEANINGS).filter((mode) => !VARIANTS.includes(mode));
    const modes = shown.map(({ mode }, i) => ({
      mode,
      rank: known.includes(mode) ? known.indexOf(mode) : known.length + i,
      values: payloads.map((payload) => {
        const row = of.find((one) => one.mode === mode && one.payload === payload);
        return row === undefined ? null : Number(row.values["ns"]!.reduce((a, b) => a + b, 0).toFixed(2));
      }),
    }));
    return { id: `lines-${call}`, payloads, modes };
  });
  return {
    phases: PHASES,
    metrics: METRICS,
    rows,
    meanings: CALL_MEANINGS,
    ratios:
      ours.length === 0 ? [] : [...ours, ...PUBLISHED_TIMES.map((one) => ({ ...one, published: true }))],
    mechanisms: mechanismComparisons(mechanisms?.rows ?? []).map(({ mechanism, cycles }) => ({
      label: mechanism,
      ours: cycles,
      published: comparable ? (PUBLISHED_MECHANISMS[mechanism] ?? null) : null,
    })),
    lines: lines.filter(({ payloads }) => payloads.length > 1),
  };
}

function legend(data: PageData): string {
  const used = PHASES.filter((_, i) => data.rows.some(({ values }) => values["instructions"]![i] !== 0));
  const items = used.map(
    (phase) =>
      `<li><span class="swatch" style="background:var(--${phase})"></span><b>${phase}</b><span>${escapeHtml(PHASE_MEANINGS[phase])}</span></li>`,
  );
  return `<ul class="legend">${items.join("")}</ul>`;
}

/** Instructions and modelled cycles side by side, cut into phases, and their table. */
function callSection(report: Report, data: PageData, call: string, title: string, text: string): string {
  const table = callTable(report, call, 0);
  if (table === "") return "";
  const charts = ["instructions", "cycles"].map((metric) =>
    chart(`${metric}-${call}`, `${title}: ${metric}`),
  );
  const colours = call === EMPTY_CALL ? legend(data) : "";
  return `<section><h2>${title}</h2><p>${text}</p>${colours}<div class="pairs">${charts.join("")}</div>${table}</section>`;
}

function explorer(report: Report, data: PageData): string {
  if (data.rows.length === 0) return "";
  const calls = new Map(data.rows.map(({ call, payload }) => [`${call}|${payload}`, { call, payload }]));
  const options = [...calls].map(([key, { call, payload }]) => {
    const bytes = payload === 0 ? "" : `, ${payload} ${payload === 1 ? "byte" : "bytes"}`;
    const selected = key === "read|4096" ? " selected" : "";
    return `<option value="${escapeHtml(key)}"${selected}>${escapeHtml(call + bytes)}</option>`;
  });
  const metrics = METRICS.map(({ key, title }) => `<option value="${key}">${title}</option>`);
  return `<section><h2>Every call</h2>
<p>Choose a call and what is counted; the bars are cut by phase.</p>
<div class="controls">
<label>Call<select id="explore-call">${options.join("")}</select></label>
<label>Count<select id="explore-metric">${metrics.join("")}</select></label>
</div>
<p class="soft" id="explore-meaning" aria-live="polite"></p>
${chart("explore", "the chosen call in every mode")}
<details><summary>All rows as a table</summary>${fullTable(report, report.images, "bytes")}</details></section>`;
}

function lineSection(data: PageData): string {
  if (data.lines.length === 0) return "";
  const figures = data.lines.map(({ id }) => {
    const call = id.replace("lines-", "");
    return `<figure style="margin:0;min-width:0"><h3>${call}</h3>${chart(id, `${call}: modelled nanoseconds by bytes and mode; the table of all rows has the numbers`)}</figure>`;
  });
  return `<section><h2>By payload</h2><p>The more bytes a call moves, the less the way into the kernel matters.</p><div class="pairs">${figures.join("")}</div></section>`;
}

function ratioSection(report: Report, data: PageData): string {
  if (data.ratios.length === 0) return "";
  return `<section><h2>A system call : a function call</h2>
<p>How many times a call of an empty function goes into an empty system call. Instructions carry the claim; cycles, drawn here, illustrate it, beside what others measured on processors (orange).</p>
${chart("ratios", "times the cycles of a function call; the tables have the numbers")}
${ratioTable(report)}
${publishedRatios()}
<h3>Beside UKL</h3>${uklTable(report)}</section>`;
}

function mechanismSection(report: Report): string {
  const { mechanisms, model } = report;
  if (mechanisms === null) return "";
  const source =
    model.name === PUBLISHED_MECHANISMS_MODEL
      ? ` Published: ${escapeHtml(PUBLISHED_MECHANISMS_SOURCE)}.`
      : "";
  return `<section><h2>The mechanisms by themselves</h2>
<p>From ring 3 to ring 0 and back, with nothing in between.${source}</p>
${chart("mechanisms", "cycles of each mechanism; the table has the numbers")}
${mechanismTable(report, mechanisms.rows)}
<details><summary>All rows as a table</summary>${fullTable(report, [mechanisms], "CR3 writes")}</details></section>`;
}

function methodSection(report: Report): string {
  const { model, assumed, command, images, mechanisms } = report;
  const rows = [...(mechanisms === null ? [] : [mechanisms]), ...images].flatMap((image) => image.rows);
  const figures =
    assumed.length === 0
      ? "<p>No figure was used that has no source.</p>"
      : `<p>${assumed.length} figures of the model have no published source. Cycles rest on them as the table says; instructions and all other counts do not.</p>
<details><summary>Assumed figures</summary>${assumedTable(assumed, rows)}</details>`;
  const counted = FIELDS.map((field) => [
    field
      .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
      .replace("cr3", "CR3")
      .replace("tlb", "TLB"),
    { text: FIELD_MEANINGS[field], wide: true },
  ]);
  return `<section><h2>How it was measured</h2>
<p>The images ran on ukl-emu, a deterministic x86-64 machine, which steps through every instruction between two markers and notes in which part of the image it lies. The same command gives the same figures, on every machine:</p>
<pre>${escapeHtml(command)}</pre>
<p>Instructions, accesses, stack switches, CR3 writes and ring transitions are counted: exact. Cycles and nanoseconds are those of a model, ${escapeHtml(model.name)} (${escapeHtml(model.title)}, ${model.frequencyHz / 1e9} GHz). Each row is the median of its rounds, without an empty pair of markers.</p>
<details><summary>What is counted</summary>${htmlTable("", ["count", "meaning"], counted)}</details>
<h3>What is assumed</h3>${figures}</section>`;
}

/** What the modes say, in one sentence: those that a reader knows first. */
function headline(report: Report): string {
  const ratios = ratiosOf(report.images);
  const told = ["ring3", "ukl-byp", "shortcut"].flatMap((mode) =>
    ratios.filter((ratio) => ratio.mode === mode),
  );
  if (told.length < 2) return "";
  const parts = told.map(({ mode, instructions }) => {
    const times = instructions >= 10 ? instructions.toFixed(0) : instructions.toFixed(1).replace(".0", "");
    return `<b>${times}</b> in mode <code>${mode}</code>`;
  });
  const last = parts.pop();
  return `<p>A system call that does nothing takes this many times the instructions of a function call: ${parts.join(", ")} and ${last}.</p>`;
}

export function htmlReport(report: Report): string {
  const data = pageData(report);
  return htmlPage({
    title: "What a system call costs",
    body: `<header>
<h1>What a system call costs</h1>
${headline(report)}
<p class="soft">Modelled processor: ${escapeHtml(report.model.title)}. ukl-emu ${escapeHtml(report.version)}.</p>
</header>
${callSection(report, data, "empty", "An empty call", "The same program, linked in different ways; the call does nothing, so all of it is the way there and back. The colours:")}
${callSection(report, data, "getppid", "getppid", "The smallest call that does something.")}
${ratioSection(report, data)}
${explorer(report, data)}
${lineSection(data)}
${callSection(report, data, "fault-stack", "A page fault on the stack", "The first push to a page of the application's stack. Where the application runs at ring 0 the fault may have no stack to arrive on: ukl-df lets it become a double fault, as UKL does, ukl-ret returns by RET instead of IRET. UKL's paper finds faults about 5 % faster than Linux's with the first, over 12.5 % with the second.")}
${mechanismSection(report)}
${methodSection(report)}`,
    data,
    main: pageMain.toString(),
  });
}
