/**
 * The kernel is to be read in one sitting: without its applications, and the parts that are compiled only when they are
 * asked for, at most 6,000 lines of code. Those parts have limits of their own.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const kernel = join(import.meta.dirname, "..", "..", "src", "ukl-kernel");
const NOT_KERNEL = new Set(["apps", "mechanisms"]);

/** Files of a part, and its most lines of code. */
const PARTS: readonly (readonly [string, RegExp, number])[] = [
  ["drivers", /^(?:drivers\/(?!virtio-net)|include\/(?:pci|virtio)\.h$)/, 500],
  [
    "network: driver, TCP/IP, sockets, epoll",
    /^(?:net\/|fs\/(?:socket|epoll|eventfd)|drivers\/virtio-net\.c$|include\/network\.h$)/,
    3200,
  ],
  ["ext2, its cache and mounting", /^(?:fs\/(?:ext2|block-cache|mount)|include\/disk\.h$)/, 1750],
  ["several processors", /^(?:smp\/|include\/smp\.h$)/, 600],
];

function sources(wanted: (path: string) => boolean): string[] {
  return readdirSync(kernel, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:c|h|S|ld)$/.test(path) && !NOT_KERNEL.has(path.split("/")[0]!))
    .filter(wanted)
    .map((path) => readFileSync(join(kernel, path), "utf8"));
}

/** Lines that are neither blank nor only a comment. */
function codeLines(source: string): number {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""));
  return code.split("\n").filter((line) => line.trim() !== "").length;
}

const sum = (files: readonly string[]): number =>
  files.reduce((lines, source) => lines + codeLines(source), 0);

test("the kernel has at most 6,000 lines of code", () => {
  const lines = sum(sources((path) => !PARTS.some(([, pattern]) => pattern.test(path))));
  expect(lines).toBeGreaterThan(4000);
  expect(lines).toBeLessThanOrEqual(6000);
});

test.each(PARTS)("%s: no more than its limit", (_, pattern, most) => {
  const lines = sum(sources((path) => pattern.test(path)));
  expect(lines).toBeGreaterThan(most / 2);
  expect(lines).toBeLessThanOrEqual(most);
});

test("no file of the kernel is longer than 300 lines", () => {
  for (const source of sources(() => true)) expect(source.split("\n").length).toBeLessThanOrEqual(300);
});
