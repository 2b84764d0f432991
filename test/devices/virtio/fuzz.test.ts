/**
 * A guest that does anything: writes to every register in every state, and queues full of lies. The memory under the
 * devices throws on an access outside RAM, the store on one outside the disk; so does a batch that does too much.
 */
import { describe, expect, test } from "vitest";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import type { VirtioDevice } from "../../../src/devices/virtio/device.ts";
import { LONGEST_FRAME, NETWORK_FEATURE, VirtioNet } from "../../../src/devices/virtio/net.ts";
import type { FrameWork } from "../../../src/devices/virtio/network-link.ts";
import { VirtioRng } from "../../../src/devices/virtio/rng.ts";
import { Random } from "../../random.ts";
import {
  createRig,
  FULL,
  HOLE,
  PackedTestRing,
  PLAIN,
  packed,
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

/** What a device makes of the guest's lies, and what the host does to it meanwhile. */
interface Subject {
  readonly device: VirtioDevice;
  /** Bits 0 to 31 that a driver may take, beside those of the rings. */
  readonly features: number;
  /** Writes the first bytes of a request that is as it should be, or nearly, at `at`. @returns its length */
  request(dice: Random, rig: Rig, at: number): number;
  /** Something comes in from outside. */
  input?(dice: Random): void;
  /** Accesses to the outside so far, and how many a batch may make. */
  readonly work?: { count(): number; readonly most: number };
}

const place = (dice: Random) =>
  dice.below(3) === 0 ? dice.pick(ADDRESSES) : 0x20_0000 + dice.below(0x10_0000);
const extent = (dice: Random) => (dice.below(3) === 0 ? dice.pick(LENGTHS) : 1 + dice.below(1024));

/** Descriptors with anything in them, and tables of such. */
function lieInDescriptors(dice: Random, ring: TestRing): void {
  const table = dice.below(2) === 0 ? ring.descriptors : 0x20_0000;
  for (let count = 1 + dice.below(4); count > 0; count--) {
    const index = dice.below(table === ring.descriptors ? ring.size : 5);
    const [address, length] = [place(dice), extent(dice)];
    if (ring instanceof PackedTestRing) {
      const flags = dice.below(8) | dice.pick([0, 0x80, 0x8000, 0x8080]);
      ring.packed(table + 16 * index, { address, length }, dice.u32() & 0xffff, flags);
    } else ring.descriptor(table, index, address, length, dice.below(8), dice.below(80));
  }
  // One that names the table.
  if (table !== ring.descriptors) {
    const index = dice.below(ring.size);
    const length = 16 * dice.below(5);
    if (ring instanceof PackedTestRing) {
      ring.packed(
        ring.descriptors + 16 * index,
        { address: table, length },
        index,
        4 | dice.pick([0x80, 0x8000]),
      );
    } else ring.descriptor(ring.descriptors, index, table, length, 4);
  }
}

function lie(dice: Random, subject: Subject, rig: Rig, ring: TestRing): void {
  const { memory } = rig;
  switch (dice.below(6)) {
    case 0:
    case 1:
      lieInDescriptors(dice, ring);
      return;
    case 2:
      // Flags and indexes of an available ring; an event suppression structure lies at its start.
      memory.write16(ring.driver + dice.pick([0, 2, 4 + 2 * ring.size]), dice.pick(INDEXES));
      return;
    case 3:
      memory.write16(ring.device + dice.pick([0, 2, 4 + 8 * ring.size]), dice.u32() & 0xffff);
      return;
    case 4:
      ring.offer(dice.below(ring.size + (ring instanceof PackedTestRing ? 0 : 2)));
      return;
    default: {
      const length = subject.request(dice, rig, 0x21_0000);
      const parts = [
        { address: 0x21_0000, length },
        { address: 0x22_0000, length: dice.pick([16, 512, 1024]), write: dice.below(2) === 0 },
        { address: 0x23_0000, length: dice.pick([1, 1, 2000]), write: true },
      ].slice(dice.below(5) === 0 ? dice.below(3) : 0);
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
function fuzz(kind: "pci" | "mmio", subject: Subject, seed: number) {
  const { device, work } = subject;
  const dice = new Random(seed);
  const rig = createRig(kind, device);
  const sizes = device.queueSizes.map(() => (device.queueSizes.length === 1 ? 8 : 64));
  const begin = (): TestRing[] => {
    const [low, high] = dice.pick([FULL, FULL, PLAIN]);
    const words: [number, number] = [(low | (dice.below(4) > 0 ? subject.features : 0)) >>> 0, high];
    return start(rig, dice.below(2) === 0 ? words : packed(words), sizes);
  };
  let rings = begin();
  const counts = { starts: 1, resets: 0, given: 0 };
  for (let step = 0; step < STEPS; step++) {
    const action = dice.below(22);
    if (action < 10) lie(dice, subject, rig, dice.pick(rings));
    else if (action < 12) poke(dice, rig);
    else if (action < 16) rig.driver.notify(dice.below(sizes.length + 1));
    else if (action < 18) subject.input?.(dice);
    else {
      const deadline = rig.clock.nextDeadline();
      if (deadline !== null) {
        const before = work?.count() ?? 0;
        rig.clock.advanceTo(Math.max(deadline, rig.clock.now()));
        rig.clock.runDue();
        expect((work?.count() ?? 0) - before).toBeLessThanOrEqual(work?.most ?? 0);
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
        rings = begin();
        counts.starts++;
        expect(rig.driver.status()).toBe(15);
      }
    }
  }
  // Messages are of a few kinds, whatever numbers the guest uses: it cannot fill a log or the host's memory.
  expect(new Set(rig.log.messages).size).toBeLessThan(40);
  return counts;
}

function blockSubject(): Subject {
  const store = new TestStore(8192);
  let calls = 0;
  return {
    device: new VirtioBlock({ name: "virtio disk0", store, serial: "disk0" }),
    features: 0x6a00,
    request: (dice, { memory }, at) => {
      memory.write32(at, dice.pick([0, 1, 4, 8, 11, 13, 14, dice.u32()]));
      memory.write32(at + 8, dice.pick([0, 1, 15, 16, 0xffff_ffff]));
      memory.write32(at + 12, dice.pick([0, 0, 0, 1, 0xffff_ffff]));
      return 16;
    },
    work: {
      count: () => {
        calls += store.calls.splice(0).length;
        return calls;
      },
      // 128 requests a batch, each at most one access and one flush.
      most: 256,
    },
  };
}

/** A frame, or the start of one, with work that may fit it. */
function anyFrame(dice: Random): { frame: Uint8Array; work: FrameWork } {
  const length = dice.pick([0, 13, 14, 60, 1514, 9000, LONGEST_FRAME, LONGEST_FRAME + 1]);
  const frame = new Uint8Array(length);
  for (let i = 0; i < Math.min(length, 80); i++) frame[i] = dice.u32();
  if (length > 60 && dice.below(2) === 0) {
    frame.set([0x08, 0x00, 0x45], 12);
    frame.set([0x40, 0, 64, 6], 20);
    frame[46] = 0x50;
  }
  const start = dice.pick([34, 34, 34, 0, 54, 0xffff]);
  const checksum = dice.below(3) === 0 ? null : { start, offset: dice.pick([16, 16, 0, 0xffff]) };
  const size = dice.pick([1000, 1460, 1, 0, 0xffff]);
  const protocol = dice.pick(["tcp4", "tcp4", "tcp6"] as const);
  const segmentation = dice.below(2) === 0 ? null : { protocol, size, ecn: dice.below(2) === 0 };
  return { frame, work: { checksum, segmentation } };
}

function networkSubject(): Subject & { device: VirtioNet } {
  let sent = 0;
  const link = {
    takesUnfinished: true,
    send: (frame: Uint8Array, { checksum }: FrameWork) => {
      sent++;
      expect(frame.length).toBeLessThanOrEqual(LONGEST_FRAME);
      if (checksum !== null) expect(checksum.start + checksum.offset + 2).toBeLessThanOrEqual(frame.length);
    },
  };
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const device = new VirtioNet({ name: "virtio net 0", link, mac, mtu: 1500, queuePairs: 2 });
  const F = NETWORK_FEATURE;
  return {
    device,
    features: Object.values(F).reduce<number>((word, bit) => word | (bit === F.MTU ? 0 : 1 << bit), 0),
    request: (dice, { memory }, at) => {
      // A header with a frame, or a command.
      const bytes = Array.from({ length: 80 }, () => dice.u32() & 0xff);
      if (dice.below(2) === 0) {
        const { frame, work } = anyFrame(dice);
        bytes.splice(0, 12, dice.below(2), dice.pick([0, 1, 4, 0x81]), 0, 0, 0xe8, 3, 34, 0, 16, 0, 0, 0);
        bytes.splice(12, 68, ...frame.subarray(0, 68));
        if (work.checksum === null) bytes.fill(0, 0, 12);
      } else bytes.splice(0, 6, dice.below(5), dice.below(3), dice.pick([0, 1, 2, 0xff]), 0, 0, 0);
      memory.write(at, Uint8Array.from(bytes));
      return bytes.length;
    },
    input: (dice) => {
      for (let count = dice.below(4) === 0 ? 200 : 1; count > 0; count--) {
        const { frame, work } = anyFrame(dice);
        device.receive(frame, work);
      }
    },
    work: { count: () => sent, most: 128 },
  };
}

function consoleSubject(): Subject {
  let written = 0;
  const device = new VirtioConsole({
    onOutput: () => {
      written++;
    },
  });
  return {
    device,
    features: 5,
    request: () => 16,
    input: (dice) => device.receive(new Uint8Array(dice.below(100))),
    // 4 MiB a batch, and the last request's 1 MiB.
    work: { count: () => written, most: 5 * 2 ** 20 },
  };
}

const rngSubject = (): Subject => ({ device: new VirtioRng(1n), features: 0, request: () => 16 });

describe.each(["pci", "mmio"] as const)(`${STEPS} steps over %s`, (kind) => {
  const timeout = 60_000 + STEPS;

  test.each([1, 2])("the block device survives, seed %i", { timeout }, (seed) => {
    const counts = fuzz(kind, blockSubject(), seed * 0x9e37_79b9);
    // The run has been where it should: requests were served, rules were broken, and resets healed the device.
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.starts).toBeGreaterThan(STEPS / 200);
    expect(counts.given).toBeGreaterThan(STEPS / 500);
  });

  test.each([1, 2])("the network device survives, seed %i", { timeout }, (seed) => {
    const subject = networkSubject();
    const counts = fuzz(kind, subject, seed * 0x9e37_79b9);
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.given).toBeGreaterThan(STEPS / 500);
    const { counters, drops } = subject.device;
    expect(Math.min(counters.sentFrames, drops.malformed, drops.tooLong, drops.noDriver)).toBeGreaterThan(0);
  });

  test("the console survives", { timeout }, () => {
    const counts = fuzz(kind, consoleSubject(), 77);
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.given).toBeGreaterThan(0);
  });

  test("the entropy device survives", { timeout }, () => {
    const counts = fuzz(kind, rngSubject(), 77);
    expect(counts.resets).toBeGreaterThan(STEPS / 250);
    expect(counts.given).toBeGreaterThan(0);
  });
});

test("the host's memory does not grow with what the guest does", { timeout: 120_000 + STEPS }, () => {
  const held = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const run = (seed: number): void => {
    fuzz("pci", networkSubject(), seed);
    fuzz("mmio", blockSubject(), seed);
  };
  run(1);
  const before = held();
  for (let seed = 2; seed < 5; seed++) run(seed);
  // Without a collection in between, garbage counts too: machines of 4 MiB each, frames of a bounded backlog.
  expect(held() - before).toBeLessThan(256 * 2 ** 20);
});
