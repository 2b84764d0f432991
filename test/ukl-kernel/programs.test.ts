/**
 * Programs that check system calls and print the same lines on Linux: built for this machine and for each link mode,
 * run on both, and compared line by line. What the kernel itself says is left out of the comparison.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildImage, type KernelOptions } from "../../src/build/index.ts";
import { applicationLines, hostLines } from "./host-lines.ts";
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

const linesOf = hostLines(work);
const onTheHost = (name: string): readonly string[] => linesOf(sourceOf(name));

async function imageOf(name: string, options: KernelOptions): Promise<Uint8Array> {
  /* The C library has fallbacks for kernels older than utimensat. */
  return (await buildImage({ ...options, inputs: [sourceOf(name)], allowMissingCalls: true })).image;
}

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
    expect(applicationLines(run.console)).toEqual(onTheHost(name));
    expect(run.stop).toEqual({ kind: "power-off" });
  });
});

describe.skipIf(!hasTools || !hasQemu)("under QEMU (needs gcc and qemu-system-x86_64)", () => {
  test.each(["preemption", "processes", "threads", "signals"])(
    "%s too",
    { timeout: 60_000 },
    async (name) => {
      const { console, status } = runQemu(await imageOf(name, { link: "kml" }));
      expect(applicationLines(console)).toEqual(onTheHost(name));
      expect(status).toBe(0);
    },
  );
});
