/** Windows: of zero, silly ones, and acknowledgments that may wait (RFC 9293, 3.8.6). */
import { describe, expect, test } from "vitest";
import { MOST_SEGMENTS } from "../../../src/devices/virtio/segmentation.ts";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { TcpSender } from "../../../src/net/tcp/sender.ts";
import { TimerQueue } from "../../../src/net/timers.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { connected, RawPeer, SEGMENT, type TestUser } from "./rig.ts";

/** Writes until it is enough. */
function fill(user: TestUser): number {
  let written = 0;
  while (user.connection.write(new Uint8Array(10_000))) written += 10_000;
  return written + 10_000;
}

describe("a user that does not read", () => {
  test("closes the window, and the sender stops, for hours", () => {
    const { clock, client, server } = connected();
    server.reads = false;
    const written = fill(client);
    clock.advance(1000);
    const more = fill(client);
    clock.advance(4 * 3_600_000);
    // Everything that may be held is held, and not a byte more.
    expect(server.held).toBe(262_144);
    expect(client.connection.buffered).toBe(written + more - server.held);
    expect([client.closedBy, server.closedBy]).toEqual([null, null]);
    let drained = 0;
    client.onDrain = () => drained++;
    server.reads = true;
    server.read();
    clock.advance(1000);
    expect([server.count, drained]).toEqual([written + more, 1]);
  });

  test("that reads again is heard though the news was lost: the window is probed", () => {
    const { clock, client, server, control, here } = connected();
    server.reads = false;
    const written = fill(client) + 50_000;
    client.connection.write(new Uint8Array(50_000));
    clock.advance(1000);
    control.lose = (_packet, from) => from === here;
    server.reads = true;
    server.read();
    clock.advance(500);
    control.lose = () => false;
    expect(server.count).toBeLessThan(written);
    clock.advance(120_000);
    expect(server.count).toBe(written);
  });

  test("probes are one byte at growing intervals, and end only when nobody answers", () => {
    const peer = new RawPeer();
    const user = peer.establish(SEGMENT, null, 0);
    user.connection.write(Buffer.from("abc"));
    const probes: number[] = [];
    for (let i = 0; i < 3600; i++) {
      for (const segment of peer.take()) {
        expect([segment.sequence, segment.payload.length]).toEqual([5001, 1]);
        probes.push(i);
        peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, window: 0 });
      }
      peer.clock.advance(1000);
    }
    const gaps = probes.slice(1).map((second, i) => second - probes[i]!);
    expect(gaps.slice(0, 6)).toEqual([2, 4, 8, 16, 32, 60]);
    expect([gaps.at(-1), user.closedBy]).toEqual([60, null]);
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, window: 1000 });
    expect(peer.take().map(({ payload }) => payload.length)).toEqual([3]);
    // And now nobody answers.
    peer.send({ sequence: 1001, acknowledgment: 5004, flags: FLAG.ACK, window: 0 });
    user.connection.write(Buffer.from("def"));
    peer.clock.advance(3_600_000);
    expect(user.closedBy).toBe("timeout");
  });

  test("FIN is what a probe carries when there is nothing else", () => {
    const peer = new RawPeer();
    const user = peer.establish(SEGMENT, null, 0);
    user.connection.end();
    expect(peer.take()).toEqual([]);
    peer.clock.advance(2000);
    const probe = peer.one();
    expect([probe.flags & FLAG.FIN, probe.sequence]).toEqual([FLAG.FIN, 5001]);
    peer.send({ sequence: 1001, acknowledgment: 5002, flags: FLAG.ACK });
    expect(user.connection.state).toBe("FIN-WAIT-2");
  });

  test("acknowledgments come through a window of zero", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    user.reads = false;
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data: new Uint8Array(65_535) });
    expect(peer.take().at(-1)!.window).toBe(0);
    user.connection.write(Buffer.from("abc"));
    peer.take();
    // A probe of the peer's window is not taken, but what it acknowledges is.
    peer.send({ sequence: 66_536, acknowledgment: 5004, flags: FLAG.ACK, data: "?" });
    expect([user.count, user.connection.buffered]).toEqual([65_535, 0]);
    expect(peer.take().at(-1)!.acknowledgment).toBe(66_536);
  });
});

