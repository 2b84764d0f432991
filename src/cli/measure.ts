/**
 * `ukl-emu measure`: what system calls cost, by phases, and what servers do under load. The options; what they do is in
 * `measure-run.ts` and `measure-servers.ts`.
 */
import type { Argv, CommandModule } from "yargs";
import { UserError } from "./errors.ts";
import type { MeasureOptions } from "./measure-run.ts";
import type { ServerMeasureOptions } from "./measure-servers.ts";
import { parseCount, parseSize } from "./options.ts";

type OneOrMore = string | readonly string[];

interface MeasureArguments {
  readonly link?: OneOrMore;
  readonly calls?: OneOrMore;
  readonly payload?: OneOrMore;
  readonly model?: OneOrMore;
  readonly image?: OneOrMore;
  readonly servers?: boolean;
  readonly connections?: OneOrMore;
  readonly pipeline?: OneOrMore;
  readonly requests?: OneOrMore;
  readonly roundTrip?: OneOrMore;
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
      link: text("link modes, e.g. ring3,ukl; all that there are images of unless given"),
      calls: text("calls, e.g. empty,read; or mechanisms; with --servers http-get,ping,set,get"),
      payload: text("bytes, e.g. 1,4096"),
      model: text("timing model: skylake unless given; ukl-emu models lists them"),
      servers: {
        type: "boolean",
        describe: "requests per second and cycles per request of the HTTP and the key-value server",
      },
      connections: text("with --servers: clients at once, e.g. 1,50, which it is unless given"),
      pipeline: text(
        "with --servers: requests that a client sends at once, e.g. 1,16, which it is unless given",
      ),
      requests: text("with --servers: requests to measure, 4000 unless given"),
      "round-trip": text(
        "with --servers: what the wire takes there and back, e.g. 20us, which it is unless given",
      ),
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
    .example("$0 measure --servers", "the servers in every mode that has images of them")
    .example("$0 measure --servers --calls http-get --connections 50 --pipeline 1", "one load")
    .example("$0 measure --html report.html", "a page to show")
    .example(
      "$0 measure --image my.bin --between sys_read,exit_work",
      "any stretch of any image",
    ) as Argv<MeasureArguments>;
}

const NEEDS_IMAGE = ["between", "count", "symbols", "initrd", "append", "maxInstructions"] as const;
const NOT_WITH_IMAGE = ["link"] as const;
const NEED_SERVERS = ["connections", "pipeline", "requests", "roundTrip"] as const;
const NOT_WITH_SERVERS = ["payload", "image", ...NEEDS_IMAGE] as const;

const dashed = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Readers of options. @throws UserError, all of them */
function readers(given: MeasureArguments) {
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
  const memory = single("memory");
  if (given.json && given.csv) throw new UserError("--json and --csv: expected one of them, found both");
  return {
    single,
    list,
    common: {
      link: list("link"),
      calls: list("calls"),
      model: single("model") ?? "skylake",
      memory: memory === undefined ? undefined : parseSize("--memory", memory),
      cpu: single("cpu"),
      format: given.json ? ("json" as const) : given.csv ? ("csv" as const) : ("text" as const),
      html: single("html"),
    },
  };
}

/** @throws UserError for one of the options that was given */
function refuse(given: MeasureArguments, names: readonly (keyof MeasureArguments)[], remedy: string): void {
  for (const name of names) {
    if (given[name] !== undefined) throw new UserError(`${dashed(name)}: expected ${remedy}`);
  }
}

/** @throws UserError */
export function serverMeasureOptions(given: MeasureArguments): ServerMeasureOptions {
  refuse(given, NOT_WITH_SERVERS, "without --servers");
  const { single, list, common } = readers(given);
  const numbers = (name: keyof MeasureArguments, otherwise: readonly number[], most: number) =>
    unique(list(name)?.map((word) => wholeNumber(dashed(name), word, most)) ?? otherwise);
  const requests = single("requests");
  const roundTrip = single("roundTrip");
  return {
    ...common,
    connections: numbers("connections", [1, 50], MOST_CONNECTIONS),
    pipelines: numbers("pipeline", [1, 16], MOST_AT_ONCE),
    requests: requests === undefined ? REQUESTS : wholeNumber("--requests", requests, MOST_REQUESTS),
    roundTrip: roundTrip === undefined ? 20_000 : parseRoundTrip(roundTrip),
  };
}

/** What the kernel's servers take, and what can be waited for. */
const MOST_CONNECTIONS = 200;
const MOST_AT_ONCE = 64;
const MOST_REQUESTS = 1e6;
/** Unless given: several rounds of all clients. */
const REQUESTS = 4000;

const unique = (values: readonly number[]): readonly number[] => [...new Set(values)];

function wholeNumber(option: string, word: string, most: number): number {
  const value = /^\d{1,9}$/.test(word) ? Number(word) : 0;
  if (value >= 1 && value <= most) return value;
  throw new UserError(`${option}: expected a whole number from 1 to ${most}, found "${word}"`);
}

const NANOSECONDS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6 };

function parseRoundTrip(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ns|us|ms)$/.exec(text);
  const nanoseconds = match ? Number(match[1]) * NANOSECONDS[match[2]!]! : Number.NaN;
  if (Number.isInteger(nanoseconds) && nanoseconds <= 1e8) return nanoseconds;
  throw new UserError(`--round-trip: expected a time up to 100ms such as 20us, found "${text}"`);
}

/** @throws UserError */
export function measureOptions(given: MeasureArguments): MeasureOptions {
  refuse(given, NEED_SERVERS, "with --servers");
  const { single, list, common } = readers(given);
  const image = single("image");
  if (image === undefined) refuse(given, NEEDS_IMAGE, "with --image FILE");
  else refuse(given, NOT_WITH_IMAGE, "without --image");
  const between = list("between");
  if (between !== undefined && between.length !== 2) {
    throw new UserError(`--between: expected two symbols, found ${between.length}: ${between.join(", ")}`);
  }
  const count = single("count");
  const maxInstructions = single("maxInstructions");
  return {
    ...common,
    payloads: list("payload")?.map((word) => parsePayload(word)),
    image,
    between: between as readonly [string, string] | undefined,
    count: count === undefined ? undefined : parseCount("--count", count),
    symbols: list("symbols"),
    initrd: single("initrd"),
    append: single("append"),
    maxInstructions:
      maxInstructions === undefined ? undefined : parseCount("--max-instructions", maxInstructions),
  };
}

function parsePayload(word: string): number {
  if (!/^\d{1,9}$/.test(word))
    throw new UserError(`--payload: expected bytes such as 1 or 4096, found "${word}"`);
  return Number(word);
}

export const measureCommand: CommandModule<object, MeasureArguments> = {
  command: "measure",
  describe: "Measure what system calls cost, by phases, and servers under load",
  builder,
  handler: async (given) => {
    const args = process.argv.slice(2);
    if (given.servers === true) {
      const options = serverMeasureOptions(given);
      const { runMeasureServers } = await import("./measure-servers.ts");
      process.exitCode = await runMeasureServers(options, args);
      return;
    }
    const options = measureOptions(given);
    const { runMeasure } = await import("./measure-run.ts");
    process.exitCode = await runMeasure(options, args);
  },
};
