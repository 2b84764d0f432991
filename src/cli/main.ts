/** The command line: picks the command and turns errors into one line and an exit code. */
import yargs from "yargs";
import { bootCommand } from "./boot.ts";
import { buildCommand } from "./build.ts";
import { oneLine, UserError } from "./errors.ts";
import { ExitCode } from "./exit-codes.ts";
import { infoCommand } from "./info.ts";
import { measureCommand } from "./measure.ts";
import { modelsCommand } from "./models.ts";
import { traceCommand } from "./trace.ts";
import { packageVersion } from "./version.ts";

async function main(argv: readonly string[]): Promise<void> {
  await yargs([...argv])
    .scriptName("ukl-emu")
    .usage(
      "$0 COMMAND IMAGE [OPTIONS]\n\nA deterministic x86-64 machine that boots Linux and unikernel images.",
    )
    .command(bootCommand)
    .command(buildCommand)
    .command(infoCommand)
    .command(measureCommand)
    .command(modelsCommand)
    .command(traceCommand)
    .demandCommand(1, "expected a command")
    .strict()
    .version(packageVersion())
    .help()
    .detectLocale(false)
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      if (error !== undefined && error.name !== "YError") throw error;
      const [command = ""] = argv;
      const help = COMMANDS.includes(command) ? `ukl-emu ${command} --help` : "ukl-emu --help";
      throw new UserError(`${usageError(error?.message ?? message ?? "", argv)}: see ${help}`);
    })
    .parseAsync();
}

const COMMANDS = ["boot", "build", "info", "measure", "models", "trace"];

/** What people bring with them from QEMU, and what it is called here. */
const QEMU_OPTIONS: Readonly<Record<string, string>> = {
  append: "--append TEXT",
  cpu: "--cpu MODEL",
  drive: "--drive file=FILE",
  hda: "--drive file=FILE",
  initrd: "--initrd FILE",
  kernel: "the image by itself",
  m: "--memory SIZE",
  net: "--net",
  netdev: "--net",
  nic: "--net",
  serial: "--serial TARGET",
  smp: "--cpus N",
  snapshot: "--drive file=FILE,snapshot",
};

/** What yargs found wrong, in this program's words. */
function usageError(message: string, argv: readonly string[]): string {
  // yargs takes one dash for a row of letters, so its own message does not name the word.
  const isUnknown = /^(Unknown argument|Not enough non-option)/.test(message);
  for (const word of isUnknown ? argv : []) {
    const [, dashes, name = ""] = /^(--?)([a-z]+)$/.exec(word) ?? [];
    const own = Object.hasOwn(QEMU_OPTIONS, name) ? QEMU_OPTIONS[name]! : "";
    // With two dashes some of them are options here.
    if (own !== "" && !(dashes === "--" && own.startsWith(word))) {
      return `${word}: expected ${own}, found an option of QEMU's`;
    }
  }
  if (message.startsWith("Not enough non-option")) return "expected a file, found none";
  const option = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (option === undefined) return message;
  if (option.length === 1) return `-${option}: expected a value, found none`;
  return `--${option}: expected a value, found none (one that begins with a dash is given as --${option}=VALUE)`;
}

async function report(error: unknown): Promise<void> {
  const isUsers = error instanceof UserError;
  const text = isUsers
    ? oneLine(error.message)
    : `internal error: ${error instanceof Error ? error.stack : error}`;
  const { chalkStderr } = await import("chalk");
  process.stderr.write(`${chalkStderr.red("ukl-emu:")} ${text}\n`);
  process.exitCode = isUsers ? ExitCode.UNUSABLE : ExitCode.FAILURE;
}

await main(process.argv.slice(2)).catch(report);
// Standard input may still be open: it must not keep the process. Text that was printed must not be lost.
process.stdout.write("", () => process.exit());
