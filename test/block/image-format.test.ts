/** Images of other programs are named, and not taken for raw disks that a guest would write over. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openDisk } from "../../src/block/open.ts";

const work = mkdtempSync(join(tmpdir(), "ukl-emu-format-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const open = (file: string, format?: "raw") =>
  openDisk({ file, readonly: false, snapshot: false, ...(format ? { format } : {}) }, String, () => {});

const hasQemu = spawnSync("qemu-img", ["--version"]).error === undefined;

describe.skipIf(!hasQemu)("an image of another program (needs qemu-img)", () => {
  test.each([
    ["vmdk", "VMDK", []],
    ["vdi", "VDI", []],
    ["vpc", "VHD", ["-o", "subformat=dynamic"]],
    ["vhdx", "VHDX", []],
    ["qed", "QED", []],
  ] as const)("%s", async (format, name, options) => {
    const file = join(work, `disk.${format}`);
    const made = spawnSync("qemu-img", ["create", "-q", "-f", format, ...options, file, "8M"], {
      encoding: "utf8",
    });
    expect(made.stderr).toBe("");
    const before = readFileSync(file);
    await expect(open(file)).rejects.toThrow(
      `found one that starts like ${name}: qemu-img convert -O qcow2 makes one that can be used`,
    );
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});

test("a raw disk that starts like one is a raw disk by format=raw", async () => {
  const file = join(work, "raw.img");
  writeFileSync(file, Buffer.concat([Buffer.from("KDMV"), Buffer.alloc(1020)]));
  await expect(open(file)).rejects.toThrow(/starts like VMDK: .* format=raw says that it is none$/);
  const disk = await open(file, "raw");
  expect(disk.store.size).toBe(1024);
  disk.close();
});
