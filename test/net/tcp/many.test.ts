/** Many connections: at once, one after the other, and more than there may be. */
import { expect, test } from "vitest";
import { MOST_CONNECTIONS } from "../../../src/net/tcp/layer.ts";
import { FLAG } from "../../../src/net/tcp/segment.ts";
import { HERE, joined, RawPeer, type TestUser, text } from "./rig.ts";

const endpoint = (index: number) => ({
  address: 0x0a00_0100 + (index >> 14),
  port: 10_000 + (index & 0x3fff),
});

/** Answers with what it got, and ends when the other side does. */
function echo(user: TestUser): void {
  user.onData = (bytes) => user.connection.write(bytes.slice());
  user.onEnd = () => user.connection.end();
}

test("1,000 at once, over a link with losses: each gets its own bytes", () => {
  const { clock, here, there } = joined({ loss: 30, reordering: 20, seed: 9 });
  const { onOffer } = here;
  here.onOffer = (connection) => {
    onOffer(connection);
    echo(here.users.at(-1)!);
  };
  const messages = Array.from({ length: 1000 }, (_, i) => `connection ${i} `.repeat(50 + (i % 400)));
  const clients = messages.map((message, i) => {
    const client = there.connect(endpoint(i), HERE);
    client.connection.write(Buffer.from(message));
    client.connection.end();
    return client;
  });
  expect(there.layer.active).toBe(1000);
  clock.run(600_000, () => clients.every(({ closedBy }) => closedBy !== null));
  expect(clients.every(({ closedBy }) => closedBy === "done")).toBe(true);
  expect(clients.map(({ bytes }) => text(bytes))).toEqual(messages);
  clock.advance(600_000);
  expect([here.layer, there.layer].map(({ active, waiting }) => [active, waiting])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect([here.timers.size, there.timers.size]).toEqual([0, 0]);
});

test("10,000 in turn leave nothing behind", () => {
  const { clock, here, there } = joined();
  let most = 0;
  for (let i = 0; i < 10_000; i++) {
    const client = there.connect(endpoint(i), HERE);
    client.connection.write(Buffer.from("question"));
    clock.advance(4);
    const server = here.users.pop()!;
    expect(text(server.bytes)).toBe("question");
    server.connection.write(Buffer.from("answer"));
    server.connection.end();
    clock.advance(4);
    client.connection.end();
    clock.advance(4);
    expect([text(client.bytes), client.closedBy, server.closedBy]).toEqual(["answer", "done", "done"]);
    expect(here.layer.active + there.layer.active).toBe(0);
    there.users.length = 0;
    most = Math.max(most, here.layer.waiting + there.layer.waiting);
  }
  // Ten seconds' worth of TIME-WAIT.
  expect(most).toBeLessThanOrEqual(1024);
  clock.advance(60_000);
  expect([here.layer.waiting, there.layer.waiting, here.timers.size, there.timers.size]).toEqual([
    0, 0, 0, 0,
  ]);
});

test("more than there may be are not answered, and find a place later", () => {
  const peer = new RawPeer();
  for (let i = 0; i < MOST_CONNECTIONS; i++) {
    const { port } = endpoint(i);
    const sender = new RawPeer({}, { address: peer.local.address, port });
    // The same host hears them all.
    Object.assign(sender, { host: peer.host });
    sender.send({ sequence: 1000, flags: FLAG.SYN });
  }
  expect(peer.host.layer.active).toBe(MOST_CONNECTIONS);
  peer.take();
  peer.send({ sequence: 1000, flags: FLAG.SYN });
  expect([peer.take(), peer.host.layer.active]).toEqual([[], MOST_CONNECTIONS]);
  peer.host.users[7]!.connection.abort();
  peer.take();
  peer.send({ sequence: 1000, flags: FLAG.SYN });
  expect(peer.one().acknowledgment).toBe(1001);
});
