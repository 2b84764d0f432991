import { beforeEach, describe, expect, it } from "vitest";
import { DriverError } from "../../../src/devices/virtio/device.ts";
import { Virtqueue } from "../../../src/devices/virtio/queue.ts";
import type { PhysicalMemory } from "../../../src/mmu/physical-memory.ts";
import { createMemory, guarded, HOLE, RAM_SIZE, TestRing } from "./driver.ts";

const SIZE = 8;
const TABLE = 0x20_0000;
const DATA = 0x30_0000;
let memory: PhysicalMemory;
let queue: Virtqueue;
let ring: TestRing;

function build({ indirect = true, eventIndex = false } = {}): void {
  memory = createMemory();
  queue = new Virtqueue(guarded(memory), 256);
  ring = new TestRing(memory, 0x10_0000, SIZE);
  place();
  queue.enable({ packed: false, indirect, eventIndex });
}

function place(): void {
  queue.size = SIZE;
  for (const area of ["descriptors", "driver", "device"] as const) queue.setAddress(area, 0, ring[area]);
}

beforeEach(() => build());

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("chains", () => {
  it("joins buffers: readable ones first, then writable ones", () => {
    memory.write(DATA, bytes(1, 2, 3));
    memory.write(DATA + 0x100, bytes(4, 5));
    const head = ring.chain([
      { address: DATA, length: 3 },
      { address: DATA + 0x100, length: 2 },
      { address: DATA + 0x200, length: 2, write: true },
      { address: DATA + 0x300, length: 3, write: true },
    ]);
    ring.offer(head);
    const chain = queue.ring!.take()!;
    expect([chain.head, chain.readable, chain.writable]).toEqual([head, 5, 5]);
    const read = new Uint8Array(9);
    expect(chain.read(1, read)).toBe(4);
    expect([...read]).toEqual([2, 3, 4, 5, 0, 0, 0, 0, 0]);
    expect(chain.write(1, bytes(10, 11, 12, 13, 14, 15))).toBe(4);
    expect([...memory.read(DATA + 0x200, 2)]).toEqual([0, 10]);
    expect([...memory.read(DATA + 0x300, 4)]).toEqual([11, 12, 13, 0]);
    expect(queue.ring!.take()).toBeNull();
  });

  it("follows an indirect table, also behind direct descriptors (2.7.5.3.2)", () => {
    const parts = [
      { address: DATA, length: 16 },
      { address: DATA + 64, length: 5, write: true },
    ];
    ring.offer(ring.indirect(parts, TABLE + 3));
    expect(queue.ring!.take()).toMatchObject({ readable: 16, writable: 5 });
    ring.descriptor(ring.descriptors, 5, DATA + 128, 4, 1, 6);
    ring.descriptor(ring.descriptors, 6, TABLE + 3, 32, 4);
    ring.offer(5);
    expect(queue.ring!.take()).toMatchObject({ head: 5, readable: 20, writable: 5 });
  });

  it("gives back through the used ring, and goes on past index 65535", () => {
    for (let i = 0; i < 65_540; i++) {
      ring.offer(i % SIZE);
      ring.descriptor(ring.descriptors, i % SIZE, DATA, 1, 2);
      const chain = queue.ring!.take()!;
      expect(chain.head).toBe(i % SIZE);
      queue.ring!.give(chain, i & 0xff);
      if (i % 1000 === 0 || i > 65_530)
        expect(ring.used().at(-1)).toEqual({ head: i % SIZE, written: i & 0xff });
      else ring.used();
    }
  });
});

describe("interrupts and notifications", () => {
  const serve = (count: number): void => {
    for (let i = 0; i < count; i++) {
      ring.offer(ring.chain([{ address: DATA, length: 1, write: true }]));
      queue.ring!.give(queue.ring!.take()!, 1);
    }
  };

  it("without event index: the flag in the available ring suppresses interrupts (2.7.7)", () => {
    serve(1);
    expect(queue.ring!.wantsInterrupt()).toBe(true);
    memory.write16(ring.driver, 1);
    serve(1);
    expect(queue.ring!.wantsInterrupt()).toBe(false);
  });

  it("with event index: when the used index passes used_event, and not before (2.7.7.2)", () => {
    build({ eventIndex: true });
    const usedEvent = ring.driver + 4 + 2 * SIZE;
    memory.write16(usedEvent, 0);
    serve(1);
    expect(queue.ring!.wantsInterrupt()).toBe(true);
    memory.write16(usedEvent, 3);
    serve(2);
    expect(queue.ring!.wantsInterrupt()).toBe(false);
    serve(1);
    expect(queue.ring!.wantsInterrupt()).toBe(true);
    serve(2);
    expect(queue.ring!.wantsInterrupt()).toBe(false);
    expect(queue.ring!.wantsInterrupt()).toBe(false);
  });

  it("with event index: asks to be notified of the next request (2.7.10)", () => {
    build({ eventIndex: true });
    serve(5);
    queue.ring!.askForNotification(true);
    expect(memory.read16(ring.device + 4 + 8 * SIZE)).toBe(5);
  });
});

