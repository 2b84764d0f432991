/**
 * Files on virtio disks: the programs and scripts that run on Linux's files, on ext2 made by mke2fs, with the same
 * output; afterwards e2fsck finds nothing. Then what a disk alone can do: be full, read-only, broken, damaged.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { buildImage, type KernelOptions } from "../../src/build/index.ts";
import { Random } from "../random.ts";
import {
  asDrive,
  checkDisk,
  type DiskRequest,
  debugDisk,
  hasExt2Tools,
  MemoryDisk,
  makeDisk,
} from "./disk-image.ts";
import { applicationLines, hostLines } from "./host-lines.ts";
import { build, hasQemu, hasTools, type Run, runHere, runQemu } from "./run-image.ts";

vi.setConfig({ testTimeout: 300_000 });

const busybox = "/bin/busybox";
const script = join(import.meta.dirname, "disk-script.sh");
const work = mkdtempSync(join(tmpdir(), "ukl-emu-disk-test-"));
afterAll(() => rmSync(work, { recursive: true }));

const ready = hasTools && hasExt2Tools;
const NEEDS = "needs gcc, musl-dev, e2fsprogs";

const sourceOf = (name: string): string => {
  if (name === "mapped-buffers") return join(import.meta.dirname, "net-programs", `${name}.c`);
  const directory = name.startsWith("disk-") ? "disk-programs" : "programs";
  return join(import.meta.dirname, directory, `${name}.c`);
};

const images = new Map<string, Promise<Uint8Array>>();

function imageOf(name: string, options: KernelOptions): Promise<Uint8Array> {
  const key = JSON.stringify([name, options]);
  let image = images.get(key);
  if (image === undefined) {
    const request = { ...options, disk: true, inputs: [sourceOf(name)], allowMissingCalls: true };
    image = buildImage(request).then((result) => result.image);
    images.set(key, image);
  }
  return image;
}

const linesOf = hostLines(work);
const onTheHost = (name: string): readonly string[] => linesOf(sourceOf(name));

/** Runs with one disk, mounted there. */
function runWith(image: Uint8Array, disk: MemoryDisk, commandLine: string): Run {
  return runHere(image, { drives: asDrive(disk), commandLine, maxInstructions: 4_000_000_000 });
}

/** As `runWith`, under QEMU, which has the bytes of the disk in a file. @returns the bytes afterwards */
function runQemuWith(image: Uint8Array, disk: Uint8Array, commandLine: string, device: readonly string[]) {
  const file = join(work, "qemu-disk");
  writeFileSync(file, disk);
  const drive = ["-drive", `file=${file},format=raw,id=disk,if=none`, "-device", ...device];
  return { ...runQemu(image, commandLine, "64M", drive), disk: file };
}

const files = ["file-content", "file-descriptors", "file-names", "disk-files"];
/** Programs make their files in /tmp: so the disk is there. */
const ON_TMP = "mount=/dev/vda:/tmp";

const everywhere: readonly (readonly [string, KernelOptions, DiskRequest, readonly string[]])[] = [
  ["ring3, blocks of 1 KiB", { link: "ring3" }, { blockSize: 1024, size: "40M" }, files],
  ["ukl, blocks of 2 KiB", { link: "ukl" }, { blockSize: 2048 }, ["disk-files"]],
  ["ring3 --kpti --pcid", { link: "ring3", kpti: true, pcid: true }, {}, ["file-names"]],
  ["ukl, blocks of 4 KiB", { link: "ukl" }, { blockSize: 4096 }, ["file-content", "file-names"]],
  ["zpoline, inodes of 128 bytes", { link: "zpoline" }, { options: ["-I", "128"] }, ["disk-files"]],
  ["ukl --stack-switch off", { link: "ukl", stackSwitch: false }, {}, ["file-content"]],
  ["shortcut, revision 0", { link: "shortcut" }, { options: ["-r", "0"] }, ["disk-files"]],
];

