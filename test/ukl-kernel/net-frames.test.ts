/** The kernel's stack against a peer that breaks every rule: it answers as the RFCs say, and it lives. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildImage } from "../../src/build/index.ts";
import { Random } from "../random.ts";
import { Cable, Guest } from "./net-guest.ts";
import { apps, hasQemu, hasTools } from "./run-image.ts";

const GUEST_MAC = Buffer.from("525400000002", "hex");
const PEER_MAC = Buffer.from("525400000001", "hex");
const GUEST = Buffer.from([10, 0, 2, 15]);
const PEER = Buffer.from([10, 0, 2, 2]);
const [FIN, SYN, RST, PSH, ACK] = [1, 2, 4, 8, 16];
const PORT = 6379;

/** RFC 1071. */
function checksum(...parts: readonly Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const ethernet = (type: number, payload: Buffer): Buffer =>
  Buffer.concat([GUEST_MAC, PEER_MAC, Buffer.from([type >> 8, type & 255]), payload]);

function ip(protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header[8] = 64;
  header[9] = protocol;
  PEER.copy(header, 12);
  GUEST.copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return ethernet(0x0800, Buffer.concat([header, payload]));
}

const pseudo = (protocol: number, size: number): Buffer =>
  Buffer.concat([PEER, GUEST, Buffer.from([0, protocol, size >> 8, size & 255])]);

function arp(operation: number): Buffer {
  const packet = Buffer.from("0001080006040000", "hex");
  packet.writeUInt16BE(operation, 6);
  return ethernet(0x0806, Buffer.concat([packet, PEER_MAC, PEER, GUEST_MAC, GUEST]));
}

function echo(sequence: number): Buffer {
  const message = Buffer.concat([
    Buffer.from([8, 0, 0, 0, 0, 1, 0, sequence]),
    Buffer.from("are you there?"),
  ]);
  message.writeUInt16BE(checksum(message), 2);
  return ip(1, message);
}

function udp(port: number): Buffer {
  const datagram = Buffer.concat([
    Buffer.from([0x30, 0x39, port >> 8, port & 255, 0, 13, 0, 0]),
    Buffer.from("hello"),
  ]);
  datagram.writeUInt16BE(checksum(pseudo(17, 13), datagram), 6);
  return ip(17, datagram);
}

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly sequence: number;
  readonly acknowledgment?: number;
  readonly flags: number;
  readonly window?: number;
  readonly data?: string;
}

function tcp({ from, to, sequence, acknowledgment = 0, flags, window = 60_000, data = "" }: Segment): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt32BE(sequence >>> 0, 4);
  header.writeUInt32BE(acknowledgment >>> 0, 8);
  header[12] = 0x50;
  header[13] = flags;
  header.writeUInt16BE(window, 14);
  const segment = Buffer.concat([header, Buffer.from(data)]);
  segment.writeUInt16BE(checksum(pseudo(6, segment.length), segment), 16);
  return ip(6, segment);
}

/** A segment that came, if it goes to this port. */
function segment(frame: Buffer, port: number) {
  if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6 || frame.readUInt16BE(36) !== port) return null;
  const size = frame.readUInt16BE(16);
  return {
    sequence: frame.readUInt32BE(38),
    acknowledgment: frame.readUInt32BE(42),
    flags: frame[47] ?? 0,
    data: frame.subarray(34 + ((frame[46] ?? 0) >> 4) * 4, 14 + size).toString("latin1"),
  };
}

const isEchoReply = (sequence: number) => (frame: Buffer) =>
  frame.readUInt16BE(12) === 0x0800 && frame[23] === 1 && frame[34] === 0 && frame[41] === sequence;

/** Flips bits, writes numbers at the edges, cuts, grows, repeats; the checksums are often made right again. */
function mutate(random: Random, frame: Buffer): Buffer {
  let bytes = Buffer.from(frame);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = 12 + random.below(Math.max(bytes.length - 12, 1));
    const kind = random.below(6);
    if (kind === 0 && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    else if (kind === 1 && at < bytes.length) bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)] ?? 0;
    else if (kind === 2) bytes = bytes.subarray(0, at);
    else if (kind === 3)
      bytes = Buffer.concat([bytes, Buffer.alloc(random.below(1514 - Math.min(bytes.length, 1513)))]);
    else if (kind === 4 && at + 2 <= bytes.length) bytes.writeUInt16BE(random.below(65_536), at);
    else if (kind === 5 && at + 4 <= bytes.length) bytes.writeUInt32BE(random.u32(), at);
  }
  if (random.below(4) === 0 || bytes.length < 34 || bytes.readUInt16BE(12) !== 0x0800) return bytes;
  const header = ((bytes[14] ?? 0) & 15) * 4;
  if (bytes.length < 14 + header + 8 || header < 20) return bytes;
  bytes.writeUInt16BE(0, 24);
  bytes.writeUInt16BE(checksum(bytes.subarray(14, 14 + header)), 24);
  const payload = bytes.subarray(14 + header);
  const at = ({ 1: 2, 6: 16, 17: 6 } as Record<number, number>)[bytes[23] ?? 0];
  if (at === undefined || payload.length < at + 2) return bytes;
  payload.writeUInt16BE(0, at);
  const start = bytes[23] === 1 ? [] : [pseudo(bytes[23] ?? 0, payload.length)];
  payload.writeUInt16BE(checksum(...start, payload), at);
  return bytes;
}