describe("a malicious driver", () => {
  const two = [
    { address: DATA, length: 4 },
    { address: DATA + 8, length: 4, write: true },
  ];
  const flags = { NEXT: 1, WRITE: 2, INDIRECT: 4 };
  const d = (index: number, address: number, length: number, flag: number, next = 0) =>
    ring.descriptor(ring.descriptors, index, address, length, flag, next);
  const cases: [string, () => void, RegExp][] = [
    [
      "a loop of two",
      () => {
        d(0, DATA, 1, flags.NEXT, 1);
        d(1, DATA, 1, flags.NEXT, 0);
      },
      /loops/,
    ],
    ["a descriptor that follows itself", () => d(0, DATA, 1, flags.NEXT, 0), /loops/],
    ["a next descriptor past the ring", () => d(0, DATA, 1, flags.NEXT, SIZE), /outside its table/],
    ["a buffer past the end of RAM", () => d(0, RAM_SIZE - 4, 8, 0), /outside RAM/],
    ["a buffer that begins in RAM and ends in a hole", () => d(0, HOLE - 4, 8, flags.WRITE), /outside RAM/],
    ["a buffer around a hole", () => d(0, 0, RAM_SIZE, 0), /outside RAM/],
    ["a buffer at the end of 64 bits", () => d(0, 2 ** 64 - 4096, 8192, 0), /outside RAM/],
    ["a buffer in a device", () => d(0, 0xfee0_0000, 4, flags.WRITE), /outside RAM/],
    ["a length of zero", () => d(0, DATA, 0, 0), /no length/],
    ["a length of 4 GiB - 1", () => d(0, 0, 0xffff_ffff, 0), /outside RAM/],
    [
      "a readable buffer after a writable one",
      () => {
        d(0, DATA, 1, 3, 1);
        d(1, DATA, 1, 0);
      },
      /readable/,
    ],
    ["an indirect table of zero entries", () => d(0, TABLE, 0, flags.INDIRECT), /odd length/],
    ["an indirect table of a half entry", () => d(0, TABLE, 24, flags.INDIRECT), /odd length/],
    ["an indirect table outside RAM", () => d(0, RAM_SIZE - 16, 32, flags.INDIRECT), /outside RAM/],
    ["an indirect table with a next one", () => d(0, TABLE, 32, flags.INDIRECT | flags.NEXT), /next/],
    [
      "an indirect table in an indirect table",
      () => {
        d(0, TABLE, 16, flags.INDIRECT);
        ring.descriptor(TABLE, 0, TABLE, 16, flags.INDIRECT);
      },
      /in an indirect/,
    ],
    [
      "a loop in an indirect table",
      () => {
        d(0, TABLE, 16, flags.INDIRECT);
        ring.descriptor(TABLE, 0, DATA, 1, flags.NEXT, 0);
      },
      /loops/,
    ],
    [
      "an indirect chain that leaves its table",
      () => {
        d(0, TABLE, 16, flags.INDIRECT);
        ring.descriptor(TABLE, 0, DATA, 1, flags.NEXT, 1);
      },
      /outside its table/,
    ],
    [
      "an indirect chain that is longer than the queue",
      () => ring.indirect(new Array(SIZE + 1).fill({ address: DATA, length: 1 }), TABLE),
      /too long/,
    ],
  ];

  it.each(cases)("%s", (_name, lie, expected) => {
    lie();
    ring.offer(0);
    expect(() => queue.ring!.take()).toThrow(expected);
  });

  it("a chain of more than 4 GiB in sum", () => {
    // As much RAM as that exists only in words: the same 2 GiB of it again and again.
    const vast = { ...guarded(memory), isRam: () => true };
    queue = new Virtqueue(vast, 256);
    place();
    queue.enable({ packed: false, indirect: true, eventIndex: false });
    ring.offer(ring.chain(new Array(3).fill({ address: 0, length: 0x8000_0000 })));
    expect(() => queue.ring!.take()).toThrow(/4 GiB/);
  });

  it.each([
    ["that jumps ahead", SIZE + 1],
    ["that goes back", 0xffff],
  ])("an available index %s", (_name, index) => {
    memory.write16(ring.driver + 2, index);
    expect(() => queue.ring!.take()).toThrow(/jumps/);
  });

  it("a head outside the queue", () => {
    ring.offer(SIZE);
    expect(() => queue.ring!.take()).toThrow(/outside the queue/);
  });

  it("an indirect descriptor that was not negotiated", () => {
    build({ indirect: false });
    ring.offer(ring.indirect(two, TABLE));
    expect(() => queue.ring!.take()).toThrow(/not negotiated/);
  });

  it.each<[string, (lie: Virtqueue) => void]>([
    ["a size that is no power of 2", (q) => (q.size = 7)],
    ["a size of zero", (q) => (q.size = 0)],
    ["a size above the maximum", (q) => (q.size = 512)],
    ["descriptors that are not aligned", (q) => q.setAddress("descriptors", 0, 0x10_0008)],
    ["an available ring that is not aligned", (q) => q.setAddress("driver", 0, 0x10_0001)],
    ["a used ring that is not aligned", (q) => q.setAddress("device", 0, 0x10_0002)],
    ["descriptors above 4 GiB", (q) => q.setAddress("descriptors", 1, 1)],
    ["a used ring at the very end of RAM", (q) => q.setAddress("device", 0, RAM_SIZE - 64)],
    ["an available ring in a hole", (q) => q.setAddress("driver", 0, HOLE)],
  ])("a queue with %s", (_name, lie) => {
    queue = new Virtqueue(guarded(memory), 256);
    place();
    lie(queue);
    expect(() => queue.enable({ packed: false, indirect: true, eventIndex: true })).toThrow(DriverError);
    expect(queue.enabled).toBe(false);
  });
});
