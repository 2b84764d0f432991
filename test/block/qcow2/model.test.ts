/** Random requests to images of every kind, beside an array in memory; qemu-img has the last word on both. */
import { copyFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SECTOR } from "../../../src/devices/virtio/block.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, readAll, useWorkshop } from "./images.ts";

const shop = useWorkshop();
const KIB = 1024;
const MIB = 1024 * KIB;

interface Kind {
  readonly clusterSize: number;
  readonly version?: 2 | 3;
  /** `qemu-img create -o`, behind the cluster size. */
  readonly options?: string;
  readonly size?: number;
  /** What is in it before: compressed data, or a file below. */
  readonly start?: "compressed" | "raw" | "qcow2" | "short";
  /** qemu-img makes so many snapshots of it in between. */
  readonly snapshots?: number;
}

const KINDS: readonly Kind[] = [
  { clusterSize: 512, size: MIB },
  { clusterSize: 512, size: MIB, start: "compressed", options: "refcount_bits=1" },
  { clusterSize: 512, size: MIB, start: "raw", options: "refcount_bits=64", snapshots: 3 },
  { clusterSize: 1 * KIB, options: "refcount_bits=2", snapshots: 1 },
  { clusterSize: 4 * KIB, version: 2 },
  { clusterSize: 4 * KIB, version: 2, start: "raw", snapshots: 3 },
  { clusterSize: 4 * KIB, start: "compressed", options: "compression_type=zstd" },
  { clusterSize: 8 * KIB, start: "compressed", options: "compression_type=zstd", snapshots: 3 },
  { clusterSize: 16 * KIB, options: "refcount_bits=4", start: "short" },
  { clusterSize: 64 * KIB },
  { clusterSize: 64 * KIB, size: 4 * MIB - 512, start: "compressed", snapshots: 3 },
  { clusterSize: 64 * KIB, options: "lazy_refcounts=on", start: "qcow2" },
  { clusterSize: 64 * KIB, options: "preallocation=metadata" },
  { clusterSize: 64 * KIB, options: "preallocation=falloc,refcount_bits=8", snapshots: 3 },
  { clusterSize: 256 * KIB, options: "refcount_bits=32", start: "raw", size: 4 * MIB + 512 },
  { clusterSize: 2 * MIB, size: 16 * MIB, start: "compressed" },
  { clusterSize: 2 * MIB, size: 12 * MIB + 4096, start: "qcow2", options: "compression_type=zstd" },
];

/** @returns its contents */
function make({ clusterSize, version = 3, options, size = 4 * MIB, start }: Kind, dice: Random): Uint8Array {
  const compat = version === 2 ? "0.10" : "1.1";
  const o = `cluster_size=${clusterSize},compat=${compat}${options === undefined ? "" : `,${options}`}`;
  const before = new Uint8Array(size);
  if (start === undefined) {
    shop.qemuImg("create", "-f", "qcow2", "-o", o, "disk.qcow2", String(size));
    return before;
  }
  before.set(content(dice, start === "short" ? size / 2 + 512 : size));
  // Some of it reads as zeroes.
  before.fill(0, size / 4, size / 4 + 600_000);
  writeFileSync(shop.path("below.raw"), start === "short" ? before.subarray(0, size / 2 + 512) : before);
  const below = start === "qcow2" ? "below.qcow2" : "below.raw";
  if (start === "qcow2") shop.qemuImg("convert", "-c", "-f", "raw", "-O", "qcow2", "below.raw", below);
  if (start === "compressed") {
    shop.qemuImg("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", o, below, "disk.qcow2");
  } else {
    const format = start === "qcow2" ? "qcow2" : "raw";
    shop.qemuImg("create", "-f", "qcow2", "-o", o, "-F", format, "-b", below, "disk.qcow2", String(size));
  }
  return before;
}

/** `FUZZ_SEEDS=100 vitest run test/block/qcow2/model.test.ts` is the long run. */
const SEEDS = Number(process.env["FUZZ_SEEDS"] ?? 1);
const RUNS = KINDS.flatMap((kind) =>
  Array.from({ length: SEEDS }, (_, seed): [name: string, kind: Kind, seed: number] => {
    const words = [`clusters of ${kind.clusterSize}`, `version ${kind.version ?? 3}`];
    if (kind.options !== undefined) words.push(kind.options);
    if (kind.start !== undefined)
      words.push(kind.start === "compressed" ? kind.start : `above ${kind.start}`);
    if (kind.snapshots !== undefined) words.push("snapshots");
    return [`${words.join(", ")}, seed ${seed}`, kind, seed];
  }),
);

describe.skipIf(!hasQemuImg)("random requests to qcow2", () => {
  test.each(RUNS)("%s", async (_name, kind, seed) => {
    const dice = Random.spread(seed * 100 + KINDS.indexOf(kind));
    const model = make(kind, dice);
    const { size = 4 * MIB, version = 3, start, clusterSize, snapshots = 0 } = kind;
    const sectors = size / SECTOR;
    const keepsDiscarded = version === 2 && start !== undefined && start !== "compressed";
    const kept: { readonly name: string; readonly contents: Uint8Array }[] = [];
    for (let round = 0; round < 4; round++) {
      const disk = await shop.open("disk.qcow2", { format: "qcow2" });
      const { store } = disk;
      expect(store.size).toBe(size);
      expect(Buffer.compare(readAll(disk), model)).toBe(0);
      for (let i = 0; i < 60; i++) {
        const first = dice.below(sectors);
        const long = dice.chance(4) ? Math.max(8, (4 * clusterSize) / SECTOR) : 8;
        const offset = first * SECTOR;
        const length = Math.min(sectors - first, 1 + dice.below(long)) * SECTOR;
        const end = offset + length;
        switch (dice.below(8)) {
          case 0:
            store.writeZeroes(offset, length);
            model.fill(0, offset, end);
            break;
          case 1: {
            store.discard(offset, length);
            if (keepsDiscarded) break;
            const whole = Math.ceil(offset / clusterSize) * clusterSize;
            const last = end === size ? end : Math.floor(end / clusterSize) * clusterSize;
            if (last > whole) model.fill(0, whole, last);
            break;
          }
          case 2:
            store.flush();
            break;
          case 3: {
            const bytes = new Uint8Array(length);
            store.read(offset, bytes);
            expect(Buffer.compare(bytes, model.subarray(offset, end))).toBe(0);
            break;
          }
          default: {
            const bytes = content(dice, length);
            store.write(offset, bytes);
            model.set(bytes, offset);
          }
        }
      }
      disk.close();
      shop.expectClean("disk.qcow2");
      shop.expectContents("disk.qcow2", model);
      if (round < snapshots) {
        const name = `s${round}`;
        shop.qemuImg("snapshot", "-c", name, "disk.qcow2");
        kept.push({ name, contents: model.slice() });
      }
    }
    for (const { name, contents } of kept) {
      copyFileSync(shop.path("disk.qcow2"), shop.path("snapshot.qcow2"));
      shop.qemuImg("snapshot", "-a", name, "snapshot.qcow2");
      shop.expectClean("snapshot.qcow2");
      shop.expectContents("snapshot.qcow2", contents);
    }
    expect(shop.told).toEqual([]);
  });
});
