/** `ukl-emu models [MODEL]`: the timing models, and the figures of one with their sources. */
import type { CommandModule } from "yargs";
import { plainTable } from "../debug/plain-table.ts";
import {
  type Figure,
  isAssumed,
  TIMING_MODELS,
  type TimingModel,
  TimingModelError,
  timingModel,
} from "../timing/index.ts";
import { UserError } from "./errors.ts";

interface ModelsArguments {
  readonly model: string | undefined;
  readonly json: boolean | undefined;
}

/** Cycles as text: a third of a cycle has no end. */
function cycles({ value }: Figure): string {
  return String(Number(value.toPrecision(3)));
}

async function table(head: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const aligns = head.map((title) => (/cycles|GHz|figures|assumed/.test(title) ? "right" : "left"));
  return (await plainTable(head, aligns, rows)).join("\n");
}

function summary(model: TimingModel) {
  const { name, title, frequencyHz, figures } = model;
  return { name, title, frequencyHz, figures: figures.length, assumed: figures.filter(isAssumed).length };
}

async function list(json: boolean): Promise<string> {
  const models = TIMING_MODELS.map((name) => summary(timingModel(name)));
  if (json) return JSON.stringify(models, null, 2);
  return table(
    ["model", "GHz", "figures", "assumed", ""],
    models.map((m) => [m.name, String(m.frequencyHz / 1e9), String(m.figures), String(m.assumed), m.title]),
  );
}

async function describe(model: TimingModel, json: boolean): Promise<string> {
  const { name, title, frequencyHz, figures } = model;
  if (json) return JSON.stringify({ name, title, frequencyHz, figures }, null, 2);
  // Sources are long, and few: numbers stand for them in the table.
  const sources = [...new Set(figures.filter((figure) => !isAssumed(figure)).map(({ source }) => source))];
  const reference = (figure: Figure) =>
    isAssumed(figure) ? figure.source : `[${sources.indexOf(figure.source) + 1}]`;
  const rows = figures.map((figure) => [figure.name, cycles(figure), figure.description, reference(figure)]);
  const { assumed } = summary(model);
  return [
    `${name}: ${title}, ${frequencyHz / 1e9} GHz`,
    "",
    await table(["figure", "cycles", "of", "source"], rows),
    "",
    ...sources.map((source, index) => `[${index + 1}] ${source}`),
    "",
    `${assumed} of ${figures.length} figures are assumed: no source was found for them.`,
  ].join("\n");
}

function modelNamed(name: string): TimingModel {
  try {
    return timingModel(name);
  } catch (error) {
    if (error instanceof TimingModelError) throw new UserError(error.message);
    throw error;
  }
}

export const modelsCommand: CommandModule<object, ModelsArguments> = {
  command: "models [model]",
  describe: "List the timing models, or the figures of one with their sources",
  builder: (yargs) =>
    yargs
      .positional("model", { type: "string", describe: "a model to show" })
      .option("json", { type: "boolean", describe: "as JSON" })
      .example("$0 models skylake", "what boot --timing skylake counts"),
  handler: async ({ model, json }) => {
    const text = model === undefined ? list(json === true) : describe(modelNamed(model), json === true);
    console.log(await text);
  },
};
