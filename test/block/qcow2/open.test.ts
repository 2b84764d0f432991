/** Opening: formats, backing files, overlays, and images that are refused with one line and not touched. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { FIELD } from "../../../src/block/qcow2/header.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, readAll, useWorkshop } from "./images.ts";

const shop = useWorkshop();
const MIB = 2 ** 20;
const bytes = content(Random.spread(1), MIB);

/** Changes bytes of a file. */
function patch(name: string, at: number, ...values: number[]): void {
  const file = readFileSync(shop.path(name));
  file.set(values, at);
  writeFileSync(shop.path(name), file);
}

function create(name: string, ...options: string[]): void {
  shop.qemuImg("create", "-f", "qcow2", ...options, name, ...(options.includes("-b") ? [] : [String(MIB)]));
}

describe.skipIf(!hasQemuImg)("the format of an image", () => {
  it("is qcow2 where contents and name agree, or where it is said", async () => {
    create("by-name.qcow2");
    copyFileSync(shop.path("by-name.qcow2"), shop.path("unnamed.img"));
    for (const [name, format] of [
      ["by-name.qcow2", undefined],
      ["unnamed.img", "qcow2"],
    ] as const) {
      const disk = await shop.open(name, format === undefined ? {} : { format });
      expect(disk.store.size).toBe(MIB);
      disk.close();
    }
  });

  it("is not guessed from contents that a guest may have written", async () => {
    create("guest.img");
    truncateSync(shop.path("guest.img"), MIB / 2);
    await expect(shop.open("guest.img")).rejects.toThrow(/starts like qcow2.*format=qcow2 or format=raw/);
    const raw = await shop.open("guest.img", { format: "raw" });
    expect(raw.store.size).toBeLessThan(MIB);
    raw.close();
  });
});

