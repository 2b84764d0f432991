/**
 * A guest that sends anything. Whatever it is, nothing is thrown, memory stays bounded, the log names each kind once and never
 * quotes, and an honest connection beside it gets its bytes.
 */
import { describe, expect, test } from "vitest";
import { COMPLETE, type FrameWork } from "../../../src/devices/virtio/network-link.ts";
import { ARP_OPERATION, encodeArp } from "../../../src/net/arp.ts";
import { get16, put16 } from "../../../src/net/bytes.ts";
import { checksumOf, pseudoHeader, sumWords } from "../../../src/net/checksum.ts";
import { BROADCAST_MAC, ETHERTYPE, writeEthernet } from "../../../src/net/ethernet.ts";
import { PROTOCOL, writeIpv4 } from "../../../src/net/ipv4.ts";
import { parseIpv4 } from "../../../src/net/ipv4-address.ts";
import { MALFORMED, type Malformed } from "../../../src/net/malformed.ts";
import { FLAG, writeTcpHeader } from "../../../src/net/tcp/segment.ts";
import { encodeUdp } from "../../../src/net/udp.ts";
import { GUEST, HOST, HOST_MAC } from "../../../src/net/user/addresses.ts";
import { UserNetwork } from "../../../src/net/user/network.ts";
import { Random } from "../../random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { GUEST_MAC, TestGuest } from "./guest.ts";

/** `FUZZ_FRAMES=1000000 vitest run test/net/user/fuzz.test.ts` is the long run. */
const FRAMES = Number(process.env["FUZZ_FRAMES"] ?? 5000);
const IP = 14;
const L4 = 34;

function setUp() {
  const clock = new VirtualClock();
  const log: string[] = [];
  const dice = new Random(11);
  const network = new UserNetwork({
    clock,
    hostSockets: false,
    random: () => dice.u32(),
    log: (line) => log.push(line),
  });
  network.serve(7, (connection) => {
    connection.onData = (bytes) => connection.write(bytes.slice());
    connection.onEnd = () => connection.end();
  });
  const guest = new TestGuest(network, clock);
  guest.keeps = false;
  return { clock, network, guest, log };
}

function ipv4(
  protocol: number,
  payload: Uint8Array,
  { source = GUEST, destination = HOST } = {},
): Uint8Array {
  const frame = new Uint8Array(L4 + payload.length);
  writeEthernet(frame, HOST_MAC, GUEST_MAC, ETHERTYPE.IPV4);
  writeIpv4(frame, IP, { source, destination, protocol, identification: 1, length: payload.length });
  frame.set(payload, L4);
  return frame;
}

function segment(
  flags: number,
  sequence = 1000,
  acknowledgment = 0,
  data = new Uint8Array(),
  ports = [2000, 7],
) {
  const bytes = new Uint8Array(28 + data.length);
  const header = writeTcpHeader(bytes, 0, {
    sourcePort: ports[0]!,
    destinationPort: ports[1]!,
    sequence,
    acknowledgment,
    flags,
    window: 1000,
    ...(flags & FLAG.SYN ? { options: { maximumSegmentSize: 1460, windowScale: 7 } } : {}),
  });
  bytes.set(data, header);
  const length = header + data.length;
  const whole = bytes.subarray(0, length);
  put16(whole, 16, checksumOf(sumWords(whole, 0, length, pseudoHeader(GUEST, HOST, PROTOCOL.TCP, length))));
  return whole;
}

const datagram = (data: Uint8Array, port = 9) =>
  encodeUdp({ source: { address: GUEST, port: 68 }, destination: { address: HOST, port }, data });

/** Makes an IPv4 header's checksum right again. */
function sealed(frame: Uint8Array): Uint8Array {
  put16(frame, IP + 10, 0);
  put16(frame, IP + 10, checksumOf(sumWords(frame, IP, IP + (frame[IP]! & 15) * 4)));
  return frame;
}

const changed = (frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};

/** A TCP segment with other bytes and a right checksum. */
function resealed(at: number, ...bytes: number[]): Uint8Array {
  const payload = changed(segment(FLAG.SYN), at, ...bytes);
  put16(payload, 16, 0);
  const sum = pseudoHeader(GUEST, HOST, PROTOCOL.TCP, payload.length);
  put16(payload, 16, checksumOf(sumWords(payload, 0, payload.length, sum)));
  return ipv4(PROTOCOL.TCP, payload);
}

