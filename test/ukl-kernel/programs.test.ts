/**
 * Programs that check system calls and print the same lines on Linux: built for this machine and for each link mode,
 * run on both, and compared line by line. What the kernel itself says is left out of the comparison.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildImage, type KernelOptions } from "../../src/build/index.ts";
import { hasQemu, hasTools, runHere, runQemu } from "./run-image.ts";

const directory = join(import.meta.dirname, "programs");
const work = mkdtempSync(join(tmpdir(), "ukl-emu-programs-"));
afterAll(() => rmSync(work, { recursive: true }));

const sourceOf = (name: string): string => join(directory, `${name}.c`);
const programs = readdirSync(directory)
  .filter((name) => name.endsWith(".c"))
  .map((name) => name.slice(0, -2));
/** The linked application cannot fork. */
const forkless = programs.filter(
  (name) => !/\b(v?fork|system|clone)\(/.test(readFileSync(sourceOf(name), "utf8")),
);

const hostLines = new Map<string, readonly string[]>();

/** What the program prints on the kernel that runs this test; it ends with status 0 there. */
function onTheHost(name: string): readonly string[] {
  const known = hostLines.get(name);
  if (known !== undefined) return known;
  const program = join(work, name);
  execFileSync("musl-gcc", ["-static", "-O2", "-pthread", "-o", program, sourceOf(name)], { stdio: "pipe" });
  const run = spawnSync(program, { encoding: "latin1", cwd: work, timeout: 20_000 });
  const lines = run.stdout.split("\n");
  if (run.status !== 0) {
    const wrong = lines.filter((line) => line.startsWith("WRONG"));
    throw new Error(`${name} fails on this host: ${[run.signal ?? run.status, ...wrong].join("\n")}`);
  }
  hostLines.set(name, lines);
  return lines;
}

async function imageOf(name: string, options: KernelOptions): Promise<Uint8Array> {
  /* The C library has fallbacks for kernels older than utimensat. */
  return (await buildImage({ ...options, inputs: [sourceOf(name)], allowMissingCalls: true })).image;
}

/** The application's lines. A program that is killed on purpose at ring 0 is worth a line to the kernel. */
const application = (console: string): readonly string[] =>
  console.split("\n").filter((line) => !line.startsWith("ukl-kernel: "));

/** All programs in the modes that differ most, those about threads and signals in the others. */
const everywhere: readonly (readonly [string, KernelOptions, readonly string[]])[] = [
  ["ring3", { link: "ring3" }, programs],
  ["kml", { link: "kml" }, programs],
  ["ukl", { link: "ukl" }, forkless],
  ["ring3 --kpti --pcid", { link: "ring3", kpti: true, pcid: true }, ["preemption", "processes", "signals"]],
  [
    "zpoline",
    { link: "zpoline" },
    [
      "child-ends",
      "file-content",
      "pipe-alone",
      "preemption",
      "processes",
      "programs",
      "signals",
      "socket-pair",
      "threads",
    ],
  ],
  ["ukl --stack-switch off", { link: "ukl", stackSwitch: false }, ["preemption", "signals", "threads"]],
  [
    "ukl --fault-stack df --return ret",
    { link: "ukl", faultStack: "df", return: "ret" },
    ["futex", "preemption", "threads"],
  ],
  [
    "ukl-byp",
    { link: "ukl-byp" },
    ["clocks", "file-content", "file-names", "poll-select", "signals", "threads"],
  ],
  ["shortcut", { link: "shortcut" }, ["poll-select", "preemption", "signals", "threads"]],
];

describe.skipIf(!hasTools).each(everywhere)("%s (needs gcc and musl-dev)", (_, options, names) => {
  test.each(names)("%s prints what it prints on Linux", { timeout: 60_000 }, async (name) => {
    const run = runHere(await imageOf(name, options), { maxInstructions: 3_000_000_000 });
    expect(application(run.console)).toEqual(onTheHost(name));
    expect(run.stop).toEqual({ kind: "power-off" });
  });
});

describe.skipIf(!hasTools || !hasQemu)("under QEMU (needs gcc and qemu-system-x86_64)", () => {
  test.each(["preemption", "processes", "threads", "signals"])(
    "%s too",
    { timeout: 60_000 },
    async (name) => {
      const { console, status } = runQemu(await imageOf(name, { link: "kml" }));
      expect(application(console)).toEqual(onTheHost(name));
      expect(status).toBe(0);
    },
  );
});
