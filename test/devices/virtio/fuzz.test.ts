/**
 * A guest that does anything: writes to every register in every state, and queues full of lies. The memory under the
 * devices throws on an access outside RAM, the store on one outside the disk; so does a batch that does too much.
 */
import { describe, expect, test } from "vitest";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import type { VirtioDevice } from "../../../src/devices/virtio/device.ts";
import { VirtioRng } from "../../../src/devices/virtio/rng.ts";
import { Random } from "../../random.ts";
import {
  createRig,
  FULL,
  HOLE,
  PLAIN,
  RAM_SIZE,
  type Rig,
  start,
  type TestRing,
  TestStore,
} from "./driver.ts";

/** `FUZZ_STEPS=1000000 vitest run test/devices/virtio/fuzz.test.ts` is the long run. */
const STEPS = Number(process.env["FUZZ_STEPS"] ?? 5000);

const LENGTHS = [0, 1, 16, 511, 512, 513, 4096, 0x1_0000, 0x8000_0000, 0xffff_ffff];
const ADDRESSES = [
  0,
  1,
  HOLE - 8,
  HOLE,
  RAM_SIZE - 16,
  RAM_SIZE,
  0xfee0_0000,
  2 ** 32,
  2 ** 53,
  2 ** 64 - 4096,
];
const INDEXES = [0, 1, 63, 64, 0x7fff, 0xfffe, 0xffff];

function lie(dice: Random, { memory }: Rig, ring: TestRing): void {
  const address = dice.below(3) === 0 ? dice.pick(ADDRESSES) : 0x20_0000 + dice.below(0x10_0000);
  const length = dice.below(3) === 0 ? dice.pick(LENGTHS) : 1 + dice.below(1024);
  switch (dice.below(6)) {
    case 0:
      ring.descriptor(
        ring.descriptors,
        dice.below(ring.size),
        address,
        length,
        dice.below(8),
        dice.below(80),
      );
      return;
    case 1:
      // A table somewhere, and a descriptor that names it.
      for (let i = 0; i < 4; i++) {
        ring.descriptor(0x20_0000, i, address, length, dice.below(4), dice.below(5));
      }
      ring.descriptor(ring.descriptors, dice.below(ring.size), 0x20_0000, 16 * dice.below(5), 4);
      return;
    case 2:
      memory.write16(ring.driver + dice.pick([0, 2, 4 + 2 * ring.size]), dice.pick(INDEXES));
      return;
    case 3:
      memory.write16(ring.device + dice.pick([0, 2, 4 + 8 * ring.size]), dice.u32() & 0xffff);
      return;
    case 4:
      ring.offer(dice.below(ring.size + 2));
      return;
    default: {
      // A request as it should be, or nearly.
      memory.write32(0x21_0000, dice.pick([0, 1, 4, 8, 11, 13, 14, dice.u32()]));
      memory.write32(0x21_0008, dice.pick([0, 1, 15, 16, 0xffff_ffff]));
      memory.write32(0x21_000c, dice.pick([0, 0, 0, 1, 0xffff_ffff]));
      const parts = [
        { address: 0x21_0000, length: 16 },
        { address: 0x22_0000, length: dice.pick([16, 512, 1024]), write: dice.below(2) === 0 },
        { address: 0x23_0000, length: 1, write: true },
      ];
      ring.offer(dice.below(2) === 0 ? ring.chain(parts) : ring.indirect(parts, 0x20_8000));
    }
  }
}

function poke(dice: Random, { driver, pci, msix }: Rig): void {
  const size = dice.pick([1, 2, 4] as const);
  const value = dice.pick([0, 1, 3, 11, 15, 0xff, dice.u32()]) % 2 ** (8 * size);
  switch (dice.below(pci === null ? 2 : 4)) {
    case 0:
      driver.device.write(dice.below(0x140 / size) * size, size, value);
      return;
    case 1:
      driver.device.read(dice.below(0x4000 / size) * size, size);
      return;
    case 2:
      msix!.write(dice.below(0x400) * 4, 4, dice.u32());
      return;
    default: {
      const at = dice.below(256 / size) * size;
      pci!.readConfig(at, size);
      pci!.writeConfig(at, size, value);
    }
  }
}

/** @returns how often the device was started, how often it came to need a reset, and what it did */
function fuzz(kind: "pci" | "mmio", device: VirtioDevice, store: TestStore | null, seed: number) {
  const dice = new Random(seed);
  const rig = createRig(kind, device);
  const sizes = device.queueSizes.map(() => (device.queueSizes.length === 1 ? 8 : 64));
  let rings = start(rig, FULL, sizes);
  const counts = { starts: 1, resets: 0, given: 0 };
  for (let step = 0; step < STEPS; step++) {
    const action = dice.below(20);
    if (action < 10) lie(dice, rig, dice.pick(rings));
    else if (action < 12) poke(dice, rig);
    else if (action < 16) rig.driver.notify(dice.below(sizes.length + 1));
    else {
      const deadline = rig.clock.nextDeadline();
      if (deadline !== null) {
        const before = store?.calls.length ?? 0;
        rig.clock.advanceTo(Math.max(deadline, rig.clock.now()));
        rig.clock.runDue();
        // 128 requests a batch, each at most one access and one flush.
        expect((store?.calls.length ?? 0) - before).toBeLessThanOrEqual(256);
      }
      for (const ring of rings) counts.given += Math.min(ring.used().length, 1);
    }
    const status = rig.driver.status();
    const broken = (status & 64) !== 0;
    // A device that is not broken may still be cut off from memory.
    if (broken || (status & 15) !== 15 || dice.below(200) === 0) {
      if (broken) counts.resets++;
      // Mostly the guest goes on as if nothing had happened, for a while.
      if (dice.below(4) === 0) {
        rig.pci?.writeConfig(4, 2, 6);
        rings = start(rig, dice.pick([FULL, PLAIN]), sizes);
        counts.starts++;
        expect(rig.driver.status()).toBe(15);
      }
    }
    if (store !== null && store.calls.length > 10_000) store.calls.length = 0;
  }
  // Messages are of a few kinds, whatever numbers the guest uses: it cannot fill a log or the host's memory.
  expect(new Set(rig.log.messages).size).toBeLessThan(40);
  return counts;
}

describe.each(["pci", "mmio"] as const)(`${STEPS} steps over %s`, (kind) => {
  test.each([1, 2])("the block device survives, seed %i", { timeout: 60_000 + STEPS }, (seed) => {
    const store = new TestStore(8192);
    const device = new VirtioBlock({ name: "virtio disk0", store, serial: "disk0" });
    const counts = fuzz(kind, device, store, seed * 0x9e37_79b9);
    // The run has been where it should: requests were served, rules were broken, and resets healed the device.
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.starts).toBeGreaterThan(STEPS / 200);
    expect(counts.given).toBeGreaterThan(STEPS / 500);
  });

  test("the entropy device survives", { timeout: 60_000 + STEPS }, () => {
    const counts = fuzz(kind, new VirtioRng(1n), null, 77);
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.given).toBeGreaterThan(0);
  });
});
