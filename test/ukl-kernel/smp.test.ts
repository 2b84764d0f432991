/**
 * The kernel on several processors (--smp): the programs of programs.test.ts and two more that are hard on it print
 * what they print on Linux, however the turns of the processors fall; panics stop all of them; what several are worth.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildImage, type KernelOptions } from "../../src/build/index.ts";
import { Machine } from "../../src/machine/machine.ts";
import { applicationLines, hostLines } from "./host-lines.ts";
import { build, hasQemu, hasTools, runHere, runQemu } from "./run-image.ts";

const work = mkdtempSync(join(tmpdir(), "ukl-emu-smp-"));
afterAll(() => rmSync(work, { recursive: true }));

const STRESS = ["stress-threads", "stress-fork"];
/** Programs of the directory smp/; the others are in programs/. */
const OWN = [...STRESS, "affinity"];
const sourceOf = (name: string): string =>
  join(import.meta.dirname, OWN.includes(name) ? "smp" : "programs", `${name}.c`);

const linesOf = hostLines(work);
const onTheHost = (name: string): readonly string[] => linesOf(sourceOf(name));

const images = new Map<string, Promise<Uint8Array>>();
function imageOf(name: string, options: KernelOptions): Promise<Uint8Array> {
  const key = JSON.stringify([name, options]);
  const image =
    images.get(key) ??
    buildImage({ ...options, smp: true, inputs: [sourceOf(name)], allowMissingCalls: true }).then(
      (result) => result.image,
    );
  images.set(key, image);
  return image;
}

const count = (cpus: number): string => `ukl-kernel: ${cpus} processor${cpus === 1 ? "" : "s"}\n`;

const everywhere: readonly (readonly [string, KernelOptions, number, readonly string[]])[] = [
  [
    "ring3",
    { link: "ring3" },
    4,
    [
      "child-ends",
      "clocks",
      "futex",
      "pipe-fork",
      "poll-select",
      "preemption",
      "processes",
      "programs",
    ].concat(["signals", "socket-pair", "threads", ...OWN]),
  ],
  ["ring3", { link: "ring3" }, 1, ["processes", "threads"]],
  ["ring3", { link: "ring3" }, 2, ["pipe-fork", "signals", ...STRESS]],
  ["ring3 --kpti --pcid", { link: "ring3", kpti: true, pcid: true }, 4, ["processes", ...STRESS]],
  ["ring3 --kpti", { link: "ring3", kpti: true }, 4, ["signals", "stress-threads"]],
  ["kml", { link: "kml" }, 4, ["futex", "pipe-fork", "preemption", "processes", "signals", ...STRESS]],
  ["zpoline", { link: "zpoline" }, 4, ["processes", "signals", "stress-threads"]],
  ["ukl", { link: "ukl" }, 1, ["threads"]],
  ["ukl", { link: "ukl" }, 2, ["futex", "threads", "stress-threads"]],
  ["ukl", { link: "ukl" }, 4, ["futex", "poll-select", "preemption", "signals", "threads", "stress-threads"]],
  ["ukl --stack-switch off", { link: "ukl", stackSwitch: false }, 4, ["signals", "stress-threads"]],
  [
    "ukl --fault-stack df --return ret",
    { link: "ukl", faultStack: "df", return: "ret" },
    4,
    ["preemption", "stress-threads"],
  ],
  ["ukl-byp", { link: "ukl-byp" }, 4, ["affinity", "poll-select", "signals", "threads", "stress-threads"]],
  ["shortcut", { link: "shortcut" }, 4, ["poll-select", "signals", "threads", "stress-threads"]],
];

describe.skipIf(!hasTools).each(everywhere)("%s, %# (needs gcc and musl-dev)", (_, options, cpus, names) => {
  test.each(names)(
    `%s on ${cpus} processors prints what it prints on Linux`,
    { timeout: 120_000 },
    async (name) => {
      const run = runHere(await imageOf(name, options), { cpus, maxInstructions: 5_000_000_000 });
      expect(applicationLines(run.console)).toEqual(onTheHost(name));
      expect(run.console).toContain(count(cpus));
      expect(run.stop).toEqual({ kind: "power-off" });
    },
  );
});

describe.skipIf(!hasTools)("turns of other lengths (needs gcc and musl-dev)", () => {
  test.each([
    ["stress-threads", "ring3", 1000, 3],
    ["stress-threads", "ukl", 3700, 4],
    ["stress-threads", "ukl-byp", 1300, 3],
    ["stress-fork", "ring3", 1900, 4],
    ["stress-fork", "kml", 100_000, 4],
    ["stress-threads", "kml", 1_000_000, 4],
  ] as const)(
    "%s, %s, turns of %i ns on %i processors",
    { timeout: 120_000 },
    async (name, link, quantum, cpus) => {
      const run = runHere(await imageOf(name, { link }), { cpus, quantum, maxInstructions: 5_000_000_000 });
      expect(applicationLines(run.console)).toEqual(onTheHost(name));
      expect(run.stop).toEqual({ kind: "power-off" });
    },
  );

  test("two runs have the same console and, on each processor, the same number of instructions", async () => {
    const image = await imageOf("threads", { link: "ring3" });
    const once = () => {
      let console = "";
      const machine = new Machine({
        memory: 64 << 20,
        cpus: 4,
        onConsole: (byte) => {
          console += String.fromCharCode(byte);
        },
      });
      machine.load({ image, commandLine: "" });
      machine.runSync({ maxInstructions: 3_000_000_000 });
      return { console, instructions: [...machine.instructionsOf] };
    };
    const first = once();
    expect(first.instructions).toHaveLength(4);
    for (const instructions of first.instructions) expect(instructions).toBeGreaterThan(100_000);
    expect(once()).toEqual(first);
  });
});

