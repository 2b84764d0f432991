/** Files that a run writes: none that it needs, none twice, and nothing is left of a run that did not begin. */

import { once } from "node:events";
import { copyFileSync, existsSync, linkSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hello, useCli } from "./run-cli.ts";

const cli = useCli();

const path = (name: string): string => join(cli.work, name);

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(path(name), bytes);
  return name;
}

async function refused(args: readonly string[], says: RegExp): Promise<void> {
  const { code, stdout, stderr } = await cli.run(args);
  expect(stderr).toMatch(/^ukl-emu: [^\n]*\n$/);
  expect(stderr).toMatch(says);
  expect([code, stdout]).toEqual([2, ""]);
}

describe("a file that the run needs is not written over", () => {
  const disk = Buffer.alloc(1 << 16, "disk");

  test.each([
    [["--serial", "file:own.bin"], "own.bin"],
    [["--record", "link.bin"], "link.bin"],
    [["--net", "user", "--pcap", "disk.img", "--drive", "file=disk.img"], "disk.img"],
    [["--record", "disk.img", "--drive", "file=disk.img,snapshot"], "disk.img"],
    [["--trace", "int:disk.img", "--drive", "file=disk.img,overlay=over.qcow2"], "disk.img"],
    [["--trace", "int:initrd", "--initrd", "initrd"], "initrd"],
    [["--serial", "file:run.rec", "--replay", "run.rec"], "run.rec"],
  ] as const)("%j", async (args, name) => {
    copyFileSync(hello, path("own.bin"));
    if (!existsSync(path("link.bin"))) linkSync(path("own.bin"), path("link.bin"));
    file("disk.img", disk);
    file("initrd", disk);
    if (name === "run.rec") expect((await cli.run(["boot", "own.bin", "--record", name])).code).toBe(0);
    const before = readFileSync(path(name));
    await refused(
      ["boot", "own.bin", ...args],
      new RegExp(`^ukl-emu: ${name}: expected a file to write to, found one that this run reads`),
    );
    expect(readFileSync(path(name)).equals(before)).toBe(true);
    expect(existsSync(path("over.qcow2"))).toBe(false);
  });

  test("nor by the trace command", async () => {
    copyFileSync(hello, path("traced.bin"));
    await refused(
      ["trace", "traced.bin", "--output", "traced.bin"],
      /traced\.bin: expected a file to write to/,
    );
    expect(readFileSync(path("traced.bin")).equals(readFileSync(hello))).toBe(true);
  });
});

test("two outputs are two files, devices excepted", async () => {
  await refused(
    ["boot", hello, "--net", "user", "--pcap", "same", "--record", "./same"],
    /same: .* given twice/,
  );
  expect(existsSync(path("same"))).toBe(false);
  const twice = ["--serial", "file:/dev/null", "--trace", "int:/dev/null"];
  expect((await cli.run(["boot", hello, ...twice])).code).toBe(0);
});

describe("nothing is left of an overlay", () => {
  const drive = () => `file=${file("base.img", Buffer.alloc(512))},overlay=left.qcow2`;

  test("when another option cannot be used", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const inUse = `user,hostfwd=tcp::${port}-:80`;
    try {
      await refused(["boot", hello, "--drive", drive(), "--net", inUse], /expected a free port/);
    } finally {
      server.close();
    }
    expect(existsSync(path("left.qcow2"))).toBe(false);
    await refused(["boot", file("not-a-kernel", Buffer.alloc(4096)), "--drive", drive()], /not-a-kernel: /);
    expect(existsSync(path("left.qcow2"))).toBe(false);
  });

  test("that was there before it stays", async () => {
    expect((await cli.run(["boot", hello, "--drive", drive()])).code).toBe(0);
    await refused(["boot", "not-a-kernel", "--drive", drive()], /not-a-kernel: /);
    expect(existsSync(path("left.qcow2"))).toBe(true);
  });
});

test.each([
  [["--drive", "file=x,snapshot,overlay=y"], /expected snapshot, .* or overlay=, found both/],
  [["--drive", "file=x,snapshot", "--overlay", "y"], /--overlay: expected .*, found snapshot/],
  [["--net", "user,restrict=on,loopback=on"], /expected restrict or loopback, found both/],
])("what contradicts itself is refused: %j", async (args, says) => {
  await refused(["boot", hello, ...args], says);
});
