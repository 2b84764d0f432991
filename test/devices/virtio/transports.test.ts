import { beforeEach, describe, expect, it } from "vitest";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { MS, runFor } from "../rig.ts";
import {
  createMemory,
  createRig,
  FULL,
  PLAIN,
  packed,
  type Rig,
  start,
  type TestRing,
  TestStore,
  withReset,
} from "./driver.ts";

const HEADER = 0x30_0000;
const DATA = 0x31_0000;

const block = () => new VirtioBlock({ name: "virtio disk0", store: new TestStore(8192), serial: "disk0" });

/** Offers a read of sector 0, without a notification. */
function offer(ring: TestRing): void {
  ring.memory.fill(HEADER, 16, 0);
  const parts = [
    { address: HEADER, length: 16 },
    { address: DATA, length: 513, write: true },
  ];
  ring.offer(ring.chain(parts));
}

describe.each(["pci", "mmio"] as const)("status and features over %s", (kind) => {
  let rig: Rig;
  beforeEach(() => {
    rig = createRig(kind, block());
  });

  it("begins at 0 and collects the driver's bits; 0 resets (2.1)", () => {
    expect(rig.driver.status()).toBe(0);
    start(rig, FULL, [64]);
    expect(rig.driver.status()).toBe(15);
    rig.driver.setStatus(1);
    expect(rig.driver.status()).toBe(15);
    rig.driver.setStatus(128 | 15);
    expect(rig.driver.status()).toBe(128 | 15);
    rig.driver.setStatus(0);
    expect(rig.driver.status()).toBe(0);
  });

  it("offers VERSION_1, indirect descriptors, event index, queue reset and, unless told otherwise, packed rings", () => {
    const [low, high] = rig.driver.features();
    expect([low >>> 28, high]).toEqual([3, 0x105]);
    const store = new TestStore(8192);
    const split = new VirtioBlock({ name: "virtio disk0", store, serial: "disk0", packed: false });
    expect(createRig(kind, split).driver.features()[1]).toBe(0x101);
  });

  it.each<[string, readonly [number, number]]>([
    ["no VERSION_1", [0, 0]],
    ["a feature of word 1 that was not offered", [0, 1 | (1 << 1)]],
    ["a feature of word 0 that was not offered", [1, 1]],
  ])("does not keep FEATURES_OK for a driver with %s (2.2.2)", (_name, words) => {
    rig.driver.setStatus(3);
    rig.driver.setFeatures(words);
    rig.driver.setStatus(11);
    expect(rig.driver.status()).toBe(3);
  });

  it("needs a reset after DRIVER_OK without features, and after a queue without them", () => {
    rig.driver.setStatus(7);
    expect(rig.driver.status() & 64).toBe(64);
    rig.driver.setStatus(0);
    rig.driver.setQueue(0, 64, { descriptors: 0x10_0000, driver: 0x11_0000, device: 0x12_0000 });
    expect(rig.driver.status() & 64).toBe(64);
    expect(rig.log.messages).toHaveLength(2);
  });

  it("does nothing before DRIVER_OK, for queues that are off and for those that do not exist", () => {
    const [ring] = start(rig, PLAIN, [64]);
    offer(ring!);
    rig.driver.notify(1);
    rig.driver.notify(4);
    rig.driver.notify(31);
    runFor(rig.clock, MS);
    rig.driver.setStatus(0);
    rig.driver.setStatus(3);
    rig.driver.setFeatures(PLAIN);
    rig.driver.setStatus(11);
    rig.driver.setQueue(0, 64, ring!);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect(ring!.used()).toEqual([]);
    rig.driver.setStatus(15);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect(ring!.used()).toHaveLength(1);
  });

  it.each([
    ["split", FULL],
    ["packed", packed(FULL)],
  ] as const)("resets one queue, which can then lie elsewhere (2.6.1): %s", (_kind, words) => {
    const [ring, other] = start(rig, withReset(words), [64, 64]);
    offer(ring!);
    offer(other!);
    rig.driver.notify(0);
    rig.driver.notify(1);
    expect(rig.driver.resetQueue(0)).toBe(0);
    runFor(rig.clock, MS);
    expect([ring!.used().length, other!.used().length]).toEqual([0, 1]);
    const Ring = ring!.constructor as new (...args: ConstructorParameters<typeof TestRing>) => TestRing;
    const moved = new Ring(rig.memory, 0x18_0000, 16);
    rig.driver.setQueue(0, 16, moved);
    offer(moved);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect(moved.used()).toHaveLength(1);
  });

  it("resets no queue for a driver that did not ask for that", () => {
    const [ring] = start(rig, FULL, [64]);
    offer(ring!);
    rig.driver.notify(0);
    expect(rig.driver.resetQueue(0)).toBe(1);
    runFor(rig.clock, MS);
    expect(ring!.used()).toHaveLength(1);
  });

  it("forgets requests at a reset", () => {
    const [ring] = start(rig, PLAIN, [64]);
    offer(ring!);
    rig.driver.notify(0);
    rig.driver.setStatus(0);
    runFor(rig.clock, MS);
    expect(ring!.used()).toEqual([]);
  });

  it("is restored in the middle of a request", () => {
    const [ring] = start(rig, FULL, [64]);
    offer(ring!);
    rig.driver.notify(0);
    const saved = rig.pci?.save() ?? rig.driver.device.save();
    const other = createRig(kind, block(), rig.memory);
    if (other.pci) other.pci.restore(saved);
    else other.driver.device.restore(saved);
    runFor(other.clock, MS);
    expect(ring!.used()).toEqual([{ head: 0, written: 513 }]);
    offer(ring!);
    other.driver.notify(0);
    runFor(other.clock, MS);
    expect(ring!.used()).toHaveLength(1);
  });
});

