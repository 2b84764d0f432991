/** Programs that print the same lines on Linux as on the project's kernel: their lines on the kernel that runs the tests. */
import { execFileSync, spawnSync } from "node:child_process";
import { basename, join } from "node:path";

/**
 * Builds programs in a directory and runs each there once.
 * @returns gives the lines of the program with this source. It throws what is wrong if the program fails on this host.
 */
export function hostLines(directory: string): (source: string) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return (source) => {
    const before = known.get(source);
    if (before !== undefined) return before;
    const program = join(directory, basename(source, ".c"));
    execFileSync("musl-gcc", ["-static", "-O2", "-pthread", "-o", program, source], { stdio: "pipe" });
    const run = spawnSync(program, { encoding: "latin1", cwd: directory, timeout: 60_000 });
    const lines = run.stdout.split("\n");
    if (run.status !== 0) {
      const wrong = lines.filter((line) => line.startsWith("WRONG"));
      throw new Error(`${source} fails on this host: ${[run.signal ?? run.status, ...wrong].join("\n")}`);
    }
    known.set(source, lines);
    return lines;
  };
}

/** The application's lines of a console: what the kernel says is its own. */
export const applicationLines = (console: string): readonly string[] =>
  console.split("\n").filter((line) => !line.startsWith("ukl-kernel: "));
