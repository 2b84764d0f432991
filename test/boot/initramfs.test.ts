import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { buildInitramfs, payload, reachedInit } from "../../images/initramfs.ts";
import { characterDevice, directory, encodeCpio, file, symlink } from "../../src/build/cpio.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("newc cpio archive", () => {
  const entries = [
    directory("dev"),
    characterDevice("dev/console", 5, 1),
    file("init", new TextEncoder().encode("#!/bin/sh\n"), 0o755),
    symlink("bin", "usr/bin"),
  ];

  test("headers are 110 characters on 4-byte boundaries: magic, mode, size, device and name length in hexadecimal", () => {
    const archive = encodeCpio(entries);
    const seen: unknown[] = [];
    for (let at = 0; ; ) {
      const field = (index: number): number =>
        Number.parseInt(text(archive.subarray(at + 6 + index * 8, at + 14 + index * 8)), 16);
      expect(text(archive.subarray(at, at + 6))).toBe("070701");
      const [mode, size, major, minor, nameSize] = [1, 6, 9, 10, 11].map(field);
      const name = text(archive.subarray(at + 110, at + 110 + nameSize! - 1));
      if (name === "TRAILER!!!") break;
      const dataAt = (at + 110 + nameSize! + 3) & ~3;
      seen.push([
        name,
        mode!.toString(8),
        size,
        major,
        minor,
        text(archive.subarray(dataAt, dataAt + size!)),
      ]);
      at = (dataAt + size! + 3) & ~3;
    }
    expect(seen).toEqual([
      ["dev", "40755", 0, 0, 0, ""],
      ["dev/console", "20600", 0, 5, 1, ""],
      ["init", "100755", 10, 0, 0, "#!/bin/sh\n"],
      ["bin", "120777", 7, 0, 0, "usr/bin"],
    ]);
  });

  const hasCpio = spawnSync("cpio", ["--version"]).error === undefined;
  test.skipIf(!hasCpio)("cpio(1) lists it (skipped where cpio is not installed)", () => {
    const result = spawnSync("cpio", ["-itv", "--quiet"], { input: encodeCpio(entries), encoding: "utf8" });
    expect(result.stderr).toBe("");
    expect(result.stdout).toMatch(
      /crw------- .* 5, {3}1 .* dev\/console\n-rwxr-xr-x .* 10 .* init\nlrwxrwxrwx .* bin -> usr\/bin/,
    );
  });
});

describe("initramfs images", () => {
  const busybox = new TextEncoder().encode("stands in for busybox");

  test("the same inputs give the same bytes, without a time stamp in the gzip header", () => {
    const [one, two] = [buildInitramfs("script", busybox), buildInitramfs("script", busybox)];
    expect(one).toEqual(two);
    expect([...one.subarray(4, 8)]).toEqual([0, 0, 0, 0]);
  });

  test("hold busybox, /dev/console and an /init that says when it is reached", () => {
    const archive = text(gunzipSync(buildInitramfs("init", busybox)));
    expect(archive).toContain("stands in for busybox");
    expect(archive).toContain("dev/console");
    expect(archive).toContain(`echo "${reachedInit}"`);
  });

  test("the payload's hash is the one that guests print", () => {
    expect(createHash("sha256").update(payload()).digest("hex")).toBe(
      "63f2b519d34af59c7d76f7be9b75687a415316f787f5930286084e2a35e9b164",
    );
  });
});
