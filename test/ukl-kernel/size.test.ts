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
    /^(?:net\/|fs\/(?:socket|epoll|eventfd)|drivers\/virtio-net\.c$|include\/(?:network|abi-sockets)\.h$)/,
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

/** What is left for the compiler where no part is asked for. */
function withoutParts(source: string): string {
  /** Of each open condition: whether its lines are compiled. What is not about parts counts as compiled. */
  const open: { readonly isPart: boolean; compiled: boolean }[] = [];
  return source
    .split("\n")
    .filter((line) => {
      const isCompiled = open.every(({ compiled }) => compiled);
      const [, directive, condition = ""] = /^#\s*(if|ifdef|ifndef|else|endif)\b\s*(\w*)/.exec(line) ?? [];
      if (directive === undefined) return isCompiled;
      const last = open.at(-1);
      if (directive.startsWith("if")) {
        const isPart = directive === "if" && /^CONFIG_(?:DISK|NET|PCI|SMP)$/.test(condition);
        open.push({ isPart, compiled: !isPart });
        return isCompiled && !isPart;
      }
      if (directive === "endif") open.pop();
      else if (last?.isPart) last.compiled = !last.compiled;
      return isCompiled && last?.isPart === false;
    })
    .join("\n");
}

const sum = (files: readonly string[]): number =>
  files.reduce((lines, source) => lines + codeLines(source), 0);

test("the kernel has at most 6,000 lines of code", () => {
  const files = sources((path) => !PARTS.some(([, pattern]) => pattern.test(path)));
  const lines = sum(files.map(withoutParts));
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