const arp = encodeArp(
  {
    operation: ARP_OPERATION.REQUEST,
    senderMac: GUEST_MAC,
    senderAddress: GUEST,
    targetMac: new Uint8Array(6),
    targetAddress: HOST,
  },
  BROADCAST_MAC,
);
const ping = (() => {
  const message = new Uint8Array([8, 0, 0, 0, 1, 2, 0, 1, 65, 66]);
  put16(message, 2, checksumOf(sumWords(message, 0, message.length)));
  return ipv4(PROTOCOL.ICMP, message);
})();
const syn = ipv4(PROTOCOL.TCP, segment(FLAG.SYN));
const udp = ipv4(PROTOCOL.UDP, datagram(Buffer.from("data")));

describe("each kind is told once, and counted", () => {
  const frames: Record<Malformed, Uint8Array> = {
    "frame-short": new Uint8Array(13),
    "frame-long": new Uint8Array(65_551),
    arp: arp.subarray(0, 41),
    "ipv4-short": ping.subarray(0, 33),
    "ipv4-version": changed(ping, IP, 0x65),
    "ipv4-header": changed(ping, IP, 0x44),
    "ipv4-length": sealed(changed(ping, IP + 2, 0xff, 0xff)),
    "ipv4-checksum": changed(ping, IP + 10, 0xde, 0xad),
    "ipv4-source": ipv4(PROTOCOL.UDP, datagram(new Uint8Array()), { source: parseIpv4("8.8.8.8")! }),
    "ipv4-destination": ipv4(PROTOCOL.TCP, segment(FLAG.SYN), { destination: parseIpv4("224.0.0.1")! }),
    "ipv4-fragment": sealed(changed(ping, IP + 6, 0x20, 0)),
    "icmp-short": sealed(changed(ping, IP + 2, 0, 27)),
    "icmp-checksum": changed(ping, L4 + 2, 0xde, 0xad),
    "udp-short": sealed(changed(udp, IP + 2, 0, 27)),
    "udp-length": changed(udp, L4 + 4, 0, 100),
    "udp-checksum": changed(udp, L4 + 6, 0xde, 0xad),
    "tcp-short": sealed(changed(syn, IP + 2, 0, 39)),
    "tcp-header": changed(syn, L4 + 12, 0xf0),
    "tcp-checksum": changed(syn, L4 + 16, 0xde, 0xad),
    "tcp-options": resealed(20, 2, 200),
    "tcp-flags": resealed(13, FLAG.SYN | FLAG.FIN),
    "tcp-port": resealed(0, 0, 0),
    dhcp: ipv4(PROTOCOL.UDP, datagram(Buffer.from("not DHCP"), 67)),
  };

  test.each(Object.entries(frames) as [Malformed, Uint8Array][])("%s", (kind, frame) => {
    const { network, log } = setUp();
    for (let i = 0; i < 3; i++) network.send(frame, COMPLETE);
    expect([...network.malformed.all]).toEqual([[kind, 3]]);
    network.close();
    expect(log).toEqual([
      `user network: dropped a frame of the guest's: ${MALFORMED[kind]}`,
      `user network: dropped 3 frames of the guest's: ${MALFORMED[kind]}`,
    ]);
  });

  test("and all of them are here", () => {
    expect(Object.keys(frames).sort()).toEqual(Object.keys(MALFORMED).sort());
  });
});

const ADDRESSES = [
  "10.0.2.2",
  "10.0.2.3",
  "10.0.2.15",
  "10.0.2.255",
  "255.255.255.255",
  "8.8.8.8",
  "127.0.0.1",
].map((text) => parseIpv4(text)!);
const WORDS = [0, 1, 0x7fff, 0x8000, 0xfff0, 0xffff];