describe.skipIf(!ready).each(everywhere)(`%s (${NEEDS})`, (_, options, request, names) => {
  test.each(names)("%s prints what it prints on Linux", async (name) => {
    const disk = new MemoryDisk(makeDisk(request));
    const run = runWith(await imageOf(name, options), disk, ON_TMP);
    expect(applicationLines(run.console)).toEqual(onTheHost(name));
    expect(run.stop).toEqual({ kind: "power-off" });
    expect(checkDisk(disk.bytes)).toBe("");
    expect(disk.flushes).toBeGreaterThan(0);
  });
});

describe.skipIf(!ready || !existsSync(busybox))(`busybox sh (${NEEDS}, busybox-static)`, () => {
  const extraFiles = [
    { host: busybox, guest: "/bin/busybox" },
    { host: script, guest: "/script" },
  ];
  const onHost = (): string =>
    spawnSync("/bin/sh", ["-c", 'exec "$0" sh "$1" 2>&1', busybox, script], {
      encoding: "latin1",
      env: { PATH: "/nowhere", HOME: "/", TERM: "vt100", PS1: "# " },
    }).stdout;

  // In ukl, the shell is a process at ring 3 beside the linked program that starts it.
  test.each([
    ["ring3", 1024],
    ["ukl", 4096],
  ] as const)("%s, blocks of %i: the script prints what it prints on the host", async (link, blockSize) => {
    const disk = new MemoryDisk(makeDisk({ blockSize, size: "24M" }));
    const image = await build("shell", { link, disk: true, extraFiles });
    const run = runWith(image, disk, ON_TMP);
    expect(applicationLines(run.console)).toEqual(onHost().split("\n"));
    expect(run.stop).toEqual({ kind: "power-off" });
    expect(checkDisk(disk.bytes)).toBe("");
  });
});

/** A directory of this machine, and the digests of its regular files. */
function makeTree(name: string): { readonly from: string; readonly digests: readonly string[] } {
  const from = join(work, name);
  mkdirSync(join(from, "sub", "deeper"), { recursive: true });
  const random = new Random(7);
  const digests: string[] = [];
  for (const [path, size] of [
    ["hello", 6],
    ["sub/indirect", 200_000],
    ["sub/deeper/double", 3_000_000],
    ["sub/empty", 0],
  ] as const) {
    const bytes = Uint8Array.from({ length: size }, () => random.u32());
    if (path === "hello") bytes.set(Buffer.from("hello\n"));
    writeFileSync(join(from, path), bytes);
    digests.push(`${createHash("sha256").update(bytes).digest("hex")}  ${path}`);
  }
  symlinkSync("sub/indirect", join(from, "link"));
  symlinkSync(`${"x/".repeat(60)}y`, join(from, "long"));
  linkSync(join(from, "hello"), join(from, "sub", "second"));
  return { from, digests };
}

describe.skipIf(!ready || !existsSync(busybox))(
  `what the host has written (${NEEDS}, busybox-static)`,
  () => {
    test.each([1024, 2048, 4096])(
      "blocks of %i: is read as it is, and debugfs reads the rest",
      async (blockSize) => {
        const { from, digests } = makeTree(`tree-${blockSize}`);
        const commands = join(work, `commands-${blockSize}`);
        writeFileSync(
          commands,
          "cd /mnt; sha256sum hello sub/indirect sub/deeper/double sub/empty; readlink long; stat -c %h hello sub\n" +
            "cat link | sha256sum; cp sub/deeper/double new; mkdir made; seq 1 5 > made/five; rm sub/second; sync\n",
        );
        const image = await build("shell", {
          link: "ring3",
          disk: true,
          extraFiles: [
            { host: busybox, guest: "/bin/busybox" },
            { host: commands, guest: "/script" },
          ],
        });
        const disk = new MemoryDisk(makeDisk({ blockSize, from }));
        const run = runWith(image, disk, "mount=/dev/vda:/mnt");
        const indirect = digests[1]!.split(" ")[0];
        expect(applicationLines(run.console)).toEqual([
          ...digests,
          `${"x/".repeat(60)}y`,
          "2",
          "3",
          `${indirect}  -`,
          "",
        ]);
        expect(checkDisk(disk.bytes)).toBe("");
        expect(debugDisk(disk.bytes, "cat made/five")).toBe("1\n2\n3\n4\n5\n");
        const copy = debugDisk(disk.bytes, "cat new");
        expect(createHash("sha256").update(copy, "latin1").digest("hex")).toBe(digests[2]!.split(" ")[0]);
      },
    );
  },
);

