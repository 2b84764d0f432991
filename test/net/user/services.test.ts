/** What the network itself answers: ARP, DHCP, ICMP, fragments. On virtual time, without the host. */
import { describe, expect, test } from "vitest";
import { ARP_OPERATION, encodeArp, parseArp } from "../../../src/net/arp.ts";
import { get32, put16, put32 } from "../../../src/net/bytes.ts";
import { checksumOf, sumWords } from "../../../src/net/checksum.ts";
import { BROADCAST_MAC, ETHERNET, ETHERTYPE, writeEthernet } from "../../../src/net/ethernet.ts";
import { IPV4, PROTOCOL, writeIpv4 } from "../../../src/net/ipv4.ts";
import { formatIpv4, parseIpv4 } from "../../../src/net/ipv4-address.ts";
import { encodeUdp } from "../../../src/net/udp.ts";
import { DNS_SERVER, GUEST, HOST, LIMITED_BROADCAST, macOf } from "../../../src/net/user/addresses.ts";
import { UserNetwork } from "../../../src/net/user/network.ts";
import type { UserNetworkOptions } from "../../../src/net/user/options.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { GUEST_MAC, TestGuest } from "./guest.ts";

function setUp(options: UserNetworkOptions = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const network = new UserNetwork({ clock, hostSockets: false, log: (line) => log.push(line), ...options });
  return { clock, network, guest: new TestGuest(network, clock), log };
}

describe("ARP", () => {
  const ask = (address: number) =>
    encodeArp(
      {
        operation: ARP_OPERATION.REQUEST,
        senderMac: GUEST_MAC,
        senderAddress: GUEST,
        targetMac: new Uint8Array(6),
        targetAddress: address,
      },
      BROADCAST_MAC,
    );

  test.each([HOST, DNS_SERVER])("answers for %i", (address) => {
    const { guest } = setUp();
    guest.send(ask(address));
    guest.exchange();
    const reply = parseArp(guest.frames[0]!)!;
    expect(reply).toEqual({
      operation: ARP_OPERATION.REPLY,
      senderMac: macOf(address),
      senderAddress: address,
      targetMac: GUEST_MAC,
      targetAddress: GUEST,
    });
    expect(guest.frames).toHaveLength(1);
  });

  test("does not answer for others", () => {
    const { guest, network } = setUp();
    for (const text of ["10.0.2.15", "10.0.2.99", "10.0.2.255", "192.168.1.1"])
      guest.send(ask(parseIpv4(text)!));
    expect(network.next()).toBeNull();
  });

  test("asks for the guest once in a second, and what waits is sent when the answer comes", () => {
    const { clock, guest, network } = setUp();
    guest.answersArp = false;
    const connection = network.connectToGuest(80);
    for (let i = 0; i < 50; i++) {
      guest.exchange();
      network.connectToGuest(80);
      clock.advance(100);
    }
    expect(guest.frames.filter((frame) => parseArp(frame) !== null).length).toBe(5);
    guest.answersArp = true;
    clock.advance(1000);
    network.connectToGuest(80);
    guest.exchange();
    expect(connection.state).toBe("ESTABLISHED");
    expect(guest.users).toHaveLength(52);
  });
});

/** A client's message. */
function dhcp(type: number, options: Record<number, number[]> = {}, { ciaddr = 0, broadcast = false } = {}) {
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 0x11, 0x22, 0x33, 0x44, 0, 0, broadcast ? 0x80 : 0]);
  put32(message, 12, ciaddr);
  message.set(GUEST_MAC, 28);
  put32(message, 236, 0x6382_5363);
  let at = 240;
  for (const [code, bytes] of Object.entries({ 53: [type], ...options })) {
    message.set([Number(code), bytes.length, ...bytes], at);
    at += 2 + bytes.length;
  }
  message[at] = 255;
  return message;
}

function optionsOf(message: Uint8Array): Record<number, number[]> {
  const options: Record<number, number[]> = {};
  for (let at = 240; message[at] !== 255; at += 2 + message[at + 1]!) {
    options[message[at]!] = [...message.subarray(at + 2, at + 2 + message[at + 1]!)];
  }
  return options;
}

