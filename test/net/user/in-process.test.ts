/** Programs within this process at the other end, on virtual time: for load generators. Everything repeats. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { GuestConnection } from "../../../src/net/user/guest-connection.ts";
import { UserNetwork } from "../../../src/net/user/network.ts";
import type { UserNetworkOptions } from "../../../src/net/user/options.ts";
import { Random } from "../../random.ts";
import { text } from "../tcp/rig.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { TestGuest } from "./guest.ts";

function setUp(options: UserNetworkOptions = {}) {
  const clock = new VirtualClock();
  const dice = new Random(5);
  const network = new UserNetwork({ clock, hostSockets: false, random: () => dice.u32(), ...options });
  const guest = new TestGuest(network, clock, options.unfinished ?? true);
  /** A machine's slices: frames cross every tenth of a millisecond. */
  const run = (milliseconds: number, done: () => boolean = () => false): void => {
    const end = clock.now() + milliseconds;
    while (clock.now() < end && !done()) {
      guest.exchange();
      clock.advance(0.1);
    }
  };
  return { clock, network, guest, run };
}

test("a client: requests and answers on one connection", () => {
  const { clock, network, guest, run } = setUp();
  const connection = network.connectToGuest(80);
  const seen: string[] = [];
  let count = 0;
  connection.onOpen = () => connection.write(Buffer.from("request 0"));
  connection.onData = (bytes) => {
    seen.push(text(bytes));
    if (++count < 5) connection.write(Buffer.from(`request ${count}`));
    else connection.end();
  };
  connection.onEnd = () => seen.push("end");
  connection.onClose = (reason) => seen.push(reason);
  run(1);
  const [server] = guest.users;
  server!.onData = (bytes) => server!.connection.write(Buffer.from(`answer to ${text(bytes)}`));
  server!.onEnd = () => server!.connection.end();
  // What came before there was somebody.
  server!.onData(server!.bytes);
  run(100);
  clock.advance(20_000);
  expect(seen).toEqual([...[0, 1, 2, 3, 4].map((i) => `answer to request ${i}`), "end", "done"]);
  expect(network.counts).toEqual({ connections: 0, waiting: 0, pending: 0, flows: 0, timers: 0, dropped: 0 });
});

test("a server: what the guest opens to 10.0.2.2, also where it is restricted", () => {
  const { network, guest, run } = setUp({ restrict: true });
  const served: GuestConnection[] = [];
  network.serve(7, (connection) => {
    served.push(connection);
    connection.onData = (bytes) => connection.write(bytes.slice());
    connection.onEnd = () => connection.end();
  });
  const user = guest.connect(7);
  user.connection.write(Buffer.alloc(200_000, "echo "));
  user.connection.end();
  run(1000, () => user.closedBy !== null);
  expect([user.bytes.length, user.closedBy, served.length]).toEqual([200_000, "done", 1]);
  expect(user.bytes.equals(Buffer.alloc(200_000, "echo "))).toBe(true);
});

test("refused, reset, and gone", () => {
  const { network, guest, run } = setUp();
  guest.listens = false;
  const reasons: string[] = [];
  network.connectToGuest(80).onClose = (reason) => reasons.push(`1 ${reason}`);
  run(1);
  guest.listens = true;
  network.connectToGuest(80).onClose = (reason) => reasons.push(`2 ${reason}`);
  const third = network.connectToGuest(80);
  third.onClose = (reason) => reasons.push(`3 ${reason}`);
  run(1);
  guest.users[0]!.connection.abort();
  third.abort();
  run(1);
  expect(reasons).toEqual(["1 refused", "2 reset", "3 aborted"]);
  expect(guest.users[1]!.closedBy).toBe("reset");
  const fourth = network.connectToGuest(80);
  run(1);
  fourth.write(Buffer.from("last words"));
  fourth.close();
  run(1);
  guest.users[2]!.connection.end();
  run(1);
  expect([guest.users[2]!.closedBy, text(guest.users[2]!.bytes), fourth.state]).toEqual([
    "done",
    "last words",
    "TIME-WAIT",
  ]);
});

