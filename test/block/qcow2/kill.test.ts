/**
 * The emulator's disk is killed while it writes: the image is clean for qemu-img at any moment, without a repair, and
 * every record is there whose flush had returned.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Random } from "../../random.ts";
import { hasQemuImg, useWorkshop } from "./images.ts";
import { DISK, MOST_UNFLUSHED, operation, RECORD, record, SLOTS, slotOffset } from "./records.ts";

/** `KILLS=200 vitest run test/block/qcow2/kill.test.ts` is the long run. */
const KILLS = Number(process.env["KILLS"] ?? 8);
const shop = useWorkshop();

/** @returns how many operations were flushed */
async function killedWriter(seed: number, delay: number): Promise<number> {
  const program = join(import.meta.dirname, "records.ts");
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
  return Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1));
}

/** What may be in each slot, from numbers of operations: the last one that was flushed, or any later one. */
function allowed(seed: number, flushed: number, before: Uint8Array): Uint8Array[][] {
  const slots = Array.from({ length: SLOTS }, (_, slot) => [slotOf(before, slot)]);
  for (let n = 0; n < flushed + MOST_UNFLUSHED; n++) {
    const { kind, slot } = operation(seed, n);
    if (kind !== "record" && kind !== "zero") continue;
    if (n < flushed) slots[slot] = [];
    slots[slot]!.push(kind === "zero" ? new Uint8Array(RECORD) : record(seed, n, slot));
  }
  return slots;
}

const slotOf = (disk: Uint8Array, slot: number): Uint8Array =>
  disk.subarray(slotOffset(slot), slotOffset(slot) + RECORD);

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
      const slots = allowed(seed, flushed, disk);
      shop.qemuImg("convert", "-O", "raw", "disk.qcow2", "after.raw");
      disk = readFileSync(shop.path("after.raw"));
      const lost = slots.flatMap((states, slot) =>
        states.some((state) => Buffer.compare(state, slotOf(disk, slot)) === 0) ? [] : [slot],
      );
      expect(lost, `kill ${kill}, ${flushed} operations flushed`).toEqual([]);
    }
    expect(total).toBeGreaterThan(KILLS * 10);
  });
});
