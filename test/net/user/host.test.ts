/** The user network and real sockets of the host, with a guest within the test. */
import { createSocket, Socket as UdpSocket } from "node:dgram";
import dns from "node:dns";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { HOST_CLOCK } from "../../../src/net/clock.ts";
import { type Endpoint, parseIpv4 } from "../../../src/net/ipv4-address.ts";
import { FLAG, writeTcpHeader } from "../../../src/net/tcp/segment.ts";
import type { Datagram } from "../../../src/net/udp.ts";
import { DNS_SERVER, GUEST, HOST } from "../../../src/net/user/addresses.ts";
import { UserNetwork } from "../../../src/net/user/network.ts";
import { parseHostForward, type UserNetworkOptions } from "../../../src/net/user/options.ts";
import { text } from "../tcp/rig.ts";
import { TestGuest, until } from "./guest.ts";

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const action of cleanup.splice(0).reverse()) action();
});

async function setUp(options: UserNetworkOptions = {}) {
  const log: string[] = [];
  const network = new UserNetwork({ loopback: true, log: (line) => log.push(line), ...options });
  await network.start();
  const guest = new TestGuest(network, HOST_CLOCK, options.unfinished ?? true);
  guest.keeps = false;
  cleanup.push(() => network.close(), guest.run());
  return { network, guest, log };
}

async function serve(accept: (socket: Socket) => void, address = "127.0.0.1"): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    cleanup.push(() => socket.destroy());
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  cleanup.push(() => server.close());
  return (server.address() as { port: number }).port;
}

async function bindUdp(): Promise<{ socket: UdpSocket; port: number }> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  cleanup.push(() => socket.close());
  return { socket, port: socket.address().port };
}

const client = (port: number): Socket => {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => {});
  cleanup.push(() => socket.destroy());
  return socket;
};

const forward = (text: string): UserNetworkOptions => ({ hostForwards: [parseHostForward(text)] });
function resetSegment(sourcePort: number, destinationPort: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const fields = { sourcePort, destinationPort, sequence: 0, acknowledgment: 0, flags: FLAG.RST, window: 0 };
  writeTcpHeader(bytes, 0, fields);
  return bytes;
}

const big = Buffer.alloc(3_000_000, "0123456789abcdef-");

describe.each([true, false])("the guest opens; large frames: %s", (unfinished) => {
  test("megabytes there and back, each half closed by itself", async () => {
    const { guest, network } = await setUp({ unfinished });
    const parts: Buffer[] = [];
    const port = await serve((socket) => {
      socket.on("data", (part: Buffer) => parts.push(part));
      socket.on("end", () => socket.end(big));
    });
    const user = guest.connect(port);
    user.connection.write(big);
    user.connection.end();
    await until(() => user.events.includes("ended"), "the answer");
    expect(Buffer.concat(parts).equals(big)).toBe(true);
    expect(user.bytes.equals(big)).toBe(true);
    await until(() => network.counts.connections === 0);
  });
});

