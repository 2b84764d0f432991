import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildImage, type KernelOptions, LINK_MODES } from "../../src/build/index.ts";
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

  test("a build repeats byte for byte, whatever the directory and the cache", async () => {
    const first = await build("threads", { link: "ukl" });
    const work = mkdtempSync(join(tmpdir(), "ukl-emu-a-longer-name-"));
    try {
      const elsewhere = join(work, "threads.c");
      copyFileSync(join(apps, "threads.c"), elsewhere);
      const again = await buildImage({ inputs: [elsewhere], link: "ukl", cache: join(work, "cache") });
      expect(Buffer.from(again.image).equals(first)).toBe(true);
    } finally {
      rmSync(work, { recursive: true });
    }
  });

  test("an unmodified static program of another C library runs at ring 3 and at ring 0, rewritten too", async () => {
    const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
    try {
      const program = join(work, "hello");
      const args = ["-O2", "-static", "-no-pie", join(apps, "hello.c"), "-o", program];
      execFileSync("gcc", args, { stdio: "pipe" });
      for (const link of ["ring3", "kml", "zpoline"] as const) {
        const options = { inputs: [program], link, allowMissingCalls: true };
        const { image, rewritten } = await buildImage(options);
        const text = applications.hello(link === "ring3" ? 3 : 0);
        expect(runHere(image).console).toBe(`ukl-kernel: ${link}\n${text}`);
        if (link === "zpoline") expect(rewritten.trampoline).toBeGreaterThan(50);
        else expect(rewritten).toEqual({});
      }
    } finally {
      rmSync(work, { recursive: true });
    }
  });

  test("an application's exit status other than 0 goes to port F4H", async () => {
    const image = await build("crash", { link: "ukl", commandLine: "-- nothing" });
    expect(runHere(image).stop).toEqual({ kind: "debug-exit", status: 3 });
  });
});
