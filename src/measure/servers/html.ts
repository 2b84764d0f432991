/** A report on servers as one page that needs nothing else: charts, with tables beside them. */
import { chart, htmlPage } from "../html-page.ts";
import { escapeHtml, htmlTable } from "../html-tables.ts";
import { PUBLISHED_SERVER } from "../published.ts";
import { MODE_MEANINGS } from "../report.ts";
import { percent, roughly } from "../text-table.ts";
import { type ServerPageData, serverPageMain } from "./page-script.ts";
import { loadName, REFERENCE_MODE, referenceOf, type ServerReport, type ServerRow } from "./report.ts";
import { REQUEST_KINDS } from "./requests.ts";

const CHARTS = [
  { key: "rate", unit: "requests per second", value: (row: ServerRow) => Math.round(row.requestsPerSecond) },
  { key: "cycles", unit: "cycles per request", value: (row: ServerRow) => Math.round(row.perRequest.cycles) },
] as const;

/** Kinds of requests that were measured, with their rows. */
function groupsOf({ rows }: ServerReport): { name: string; meaning: string; rows: readonly ServerRow[] }[] {
  return REQUEST_KINDS.map(({ name, meaning }) => {
    return { name, meaning, rows: rows.filter(({ request }) => request === name) };
  }).filter((group) => group.rows.length > 0);
}

function pageData(report: ServerReport): ServerPageData {
  const charts = groupsOf(report).flatMap(({ name, rows }) => {
    const loads = [...new Set(rows.map(loadName))];
    const modes = [...new Set(rows.map(({ mode }) => mode))];
    return CHARTS.map(({ key, unit, value }) => ({
      ...{ id: `${key}-${name}`, unit, loads },
      modes: modes.map((mode) => ({
        mode,
        values: loads.map((load) => {
          const row = rows.find((one) => one.mode === mode && loadName(one) === load);
          return row === undefined ? null : value(row);
        }),
      })),
    }));
  });
  return { charts };
}

function table(rows: readonly ServerRow[]): string {
  const head = ["load", "mode", "requests/s", `than ${REFERENCE_MODE}`, "cycles", "instructions"];
  head.push("system calls", "changes of ring", "idle time");
  return htmlTable(
    "For each request",
    head,
    rows.map((row) => {
      const { perRequest } = row;
      const reference = referenceOf(row, rows);
      return [
        ...[loadName(row), { text: row.mode }, Math.round(row.requestsPerSecond)],
        reference === undefined ? "" : percent(row.requestsPerSecond, reference.requestsPerSecond),
        ...[roughly(perRequest.cycles), Math.round(perRequest.instructions)],
        ...[Number(perRequest.systemCalls.toFixed(2)), Number(perRequest.ringTransitions.toFixed(2))],
        `${(row.idleShare * 100).toFixed(1)} %`,
      ];
    }),
  );
}

function section({ name, meaning, rows }: ReturnType<typeof groupsOf>[number]): string {
  const charts = CHARTS.map(({ key, unit }) =>
    chart(`${key}-${name}`, `${name}: ${unit} by load and mode; the table has the numbers`),
  );
  return `<section><h2>${escapeHtml(name)}</h2><p>${escapeHtml(meaning)}.</p><div class="pairs">${charts.join("")}</div>${table(rows)}</section>`;
}

function methodSection({ model, command, assumed, roundTrip, rows }: ServerReport): string {
  const modes = [...new Set(rows.map(({ mode }) => mode))];
  const figures =
    assumed.length === 0
      ? "<p>No figure was used that has no source.</p>"
      : `<p>Cycles, and with them time, rest on ${assumed.length} figures of the model that have no published source; instructions, system calls and changes of ring do not.</p><details><summary>Assumed figures</summary>${htmlTable(
          "",
          ["figure", "cycles", "what it stands for", "why this value"],
          assumed.map(({ name, value, description, source }) => [
            ...[name, Number(value.toPrecision(3))],
            ...[
              { text: description, wide: true },
              { text: source, wide: true },
            ],
          ]),
        )}</details>`;
  return `<section><h2>How it was measured</h2>
<p>Published: ${escapeHtml(`${PUBLISHED_SERVER.what} = ${PUBLISHED_SERVER.value} (${PUBLISHED_SERVER.source})`)}.</p>
<p>The server's image ran on ukl-emu, a deterministic x86-64 machine; clients within the same process asked it over its virtio network device, in the guest's time, and checked every byte of every answer. The same command gives the same figures, on every machine:</p>
<pre>${escapeHtml(command)}</pre>
<p>Clients answer at once. The wire takes ${roundTrip / 1000} us there and back, the network device its own time. Everything that the machine executed is counted, interrupts and the network among it; idle time is not among the cycles. Cycles and time are those of a model, ${escapeHtml(model.name)} (${escapeHtml(model.title)}, ${model.frequencyHz / 1e9} GHz).</p>
${htmlTable(
  "How the server is linked",
  ["mode", "meaning"],
  modes.map((mode) => [mode, { text: MODE_MEANINGS[mode] ?? "", wide: true }]),
)}
<h3>What is assumed</h3>${figures}</section>`;
}

export function serverHtmlReport(report: ServerReport): string {
  return htmlPage({
    title: "What a request costs",
    body: `<header>
<h1>What a request costs</h1>
<p>The same servers, as processes at ring 3 and linked with the kernel.</p>
<p class="soft">Modelled processor: ${escapeHtml(report.model.title)}. ukl-emu ${escapeHtml(report.version)}.</p>
</header>
${groupsOf(report).map(section).join("\n")}
${methodSection(report)}`,
    data: pageData(report),
    main: serverPageMain.toString(),
  });
}
