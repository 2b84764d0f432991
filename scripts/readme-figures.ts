/**
 * Writes the measured figures into the README's tables of link modes and of servers:
 *
 *     node scripts/readme-figures.ts
 *
 * To be run when the kernel or a timing model has changed and the images were built again.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureImages } from "../src/measure/campaign.ts";
import { EMPTY_CALL, FUNCTION_CALL, ratiosOf } from "../src/measure/report.ts";
import { measureServers, referenceOf, type ServerImage } from "../src/measure/servers/report.ts";
import { REQUEST_KINDS } from "../src/measure/servers/requests.ts";
import { percent } from "../src/measure/text-table.ts";

const root = join(import.meta.dirname, "..");

/** Mode, what stands in the second column, instructions, times, cycles. */
export const FIGURES_ROW = /^\| `([a-z0-9-]+)` +\| ([^|]+)\| +(\d+) \| +([\d.]+) \| +(\d+) \|$/gm;

/** Request, mode, requests per second, beside ring 3, cycles, system calls. */
export const SERVER_FIGURES_ROW =
  /^\| `([a-z-]+)` +\| `([a-z0-9-]+)` +\| +([\d,]+) \| +([-+\d.% ]*) \| +([\d,]+) \| +([\d.]+) \|$/gm;
/** The load that the README tells of, which is one of those of `ukl-emu measure --servers`. */
const README_LOAD = { connections: [50], pipelines: [1], requests: 4000, roundTrip: 20_000 };

/** The committed images of all servers in some modes. */
export function serverImagesOf(modes: readonly string[]): ServerImage[] {
  const servers = [...new Set(REQUEST_KINDS.map(({ server }) => server))];
  return servers.flatMap((server) =>
    modes.map((mode) => {
      const file = join("images", `${server}-${mode}.bin`);
      return { file, server, mode, bytes: readFileSync(join(root, file)) };
    }),
  );
}

/** The rows of the README's table of servers, measured. */
export function serverFigures(readme: string): string[] {
  const told = [...readme.matchAll(SERVER_FIGURES_ROW)];
  const { rows } = measureServers({
    images: serverImagesOf([...new Set(told.map(([, , mode]) => mode!))]),
    kinds: REQUEST_KINDS.filter(({ name }) => told.some(([, request]) => request === name)),
    ...README_LOAD,
    ...{ model: "skylake", memory: 64 << 20, command: "", version: "" },
  });
  return told.map(([line, request, mode]) => {
    const row = rows.find((one) => one.request === request && one.mode === mode);
    if (row === undefined) return line;
    const { requestsPerSecond: rate, perRequest } = row;
    const reference = referenceOf(row, rows);
    const cells = [
      `\`${request}\``.padEnd(10),
      `\`${mode}\``.padEnd(9),
      Math.round(rate).toLocaleString("en-US").padStart(10),
      (reference === undefined ? "" : percent(rate, reference.requestsPerSecond)).padStart(11),
      Math.round(perRequest.cycles).toLocaleString("en-US").padStart(6),
      perRequest.systemCalls.toFixed(1).padStart(12),
    ];
    return `| ${cells.join(" | ")} |`;
  });
}

async function main(): Promise<void> {
  const path = join(root, "README.md");
  const readme = readFileSync(path, "utf8");
  const modes = [...readme.matchAll(FIGURES_ROW)].map(([, mode]) => mode!);
  const report = await measureImages({
    images: modes.map((mode) => {
      const file = join(root, "images", `ringcost-${mode}.bin`);
      return { file, mode, bytes: readFileSync(file) };
    }),
    ...{ mechanisms: null, model: "skylake", memory: 64 << 20, command: "", version: "" },
    wanted: (call) => call === EMPTY_CALL || call === FUNCTION_CALL,
  });
  const ratios = ratiosOf(report.images);
  const withRatios = readme.replace(FIGURES_ROW, (row, mode: string, what: string) => {
    const ratio = ratios.find((one) => one.mode === mode);
    if (ratio === undefined) return row;
    const figures = [
      String(ratio.call.instructions).padStart(12),
      ratio.instructions.toFixed(1).padStart(5),
      ratio.call.cycles.toFixed(0).padStart(6),
    ];
    return `| ${`\`${mode}\``.padEnd(12)} | ${what}| ${figures.join(" | ")} |`;
  });
  const servers = serverFigures(readme);
  const written = withRatios.replace(SERVER_FIGURES_ROW, () => servers.shift()!);
  if (written !== readme) writeFileSync(path, written);
  console.log(written === readme ? "README.md: unchanged" : "README.md: written");
}

if (import.meta.main) await main();
