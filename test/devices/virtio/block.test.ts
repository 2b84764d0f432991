import { beforeEach, describe, expect, it } from "vitest";
import { StoreError, VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioRng } from "../../../src/devices/virtio/rng.ts";
import { MS, runFor } from "../rig.ts";
import {
  type Buffer,
  createRig,
  FULL,
  PLAIN,
  packed,
  type Rig,
  start,
  type TestRing,
  TestStore,
} from "./driver.ts";

const DISK = 64 * 1024;
const HEADER = 0x30_0000;
const DATA = 0x31_0000;
const STATUS = 0x32_0000;
const [OK, IOERR, UNSUPP] = [0, 1, 2];
const TYPE = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13, SECURE_ERASE: 14 };

let store: TestStore;
let rig: Rig;
let rings: TestRing[];
let words: (split: readonly [number, number]) => readonly [number, number] = (split) => split;

function build(options: { readonly?: boolean; words?: readonly [number, number] } = {}): void {
  store = new TestStore(DISK, options.readonly);
  rig = createRig("mmio", new VirtioBlock({ name: "virtio disk0", store, serial: "a-serial-number" }));
  // FLUSH, CONFIG_WCE, DISCARD and WRITE_ZEROES with all of the ring's features.
  rings = start(rig, words(options.words ?? [(FULL[0] | 0x6a00) >>> 0, 1]), [64, 64, 64, 64]);
}

function header(type: number, sector: number): void {
  rig.memory.write32(HEADER, type);
  rig.memory.write32(HEADER + 4, 0);
  rig.memory.write32(HEADER + 8, sector % 2 ** 32);
  rig.memory.write32(HEADER + 12, Math.floor(sector / 2 ** 32));
}

/** Makes a request and waits for it. @returns its status, and the bytes that the used ring says */
function request(type: number, sector: number, data: readonly Buffer[], queue = 0) {
  header(type, sector);
  rig.memory.write8(STATUS, 0xee);
  const ring = rings[queue]!;
  const parts = [{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, write: true }];
  ring.offer(ring.chain(parts));
  rig.driver.notify(queue);
  runFor(rig.clock, MS);
  const used = ring.used();
  expect(used).toHaveLength(1);
  return { status: rig.memory.read8(STATUS), written: used[0]!.written };
}

const reads = (length: number, address = DATA) => [{ address, length, write: true }];
const writes = (length: number, address = DATA) => [{ address, length }];

function range(sector: number, count: number, flags = 0): readonly Buffer[] {
  rig.memory.write32(DATA, sector);
  rig.memory.write32(DATA + 4, 0);
  rig.memory.write32(DATA + 8, count);
  rig.memory.write32(DATA + 12, flags);
  return writes(16);
}

