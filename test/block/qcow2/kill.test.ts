/**
 * The emulator's disk is killed while it writes: the image is clean for qemu-img at any moment, without a repair, and
 * every record is there whose flush had returned.
 */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Random } from "../../random.ts";
import { hasQemuImg, useWorkshop } from "./images.ts";
import { DISK, lostSlots, MOST_UNFLUSHED } from "./records.ts";

/** `KILLS=200 vitest run test/block/qcow2/kill.test.ts` is the long run. */
const KILLS = Number(process.env["KILLS"] ?? 8);
const shop = useWorkshop();
const program = join(import.meta.dirname, "records.ts");

/** Operations that the last flush covers. */
function flushedIn(text: string): number {
  return Number([...text.matchAll(/^flushed (\d+)$/gm)].at(-1)?.[1] ?? 0);
}

/** @returns how many operations were flushed */
async function killedWriter(seed: number, delay: number): Promise<number> {
  const child = spawn(process.execPath, [program, shop.path("disk.qcow2"), String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  const ended = new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)));
  const started = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      resolve();
    });
  });
  await Promise.race([started, ended]);
  await setTimeout(delay);
  child.kill("SIGKILL");
  expect(await ended).toBe("SIGKILL");
  return flushedIn(text);
}

describe.skipIf(!hasQemuImg)("an image whose writer is killed", () => {
  const kinds: [string, string][] = [
    ["clusters of 64 KiB", "cluster_size=64k"],
    ["clusters of 4 KiB above another image", "cluster_size=4k"],
    ["clusters of 512 bytes, with a snapshot", "cluster_size=512"],
    ["clusters of 2 MiB", "cluster_size=2M,refcount_bits=64"],
  ];
  const timeout = 60_000 + KILLS * 5000;
  test.each(kinds)(`${KILLS} times, %s`, { timeout }, async (name, options) => {
    const dice = Random.spread(name.length);
    const below = name.includes("above") ? ["-F", "raw", "-b", "below.raw"] : [];
    shop.qemuImg("create", "-f", "raw", "below.raw", String(DISK));
    shop.qemuImg("create", "-f", "qcow2", "-o", options, ...below, "disk.qcow2", String(DISK));
    if (name.includes("snapshot")) shop.qemuImg("snapshot", "-c", "first", "disk.qcow2");
    let total = 0;
    let disk: Uint8Array = new Uint8Array(DISK);
    for (let kill = 0; kill < KILLS; kill++) {
      const seed = kill + 1;
      const flushed = await killedWriter(seed, dice.below(400));
      total += flushed;
      shop.expectClean("disk.qcow2");
      const before = disk;
      shop.qemuImg("convert", "-O", "raw", "disk.qcow2", "after.raw");
      disk = readFileSync(shop.path("after.raw"));
      const lost = lostSlots(seed, flushed, flushed + MOST_UNFLUSHED, new Set(), before, disk);
      expect(lost, `kill ${kill}, ${flushed} operations flushed`).toEqual([]);
    }
    expect(total).toBeGreaterThan(KILLS * 10);
  });
});

describe.skipIf(!hasQemuImg)("a host that has no room for more", () => {
  const COUNT = 500;
  // Blocks of 512 bytes that the file may have in the first two rounds.
  const kinds: [string, number, number][] = [
    ["64k", 4000, 6000],
    ["512", 1500, 2000],
    ["2M", 16_000, 20_000],
  ];
  test.each(kinds)("fails requests, and loses nothing that was flushed: %s", (clusterSize, ...limits) => {
    shop.qemuImg("create", "-f", "qcow2", "-o", `cluster_size=${clusterSize}`, "disk.qcow2", String(DISK));
    let disk: Uint8Array = new Uint8Array(DISK);
    for (const [round, limit] of [...limits, "unlimited"].entries()) {
      const command = `trap "" XFSZ; ulimit -f ${limit}; exec "$0" "$@"`;
      const args = [program, shop.path("disk.qcow2"), String(round + 1), String(COUNT)];
      const { stdout, stderr, status } = spawnSync("sh", ["-c", command, process.execPath, ...args], {
        encoding: "utf8",
      });
      expect(status, stderr).toBe(0);
      const failed = new Set([...stdout.matchAll(/^failed (\d+)$/gm)].map(([, n]) => Number(n)));
      const told = stdout.match(/^told .*$/gm) ?? [];
      if (limit !== "unlimited") {
        expect(failed.size).toBeGreaterThan(20);
        // Once for each kind.
        expect(new Set(told).size).toBe(told.length);
        expect(told).toContain("told write EFBIG");
      } else expect([failed.size, told]).toEqual([0, []]);
      shop.expectClean("disk.qcow2");
      const before = disk;
      shop.qemuImg("convert", "-O", "raw", "disk.qcow2", "after.raw");
      disk = readFileSync(shop.path("after.raw"));
      expect(lostSlots(round + 1, flushedIn(stdout), COUNT, failed, before, disk), stdout).toEqual([]);
    }
  });
});
