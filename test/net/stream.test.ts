/** QEMU's stream protocol, with a server of this process at the other end. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { COMPLETE } from "../../src/devices/virtio/network-link.ts";
import { StreamNetwork } from "../../src/net/stream.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function connected(path?: string): Promise<{ network: StreamNetwork; peer: Socket; server: Server }> {
  const server = createServer();
  server.listen(path ?? { port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const address =
    path === undefined ? { host: "127.0.0.1", port: (server.address() as AddressInfo).port } : { path };
  const [network, [peer]] = await Promise.all([StreamNetwork.connect(address), once(server, "connection")]);
  closing.push(
    () => network.close(),
    () => peer.destroy(),
    () => server.close(),
  );
  return { network, peer: peer as Socket, server };
}

const message = (frame: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(4 + frame.length);
  bytes.writeUInt32BE(frame.length);
  bytes.set(frame, 4);
  return bytes;
};
const frame = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => first + i);

/** Takes frames until there are as many. */
async function take(network: StreamNetwork, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  while (frames.length < count) {
    const next = network.next();
    if (next === null) {
      await new Promise<void>((resolve) => {
        network.onFrames = resolve;
      });
    } else frames.push(Uint8Array.from(next.frame));
  }
  return frames;
}

describe("frames for the guest", () => {
  test("come as they were sent, however the stream is cut", async () => {
    const { network, peer } = await connected();
    const sent = Array.from({ length: 200 }, (_, i) => frame(1 + ((i * 37) % 1514), i));
    const bytes = Buffer.concat(sent.map(message));
    const received = take(network, sent.length);
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 5 + 1) % 4099) {
      peer.write(bytes.subarray(at, at + step));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await received).toEqual(sent);
    expect(network.next()).toBe(null);
  });

  test("wait at the other end while the guest takes none", async () => {
    const { network, peer } = await connected();
    const one = message(frame(60_000, 1));
    let written = 0;
    // A megabyte here, and what sockets hold.
    while (written < 1000 && peer.writableLength < 16 * 2 ** 20) {
      peer.write(one);
      written++;
      if (written % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(written).toBeLessThan(1000);
    const frames = await take(network, written);
    expect(frames).toHaveLength(written);
  });

  test.each([
    ["0", Buffer.of(0, 0, 0, 0)],
    ["1195725856", Buffer.from("GET / HTTP/1.0\r\n\r\n")],
  ])("of %s bytes end the connection: it is another protocol", async (length, bytes) => {
    const { network, peer } = await connected();
    const ended = new Promise<string>((resolve) => {
      network.onEnd = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      network.onFrames = resolve;
    });
    peer.write(bytes);
    await arrived;
    expect(network.next()).toBe(null);
    expect(await ended).toContain(`a frame of ${length} bytes`);
    expect(network.next()).toBe(null);
    network.send(frame(60, 1), COMPLETE);
  });
});

describe("frames from the guest", () => {
  test("go out with their lengths, also the last ones before the end", async () => {
    const directory = mkdtempSync(join(tmpdir(), "ukl-emu-stream-"));
    closing.push(() => rmSync(directory, { recursive: true }));
    const { network, peer } = await connected(join(directory, "socket"));
    const sent = [frame(60, 1), frame(1514, 2), frame(65_549, 3)];
    const chunks: Buffer[] = [];
    peer.on("data", (chunk: Buffer) => chunks.push(chunk));
    for (const bytes of sent) {
      network.send(bytes, COMPLETE);
      bytes.fill(0xee);
    }
    network.close();
    await once(peer, "end");
    const expected = [frame(60, 1), frame(1514, 2), frame(65_549, 3)].map(message);
    expect(Buffer.concat(chunks).equals(Buffer.concat(expected))).toBe(true);
  });

  test("are lost if the other end does not read, and take no more than their share of memory", async () => {
    const { network, peer } = await connected();
    peer.pause();
    const bytes = frame(60_000, 1);
    for (let i = 0; i < 1000; i++) {
      network.send(bytes, COMPLETE);
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(network.lost).toBeGreaterThan(500);
  });
});

describe("the connection", () => {
  test("is refused where nobody listens", async () => {
    const { server } = await connected();
    const { port } = server.address() as AddressInfo;
    closing.splice(0).forEach((close) => {
      close();
    });
    await once(server, "close").catch(() => {});
    await expect(StreamNetwork.connect({ host: "127.0.0.1", port })).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
    await expect(StreamNetwork.connect({ path: "/nowhere/socket" })).rejects.toMatchObject({
      code: "ENOENT",
    });
  });

  test("that the other end closes is told once", async () => {
    const { network, peer } = await connected();
    const reasons: string[] = [];
    const ended = new Promise<void>((resolve) => {
      network.onEnd = (reason) => {
        reasons.push(reason);
        resolve();
      };
    });
    peer.end();
    await ended;
    network.close();
    expect(reasons).toEqual(["the other end has closed the connection"]);
  });
});
