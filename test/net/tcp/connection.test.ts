/** Opening and closing, by the figures of RFC 9293. */
import { describe, expect, test } from "vitest";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { connected, flagsOf, HERE, joined, RawPeer, SEGMENT, TestUser, THERE, text } from "./rig.ts";

describe("opening", () => {
  test("a SYN is answered when the user accepts, not before", () => {
    const peer = new RawPeer();
    let decide = () => {};
    peer.host.onOffer = (connection) => {
      decide = () => connection.accept();
    };
    const options = { maximumSegmentSize: 1000, windowScale: 3 };
    peer.send({ sequence: 1000, flags: FLAG.SYN, options });
    peer.send({ sequence: 1000, flags: FLAG.SYN, options });
    peer.clock.advance(10_000);
    expect(peer.take()).toEqual([]);
    decide();
    const answer = peer.one();
    expect(flagsOf(answer)).toBe("SYN ACK");
    expect([answer.sequence, answer.acknowledgment]).toEqual([5000, 1001]);
    expect([answer.maximumSegmentSize, answer.windowScale]).toEqual([SEGMENT, 7]);
  });

  test("a window scale is only answered to one", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 1000, flags: FLAG.SYN, options: { maximumSegmentSize: 1000, windowScale: null } });
    expect(peer.one().windowScale).toBeNull();
  });

  test("refused: a reset with an acknowledgment of the SYN", () => {
    const peer = new RawPeer();
    peer.host.onOffer = (connection) => connection.refuse();
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    const reset = peer.one();
    expect([flagsOf(reset), reset.sequence, reset.acknowledgment]).toEqual(["RST ACK", 0, 1001]);
    expect(peer.host.layer.active).toBe(0);
  });

  test("the peer gives up while its SYN waits: the user is told, and nothing is sent", () => {
    const peer = new RawPeer();
    const user = new TestUser();
    peer.host.onOffer = (connection) => connection.hold(user);
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    peer.send({ sequence: 1001, flags: FLAG.RST });
    expect(user.events).toEqual(["closed: reset"]);
    expect([peer.take(), peer.host.layer.active]).toEqual([[], 0]);
  });

  test("three segments, with windows and a segment size of both (figure 6)", () => {
    const { client, server, here, there } = connected({}, { segment: 900 });
    expect([client.events, server.events]).toEqual([["opened"], ["opened"]]);
    expect([client.connection.state, server.connection.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    expect([client.connection.segmentSize, server.connection.segmentSize]).toEqual([900, 900]);
    expect([here.layer.active, there.layer.active]).toEqual([1, 1]);
  });

  test("a peer that says no segment size gets 536 bytes, one that says 1 gets 88", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 1000, flags: FLAG.SYN });
    peer.take();
    peer.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK });
    expect(peer.host.users[0]!.connection.segmentSize).toBe(536);
    const other = new RawPeer();
    expect(other.establish(1).connection.segmentSize).toBe(88);
  });

  test("both at once (figure 8)", () => {
    const { clock, here, there } = joined();
    const [a, b] = [here.connect(HERE, THERE), there.connect(THERE, HERE)];
    a.connection.write(Buffer.from("from a"));
    b.connection.write(Buffer.from("from b"));
    clock.advance(100);
    expect([a.connection.state, b.connection.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    expect([text(a.bytes), text(b.bytes)]).toEqual(["from b", "from a"]);
    expect([a.events, b.events]).toEqual([["opened"], ["opened"]]);
  });

  test("a SYN that is answered by a lost segment is sent again, every few seconds for over three minutes", () => {
    const { clock, there, control } = joined();
    const times: number[] = [];
    control.lose = () => times.push(clock.now()) > 0;
    const user = there.connect(THERE, HERE);
    clock.run(600_000, () => user.closedBy !== null);
    expect(user.closedBy).toBe("timeout");
    expect(clock.now()).toBeGreaterThan(180_000);
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(3000);
    expect(there.timers.size).toBe(0);
  });

  test("refused by the peer", () => {
    const { clock, here, there } = joined();
    here.onOffer = (connection) => connection.refuse();
    const user = there.connect(THERE, HERE);
    clock.advance(100);
    expect(user.events).toEqual(["closed: refused"]);
    expect(there.layer.active).toBe(0);
  });

  test("an acknowledgment of something else in SYN-SENT is reset, and the connection stays (3.10.7.3)", () => {
    const peer = new RawPeer();
    const user = peer.host.connect(HERE, THERE);
    expect(flagsOf(peer.one())).toBe("SYN");
    peer.send({ sequence: 1000, acknowledgment: 4000, flags: FLAG.SYN | FLAG.ACK });
    const reset = peer.one();
    expect([flagsOf(reset), reset.sequence]).toEqual(["RST", 4000]);
    peer.send({ sequence: 0, acknowledgment: 4000, flags: FLAG.RST | FLAG.ACK });
    peer.send({ sequence: 0, flags: FLAG.RST });
    expect([peer.take(), user.events]).toEqual([[], []]);
    peer.send({ sequence: 1000, acknowledgment: 5001, flags: FLAG.SYN | FLAG.ACK });
    expect([flagsOf(peer.one()), user.events]).toEqual(["ACK", ["opened"]]);
  });
});