describe("MMIO", () => {
  it("has the registers of version 2 (4.2.2)", () => {
    const { driver } = createRig("mmio", block());
    const r = (at: number) => driver.device.read(at, 4);
    expect([r(0), r(4), r(8), r(0xc)]).toEqual([0x7472_6976, 2, 2, 0x1af4]);
    expect([r(0x34), r(0xb0), r(0xfc)]).toEqual([256, 0xffff_ffff, 0]);
    driver.device.write(0x30, 4, 4);
    expect(r(0x34)).toBe(0);
  });

  it("holds its line until the cause is acknowledged", () => {
    const rig = createRig("mmio", block());
    const [ring] = start(rig, PLAIN, [64]);
    offer(ring!);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect([rig.line.level, rig.driver.device.read(0x60, 4)]).toEqual([true, 1]);
    expect(rig.driver.causes()).toBe(1);
    expect(rig.line.level).toBe(false);
  });

  it("stops a queue that is made not ready", () => {
    const rig = createRig("mmio", block());
    const [ring] = start(rig, PLAIN, [64]);
    offer(ring!);
    rig.driver.notify(0);
    rig.driver.device.write(0x44, 4, 0);
    runFor(rig.clock, MS);
    expect(ring!.used()).toEqual([]);
  });

  it("takes words alone for its registers", () => {
    const rig = createRig("mmio", block());
    expect(rig.driver.device.read(0, 1)).toBe(0);
    rig.driver.device.write(0x70, 1, 1);
    expect(rig.driver.status()).toBe(0);
    expect(rig.log.messages[0]).toMatch(/another width/);
  });
});

