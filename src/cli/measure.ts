/** `ukl-emu measure`: what system calls cost, by phases. The options; what they do is in `measure-run.ts`. */
import type { Argv, CommandModule } from "yargs";
import { UserError } from "./errors.ts";
import type { MeasureOptions } from "./measure-run.ts";
import { parseCount, parseSize } from "./options.ts";

type OneOrMore = string | readonly string[];

interface MeasureArguments {
  readonly link?: OneOrMore;
  readonly calls?: OneOrMore;
  readonly payload?: OneOrMore;
  readonly model?: OneOrMore;
  readonly image?: OneOrMore;
  readonly between?: OneOrMore;
  readonly count?: OneOrMore;
  readonly symbols?: OneOrMore;
  readonly initrd?: OneOrMore;
  readonly append?: OneOrMore;
  readonly memory?: OneOrMore;
  readonly cpu?: OneOrMore;
  readonly maxInstructions?: OneOrMore;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly html?: OneOrMore;
}

const text = (describe: string) => ({ type: "string", describe, requiresArg: true }) as const;

function builder(yargs: Argv): Argv<MeasureArguments> {
  return yargs
    .options({
      link: text("link modes of ringcost, e.g. ring3,ukl; all of them unless given"),
      calls: text("calls, e.g. empty,read; or mechanisms"),
      payload: text("bytes, e.g. 1,4096"),
      model: text("timing model: skylake unless given; ukl-emu models lists them"),
      image: text("measure this image instead of the package's"),
      between: text("SYMBOL,SYMBOL: from the first one's instruction up to the second one's"),
      count: text("with --image: stop after so many rounds"),
      symbols: text("with --image: ELF files or a System.map with its symbols, e.g. System.map,init.elf"),
      initrd: text("with --image: initial RAM disk"),
      append: text("with --image: kernel command line"),
      "max-instructions": text("with --image: stop after this many instructions, e.g. 2G"),
      memory: text("guest RAM, e.g. 512M; 64M unless given"),
      cpu: text("processor model, e.g. x86-64-v2,-smap"),
      json: { type: "boolean", describe: "JSON on standard output" },
      csv: { type: "boolean", describe: "comma-separated values on standard output" },
      html: text("also write a page with charts to this file"),
    })
    .example("$0 measure", "every call of ringcost in every link mode, and the mechanisms")
    .example("$0 measure --link ring3,ukl-byp --calls empty,getppid", "two calls in two modes")
    .example("$0 measure --html report.html", "a page to show")
    .example(
      "$0 measure --image my.bin --between sys_read,exit_work",
      "any stretch of any image",
    ) as Argv<MeasureArguments>;
}

const NEEDS_IMAGE = ["between", "count", "symbols", "initrd", "append", "maxInstructions"] as const;
const NOT_WITH_IMAGE = ["link"] as const;

const dashed = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** @throws UserError */
export function measureOptions(given: MeasureArguments): MeasureOptions {
  const single = (name: keyof MeasureArguments): string | undefined => {
    const value = given[name];
    if (!Array.isArray(value)) return value as string | undefined;
    throw new UserError(
      `${dashed(name)}: expected one value, found ${value.map((v) => `"${v}"`).join(" and ")}`,
    );
  };
  const list = (name: keyof MeasureArguments): readonly string[] | undefined => {
    const value = given[name] as OneOrMore | undefined;
    if (value === undefined) return undefined;
    const parts = [value].flat().flatMap((part) => part.split(",").map((word) => word.trim()));
    if (parts.includes(""))
      throw new UserError(`${dashed(name)}: expected a list such as a,b, found "${value}"`);
    return parts;
  };
  const image = single("image");
  for (const name of image === undefined ? NEEDS_IMAGE : NOT_WITH_IMAGE) {
    if (given[name] === undefined) continue;
    const what = image === undefined ? "with --image FILE" : "without --image";
    throw new UserError(`${dashed(name)}: expected ${what}`);
  }
  if (given.json && given.csv) throw new UserError("--json and --csv: expected one of them, found both");
  const between = list("between");
  if (between !== undefined && between.length !== 2) {
    throw new UserError(`--between: expected two symbols, found ${between.length}: ${between.join(", ")}`);
  }
  const count = single("count");
  const maxInstructions = single("maxInstructions");
  const memory = single("memory");
  return {
    link: list("link"),
    calls: list("calls"),
    payloads: list("payload")?.map((word) => parsePayload(word)),
    model: single("model") ?? "skylake",
    image,
    between: between as readonly [string, string] | undefined,
    count: count === undefined ? undefined : parseCount("--count", count),
    symbols: list("symbols"),
    initrd: single("initrd"),
    append: single("append"),
    maxInstructions:
      maxInstructions === undefined ? undefined : parseCount("--max-instructions", maxInstructions),
    memory: memory === undefined ? undefined : parseSize("--memory", memory),
    cpu: single("cpu"),
    format: given.json ? "json" : given.csv ? "csv" : "text",
    html: single("html"),
  };
}

function parsePayload(word: string): number {
  if (!/^\d{1,9}$/.test(word))
    throw new UserError(`--payload: expected bytes such as 1 or 4096, found "${word}"`);
  return Number(word);
}

export const measureCommand: CommandModule<object, MeasureArguments> = {
  command: "measure",
  describe: "Measure what system calls cost, by phases",
  builder,
  handler: async (given) => {
    const options = measureOptions(given);
    const { runMeasure } = await import("./measure-run.ts");
    process.exitCode = await runMeasure(options, process.argv.slice(2));
  },
};