/** Something that is nearly right, or not. */
function anything(dice: Random): Uint8Array {
  const data = new Uint8Array(dice.pick([0, 1, 7, 8, 100, 1460, 4000, 60_000]));
  const flags = dice.below(64);
  const number = () => (dice.chance(2) ? dice.u32() : 1000 + dice.below(70_000));
  const ports = [2000 + dice.below(50), dice.pick([7, 7, 7, 80])];
  const destination = dice.pick(ADDRESSES);
  switch (dice.below(8)) {
    case 0:
      return Uint8Array.from({ length: dice.below(200) }, () => dice.u32());
    case 1:
      return changed(arp, dice.below(42), dice.u32() & 255);
    case 2:
      return ipv4(dice.below(256), data, { source: dice.pick(ADDRESSES), destination });
    case 3:
      return ipv4(PROTOCOL.UDP, datagram(data, dice.pick([53, 67, 68, 9])), { destination });
    case 4: {
      const frame = ipv4(PROTOCOL.ICMP, data);
      put16(frame, IP + 4, dice.below(40));
      put16(frame, IP + 6, dice.chance(2) ? dice.below(0x4000) : dice.below(4) | (dice.below(2) << 13));
      return sealed(frame);
    }
    default:
      return ipv4(PROTOCOL.TCP, segment(flags, number(), number(), data, ports), {
        destination: dice.chance(4) ? destination : HOST,
      });
  }
}

/** Breaks something, mostly with the IPv4 checksum right, so that it gets further. */
function broken(dice: Random, frame: Uint8Array): Uint8Array {
  let copy = frame.slice();
  const times = dice.below(4);
  for (let i = 0; i < times && copy.length > 0; i++) {
    const at = dice.chance(3) ? dice.below(copy.length) : dice.below(Math.min(copy.length, 60));
    if (dice.chance(2)) copy[at] = dice.u32();
    else if (at + 1 < copy.length) put16(copy, at, dice.pick(WORDS));
  }
  if (dice.chance(8)) copy = copy.slice(0, dice.below(copy.length + 1));
  const header = copy.length > IP ? (copy[IP]! & 15) * 4 : 0;
  if (!dice.chance(8) && header >= 20 && copy.length >= IP + header && get16(copy, 12) === ETHERTYPE.IPV4)
    sealed(copy);
  return copy;
}

function anyWork(dice: Random): FrameWork {
  if (dice.chance(2)) return COMPLETE;
  return {
    checksum: { start: dice.below(70_000), offset: dice.below(70_000) },
    segmentation: dice.chance(2)
      ? null
      : { protocol: dice.pick(["tcp4", "tcp6"]), size: dice.below(65_536), ecn: true },
  };
}

test(`${FRAMES} frames`, { timeout: 3_600_000 }, () => {
  const { clock, network, guest, log } = setUp();
  const dice = Random.spread(Number(process.env["FUZZ_SEED"] ?? 1));
  let honest = 0;
  for (let i = 0; i < FRAMES; i++) {
    network.send(broken(dice, anything(dice)), anyWork(dice));
    if (dice.chance(4)) for (let n = dice.below(20); n > 0; n--) network.next();
    if (dice.chance(10)) clock.advance(dice.pick([1, 50, 1000, 30_000]));
    if (i % 500 === 499) {
      // The wire is drained, and the guest's Ethernet address set right: the fuzzer has claimed others.
      network.send(arp, COMPLETE);
      while (network.next() !== null);
      const user = guest.connect(7, HOST, 40_000 + (honest % 20_000));
      user.connection.write(Buffer.from(`honest ${i}`));
      user.connection.end();
      for (let n = 0; n < 100 && user.closedBy === null; n++) {
        guest.exchange();
        clock.advance(100);
      }
      expect([`${user.bytes}`, user.closedBy]).toEqual([`honest ${i}`, "done"]);
      guest.users.length = 0;
      guest.datagrams.length = guest.icmp.length = guest.fragments.length = 0;
      honest++;
      const { connections, flows, timers } = network.counts;
      expect(connections).toBeLessThanOrEqual(4096);
      expect([flows, timers < 10_000]).toEqual([0, true]);
    }
  }
  expect(honest).toBe(Math.floor(FRAMES / 500));
  // Most kinds have been met, each is told once.
  expect(network.malformed.all.size).toBeGreaterThan(12);
  expect(log).toHaveLength(network.malformed.all.size);
  clock.advance(3_600_000);
  while (network.next() !== null) clock.advance(1000);
  network.close();
  expect(network.counts.timers).toBe(0);
  const texts: string[] = Object.values(MALFORMED);
  for (const line of log) {
    expect(texts).toContain(line.replace(/^user network: dropped (a frame|\d+ frames) of the guest's: /, ""));
  }
});
