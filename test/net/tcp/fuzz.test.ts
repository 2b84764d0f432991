/**
 * A peer that knows the sequence numbers and sends anything. Every byte says its place in the stream, so what the user gets can
 * be checked whatever came in which order.
 */
import { expect, test } from "vitest";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { Random } from "../../random.ts";
import { RawPeer } from "./rig.ts";

/** `FUZZ_SEGMENTS=10000000 vitest run test/net/tcp/fuzz.test.ts` is the long run. */
const SEGMENTS = Number(process.env["FUZZ_SEGMENTS"] ?? 8000);
const PER_CONNECTION = 40;
const FIRST = 0xffff_f000;
const ISN = 0xffff_ff00;

const { FIN, SYN, RST, PSH, ACK, URG } = FLAG;
const FLAGS = [
  0,
  FIN,
  SYN,
  SYN | ACK,
  RST,
  RST | ACK,
  ACK,
  ACK | URG,
  FIN | ACK,
  FIN | PSH | URG,
  PSH,
  SYN | PSH | ACK,
];

/** The byte at a sequence number. */
const byteAt = (sequence: number): number => (sequence * 31 + (sequence >>> 8)) & 255;

test(`${SEGMENTS} segments`, { timeout: 3_600_000 }, () => {
  const dice = Random.spread(Number(process.env["FUZZ_SEED"] ?? 1));
  const ends = new Map<string, number>();
  let received = 0;
  for (let n = 0; n < SEGMENTS; n += PER_CONNECTION) {
    const peer = new RawPeer({ isn: ISN });
    const options = {
      maximumSegmentSize: dice.pick([1, 536, 1460, 65_535]),
      windowScale: dice.pick([null, 0, 14]),
    };
    peer.send({ sequence: FIRST - 1, flags: SYN, window: dice.below(65_536), options });
    peer.take();
    if (!dice.chance(4)) peer.send({ sequence: FIRST, acknowledgment: ISN + 1, flags: ACK });
    const user = peer.host.users[0]!;
    user.reads = !dice.chance(3);
    user.connection.write(new Uint8Array(dice.pick([0, 1, 5000, 300_000])));
    for (let i = 0; i < PER_CONNECTION && user.closedBy === null; i++) {
      const far = dice.chance(6) ? dice.u32() : dice.below(80_000) - 3000;
      const sequence = (FIRST + (dice.chance(2) ? user.count : far)) >>> 0;
      const sent = peer.sent.at(-1)?.sequence ?? ISN;
      peer.sent.length = 0;
      const data = Uint8Array.from({ length: dice.pick([0, 0, 1, 100, 1460, 20_000]) }, (_, at) =>
        byteAt((sequence + at) >>> 0),
      );
      peer.send({
        sequence,
        acknowledgment: dice.chance(6) ? dice.u32() : sent + dice.below(3000),
        flags: dice.chance(8) ? dice.pick(FLAGS) : ACK | PSH,
        window: dice.below(65_536),
        data,
      });
      if (dice.chance(30)) peer.send({ sequence, acknowledgment: sent, flags: ACK | FIN });
      peer.clock.advance(dice.pick([0, 0, 1, 50, 1000, 61_000]));
      if (dice.chance(10)) user.connection.end();
      if (dice.chance(10) && user.held > 0) user.read(dice.below(user.held + 1));
      // No more is held than was promised.
      expect(user.held).toBeLessThanOrEqual(262_144);
    }
    const { bytes } = user;
    let wrong = 0;
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== byteAt((FIRST + at) >>> 0)) wrong++;
    expect(wrong).toBe(0);
    received += bytes.length;
    const end = user.closedBy ?? user.connection.state;
    ends.set(end, (ends.get(end) ?? 0) + 1);
    user.connection.abort();
    expect([peer.host.layer.active, peer.host.layer.waiting, peer.host.timers.size]).toEqual([0, 0, 0]);
  }
  // It has been everywhere.
  expect([...ends.keys()]).toEqual(
    expect.arrayContaining(["ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "reset"]),
  );
  expect(received).toBeGreaterThan(SEGMENTS);
});
