/** A guest of the user network within the test: Ethernet, ARP and UDP by hand, TCP by the engine, with large frames both ways. */
import { COMPLETE, type FrameWork } from "../../../src/devices/virtio/network-link.ts";
import { ARP_OPERATION, encodeArp, parseArp } from "../../../src/net/arp.ts";
import { put16 } from "../../../src/net/bytes.ts";
import { checksumOf, pseudoHeader, sumIsRight, sumWords } from "../../../src/net/checksum.ts";
import type { NetworkClock } from "../../../src/net/clock.ts";
import { ETHERNET, ETHERTYPE, etherType, writeEthernet } from "../../../src/net/ethernet.ts";
import { IPV4, type Ipv4Packet, PROTOCOL, parseIpv4Packet, writeIpv4 } from "../../../src/net/ipv4.ts";
import type { TcpConnection } from "../../../src/net/tcp/connection.ts";
import { TcpLayer } from "../../../src/net/tcp/layer.ts";
import { TCP } from "../../../src/net/tcp/segment.ts";
import { TimerQueue } from "../../../src/net/timers.ts";
import { type Datagram, encodeUdp, parseUdp } from "../../../src/net/udp.ts";
import { GUEST, HOST, HOST_MAC } from "../../../src/net/user/addresses.ts";
import type { UserNetwork } from "../../../src/net/user/network.ts";
import { Random } from "../../random.ts";
import { TestUser } from "../tcp/rig.ts";