describe("the guest opens", () => {
  test("a server that ends first", async () => {
    const { guest } = await setUp();
    let received = "";
    const port = await serve((socket) => {
      socket.end("hello");
      socket.on("data", (part) => {
        received += part;
      });
    });
    const user = guest.connect(port);
    await until(() => user.events.includes("ended"));
    user.connection.write(Buffer.from("still here"));
    user.connection.end();
    await until(() => user.closedBy !== null && received === "still here");
    expect([text(user.bytes), user.closedBy]).toEqual(["hello", "done"]);
  });

  test("nobody listens: a reset", async () => {
    const { guest, network } = await setUp();
    const port = await serve(() => {});
    cleanup.pop()!();
    const user = guest.connect(port);
    await until(() => user.closedBy !== null);
    expect([user.events, network.counts.connections]).toEqual([["closed: refused"], 0]);
  });

  test("a server that resets", async () => {
    const { guest } = await setUp();
    const port = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const user = guest.connect(port);
    user.connection.write(Buffer.from("x"));
    await until(() => user.closedBy !== null);
    expect(user.closedBy).toBe("reset");
  });

  test("a guest that resets", async () => {
    const { guest, network } = await setUp();
    let failure = "";
    const port = await serve((socket) => {
      socket.removeAllListeners("error");
      socket.on("error", (error: NodeJS.ErrnoException) => {
        failure = error.code ?? "";
      });
    });
    const user = guest.connect(port);
    await until(() => user.events.includes("opened"));
    user.connection.abort();
    await until(() => failure !== "");
    expect([failure, network.counts.connections]).toEqual(["ECONNRESET", 0]);
  });

  test("a guest that opens and resets before the host has connected leaves no socket behind", async () => {
    const { guest, network } = await setUp();
    const sockets = () =>
      process.getActiveResourcesInfo().filter((name) => /TCP(Connect|Socket)/.test(name)).length;
    const before = sockets();
    // TEST-NET-1 (RFC 5737): nobody answers there, or the host has no way to it.
    for (let i = 0; i < 200; i++) {
      guest.connect(80, parseIpv4("192.0.2.1")!, 3000 + i);
      guest.exchange();
      guest.ipv4(GUEST, parseIpv4("192.0.2.1")!, 6, resetSegment(3000 + i, 80), true);
    }
    expect(network.counts.connections).toBe(0);
    await until(() => sockets() <= before, "the sockets to close");
  });

  test("a server that does not read stops the guest, and memory stays bounded", async () => {
    const { guest } = await setUp();
    let server: Socket | null = null;
    const port = await serve((socket) => {
      server = socket;
      socket.pause();
    });
    const user = guest.connect(port);
    let written = 0;
    const fill = (): void => {
      while (written < 40_000_000 && user.connection.write(big.subarray(0, 100_000))) written += 100_000;
    };
    user.onDrain = fill;
    fill();
    await until(() => server !== null);
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    // What the host's kernel takes into its socket buffers, plus 256 KiB here and as much at the guest's.
    expect(written).toBeLessThan(20_000_000);
    let received = 0;
    server!.on("data", (part: Buffer) => {
      received += part.length;
    });
    server!.resume();
    user.onDrain = () => {};
    await until(() => user.connection.buffered === 0);
    await until(() => received >= written);
  });

  test("a guest that does not read stops the server", async () => {
    const { guest } = await setUp();
    let sent = 0;
    const port = await serve((socket) => {
      const write = (): void => {
        while (sent < 100_000_000 && socket.write(big.subarray(0, 100_000))) sent += 100_000;
      };
      socket.on("drain", write);
      write();
    });
    const user = guest.connect(port);
    user.reads = false;
    let before = -1;
    while (before !== sent || user.held === 0) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(sent).toBeLessThan(20_000_000);
    // The last bytes of the window are less than a segment, which nobody sends before the window opens.
    expect(user.held).toBeGreaterThan(262_144 - 1460);
    expect(user.held).toBeLessThanOrEqual(262_144);
  });

  test("1,000 at once, and 1,000 in turn: no socket stays behind", async () => {
    const { guest, network } = await setUp();
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const port = await serve((socket) => socket.pipe(socket));
    const before = sockets();
    const users = Array.from({ length: 1000 }, (_, i) => {
      const user = guest.connect(port, HOST, 2000 + i);
      user.connection.write(Buffer.from(`message ${i} `.repeat(i)));
      user.connection.end();
      return user;
    });
    await until(() => users.every(({ closedBy }) => closedBy !== null));
    expect(users.map(({ bytes }) => text(bytes))).toEqual(users.map((_, i) => `message ${i} `.repeat(i)));
    await until(() => network.counts.connections === 0);
    for (let i = 0; i < 1000; i++) {
      const user = guest.connect(port, HOST, 4000 + i);
      user.connection.write(Buffer.from(`in turn ${i}`));
      user.connection.end();
      await until(() => user.closedBy !== null);
      expect([text(user.bytes), user.closedBy]).toEqual([`in turn ${i}`, "done"]);
    }
    await until(() => sockets() <= before && network.counts.connections === 0, "the sockets to close");
  });
});

