/** A report on servers as aligned text, and as comma-separated values. */
import { type Align, plainTable } from "../../debug/plain-table.ts";
import { csvLines } from "../csv.ts";
import { PUBLISHED_SERVER } from "../published.ts";
import { MODE_MEANINGS } from "../report.ts";
import { percent, roughly } from "../text-table.ts";
import { REFERENCE_MODE, referenceOf, type ServerReport } from "./report.ts";
import { REQUEST_KINDS } from "./requests.ts";

/** A count of each request that is not the same for all. */
const each = (value: number): string => (value === 0 ? "." : String(Number(value.toFixed(2))));

const HEAD: readonly (readonly [name: string, align: Align])[] = [
  ["request", "left"],
  ["connections", "right"],
  ["pipeline", "right"],
  ["mode", "left"],
  ["requests/s", "right"],
  [`than ${REFERENCE_MODE}`, "right"],
  ["cycles", "right"],
  ["instr", "right"],
  ["calls", "right"],
  ["rings", "right"],
  ["idle", "right"],
  ["requests", "right"],
];

export async function serverTextReport(report: ServerReport): Promise<string> {
  const { rows, model, assumed, roundTrip } = report;
  let last = "";
  const lines = rows.map((row) => {
    const { request, connections, pipeline, mode, perRequest } = row;
    const load = `${request} ${connections} ${pipeline}`;
    const name = load === last ? ["", "", ""] : [request, connections, pipeline];
    last = load;
    const reference = referenceOf(row, rows);
    return [
      ...[...name, mode, Math.round(row.requestsPerSecond)],
      reference === undefined ? "" : percent(row.requestsPerSecond, reference.requestsPerSecond),
      ...[roughly(perRequest.cycles), Math.round(perRequest.instructions)],
      ...[each(perRequest.systemCalls), each(perRequest.ringTransitions)],
      ...[`${(row.idleShare * 100).toFixed(1)} %`, row.requests],
    ];
  });
  const table = await plainTable(
    HEAD.map(([name]) => name),
    HEAD.map(([, align]) => align),
    lines,
  );
  const requests = REQUEST_KINDS.filter(({ name }) => rows.some(({ request }) => request === name));
  const modes = [...new Set(rows.map(({ mode }) => mode))].filter(
    (mode) => MODE_MEANINGS[mode] !== undefined,
  );
  return `${[
    "Servers under load, in the guest's time; cycles, instructions, system calls and changes of ring for each request",
    "",
    ...table,
    "",
    `published: ${PUBLISHED_SERVER.what} = ${PUBLISHED_SERVER.value} (${PUBLISHED_SERVER.source})`,
    "",
    "What is asked, and how the server is linked",
    "",
    ...requests.map(({ name, meaning }) => `  ${name}: ${meaning}`),
    ...modes.map((mode) => `  ${mode}: ${MODE_MEANINGS[mode]}`),
    "",
    `Model: ${model.name}, ${model.title}, ${model.frequencyHz / 1e9} GHz`,
    "",
    "Everything that the machine executed is counted, interrupts and the network among it. Cycles, and the time that follows",
    `from them, are modelled. Clients answer at once; the wire takes ${roundTrip / 1000} us there and back, the network device its own time.`,
    ...(assumed.length === 0
      ? ["No figure was used that has no source."]
      : ["Cycles rest on assumed figures:", ...assumed.map(assumedLine)]),
  ].join("\n")}\n`;
}

const assumedLine = ({ name, value, source, description }: ServerReport["assumed"][number]): string =>
  `  ${name} = ${value} (${description}; ${source})`;

export function serverCsvReport({ rows }: ServerReport): string {
  const head = [
    ...["image", "server", "request", "mode", "connections", "pipeline", "requests", "nanoseconds"],
    ...[
      "requestsPerSecond",
      "idleShare",
      "cycles",
      "instructions",
      "systemCalls",
      "ringTransitions",
      "assumed",
    ],
  ];
  const lines = rows.map((row) => [
    ...[row.file, row.server, row.request, row.mode, row.connections, row.pipeline, row.requests, row.time],
    ...[row.requestsPerSecond, row.idleShare, row.perRequest.cycles, row.perRequest.instructions],
    ...[row.perRequest.systemCalls, row.perRequest.ringTransitions, row.assumed.join(" ")],
  ]);
  return csvLines([head, ...lines]);
}
