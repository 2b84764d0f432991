/** Links that lose, repeat and reorder. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { connected, flagsOf, type LinkOptions, RawPeer, SEGMENT, type TestUser, text } from "./rig.ts";

const MIB = 1 << 20;
const CHUNK = 50_000;

/** Bytes that say where they are. */
function makeChunk(index: number): Uint8Array {
  const bytes = new Uint8Array(CHUNK);
  let state = (index * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < CHUNK; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const CHUNKS = Array.from({ length: 16 }, (_, index) => makeChunk(index));

/** Writes as long as there is room. @returns the hash of what is written */
function pour(user: TestUser, length: number): () => string {
  const hash = createHash("sha256");
  let written = 0;
  let index = 0;
  const more = (): void => {
    let room = true;
    while (room && written < length) {
      const bytes = CHUNKS[index++ % 16]!.subarray(0, length - written);
      written += bytes.length;
      hash.update(bytes);
      room = user.connection.write(bytes);
    }
    if (written === length) user.connection.end();
  };
  user.onDrain = more;
  more();
  return () => hash.digest("hex");
}

/** Hashes what comes and keeps nothing. */
function drink(user: TestUser): () => string {
  const hash = createHash("sha256");
  user.onData = (bytes) => {
    hash.update(bytes);
    user.received = [];
  };
  return () => hash.digest("hex");
}

function transfer(link: LinkOptions, up: number, isn?: number, largest = SEGMENT, down = up) {
  const options = isn === undefined ? { largest } : { isn, largest };
  const rig = connected(link, options, options);
  const { client, server, clock } = rig;
  const hashes = [drink(server), drink(client)] as const;
  const sums = [pour(client, up), pour(server, down)] as const;
  let most = 0;
  clock.run(clock.now() + 36_000_000, () => {
    most = Math.max(most, client.connection.buffered, server.connection.buffered);
    return client.closedBy !== null && server.closedBy !== null;
  });
  expect([client.closedBy, server.closedBy]).toEqual(["done", "done"]);
  expect([server.count, client.count]).toEqual([up, down]);
  expect(hashes.map((hash) => hash())).toEqual(sums.map((sum) => sum()));
  return { ...rig, most };
}

describe("transfers both ways at once", () => {
  test("64 MiB through a link that loses one segment in 50, repeats and reorders", () => {
    const link = { loss: 50, duplication: 100, reordering: 50, seed: 3 };
    const { counts, most, here, there } = transfer(link, 64 * MIB, undefined, SEGMENT, MIB);
    expect(counts.lost).toBeGreaterThan(500);
    // What is written and not acknowledged is bounded: 256 KiB and one write.
    expect(most).toBeLessThanOrEqual(262_144 + CHUNK);
    expect([here.layer.active, there.layer.active]).toEqual([0, 0]);
  });

  const links: [string, LinkOptions][] = [
    ["every third segment lost", { loss: 3, seed: 1 }],
    ["every second segment repeated", { duplication: 2, seed: 2 }],
    ["every second segment late", { reordering: 2, seed: 4 }],
    ["all of it", { loss: 8, duplication: 4, reordering: 4, seed: 5 }],
    ["a long way", { loss: 100, delay: 300, seed: 6 }],
  ];
  test.each(links)("%s", (_name, link) => {
    transfer(link, MIB / 4);
  });

  test.each([0xffff_fff0, 0x7fff_fff0, 0xffff_ffff, 0])("sequence numbers that begin at %i", (isn) => {
    transfer({ loss: 20, reordering: 10, seed: 7 }, MIB, isn);
  });

  test("frames of 64 KiB that count as one", () => {
    const { counts } = transfer({}, 8 * MIB, undefined, 65_000);
    expect(counts.sent).toBeLessThan(2 * 8 * (MIB / SEGMENT));
  });
});

describe("retransmission (RFC 6298)", () => {
  test("at 1, 2, 4 ... 60 seconds, and an end after more than 100", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    user.connection.write(Buffer.from("x"));
    const times: number[] = [];
    for (let i = 0; i < 600 && user.closedBy === null; i++) {
      for (const segment of peer.take()) {
        if (!(segment.flags & FLAG.RST)) times.push(peer.clock.now());
      }
      peer.clock.advance(1000);
    }
    const gaps = times.slice(1).map((time, i) => Math.round((time - times[i]!) / 1000));
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    expect(user.closedBy).toBe("timeout");
    expect(peer.clock.now()).toBeGreaterThan(100_000);
    expect(peer.host.timers.size).toBe(0);
  });

  test("the timeout follows the round trip: 2 seconds there and back are no loss", () => {
    const { clock, client, server, counts } = connected({ delay: 1000 });
    client.connection.write(Buffer.alloc(200_000));
    clock.advance(60_000);
    expect(server.count).toBe(200_000);
    const useful = 200_000 / SEGMENT;
    // Data and acknowledgments, and what the first timeout of one second sent in vain.
    expect(counts.sent).toBeLessThan(useful * 2 + 20);
  });

  test("three duplicate acknowledgments send the lost segment again, long before the timeout (RFC 5681, 3.2)", () => {
    const { clock, client, server, control } = connected();
    let lost = 0;
    control.lose = (packet, from) => {
      const isLost = lost === 0 && from.users[0] === client && packet.payload.length > 1000;
      if (isLost) lost++;
      return isLost;
    };
    const start = clock.now();
    client.connection.write(Buffer.alloc(20 * SEGMENT));
    clock.run(start + 10_000, () => server.count === 20 * SEGMENT);
    expect([lost, server.count]).toEqual([1, 20 * SEGMENT]);
    expect(clock.now() - start).toBeLessThan(100);
  });

  test("several losses in one window: partial acknowledgments send the next one (RFC 6582)", () => {
    const { clock, client, server, control } = connected();
    client.connection.write(Buffer.alloc(40 * SEGMENT));
    clock.advance(100);
    let seen = 0;
    control.lose = (packet, from) => {
      if (from.users[0] !== client || packet.payload.length < 1000) return false;
      seen++;
      return seen === 2 || seen === 4 || seen === 7;
    };
    const start = clock.now();
    client.connection.write(Buffer.alloc(30 * SEGMENT));
    clock.run(start + 10_000, () => server.count === 70 * SEGMENT);
    expect(server.count).toBe(70 * SEGMENT);
    expect(clock.now() - start).toBeLessThan(500);
  });

  test.each(["client", "server"] as const)("a lost FIN of the %s comes again", (name) => {
    const { clock, client, server, control, here, there } = connected();
    let lost = 0;
    control.lose = (packet, from) => {
      const fin = (packet.payload[13]! & FLAG.FIN) !== 0;
      const isLost = lost < 2 && fin && from === (name === "client" ? there : here);
      if (isLost) lost++;
      return isLost;
    };
    server.onEnd = () => server.connection.end();
    client.connection.end();
    clock.advance(30_000);
    expect([lost, client.closedBy, server.closedBy]).toEqual([2, "done", "done"]);
  });

  test("a lost answer to a SYN comes again when the SYN does", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    expect(flagsOf(peer.one())).toBe("SYN ACK");
    peer.clock.advance(100);
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    const again = peer.take();
    expect(again.map(flagsOf)).toEqual(["SYN ACK"]);
    expect([again[0]!.sequence, again[0]!.acknowledgment]).toEqual([5000, 1001]);
  });

  test("a lost last segment of the handshake: data opens as well", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    peer.take();
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data: "hello" });
    const [user] = peer.host.users;
    expect([user!.events, text(user!.bytes)]).toEqual([["opened"], "hello"]);
  });
});
