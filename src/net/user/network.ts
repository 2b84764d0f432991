/**
 * The built-in user network: a router, a DHCP and a DNS server, and what is behind them, for one guest. What the guest sends
 * ends in sockets of the host (or in programs within this process), and what comes from there is made into frames. Nothing
 * has to be installed, and no privilege is needed.
 *
 *     guest 10.0.2.15 --- 10.0.2.2 (router; the host's loopback address if allowed)
 *                     --- 10.0.2.3 (DNS)
 *
 * Frames for the guest are made when the device asks for them (`next`). So there are no queues of TCP segments: what a guest does not
 * take stays in the sockets of the host, whose peers wait.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { COMPLETE, type FrameWork } from "../../devices/virtio/network-link.ts";
import { parseArp } from "../arp.ts";
import type { NetworkBackend, OutgoingFrame } from "../backend.ts";
import { HOST_CLOCK } from "../clock.ts";
import { ETHERNET, ETHERTYPE, etherType, isGroup, sameMac } from "../ethernet.ts";
import { UNREACHABLE, type UnreachableCode } from "../icmp.ts";
import { IPV4, type Ipv4Packet, PROTOCOL, parseIpv4Packet } from "../ipv4.ts";
import type { Endpoint } from "../ipv4-address.ts";
import { Reassembly } from "../ipv4-reassembly.ts";
import { type Malformed, MalformedCounts } from "../malformed.ts";
import { NetworkError } from "../network-error.ts";
import type { TcpConnection } from "../tcp/connection.ts";
import type { TcpUser } from "../tcp/interfaces.ts";
import { TcpLayer } from "../tcp/layer.ts";
import { TCP } from "../tcp/segment.ts";
import { type NetworkTimer, TimerQueue } from "../timers.ts";
import { type Datagram, parseUdp } from "../udp.ts";
import {
  DNS_MAC,
  GUEST,
  HOST,
  HOST_MAC,
  isGuests,
  isOwn,
  LIMITED_BROADCAST,
  NETWORK_BROADCAST,
} from "./addresses.ts";
import { answerDhcp, DHCP_PORT } from "./dhcp.ts";
import { GuestConnection } from "./guest-connection.ts";
import { DynamicPorts, HostForwards } from "./host-forward.ts";
import { connectOut, reset } from "./host-stream.ts";
import { IcmpAnswers } from "./icmp-answers.ts";
import { DEFAULT_MTU, type HostForward, LEAST_MTU, MOST_MTU, type UserNetworkOptions } from "./options.ts";
import { Output } from "./output.ts";
import { Resolvers } from "./resolvers.ts";
import { Routes } from "./routes.ts";
import { LARGEST_PAYLOAD, TCP_AT, tcpFrame } from "./tcp-frame.ts";
import { UdpNat } from "./udp-nat.ts";

/** The longest frame that network devices carry (network-link.ts). */
const LONGEST_FRAME = 65_550;
/** As often as ARP may ask (neighbors.ts). */
const ASK_AGAIN_MS = 1000;
const randomNumber = (): number => randomBytes(4).readUInt32LE();

export class UserNetwork implements NetworkBackend {
  readonly takesUnfinished: boolean;
  onFrames: () => void = () => {};
  /** Frames that were dropped for what they are, by kind. */
  readonly malformed: MalformedCounts;
  readonly #options: UserNetworkOptions;
  readonly #timers: TimerQueue;
  readonly #output: Output;
  readonly #icmp: IcmpAnswers;
  readonly #reassembly: Reassembly;
  readonly #tcp: TcpLayer;
  readonly #udp: UdpNat;
  readonly #routes: Routes;
  readonly #ports = new DynamicPorts();
  readonly #forwards: HostForwards;
  readonly #services = new Map<number, (connection: GuestConnection) => void>();
  /** Sockets of connections that the guest has opened. */
  readonly #sockets = new Set<Socket>();
  /** Connections that may have something to send, in turn. */
  readonly #ready = new Set<TcpConnection>();
  /** Those that wait for the guest's Ethernet address. */
  readonly #unresolved = new Set<TcpConnection>();
  /** A guest that starts, or has no driver yet, does not hear the first question. */
  readonly #askAgain: NetworkTimer;
  readonly #frame = new Uint8Array(TCP_AT + TCP.HEADER + 40 + LARGEST_PAYLOAD);
  #bound: readonly HostForward[] = [];
  /** `next` has given null, and nothing has come since. */
  #idle = true;
  /** The host has refused a socket; told once. */
  #isExhausted = false;
  #closed = false;

