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
      throw new UserError(`${usageError(error?.message ?? message ?? "")}: see ukl-emu --help`);
    })
    .parseAsync();
}

/** What yargs found wrong, in this program's words. */
function usageError(message: string): string {
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
