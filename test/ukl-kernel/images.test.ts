import { describe, expect, test } from "vitest";
import { type KernelOptions, LINK_MODES } from "../../src/build/index.ts";
import { apps, build, hasQemu, hasTools, runHere, runQemu } from "./run-image.ts";

/** Every link mode, and every option in a mode that has it. */
const variants: readonly (readonly [string, KernelOptions])[] = [
  ...LINK_MODES.map((link): [string, KernelOptions] => [link, { link }]),
  ["ring3 --kpti", { link: "ring3", kpti: true }],
  ["ring3 --kpti --pcid", { link: "ring3", kpti: true, pcid: true }],
  ["kml --return ret", { link: "kml", return: "ret" }],
  ["ukl --stack-switch off", { link: "ukl", stackSwitch: false }],
  ["ukl --fault-stack df", { link: "ukl", faultStack: "df" }],
  ["ukl --return ret", { link: "ukl", return: "ret" }],
  ["ukl-byp --fault-stack df --return ret", { link: "ukl-byp", faultStack: "df", return: "ret" }],
  ["shortcut --fault-stack df --return ret", { link: "shortcut", faultStack: "df", return: "ret" }],
];

const partner = [{ host: `${apps}/pair-partner.c`, guest: "/ring3/pair-partner" }];

/** What each application prints after the kernel's line, given the ring that it runs at. */
const applications = {
  hello: (ring: number) =>
    `Hello from ring ${ring}: this is process 1.\nThe kernel calls itself Linux on x86_64.\n`,
  threads: () => "4 workers added 1 to 1000 and 5: 500505, expected 500505.\n",
  pair: (ring: number) =>
    ["pipe", "socket"]
      .map(
        (by) =>
          `ring ${ring} asks by ${by}: which ring? ring 3\n` +
          `ring ${ring} asks by ${by}: reverse stressed? desserts\nThe partner ended with status 7.\n`,
      )
      .join(""),
} as const;

describe.skipIf(!hasTools)("images of each link mode (needs gcc and musl-dev)", () => {
  for (const [name, options] of variants) {
    test.each(["hello", "threads", "pair"] as const)(
      `${name}: %s prints its text and powers off`,
      async (app) => {
        const image = await build(app, { ...options, ...(app === "pair" ? { extraFiles: partner } : {}) });
        const run = runHere(image);
        expect(run.console).toMatch(/^ukl-kernel: [^\n]+\n/);
        const text = run.console.slice(run.console.indexOf("\n") + 1);
        expect(text).toBe(applications[app](options.link === "ring3" ? 3 : 0));
        expect(run.stop).toEqual({ kind: "power-off" });
        if (hasQemu) expect(runQemu(image)).toEqual({ console: run.console, status: 0 });
      },
    );
  }

  test("the hello image runs in 8 MB, is at most 256 KB, and takes at most 2,000,000 instructions to its line", async () => {
    const image = await build("hello", { link: "ukl" });
    expect(image.length).toBeLessThanOrEqual(256 << 10);
    const run = runHere(image, { memory: 8 << 20, until: "process 1." });
    expect(run.stop).toEqual({ kind: "stopped" });
    expect(run.instructions).toBeLessThanOrEqual(2_000_000);
  });

  test("an application's exit status other than 0 goes to port F4H", async () => {
    const image = await build("crash", { link: "ukl", commandLine: "-- nothing" });
    expect(runHere(image).stop).toEqual({ kind: "debug-exit", status: 3 });
  });
});
