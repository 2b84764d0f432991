/** Servers under load as data: what the table, `--json`, `--csv` and the page are made of. */
import type { Figure } from "../../timing/index.ts";
import { timingModel } from "../../timing/index.ts";
import { CampaignError } from "../campaign.ts";
import type { Report } from "../report.ts";
import type { RequestKind } from "./requests.ts";
import { runServer, type ServerCounts, ServerError } from "./run.ts";

export interface ServerImage {
  /** As it is told to the user. */
  readonly file: string;
  readonly server: string;
  /** Link mode with options, from the file's name. */
  readonly mode: string;
  readonly bytes: Uint8Array;
}

/** One server in one mode under one load. */
export interface ServerRow {
  readonly file: string;
  readonly server: string;
  readonly request: string;
  readonly mode: string;
  readonly connections: number;
  readonly pipeline: number;
  /** That were measured. */
  readonly requests: number;
  /** Virtual nanoseconds that they took. */
  readonly time: number;
  readonly requestsPerSecond: number;
  /** Of that time, in which the processor waited: 0 to 1. */
  readonly idleShare: number;
  /** Of everything that was executed meanwhile; idle time is not among the cycles. */
  readonly perRequest: {
    readonly cycles: number;
    readonly instructions: number;
    readonly systemCalls: number;
    readonly ringTransitions: number;
  };
  /** Names of figures without a source that cycles, and with them time, rest on. */
  readonly assumed: readonly string[];
}

export interface ServerReport extends Pick<Report, "model" | "command" | "version" | "assumed"> {
  /** Virtual nanoseconds that the wire takes from the guest to the generator and back. */
  readonly roundTrip: number;
  readonly rows: readonly ServerRow[];
}

export interface ServersRequest {
  readonly images: readonly ServerImage[];
  readonly kinds: readonly RequestKind[];
  readonly connections: readonly number[];
  readonly pipelines: readonly number[];
  readonly requests: number;
  /** Virtual nanoseconds. */
  readonly roundTrip: number;
  readonly model: string;
  /** Bytes of guest RAM. */
  readonly memory: number;
  readonly cpu?: string;
  readonly command: string;
  readonly version: string;
  readonly onRow?: (row: ServerRow, seconds: number, total: number) => void;
}

/** Requests before what is measured: each client's first ones, and at least so many. */
const WARM_UP = 200;

/**
 * Measures every image under every load that fits it, each in a machine of its own.
 * @throws CampaignError for an image that does not serve, and for an answer that is wrong or missing
 */
export function measureServers(request: ServersRequest): ServerReport {
  const { kinds, connections, pipelines, images, roundTrip, command, version } = request;
  const loads = kinds.flatMap((kind) =>
    connections.flatMap((clients) =>
      pipelines.flatMap((pipeline) =>
        images
          .filter(({ server }) => server === kind.server)
          .map((image) => ({ kind, connections: clients, pipeline, image })),
      ),
    ),
  );
  const rows = loads.map(({ kind, image, ...shape }) => {
    const start = performance.now();
    const counts = countsOf(request, kind, image, shape.connections, shape.pipeline);
    const row = rowOf(kind, image, shape, counts);
    request.onRow?.(row, (performance.now() - start) / 1000, loads.length);
    return row;
  });
  const { name, title, frequencyHz, figures } = timingModel(request.model);
  const names = new Set(rows.flatMap(({ assumed }) => assumed));
  const assumed: readonly Figure[] = figures.filter((figure) => names.has(figure.name));
  return { model: { name, title, frequencyHz }, command, version, roundTrip, rows, assumed };
}

function countsOf(
  { requests, roundTrip, model, memory, cpu }: ServersRequest,
  kind: RequestKind,
  image: ServerImage,
  connections: number,
  pipeline: number,
): ServerCounts {
  const warmUp = Math.max(WARM_UP, connections * pipeline);
  try {
    return runServer({
      ...{ image: image.bytes, roundTrip, model, memory },
      load: { kind, connections, pipeline, warmUp, requests },
      ...(cpu === undefined ? {} : { cpu }),
    });
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    const load = loadName({ connections, pipeline });
    throw new CampaignError(`${image.file}: ${kind.name}, ${load}: ${error.message}`);
  }
}

function rowOf(
  kind: RequestKind,
  { file, server, mode }: ServerImage,
  shape: Pick<ServerRow, "connections" | "pipeline">,
  counts: ServerCounts,
): ServerRow {
  const { requests, time, idleTime, assumed } = counts;
  return {
    ...{ file, server, request: kind.name, mode, ...shape, requests, time },
    requestsPerSecond: (requests / time) * 1e9,
    idleShare: idleTime / time,
    perRequest: {
      cycles: counts.cycles / requests,
      instructions: counts.instructions / requests,
      systemCalls: counts.systemCalls / requests,
      ringTransitions: counts.ringTransitions / requests,
    },
    assumed,
  };
}

/** The mode that others are compared with, where it was measured. */
export const REFERENCE_MODE = "ring3";

/** The row of the same load in `REFERENCE_MODE`, of a row in another mode. */
export function referenceOf(row: ServerRow, rows: readonly ServerRow[]): ServerRow | undefined {
  if (row.mode === REFERENCE_MODE) return undefined;
  return rows.find(
    (one) =>
      one.mode === REFERENCE_MODE &&
      one.request === row.request &&
      one.connections === row.connections &&
      one.pipeline === row.pipeline,
  );
}

/** What one load is, for headings. */
export function loadName({ connections, pipeline }: Pick<ServerRow, "connections" | "pipeline">): string {
  const clients = `${connections} ${connections === 1 ? "connection" : "connections"}`;
  return pipeline === 1 ? clients : `${clients}, ${pipeline} requests at once`;
}
