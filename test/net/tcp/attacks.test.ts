/** What a peer may not do: RFC 5961, and segments outside the window. */
import { describe, expect, test } from "vitest";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { flagsOf, RawPeer, text } from "./rig.ts";

describe("resets (RFC 5961, 3.2)", () => {
  test("the number that is expected resets", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    peer.send({ sequence: 1001, flags: FLAG.RST });
    expect([user.closedBy, peer.take(), peer.host.layer.active]).toEqual(["reset", [], 0]);
  });

  test("another one in the window is asked about", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    peer.send({ sequence: 1002, flags: FLAG.RST });
    const challenge = peer.one();
    expect([flagsOf(challenge), challenge.sequence, challenge.acknowledgment]).toEqual(["ACK", 5001, 1001]);
    expect(user.closedBy).toBeNull();
  });

  test("one outside the window is nothing", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    for (const sequence of [1000, 1001 + 65_535, 2 ** 31]) peer.send({ sequence, flags: FLAG.RST });
    expect([user.closedBy, peer.take()]).toEqual([null, []]);
  });

  test("in SYN-RECEIVED the user learns that it was refused", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    peer.send({ sequence: 1001, flags: FLAG.RST });
    expect(peer.host.users[0]!.events).toEqual(["closed: refused"]);
  });
});

test("a SYN in the window is asked about (RFC 5961, 4.2)", () => {
  const peer = new RawPeer();
  const user = peer.establish();
  peer.send({ sequence: 1500, flags: FLAG.SYN });
  expect([flagsOf(peer.one()), user.closedBy]).toEqual(["ACK", null]);
});

test.each([
  ["of what was not sent", 5002],
  ["far too old", 5001 - 70_000],
])("data with an acknowledgment %s is not taken (RFC 5961, 5.2)", (_name, acknowledgment) => {
  const peer = new RawPeer();
  const user = peer.establish();
  peer.send({ sequence: 1001, acknowledgment, flags: FLAG.ACK, data: "no" });
  expect([flagsOf(peer.one()), user.count]).toEqual(["ACK", 0]);
  peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data: "yes" });
  expect(text(user.bytes)).toBe("yes");
});

test("segments without ACK are nothing", () => {
  const peer = new RawPeer();
  const user = peer.establish();
  peer.send({ sequence: 1001, flags: 0, data: "no" });
  expect([peer.take(), user.count]).toEqual([[], 0]);
});

test("questions are answered ten times in a second, not more (RFC 5961, 7)", () => {
  const peer = new RawPeer();
  peer.establish();
  let answers = 0;
  for (let i = 0; i < 100; i++) {
    peer.send({ sequence: 3000, flags: FLAG.RST });
    answers += peer.take().length;
  }
  expect(answers).toBe(10);
  peer.clock.advance(1000);
  peer.send({ sequence: 3000, flags: FLAG.RST });
  expect(peer.take()).toHaveLength(1);
});

describe("out of order", () => {
  test("overlapping pieces make the bytes once, whatever comes first", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    const whole = "abcdefghijklmnopqrstuvwxyz";
    for (const [from, to] of [
      [20, 26],
      [4, 8],
      [6, 12],
      [2, 10],
      [11, 22],
      [3, 5],
      [1, 3],
    ] as const) {
      peer.send({
        sequence: 1001 + from,
        acknowledgment: 5001,
        flags: FLAG.ACK,
        data: whole.slice(from, to),
      });
    }
    expect(user.count).toBe(0);
    // Each of them was answered at once: that is what tells a sender of a loss.
    peer.send({ sequence: 1000, acknowledgment: 5001, flags: FLAG.ACK, data: "Xab" });
    expect(text(user.bytes)).toBe(whole);
    expect(peer.take().at(-1)!.acknowledgment).toBe(1027);
  });

  test("no more than 64 pieces wait", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    for (let i = 100; i > 0; i--) {
      peer.send({ sequence: 1001 + 2 * i, acknowledgment: 5001, flags: FLAG.ACK, data: "b" });
    }
    for (let i = 0; i < 100; i++) {
      peer.send({ sequence: 1001 + 2 * i, acknowledgment: 5001, flags: FLAG.ACK, data: "a" });
    }
    // Those that came last, which were the first ones, found no place.
    expect(user.count).toBeLessThan(100);
    expect(peer.take().at(-1)!.acknowledgment).toBe(1001 + user.count);
  });

  test("bytes beyond the window are cut off, and FIN with them", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    user.reads = false;
    const data = new Uint8Array(60_000);
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data });
    const { window } = peer.take().at(-1)!;
    expect(window).toBe(65_535 - 60_000);
    peer.send({ sequence: 61_001, acknowledgment: 5001, flags: FLAG.ACK | FLAG.FIN, data });
    expect(user.count).toBe(65_535);
    expect([peer.take().at(-1)!.window, user.events]).toEqual([0, ["opened"]]);
  });

  test("FIN before the data that it follows", () => {
    const peer = new RawPeer();
    const user = peer.establish();
    peer.send({ sequence: 1004, acknowledgment: 5001, flags: FLAG.ACK | FLAG.FIN, data: "def" });
    expect(user.events).toEqual(["opened"]);
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, data: "abc" });
    expect([text(user.bytes), user.events, peer.take().at(-1)!.acknowledgment]).toEqual([
      "abcdef",
      ["opened", "ended"],
      1008,
    ]);
    // Nothing comes after it.
    peer.send({ sequence: 1008, acknowledgment: 5001, flags: FLAG.ACK, data: "more" });
    expect(text(user.bytes)).toBe("abcdef");
  });
});
