/** Where the reports of `ukl-emu measure` go: standard output in one of three forms, and a page. */
import { accessSync, closeSync, constants, existsSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { systemErrorText, UserError } from "./errors.ts";
import { openOutputs } from "./files.ts";
import { FileOutput } from "./output.ts";

export interface ReportOptions {
  readonly format: "text" | "json" | "csv";
  /** File for a page with charts. */
  readonly html: string | undefined;
}

/** A kind of report: how it comes about, and its forms. */
export interface ReportForms<R> {
  measure(): R | Promise<R>;
  text(report: R): string | Promise<string>;
  csv(report: R): string;
  page(report: R): Promise<string>;
}

export const say = (text: string): void => {
  process.stderr.write(`ukl-emu: ${text}\n`);
};

/** A word of a shell command, quoted where it has to be. */
const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command that gives a report again. */
export const commandLine = (args: readonly string[]): string => ["ukl-emu", ...args.map(shellWord)].join(" ");

/** @throws UserError for a page that cannot be written; what `measure` throws */
export async function writeReport<R>({ format, html }: ReportOptions, forms: ReportForms<R>): Promise<void> {
  // A file that cannot be written is told before time is spent; one that is there is kept until the end.
  if (html !== undefined) checkWritable(html);
  const report = await forms.measure();
  const json = (): string => `${JSON.stringify(report, null, 2)}\n`;
  await print(format === "json" ? json() : await forms[format](report));
  if (html !== undefined) await writePage(html, await forms.page(report));
}

/** @throws UserError */
function checkWritable(path: string): void {
  try {
    if (existsSync(path)) closeSync(openSync(path, "r+"));
    else accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw new UserError(`${path}: expected a file to write to, found ${systemErrorText(error)}`);
  }
}

async function writePage(path: string, text: string): Promise<void> {
  const output = new FileOutput(path, openOutputs([path])[0]!);
  for (const byte of Buffer.from(text)) output.byte(byte);
  await output.end();
  say(`${path}: written`);
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => {
    // A reader that has gone wants no more.
    process.stdout.on("error", () => resolve());
    process.stdout.write(text, () => resolve());
  });
}
