/** `ukl-emu boot IMAGE`: the command's options. What it does is in `session.ts`. */
import type { Argv, CommandModule } from "yargs";
import { parseSerial, parseTraces } from "./options.ts";
import { IMAGE_ARGUMENT, OptionValues, RUN_OPTIONS, type RunArguments, runOptions } from "./run-options.ts";
import type { SessionOptions } from "./session.ts";

/** As yargs gives them: every value is text, and a list when the option was given more than once. */
interface BootArguments extends RunArguments {
  readonly serial?: string;
  readonly trace?: string | readonly string[];
  readonly stats?: boolean;
  readonly json?: boolean;
}

function builder(yargs: Argv): Argv<BootArguments> {
  return yargs
    .positional("image", IMAGE_ARGUMENT)
    .options({
      ...RUN_OPTIONS,
      serial: { type: "string", describe: "console: stdio (the default), file:FILE or none" },
      trace: { type: "string", describe: "kinds of int,mmu,io,insn, and :FILE if not to standard error" },
      stats: { type: "boolean", describe: "counters on standard error at the end" },
      json: {
        type: "boolean",
        describe: "result as JSON on standard output; the console moves to standard error",
      },
    })
    .example("$0 boot images/hello.bin", "run the image that comes with the package")
    .example('$0 boot vmlinuz --initrd initrd.gz --append "console=ttyS0"', "boot Linux to a shell")
    .example("$0 boot vmlinuz --drive file=root.img,snapshot", "a disk that is as it was afterwards")
    .example("$0 boot vmlinuz --drive file=a.qcow2 --overlay b.qcow2", "what is written goes to another file")
    .example("$0 boot vmlinuz --net user,hostfwd=tcp::8080-:80", "localhost:8080 is the guest's port 80")
    .example("$0 boot vmlinuz --net stream:/tmp/passt.sock", "a network by passt -f -s /tmp/passt.sock")
    .example("$0 boot vmlinuz --net user --record run.rec", "note what enters; --replay run.rec repeats it")
    .example("$0 boot vmlinuz --expect 'login:' --timeout 60s", "wait for a prompt, for scripts")
    .example("$0 boot kernel.elf --trace int,io:trace.txt", "write a trace to a file") as Argv<BootArguments>;
}

/** @throws UserError */
export function sessionOptions(given: BootArguments): SessionOptions {
  const values = new OptionValues(given, ["serial"]);
  const { trace = [] } = given;
  return {
    ...runOptions(given),
    serial: values.parse("serial", parseSerial) ?? "stdio",
    traces: parseTraces("--trace", typeof trace === "string" ? [trace] : trace),
    stats: given.stats === true,
    json: given.json === true,
  };
}

export const bootCommand: CommandModule<object, BootArguments> = {
  command: "boot <image>",
  describe: "Boot a kernel image",
  builder,
  handler: async (given) => {
    const options = sessionOptions(given);
    const { runSession } = await import("./session.ts");
    process.exitCode = await runSession(options);
  },
};