describe("what the guest may reach", () => {
  test.each([
    ["the loopback address, unless it is allowed", { loopback: false }, HOST],
    ["anything, if restricted", { restrict: true }, HOST],
    ["the DNS server, if restricted", { restrict: true }, DNS_SERVER],
  ] as const)("not %s", async (_name, options, address) => {
    let connections = 0;
    const { guest, network } = await setUp(options);
    const port = address === DNS_SERVER ? 53 : await serve(() => connections++);
    guest.connect(port, address);
    await until(() => guest.icmp.length > 0);
    expect([guest.icmp[0]!.payload[0], guest.icmp[0]!.payload[1]]).toEqual([3, 13]);
    guest.udp({
      source: { address: GUEST, port: 9 },
      destination: { address, port },
      data: Buffer.from("x"),
    });
    await until(() => guest.icmp.length > 1);
    expect([connections, network.counts.connections, network.counts.flows]).toEqual([0, 0, 0]);
  });

  // These would be the host's own, if they were passed on.
  test.each(["127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.2.77", "0.1.2.3"])("not %s", async (address) => {
    let connections = 0;
    const { guest, network } = await setUp();
    const port = await serve(() => connections++, "0.0.0.0");
    guest.connect(port, parseIpv4(address)!);
    guest.udp({
      source: { address: GUEST, port: 9 },
      destination: { address: parseIpv4(address)!, port },
      data: Buffer.from("x"),
    });
    await until(() => guest.icmp.length === 2);
    expect(guest.icmp.map(({ payload }) => [payload[0], payload[1]])).toEqual([
      [3, 1],
      [3, 1],
    ]);
    expect([connections, network.counts.connections, network.counts.flows]).toEqual([0, 0, 0]);
  });

  test.each(["224.0.0.1", "255.255.255.255", "10.0.2.255"])("no TCP to %s", async (address) => {
    const { guest, log } = await setUp();
    guest.connect(80, parseIpv4(address)!);
    await until(() => log.length > 0);
    expect(log[0]).toContain("an IPv4 destination that packets cannot be sent to");
  });
});

