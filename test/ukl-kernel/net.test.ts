/**
 * The kernel's network: programs that check sockets and epoll over the loopback print the same lines as on Linux, and
 * the servers answer real clients through QEMU's user network.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { buildImage, type ExtraFile, type KernelOptions } from "../../src/build/index.ts";
import { hostLines } from "./host-lines.ts";
import { freePort, Guest } from "./net-guest.ts";
import { apps, hasQemu, hasTools, runHere } from "./run-image.ts";

const work = mkdtempSync(join(tmpdir(), "ukl-emu-net-"));
afterAll(() => rmSync(work, { recursive: true }));
const hasMusl = spawnSync("musl-gcc", ["--version"]).error === undefined;

const sourceOf = (name: string): string => join(import.meta.dirname, "net-programs", `${name}.c`);

const linesOf = hostLines(work);
const onTheHost = (name: string): readonly string[] => linesOf(sourceOf(name));

const all = ["tcp", "udp", "epoll"];
/** With shortcuts the signal of a send waits for the next call that takes the long way: no SIGPIPE at once. */
const modes: readonly (readonly [string, KernelOptions, readonly string[]])[] = [
  ["ring3", { link: "ring3", net: true }, all],
  ["ring3 --kpti --pcid", { link: "ring3", kpti: true, pcid: true, net: true }, all],
  ["kml", { link: "kml", net: true }, all],
  ["zpoline", { link: "zpoline", net: true }, all],
  ["ukl", { link: "ukl", net: true }, all],
  ["ukl --stack-switch off", { link: "ukl", stackSwitch: false, net: true }, all],
  ["shortcut", { link: "shortcut", net: true }, ["udp", "epoll"]],
];

describe.skipIf(!hasTools || !hasMusl).each(modes)("%s (needs gcc and musl-dev)", (_, options, names) => {
  test.each(names)("%s prints what it prints on Linux", { timeout: 120_000 }, async (name) => {
    const { image } = await buildImage({ ...options, inputs: [sourceOf(name)] });
    const run = runHere(image, { maxInstructions: 3_000_000_000 });
    const lines = run.console.split("\n").filter((line) => !line.startsWith("ukl-kernel: "));
    expect(lines).toEqual(onTheHost(name));
    expect(run.stop).toEqual({ kind: "power-off" });
  });
});

/** All bytes that a server sends until it closes, or until `enough`. */
function talk(port: number, send: Uint8Array, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    const text = (): string => Buffer.concat(parts).toString("latin1");
    socket.on("data", (bytes) => {
      parts.push(Buffer.from(bytes));
      if (enough(text())) socket.end();
    });
    socket.on("close", () => resolve(text()));
    socket.on("error", reject);
    socket.write(send);
  });
}

async function start(app: string, port: number, options: KernelOptions, extraFiles: readonly ExtraFile[]) {
  const { image } = await buildImage({ ...options, inputs: [join(apps, `${app}.c`)], extraFiles });
  const host = await freePort();
  const guest = new Guest(image, [
    ...["-netdev", `user,id=net,hostfwd=tcp:127.0.0.1:${host}-:${port}`],
    ...["-device", "virtio-net-pci,netdev=net"],
  ]);
  await guest.shows("listening on port");
  return { guest, host };
}

const serverModes: readonly (readonly [string, KernelOptions])[] = [
  ["ring3", { link: "ring3", net: true }],
  ["kml", { link: "kml", net: true }],
  ["ukl", { link: "ukl", net: true }],
];