describe.each(["split", "packed"] as const)("%s rings", (kind) => {
  beforeEach(() => {
    words = kind === "packed" ? packed : (split) => split;
    build();
  });

  describe("reads and writes", () => {
    it("reads sectors", () => {
      expect(request(TYPE.IN, 3, reads(1024))).toEqual({ status: OK, written: 1025 });
      expect(rig.memory.read(DATA, 1024)).toEqual(store.bytes.slice(3 * 512, 5 * 512));
    });

    it("writes sectors, and those alone", () => {
      const before = store.bytes.slice();
      rig.memory.fill(DATA, 1024, 0xa5);
      expect(request(TYPE.OUT, 7, writes(1024))).toEqual({ status: OK, written: 1 });
      before.fill(0xa5, 7 * 512, 9 * 512);
      expect(store.bytes).toEqual(before);
      expect(store.calls).toEqual(["write 3584 1024"]);
    });

    it("moves large requests in pieces, and fails as a whole when one of them does", () => {
      const large = new TestStore(512 * 1024);
      rig = createRig("mmio", new VirtioBlock({ name: "virtio disk0", store: large, serial: "x" }));
      rings = start(rig, words(FULL), [64]);
      const length = 300 * 1024;
      const parts = [reads(100 * 1024, 0x18_0000), reads(200 * 1024, 0x1a_0000)].flat();
      expect(request(TYPE.IN, 8, parts)).toEqual({ status: OK, written: length + 1 });
      const seen = Buffer.concat([
        rig.memory.read(0x18_0000, 100 * 1024),
        rig.memory.read(0x1a_0000, 200 * 1024),
      ]);
      expect(seen.equals(large.bytes.subarray(4096, 4096 + length))).toBe(true);
      const expected = large.bytes.slice();
      expected.set(seen, 16 * 512);
      const out = parts.map(({ address, length }) => ({ address, length }));
      expect(request(TYPE.OUT, 16, out)).toEqual({ status: OK, written: 1 });
      expect(Buffer.from(large.bytes).equals(expected)).toBe(true);
      large.read = () => {
        large.read = () => {
          throw new StoreError("EIO");
        };
      };
      expect(request(TYPE.IN, 0, parts)).toEqual({ status: IOERR, written: 0 });
    });

    it("takes a request however it is cut (2.7.4): a split header, data and status in one buffer", () => {
      header(TYPE.IN, 1);
      const [ring] = rings;
      ring!.offer(
        ring!.chain([
          { address: HEADER, length: 5 },
          { address: HEADER + 5, length: 11 },
          { address: DATA, length: 100, write: true },
          { address: DATA + 100, length: 413, write: true },
        ]),
      );
      rig.driver.notify(0);
      runFor(rig.clock, MS);
      expect(ring!.used()[0]!.written).toBe(513);
      expect(rig.memory.read(DATA, 512)).toEqual(store.bytes.slice(512, 1024));
      expect(rig.memory.read8(DATA + 512)).toBe(OK);
    });

    it("serves every queue, and requests of several at once", () => {
      for (let queue = 0; queue < 4; queue++) {
        expect(request(TYPE.IN, queue, reads(512), queue).status).toBe(OK);
      }
      header(TYPE.IN, 0);
      for (const [i, ring] of rings.entries()) {
        const at = DATA + i * 0x1000;
        const parts = [{ address: HEADER, length: 16 }, ...reads(512, at), ...reads(1, at + 512)];
        for (let n = 0; n < 10; n++) ring.offer(ring.chain(parts));
        rig.driver.notify(i);
      }
      runFor(rig.clock, MS);
      expect(rings.map((ring) => ring.used().length)).toEqual([10, 10, 10, 10]);
    });

    it("completes at a deadline of virtual time, not at the notification", () => {
      header(TYPE.IN, 0);
      const [ring] = rings;
      ring!.offer(ring!.chain([{ address: HEADER, length: 16 }, ...reads(512), ...reads(1, STATUS)]));
      rig.driver.notify(0);
      expect(ring!.used()).toEqual([]);
      runFor(rig.clock, 9_999);
      expect(ring!.used()).toEqual([]);
      runFor(rig.clock, 1);
      expect(ring!.used()).toHaveLength(1);
      expect(rig.line.level).toBe(true);
    });

    it("drops what was decoded from the bytes that it writes", () => {
      const dropped: number[] = [];
      rig.memory.code.onCodeWrite = (page) => dropped.push(page);
      rig.memory.code.markWithinPage(DATA + 0x200, 16);
      request(TYPE.IN, 0, reads(512));
      expect(dropped).toEqual([]);
      request(TYPE.IN, 0, reads(1024));
      expect(dropped).toEqual([DATA / 4096]);
    });
  });

  describe("limits", () => {
    it.each<[string, number, number, readonly Buffer[]]>([
      ["a read that begins at the end", TYPE.IN, 128, reads(512)],
      ["a read that crosses the end", TYPE.IN, 127, reads(1024)],
      ["a read at the last sector number there is", TYPE.IN, 2 ** 64 - 2048, reads(512)],
      ["a sector number that overflows in bytes", TYPE.IN, 2 ** 55, reads(512)],
      ["a read of half a sector", TYPE.IN, 0, reads(256)],
      ["a write that crosses the end", TYPE.OUT, 127, writes(1024)],
      ["a write of half a sector", TYPE.OUT, 0, writes(513)],
    ])("%s fails and touches nothing", (_name, type, sector, data) => {
      expect(request(type, sector, data).status).toBe(IOERR);
      expect(store.calls).toEqual([]);
      expect(rig.driver.status()).toBe(15);
    });

    it("a request larger than seg_max segments of size_max fails before it costs anything", () => {
      const [sizeMax, segMax] = [rig.driver.config(8, 4), rig.driver.config(12, 4)];
      expect(sizeMax * segMax).toBeLessThan(2 ** 25);
      const most = 2 ** 21;
      const parts = new Array(9).fill({ address: 0x10_0000 + 0x8_0000, length: most, write: true });
      expect(request(TYPE.IN, 0, parts).status).toBe(IOERR);
      expect(store.calls).toEqual([]);
    });

    it.each([TYPE.SECURE_ERASE, 2, 0xffff_ffff])("type %i is not supported", (type) => {
      expect(request(type, 0, []).status).toBe(UNSUPP);
    });

    it.each<[string, readonly Buffer[]]>([
      ["no header", [{ address: HEADER, length: 15 }, ...reads(512)]],
      ["no room for a status", [{ address: HEADER, length: 16 }]],
    ])("a request with %s ends in NEEDS_RESET, one line and a configuration interrupt", (_name, parts) => {
      header(TYPE.IN, 0);
      const [ring] = rings;
      for (let i = 0; i < 3; i++) ring!.offer(ring!.chain(parts));
      rig.driver.notify(0);
      runFor(rig.clock, MS);
      expect(rig.driver.status()).toBe(15 | 64);
      expect(rig.driver.causes()).toBe(2);
      expect(rig.log.messages).toHaveLength(1);
      expect(rig.log.messages[0]).toMatch(
        /^virtio disk0: the guest's driver gave a request with.*needs a reset$/,
      );
      // Nothing more happens until a reset, and everything works after it.
      rig.driver.notify(0);
      runFor(rig.clock, MS);
      expect(ring!.used()).toEqual([]);
      rings = start(rig, words(FULL), [64]);
      expect(request(TYPE.IN, 0, reads(512)).status).toBe(OK);
    });
  });

  describe("flush, discard, zeroes, serial number", () => {
    it("flushes when asked to, while the cache is write-back", () => {
      request(TYPE.OUT, 0, writes(512));
      expect(request(TYPE.FLUSH, 0, []).status).toBe(OK);
      expect(store.calls).toEqual(["write 0 512", "flush 0 0"]);
    });

    it("flushes after each write in write-through mode, and for a driver without FLUSH (5.2.6.2)", () => {
      expect(rig.driver.config(32, 1)).toBe(1);
      rig.driver.setConfig(32, 1, 0);
      expect(rig.driver.config(32, 1)).toBe(0);
      request(TYPE.OUT, 0, writes(512));
      expect(store.calls).toEqual(["write 0 512", "flush 0 0"]);
      build({ words: PLAIN });
      request(TYPE.OUT, 1, writes(512));
      expect(store.calls).toEqual(["write 512 512", "flush 0 0"]);
    });

    it("writes zeroes and discards", () => {
      expect(request(TYPE.WRITE_ZEROES, 0, range(2, 4, 1)).status).toBe(OK);
      expect(request(TYPE.DISCARD, 0, range(8, 8)).status).toBe(OK);
      expect(store.calls).toEqual(["zero 1024 2048", "discard 4096 4096"]);
    });

    it.each<[string, number, [number, number, number], number]>([
      ["a discard to be unmapped", TYPE.DISCARD, [0, 8, 1], UNSUPP],
      ["a reserved flag", TYPE.WRITE_ZEROES, [0, 8, 2], UNSUPP],
      ["a range past the end", TYPE.WRITE_ZEROES, [127, 2, 0], IOERR],
      ["2^32 - 1 sectors of zeroes", TYPE.WRITE_ZEROES, [0, 0xffff_ffff, 0], IOERR],
      ["2^32 - 1 discarded sectors", TYPE.DISCARD, [0, 0xffff_ffff, 0], IOERR],
    ])("%s is refused", (_name, type, [sector, count, flags], expected) => {
      expect(request(type, 0, range(sector, count, flags)).status).toBe(expected);
      expect(store.calls).toEqual([]);
    });

    it("more ranges than max_discard_seg are refused", () => {
      range(0, 8);
      expect(rig.driver.config(40, 4)).toBe(1);
      expect(request(TYPE.DISCARD, 0, writes(32)).status).toBe(IOERR);
      expect(request(TYPE.DISCARD, 0, writes(8)).status).toBe(IOERR);
    });

    it("gives its serial number in 20 bytes", () => {
      expect(request(TYPE.GET_ID, 0, reads(20))).toEqual({ status: OK, written: 21 });
      expect(Buffer.from(rig.memory.read(DATA, 20)).toString("latin1")).toBe("a-serial-number\0\0\0\0\0");
    });
  });

  describe("configuration", () => {
    it("shows capacity, block size, topology, queues and limits (5.2.4)", () => {
      const c = (offset: number, size: 1 | 2 | 4 = 4) => rig.driver.config(offset, size);
      expect([c(0), c(4), c(20), c(24, 1), c(26, 2), c(34, 2)]).toEqual([128, 0, 512, 3, 8, 4]);
      expect(c(60)).toBe(0);
    });

    it("a read-only disk says so, refuses every change and stays as it is", () => {
      build({ readonly: true, words: FULL });
      const [low] = rig.driver.features();
      expect([(low >> 5) & 1, (low >> 13) & 1, (low >> 14) & 1]).toEqual([1, 0, 0]);
      expect(request(TYPE.OUT, 0, writes(512)).status).toBe(IOERR);
      expect(request(TYPE.WRITE_ZEROES, 0, range(0, 1)).status).toBe(IOERR);
      expect(request(TYPE.DISCARD, 0, range(0, 1)).status).toBe(IOERR);
      expect(request(TYPE.IN, 0, reads(512)).status).toBe(OK);
      expect(store.calls).toEqual(["read 0 512"]);
    });

    it.each<[string, number, readonly Buffer[]]>([
      ["read", TYPE.IN, reads(512)],
      ["write", TYPE.OUT, writes(512)],
      ["flush", TYPE.FLUSH, []],
    ])("a host that fails a %s gives the guest an I/O error, and the device goes on", (_name, type, data) => {
      store.failure = new StoreError("ENOSPC");
      expect(request(type, 0, data).status).toBe(IOERR);
      expect(request(type, 0, data).status).toBe(OK);
    });
  });

  describe("the entropy device", () => {
    const draw = (seed: bigint, lengths: readonly number[]): string[] => {
      const own = createRig("pci", new VirtioRng(seed));
      const [ring] = start(own, words(FULL), [8]);
      return lengths.map((length) => {
        ring!.offer(ring!.chain(reads(length)));
        own.driver.notify(0);
        runFor(own.clock, MS);
        const { written } = ring!.used()[0]!;
        return Buffer.from(own.memory.read(DATA, written)).toString("hex");
      });
    };

    it("gives bytes that follow from the seed, and others for another seed", () => {
      const first = draw(1n, [16, 7, 64]);
      expect(draw(1n, [16, 7, 64])).toEqual(first);
      expect(new Set([...first, ...draw(2n, [16, 64]), ...draw(1n << 32n, [16, 64])]).size).toBe(7);
    });

    it("has no pattern that a count of bits would show", () => {
      const [bytes] = draw(0n, [4096]);
      const ones = [...Buffer.from(bytes!, "hex")].reduce(
        (sum, b) => sum + b.toString(2).replaceAll("0", "").length,
        0,
      );
      expect(Math.abs(ones - 16_384)).toBeLessThan(400);
    });

    it("gives less than is asked for when that is much", () => {
      expect(draw(0n, [0x2_0000])[0]).toHaveLength(2 * 4096);
    });
  });
});
