import { beforeEach, describe, expect, it } from "vitest";
import { DriverError } from "../../../src/devices/virtio/device.ts";
import { type Ring, Virtqueue } from "../../../src/devices/virtio/queue.ts";
import type { PhysicalMemory } from "../../../src/mmu/physical-memory.ts";
import { createMemory, guarded, HOLE, PackedTestRing, RAM_SIZE } from "./driver.ts";

/** No power of 2: a packed ring need not be one (2.8). */
const SIZE = 7;
const TABLE = 0x20_0000;
const DATA = 0x30_0000;
let memory: PhysicalMemory;
let queue: Virtqueue;
let ring: PackedTestRing;
const device = (): Ring => queue.ring!;

function build({ indirect = true, eventIndex = false } = {}): void {
  memory = createMemory();
  queue = new Virtqueue(guarded(memory), 256);
  ring = new PackedTestRing(memory, 0x10_0000, SIZE);
  place();
  queue.enable({ packed: true, indirect, eventIndex });
}

function place(): void {
  queue.size = SIZE;
  for (const area of ["descriptors", "driver", "device"] as const) queue.setAddress(area, 0, ring[area]);
}

beforeEach(() => build());

const out = (length = 1) => ({ address: DATA, length, write: true });
const serve = (count: number): void => {
  for (let i = 0; i < count; i++) {
    ring.offer(ring.chain([out()]));
    device().give(device().take()!, 1);
    expect(ring.used()).toHaveLength(1);
  }
};

describe("chains", () => {
  it("are taken once their first descriptor says so, and over the ring's end (2.8.6)", () => {
    serve(5);
    const head = ring.chain([{ address: DATA, length: 3 }, { address: DATA + 8, length: 2 }, out(9)]);
    expect(device().take()).toBeNull();
    ring.offer(head);
    const chain = device().take()!;
    expect(chain).toMatchObject({ head, slots: 3, readable: 5, writable: 9 });
    expect(device().take()).toBeNull();
    device().give(chain, 4);
    expect(ring.used()).toEqual([{ head, written: 4 }]);
    serve(20);
  });

  it("come from an indirect table without flags of its own (2.8.7)", () => {
    for (let i = 0; i < 20; i++) {
      ring.offer(ring.indirect([{ address: DATA, length: 16 }, out(5), out(6)], TABLE));
      const chain = device().take()!;
      expect(chain).toMatchObject({ slots: 1, readable: 16, writable: 11 });
      device().give(chain, 0);
      ring.used();
    }
  });

  it("are given back in any order, one descriptor for each", () => {
    for (let i = 0; i < 10; i++) {
      const heads = [ring.chain([out(), out()]), ring.chain([out(2), out(), out()])];
      for (const head of heads) ring.offer(head);
      const [first, second] = [device().take()!, device().take()!];
      device().give(second, 2);
      device().give(first, 1);
      expect(ring.used()).toEqual([
        { head: heads[1], written: 2 },
        { head: heads[0], written: 1 },
      ]);
    }
  });

  it("can be put back, also over the ring's end", () => {
    serve(6);
    const heads = [ring.chain([out(), out()]), ring.chain([out()])];
    for (const head of heads) ring.offer(head);
    const [first, second] = [device().take()!, device().take()!];
    device().putBack(second);
    device().putBack(first);
    expect([device().take()!.head, device().take()!.head]).toEqual(heads);
    expect(device().take()).toBeNull();
  });
});

describe("event suppression (2.8.10)", () => {
  const [ENABLE, DISABLE, DESC] = [0, 1, 2];
  const suppress = (flags: number, offset = 0, wrap = true): void => {
    memory.write16(ring.driver, offset | (wrap ? 0x8000 : 0));
    memory.write16(ring.driver + 2, flags);
  };

  it("by flags alone", () => {
    suppress(ENABLE);
    serve(1);
    expect([device().wantsInterrupt(), device().wantsInterrupt()]).toEqual([true, false]);
    suppress(DISABLE);
    serve(1);
    expect(device().wantsInterrupt()).toBe(false);
  });

  it("by descriptor: when that one was used, and not before; the wrap counter tells the lap", () => {
    build({ eventIndex: true });
    for (let lap = 0; lap < 4; lap++) {
      suppress(DESC, 4, lap % 2 === 0);
      serve(4);
      expect(device().wantsInterrupt()).toBe(false);
      serve(1);
      expect(device().wantsInterrupt()).toBe(true);
      serve(1);
      expect(device().wantsInterrupt()).toBe(false);
      // The same descriptor in the next lap.
      suppress(DESC, 6, lap % 2 !== 0);
      serve(1);
      expect(device().wantsInterrupt()).toBe(false);
    }
    suppress(DESC, 1, true);
    serve(3);
    expect(device().wantsInterrupt()).toBe(true);
  });

  it("asks for notifications with a descriptor or with flags", () => {
    const words = () => [
      memory.read16(ring.device) & 0x7fff,
      memory.read16(ring.device) >> 15,
      memory.read16(ring.device + 2),
    ];
    device().askForNotification(false);
    expect(words()[2]).toBe(DISABLE);
    device().askForNotification(true);
    expect(words()[2]).toBe(ENABLE);
    build({ eventIndex: true });
    serve(5);
    device().askForNotification(true);
    expect(words()).toEqual([5, 1, DESC]);
    serve(3);
    device().askForNotification(true);
    expect(words()).toEqual([1, 0, DESC]);
    device().askForNotification(false);
    expect(words()[2]).toBe(DISABLE);
  });
});