describe.skipIf(!ready)(`limits (${NEEDS})`, () => {
  const limits = (): Promise<Uint8Array> => imageOf("disk-limits", { link: "ring3" });
  const passed = (run: Run): readonly string[] =>
    applicationLines(run.console).filter((line) => line.startsWith("WRONG") || line.endsWith("passed"));

  test.each([1024, 4096])("a full disk, blocks of %i: ENOSPC, and space comes back", async (blockSize) => {
    const disk = new MemoryDisk(makeDisk({ blockSize, size: "1M", options: ["-N", "32"] }));
    expect(passed(runWith(await limits(), disk, "mount=/dev/vda:/mnt -- full"))).toEqual([
      "all checks passed",
    ]);
    expect(checkDisk(disk.bytes)).toBe("");
  });

  test.each([
    ["mounted so", "mount=/dev/vda:/mnt:ro", false],
    ["a disk that cannot be written", "mount=/dev/vda:/mnt", true],
  ])("read-only, %s: EROFS, and no byte is written", async (_, mount, readonly) => {
    const { from } = makeTree(`read-only-${readonly}`);
    const before = makeDisk({ from });
    const disk = new MemoryDisk(before.slice(), readonly);
    expect(passed(runWith(await limits(), disk, `${mount} -- read-only`))).toEqual(["all checks passed"]);
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
  });

  test("mount and umount: what they refuse, EBUSY, the way out of the mounted tree", async () => {
    const { from } = makeTree("mounting");
    const disk = new MemoryDisk(makeDisk({ from }));
    expect(passed(runWith(await limits(), disk, "-- mounting"))).toEqual(["all checks passed"]);
    expect(checkDisk(disk.bytes)).toBe("");
  });

  test("a disk that fails: EIO for what is read there, and at fsync for what was written", async () => {
    const from = join(work, "failing");
    mkdirSync(from);
    writeFileSync(join(from, "bad"), "B".repeat(5000));
    writeFileSync(join(from, "hello"), "hello\n");
    const disk = new MemoryDisk(makeDisk({ from, size: "32M" }));
    const bad = Buffer.from(disk.bytes).indexOf("B".repeat(1024));
    disk.badReads = [bad, bad + 1024];
    disk.badWrites = [17 << 20, (17 << 20) + 8192];
    const run = runWith(await limits(), disk, "mount=/dev/vda:/mnt -- failing");
    expect(passed(run)).toEqual(["all checks passed"]);
    expect(checkDisk(disk.bytes)).toBe("");
    expect(debugDisk(disk.bytes, "cat hello")).toBe("HELLO\n");
  });

  test.each([
    ["ext4", ["-O", "extent,flex_bg"], "cannot be mounted, with the features extent flex_bg"],
    [
      "features of ext4 that readers need not know",
      ["-O", "huge_file"],
      "cannot be written, with the features huge_file",
    ],
  ])("%s is refused by the names of its features", async (_, options, message) => {
    const before = makeDisk({ options });
    const disk = new MemoryDisk(before.slice());
    const run = runWith(await limits(), disk, "mount=/dev/vda:/mnt");
    expect(run.console).toContain(`ukl-kernel: vda: ext2: ${message}\n`);
    expect(run.console).toContain("ukl-kernel: mount=/dev/vda:/mnt: error 22\n");
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
  });

  test("a damaged file system gives errors, not a panic", async () => {
    const { from } = makeTree("damaged");
    const sound = makeDisk({ from, size: "6M", options: ["-N", "64"] });
    const random = new Random(2026);
    /** Blocks with something else in them than one byte over and over. */
    const blocks = Array.from({ length: 60 }, (_, index) => index).filter(
      (index) => new Set(sound.subarray(index * 1024, (index + 1) * 1024)).size > 2,
    );
    for (let round = 0; round < 12; round++) {
      const disk = new MemoryDisk(sound.slice());
      const view = new DataView(disk.bytes.buffer);
      for (let change = 0; change < 1 + random.below(20); change++) {
        const at = random.pick(blocks) * 1024 + 4 * random.below(256);
        if (at === 1024 + 0x38) continue; // the magic number: nothing would be mounted
        view.setUint32(
          at,
          random.chance(2) ? random.below(8192) : view.getUint32(at) ^ (1 << random.below(32)),
          true,
        );
      }
      const run = runWith(await limits(), disk, "mount=/dev/vda:/mnt -- damaged");
      expect(passed(run)).toEqual(["all checks passed"]);
      expect(run.stop).toEqual({ kind: "power-off" });
    }
  });
});

