/**
 * The kernel is to be read in one sitting: without its applications and the parts that are compiled only when they are
 * asked for at most 6,000 lines of code. Each of those parts has a limit of its own.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const kernel = join(import.meta.dirname, "..", "..", "src", "ukl-kernel");
const NOT_KERNEL = new Set(["apps", "mechanisms"]);

/** Part, the directory or header that is its alone, and lines at most. */
const OPTIONAL = [["--smp", /^(?:smp\/|include\/smp\.h$)/, 600]] as const;

function sources(wanted: (path: string) => boolean = () => true): string[] {
  return readdirSync(kernel, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:c|h|S|ld)$/.test(path) && !NOT_KERNEL.has(path.split("/")[0]!) && wanted(path))
    .map((path) => readFileSync(join(kernel, path), "utf8"));
}

/** Lines that are neither blank nor only a comment. */
function codeLines(source: string): number {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""));
  return code.split("\n").filter((line) => line.trim() !== "").length;
}

test("the kernel has at most 6,000 lines of code", () => {
  const lines = sources((path) => !OPTIONAL.some(([, files]) => files.test(path))).reduce(
    (sum, source) => sum + codeLines(source),
    0,
  );
  expect(lines).toBeGreaterThan(4000);
  expect(lines).toBeLessThanOrEqual(6000);
});

test.each(OPTIONAL)("%s: its files have at most their lines of code", (_, files, most) => {
  const lines = sources((path) => files.test(path)).reduce((sum, source) => sum + codeLines(source), 0);
  expect(lines).toBeGreaterThan(most / 2);
  expect(lines).toBeLessThanOrEqual(most);
});

test("no file of the kernel is longer than 300 lines", () => {
  for (const source of sources()) expect(source.split("\n").length).toBeLessThanOrEqual(300);
});
