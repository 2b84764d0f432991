import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildHello, toolchain } from "../../images/build-hello.ts";
import { describeImage } from "../../src/boot/info.ts";
import { helloText } from "./hello-text.ts";

const committed = join(import.meta.dirname, "..", "..", "images", "hello.bin");

function compiler(): string {
  const result = spawnSync("gcc", ["--version"], { encoding: "utf8" });
  return result.error === undefined ? result.stdout.split("\n")[0]! : "no gcc";
}

test("the setup header offers the 64-bit entry of protocol 2.12 at 1 MiB", () => {
  expect(describeImage(readFileSync(committed))).toMatchObject({
    format: "bzimage",
    boot: "Linux 64-bit boot protocol",
    protocol: "2.12",
    kernelVersion: "ukl-emu hello",
    loadAddress: 0x10_0000,
    entry: 0x10_0200,
    memorySize: 0x1_7000,
  });
});

const found = compiler();
test.skipIf(found !== toolchain)(
  `building it again gives the committed bytes (needs ${toolchain}, here: ${found})`,
  () => {
    const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
    try {
      const output = join(work, "hello.bin");
      buildHello(output);
      expect(readFileSync(output).equals(readFileSync(committed))).toBe(true);
    } finally {
      rmSync(work, { recursive: true });
    }
  },
);

const hasQemu = spawnSync("qemu-system-x86_64", ["--version"]).error === undefined;
describe.skipIf(!hasQemu)("under QEMU (skipped where it is not installed)", () => {
  test.each(["pc", "q35"])(
    "machine %s: enters by the 16-bit setup code, prints its text and powers off",
    (machine) => {
      const console = execFileSync(
        "qemu-system-x86_64",
        [
          ...["-M", machine, "-accel", "tcg", "-m", "64M", "-nodefaults", "-display", "none", "-no-reboot"],
          ...["-serial", "stdio", "-kernel", committed],
        ],
        { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "pipe"] },
      );
      expect(console).toBe(`${helloText}\r\n`);
    },
  );
});
