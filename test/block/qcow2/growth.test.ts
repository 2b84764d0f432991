/** An image that grows beyond its refcount table, and what happens to the clusters that tables leave. */
import { readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FIELD } from "../../../src/block/qcow2/header.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, readAll, useWorkshop } from "./images.ts";

const shop = useWorkshop();
const MIB = 2 ** 20;

const tableClusters = (name: string): number =>
  readFileSync(shop.path(name)).readUInt32BE(FIELD.REFCOUNT_TABLE_CLUSTERS);

describe.skipIf(!hasQemuImg)("growth", () => {
  // One cluster of the table counts 2 MiB and 8 MiB of such an image.
  test.each(["64", "16"])("a refcount table becomes longer: refcounts of %s bits", async (bits) => {
    const size = 12 * MIB;
    shop.qemuImg(
      "create",
      "-f",
      "qcow2",
      "-o",
      `cluster_size=512,refcount_bits=${bits}`,
      "grow.qcow2",
      String(size),
    );
    const before = tableClusters("grow.qcow2");
    const bytes = content(Random.spread(5), size);
    const disk = await shop.open("grow.qcow2");
    for (let at = 0; at < size; at += 128 * 1024) {
      disk.store.write(at, bytes.subarray(at, at + 128 * 1024));
      if (at % (2 * MIB) === 0) disk.store.flush();
    }
    expect(Buffer.compare(readAll(disk), bytes)).toBe(0);
    disk.close();
    expect(tableClusters("grow.qcow2")).toBeGreaterThan(before);
    shop.expectClean("grow.qcow2");
    shop.expectContents("grow.qcow2", bytes);
  });

  test.each(["64k", "512"])(
    "600 commits leave the file as large as a few: clusters of %s",
    async (cluster) => {
      shop.qemuImg("create", "-f", "qcow2", "-o", `cluster_size=${cluster}`, "same.qcow2", String(4 * MIB));
      const disk = await shop.open("same.qcow2");
      const sizes: number[] = [];
      for (let i = 0; i < 300; i++) {
        const at = (i % 16) * 64 * 1024;
        disk.store.write(at, new Uint8Array(4096).fill(i));
        disk.store.flush();
        disk.store.discard(at, 64 * 1024);
        disk.store.flush();
        if (i === 60 || i === 299) sizes.push(statSync(shop.path("same.qcow2")).size);
      }
      disk.close();
      expect(sizes[1]).toBeLessThanOrEqual(sizes[0]! + 8 * 64 * 1024);
      shop.expectClean("same.qcow2");
    },
  );
});
