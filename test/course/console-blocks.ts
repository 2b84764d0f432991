/**
 * Console blocks of a Markdown text: fenced blocks with the info string `console`, in which a line `$ COMMAND`
 * (continued while lines end in a backslash) is followed by what the command prints. A line `...` stands for any
 * number of lines that are left out.
 */

export interface Step {
  readonly command: string;
  /** The block's lines that belong to the command, as they stand in the text. */
  readonly commandLines: readonly string[];
  readonly expected: readonly string[];
}

export interface ConsoleBlock {
  /** Words of the info string after `console`. */
  readonly words: readonly string[];
  /** Index of the first line between the fences. */
  readonly firstLine: number;
  /** Index of the closing fence. */
  readonly endLine: number;
  readonly steps: readonly Step[];
}

const OMITTED = "...";
const PROMPT = "$ ";

/** Throws for a block that does not begin with a command, or does not end. */
export function consoleBlocks(text: string): ConsoleBlock[] {
  const lines = text.split("\n");
  const blocks: ConsoleBlock[] = [];
  for (let index = 0; index < lines.length; index++) {
    const fence = /^```(\S+)?(.*)$/.exec(lines[index]!);
    if (fence === null) continue;
    const end = lines.indexOf("```", index + 1);
    if (end < 0) throw new Error(`line ${index + 1}: expected a closing fence, found none`);
    if (fence[1] === "console") {
      const words = fence[2]!.split(" ").filter((word) => word !== "");
      const firstLine = index + 1;
      blocks.push({
        words,
        firstLine,
        endLine: end,
        steps: parseSteps(lines.slice(firstLine, end), firstLine),
      });
    }
    index = end;
  }
  return blocks;
}

function parseSteps(lines: readonly string[], firstLine: number): Step[] {
  const steps: { command: string; commandLines: string[]; expected: string[] }[] = [];
  let continued = false;
  for (const [offset, line] of lines.entries()) {
    const step = steps.at(-1);
    if (continued) {
      step!.commandLines.push(line);
      step!.command += `\n${line}`;
    } else if (line.startsWith(PROMPT)) {
      steps.push({ command: line.slice(PROMPT.length), commandLines: [line], expected: [] });
    } else if (step === undefined) {
      throw new Error(`line ${firstLine + offset + 1}: expected "${PROMPT}COMMAND", found "${line}"`);
    } else {
      step.expected.push(line);
      continue;
    }
    continued = line.endsWith("\\");
  }
  return steps;
}

/** Runs of lines between omissions; `open` says whether lines may be left out before and after. */
function segments(expected: readonly string[]): {
  readonly runs: string[][];
  readonly openStart: boolean;
  readonly openEnd: boolean;
} {
  const runs: string[][] = [[]];
  for (const line of expected) {
    if (line === OMITTED) runs.push([]);
    else runs.at(-1)!.push(line);
  }
  return {
    runs: runs.filter((run) => run.length > 0),
    openStart: expected[0] === OMITTED,
    openEnd: expected.at(-1) === OMITTED,
  };
}

/** Where each run of expected lines lies in the output, or the first run that is not there. */
function place(
  expected: readonly string[],
  output: readonly string[],
  same: (expected: string, found: string) => boolean,
): { readonly places: readonly number[] } | { readonly missing: readonly string[]; readonly after: number } {
  const { runs, openStart, openEnd } = segments(expected);
  const places: number[] = [];
  let from = 0;
  for (const [index, run] of runs.entries()) {
    const isLast = index === runs.length - 1;
    const fits = (at: number): boolean =>
      run.every((line, i) => at + i < output.length && same(line, output[at + i]!));
    let at = from;
    if (index === 0 && !openStart) {
      // Where the output begins.
    } else if (isLast && !openEnd) {
      at = Math.max(from, output.length - run.length);
    } else {
      while (at < output.length && !fits(at)) at++;
    }
    if (!fits(at)) return { missing: run, after: from };
    places.push(at);
    from = at + run.length;
  }
  if (!openEnd && from !== output.length) return { missing: ["(the end)"], after: from };
  return { places };
}

/** Numbers and the widths of columns replaced, so that lines compare by their words. */
const masked = (line: string): string =>
  line
    .replace(/0x[0-9a-f]+|\b[0-9a-f]*[0-9][0-9a-f,.]*\b/g, "#")
    .replace(/(?<= )\.(?= |$)/g, "#") // a table's nothing
    .replace(/ +/g, " ")
    .trim();

/** Spaces at the end cannot be seen, and editors take them away. */
const exactly = (a: string, b: string): boolean => a.trimEnd() === b.trimEnd();
const byWords = (a: string, b: string): boolean => masked(a) === masked(b);

/**
 * What is wrong with an output, or null.
 * @param numbers whether numbers count too
 */
export function mismatch(
  expected: readonly string[],
  output: readonly string[],
  numbers: boolean,
): string | null {
  const result = place(expected, output, numbers ? exactly : byWords);
  if ("places" in result) return null;
  const found = output.slice(result.after, result.after + Math.max(10, result.missing.length + 3));
  return `expected\n  ${result.missing.join("\n  ")}\nfound, from line ${result.after + 1} of ${output.length},\n  ${found.join("\n  ")}`;
}

/**
 * The expected lines with the output's numbers, omissions kept; where the text has none yet, the whole output. Null
 * where the words differ.
 */
export function refreshed(expected: readonly string[], output: readonly string[]): string[] | null {
  if (expected.length === 0) return output.map((line) => line.trimEnd());
  const result = place(expected, output, byWords);
  if (!("places" in result)) return null;
  const lines: string[] = [];
  let run = -1;
  let inRun = false;
  let at = 0;
  for (const line of expected) {
    if (line === OMITTED) {
      inRun = false;
      lines.push(line);
      continue;
    }
    if (!inRun) {
      inRun = true;
      at = result.places[++run]!;
    }
    lines.push(output[at++]!.trimEnd());
  }
  return lines;
}
