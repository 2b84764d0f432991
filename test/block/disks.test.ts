import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type DiskRequest, openDisk } from "../../src/block/open.ts";
import { RawFile } from "../../src/block/raw-file.ts";
import { Snapshot } from "../../src/block/snapshot.ts";
import { StoreError } from "../../src/devices/virtio/block.ts";

const work = mkdtempSync(join(tmpdir(), "ukl-emu-disks-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const noise = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * seed) ^ (i >> 8));
let count = 0;
function disk(bytes: Uint8Array): string {
  const path = join(work, `disk${count++}.img`);
  writeFileSync(path, bytes);
  return path;
}

const failures: string[] = [];
const open = (file: string, options: Partial<DiskRequest> = {}) =>
  openDisk(
    { file, readonly: false, snapshot: false, ...options },
    (error) => (error as NodeJS.ErrnoException).code ?? "unknown",
    (operation, error) => failures.push(`${operation} ${(error as NodeJS.ErrnoException).code}`),
  );

describe("a raw disk", () => {
  it("is read and written in place, and keeps its size", async () => {
    const bytes = noise(64 * 512);
    const path = disk(bytes);
    const { store, close } = await open(path);
    expect([store.size, store.readonly]).toEqual([64 * 512, false]);
    const read = new Uint8Array(1024);
    store.read(512, read);
    expect(read).toEqual(bytes.slice(512, 1536));
    store.write(1024, noise(512, 3));
    store.writeZeroes(4096, 8192);
    store.discard(0, 4096);
    store.flush();
    close();
    close();
    bytes.set(noise(512, 3), 1024);
    bytes.fill(0, 4096, 12_288);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
  });

  it("writes more zeroes than it holds at once", async () => {
    const path = disk(noise(2 ** 20));
    const { store, close } = await open(path);
    store.writeZeroes(512, 2 ** 20 - 1024);
    close();
    const after = new Uint8Array(readFileSync(path));
    expect([after[511], after.subarray(512, 2 ** 20 - 512).some((byte) => byte !== 0)]).toEqual([
      noise(512)[511],
      false,
    ]);
    expect(after.slice(-512)).toEqual(noise(2 ** 20).slice(-512));
  });

  it("tells of a failure once for each kind, and each request fails", () => {
    const told: string[] = [];
    // Every write to this device finds it full.
    const fd = openSync("/dev/full", "r+");
    const store = new RawFile(fd, 512, false, (operation, error) =>
      told.push(`${operation} ${(error as NodeJS.ErrnoException).code}`),
    );
    for (let i = 0; i < 3; i++) expect(() => store.write(0, new Uint8Array(512))).toThrow(StoreError);
    expect(() => store.writeZeroes(0, 512)).toThrow(StoreError);
    expect(told).toEqual(["write ENOSPC"]);
    closeSync(fd);
  });

  it("fails where the file has become shorter", async () => {
    const path = disk(noise(4096));
    const { store, close } = await open(path, { readonly: true });
    truncateSync(path, 1024);
    store.read(0, new Uint8Array(1024));
    expect(() => store.read(512, new Uint8Array(1024))).toThrow(/shorter/);
    close();
  });
});

describe("a snapshot", () => {
  it("shows what was written over what is below, and leaves that as it is", () => {
    const bytes = noise(40 * 512);
    const reads: number[] = [];
    const snapshot = new Snapshot({
      size: bytes.length,
      readonly: true,
      read: (offset, target) => {
        reads.push(offset);
        target.set(bytes.subarray(offset, offset + target.length));
      },
      write: () => expect.unreachable(),
      writeZeroes: () => expect.unreachable(),
      discard: () => expect.unreachable(),
      flush: () => {},
    });
    const expected = bytes.slice();
    // Any mixture of writes; the last cluster is half outside the disk.
    let x = 7;
    for (let i = 0; i < 200; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      const first = x % 40;
      const length = (1 + ((x >>> 8) % Math.min(20, 40 - first))) * 512;
      if ((x >>> 20) % 3 === 0) {
        snapshot.writeZeroes(first * 512, length);
        expected.fill(0, first * 512, first * 512 + length);
      } else {
        const data = noise(length, i);
        snapshot.write(first * 512, data);
        expected.set(data, first * 512);
      }
      const all = new Uint8Array(bytes.length);
      snapshot.read(0, all);
      expect(all).toEqual(expected);
      const part = new Uint8Array(length);
      snapshot.read(first * 512, part);
      expect(part).toEqual(expected.slice(first * 512, first * 512 + length));
    }
    expect(snapshot.memory).toBe(5 * 4096);
    expect(reads.length).toBeGreaterThan(0);
    expect(bytes).toEqual(noise(40 * 512));
  });
});

describe("opening", () => {
  const qcow2 = new Uint8Array(1024);
  qcow2.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);

  it.each<[string, Uint8Array, Partial<DiskRequest>, RegExp]>([
    ["an empty file", new Uint8Array(0), {}, /found an empty file: truncate/],
    ["half a sector", noise(768), {}, /found 768 bytes: its size must be a multiple of 512/],
    [
      "qcow2 by contents alone",
      qcow2,
      {},
      /starts like qcow2, which a guest can write.*format=qcow2 or format=raw/,
    ],
    ["qcow2 by option alone", noise(512), { format: "qcow2" }, /found no qcow2 header/],
    ["a header without an image", qcow2, { format: "qcow2" }, /found a corrupt qcow2 image/],
  ])("refuses %s", async (_name, bytes, options, expected) => {
    const path = disk(bytes);
    await expect(open(path, options)).rejects.toThrow(expected);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
  });

  it("refuses what is missing, a directory and a device", async () => {
    const missing = join(work, "missing");
    await expect(open(missing)).rejects.toThrow(/ENOENT/);
    expect(existsSync(missing)).toBe(false);
    await expect(open(work, { readonly: true })).rejects.toThrow(/directory/);
    await expect(open("/dev/null")).rejects.toThrow(/special file/);
  });

  it("takes a raw disk that starts like qcow2 when it is said to be raw", async () => {
    const { store, close } = await open(disk(qcow2), { format: "raw" });
    expect(store.size).toBe(1024);
    close();
  });

  it("refuses to write to a file without write permission, and reads it", async () => {
    const path = disk(noise(512));
    execFileSync("chmod", ["444", path]);
    await expect(open(path)).rejects.toThrow(/readonly or snapshot/);
    for (const options of [{ readonly: true }, { snapshot: true }]) {
      const { store, close } = await open(path, options);
      expect(store.readonly).toBe("readonly" in options);
      close();
    }
  });

  it.skipIf(process.platform !== "linux")("lets one writer in, by whichever name, and readers", async () => {
    const path = disk(noise(512));
    const other = join(work, "link.img");
    execFileSync("ln", [path, other]);
    const first = await open(path);
    await expect(open(other)).rejects.toThrow(/another ukl-emu/);
    const reader = await open(path, { snapshot: true });
    reader.close();
    first.close();
    const second = await open(other);
    second.close();
  });
});
