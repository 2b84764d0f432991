import { beforeEach, describe, expect, it } from "vitest";
import { NETWORK_FEATURE as F, type NetworkOptions, VirtioNet } from "../../../src/devices/virtio/net.ts";
import { COMPLETE, type FrameWork } from "../../../src/devices/virtio/network-link.ts";
import { MS, runFor } from "../rig.ts";
import { createRig, type Rig, start, type TestRing } from "./driver.ts";
import { BROADCAST, frameTo, MAC, PEER, sums, tcpFrame } from "./frames.ts";

const DATA = 0x20_0000;

/** Features 0 to 31 as a word. */
const word = (...bits: number[]): number => bits.reduce((sum, bit) => (sum | (1 << bit)) >>> 0, 0);
const CONTROL = word(F.CTRL_VQ, F.CTRL_RX, F.CTRL_RX_EXTRA, F.CTRL_VLAN, F.CTRL_MAC_ADDR);

const WAYS = [
  ["pci", "split"],
  ["mmio", "split"],
  ["pci", "packed"],
  ["mmio", "packed"],
] as const;

describe.each(WAYS)("the device over %s with %s rings", (kind, rings_) => {
  const isPacked = rings_ === "packed";
  const high = isPacked ? 5 : 1;
  let rig: Rig;
  let device: VirtioNet;
  let rings: TestRing[];
  const sent: { frame: number[]; work: FrameWork }[] = [];

  function build(low: number, options: Partial<NetworkOptions> = {}): void {
    sent.length = 0;
    const link = {
      takesUnfinished: true,
      send: (frame: Uint8Array, work: FrameWork) => sent.push({ frame: [...frame], work }),
    };
    device = new VirtioNet({ name: "virtio net 0", link, mac: MAC, ...options });
    rig = createRig(kind, device);
    rings = start(
      rig,
      [low, high],
      device.queueSizes.map(() => 16),
    );
    expect(rig.driver.status()).toBe(15);
  }

  beforeEach(() => build(0));

  /** Buffers for frames, of the given sizes. */
  function supply(sizes: readonly number[], pair = 0): void {
    sizes.forEach((length, i) => {
      const ring = rings[2 * pair]!;
      ring.offer(ring.chain([{ address: DATA + i * 0x1_0000, length, write: true }]));
    });
    rig.driver.notify(2 * pair);
    runFor(rig.clock, MS);
  }

  /** What came in: header and frame, buffers joined as they came. */
  const received = (pair = 0) =>
    rings[2 * pair]!.used().map(({ head, written }) => {
      const bytes = rig.memory.read(DATA + head * 0x1_0000, written);
      return { header: [...bytes.subarray(0, 12)], frame: [...bytes.subarray(12)], written };
    });

  function send(header: readonly number[], frame: Uint8Array, pair = 0): void {
    rig.memory.write(DATA, Uint8Array.of(...header, ...new Array(12 - header.length).fill(0)));
    rig.memory.write(DATA + 12, frame);
    const ring = rings[2 * pair + 1]!;
    ring.offer(ring.chain([{ address: DATA, length: 12 + frame.length }]));
    rig.driver.notify(2 * pair + 1);
    runFor(rig.clock, MS);
  }

  /** A command on the control queue; gives its acknowledgement. */
  function command(queue: number, ...bytes: number[]): number {
    rig.memory.write(DATA, Uint8Array.from(bytes));
    rig.memory.write(DATA + 0x8000, Uint8Array.of(0xaa));
    const parts = [
      { address: DATA, length: bytes.length },
      { address: DATA + 0x8000, length: 1, write: true },
    ];
    rings[queue]!.offer(rings[queue]!.chain(parts));
    rig.driver.notify(queue);
    runFor(rig.clock, MS);
    return rig.memory.read8(DATA + 0x8000);
  }

  const passes = (frame: Uint8Array): boolean => {
    const before = device.drops.filtered;
    device.receive(frame, COMPLETE);
    return device.drops.filtered === before;
  };

  it("has address, link state, queue pairs and MTU in its configuration (5.1.4)", () => {
    build(0, { mtu: 9000, queuePairs: 3 });
    const bytes = Array.from({ length: 12 }, (_, i) => rig.driver.config(i, 1));
    expect(bytes).toEqual([...MAC, 1, 0, 3, 0, 0x28, 0x23]);
    rig.driver.setConfig(0, 1, 0xff);
    expect(rig.driver.config(0, 4)).toBe(0x0000_5452);
  });

  it("offers work to a link that takes it, and no feature without those that it needs (2.2.2)", () => {
    const all = Object.values(F).filter((bit) => bit !== F.MTU && bit !== F.MQ);
    expect([...device.features].sort()).toEqual(all.sort());
    build(0, { link: { takesUnfinished: false, send() {} } });
    for (const bit of [F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_ECN])
      expect(device.features).not.toContain(bit);
    build(0, { without: [F.CTRL_VQ, F.GUEST_CSUM], queuePairs: 2 });
    for (const bit of [F.CTRL_RX, F.CTRL_VLAN, F.MQ, F.GUEST_TSO4, F.GUEST_ECN]) {
      expect(device.features).not.toContain(bit);
    }
  });

  it("refuses a driver that takes a feature without those that it needs (5.1.3.1)", () => {
    for (const low of [word(F.GUEST_TSO4), word(F.HOST_TSO6), word(F.CTRL_RX), word(F.CSUM, F.HOST_ECN)]) {
      rig.driver.setStatus(0);
      rig.driver.setStatus(3);
      rig.driver.setFeatures([low, high]);
      rig.driver.setStatus(11);
      expect(rig.driver.status()).toBe(3);
    }
  });

  it("sends a frame without its header", () => {
    const frame = frameTo(PEER, 61, 9);
    send([], frame);
    expect(sent).toEqual([{ frame: [...frame], work: COMPLETE }]);
    expect(rings[1]!.used()).toEqual([{ head: 0, written: 0 }]);
    expect(device.counters).toMatchObject({ sentFrames: 1, sentBytes: 61 });
  });

  it("hands on the work that the driver left (5.1.6.2), if it took the feature and it fits the frame", () => {
    build(word(F.CSUM, F.HOST_TSO4));
    const { frame, checksum, tcp } = tcpFrame(4, 3000);
    send([1, 1, 0, 0, 0xe8, 3, tcp, 0, 16, 0], frame);
    expect(sent[0]!.work).toEqual({ checksum, segmentation: { protocol: "tcp4", size: 1000, ecn: false } });
    send([1, 0, 0, 0, 0, 0, tcp, 0, 16, 0], frame);
    expect(sent[1]!.work).toEqual({ checksum, segmentation: null });
    const wrong = [
      [1, 4, 0, 0, 0xe8, 3, tcp, 0, 16, 0],
      [1, 0x81, 0, 0, 0xe8, 3, tcp, 0, 16, 0],
      [1, 1, 0, 0, 0, 0, tcp, 0, 16, 0],
      [0, 1, 0, 0, 0xe8, 3, tcp, 0, 16, 0],
      [1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
      [1, 3, 0, 0, 0xe8, 3, tcp, 0, 16, 0],
    ];
    for (const header of wrong) send(header, frame);
    send([], frame.subarray(0, 13));
    expect(sent).toHaveLength(2);
    expect(device.drops.malformed).toBe(wrong.length + 1);
    expect(rig.driver.status()).toBe(15);
  });

  it("drops a frame that is longer than any", () => {
    const ring = rings[1]!;
    ring.offer(ring.chain([{ address: DATA, length: 12 + 65_558 }]));
    rig.driver.notify(1);
    runFor(rig.clock, MS);
    expect([sent.length, device.drops.tooLong, ring.used().length]).toEqual([0, 1, 1]);
  });

  it("keeps frames until there are buffers, and says so in the header (5.1.6.4)", () => {
    const frame = frameTo(MAC, 100, 3);
    expect(device.receive(frame, COMPLETE)).toBe(true);
    runFor(rig.clock, MS);
    expect(received()).toEqual([]);
    supply([1526]);
    expect(received()).toEqual([
      { header: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], frame: [...frame], written: 112 },
    ]);
    expect(device.counters).toMatchObject({ receivedFrames: 1, receivedBytes: 100 });
  });

  it("gives a frame that comes to waiting buffers at the next batch, with an interrupt", () => {
    supply([1526, 1526]);
    rig.driver.causes();
    device.receive(frameTo(MAC), COMPLETE);
    runFor(rig.clock, 9_000);
    expect(received()).toEqual([]);
    runFor(rig.clock, 2_000);
    expect(received()).toHaveLength(1);
    expect(rig.driver.causes()).toBe(1);
  });

  it("asks for no notifications while nothing waits, and for some when buffers are short (2.7.10)", () => {
    const flags = () => rig.memory.read16(rings[0]!.device + (isPacked ? 2 : 0));
    supply([100]);
    expect(flags()).toBe(1);
    device.receive(frameTo(MAC), COMPLETE);
    device.receive(frameTo(MAC), COMPLETE);
    runFor(rig.clock, MS);
    expect(received()).toHaveLength(1);
    expect(flags()).toBe(0);
  });

  it("spreads a frame over buffers for a driver that merges them", () => {
    build(word(F.MRG_RXBUF));
    const frame = frameTo(MAC, 500, 7);
    device.receive(frame, COMPLETE);
    supply([200, 200]);
    expect(received()).toEqual([]);
    // The third is enough.
    const ring = rings[0]!;
    ring.offer(ring.chain([{ address: DATA + 2 * 0x1_0000, length: 200, write: true }]));
    rig.driver.notify(0);
    runFor(rig.clock, MS);
    const used = ring.used();
    expect(used.map(({ written }) => written)).toEqual([200, 200, 112]);
    const bytes = used.flatMap(({ head, written }) => [...rig.memory.read(DATA + head * 0x1_0000, written)]);
    expect(bytes.slice(10, 12)).toEqual([3, 0]);
    expect(bytes.slice(12)).toEqual([...frame]);
  });

  it("asks for the buffer behind those that do not suffice (2.7.10, 2.8.10)", () => {
    const EVENT_IDX = 29;
    build(word(F.MRG_RXBUF, EVENT_IDX));
    device.receive(frameTo(MAC, 500, 7), COMPLETE);
    supply([200, 200]);
    // A driver that keeps to the event index notifies of its third buffer, if that is the one asked for.
    const { memory } = rig;
    const [ring] = rings;
    const event = memory.read16(isPacked ? ring!.device : ring!.device + 4 + 8 * ring!.size);
    expect(event).toBe(isPacked ? 0x8002 : 2);
    if (isPacked) expect(memory.read16(ring!.device + 2)).toBe(2);
    supply([200]);
    expect(ring!.used()).toHaveLength(3);
  });

  it("drops a frame that the driver's buffers can never hold, and goes on", () => {
    device.receive(frameTo(MAC, 1000), COMPLETE);
    device.receive(frameTo(MAC, 60), COMPLETE);
    supply([100]);
    expect(received().map(({ written }) => written)).toEqual([72]);
    expect(device.drops.tooLong).toBe(1);
    build(word(F.MRG_RXBUF));
    device.receive(frameTo(MAC, 1000), COMPLETE);
    device.receive(frameTo(MAC, 60), COMPLETE);
    supply(new Array(16).fill(20));
    expect(received()).toHaveLength(4);
    expect(device.drops.tooLong).toBe(1);
  });

  it.each([4, 6] as const)("does the work that the driver did not take (IPv%i)", (version) => {
    const { frame, checksum, ip, tcp } = tcpFrame(version, 2500);
    const segmentation = { protocol: version === 4 ? "tcp4" : "tcp6", size: 1000, ecn: false } as const;
    device.receive(frame, { checksum, segmentation });
    device.receive(frame, { checksum, segmentation: null });
    supply([4000, 4000, 4000, 4000]);
    const frames = received();
    expect(frames.map(({ header }) => header.slice(0, 10).every((byte) => byte === 0))).toEqual(
      new Array(4).fill(true),
    );
    expect(frames.map(({ written }) => written - 12 - tcp - 20)).toEqual([1000, 1000, 500, 2500]);
    for (const { frame: whole } of frames) {
      expect(sums(Uint8Array.from(whole), version, ip, tcp)).toEqual([0xffff, 0xffff]);
    }
  });

  it("leaves work to a driver that took it", () => {
    build(word(F.GUEST_CSUM, F.GUEST_TSO4));
    const { frame, checksum, tcp } = tcpFrame(4, 2500);
    const work = { protocol: "tcp4", size: 1000, ecn: false } as const;
    device.receive(frame, { checksum, segmentation: work });
    device.receive(frame, { checksum, segmentation: { ...work, ecn: true } });
    supply(new Array(5).fill(4000));
    const [whole, ...parts] = received();
    expect(whole!.header).toEqual([1, 1, tcp + 20, 0, 0xe8, 3, tcp, 0, 16, 0, 1, 0]);
    expect(whole!.frame).toEqual([...frame]);
    // Without GUEST_ECN the other one is cut.
    expect(parts).toHaveLength(3);
  });

  it("is bounded: frames beyond are dropped, and room comes back", () => {
    let count = 0;
    while (device.hasRoom) {
      expect(device.receive(frameTo(MAC), COMPLETE)).toBe(true);
      count++;
    }
    expect(count).toBeLessThanOrEqual(1024);
    expect(device.receive(frameTo(MAC), COMPLETE)).toBe(false);
    expect(device.drops.full).toBe(1);
    supply([1526]);
    expect(device.hasRoom).toBe(true);
    for (; device.hasRoom; count++) device.receive(frameTo(MAC, 65_000), COMPLETE);
    expect(count).toBeLessThan(1100);
    // Nobody waits for a driver that broke a rule: what comes is lost.
    rings[1]!.offer(rings[1]!.chain([{ address: DATA, length: 3 }]));
    rig.driver.notify(1);
    runFor(rig.clock, MS);
    expect([rig.driver.status() & 64, device.hasRoom, device.receive(frameTo(MAC), COMPLETE)]).toEqual([
      64,
      true,
      false,
    ]);
  });

  it("loses frames while no driver runs, and forgets them at a reset", () => {
    device.receive(frameTo(MAC), COMPLETE);
    rig.driver.setStatus(0);
    expect(device.receive(frameTo(MAC), COMPLETE)).toBe(false);
    expect(device.drops.noDriver).toBe(1);
    rings = start(rig, [0, high], [16, 16, 16]);
    supply([1526]);
    expect(received()).toEqual([]);
  });

  it("takes no frame that is no frame, or longer than the MTU that the driver took (5.1.4.1)", () => {
    build(word(F.MTU), { mtu: 1000 });
    expect(device.receive(new Uint8Array(13), COMPLETE)).toBe(false);
    expect(device.receive(new Uint8Array(70_000), COMPLETE)).toBe(false);
    expect(device.receive(frameTo(MAC, 1018), COMPLETE)).toBe(true);
    expect(device.receive(frameTo(MAC, 1019), COMPLETE)).toBe(false);
    const past = { start: 100, offset: 0 };
    expect(device.receive(frameTo(MAC), { checksum: past, segmentation: null })).toBe(false);
    expect(device.drops).toMatchObject({ malformed: 2, tooLong: 2 });
  });

  it("lets everything through to a driver that cannot set the filter", () => {
    expect([PEER, BROADCAST, Uint8Array.of(1, 0, 0x5e, 0, 0, 1)].map((to) => passes(frameTo(to)))).toEqual([
      true,
      true,
      true,
    ]);
  });

  describe("with a control queue", () => {
    const group = (last: number) => Uint8Array.of(1, 0, 0x5e, 0, 0, last);
    const control = (...bytes: number[]) => command(2, ...bytes);
    beforeEach(() => build(CONTROL));

    it("lets its own address and broadcasts through, and what modes say (5.1.6.5.1)", () => {
      const kinds = () => [MAC, PEER, BROADCAST, group(1)].map((to) => passes(frameTo(to)));
      expect(kinds()).toEqual([true, false, true, false]);
      expect(control(0, 1, 1)).toBe(0);
      expect(kinds()).toEqual([true, false, true, true]);
      expect(control(0, 2, 1)).toBe(0);
      expect(kinds()).toEqual([true, true, true, true]);
      for (const mode of [3, 4, 5]) expect(control(0, mode, 1)).toBe(0);
      expect(kinds()).toEqual([false, false, false, false]);
      expect(control(0, 0, 1)).toBe(0);
      expect(kinds()).toEqual([true, true, true, true]);
      expect(control(0, 0, 0)).toBe(0);
      expect(kinds()).toEqual([false, false, false, false]);
      expect(control(0, 6, 1)).toBe(1);
      expect(control(0, 0)).toBe(1);
    });

    it("has tables of addresses; one that is too long counts as all (5.1.6.5.2)", () => {
      expect(control(1, 0, 1, 0, 0, 0, ...PEER, 1, 0, 0, 0, ...group(7))).toBe(0);
      expect(
        [PEER, group(7), group(8), Uint8Array.of(2, 0, 0, 0, 0, 9)].map((to) => passes(frameTo(to))),
      ).toEqual([true, true, false, false]);
      const many = Array.from({ length: 65 }, (_, i) => [...group(i)]).flat();
      expect(control(1, 0, 0, 0, 0, 0, 65, 0, 0, 0, ...many)).toBe(0);
      expect([PEER, group(200)].map((to) => passes(frameTo(to)))).toEqual([false, true]);
      // Tables that are not as long as they say change nothing.
      expect(control(1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)).toBe(1);
      expect(control(1, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5)).toBe(1);
      expect(control(1, 0, 0, 0, 0, 0)).toBe(1);
      expect(passes(frameTo(group(200)))).toBe(true);
    });

    it("takes another address until a reset", () => {
      expect(control(1, 1, ...PEER)).toBe(0);
      expect([passes(frameTo(PEER)), passes(frameTo(MAC))]).toEqual([true, false]);
      expect(rig.driver.config(5, 1)).toBe(2);
      expect(control(1, 1, 1, 2, 3)).toBe(1);
      rig.driver.setStatus(0);
      expect(rig.driver.config(5, 1)).toBe(1);
    });

    it("filters VLANs (5.1.6.5.3)", () => {
      const tagged = (id: number) => {
        const frame = frameTo(MAC);
        frame.set([0x81, 0, 0xe0 | (id >> 8), id & 0xff], 12);
        return frame;
      };
      expect([0, 5, 4095].map((id) => passes(tagged(id)))).toEqual([true, false, false]);
      expect([
        control(2, 0, 5, 0),
        control(2, 0, 0xff, 0xf),
        control(2, 0, 0, 0x10),
        control(2, 2, 5, 0),
      ]).toEqual([0, 0, 1, 1]);
      expect([5, 6, 4095].map((id) => passes(tagged(id)))).toEqual([true, false, true]);
      expect(control(2, 1, 5, 0)).toBe(0);
      expect(passes(tagged(5))).toBe(false);
    });

    it("answers what it does not know with an error, and a command that is none needs a reset", () => {
      expect([control(9, 0, 0), control(4, 0, 1, 0), control(3, 0)]).toEqual([1, 1, 1]);
      control(1);
      expect(rig.driver.status() & 64).toBe(64);
    });
  });

  describe("with several queue pairs", () => {
    const CONTROL_QUEUE = 8;
    const arrivals = () => rings.slice(0, 8).map((ring, i) => (i % 2 === 0 ? ring.used().length : 0));
    beforeEach(() => {
      build(word(F.CTRL_VQ, F.MQ), { queuePairs: 4 });
      for (let pair = 0; pair < 4; pair++) supply([4000, 4000, 4000, 4000], pair);
    });

    it("uses the first until the driver asks for more (5.1.6.5.5)", () => {
      for (let port = 0; port < 4; port++) device.receive(tcpFrame(4, 10, { port }).frame, COMPLETE);
      runFor(rig.clock, MS);
      expect(arrivals()).toEqual([4, 0, 0, 0, 0, 0, 0, 0]);
      expect([0, 5].map((count) => command(CONTROL_QUEUE, 4, 0, count, 0))).toEqual([1, 1]);
      expect(command(CONTROL_QUEUE, 4, 0, 4, 0)).toBe(0);
    });

    it("gives a flow to the pair that it was last sent from, in either direction", () => {
      command(CONTROL_QUEUE, 4, 0, 4, 0);
      const { frame, ip, tcp } = tcpFrame(4, 10, { port: 7777 });
      const back = frame.slice();
      back.copyWithin(ip + 12, ip + 16, ip + 20);
      back.set(frame.subarray(ip + 12, ip + 16), ip + 16);
      back.copyWithin(tcp, tcp + 2, tcp + 4);
      back.set(frame.subarray(tcp, tcp + 2), tcp + 2);
      for (const pair of [3, 1]) {
        send([], frame, pair);
        device.receive(back, COMPLETE);
        runFor(rig.clock, MS);
        expect(arrivals()[2 * pair]).toBe(1);
      }
      // Fewer pairs: it goes where it can.
      command(CONTROL_QUEUE, 4, 0, 1, 0);
      device.receive(back, COMPLETE);
      runFor(rig.clock, MS);
      expect(arrivals()[0]).toBe(1);
    });

    it("has its control queue at 2 for a driver that did not take MQ (5.1.2)", () => {
      build(word(F.CTRL_VQ), { queuePairs: 4 });
      expect(command(2, 4, 0, 1, 0)).toBe(1);
      // The queues of the other pairs are none for it.
      expect(command(CONTROL_QUEUE, 4, 0, 1, 0)).toBe(0xaa);
      expect(rig.driver.status() & 64).toBe(64);
    });
  });

  it("is restored with its frames, filter and features", () => {
    build(CONTROL | word(F.GUEST_CSUM));
    command(2, 0, 1, 1);
    const { frame, checksum } = tcpFrame(4, 100);
    device.receive(frame, { checksum, segmentation: null });
    const saved = rig.pci?.save() ?? rig.driver.device.save();
    const { memory } = rig;
    const link = { takesUnfinished: true, send() {} };
    device = new VirtioNet({ name: "virtio net 0", link, mac: PEER });
    rig = createRig(kind, device, memory);
    if (rig.pci) rig.pci.restore(saved);
    else rig.driver.device.restore(saved);
    supply([2000]);
    // The other machine's clock was further on.
    runFor(rig.clock, 10 * MS);
    expect(received()).toMatchObject([{ frame: [...frame] }]);
    expect(passes(frameTo(Uint8Array.of(1, 0, 0, 0, 0, 1)))).toBe(true);
    expect(passes(frameTo(PEER))).toBe(false);
  });
});
