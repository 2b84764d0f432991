/**
 * The course's commands print what docs/course says they print.
 *
 * Blocks of a text run in order, in a directory of their own that has the course's sources. After a change of the
 * kernel, the numbers in the texts are brought up to date, with what they leave out kept left out, by
 *
 *     UPDATE_COURSE=1 npx vitest run test/course
 *
 * It cannot help where words have changed: such a block fails, and its output has to be written by hand (an empty one is
 * filled in).
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { toolchain as committedToolchain } from "../../images/build-images.ts";
import { findToolchain } from "../../src/build/toolchain.ts";
import { type ConsoleBlock, consoleBlocks, mismatch, refreshed } from "./console-blocks.ts";

const root = join(import.meta.dirname, "..", "..");
const course = join(root, "docs", "course");
const update = process.env["UPDATE_COURSE"] !== undefined;
/** Longest time of a block, ms. */
const TIMEOUT = 240_000;

/** The compiler's version, or why images cannot be built here. */
const compiler = await findToolchain().then(
  ({ version }) => ({ version, missing: null }),
  (error: Error) => ({ version: null, missing: error.message }),
);

const work = mkdtempSync(join(tmpdir(), "ukl-emu-course-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** `npx ukl-emu` is this source tree's. */
const commands = join(work, "bin");
mkdirSync(commands);
writeFileSync(
  join(commands, "npx"),
  `#!/bin/sh\n[ "$1" = ukl-emu ] || exit 127\nshift\nexec "${process.execPath}" "${join(root, "src", "cli", "main.ts")}" "$@"\n`,
);
chmodSync(join(commands, "npx"), 0o755);

/** A copy of the course's directory, with the repository around it. */
function student(name: string): string {
  const home = join(work, name);
  const directory = join(home, "docs", "course");
  mkdirSync(directory, { recursive: true });
  for (const file of readdirSync(course)) {
    if (!file.endsWith(".bin")) cpSync(join(course, file), join(directory, file), { recursive: true });
  }
  for (const part of ["src", "images"]) symlinkSync(join(root, part), join(home, part));
  return directory;
}

const SEPARATOR = "----- end of a command -----";

/** What each command of a block prints, standard error included. */
function run(block: ConsoleBlock, directory: string): string[][] {
  const script = block.steps
    .map(({ command }) => `${command}\ncourse_status=$?; echo '${SEPARATOR}'; (exit $course_status)\n`)
    .join("");
  const { stdout, error } = spawnSync("bash", ["-c", `exec 2>&1\n${script}`], {
    cwd: directory,
    env: { ...process.env, PATH: `${commands}:${process.env["PATH"]}`, LC_ALL: "C.UTF-8" },
    encoding: "utf8",
    input: "",
    timeout: TIMEOUT - 1000,
    maxBuffer: 1 << 28,
  });
  if (error !== undefined) throw error;
  const outputs = stdout.split(`${SEPARATOR}\n`);
  expect(outputs.length, `commands that ran to their end in:\n${stdout}`).toBe(block.steps.length + 1);
  return outputs
    .slice(0, -1)
    .map((output) => output.split("\n").slice(0, output.endsWith("\n") ? -1 : undefined));
}

/** Writes the outputs of a block into the text. */
function rewrite(path: string, index: number, outputs: readonly (readonly string[])[]): void {
  const text = readFileSync(path, "utf8");
  const block = consoleBlocks(text)[index]!;
  const lines = text.split("\n");
  const fresh = block.steps.flatMap(({ commandLines, expected }, step) => [
    ...commandLines,
    ...(refreshed(expected, outputs[step]!) ?? expected),
  ]);
  lines.splice(block.firstLine, block.endLine - block.firstLine, ...fresh);
  writeFileSync(path, lines.join("\n"));
}

const texts = readdirSync(course).filter((name) => name.endsWith(".md"));

describe.each(texts)("docs/course/%s", (name) => {
  const path = join(course, name);
  const blocks = consoleBlocks(readFileSync(path, "utf8"));
  const directory = student(name);

  blocks.forEach((block, index) => {
    const needsCompiler = block.words.includes("gcc");
    const title = `line ${block.firstLine + 1}: ${block.steps.map(({ command }) => command.split("\n")[0]).join("; ")}`;
    it(title, { timeout: TIMEOUT }, (context) => {
      if (needsCompiler && compiler.missing !== null) return context.skip(compiler.missing);
      const outputs = run(block, directory);
      if (update) rewrite(path, index, outputs);
      const { steps } = consoleBlocks(readFileSync(path, "utf8"))[index]!;
      // Another compiler makes other code: the same words, other counts.
      const numbers = !needsCompiler || compiler.version === committedToolchain;
      for (const [step, { command, expected }] of steps.entries()) {
        expect(mismatch(expected, outputs[step]!, numbers), `$ ${command}`).toBeNull();
      }
    });
  });

  it("marks with `console gcc` what builds images", () => {
    const unmarked = blocks
      .filter(
        ({ words, steps }) =>
          !words.includes("gcc") && steps.some(({ command }) => /\bbuild\b/.test(command)),
      )
      .map(({ firstLine }) => `line ${firstLine + 1}`);
    expect(unmarked).toEqual([]);
  });
});

describe("console blocks", () => {
  const lines = ["first 10", "second 20", "third 30", "last 40"];

  it("`...` stands for any number of lines, and for nothing else", () => {
    expect(mismatch(["first 10", "...", "last 40"], lines, true)).toBeNull();
    expect(mismatch(["...", "third 30", "..."], lines, true)).toBeNull();
    expect(mismatch(["first 10", "..."], lines, true)).toBeNull();
    expect(mismatch(["first 10", "second 20"], lines, true)).toContain("(the end)");
    expect(mismatch(["second 20", "..."], lines, true)).toContain("second 20");
    expect(mismatch(["...", "third 30", "...", "second 20", "..."], lines, true)).toContain("second 20");
    expect(mismatch([], lines, true)).not.toBeNull();
    expect(mismatch(["first 11", "..."], lines, true)).not.toBeNull();
    expect(mismatch(["first 11", "..."], lines, false)).toBeNull();
  });

  it("updates keep omissions, and take numbers but no words", () => {
    expect(refreshed(["first 1", "...", "third 3", "..."], lines)).toEqual([
      "first 10",
      "...",
      "third 30",
      "...",
    ]);
    expect(refreshed(["first 1", "...", "fourth 3", "..."], lines)).toBeNull();
    expect(refreshed([], lines)).toEqual(lines);
  });

  it("a command may go on over lines", () => {
    const [block] = consoleBlocks("text\n```console gcc\n$ one \\\n    more\nout\n$ two\n```\n");
    expect(block!.words).toEqual(["gcc"]);
    expect(block!.steps.map(({ command, expected }) => [command, expected])).toEqual([
      ["one \\\n    more", ["out"]],
      ["two", []],
    ]);
  });
});
