/**
 * A stock Linux kernel on the user network: its TCP, its DHCP client, its tools. Needs `images/fetch-debian.ts` to have run
 * and QEMU; without them these tests are skipped.
 */
import { createHash } from "node:crypto";
import { createServer as createHttpServer, request } from "node:http";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserNetwork } from "../../src/net/user/network.ts";
import { parseHostForward } from "../../src/net/user/options.ts";
import { Random } from "../random.ts";
import { available, LinuxGuest } from "./linux-guest.ts";

const MINUTES = 60_000;
/** `NET_MEGABYTES=100 vitest run test/net/linux.test.ts` is the long run. */
const MEGABYTES = Number(process.env["NET_MEGABYTES"] ?? 20);

/** Bytes without a pattern that compression or a shift would not notice. */
function payload(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const dice = new Random(3);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(dice.u32(), i);
  return bytes;
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

/** One request on a connection of its own. */
function get(port: number, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    request({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => resolve(Buffer.concat(parts)));
    })
      .on("error", reject)
      .end();
  });
}

/** A server that gives a file by HTTP, and one that takes one by TCP and says its hash. */
async function hostServers(file: Buffer) {
  const web = createHttpServer((_request, response) => response.end(file));
  const sink = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    socket.on("error", () => {});
    socket.on("data", (part) => hash.update(part));
    socket.on("end", () => socket.end(`${hash.digest("hex")}\n`));
  });
  const ports = { web: await listen(web), sink: await listen(sink) };
  return {
    ports,
    close: () => {
      web.close();
      sink.close();
    },
  };
}

describe.skipIf(!available)("Debian's cloud kernel on the user network", () => {
  const file = payload(MEGABYTES << 20);
  const hash = sha256(file);
  const log: string[] = [];
  let network: UserNetwork;
  let guest: LinuxGuest;
  let host: Awaited<ReturnType<typeof hostServers>>;
  let web: number;

  beforeAll(async () => {
    network = new UserNetwork({
      unfinished: false,
      loopback: true,
      mtu: 1400,
      hostname: "guest-name",
      hostForwards: [parseHostForward("tcp::0-:80")],
      log: (line) => log.push(line),
    });
    await network.start();
    web = network.hostForwards[0]!.hostPort;
    host = await hostServers(file);
    guest = await LinuxGuest.boot(network);
  }, 5 * MINUTES);

  afterAll(() => {
    guest?.close();
    network?.close();
    host?.close();
  });

  const lines = async (command: string): Promise<string[]> => (await guest.run(command)).lines;

  test("DHCP, ARP, ICMP", { timeout: 2 * MINUTES }, async () => {
    expect(await lines("udhcpc -i eth0 -s /etc/udhcpc -n -q 2>/dev/null")).toContain(
      "bound ip=10.0.2.15 mask=24 router=10.0.2.2 dns=10.0.2.3 mtu=1400 hostname=guest-name lease=86400 server=10.0.2.2",
    );
    expect((await lines("ping -c 3 10.0.2.2")).join("\n")).toContain("3 packets received");
    // Fragments both ways.
    expect((await lines("ping -c 1 -s 30000 10.0.2.3")).join("\n")).toContain("1 packets received");
    expect((await lines("ping -c 1 -W 1 10.0.2.77")).join("\n")).toContain("0 packets received");
    expect((await lines("traceroute -n -m 1 -q 1 192.0.2.1 2>&1")).join("\n")).toMatch(/ 1 {2}10\.0\.2\.2 /);
  });

  test(`${MEGABYTES} MB from the host, and back`, { timeout: 8 * MINUTES }, async () => {
    await guest.run(`mkdir /www; wget -q -O /www/file http://10.0.2.2:${host.ports.web}/`);
    expect(await lines("sha256sum </www/file")).toEqual([`${hash}  -`]);
    expect(await lines(`nc 10.0.2.2 ${host.ports.sink} </www/file`)).toEqual([hash]);
  });

  test(`${MEGABYTES} MB through a forwarded port`, { timeout: 5 * MINUTES }, async () => {
    await guest.run("httpd -h /www; echo small >/www/small");
    expect(sha256(await get(web, "/file"))).toBe(hash);
  });

  test("150 connections from the host, as many at once as the server queues", {
    timeout: 5 * MINUTES,
  }, async () => {
    // busybox httpd listens with a backlog of 9. Linux drops the end of a handshake for which there is no room in the queue.
    for (let done = 0; done < 150; done += 6) {
      const answers = await Promise.all(Array.from({ length: 6 }, () => get(web, "/small")));
      expect(answers.map((answer) => `${answer}`)).toEqual(Array(6).fill("small\n"));
    }
  });

  test("120 connections at once from the guest", { timeout: 5 * MINUTES }, async () => {
    const each = `(echo $i; sleep 1) | nc 10.0.2.2 ${host.ports.sink} >/tmp/answer.$i &`;
    await guest.run(`for i in $(seq 120); do ${each} done; wait`);
    const answers = await lines("for i in $(seq 120); do cat /tmp/answer.$i; done");
    expect(answers).toEqual(Array.from({ length: 120 }, (_, i) => sha256(Buffer.from(`${i + 1}\n`))));
  });

  test("refused ports both ways", { timeout: MINUTES }, async () => {
    expect(await lines("nc 10.0.2.2 1 2>&1 </dev/null")).toEqual([
      "nc: can't connect to remote host (10.0.2.2): Connection refused",
    ]);
    await guest.run("killall httpd");
    await expect(get(web, "/small")).rejects.toThrow(/ECONNRESET|socket hang up/);
  });

  test("nothing was malformed, and nothing stays behind", () => {
    expect(log).toEqual([]);
    expect(network.counts.connections).toBe(0);
  });
});

describe.skipIf(!available)("Debian's cloud kernel on a link that loses one frame in 50", () => {
  test("a megabyte both ways", { timeout: 8 * MINUTES }, async () => {
    const file = payload(1 << 20);
    const network = new UserNetwork({ unfinished: false, loopback: true });
    const dice = new Random(21);
    const host = await hostServers(file);
    let guest: LinuxGuest | null = null;
    try {
      guest = await LinuxGuest.boot(network, () => dice.chance(50));
      await guest.run("ip addr add 10.0.2.15/24 dev eth0");
      await guest.run(`wget -q -O /tmp/file http://10.0.2.2:${host.ports.web}/`);
      expect((await guest.run("sha256sum </tmp/file")).lines).toEqual([`${sha256(file)}  -`]);
      expect((await guest.run(`nc 10.0.2.2 ${host.ports.sink} </tmp/file`)).lines).toEqual([sha256(file)]);
    } finally {
      guest?.close();
      network.close();
      host.close();
    }
  });
});
