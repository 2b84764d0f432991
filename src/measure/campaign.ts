/** Measures several images, one after the other, and puts the rows together. */

import { SymbolTable } from "../debug/symbols.ts";
import type { StopReason } from "../machine/machine.ts";
import { timingModel } from "../timing/index.ts";
import { loadEffectsDecoder } from "./instruction-effects.ts";
import { runRegions } from "./regions.ts";
import type { ImageRows, Report } from "./report.ts";
import { EMPTY_PAIR, rowsOf } from "./statistics.ts";

export interface CampaignImage {
  readonly file: string;
  readonly mode: string;
  readonly bytes: Uint8Array;
}

export interface CampaignRequest {
  readonly images: readonly CampaignImage[];
  readonly mechanisms: CampaignImage | null;
  readonly model: string;
  /** Bytes of guest RAM. */
  readonly memory: number;
  readonly cpu?: string;
  readonly wanted: (call: string, payload: number) => boolean;
  readonly command: string;
  readonly version: string;
  readonly onImage?: (image: ImageRows, seconds: number) => void;
}

/** An image did not run to its end. */
export class CampaignError extends Error {
  override readonly name = "CampaignError";
}

export async function measureImages(request: CampaignRequest): Promise<Report> {
  const decode = await loadEffectsDecoder();
  const one = async (image: CampaignImage, wanted: CampaignRequest["wanted"]): Promise<ImageRows> => {
    const start = performance.now();
    const { memory, cpu, model } = request;
    const run = await runRegions({
      image: image.bytes,
      symbols: SymbolTable.load(image.bytes),
      decode,
      machine: { memory, timing: model, ...(cpu === undefined ? {} : { cpu }) },
      // Warm-up rounds and the empty pair belong to every call.
      wanted: (call, payload) => call === "" || call === EMPTY_PAIR || wanted(call, payload),
    });
    if (run.stop.kind !== "power-off")
      throw new CampaignError(unexpectedEnd(image.file, run.stop, run.console));
    const rows = rowsOf(run.rounds);
    const measured = { file: image.file, mode: image.mode, rows, instructions: run.instructions };
    request.onImage?.(measured, (performance.now() - start) / 1000);
    return measured;
  };
  const mechanisms = request.mechanisms === null ? null : await one(request.mechanisms, () => true);
  const images: ImageRows[] = [];
  for (const image of request.images) images.push(await one(image, request.wanted));
  return report(request, images, mechanisms);
}

/** The report of rows that were measured. */
export function report(
  { model, command, version }: Pick<CampaignRequest, "model" | "command" | "version">,
  images: readonly ImageRows[],
  mechanisms: ImageRows | null,
): Report {
  const { name, title, frequencyHz, figures } = timingModel(model);
  const all = mechanisms === null ? images : [mechanisms, ...images];
  const names = new Set(all.flatMap(({ rows }) => rows.flatMap(({ assumed }) => assumed)));
  return {
    ...{ command, version, images, mechanisms },
    model: { name, title, frequencyHz },
    assumed: figures.filter((figure) => names.has(figure.name)),
  };
}

function unexpectedEnd(file: string, stop: StopReason, console: string): string {
  const last = console.trimEnd().split("\n").at(-1)?.trim() ?? "";
  const how = stop.kind === "debug-exit" ? `debug-exit with status ${stop.status}` : stop.kind;
  return `${file}: expected it to power off, found ${how}${last === "" ? "" : `; its last line: ${last}`}`;
}