export const GUEST_MAC: Uint8Array = new Uint8Array([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const TCP_AT = ETHERNET.HEADER + IPV4.HEADER;

export class TestGuest {
  readonly tcp: TcpLayer;
  /** What came, oldest first. */
  readonly datagrams: Datagram[] = [];
  readonly icmp: Ipv4Packet[] = [];
  readonly fragments: Ipv4Packet[] = [];
  /** Every frame that came. */
  readonly frames: Uint8Array[] = [];
  readonly works: FrameWork[] = [];
  /** Users of connections that came in. */
  readonly users: TestUser[] = [];
  listens = true;
  answersArp = true;
  keeps = true;
  readonly #network: UserNetwork;
  readonly #ready = new Set<TcpConnection>();
  readonly #buffer = new Uint8Array(65_600);
  #identification = 0;

  constructor(network: UserNetwork, clock: NetworkClock, unfinished = true) {
    this.#network = network;
    const dice = new Random(99);
    this.tcp = new TcpLayer({
      timers: new TimerQueue(clock),
      random: () => dice.u32(),
      maximumSegmentSize: 1460,
      largestPayload: unfinished ? 64_000 : 1460,
      ready: (connection) => this.#ready.add(connection),
      gone: (connection) => this.#ready.delete(connection),
      send: (local, remote, segment) => this.ipv4(local.address, remote.address, PROTOCOL.TCP, segment, true),
      offered: (connection) => {
        if (!this.listens) {
          connection.refuse();
          return;
        }
        const user = new TestUser();
        user.connection = connection;
        this.users.push(user);
        connection.hold(user);
        connection.accept();
      },
    });
    network.onFrames = () => {};
  }

  /** Goes on by itself, on the host's time, until `stop`. */
  run(): () => void {
    const timer = setInterval(() => this.exchange(), 1);
    return () => clearInterval(timer);
  }

  /** All frames in both directions, until there are none. */
  exchange(): void {
    const buffer = this.#buffer;
    for (;;) {
      const next = this.#network.next();
      if (next !== null) {
        this.#receive(next.frame.slice(), next.work);
        continue;
      }
      const [connection] = this.#ready;
      if (connection === undefined) return;
      this.#ready.delete(connection);
      for (let n = connection.emit(buffer, 0); n > 0; n = connection.emit(buffer, 0)) {
        const { local, remote } = connection;
        this.ipv4(local.address, remote.address, PROTOCOL.TCP, buffer.slice(0, n), true);
      }
    }
  }

  connect(port: number, address: number = HOST, from = 1000 + this.users.length): TestUser {
    const user = new TestUser();
    this.users.push(user);
    const connection = this.tcp.connect({ address: GUEST, port: from }, { address, port }, user);
    user.connection = connection!;
    return user;
  }

  udp(datagram: Datagram): void {
    this.ipv4(datagram.source.address, datagram.destination.address, PROTOCOL.UDP, encodeUdp(datagram));
  }

  /** @param partial the checksum is left to the device, as drivers do with TCP */
  ipv4(source: number, destination: number, protocol: number, payload: Uint8Array, partial = false): void {
    const frame = new Uint8Array(TCP_AT + payload.length);
    writeEthernet(frame, HOST_MAC, GUEST_MAC, ETHERTYPE.IPV4);
    this.#identification++;
    writeIpv4(frame, ETHERNET.HEADER, {
      source,
      destination,
      protocol,
      identification: this.#identification,
      length: payload.length,
    });
    frame.set(payload, TCP_AT);
    if (partial && this.#network.takesUnfinished) {
      const work: FrameWork = {
        checksum: { start: TCP_AT, offset: TCP.CHECKSUM },
        segmentation: payload.length > 1480 ? { protocol: "tcp4", size: 1460, ecn: false } : null,
      };
      this.#network.send(frame, work);
      return;
    }
    if (partial) {
      const sum = pseudoHeader(source, destination, protocol, payload.length);
      put16(frame, TCP_AT + TCP.CHECKSUM, checksumOf(sumWords(payload, 0, payload.length, sum)));
    }
    this.#network.send(frame, COMPLETE);
  }

  send(frame: Uint8Array, work: FrameWork = COMPLETE): void {
    this.#network.send(frame, work);
  }

  #receive(frame: Uint8Array, work: FrameWork): void {
    if (this.keeps) {
      this.frames.push(frame);
      this.works.push(work);
    }
    if (etherType(frame) === ETHERTYPE.ARP) {
      const packet = parseArp(frame)!;
      if (!this.answersArp || packet.operation !== ARP_OPERATION.REQUEST || packet.targetAddress !== GUEST)
        return;
      const answer = {
        ...packet,
        operation: ARP_OPERATION.REPLY,
        senderMac: GUEST_MAC,
        senderAddress: GUEST,
      };
      const reply = { ...answer, targetMac: packet.senderMac, targetAddress: packet.senderAddress };
      this.send(encodeArp(reply, packet.senderMac));
      return;
    }
    const packet = parseIpv4Packet(frame);
    if (typeof packet === "string") throw new Error(packet);
    if (packet.moreFragments || packet.fragmentOffset > 0) {
      this.fragments.push(packet);
      return;
    }
    switch (packet.protocol) {
      case PROTOCOL.TCP:
        this.#receiveTcp(packet, work);
        return;
      case PROTOCOL.UDP: {
        const datagram = parseUdp(packet, true);
        if (typeof datagram === "string") throw new Error(datagram);
        this.datagrams.push(datagram);
        return;
      }
      default:
        if (!sumIsRight(sumWords(packet.payload, 0, packet.payload.length))) throw new Error("ICMP checksum");
        this.icmp.push(packet);
    }
  }

  /** A partial checksum is finished as the device would, and everything checked. */
  #receiveTcp(packet: Ipv4Packet, work: FrameWork): void {
    const { payload } = packet;
    if (work.checksum !== null) {
      const { start, offset } = work.checksum;
      if (start !== TCP_AT) throw new Error("checksum start");
      const sum = sumWords(payload, 0, payload.length);
      put16(payload, offset, checksumOf(sum));
    }
    const header = (payload[TCP.DATA_OFFSET]! >> 4) * 4;
    if (payload.length - header > (work.segmentation?.size ?? 1460)) {
      if (work.segmentation === null) throw new Error("a segment that is too long");
    }
    const fault = this.tcp.arrive(packet, true);
    if (fault !== null) throw new Error(fault);
  }
}

/** Waits, at most half a minute of the host's time, until something holds. */
export async function until(holds: () => boolean, what = "it"): Promise<void> {
  const end = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
