/**
 * Damaged images: each is refused with one line or serves a guest that does anything. Nothing else may happen: no other
 * error, no hang, no growth of memory or of the file beyond what the guest asked for.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { DiskError } from "../../../src/block/disk-error.ts";
import type { Disk } from "../../../src/block/open.ts";
import { FIELD, read64 } from "../../../src/block/qcow2/header.ts";
import { SECTOR, StoreError } from "../../../src/devices/virtio/block.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, useWorkshop } from "./images.ts";

/** `FUZZ_IMAGES=100000 vitest run test/block/qcow2/fuzz.test.ts` is the long run. */
const IMAGES = Number(process.env["FUZZ_IMAGES"] ?? 1000);
const DISK = 256 * 1024;
const OPERATIONS = 24;
const TIME_LIMIT_MS = 30_000;
/** Memory of the process that a case may leave behind or need at once, beside what collection has not found yet. */
const MEMORY_LIMIT = 256 * 2 ** 20;

const shop = useWorkshop();

const KINDS: readonly (readonly string[])[] = [
  ["cluster_size=512"],
  ["cluster_size=512,compat=0.10"],
  ["cluster_size=4k"],
  ["cluster_size=4k,compression_type=zstd", "-c"],
  ["cluster_size=512,refcount_bits=1", "-c"],
  ["cluster_size=64k,refcount_bits=64"],
];

interface Seed {
  readonly bytes: Buffer;
  /** Where the tables are. */
  readonly places: readonly number[];
}

const seeds: Seed[] = [];

beforeAll(() => {
  if (!hasQemuImg) return;
  const dice = Random.spread(3);
  const bytes = content(dice, DISK);
  bytes.fill(0, DISK / 2, DISK / 2 + 70_000);
  writeFileSync(shop.path("contents.raw"), bytes);
  KINDS.forEach(([options, ...more], i) => {
    const name = `seed${i}.qcow2`;
    shop.qemuImg("convert", "-f", "raw", "-O", "qcow2", ...more, "-o", options!, "contents.raw", name);
    if (i % 3 === 0) shop.qemuImg("snapshot", "-c", "one", name);
    const image = readFileSync(shop.path(name));
    const view = new DataView(image.buffer, image.byteOffset, image.length);
    const fields = [FIELD.L1_TABLE_OFFSET, FIELD.REFCOUNT_TABLE_OFFSET, FIELD.SNAPSHOTS_OFFSET];
    const tables = fields.map((field) => read64(view, field));
    const below = tables.slice(0, 2).map((table) => read64(view, table) % 2 ** 48);
    seeds.push({ bytes: image, places: [0, 0, ...tables, ...below] });
  });
});

const WORDS = [0n, 1n, 1n << 62n, 1n << 63n, (1n << 56n) - 512n, (1n << 63n) | 0x3_0000n, (1n << 64n) - 1n];

function damage(dice: Random, { bytes, places }: Seed): Buffer {
  const image = Buffer.from(bytes);
  for (let i = 1 + dice.below(5); i > 0; i--) {
    const base = dice.chance(5) ? dice.below(image.length) : dice.pick(places);
    const at = Math.min(image.length - 8, base + dice.below(dice.pick([16, 112, 512])));
    const word = at - (at % 8);
    switch (dice.below(6)) {
      case 0:
        image[at] = dice.below(256);
        break;
      case 1:
        image[at]! ^= 1 << dice.below(8);
        break;
      case 2:
        image.writeBigUInt64BE(dice.pick(WORDS), word);
        break;
      case 3: {
        // What is right elsewhere: two references to one cluster, a table that is its own entry.
        const from = Math.min(image.length - 8, dice.pick(places) + 8 * dice.below(8));
        image.copy(image, word, from, from + 8);
        break;
      }
      case 4:
        image.writeBigUInt64BE(BigInt(dice.pick(places) + 512 * dice.below(8)) | (1n << 63n), word);
        break;
      default:
        image.writeUInt32BE(dice.u32(), at - (at % 4));
    }
  }
  return dice.chance(12) ? image.subarray(0, dice.below(image.length)) : image;
}

/** @returns requests that failed */
function anything(dice: Random, { store }: Disk): number {
  let failed = 0;
  const sectors = store.size / SECTOR;
  // Near the start of the disk is what the seeds have; elsewhere is what damage makes of the size.
  const near = Math.min(sectors, DISK / SECTOR);
  for (let i = 0; i < OPERATIONS; i++) {
    const from = dice.chance(6) ? Math.floor((dice.u32() / 2 ** 32) * sectors) : dice.below(near);
    const length = Math.min(sectors - from, 1 + dice.below(64)) * SECTOR;
    try {
      switch (dice.below(8)) {
        case 0:
          store.discard(from * SECTOR, length);
          break;
        case 1:
          store.writeZeroes(from * SECTOR, length);
          break;
        case 2:
          store.flush();
          break;
        case 3:
        case 4:
          store.write(from * SECTOR, new Uint8Array(length).fill(i));
          break;
        default:
          store.read(from * SECTOR, new Uint8Array(length));
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      failed++;
    }
  }
  return failed;
}

describe.skipIf(!hasQemuImg)("damaged qcow2 images", () => {
  test(`${IMAGES} of them are refused or serve`, { timeout: 120_000 + IMAGES * 40 }, async () => {
    const counts = { refused: 0, failed: 0, served: 0 };
    const before = process.memoryUsage();
    for (let number = 0; number < IMAGES; number++) {
      const dice = Random.spread(number + 1);
      const image = damage(dice, dice.pick(seeds));
      writeFileSync(shop.path("damaged.img"), image);
      shop.told.length = 0;
      const started = performance.now();
      const options = { format: "qcow2", readonly: dice.chance(5), snapshot: dice.chance(5) } as const;
      const disk = await shop.open("damaged.img", options).catch((error: unknown) => {
        if (error instanceof DiskError && /^[^\n]+$/.test(error.message)) return null;
        throw new Error(`image ${number}`, { cause: error });
      });
      if (disk === null) {
        counts.refused++;
        expect(Buffer.compare(readFileSync(shop.path("damaged.img")), image), `image ${number}`).toBe(0);
      } else {
        const failed = anything(dice, disk);
        disk.close();
        if (failed > 0) counts.failed++;
        else counts.served++;
        // What is wrong is said, and said once.
        expect(shop.told.length, `image ${number}`).toBeLessThanOrEqual(failed > 0 ? 4 : 1);
        // The most that so many requests can take, with a place for each table that they touch.
        const grown = statSync(shop.path("damaged.img")).size - image.length;
        expect(grown, `image ${number}`).toBeLessThan(OPERATIONS * 20 * 65_536 + 8 * 2 ** 20);
      }
      expect(performance.now() - started, `image ${number}`).toBeLessThan(TIME_LIMIT_MS);
      if (number % 100 === 99) {
        const { rss } = process.memoryUsage();
        expect(rss - before.rss, `image ${number}`).toBeLessThan(MEMORY_LIMIT);
      }
    }
    // The run has been where it should.
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(IMAGES / 50);
  });
});