describe("hostfwd", () => {
  test("to a server of the guest's: port 0 is one that is free", async () => {
    const { guest, network } = await setUp({ ...forward("tcp::0-:80"), restrict: true });
    const [{ hostPort, hostAddress }] = network.hostForwards as [(typeof network.hostForwards)[0]];
    expect([hostPort > 0, hostAddress]).toEqual([true, "127.0.0.1"]);
    const socket = client(hostPort);
    socket.write("question");
    socket.end();
    await until(() => guest.users[0]?.events.includes("ended") ?? false);
    const [user] = guest.users;
    expect([text(user!.bytes), user!.connection.remote.address]).toEqual(["question", HOST]);
    user!.connection.write(big);
    user!.connection.end();
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    await new Promise((resolve) => socket.on("end", resolve));
    expect(Buffer.concat(parts).equals(big)).toBe(true);
    await until(() => network.counts.connections === 0);
  });

  test("nobody listens in the guest: the client is reset", async () => {
    const { guest, network } = await setUp(forward("tcp::0-:81"));
    guest.listens = false;
    const socket = client(network.hostForwards[0]!.hostPort);
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
    expect(error.code).toBe("ECONNRESET");
  });

  test("a client that goes away while the guest is not there yet", async () => {
    const { guest, network } = await setUp(forward("tcp::0-:80"));
    guest.answersArp = false;
    const socket = client(network.hostForwards[0]!.hostPort);
    await until(() => network.counts.connections === 1 && network.counts.pending === 1);
    socket.resetAndDestroy();
    await until(() => network.counts.connections === 0);
    expect(network.counts).toEqual({
      connections: 0,
      waiting: 0,
      pending: 0,
      flows: 0,
      timers: 0,
      dropped: 0,
    });
  });

  test("UDP: each client is one to the guest, answers find it", async () => {
    const { guest, network } = await setUp(forward("udp:127.0.0.1:0-:5353"));
    const { hostPort } = network.hostForwards[0]!;
    const clients = await Promise.all(Array.from({ length: 20 }, bindUdp));
    const answers: string[] = [];
    for (const [i, { socket }] of clients.entries()) {
      socket.on("message", (data, { port }) => {
        answers[i] = `${data} from ${port === hostPort}`;
      });
      socket.send(`question ${i}`, hostPort, "127.0.0.1");
      await until(() => guest.datagrams.length === i + 1);
    }
    for (const { source, destination, data } of guest.datagrams) {
      expect(source.address).toBe(HOST);
      guest.udp({ source: destination, destination: source, data: Buffer.from(`answer to ${text(data)}`) });
    }
    await until(() => answers.filter(Boolean).length === 20);
    expect(answers).toEqual(clients.map((_, i) => `answer to question ${i} from true`));
  });

  test("UDP: a sender without a port gets nothing, and the guest nothing of it", async () => {
    const bind = vi.spyOn(UdpSocket.prototype, "bind");
    cleanup.push(() => bind.mockRestore());
    const { guest } = await setUp(forward("udp:127.0.0.1:0-:5353"));
    const forwarded = bind.mock.contexts[0] as UdpSocket;
    // RFC 768: a source port of 0 is no port. Hosts let such datagrams in.
    forwarded.emit("message", Buffer.from("nobody"), { address: "127.0.0.1", port: 0 });
    const { socket } = await bindUdp();
    socket.send("somebody", forwarded.address().port, "127.0.0.1");
    await until(() => guest.datagrams.length > 0);
    const [{ source, destination, data }] = guest.datagrams as [Datagram];
    expect(text(data)).toBe("somebody");
    guest.udp({ source: destination, destination: source, data });
  });

  test("a port in use, an address of another host: one line, and nothing stays open", async () => {
    const port = await serve(() => {});
    const free = await bindUdp();
    const start = (...texts: string[]) =>
      new UserNetwork({ hostForwards: texts.map(parseHostForward) }).start();
    await expect(start(`tcp::${port}-:80`)).rejects.toThrow(
      `hostfwd=tcp:127.0.0.1:${port}: expected a free port, found one in use: choose another, or 0 for any that is free`,
    );
    await expect(start(`udp::${free.port}-:80`)).rejects.toThrow("found one in use");
    await expect(start("tcp:192.0.2.1:0-:80")).rejects.toThrow(
      /^hostfwd=tcp:192\.0\.2\.1:0: .*another: choose 127/,
    );
    await expect(start("udp:192.0.2.1:0-:80")).rejects.toThrow("choose 127.0.0.1");
    // The first of them was opened, and is closed again.
    const other = await serve(() => {});
    cleanup.pop()!();
    await expect(start(`tcp::${other}-:80`, `tcp::${port}-:80`)).rejects.toThrow("in use");
    const network = new UserNetwork(forward(`tcp::${other}-:80`));
    await network.start();
    network.close();
    network.close();
  });
});

