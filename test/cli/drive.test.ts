/** `--drive` and `--rng`: what is refused, in one line, with exit code 2 and no file touched. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
  });

  test.each([
    [[""]],
    [["a.img"]],
    [["file"]],
    [["file="]],
    [["file=a,file=b"]],
    [["file=a,format=vmdk"]],
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
    [
      "qcow2",
      ["--drive", "file=good.img,format=qcow2"],
      /qcow2 is not supported yet: qemu-img convert -O raw/,
    ],
    ["qcow2 by content", ["--drive", "file=qcow2.img"], /qemu-img convert -O raw/],
    ["the same file twice", ["--drive", "file=good.img", "--drive", "file=good.img"], /another ukl-emu/],
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
    writeFileSync(join(cli.work, "qcow2.img"), Buffer.concat([Buffer.from("QFI\xfb", "latin1"), good]));
    const { code, stdout, stderr } = await cli.run([command, hello, ...args]);
    expect(stderr).toMatch(/^ukl-emu: --(drive|rng|hvc): [^\n]+\n$/);
    expect(stderr).toMatch(expected);
    expect([code, stdout]).toEqual([2, ""]);
    expect(new Uint8Array(readFileSync(join(cli.work, "good.img")))).toEqual(good);
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
