/** What `ukl-emu measure --servers` does: which images, which loads. */
import { loadName, measureServers, type ServerReport } from "../measure/servers/report.ts";
import { REQUEST_KINDS, type RequestKind } from "../measure/servers/requests.ts";
import { serverCsvReport, serverTextReport } from "../measure/servers/text.ts";
import { UserError } from "./errors.ts";
import { ExitCode } from "./exit-codes.ts";
import { serverImages } from "./measure-images.ts";
import { commandLine, type ReportOptions, say, writeReport } from "./measure-output.ts";
import { userError } from "./measure-run.ts";
import { packageVersion } from "./version.ts";

export interface ServerMeasureOptions extends ReportOptions {
  readonly link: readonly string[] | undefined;
  /** Names of requests. */
  readonly calls: readonly string[] | undefined;
  readonly connections: readonly number[];
  readonly pipelines: readonly number[];
  readonly requests: number;
  /** Virtual nanoseconds. */
  readonly roundTrip: number;
  readonly model: string;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly cpu: string | undefined;
}

const MEMORY = 64 << 20;

/** @param args of the command line, for the report. @returns the process's exit code */
export async function runMeasureServers(
  options: ServerMeasureOptions,
  args: readonly string[],
): Promise<number> {
  try {
    await writeReport(options, {
      measure: () => measure(options, commandLine(args)),
      text: serverTextReport,
      csv: serverCsvReport,
      page: async (report) => (await import("../measure/servers/html.ts")).serverHtmlReport(report),
    });
    return ExitCode.SUCCESS;
  } catch (error) {
    throw userError(error, options);
  }
}

function measure(options: ServerMeasureOptions, command: string): ServerReport {
  const { link, connections, pipelines, requests, roundTrip, model, memory, cpu } = options;
  const kinds = chosenKinds(options.calls);
  const servers = [...new Set(kinds.map(({ server }) => server))];
  let done = 0;
  return measureServers({
    ...{ images: serverImages(servers, link), kinds, connections, pipelines, requests, roundTrip, model },
    ...{ memory: memory ?? MEMORY, command, version: packageVersion() },
    ...(cpu === undefined ? {} : { cpu }),
    onRow: (row, seconds, total) => {
      done++;
      say(
        `measured ${row.request}, ${loadName(row)}, ${row.mode} in ${seconds.toFixed(1)} s (${done} of ${total})`,
      );
    },
  });
}

/** @throws UserError */
function chosenKinds(calls: readonly string[] | undefined): readonly RequestKind[] {
  const known = REQUEST_KINDS.map(({ name }) => name);
  for (const call of calls ?? []) {
    if (known.includes(call)) continue;
    throw new UserError(`--calls: with --servers expected some of ${known.join(", ")}, found "${call}"`);
  }
  return calls === undefined ? REQUEST_KINDS : REQUEST_KINDS.filter(({ name }) => calls.includes(name));
}