describe("closing", () => {
  test("one after the other (figure 12): the one who began waits", () => {
    const { clock, client, server, here, there } = connected();
    server.onEnd = () => server.connection.end();
    client.connection.end();
    expect(client.connection.state).toBe("FIN-WAIT-1");
    clock.advance(1000);
    expect(client.events).toEqual(["opened", "ended", "closed: done"]);
    expect(server.events).toEqual(["opened", "ended", "closed: done"]);
    expect([client.connection.state, server.connection.state]).toEqual(["TIME-WAIT", "CLOSED"]);
    expect([there.layer.active, there.layer.waiting, here.layer.active]).toEqual([0, 1, 0]);
    clock.advance(20_000);
    expect([there.layer.waiting, there.timers.size, here.timers.size]).toEqual([0, 0, 0]);
  });

  test("both at once (figure 13)", () => {
    const { clock, client, server, here, there } = connected();
    client.connection.end();
    server.connection.end();
    clock.advance(1.5);
    expect([client.connection.state, server.connection.state]).toEqual(["CLOSING", "CLOSING"]);
    clock.advance(1000);
    expect([client.events, server.events]).toEqual(Array(2).fill(["opened", "ended", "closed: done"]));
    expect([there.layer.waiting, here.layer.waiting]).toEqual([1, 1]);
  });

  test.each(["client", "server"] as const)("half: the %s ends, and still receives a megabyte", (name) => {
    const rig = connected();
    const [first, second] = name === "client" ? [rig.client, rig.server] : [rig.server, rig.client];
    const data = Buffer.alloc(1 << 20, "half-closed ");
    first.connection.write(Buffer.from("question"));
    first.connection.end();
    second.onEnd = () => {
      // More than the window: `write` says so, and all is sent nevertheless.
      second.connection.write(data);
      second.connection.end();
    };
    rig.clock.advance(5000);
    expect(text(second.bytes)).toBe("question");
    expect(first.bytes.equals(data)).toBe(true);
    expect([first.closedBy, second.closedBy]).toEqual(["done", "done"]);
    // It is over: what is written is nothing.
    expect(first.connection.write(data)).toBe(true);
    expect(first.connection.buffered).toBe(0);
  });

  test("before the handshake is over: data and FIN follow it", () => {
    const { clock, there, here } = joined();
    const user = there.connect(THERE, HERE);
    user.connection.write(Buffer.from("short"));
    user.connection.end();
    clock.advance(100);
    expect(text(here.users[0]!.bytes)).toBe("short");
    expect(here.users[0]!.events).toEqual(["opened", "ended"]);
    expect(user.connection.state).toBe("FIN-WAIT-2");
  });

  test("a FIN that comes again in TIME-WAIT is acknowledged again, a new SYN opens anew", () => {
    const peer = new RawPeer({ isn: 5000 });
    const user = peer.establish();
    user.connection.end();
    expect(flagsOf(peer.one())).toBe("FIN ACK");
    peer.send({ sequence: 1001, acknowledgment: 5002, flags: FLAG.ACK });
    expect(user.connection.state).toBe("FIN-WAIT-2");
    peer.send({ sequence: 1001, acknowledgment: 5002, flags: FLAG.FIN | FLAG.ACK });
    expect(peer.one().acknowledgment).toBe(1002);
    expect(user.connection.state).toBe("TIME-WAIT");
    peer.send({ sequence: 1001, acknowledgment: 5002, flags: FLAG.FIN | FLAG.ACK });
    expect([flagsOf(peer.sent[0] ?? peer.one())]).toEqual(["ACK"]);
    peer.take();
    // An old SYN does not (RFC 9293, 3.10.7.4).
    peer.send({ sequence: 900, flags: FLAG.SYN });
    peer.take();
    expect(peer.host.users).toHaveLength(1);
    peer.send({ sequence: 2000, flags: FLAG.SYN });
    expect([flagsOf(peer.one()), peer.host.users.length]).toEqual(["SYN ACK", 2]);
    expect([peer.host.layer.active, peer.host.layer.waiting]).toEqual([1, 0]);
  });

  test("abort resets at once", () => {
    const { clock, client, server, here, there } = connected();
    client.connection.write(Buffer.alloc(100_000));
    client.connection.abort();
    clock.advance(100);
    expect([client.closedBy, server.closedBy]).toEqual(["aborted", "reset"]);
    expect([here.layer.active, there.layer.active, here.timers.size, there.timers.size]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test("who has left resets what still comes, and waits a minute for FIN", () => {
    const one = connected();
    one.client.connection.leave();
    one.clock.advance(10);
    one.server.connection.write(Buffer.from("too late"));
    one.clock.advance(10);
    expect([one.server.closedBy, one.there.layer.active]).toEqual(["reset", 0]);
    const two = connected();
    two.client.connection.leave();
    two.clock.advance(59_000);
    expect(two.there.layer.active).toBe(1);
    two.clock.advance(2000);
    expect([two.server.closedBy, two.there.layer.active]).toEqual(["reset", 0]);
  });

  test("segments to nobody are reset (3.10.7.1), resets are not", () => {
    const peer = new RawPeer();
    peer.send({ sequence: 10, acknowledgment: 77, flags: FLAG.ACK });
    const first = peer.one();
    expect([flagsOf(first), first.sequence]).toEqual(["RST", 77]);
    peer.send({ sequence: 10, flags: FLAG.FIN, data: "abc" });
    const second = peer.one();
    expect([flagsOf(second), second.sequence, second.acknowledgment]).toEqual(["RST ACK", 0, 14]);
    peer.send({ sequence: 10, flags: FLAG.RST });
    peer.send({ sequence: 10, acknowledgment: 9, flags: FLAG.RST | FLAG.ACK });
    expect(peer.take()).toEqual([]);
  });
});