describe.skipIf(!ready)(`the journal (${NEEDS})`, () => {
  test("what one machine wrote, the next one reads; a disk that was switched off too", async () => {
    const disk = new MemoryDisk(makeDisk({ size: "1M" }));
    const image = await build("journal", { link: "ukl", disk: true });
    expect(applicationLines(runWith(image, disk, "-- one").console)).toEqual(["written: boot 1", ""]);
    expect(checkDisk(disk.bytes)).toBe("");
    // The second ends with the writing of its entry: nothing is unmounted.
    const request = { drives: asDrive(disk), commandLine: "-- two", until: "written: boot 2" };
    expect(runHere(image, request).stop.kind).toBe("stopped");
    expect(debugDisk(disk.bytes, "cat journal")).toBe("boot 1 one\nboot 2 two\n");
    const third = runWith(image, disk, "-- three");
    expect(applicationLines(third.console)).toEqual([
      "earlier: boot 1 one",
      "earlier: boot 2 two",
      "written: boot 3",
      "",
    ]);
    expect(third.console).toContain("vda: ext2: was not unmounted");
  });
});

describe.skipIf(!ready || !hasQemu)(`under QEMU (${NEEDS}, qemu-system-x86_64)`, () => {
  test.each([
    ["ring3", "virtio-blk-pci,drive=disk"],
    ["ukl", "virtio-blk-pci,drive=disk,disable-legacy=on"],
  ] as const)("%s: %s", async (link, device) => {
    const image = await imageOf("disk-files", { link });
    const { console, status, disk } = runQemuWith(image, makeDisk({}), ON_TMP, [device]);
    expect(applicationLines(console)).toEqual(onTheHost("disk-files"));
    expect(status).toBe(0);
    expect(checkDisk(new Uint8Array(readFileSync(disk)))).toBe("");
  });
});

test.skipIf(!ready)(
  "threads that write to one connection, one from a file that is read meanwhile",
  async () => {
    const from = join(work, "mapped");
    mkdirSync(from, { recursive: true });
    writeFileSync(join(from, "data"), Buffer.from(Array.from({ length: 65_536 }, (_, i) => 97 + (i >> 12))));
    const image = await imageOf("mapped-buffers", { link: "ring3", net: true });
    const run = runWith(image, new MemoryDisk(makeDisk({ from })), ON_TMP);
    const own = applicationLines(run.console);
    expect(own).toContain("from the file: 65536");
    expect(own).toContain("from memory: 50000");
    expect(own).toContain("in order: 65536, from memory: 50000");
  },
);
