import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { build, hasQemu, hasTools, runHere, runQemu } from "./run-image.ts";

const busybox = "/bin/busybox";
const script = join(import.meta.dirname, "shell-script.sh");
const extraFiles = [
  { host: busybox, guest: "/bin/busybox" },
  { host: script, guest: "/script" },
];

/** What the script prints on this machine, errors included, with busybox's own commands only. */
function onHost(): string {
  const { stdout } = spawnSync("/bin/sh", ["-c", 'exec "$0" sh "$1" 2>&1', busybox, script], {
    encoding: "latin1",
    env: { PATH: "/nowhere", HOME: "/", TERM: "vt100", PS1: "# " },
  });
  return stdout;
}

describe.skipIf(!hasTools || !existsSync(busybox))("busybox sh (needs gcc, musl-dev, busybox-static)", () => {
  // In ukl, the program that starts the shell is linked with the kernel, and the shell is a process at ring 3.
  test.each(["ring3", "kml", "zpoline", "ukl"] as const)(
    "%s: the script prints what it prints on the host",
    async (link) => {
      const image = await build("shell", { link, extraFiles });
      const run = runHere(image, { memory: 128 << 20, maxInstructions: 2e9 });
      const text = run.console.slice(run.console.indexOf("\n") + 1);
      expect(text).toBe(onHost());
      expect(run.stop).toEqual({ kind: "power-off" });
    },
  );

  test.skipIf(!hasQemu)("kml under QEMU: the same", async () => {
    const { console, status } = runQemu(await build("shell", { link: "kml", extraFiles }), "", "128M");
    expect(console.slice(console.indexOf("\n") + 1)).toBe(onHost());
    expect(status).toBe(0);
  });
});