describe.skipIf(!hasTools)("what several processors are worth (needs gcc and musl-dev)", () => {
  test.each(["ring3", "ukl"] as const)("%s: four threads on four compute 3.8 times as fast", async (link) => {
    const image = await build("parallel", { link, smp: true });
    const gain = (cpus: number): number =>
      Number(/([\d.]+) times as fast/.exec(runHere(image, { cpus, commandLine: "-- 4" }).console)?.[1]);
    expect(gain(4)).toBeGreaterThan(3.8);
    expect(gain(4)).toBeLessThanOrEqual(4);
    expect(gain(1)).toBeCloseTo(1, 1);
  });

  test("programs are told how many there are, up to 16", async () => {
    const image = await build("parallel", { link: "ring3", smp: true });
    for (const cpus of [1, 3, 16]) {
      const { console } = runHere(image, { cpus });
      expect(console).toContain(count(cpus));
      expect(console).toContain(`\n${cpus} thread${cpus === 1 ? "" : "s"}: `);
    }
  });

  test("an image without --smp runs on the boot processor alone", async () => {
    const run = runHere(await build("parallel", { link: "ring3" }), { cpus: 4, commandLine: "-- 4" });
    expect(run.console).toMatch(/(0\.9|1\.0)\d times as fast/);
    expect(run.console).not.toContain("processors");
  });
});

describe.skipIf(!hasTools)("a crash at ring 0 with four processors (needs gcc)", () => {
  test.each(["ukl", "kml", "zpoline", "ukl-byp"] as const)("%s: one panic, and the end", async (link) => {
    const image = await build("crash", { link, smp: true });
    for (const [way, symbol] of [
      ["wild-write", "write_wild"],
      ["divide", "divide_by_zero"],
      ["recursion", "recurse"],
      ["invalid-opcode", "invalid_opcode"],
    ]) {
      const run = runHere(image, { cpus: 4, commandLine: `-- ${way}` });
      expect(run.console.match(/panic: /g)).toHaveLength(1);
      expect(run.console).toMatch(new RegExp(`\\b${symbol}\\+0x[0-9a-f]+`));
      expect(run.stop).toEqual({ kind: "debug-exit", status: 255 });
    }
  });
});

describe.skipIf(!hasTools)("a crash on another processor, while all compute (needs gcc)", () => {
  test.each(["ukl", "kml"] as const)("%s: one panic, and the end", async (link) => {
    const run = runHere(await imageOf("affinity", { link }), { cpus: 4, commandLine: "-- crash" });
    expect(run.console).toContain("crash on processor 3\n");
    expect(run.console.match(/panic: /g)).toHaveLength(1);
    expect(run.console).toMatch(/panic: #PF: page fault: write of address 00005555deadbeef at crash\+/);
    expect(run.stop).toEqual({ kind: "debug-exit", status: 255 });
  });
});

const busybox = "/bin/busybox";
describe.skipIf(!hasTools || !existsSync(busybox))("busybox sh (needs gcc, musl-dev, busybox-static)", () => {
  const script = join(import.meta.dirname, "shell-script.sh");
  const extraFiles = [
    { host: busybox, guest: "/bin/busybox" },
    { host: script, guest: "/script" },
  ];

  test("the script prints on four processors what it prints on the host", { timeout: 120_000 }, async () => {
    const { stdout } = spawnSync("/bin/sh", ["-c", 'exec "$0" sh "$1" 2>&1', busybox, script], {
      encoding: "latin1",
      env: { PATH: "/nowhere", HOME: "/", TERM: "vt100", PS1: "# " },
    });
    const image = await build("shell", { link: "ring3", smp: true, extraFiles });
    const run = runHere(image, { cpus: 4, memory: 128 << 20, maxInstructions: 4e9 });
    expect(run.console).toBe(`ukl-kernel: ring3\n${count(4)}${stdout}`);
    expect(run.stop).toEqual({ kind: "power-off" });
  });
});

describe.skipIf(!hasTools || !hasQemu)("under QEMU (needs gcc and qemu-system-x86_64)", () => {
  /** With thread=multi each processor is a thread of the host's: with more than it has, waiting for the lock takes long. */
  test.each([
    ["futex", "ring3", "single", 4],
    ["processes", "kml", "single", 4],
    ["stress-threads", "ring3", "single", 4],
    ["stress-threads", "ukl", "single", 4],
    ["stress-threads", "ukl-byp", "single", 4],
    ["stress-fork", "ring3", "single", 4],
    ["futex", "ukl", "multi", 2],
    ["processes", "ring3", "multi", 2],
  ] as const)("%s, %s, thread=%s, %i processors", { timeout: 300_000 }, async (name, link, thread, cpus) => {
    const image = await imageOf(name, { link });
    const options = ["-smp", `${cpus}`, "-accel", `tcg,thread=${thread}`];
    const { console, status } = runQemu(image, "", "128M", options, 280_000);
    expect(applicationLines(console)).toEqual(onTheHost(name));
    expect(console).toContain(count(cpus));
    expect(status).toBe(0);
  });

  test("a panic stops all four", { timeout: 60_000 }, async () => {
    const image = await build("crash", { link: "kml", smp: true });
    const { console, status } = runQemu(image, "-- divide", "128M", ["-smp", "4"], 50_000);
    expect(console.match(/panic: /g)).toHaveLength(1);
    expect(status).toBe(255);
  });
});