describe("DHCP", () => {
  function talk(message: Uint8Array, settings: UserNetworkOptions = {}, from = 0, to = LIMITED_BROADCAST) {
    const { guest, log } = setUp(settings);
    guest.udp({
      source: { address: from, port: 68 },
      destination: { address: to, port: 67 },
      data: message,
    });
    guest.exchange();
    return { reply: guest.datagrams[0], frame: guest.frames[0], log };
  }
  const address = (text: string) => text.split(".").map(Number);

  test("an offer, with what a guest needs", () => {
    const { reply, frame } = talk(dhcp(1), { mtu: 1400, hostname: "box" });
    expect(formatIpv4(reply!.source.address)).toBe("10.0.2.2");
    expect(formatIpv4(reply!.destination.address)).toBe("10.0.2.15");
    expect([...frame!.subarray(0, 6)]).toEqual([...GUEST_MAC]);
    const { data } = reply!;
    expect([data[0], get32(data, 4), formatIpv4(get32(data, 16))]).toEqual([2, 0x1122_3344, "10.0.2.15"]);
    expect(data.length).toBeGreaterThanOrEqual(300);
    expect(optionsOf(data)).toEqual({
      53: [2],
      54: address("10.0.2.2"),
      51: [0, 1, 0x51, 0x80],
      1: address("255.255.255.0"),
      28: address("10.0.2.255"),
      3: address("10.0.2.2"),
      6: address("10.0.2.3"),
      26: [5, 0x78],
      12: [...Buffer.from("box")],
    });
  });

  test("to everyone, if the client asks for that", () => {
    const { reply, frame } = talk(dhcp(1, {}, { broadcast: true }));
    expect(reply!.destination.address).toBe(LIMITED_BROADCAST);
    expect([...frame!.subarray(0, 6)]).toEqual([...BROADCAST_MAC]);
  });

  test("a request is acknowledged, one for another address refused, one of another server left alone", () => {
    const wants = (text: string, server = "10.0.2.2") => dhcp(3, { 50: address(text), 54: address(server) });
    expect(optionsOf(talk(wants("10.0.2.15")).reply!.data)[53]).toEqual([5]);
    const refused = talk(wants("10.0.2.16")).reply!;
    expect([optionsOf(refused.data)[53], refused.destination.address]).toEqual([[6], LIMITED_BROADCAST]);
    expect(get32(refused.data, 16)).toBe(0);
    expect(talk(wants("10.0.2.15", "10.0.2.9")).reply).toBeUndefined();
  });

  test("renewed: from the address, to the server", () => {
    const { reply } = talk(dhcp(3, {}, { ciaddr: GUEST }), {}, GUEST, HOST);
    expect([optionsOf(reply!.data)[53], reply!.destination.address]).toEqual([[5], GUEST]);
    // A client that wakes up in another network is told.
    const other = talk(dhcp(3, {}, { ciaddr: parseIpv4("192.168.7.7")! }), {}, 0);
    expect(optionsOf(other.reply!.data)[53]).toEqual([6]);
  });

  test("INFORM: all but an address and a lease", () => {
    const { reply } = talk(
      dhcp(8, {}, { ciaddr: parseIpv4("10.0.2.77")! }),
      {},
      parseIpv4("10.0.2.77")!,
      HOST,
    );
    const options = optionsOf(reply!.data);
    expect([options[53], options[51], get32(reply!.data, 16)]).toEqual([[5], undefined, 0]);
  });

  test("a guest that reaches nothing is told no way", () => {
    const options = optionsOf(talk(dhcp(1), { restrict: true }).reply!.data);
    expect([options[3], options[6], options[1]]).toEqual([undefined, undefined, address("255.255.255.0")]);
  });

  const bad: [string, Uint8Array][] = [
    ["cut short", dhcp(1).subarray(0, 239)],
    ["of a server", dhcp(1).map((byte, i) => (i === 0 ? 2 : byte))],
    ["without the cookie", dhcp(1).map((byte, i) => (i === 236 ? 0 : byte))],
    ["with an option past the end", dhcp(1).subarray(0, 242)],
    ["without a type", dhcp(1).map((byte, i) => (i === 240 ? 200 : byte))],
  ];
  test.each(bad)("a message %s", (_name, message) => {
    const { reply, log } = talk(message);
    expect([reply, log]).toEqual([
      undefined,
      ["user network: dropped a frame of the guest's: a DHCP message that is cut short or not of a client"],
    ]);
  });

  test("RELEASE and DECLINE get no answer", () => {
    expect([talk(dhcp(7)).reply, talk(dhcp(4)).reply]).toEqual([undefined, undefined]);
  });
});

function echo(data: Uint8Array, type = 8): Uint8Array {
  const message = new Uint8Array(8 + data.length);
  message.set([type, 0, 0, 0, 0x12, 0x34, 0, 1]);
  message.set(data, 8);
  put16(message, 2, checksumOf(sumWords(message, 0, message.length)));
  return message;
}