describe.skipIf(!hasTools || !hasQemu).each(serverModes)("servers under QEMU, %s", (_, options) => {
  test("http answers GET, HEAD, PUT, pipelined and wrong requests", { timeout: 120_000 }, async () => {
    const page = join(work, "index.html");
    writeFileSync(page, "<p>hello</p>\n");
    const { guest, host } = await start("http", 80, options, [{ host: page, guest: "/www/index.html" }]);
    try {
      expect(guest.console).toContain("ukl-kernel: network 10.0.2.15/24, gateway 10.0.2.2\n");
      const url = `http://127.0.0.1:${host}`;
      const index = await fetch(`${url}/`);
      expect([index.status, index.headers.get("content-type"), await index.text()]).toEqual([
        200,
        "text/html",
        "<p>hello</p>\n",
      ]);
      const head = await fetch(`${url}/index.html`, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "13", ""]);
      for (const [path, method, status] of [
        ["/missing", "GET", 404],
        ["/index.html", "DELETE", 405],
        ["/upload", "GET", 405],
        ["/%zz", "GET", 400],
      ] as const) {
        expect([path, (await fetch(url + path, { method })).status]).toEqual([path, status]);
      }

      const size = 3_000_000;
      const made = Buffer.from(await (await fetch(`${url}/bytes/${size}`)).arrayBuffer());
      expect(made.equals(Buffer.from(Uint8Array.from({ length: size }, (_unused, i) => i % 251)))).toBe(true);
      const answer = await (await fetch(`${url}/upload`, { method: "PUT", body: made })).text();
      expect(answer).toBe(`${size} ${crc32(made).toString(16).padStart(8, "0")}\n`);

      const pipelined = "GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
      const requests = `${pipelined}GET /bytes/4 HTTP/1.1\r\nConnection: close\r\n\r\n`;
      const answers = await talk(host, Buffer.from(requests), () => false);
      expect(answers.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(201);
      expect(answers.endsWith("Connection: close\r\n\r\n\u0000\u0001\u0002\u0003")).toBe(true);
      for (const wrong of [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\na: \0\r\n\r\n",
      ]) {
        expect(await talk(host, Buffer.from(wrong), () => false)).toMatch(/^HTTP\/1\.1 400 /);
      }
    } finally {
      await guest.end();
    }
  });

  test("keyvalue answers as Redis does", { timeout: 120_000 }, async () => {
    const { guest, host } = await start("keyvalue", 6379, options, []);
    try {
      const conversation: readonly (readonly [string, string])[] = [
        ["PING", "+PONG"],
        ["ECHO hello", "$5\r\nhello"],
        ["SET a 5", "+OK"],
        ["INCRBY a 10", ":15"],
        ["DECR a", ":14"],
        ["APPEND a x", ":3"],
        ["GET a", "$3\r\n14x"],
        ["INCR a", "-ERR value is not an integer or out of range"],
        ["SET a 1 NX", "$-1"],
        ["SET b 1 XX", "$-1"],
        ["SET b 1 EX 100", "+OK"],
        ["TTL b", ":100"],
        ["TTL a", ":-1"],
        ["TTL c", ":-2"],
        ["MSET c 1 d 2", "+OK"],
        ["MGET a c nothing", "*3\r\n$3\r\n14x\r\n$1\r\n1\r\n$-1"],
        ["EXISTS a b nothing", ":2"],
        ["RPUSH l 1 2 3", ":3"],
        ["LPUSH l 0", ":4"],
        ["LRANGE l 1 -2", "*2\r\n$1\r\n1\r\n$1\r\n2"],
        ["RPOP l", "$1\r\n3"],
        ["LPOP l 2", "*2\r\n$1\r\n0\r\n$1\r\n1"],
        ["LLEN l", ":1"],
        ["GET l", "-WRONGTYPE Operation against a key holding the wrong kind of value"],
        ["SADD s m m n", ":2"],
        ["SISMEMBER s n", ":1"],
        ["SREM s n", ":1"],
        ["SMEMBERS s", "*1\r\n$1\r\nm"],
        ["SPOP s", "$1\r\nm"],
        ["EXISTS s", ":0"],
        ["HSET h f v", ":1"],
        ["HGET h f", "$1\r\nv"],
        ["HGETALL h", "*2\r\n$1\r\nf\r\n$1\r\nv"],
        ["TYPE h", "+hash"],
        ["DEL h l", ":2"],
        ["EXPIRE a 0", ":1"],
        ["DBSIZE", ":3"],
        ["SELECT 1", "-ERR DB index is out of range"],
        ["GET", "-ERR wrong number of arguments for 'get' command"],
        ["NONSENSE", "-ERR unknown command 'NONSENSE'"],
        ["FLUSHALL", "+OK"],
        ["KEYS *", "*0"],
        ["QUIT", "+OK"],
      ];
      const resp = (line: string): string => {
        const words = line.split(" ");
        return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;
      };
      const expected = conversation.map(([, answer]) => `${answer}\r\n`).join("");
      for (const form of [resp, (line: string) => `${line}\r\n`]) {
        const sent = conversation.map(([line]) => form(line)).join("");
        expect(await talk(host, Buffer.from(sent), () => false)).toBe(expected);
      }
      const statistics = await talk(host, Buffer.from("INFO commandstats\r\nQUIT\r\n"), () => false);
      expect(statistics).toContain("\r\ncmdstat_ping:calls=2,failed_calls=0\r\n");
      // What has the wrong number of arguments is no call.
      expect(statistics).toContain("\r\ncmdstat_get:calls=4,failed_calls=2\r\n");
      for (const wrong of [
        "*x\r\n",
        "*1\r\n:3\r\n",
        "*1\r\n$99999999999\r\n",
        "*-9999999999999999999999\r\n",
      ]) {
        expect(await talk(host, Buffer.from(wrong), () => false)).toMatch(/^-ERR Protocol error/);
      }
    } finally {
      await guest.end();
    }
  });
});