describe("UDP", () => {
  const from: Endpoint = { address: GUEST, port: 777 };

  test("to the host's loopback and back, up to the longest datagram", async () => {
    const { guest, network } = await setUp();
    const { socket, port } = await bindUdp();
    socket.on("message", (data, remote) =>
      socket.send(Buffer.from(data).reverse(), remote.port, remote.address),
    );
    guest.udp({ source: from, destination: { address: HOST, port }, data: Buffer.from("abc") });
    await until(() => guest.datagrams.length === 1);
    expect(text(guest.datagrams[0]!.data)).toBe("cba");
    expect([guest.datagrams[0]!.source, guest.datagrams[0]!.destination]).toEqual([
      { address: HOST, port },
      from,
    ]);
    guest.udp({ source: from, destination: { address: HOST, port }, data: big.subarray(0, 60_000) });
    await until(() => guest.fragments.some(({ moreFragments }) => !moreFragments));
    const bytes = Buffer.alloc(60_008);
    for (const { fragmentOffset, payload } of guest.fragments) bytes.set(payload, fragmentOffset);
    expect(bytes.subarray(8).equals(Buffer.from(big.subarray(0, 60_000)).reverse())).toBe(true);
    expect(network.counts.flows).toBe(1);
  });

  test("a port that nobody listens to", async () => {
    const { guest, network } = await setUp();
    const { port } = await bindUdp();
    cleanup.pop()!();
    guest.udp({ source: from, destination: { address: HOST, port }, data: Buffer.from("abc") });
    await until(() => guest.icmp.length > 0);
    expect([guest.icmp[0]!.payload[0], guest.icmp[0]!.payload[1]]).toEqual([3, 3]);
    await until(() => network.counts.flows === 0);
  });

  test("no more than 512 flows", async () => {
    const { guest, network } = await setUp();
    const { port } = await bindUdp();
    for (let i = 1; i <= 600; i++) {
      guest.udp({
        source: { ...from, port: i },
        destination: { address: HOST, port },
        data: Buffer.from("x"),
      });
    }
    expect(network.counts.flows).toBe(512);
  });
});

describe("DNS", () => {
  /** A name server of the host that answers with what it was asked, or not at all. */
  async function nameServer(answers: boolean): Promise<string> {
    const { socket, port } = await bindUdp();
    socket.on("message", (data, remote) => {
      if (answers) socket.send(Buffer.concat([Buffer.from("answer:"), data]), remote.port, remote.address);
    });
    return `127.0.0.1:${port}`;
  }

  async function withServers(...servers: string[]) {
    const before = dns.getServers();
    cleanup.push(() => dns.setServers(before));
    dns.setServers(servers);
    return setUp({ loopback: false });
  }

  const ask = (guest: TestGuest, port: number) =>
    guest.udp({
      source: { address: GUEST, port },
      destination: { address: DNS_SERVER, port: 53 },
      data: Buffer.from("query"),
    });

  test("goes to the host's name server, also where loopback is not allowed", async () => {
    const { guest } = await withServers(await nameServer(true));
    ask(guest, 777);
    await until(() => guest.datagrams.length === 1);
    const [{ data, source }] = guest.datagrams as [(typeof guest.datagrams)[0]];
    expect([text(data), source]).toEqual(["answer:query", { address: DNS_SERVER, port: 53 }]);
  });

  test("the second one is asked if the first does not answer", async () => {
    const { guest } = await withServers(await nameServer(false), await nameServer(true));
    ask(guest, 777);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect(guest.datagrams).toEqual([]);
    // The first question again ends the first server's turn, the next one goes to the second.
    ask(guest, 777);
    ask(guest, 777);
    ask(guest, 778);
    await until(() => guest.datagrams.length >= 1);
    expect(text(guest.datagrams[0]!.data)).toBe("answer:query");
  });

  test("over TCP too, and no other port", async () => {
    const port = await serve((socket) => socket.pipe(socket));
    const { guest } = await withServers(`127.0.0.1:${port}`);
    const user = guest.connect(53, DNS_SERVER);
    user.connection.write(Buffer.from("query"));
    await until(() => user.count === 5);
    const other = guest.connect(80, DNS_SERVER, 4444);
    await until(() => other.closedBy !== null);
    expect(other.closedBy).toBe("refused");
  });
});