describe("ICMP", () => {
  test.each([HOST, DNS_SERVER])("echo of %i", (address) => {
    const { guest } = setUp();
    guest.ipv4(GUEST, address, PROTOCOL.ICMP, echo(Buffer.from("ping")));
    guest.exchange();
    const [reply] = guest.icmp;
    expect([reply!.source, [...reply!.payload.subarray(4)]]).toEqual([
      address,
      [0x12, 0x34, 0, 1, ...Buffer.from("ping")],
    ]);
    expect(reply!.payload[0]).toBe(0);
  });

  test("echo elsewhere is prohibited, since the host cannot send one", () => {
    const { guest } = setUp();
    guest.ipv4(GUEST, parseIpv4("192.0.2.1")!, PROTOCOL.ICMP, echo(Buffer.from("ping")));
    guest.exchange();
    const [answer] = guest.icmp;
    expect([answer!.source, answer!.payload[0], answer!.payload[1]]).toEqual([HOST, 3, 13]);
    // It quotes the packet.
    expect(get32(answer!.payload, 8 + IPV4.DESTINATION)).toBe(parseIpv4("192.0.2.1"));
  });

  test("other protocols, and time to live", () => {
    const { guest } = setUp();
    guest.ipv4(GUEST, HOST, 132, new Uint8Array(20));
    const frame = new Uint8Array(60);
    writeEthernet(frame, macOf(HOST), GUEST_MAC, ETHERTYPE.IPV4);
    const fields = { source: GUEST, destination: parseIpv4("192.0.2.1")!, protocol: 17, identification: 1 };
    writeIpv4(frame, ETHERNET.HEADER, { ...fields, length: 26 });
    frame[ETHERNET.HEADER + IPV4.TIME_TO_LIVE] = 1;
    put16(frame, ETHERNET.HEADER + IPV4.CHECKSUM, 0);
    put16(frame, ETHERNET.HEADER + IPV4.CHECKSUM, checksumOf(sumWords(frame, 14, 34)));
    guest.send(frame);
    guest.exchange();
    expect(guest.icmp.map(({ payload }) => [payload[0], payload[1]])).toEqual([
      [3, 2],
      [11, 0],
    ]);
  });

  test("no errors about errors, and none to nobody", () => {
    const { guest } = setUp();
    guest.ipv4(GUEST, parseIpv4("192.0.2.1")!, PROTOCOL.ICMP, echo(new Uint8Array(28), 3));
    guest.ipv4(0, parseIpv4("192.0.2.1")!, 132, new Uint8Array(20));
    guest.ipv4(GUEST, parseIpv4("224.0.0.251")!, PROTOCOL.UDP, new Uint8Array(20));
    guest.exchange();
    expect(guest.frames).toEqual([]);
  });
});

