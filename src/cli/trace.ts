/** `ukl-emu trace IMAGE`: the command's options. What it does is in `trace-session.ts`. */
import type { Argv, CommandModule } from "yargs";
import { UserError } from "./errors.ts";
import { parseCount, parseDuration, parseRegex, parseSeed, parseSize } from "./options.ts";
import type { TraceOptions } from "./trace-session.ts";

/** As yargs gives them: every value is text, and a list when the option was given more than once. */
interface TraceArguments {
  readonly image: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory?: string;
  readonly cpu?: string;
  readonly timing?: string;
  readonly seed?: string;
  readonly timeout?: string;
  readonly maxInstructions?: string;
  readonly expect?: string;
  readonly symbols?: string | readonly string[];
  readonly output?: string;
  readonly perfetto?: string;
  readonly summary?: boolean;
  readonly json?: boolean;
  readonly console?: boolean;
}

/** Options with a value that make sense once. */
const SINGLE = [
  ...["initrd", "append", "memory", "cpu", "timing", "seed", "timeout", "max-instructions", "expect"],
  ...["output", "perfetto"],
] as const;

function builder(yargs: Argv): Argv<TraceArguments> {
  return yargs
    .positional("image", {
      type: "string",
      describe: "kernel: bzImage, ELF, PVH or multiboot",
      demandOption: true,
    })
    .options({
      symbols: {
        type: "string",
        describe:
          "names of addresses: ELF file or System.map; may be given again. The image's own are used too",
      },
      summary: { type: "boolean", describe: "counts and times by ring, cause and system call, at the end" },
      json: { type: "boolean", describe: "one JSON object a line, or with --summary one in all" },
      output: { type: "string", describe: "file for the transitions, in place of standard output" },
      perfetto: { type: "string", describe: "file in the Chrome trace format, for ui.perfetto.dev" },
      console: {
        type: "boolean",
        describe: "the guest's console to standard error as it is, not as lines of the trace",
      },
      timing: { type: "string", describe: "timing model, as ukl-emu models lists them; adds cycles" },
      initrd: { type: "string", describe: "initial RAM disk, or first multiboot module" },
      append: { type: "string", describe: "kernel command line" },
      memory: { type: "string", describe: "guest RAM, e.g. 512M (the default) or 1G" },
      cpu: { type: "string", describe: "processor model, e.g. x86-64-v2,-smap or --cpu=-smep" },
      timeout: { type: "string", describe: "stop after this wall time, e.g. 60s: exit code 124" },
      "max-instructions": {
        type: "string",
        describe: "stop after this many instructions, e.g. 2G: exit code 124",
      },
      expect: { type: "string", describe: "stop with exit code 0 when a console line matches this regex" },
      seed: { type: "string", describe: "seed of RDRAND and RDSEED" },
    })
    .example("$0 trace image.bin", "every ring transition and system call, one line each")
    .example("$0 trace image.bin --summary --timing skylake", "where the time went")
    .example("$0 trace image.bin --perfetto trace.json", "a file to look at in ui.perfetto.dev")
    .example(
      "$0 trace vmlinuz --symbols System.map --summary --expect login:",
      "a Linux kernel, until it asks who you are",
    )
    .example(
      "$0 trace image.bin --json | jq 'select(.enters.name == \"write\")'",
      "one kind of system call, for scripts",
    ) as Argv<TraceArguments>;
}

/** @throws UserError */
export function traceOptions(given: TraceArguments): TraceOptions {
  const values = given as unknown as Readonly<Record<string, unknown>>;
  for (const name of SINGLE) {
    const value = values[name];
    if (Array.isArray(value)) {
      throw new UserError(`--${name}: expected one value, found ${value.map((v) => `"${v}"`).join(" and ")}`);
    }
  }
  const parse = <T>(name: string, parser: (option: string, text: string) => T): T | undefined => {
    const text = values[name] as string | undefined;
    return text === undefined ? undefined : parser(`--${name}`, text);
  };
  const file = (option: string, text: string): string => {
    if (text === "") throw new UserError(`${option}: expected a file name, found nothing`);
    return text;
  };
  const { symbols = [] } = given;
  return {
    image: given.image,
    initrd: given.initrd,
    append: given.append ?? "",
    memory: parse("memory", parseSize),
    cpu: given.cpu,
    timing: given.timing,
    seed: parse("seed", parseSeed),
    timeout: parse("timeout", parseDuration),
    maxInstructions: parse("max-instructions", parseCount),
    expect: parse("expect", parseRegex),
    symbols: typeof symbols === "string" ? [symbols] : symbols,
    output: parse("output", file),
    perfetto: parse("perfetto", file),
    summary: given.summary === true,
    json: given.json === true,
    console: given.console === true,
  };
}

export const traceCommand: CommandModule<object, TraceArguments> = {
  command: "trace <image>",
  describe: "Show every ring transition and every system call",
  builder,
  handler: async (given) => {
    const options = traceOptions(given);
    const { runTrace } = await import("./trace-session.ts");
    process.exitCode = await runTrace(options);
  },
};