test("pause closes the window, resume opens it", () => {
  const { network, guest, run } = setUp();
  const connection = network.connectToGuest(80);
  let received = 0;
  connection.onData = (bytes) => {
    received += bytes.length;
  };
  run(1);
  connection.pause();
  guest.users[0]!.connection.write(new Uint8Array(1_000_000));
  run(5000);
  expect(received).toBeGreaterThan(250_000);
  expect(received).toBeLessThanOrEqual(262_144);
  connection.resume();
  run(5000, () => received === 1_000_000);
  expect(received).toBe(1_000_000);
});

test("frames are as large as may be: 20 MB in a few hundred", () => {
  const { network, guest, run } = setUp();
  const data = Buffer.alloc(20 << 20, "large frames ");
  const connection = network.connectToGuest(80);
  guest.keeps = true;
  connection.write(data);
  connection.end();
  run(60_000, () => guest.users[0]?.events.includes("ended") ?? false);
  expect(guest.users[0]!.bytes.equals(data)).toBe(true);
  expect(guest.frames.length).toBeLessThan(700);
  expect(Math.max(...guest.frames.map(({ length }) => length))).toBeGreaterThan(60_000);
  expect(guest.works.filter(({ segmentation }) => segmentation?.size === 1460).length).toBeGreaterThan(300);
});

test("a smaller network: no frame is longer", () => {
  const { network, guest, run } = setUp({ mtu: 576, unfinished: false });
  const connection = network.connectToGuest(80);
  connection.write(Buffer.alloc(100_000, "small "));
  run(10_000, () => guest.users[0]?.count === 100_000);
  expect(guest.users[0]!.count).toBe(100_000);
  expect(Math.max(...guest.frames.map(({ length }) => length))).toBe(576 + 14);
});

describe("load", () => {
  /** 1,000 connections at once, each with requests of its own; a hash over every frame that the guest gets, and when. */
  function campaign() {
    const { clock, network, guest, run } = setUp();
    const hash = createHash("sha256");
    guest.keeps = false;
    const next = network.next.bind(network);
    network.next = () => {
      const frame = next();
      if (frame !== null) hash.update(`${clock.now()}`).update(frame.frame);
      return frame;
    };
    let done = 0;
    let wrong = 0;
    for (let i = 0; i < 1000; i++) {
      const connection = network.connectToGuest(80);
      let answers = 0;
      const ask = (): void => {
        connection.write(Buffer.from(`GET ${i}/${answers}\n`));
      };
      connection.onOpen = ask;
      connection.onData = (bytes) => {
        if (text(bytes) !== `answer GET ${i}/${answers}\n`) wrong++;
        if (++answers < 10) ask();
        else connection.end();
      };
      connection.onClose = (reason) => {
        if (reason === "done" && answers === 10) done++;
      };
    }
    run(5, () => guest.users.length === 1000);
    for (const user of guest.users) {
      user.onData = (bytes) => user.connection.write(Buffer.from(`answer ${text(bytes)}`));
      user.onEnd = () => user.connection.end();
      if (user.count > 0) user.onData(user.bytes);
    }
    run(60_000, () => done === 1000);
    return { done, wrong, hash: hash.digest("hex"), now: clock.now(), counts: network.counts };
  }

  test("1,000 connections, 10,000 requests; and again, to the byte and the microsecond", () => {
    const first = campaign();
    expect([first.done, first.wrong, first.counts.connections]).toEqual([1000, 0, 0]);
    expect(campaign()).toEqual(first);
  });
});

describe("a guest that is not there yet", () => {
  test("is asked for again, and reached once it answers", () => {
    const { network, guest, run } = setUp();
    guest.answersArp = false;
    const connection = network.connectToGuest(80);
    run(5000);
    expect(guest.users).toHaveLength(0);
    guest.answersArp = true;
    run(2000);
    expect(guest.users).toHaveLength(1);
    expect(connection.state).toBe("ESTABLISHED");
  });

  test("is not waited for without end", () => {
    const { clock, network } = setUp();
    const reasons: string[] = [];
    network.connectToGuest(80).onClose = (reason) => reasons.push(reason);
    while (network.next() !== null);
    for (let second = 0; second < 600; second++) {
      clock.advance(1000);
      while (network.next() !== null);
    }
    expect(reasons).toEqual(["timeout"]);
    expect(network.counts).toMatchObject({ connections: 0, pending: 0, timers: 0 });
  });
});