describe("fragments", () => {
  interface Fragment {
    readonly offset: number;
    readonly data: Uint8Array;
    readonly more: boolean;
    readonly identification?: number;
  }
  function send(guest: TestGuest, { offset, data, more, identification = 7 }: Fragment): void {
    const frame = new Uint8Array(34 + data.length);
    writeEthernet(frame, macOf(HOST), GUEST_MAC, ETHERTYPE.IPV4);
    writeIpv4(frame, 14, {
      source: GUEST,
      destination: HOST,
      protocol: PROTOCOL.ICMP,
      identification,
      length: data.length,
      fragment: { offset, more },
    });
    frame.set(data, 34);
    guest.send(frame);
  }
  const message = echo(Uint8Array.from({ length: 5000 }, (_, i) => i % 251));
  const cut = (size: number): Fragment[] =>
    Array.from({ length: Math.ceil(message.length / size) }, (_, i) => ({
      offset: i * size,
      data: message.subarray(i * size, (i + 1) * size),
      more: (i + 1) * size < message.length,
    }));

  function answer(guest: TestGuest): Uint8Array | null {
    guest.exchange();
    if (guest.fragments.length === 0) return null;
    const bytes = new Uint8Array(message.length);
    for (const { fragmentOffset, payload } of guest.fragments) bytes.set(payload, fragmentOffset);
    return bytes;
  }

  const orders: [string, (fragments: Fragment[]) => Fragment[]][] = [
    ["in order", (fragments) => fragments],
    ["backwards", (fragments) => fragments.reverse()],
    ["the last one first", (fragments) => [fragments.at(-1)!, ...fragments.slice(0, -1)]],
    ["each twice but the last", (fragments) => fragments.flatMap((f) => (f.more ? [f, f] : [f]))],
  ];
  test.each(orders)("%s: put together, and the answer is cut to the network's size", (_name, order) => {
    const { guest } = setUp();
    for (const fragment of order(cut(1000))) send(guest, fragment);
    const reply = answer(guest)!;
    expect(Buffer.from(reply.subarray(4)).equals(message.subarray(4))).toBe(true);
    expect(guest.fragments.map(({ payload }) => payload.length)).toEqual([1480, 1480, 1480, 568]);
    expect(guest.fragments.map(({ moreFragments }) => moreFragments)).toEqual([true, true, true, false]);
  });

  test("an incomplete packet is forgotten after 30 seconds, and its timer with it", () => {
    const { clock, guest, network } = setUp();
    const [first, ...rest] = cut(1000);
    for (const fragment of rest) send(guest, fragment);
    expect(network.counts.timers).toBe(1);
    clock.advance(30_000);
    expect(network.counts.timers).toBe(0);
    send(guest, first!);
    expect(answer(guest)).toBeNull();
  });

  const eight = new Uint8Array(8);
  const bad: [string, Fragment[]][] = [
    [
      "overlap",
      [
        { offset: 0, data: new Uint8Array(16), more: true },
        { offset: 8, data: eight, more: true },
      ],
    ],
    ["are empty", [{ offset: 8, data: new Uint8Array(), more: true }]],
    ["are no multiple of 8", [{ offset: 0, data: new Uint8Array(13), more: true }]],
    ["go past 65,535 bytes", [{ offset: 65_512, data: new Uint8Array(800), more: false }]],
    [
      "lie behind the last one",
      [
        { offset: 8, data: eight, more: false },
        { offset: 16, data: eight, more: true },
      ],
    ],
    [
      "have two ends",
      [
        { offset: 8, data: eight, more: false },
        { offset: 16, data: eight, more: false },
      ],
    ],
    ["are more than 64", Array.from({ length: 65 }, (_, i) => ({ offset: 16 * i, data: eight, more: true }))],
  ];
  test.each(bad)("that %s: dropped, and nothing stays", (_name, fragments) => {
    const { guest, network, log } = setUp();
    for (const fragment of fragments) send(guest, fragment);
    expect([log.length, network.counts.timers]).toEqual([1, 0]);
    expect(log[0]).toContain("IPv4 fragment");
  });

  test("sixteen packets at once: the oldest goes", () => {
    const { guest, network } = setUp();
    for (let i = 0; i < 1000; i++) send(guest, { offset: 0, data: eight, more: true, identification: i });
    expect(network.counts.timers).toBe(16);
  });
});

test("options in IPv4 headers are skipped", () => {
  const { guest } = setUp();
  const request = echo(Buffer.from("x"));
  const frame = new Uint8Array(14 + 28 + request.length);
  writeEthernet(frame, macOf(HOST), GUEST_MAC, ETHERTYPE.IPV4);
  writeIpv4(frame, 14, {
    source: GUEST,
    destination: HOST,
    protocol: 1,
    identification: 1,
    length: 8 + request.length,
  });
  frame[14] = 0x47;
  frame.set([1, 1, 1, 1, 7, 4, 4, 0], 34);
  put16(frame, 24, 0);
  put16(frame, 24, checksumOf(sumWords(frame, 14, 42)));
  frame.set(request, 42);
  guest.send(frame);
  guest.exchange();
  expect(guest.icmp).toHaveLength(1);
});

test("frames for others, and of other protocols, are nothing", () => {
  const { guest, network, log } = setUp();
  const frame = new Uint8Array(60);
  writeEthernet(frame, new Uint8Array([2, 0, 0, 0, 0, 1]), GUEST_MAC, ETHERTYPE.IPV4);
  guest.send(frame);
  writeEthernet(frame, macOf(HOST), GUEST_MAC, 0x86dd);
  guest.send(frame);
  expect([network.next(), log]).toEqual([null, []]);
});

test("a guest with an address that is not its own", () => {
  const { guest, log, network } = setUp();
  for (const text of ["8.8.8.8", "10.0.2.2", "10.0.2.255", "127.0.0.1"]) {
    const data = encodeUdp({
      source: { address: parseIpv4(text)!, port: 1 },
      destination: { address: HOST, port: 1 },
      data: new Uint8Array(),
    });
    guest.ipv4(parseIpv4(text)!, HOST, PROTOCOL.UDP, data);
  }
  network.close();
  expect(log).toEqual([
    "user network: dropped a frame of the guest's: an IPv4 source address that is not the guest's",
    "user network: dropped 4 frames of the guest's: an IPv4 source address that is not the guest's",
  ]);
});