describe("a malicious driver", () => {
  const [NEXT, WRITE, INDIRECT, AVAIL] = [1, 2, 4, 0x80];
  const d = (index: number, address: number, length: number, flags: number) =>
    ring.packed(ring.descriptors + 16 * index, { address, length }, 0, flags | AVAIL);
  const table = (address: number, length: number, flags: number) =>
    ring.packed(TABLE, { address, length }, 0, flags);
  const cases: [string, () => void, RegExp][] = [
    [
      "a chain around the whole ring and on",
      () => {
        for (let i = 0; i < SIZE; i++) d(i, DATA, 1, NEXT);
      },
      /too long/,
    ],
    ["a buffer past the end of RAM", () => d(0, RAM_SIZE - 4, 8, 0), /outside RAM/],
    ["a buffer that begins in RAM and ends in a hole", () => d(0, HOLE - 4, 8, WRITE), /outside RAM/],
    ["a buffer at the end of 64 bits", () => d(0, 2 ** 64 - 4096, 8192, 0), /outside RAM/],
    ["a length of zero", () => d(0, DATA, 0, 0), /no length/],
    ["a length of 4 GiB - 1", () => d(0, 0, 0xffff_ffff, 0), /outside RAM/],
    [
      "a readable buffer after a writable one",
      () => {
        d(0, DATA, 1, NEXT | WRITE);
        d(1, DATA, 1, 0);
      },
      /readable/,
    ],
    ["an indirect table of zero entries", () => d(0, TABLE, 0, INDIRECT), /odd length/],
    ["an indirect table of a half entry", () => d(0, TABLE, 24, INDIRECT), /odd length/],
    ["an indirect table outside RAM", () => d(0, RAM_SIZE - 16, 32, INDIRECT), /outside RAM/],
    ["an indirect table of all RAM", () => d(0, HOLE + 0x2_0000, RAM_SIZE - HOLE - 0x2_0000, INDIRECT), /./],
    ["an indirect table with a next one", () => d(0, TABLE, 32, INDIRECT | NEXT), /next/],
    [
      "an indirect table in an indirect table",
      () => {
        d(0, TABLE, 16, INDIRECT);
        table(TABLE, 16, INDIRECT);
      },
      /in an indirect/,
    ],
    [
      "a table with a buffer outside RAM",
      () => {
        d(0, TABLE, 16, INDIRECT);
        table(RAM_SIZE, 16, 0);
      },
      /outside RAM/,
    ],
    [
      "an indirect chain that is longer than the queue",
      () => ring.offer(ring.indirect(new Array(SIZE + 1).fill({ address: DATA, length: 1 }), TABLE)),
      /too long/,
    ],
  ];

  it.each(cases)("%s", (_name, lie, expected) => {
    lie();
    expect(() => device().take()).toThrow(expected);
    expect(() => device().take()).toThrow(DriverError);
  });

  it("an indirect descriptor that was not negotiated", () => {
    build({ indirect: false });
    ring.offer(ring.indirect([out()], TABLE));
    expect(() => device().take()).toThrow(/not negotiated/);
  });

  it.each<[string, (lie: Virtqueue) => void]>([
    ["a size of zero", (q) => (q.size = 0)],
    ["a size above the maximum", (q) => (q.size = 257)],
    ["descriptors that are not aligned", (q) => q.setAddress("descriptors", 0, 0x10_0008)],
    ["a driver area that is not aligned", (q) => q.setAddress("driver", 0, 0x10_0002)],
    ["a device area that is not aligned", (q) => q.setAddress("device", 0, 0x10_0001)],
    ["descriptors above 4 GiB", (q) => q.setAddress("descriptors", 1, 1)],
    ["descriptors at the very end of RAM", (q) => q.setAddress("descriptors", 0, RAM_SIZE - 16 * SIZE + 16)],
    ["a driver area in a hole", (q) => q.setAddress("driver", 0, HOLE)],
  ])("a queue with %s", (_name, lie) => {
    queue = new Virtqueue(guarded(memory), 256);
    place();
    lie(queue);
    expect(() => queue.enable({ packed: true, indirect: true, eventIndex: true })).toThrow(DriverError);
    expect(queue.enabled).toBe(false);
  });
});
