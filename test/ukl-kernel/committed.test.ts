import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { images, toolchain } from "../../images/build-images.ts";
import { describeImage } from "../../src/boot/info.ts";
import { buildImage } from "../../src/build/index.ts";
import { helloText } from "./hello-text.ts";
import { hasQemu, root, runHere, runQemu } from "./run-image.ts";

const committed = (name: string): Buffer => readFileSync(join(root, "images", name));

function compiler(): string {
  const result = spawnSync("gcc", ["--version"], { encoding: "utf8" });
  return result.error === undefined ? result.stdout.split("\n")[0]! : "no gcc";
}

const found = compiler();
describe.skipIf(found !== toolchain)(`built again (needs ${toolchain}, here: ${found})`, () => {
  test.each(Object.keys(images))(
    "%s has the committed bytes: if not, node images/build-images.ts",
    async (name) => {
      const { image } = await buildImage(images[name]!);
      expect(Buffer.from(image).equals(committed(name))).toBe(true);
    },
  );
});

test("every image in images/ is one that a script there builds", () => {
  const tracked = execFileSync("git", ["ls-files", "images"], { cwd: root, encoding: "utf8" }).split("\n");
  const names = readdirSync(join(root, "images")).filter((name) => tracked.includes(`images/${name}`));
  expect(names.filter((name) => name.endsWith(".bin"))).toEqual(
    [...Object.keys(images), "mechanisms.bin"].sort(),
  );
});

describe("hello.bin", () => {
  const image = committed("hello.bin");

  test("offers the 64-bit entry of protocol 2.12 at 1 MiB", () => {
    expect(describeImage(image)).toMatchObject({
      format: "bzimage",
      boot: "Linux 64-bit boot protocol",
      protocol: "2.12",
      loadAddress: 0x10_0000,
      entry: 0x10_0200,
    });
  });

  test("is at most 256 KB, and in 8 MB of RAM its line takes at most 2,000,000 instructions", () => {
    expect(image.length).toBeLessThanOrEqual(256 << 10);
    const run = runHere(image, { memory: 8 << 20, until: "process 1." });
    expect(run.stop).toEqual({ kind: "stopped" });
    expect(run.instructions).toBeLessThanOrEqual(2_000_000);
  });

  test.skipIf(!hasQemu).each(["8M", "64M", "1G"])(
    "under QEMU with %s: enters by the 16-bit setup code, prints its text and powers off",
    (memory) => {
      const text = `${helloText}\r\n`.replaceAll("\r\n", "\n");
      expect(runQemu(image, "", memory)).toEqual({ console: text, status: 0 });
    },
  );
});

describe.each(["threads.bin", "pair.bin"])("%s", (name) => {
  test.skipIf(!hasQemu)("says the same here and under QEMU", () => {
    const run = runHere(committed(name));
    expect(run.stop).toEqual({ kind: "power-off" });
    expect(run.console).toMatch(/expected 500505|The partner ended with status 7/);
    expect(runQemu(committed(name))).toEqual({ console: run.console, status: 0 });
  });
});