interface Arrived {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly data: string;
}

/** A connection to the server, made by hand: RFC 9293 figure 6. */
class Connection {
  sequence = 1000;
  /** What was received is acknowledged up to here. */
  acknowledgment = 0;
  readonly #cable: Cable;
  readonly #from: number;

  constructor(cable: Cable, from: number) {
    this.#cable = cable;
    this.#from = from;
  }

  /** The next segment with data, SYN, FIN or RST, or any at all. */
  async next(any = false): Promise<Arrived> {
    const wanted = (frame: Buffer): boolean => {
      const found = segment(frame, this.#from);
      return found !== null && (any || found.data !== "" || (found.flags & (SYN | FIN | RST)) !== 0);
    };
    return segment(await this.#cable.frame(wanted), this.#from)!;
  }

  send(flags: number, data = "", offset = 0, window = 60_000): void {
    const { acknowledgment } = this;
    const sequence = this.sequence + offset;
    this.#cable.send(tcp({ from: this.#from, to: PORT, sequence, acknowledgment, flags, window, data }));
  }

  async open(): Promise<void> {
    this.send(SYN);
    const accepted = await this.next();
    expect([accepted.flags, accepted.acknowledgment]).toEqual([SYN | ACK, 1001]);
    this.sequence = 1001;
    this.acknowledgment = accepted.sequence + 1;
    this.send(ACK);
  }
}

/** The key-value server with a cable to this test. */
async function withServer(run: (cable: Cable) => Promise<void>): Promise<void> {
  const { image } = await buildImage({ link: "ukl", net: true, inputs: [join(apps, "keyvalue.c")] });
  const cable = new Cable();
  const guest = new Guest(image, await cable.plug(), "ip=10.0.2.15/24,gw=10.0.2.2");
  try {
    await guest.shows("listening on port");
    cable.send(arp(1));
    await cable.frame((frame) => frame.readUInt16BE(12) === 0x0806 && frame[21] === 2);
    await run(cable);
    expect(guest.console).not.toContain("panic");
  } finally {
    await guest.end();
    cable.unplug();
  }
}

/** An answer to a command whose pieces come out of order, one of them twice. */
async function command(cable: Cable, from: number): Promise<string> {
  const connection = new Connection(cable, from);
  await connection.open();
  connection.send(ACK | PSH, "hello\r\n", 5);
  connection.send(ACK | PSH, "ECHO hel");
  const answer = await connection.next();
  connection.send(RST, "", 12);
  return answer.data;
}

const suite = describe.skipIf(!hasTools || !hasQemu);

suite("TCP of the kernel (needs gcc and qemu-system-x86_64)", () => {
  test("what is not acknowledged is sent again, after longer and longer times", { timeout: 60_000 }, () =>
    withServer(async (cable) => {
      const connection = new Connection(cable, 43_000);
      await connection.open();
      connection.send(ACK | PSH, "PING\r\n");
      const first = await connection.next();
      expect(first.data).toBe("+PONG\r\n");
      const times: number[] = [performance.now()];
      for (let i = 0; i < 3; i++) {
        expect(await connection.next()).toMatchObject({ data: "+PONG\r\n", sequence: first.sequence });
        times.push(performance.now());
      }
      const [short, , long] = times.slice(1).map((time, i) => time - times[i]!);
      expect(long!).toBeGreaterThan(short!);
      connection.sequence += 6;
      connection.acknowledgment += 7;
      connection.send(ACK);
      connection.send(ACK | PSH, "ECHO b\r\n");
      expect((await connection.next()).data).toBe("$1\r\nb\r\n");
    }),
  );

  test("duplicate acknowledgments bring the missing segment again", { timeout: 60_000 }, () =>
    withServer(async (cable) => {
      const connection = new Connection(cable, 43_001);
      await connection.open();
      for (let i = 0; i < 12; i++) {
        connection.send(ACK | PSH, "PING\r\n".repeat(240));
        connection.sequence += 1440;
      }
      const first = await connection.next();
      for (let i = 0; i < 3; i++) await connection.next();
      for (let i = 0; i < 4; i++) connection.send(ACK);
      let again = await connection.next();
      while (again.sequence !== first.sequence) again = await connection.next();
      expect(again.data).toBe(first.data);
    }),
  );

  test("a closed window is probed, and used when it opens", { timeout: 60_000 }, () =>
    withServer(async (cable) => {
      const connection = new Connection(cable, 43_002);
      await connection.open();
      connection.send(ACK | PSH, "PING\r\n", 0, 0);
      connection.sequence += 6;
      /* Acknowledgments of the command first, then questions without data. */
      for (let i = 0; i < 3; i++) {
        const probe = await connection.next(true);
        expect(probe.data).toBe("");
        if (probe.acknowledgment === connection.sequence) connection.send(ACK, "", 0, 0);
      }
      connection.send(ACK, "", 0, 3);
      let text = (await connection.next()).data;
      expect(text).toBe("+PO");
      connection.acknowledgment += 3;
      connection.send(ACK);
      text += (await connection.next()).data;
      expect(text).toBe("+PONG\r\n");
    }),
  );

  test("a FIN ends one direction, the other goes on; then both are over", { timeout: 60_000 }, () =>
    withServer(async (cable) => {
      const connection = new Connection(cable, 43_003);
      await connection.open();
      connection.send(ACK | PSH | FIN, "PING\r\n");
      connection.sequence += 7;
      let last = await connection.next();
      expect(last.data).toBe("+PONG\r\n");
      connection.acknowledgment += 7;
      connection.send(ACK);
      while ((last.flags & FIN) === 0) last = await connection.next();
      expect([last.sequence, last.acknowledgment]).toEqual([connection.acknowledgment, connection.sequence]);
      connection.acknowledgment++;
      connection.send(ACK);
      /* Nothing is left of it: who goes on is refused. */
      connection.send(ACK | PSH, "PING\r\n");
      expect((await connection.next()).flags & RST).toBe(RST);
    }),
  );

  test("a reset counts only with the next sequence number (RFC 5961)", { timeout: 60_000 }, () =>
    withServer(async (cable) => {
      const connection = new Connection(cable, 43_004);
      await connection.open();
      connection.send(RST, "", 100);
      expect(await connection.next(true)).toMatchObject({ flags: ACK, acknowledgment: connection.sequence });
      connection.send(ACK | PSH, "PING\r\n");
      expect((await connection.next()).data).toBe("+PONG\r\n");
      connection.sequence += 6;
      connection.send(RST);
      connection.send(ACK | PSH, "PING\r\n");
      expect((await connection.next()).flags & RST).toBe(RST);
    }),
  );

  test("after 1,000 malformed frames the kernel answers as before", { timeout: 180_000 }, () =>
    withServer(async (cable) => {
      expect(await command(cable, 40_000)).toBe("$5\r\nhello\r\n");
      cable.send(tcp({ from: 40_001, to: 81, sequence: 7, flags: SYN }));
      const refused = segment(await cable.frame((frame) => segment(frame, 40_001) !== null), 40_001);
      expect(refused).toMatchObject({ flags: RST | ACK, acknowledgment: 8, sequence: 0 });
      cable.send(udp(9));
      await cable.frame((frame) => frame[23] === 1 && frame[34] === 3 && frame[35] === 3);

      const random = new Random(20_260);
      const some = (): Buffer => {
        const from = 41_000 + random.below(50);
        const flags = random.below(64);
        return [
          () => arp(1 + random.below(2)),
          () => echo(1),
          () => udp(random.below(2) * 68 || 9),
          () => tcp({ from, to: PORT, sequence: 1000, flags: SYN }),
          () =>
            tcp({ from, to: PORT, sequence: 1001, acknowledgment: random.u32(), flags, data: "GET a\r\n" }),
          () =>
            tcp({
              from,
              to: PORT,
              sequence: 1001 + random.below(70_000),
              flags: ACK,
              data: "x".repeat(1400),
            }),
        ][random.below(6)]!();
      };
      for (let i = 0; i < 1000; i++) {
        cable.send(mutate(random, some()));
        if (i % 100 !== 99) continue;
        cable.send(arp(2)); // what a forged address has overwritten
        cable.send(echo((i + 1) / 100));
        await cable.frame(isEchoReply((i + 1) / 100));
      }
      expect(await command(cable, 42_000)).toBe("$5\r\nhello\r\n");
    }),
  );
});
