/** `--drive` and `--rng`: what is refused, in one line, with exit code 2 and no file touched. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDrives } from "../../src/cli/drives.ts";
import { UserError } from "../../src/cli/errors.ts";
import { hello, useCli } from "./run-cli.ts";

const cli = useCli();

describe("parsing", () => {
  const plain = { readonly: false, snapshot: false, transport: "pci" };
  test("a file alone, everything, and names with commas", () => {
    expect(parseDrives(["file=a.img"])).toEqual([{ ...plain, file: "a.img", id: "disk0" }]);
    expect(
      parseDrives([
        "id=Root-1,file=b,,c.img,format=raw,readonly,snapshot=on,transport=mmio",
        "file=,,,readonly=off",
      ]),
    ).toEqual([
      { file: "b,c.img", format: "raw", readonly: true, snapshot: true, id: "Root-1", transport: "mmio" },
      { ...plain, file: ",", id: "disk1" },
    ]);
    const drive = { ...plain, file: "a.qcow2", id: "disk0", overlay: "b" };
    expect(parseDrives(["file=a.qcow2,overlay=b"])).toEqual([drive]);
    expect(parseDrives(["file=a.qcow2,format=qcow2"], "b")).toEqual([{ ...drive, format: "qcow2" }]);
  });

  test.each([
    [[""]],
    [["a.img"]],
    [["file"]],
    [["file="]],
    [["file=a,file=b"]],
    [["file=a,format=vmdk"]],
    [["file=a,overlay="]],
    [["file=a,readonly,overlay=b"]],
    [["file=a,readonly=yes"]],
    [["file=a,transport=usb"]],
    [["file=a,cache=none"]],
    [["file=a,"]],
    [["file=a,id="]],
    [["file=a,id=a b"]],
    [["file=a,id=a-name-of-21-letters."]],
    [["file=a,id=x", "file=b,id=x"]],
    [["file=a", "file=b,id=disk0"]],
  ])("refuses %j", (texts) => {
    expect(() => parseDrives(texts)).toThrow(UserError);
    expect(() => parseDrives(texts)).toThrow(/^--drive: expected [^\n]+, found [^\n]+$/);
  });
});

describe.each(["boot", "trace"])("ukl-emu %s", (command) => {
  const cases: [string, string[], RegExp][] = [
    [
      "a missing file",
      ["--drive", "file=missing.img"],
      /missing\.img: expected a disk image, found no such file/,
    ],
    ["a directory", ["--drive", "file=directory"], /found a directory/],
    ["an empty file", ["--drive", "file=empty.img"], /found an empty file/],
    ["an odd size", ["--drive", "file=odd.img"], /multiple of 512/],
    ["qcow2 that is none", ["--drive", "file=good.img,format=qcow2"], /found no qcow2 header/],
    ["qcow2 by contents alone", ["--drive", "file=guest.img"], /format=qcow2 or format=raw says which/],
    [
      "qcow2 by name alone",
      ["--drive", "file=named.qcow2"],
      /does not start like qcow2.*format=qcow2 or format=raw/,
    ],
    ["a qcow2 header and no image", ["--drive", "file=guest.img,format=qcow2"], /a corrupt qcow2 image \(/],
    ["an overlay of nothing", ["--overlay", "new.qcow2"], /--overlay: expected one --drive, found 0/],
    [
      "an overlay of two",
      ["--overlay", "new.qcow2", "--drive", "file=good.img", "--drive", "file=odd.img"],
      /--overlay: expected one --drive, found 2: overlay=FILE in a --drive says which/,
    ],
    [
      "two overlays",
      ["--overlay", "new.qcow2", "--drive", "file=good.img,overlay=other.qcow2"],
      /--overlay: expected one overlay, found overlay=other\.qcow2 too/,
    ],
    [
      "an overlay of a read-only disk",
      ["--overlay", "new.qcow2", "--drive", "file=good.img,readonly"],
      /--overlay: expected a disk that can be written to/,
    ],
    [
      "an overlay in a directory that is missing",
      ["--drive", "file=good.img,overlay=missing/new.qcow2"],
      /missing\/new\.qcow2: expected to make an overlay, found no such file/,
    ],
    [
      "an overlay that is none",
      ["--drive", "file=good.img,overlay=odd.img"],
      /odd\.img: expected a disk image, found no qcow2 header/,
    ],
    [
      "the same file twice",
      ["--drive", "file=good.img", "--drive", "file=good.img"],
      /another drive of this one writes to: snapshot or readonly/,
    ],
    [
      "an odd transport",
      ["--drive", "file=good.img,transport=ide"],
      /expected transport=pci or transport=mmio/,
    ],
    [
      "more disks than MMIO has places",
      new Array(7).fill("--drive=file=good.img,snapshot,transport=mmio"),
      /more than 6 virtio devices on MMIO/,
    ],
    ["an entropy device of no kind", ["--rng", "usb"], /--rng: expected pci or mmio, found "usb"/],
    ["a console of no kind", ["--hvc", "usb"], /--hvc: expected pci or mmio, found "usb"/],
  ];
  test.each(cases)("refuses %s", async (_name, args, expected) => {
    mkdirSync(join(cli.work, "directory"), { recursive: true });
    const good = new Uint8Array(4096).fill(7);
    writeFileSync(join(cli.work, "good.img"), good);
    writeFileSync(join(cli.work, "empty.img"), "");
    writeFileSync(join(cli.work, "odd.img"), "odd");
    const guest = Buffer.concat([Buffer.from("QFI\xfb", "latin1"), good]);
    writeFileSync(join(cli.work, "guest.img"), guest);
    writeFileSync(join(cli.work, "named.qcow2"), good);
    const files = cli.files();
    const { code, stdout, stderr } = await cli.run([command, hello, ...args]);
    expect(stderr).toMatch(/^ukl-emu: --(drive|rng|hvc|overlay): [^\n]+\n$/);
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([2, ""]);
    expect(new Uint8Array(readFileSync(join(cli.work, "good.img")))).toEqual(good);
    expect(readFileSync(join(cli.work, "guest.img"))).toEqual(guest);
    expect(cli.files()).toEqual(files);
  });
});

test("a machine with disks and an entropy device boots an image that knows nothing of them", async () => {
  writeFileSync(join(cli.work, "disk.img"), new Uint8Array(4096));
  const plain = await cli.run(["boot", hello]);
  const drives = ["--drive", "file=disk.img", "--drive", "file=disk.img,snapshot,id=two", "--rng", "pci"];
  const result = await cli.run(["boot", hello, ...drives]);
  expect(result).toEqual(plain);
  expect(result.code).toBe(0);
});

const hasQemuImg = !spawnSync("qemu-img", ["--version"]).error;

test.skipIf(!hasQemuImg)("--overlay makes an image that qemu-img knows, and uses it again", async () => {
  writeFileSync(join(cli.work, "base.img"), new Uint8Array(8192).fill(1));
  const args = ["boot", hello, "--drive", "file=base.img", "--overlay", "over.qcow2"];
  for (let i = 0; i < 2; i++) {
    expect((await cli.run(args)).code).toBe(0);
    const check = spawnSync("qemu-img", ["check", "over.qcow2"], { cwd: cli.work, encoding: "utf8" });
    expect(check.stdout).toContain("No errors were found");
  }
  const compare = ["compare", "-f", "raw", "-F", "qcow2", "base.img", "over.qcow2"];
  expect(spawnSync("qemu-img", compare, { cwd: cli.work, encoding: "utf8" }).stdout).toContain("identical");
});

test.skipIf(!hasQemuImg)("qcow2 images that cannot be used: one line, exit code 2", async () => {
  const qemuImg = (...args: string[]) => execFileSync("qemu-img", ["create", ...args], { cwd: cli.work });
  qemuImg("-q", "-f", "qcow2", "-o", "preallocation=metadata", "cut.qcow2", "64M");
  truncateSync(join(cli.work, "cut.qcow2"), 100_000);
  const secret = ["--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s"];
  qemuImg("-q", "-f", "qcow2", ...secret, "secret.qcow2", "1M");
  qemuImg("-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "gone.raw", "orphan.qcow2", "1M");
  const cases: [string, RegExp][] = [
    ["cut.qcow2", /cut\.qcow2: expected a disk image, found a corrupt qcow2 image \(.*qemu-img check -r all/],
    ["secret.qcow2", /secret\.qcow2: .* an encrypted qcow2 image: qemu-img convert/],
    ["orphan.qcow2", /orphan\.qcow2: its backing file gone\.raw: .* found no such file/],
  ];
  for (const [name, expected] of cases) {
    const before = readFileSync(join(cli.work, name));
    const { code, stdout, stderr } = await cli.run(["boot", hello, "--drive", `file=${name}`]);
    expect(stderr).toMatch(/^ukl-emu: --drive: [^\n]+\n$/);
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([2, ""]);
    expect(readFileSync(join(cli.work, name)).equals(before)).toBe(true);
  }
});
