/** `ukl-emu trace IMAGE`: the command's options. What it does is in `trace-session.ts`. */
import type { Argv, CommandModule } from "yargs";
import { parseFile } from "./options.ts";
import { IMAGE_ARGUMENT, OptionValues, RUN_OPTIONS, type RunArguments, runOptions } from "./run-options.ts";
import type { TraceOptions } from "./trace-session.ts";

/** As yargs gives them: every value is text, and a list when the option was given more than once. */
interface TraceArguments extends RunArguments {
  readonly symbols?: string | readonly string[];
  readonly output?: string;
  readonly perfetto?: string;
  readonly summary?: boolean;
  readonly json?: boolean;
  readonly console?: boolean;
}

function builder(yargs: Argv): Argv<TraceArguments> {
  return yargs
    .positional("image", IMAGE_ARGUMENT)
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
      ...RUN_OPTIONS,
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
  const values = new OptionValues(given, ["output", "perfetto"]);
  const { symbols = [] } = given;
  return {
    ...runOptions(given),
    symbols: typeof symbols === "string" ? [symbols] : symbols,
    output: values.parse("output", parseFile),
    perfetto: values.parse("perfetto", parseFile),
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