describe.skipIf(!hasQemuImg)("backing files", () => {
  it("may be stacked, lie elsewhere, and be shorter", async () => {
    mkdirSync(shop.path("elsewhere"));
    writeFileSync(shop.path("elsewhere/base.raw"), bytes.subarray(0, 700_000));
    create("elsewhere/one.qcow2", "-F", "raw", "-b", "base.raw");
    create("two.qcow2", "-F", "qcow2", "-b", "elsewhere/one.qcow2");
    shop.qemuImg("resize", "two.qcow2", String(MIB));
    const expected = new Uint8Array(MIB);
    expected.set(bytes.subarray(0, 700_000));
    const disk = await shop.open("two.qcow2");
    expect(Buffer.compare(readAll(disk), expected)).toBe(0);
    disk.store.write(699_904, new Uint8Array(512).fill(3));
    expected.fill(3, 699_904, 699_904 + 512);
    disk.close();
    shop.expectClean("two.qcow2");
    shop.expectContents("two.qcow2", expected);
  });

  it("are raw where the header names no format, unless they start like qcow2", async () => {
    writeFileSync(shop.path("plain.raw"), bytes);
    create("v2.qcow2", "-F", "raw", "-b", "plain.raw");
    // The name of the extension for the backing format: unknown extensions are ignored.
    patch("v2.qcow2", readFileSync(shop.path("v2.qcow2")).indexOf("e2792aca", 0, "hex"), 0x12);
    const disk = await shop.open("v2.qcow2");
    expect(Buffer.compare(readAll(disk), bytes)).toBe(0);
    disk.close();
    create("like.raw");
    copyFileSync(shop.path("like.raw"), shop.path("plain.raw"));
    await expect(shop.open("v2.qcow2")).rejects.toThrow(
      /v2\.qcow2: its backing file .*plain\.raw: expected a disk image, found one that starts like qcow2.*rebase/,
    );
  });

  it("are refused in a circle, in endless chains, and when they are not files", async () => {
    create("a.qcow2");
    create("b.qcow2", "-F", "qcow2", "-b", "a.qcow2");
    shop.qemuImg("rebase", "-u", "-F", "qcow2", "-b", "b.qcow2", "a.qcow2");
    await expect(shop.open("a.qcow2")).rejects.toThrow(/the same file above itself/);
    for (let i = 0; i < 32; i++) {
      const below =
        i === 0 ? [] : ["-u", "-F", "qcow2", "-b", `chain${i - 1}.qcow2`, String(MIB)].slice(0, 5);
      shop.qemuImg("create", "-q", "-f", "qcow2", ...below, `chain${i}.qcow2`, String(MIB));
    }
    (await shop.open("chain31.qcow2")).close();
    shop.qemuImg("create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "chain31.qcow2", "chain32.qcow2", "1M");
    await expect(shop.open("chain32.qcow2")).rejects.toThrow(/more than 32 backing files/);
    for (const name of ["nbd://localhost/x", 'json:{"driver":"null-co"}', "fat:directory"]) {
      shop.qemuImg("create", "-u", "-f", "qcow2", "-F", "raw", "-b", name, "remote.qcow2", "1M");
      await expect(shop.open("remote.qcow2")).rejects.toThrow(/not the name of a file/);
    }
    shop.qemuImg("create", "-u", "-f", "qcow2", "-F", "vmdk", "-b", "x", "vmdk.qcow2", "1M");
    await expect(shop.open("vmdk.qcow2")).rejects.toThrow(/format "vmdk"/);
    shop.qemuImg("create", "-u", "-f", "qcow2", "-F", "raw", "-b", "gone.raw", "orphan.qcow2", "1M");
    await expect(shop.open("orphan.qcow2")).rejects.toThrow(/its backing file .*gone\.raw: .* found ENOENT/);
  });
});

describe.skipIf(!hasQemuImg)("images that are refused", () => {
  const bad: [name: string, make: () => void, expected: RegExp][] = [
    ["with extended L2 entries", () => create("x.qcow2", "-o", "extended_l2=on"), /with extended L2 entries/],
    [
      "with an external data file",
      () => create("x.qcow2", "-o", "data_file=data.raw"),
      /with an external data file/,
    ],
    [
      "encrypted",
      () =>
        create("x.qcow2", "--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s"),
      /an encrypted qcow2 image/,
    ],
    ["of an unknown version", () => patchNew(FIELD.VERSION + 3, 4), /qcow2 version 4/],
    [
      "with a feature nobody knows",
      () => patchNew(FIELD.INCOMPATIBLE_FEATURES + 2, 1),
      /incompatible feature 40/,
    ],
    [
      "with a feature that it names",
      () => {
        // The name of bit 0 becomes that of bit 9.
        create("x.qcow2");
        patch("x.qcow2", readFileSync(shop.path("x.qcow2")).indexOf("dirty bit") - 1, 9);
        patch("x.qcow2", FIELD.INCOMPATIBLE_FEATURES + 6, 2);
      },
      /with "dirty bit" \(incompatible feature 9\)/,
    ],
    [
      "marked corrupt",
      () => patchNew(FIELD.INCOMPATIBLE_FEATURES + 7, 2),
      /marked as corrupt: qemu-img check -r all/,
    ],
    [
      "marked dirty",
      () => patchNew(FIELD.INCOMPATIBLE_FEATURES + 7, 1),
      /its dirty bit is set.*check -r all/,
    ],
    [
      "with bitmaps",
      () => {
        create("x.qcow2");
        shop.qemuImg("bitmap", "--add", "x.qcow2", "b");
      },
      /with bitmaps/,
    ],
    ["with clusters of 2^40 bytes", () => patchNew(FIELD.CLUSTER_BITS + 3, 40), /clusters of 2\^40 bytes/],
    ["with refcounts of 2^9 bits", () => patchNew(FIELD.REFCOUNT_ORDER + 3, 9), /refcount order 9/],
    ["with an L1 table outside", () => patchNew(FIELD.L1_TABLE_OFFSET, 1), /the L1 table at/],
    [
      "with an L1 table off its boundary",
      () => patchNew(FIELD.L1_TABLE_OFFSET + 7, 8),
      /the L1 table at 30008h/,
    ],
    ["with a huge L1 table", () => patchNew(FIELD.L1_SIZE, 0xff), /the L1 table at/],
    ["with an L1 table that is too small", () => patchNew(FIELD.SIZE + 2, 1), /an L1 table of 1 entries/],
    [
      "with two tables in one place",
      () => patchNew(FIELD.REFCOUNT_TABLE_OFFSET + 5, 3),
      /two tables|refcount table entry/,
    ],
    ["with no refcounts", () => patchNew(FIELD.REFCOUNT_TABLE_CLUSTERS + 3, 0), /no refcount table/],
    [
      "with a table that is counted free",
      () => patchNew(0x20006, 0, 0),
      /a table at 30000h that is counted free/,
    ],
    [
      "cut off",
      () => {
        create("x.qcow2", "-o", "preallocation=metadata");
        truncateSync(shop.path("x.qcow2"), 150_000);
      },
      /a corrupt qcow2 image/,
    ],
    [
      "of 100 bytes",
      () => {
        create("x.qcow2");
        truncateSync(shop.path("x.qcow2"), 100);
      },
      /a corrupt qcow2 image \(100 bytes\)/,
    ],
    ["without a disk", () => shop.qemuImg("create", "-f", "qcow2", "x.qcow2", "0"), /an empty qcow2 disk/],
  ];

  function patchNew(at: number, ...values: number[]): void {
    create("x.qcow2");
    patch("x.qcow2", at, ...values);
  }

  it.each(bad)("are those %s", async (_name, make, expected) => {
    make();
    const before = readFileSync(shop.path("x.qcow2"));
    const error = await shop.open("x.qcow2").then(
      () => "opened",
      (reason: Error) => reason.message,
    );
    expect(error).toMatch(expected);
    expect(error).toMatch(/x\.qcow2: expected a disk image, found [^\n]+$/);
    expect(readFileSync(shop.path("x.qcow2")).equals(before)).toBe(true);
    // Nothing of it is locked or open.
    create("x.qcow2");
    (await shop.open("x.qcow2")).close();
  });

  it("are those that someone writes to", async () => {
    create("busy.qcow2");
    symlinkSync("busy.qcow2", shop.path("other.qcow2"));
    const writer = await shop.open("busy.qcow2");
    for (const options of [{}, { snapshot: true }, { readonly: true }]) {
      await expect(shop.open("other.qcow2", options)).rejects.toThrow(/another ukl-emu/);
    }
    writer.close();
    const readers = [
      await shop.open("busy.qcow2", { readonly: true }),
      await shop.open("other.qcow2", { snapshot: true }),
    ];
    for (const reader of readers) reader.close();
  });
});

const hasQemuIo = existsSync("/proc/locks") && !spawnSync("qemu-io", ["--version"]).error;

describe.skipIf(!hasQemuImg || !hasQemuIo)("an image that QEMU has open", () => {
  /** Runs while QEMU has the image open. */
  async function beside(args: string[], run: () => Promise<void>): Promise<void> {
    const child = spawn("qemu-io", args, { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.on("close", resolve));
    child.stdin.write("read 0 512\n");
    await new Promise((resolve) => child.stdout.once("data", resolve));
    try {
      await run();
    } finally {
      child.stdin.end("quit\n");
      await ended;
    }
  }

  it.each(["raw", "qcow2"])("is left to it: %s", async (format) => {
    const name = `shared.${format}`;
    shop.qemuImg("create", "-f", format, name, String(MIB));
    await beside(["-f", format, shop.path(name)], async () => {
      await expect(shop.open(name)).rejects.toThrow(/found one that QEMU has locked/);
      const reading = shop.open(name, { readonly: true });
      if (format === "qcow2") await expect(reading).rejects.toThrow(/QEMU has locked/);
      else (await reading).close();
    });
    await beside(["-r", "-f", format, shop.path(name)], async () => {
      // Whoever reads a raw image through qemu-io lets others write.
      if (format === "qcow2") await expect(shop.open(name)).rejects.toThrow(/found one that QEMU has locked/);
      (await shop.open(name, { readonly: true })).close();
    });
    (await shop.open(name)).close();
  });
});

describe.skipIf(!hasQemuImg)("an overlay", () => {
  const write = async (request: Parameters<typeof shop.open>[1], name: string, value: number) => {
    const disk = await shop.open(name, request);
    disk.store.write(4096, new Uint8Array(4096).fill(value));
    const all = readAll(disk);
    disk.close();
    return all;
  };

  it.each(["base.raw", "base.qcow2"])("takes the writes to %s, and is used again", async (base) => {
    writeFileSync(shop.path("base.raw"), bytes);
    shop.qemuImg("convert", "-O", "qcow2", "base.raw", "base.qcow2");
    const before = readFileSync(shop.path(base));
    const overlay = shop.path(`over-${base}.qcow2`);
    const expected = bytes.slice().fill(1, 4096, 8192);
    expect(Buffer.compare(await write({ overlay }, base, 1), expected)).toBe(0);
    shop.expectClean(overlay);
    shop.expectContents(overlay, expected);
    const info = JSON.parse(shop.qemuImg("info", "--output=json", overlay));
    expect(info["backing-filename"]).toBe(base);
    expect(info["backing-filename-format"]).toBe(base.split(".")[1]);
    const again = await shop.open(base, { overlay, snapshot: true });
    expect(Buffer.compare(readAll(again), expected)).toBe(0);
    again.close();
    expect(readFileSync(shop.path(base)).equals(before)).toBe(true);
    // qemu-img writes to it too.
    shop.qemuImg("commit", overlay);
    if (base === "base.raw") expect(Buffer.compare(readFileSync(shop.path(base)), expected)).toBe(0);
  });

  it("is refused above another disk, or where nobody may write", async () => {
    writeFileSync(shop.path("base.raw"), bytes);
    writeFileSync(shop.path("other.raw"), bytes);
    const overlay = shop.path("over.qcow2");
    await write({ overlay }, "base.raw", 1);
    const before = readFileSync(overlay);
    await expect(shop.open("other.raw", { overlay })).rejects.toThrow(
      /over\.qcow2: expected an overlay of .*other\.raw/,
    );
    await expect(shop.open("base.raw", { overlay: shop.path("other.raw") })).rejects.toThrow(
      /no qcow2 header/,
    );
    await expect(shop.open("missing.raw", { overlay: shop.path("new.qcow2") })).rejects.toThrow(
      /missing\.raw/,
    );
    expect(existsSync(shop.path("new.qcow2"))).toBe(false);
    expect(readFileSync(overlay).equals(before)).toBe(true);
    execFileSync("chmod", ["444", overlay]);
    await expect(shop.open("base.raw", { overlay })).rejects.toThrow(/without write permission/);
  });

  it("names a base in another directory by its whole path", async () => {
    mkdirSync(shop.path("far"), { recursive: true });
    writeFileSync(shop.path("base.raw"), bytes);
    const overlay = shop.path("far/over.qcow2");
    await write({ overlay }, "base.raw", 2);
    shop.expectContents(overlay, bytes.slice().fill(2, 4096, 8192));
  });
});