describe("silly windows", () => {
  test("a user that reads byte by byte does not open the window by bytes (3.8.6.2.2)", () => {
    const { clock, client, server, counts } = connected();
    server.reads = false;
    fill(client);
    client.connection.write(new Uint8Array(100_000));
    clock.advance(1000);
    const before = counts.sent;
    for (let i = 0; i < SEGMENT - 200; i++) {
      server.read(1);
      clock.advance(0.1);
    }
    expect(counts.sent - before).toBeLessThan(3);
  });

  test("a sender waits for a segment's room, or for half of the largest window (3.8.6.2.1)", () => {
    const peer = new RawPeer();
    const user = peer.establish(SEGMENT, null, 5000);
    user.connection.write(new Uint8Array(20_000));
    expect(peer.take().map(({ payload }) => payload.length)).toEqual([SEGMENT, SEGMENT, SEGMENT]);
    peer.send({ sequence: 1001, acknowledgment: 5001 + 3 * SEGMENT, flags: FLAG.ACK, window: 500 });
    expect(peer.take()).toEqual([]);
    peer.send({ sequence: 1001, acknowledgment: 5001 + 3 * SEGMENT, flags: FLAG.ACK, window: 1600 });
    expect(peer.take().map(({ payload }) => payload.length)).toEqual([SEGMENT]);
  });

  test("a window smaller than a segment for ever is used in the end", () => {
    const peer = new RawPeer();
    const user = peer.establish(SEGMENT, null, 100);
    user.connection.write(new Uint8Array(1000));
    let received = 0;
    for (let i = 0; i < 200 && received < 1000; i++) {
      for (const { sequence, payload } of peer.take()) {
        expect(payload.length).toBeLessThanOrEqual(100);
        received = sequence - 5001 + payload.length;
        peer.send({ sequence: 1001, acknowledgment: 5001 + received, flags: FLAG.ACK, window: 100 });
      }
      peer.clock.advance(1000);
    }
    expect(received).toBe(1000);
  });

  test("the right edge of the window never goes back", () => {
    const peer = new RawPeer();
    const user = peer.establish(SEGMENT, 0);
    user.reads = false;
    let edge = 0;
    let sequence = 1001;
    for (let i = 0; i < 150; i++) {
      peer.send({ sequence, acknowledgment: 5001, flags: FLAG.ACK, data: new Uint8Array(SEGMENT) });
      sequence += SEGMENT;
      if (i % 7 === 0) user.read(Math.min(user.held, 999));
      for (const { acknowledgment, window } of peer.take()) {
        // The scale hides up to 127 bytes.
        expect(acknowledgment + (window << 7)).toBeGreaterThanOrEqual(edge - 127);
        edge = Math.max(edge, acknowledgment + (window << 7));
      }
    }
  });
});

describe("acknowledgments (3.8.6.3)", () => {
  test("of one segment after a moment, of two at once, or with an answer", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    const data = new Uint8Array(SEGMENT);
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data });
    expect(peer.take()).toEqual([]);
    peer.clock.advance(39);
    expect(peer.take()).toEqual([]);
    peer.clock.advance(1);
    expect(peer.one().acknowledgment).toBe(1001 + SEGMENT);
    peer.send({ sequence: 1001 + SEGMENT, acknowledgment: 5001, flags: FLAG.ACK, data });
    peer.send({ sequence: 1001 + 2 * SEGMENT, acknowledgment: 5001, flags: FLAG.ACK, data });
    expect(peer.one().acknowledgment).toBe(1001 + 3 * SEGMENT);
    peer.send({ sequence: 1001 + 3 * SEGMENT, acknowledgment: 5001, flags: FLAG.ACK, data: "?" });
    user.connection.write(Buffer.from("!"));
    const answer = peer.one();
    expect([answer.payload.length, answer.acknowledgment]).toEqual([1, 1002 + 3 * SEGMENT]);
    peer.clock.advance(1000);
    expect(peer.take().filter(({ payload }) => payload.length === 0)).toEqual([]);
  });
});

test("no frame is more segments than devices cut it into", () => {
  const clock = new VirtualClock();
  const events = { ready() {}, failed() {}, random: () => 0 };
  const sender = new TcpSender(0, 65_000, new TimerQueue(clock), events);
  sender.plan();
  sender.acknowledge(1, 1 << 20, 0, false);
  sender.open(88, 1 << 20, 0, 1);
  sender.append(new Uint8Array(500_000));
  let longest = 0;
  for (let plan = sender.plan(); plan !== null; plan = sender.plan()) {
    longest = Math.max(longest, plan.length);
    sender.acknowledge(plan.sequence + plan.length, 1 << 20, 0, true);
  }
  expect(sender.buffered).toBe(0);
  expect(longest).toBe(88 * MOST_SEGMENTS);
});