describe("PCI", () => {
  let rig: Rig;
  beforeEach(() => {
    rig = createRig("pci", block());
  });
  const config = (at: number, size: 1 | 2 | 4 = 4) => rig.pci!.readConfig(at, size);

  /** Capabilities in order: ID, and the type of a vendor's. */
  function capabilities(): { at: number; id: number; type: number }[] {
    const found: { at: number; id: number; type: number }[] = [];
    for (let at = config(0x34, 1); at !== 0; at = config(at + 1, 1)) {
      found.push({ at, id: config(at, 1), type: config(at + 3, 1) });
    }
    return found;
  }

  it("is 1AF4:1042, revision 1, with MSI-X and the five structures (4.1.2, 4.1.4)", () => {
    expect([config(0), config(8, 1), config(0x3d, 1)]).toEqual([0x1042_1af4, 1, 1]);
    const [msix, ...vendor] = capabilities();
    expect(msix!.id).toBe(0x11);
    expect(config(msix!.at + 2, 2) & 0x7ff).toBe(4);
    expect(vendor.map(({ id, type }) => [id, type])).toEqual([1, 3, 4, 2, 5].map((type) => [9, type]));
    const notify = vendor[3]!.at;
    expect([config(notify + 4, 1), config(notify + 8), config(notify + 16)]).toEqual([4, 0x3000, 4]);
  });

  it("reaches its structures through configuration space too (4.1.4.9)", () => {
    const window = capabilities().at(-1)!.at;
    const aim = (offset: number, length: number) => {
      rig.pci!.writeConfig(window + 4, 1, 4);
      rig.pci!.writeConfig(window + 8, 4, offset);
      rig.pci!.writeConfig(window + 12, 4, length);
    };
    aim(0x14, 1);
    rig.pci!.writeConfig(window + 16, 1, 3);
    expect(rig.driver.status()).toBe(3);
    expect(config(window + 16, 1)).toBe(3);
    aim(0x2000, 4);
    expect(config(window + 16)).toBe(16);
    for (const [offset, length] of [
      [0x4000, 4],
      [0xffff_fffc, 4],
      [0x2002, 4],
      [0x2000, 3],
      [0x2000, 0],
    ] as const) {
      aim(offset, length);
      rig.pci!.writeConfig(window + 16, 4, 0x1234_5678);
      expect(config(window + 16)).toBe(0x1234_5678);
    }
  });

  it("uses INTx and the ISR status while MSI-X is off; reading it releases the wire", () => {
    const [ring] = start(rig, PLAIN, [64]);
    offer(ring!);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect([rig.line.level, rig.messages]).toEqual([true, []]);
    expect(rig.driver.causes()).toBe(1);
    expect([rig.line.level, rig.driver.causes()]).toEqual([false, 0]);
  });

  describe("with MSI-X", () => {
    const control = () => capabilities()[0]!.at + 2;
    const vector = (index: number, data: number, masked = 0) =>
      [0xfee0_0000, 0, data, masked].forEach((word, i) => {
        rig.msix!.write(16 * index + 4 * i, 4, word);
      });
    const serve = (ring: TestRing) => {
      offer(ring);
      rig.driver.notify(0);
      runFor(rig.clock, MS);
    };
    let ring: TestRing;
    beforeEach(() => {
      [ring] = start(rig, PLAIN, [64]) as [TestRing];
      rig.pci!.writeConfig(control(), 2, 0x8000);
      rig.driver.device.write(0x16, 2, 0);
      rig.driver.device.write(0x1a, 2, 2);
      rig.driver.device.write(0x10, 2, 0);
    });

    it("sends the queue's message, and leaves ISR and INTx alone", () => {
      vector(2, 0x41);
      serve(ring);
      expect([rig.messages, rig.line.level, rig.driver.causes()]).toEqual([["fee00000 41"], false, 0]);
    });

    it("keeps a masked message in the pending bits until its vector and the function are unmasked", () => {
      serve(ring);
      expect(rig.msix!.read(0x800, 4)).toBe(1 << 2);
      rig.pci!.writeConfig(control(), 2, 0xc000);
      vector(2, 0x42);
      expect(rig.messages).toEqual([]);
      rig.pci!.writeConfig(control(), 2, 0x8000);
      expect(rig.messages).toEqual(["fee00000 42"]);
      expect(rig.msix!.read(0x800, 4)).toBe(0);
    });

    it("tells of NEEDS_RESET by the configuration's vector", () => {
      vector(0, 0x43);
      ring.memory.write16(ring.driver + 2, 0x8000);
      rig.driver.notify(0);
      runFor(rig.clock, MS);
      expect([rig.driver.status(), rig.messages]).toEqual([79, ["fee00000 43"]]);
    });

    it("says no to a vector that it does not have, and forgets them at a reset", () => {
      rig.driver.device.write(0x1a, 2, 5);
      expect(rig.driver.device.read(0x1a, 2)).toBe(0xffff);
      rig.driver.device.write(0x1a, 2, 4);
      expect(rig.driver.device.read(0x1a, 2)).toBe(4);
      rig.driver.setStatus(0);
      expect([rig.driver.device.read(0x10, 2), rig.driver.device.read(0x1a, 2)]).toEqual([0xffff, 0xffff]);
    });
  });

  it("touches no memory while it is no bus master, and catches up when it becomes one", () => {
    const [ring] = start(rig, PLAIN, [64]);
    rig.pci!.writeConfig(4, 2, 2);
    offer(ring!);
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    expect(ring!.used()).toEqual([]);
    rig.pci!.writeConfig(4, 2, 6);
    runFor(rig.clock, MS);
    expect(ring!.used()).toHaveLength(1);
  });

  it("works off a full ring in batches, each at a deadline of its own", () => {
    const store = new TestStore(2 ** 20);
    const many = createRig(
      "pci",
      new VirtioBlock({ name: "virtio disk0", store, serial: "x" }),
      createMemory(),
    );
    const [ring] = start(many, FULL, [256]);
    many.memory.fill(HEADER, 16, 0);
    const head = ring!.indirect(
      [
        { address: HEADER, length: 16 },
        { address: DATA, length: 64 * 1024, write: true },
        { address: 0x20_0010, length: 1, write: true },
      ],
      0x20_0100,
    );
    for (let i = 0; i < 256; i++) ring!.offer(head);
    many.driver.notify(0);
    let most = 0;
    while (many.clock.nextDeadline() !== null) {
      const before = store.calls.length;
      many.clock.advanceTo(many.clock.nextDeadline()!);
      many.clock.runDue();
      most = Math.max(most, store.calls.length - before);
    }
    expect([store.calls.length, most]).toEqual([256, 64]);
    // 16 MiB at 2 bytes a nanosecond.
    expect(many.clock.now()).toBeGreaterThan(6 * MS);
  });
});