  /** @throws NetworkError for an MTU that IPv4 does not have */
  constructor(options: UserNetworkOptions = {}) {
    this.#options = options;
    this.takesUnfinished = options.unfinished ?? true;
    const clock = options.clock ?? HOST_CLOCK;
    const mtu = options.mtu ?? DEFAULT_MTU;
    const log = options.log ?? (() => {});
    if (!Number.isInteger(mtu) || mtu < LEAST_MTU || mtu > MOST_MTU) {
      throw new NetworkError(`mtu: expected a number from ${LEAST_MTU} to ${MOST_MTU}, found ${mtu}`);
    }
    const restrict = options.restrict ?? false;
    const maximumSegmentSize = mtu - IPV4.HEADER - TCP.HEADER;
    this.malformed = new MalformedCounts(log);
    this.#timers = new TimerQueue(clock);
    this.#askAgain = this.#timers.timer(() => this.#resolved());
    this.#reassembly = new Reassembly(this.#timers);
    this.#output = new Output(
      mtu,
      clock,
      () => this.#wake(),
      () => this.#resolved(),
    );
    this.#icmp = new IcmpAnswers(this.#output);
    const resolvers = new Resolvers();
    const { hostSockets = true, loopback = false } = options;
    this.#routes = new Routes({ hostSockets, restrict, loopback }, resolvers);
    this.#tcp = new TcpLayer({
      timers: this.#timers,
      random: options.random ?? randomNumber,
      maximumSegmentSize,
      largestPayload: this.takesUnfinished ? LARGEST_PAYLOAD : maximumSegmentSize,
      ready: (connection) => {
        this.#ready.add(connection);
        this.#wake();
      },
      gone: (connection) => {
        this.#ready.delete(connection);
        this.#unresolved.delete(connection);
        if (this.#unresolved.size === 0) this.#askAgain.disarm();
      },
      send: (local, remote, segment) => this.#output.tcp(local, remote, segment),
      offered: (connection, packet) => this.#offered(connection, packet),
    });
    this.#udp = new UdpNat(this.#timers, resolvers, {
      deliver: (datagram) => this.#output.udp(datagram),
      unreachable: (code, packet) => this.#unreachable(code, packet),
    });
    this.#forwards = new HostForwards(this.#timers, this.#ports, {
      connect: (guest, user) => this.#connect(guest, user),
      deliver: (datagram) => this.#output.udp(datagram),
      exhausted: () => this.#exhausted(),
    });
  }

  /**
   * Opens the forwarded ports.
   * @throws NetworkError (the promise rejects) if one cannot be opened; then none is
   */
  async start(): Promise<void> {
    try {
      const bound = [];
      for (const forward of this.#options.hostForwards ?? []) bound.push(await this.#forwards.open(forward));
      this.#bound = bound;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The forwarded ports, with the numbers that were bound. */
  get hostForwards(): readonly HostForward[] {
    return this.#bound;
  }

  /** What there is now: for statistics, and to see that nothing stays behind. */
  get counts() {
    return {
      connections: this.#tcp.active,
      /** In TIME-WAIT. */
      waiting: this.#tcp.waiting,
      /** Connections that may have something to send. */
      pending: this.#ready.size + this.#unresolved.size,
      /** UDP sockets. */
      flows: this.#udp.size,
      timers: this.#timers.size,
      /** Frames that were lost because the guest did not take them. */
      dropped: this.#output.dropped,
    };
  }

  /**
   * Opens a connection to a port of the guest, from 10.0.2.2. Set its callbacks before anything else happens.
   * @throws NetworkError if there are too many connections
   */
  connectToGuest(port: number, address: number = GUEST): GuestConnection {
    let made: GuestConnection | undefined;
    // The connection makes its user's callbacks only when frames come, so `made` is there by then.
    const user: TcpUser = {
      opened: () => made?.user.opened(),
      data: (bytes) => made?.user.data(bytes),
      ended: () => made?.user.ended(),
      drained: () => made?.user.drained(),
      closed: (reason) => made?.user.closed(reason),
    };
    const connection = this.#connect({ address, port }, user);
    if (connection === null) throw new NetworkError("user network: expected fewer connections to the guest");
    made = new GuestConnection(connection);
    return made;
  }

  /** Answers what the guest opens to a TCP port of 10.0.2.2 by a program within this process, before any socket of the host. */
  serve(port: number, accept: (connection: GuestConnection) => void): void {
    this.#services.set(port, accept);
  }

  #connect(guest: Endpoint, user: TcpUser): TcpConnection | null {
    // Ports that are still in use, in TIME-WAIT for example, are passed over.
    for (let tries = 0; !this.#tcp.full && tries < 16_384; tries++) {
      const connection = this.#tcp.connect({ address: HOST, port: this.#ports.take() }, guest, user);
      if (connection !== null) return connection;
    }
    return null;
  }

  #wake(): void {
    if (!this.#idle || this.#closed) return;
    this.#idle = false;
    this.onFrames();
  }

  /** Some address is known now, or is to be asked for again. */
  #resolved(): void {
    this.#askAgain.disarm();
    for (const connection of this.#unresolved) this.#ready.add(connection);
    this.#unresolved.clear();
    this.#wake();
  }

  next(): OutgoingFrame | null {
    for (;;) {
      const frame = this.#output.shift();
      if (frame !== null) return { frame, work: COMPLETE };
      const [connection] = this.#ready;
      if (connection === undefined) {
        this.#idle = true;
        return null;
      }
      this.#ready.delete(connection);
      const { address } = connection.remote;
      const mac = this.#output.neighbors.find(address);
      if (mac === undefined) {
        this.#unresolved.add(connection);
        this.#output.neighbors.ask(address);
        if (!this.#askAgain.armed) this.#askAgain.arm(ASK_AGAIN_MS);
        continue;
      }
      const length = connection.emit(this.#frame, TCP_AT);
      if (length === 0) continue;
      // Perhaps there is more; the others come first.
      this.#ready.add(connection);
      return tcpFrame(this.#frame.subarray(0, TCP_AT + length), connection, {
        mac,
        identification: this.#output.nextIdentification(),
        unfinished: this.takesUnfinished,
      });
    }
  }

  send(frame: Uint8Array, work: FrameWork): void {
    if (this.#closed) return;
    const fault = this.#arrive(frame, work);
    if (fault !== null) this.malformed.count(fault);
  }

  #arrive(frame: Uint8Array, work: FrameWork): Malformed | null {
    if (frame.length < ETHERNET.HEADER) return "frame-short";
    if (frame.length > LONGEST_FRAME) return "frame-long";
    const destination = frame.subarray(ETHERNET.DESTINATION, ETHERNET.DESTINATION + 6);
    if (!isGroup(destination) && !sameMac(destination, HOST_MAC) && !sameMac(destination, DNS_MAC))
      return null;
    switch (etherType(frame)) {
      case ETHERTYPE.ARP: {
        const packet = parseArp(frame);
        if (packet === null) return "arp";
        this.#output.neighbors.arrive(packet);
        return null;
      }
      case ETHERTYPE.IPV4:
        return this.#arriveIpv4(frame, work);
      default:
        // IPv6 above all, which guests try and do without.
        return null;
    }
  }

  #arriveIpv4(frame: Uint8Array, work: FrameWork): Malformed | null {
    let packet = parseIpv4Packet(frame);
    if (typeof packet === "string") return packet;
    // A client of DHCP has no address yet.
    if (packet.source !== 0 && !isGuests(packet.source)) return "ipv4-source";
    this.#output.neighbors.learn(packet.source, frame.subarray(ETHERNET.SOURCE, ETHERNET.SOURCE + 6));
    let verify = work.checksum === null;
    if (packet.moreFragments || packet.fragmentOffset > 0) {
      const whole = this.#reassembly.add(packet);
      if (whole === null || typeof whole === "string") return whole;
      packet = whole;
      verify = true;
    }
    if (packet.timeToLive <= 1 && !isOwn(packet.destination) && packet.destination < 0xe000_0000) {
      this.#icmp.timeExceeded(packet);
      return null;
    }
    switch (packet.protocol) {
      case PROTOCOL.TCP:
        return this.#arriveTcp(packet, verify);
      case PROTOCOL.UDP:
        return this.#arriveUdp(packet, verify);
      case PROTOCOL.ICMP:
        return this.#icmp.arrive(packet);
      default:
        this.#unreachable(isOwn(packet.destination) ? UNREACHABLE.PROTOCOL : UNREACHABLE.PROHIBITED, packet);
        return null;
    }
  }

  #arriveTcp(packet: Ipv4Packet, verify: boolean): Malformed | null {
    if (packet.source === 0) return "ipv4-source";
    // RFC 1122, 4.2.3.10: TCP has no groups.
    if (packet.destination >= 0xe000_0000 || packet.destination === NETWORK_BROADCAST)
      return "ipv4-destination";
    return this.#tcp.arrive(packet, verify);
  }

  #offered(connection: TcpConnection, packet: Ipv4Packet): void {
    const service = connection.local.address === HOST ? this.#services.get(connection.local.port) : undefined;
    if (service !== undefined) {
      const guest = new GuestConnection(connection);
      connection.hold(guest.user);
      connection.accept();
      service(guest);
      return;
    }
    const route = this.#routes.find(connection.local);
    if ("unreachable" in route) {
      // TCP's own word for a port that nobody listens to is the reset.
      if (route.unreachable === UNREACHABLE.PORT) connection.refuse();
      else {
        this.#unreachable(route.unreachable, packet);
        connection.drop();
      }
      return;
    }
    const about = { ...packet, header: packet.header.slice(), payload: packet.payload.slice() };
    const socket = connectOut(connection, route.to, {
      unreachable: (code) => this.#unreachable(code, about),
      exhausted: () => this.#exhausted(),
    });
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #exhausted(): void {
    if (this.#isExhausted) return;
    this.#isExhausted = true;
    this.#options.log?.("user network: the host refuses more connections: too many open files");
  }

  #arriveUdp(packet: Ipv4Packet, verify: boolean): Malformed | null {
    const datagram = parseUdp(packet, verify);
    if (typeof datagram === "string") return datagram;
    const { destination } = datagram;
    const toAll = destination.address === LIMITED_BROADCAST || destination.address === NETWORK_BROADCAST;
    if (destination.port === DHCP_PORT.SERVER && (toAll || destination.address === HOST)) {
      return this.#arriveDhcp(datagram);
    }
    if (packet.source === 0) return "ipv4-source";
    // Nobody is here that would listen to a group.
    if (toAll || destination.address >= 0xe000_0000) return null;
    if (this.#forwards.answer(datagram)) return null;
    const route = this.#routes.find(destination);
    if ("unreachable" in route) this.#unreachable(route.unreachable, packet);
    else this.#udp.send(datagram, packet, route.to);
    return null;
  }

  #arriveDhcp({ source, data }: Datagram): Malformed | null {
    if (source.port !== DHCP_PORT.CLIENT) return "dhcp";
    const { restrict = false, mtu = null, hostname = null } = this.#options;
    const reply = answerDhcp(data, { restrict, mtu, hostname });
    if (reply === "malformed") return "dhcp";
    if (reply === null) return null;
    if (reply.client !== null) this.#output.neighbors.learn(reply.client.address, reply.client.mac);
    this.#output.udp({
      source: { address: HOST, port: DHCP_PORT.SERVER },
      destination: { address: reply.destination, port: DHCP_PORT.CLIENT },
      data: reply.message,
    });
    return null;
  }

  /** What is behind a closed network has nothing more to say. */
  #unreachable(code: UnreachableCode, about: Ipv4Packet): void {
    if (!this.#closed) this.#icmp.unreachable(code, about);
  }

  close(): void {
    if (this.#closed) return;
    this.malformed.summarize();
    this.#forwards.close();
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#sockets) reset(socket);
    this.#sockets.clear();
    this.#closed = true;
    this.#timers.clear();
    this.#output.clear();
    this.#ready.clear();
    this.#unresolved.clear();
  }
}
