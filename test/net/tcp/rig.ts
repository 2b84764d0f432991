/** TCP on a link that a test is in charge of: two hosts, or one host and a peer that speaks by hand. */

import { type Ipv4Packet, PROTOCOL } from "../../../src/net/ipv4.ts";
import type { Endpoint } from "../../../src/net/ipv4-address.ts";
import type { TcpConnection } from "../../../src/net/tcp/connection.ts";
import type { CloseReason, TcpUser } from "../../../src/net/tcp/interfaces.ts";
import { TcpLayer } from "../../../src/net/tcp/layer.ts";
import { type AddressedSegment, FLAG, parseSegment, writeTcpHeader } from "../../../src/net/tcp/segment.ts";
import { TimerQueue } from "../../../src/net/timers.ts";
import { Random } from "../../random.ts";
import { VirtualClock } from "../virtual-clock.ts";

export const HERE: Endpoint = { address: 0x0a00_0001, port: 80 };
export const THERE: Endpoint = { address: 0x0a00_0002, port: 1000 };
export const SEGMENT = 1460;

/** Remembers what it is told. */
export class TestUser implements TcpUser {
  connection!: TcpConnection;
  readonly events: string[] = [];
  received: Uint8Array[] = [];
  count = 0;
  /** Otherwise bytes stay unread until `read`. */
  reads = true;
  held = 0;
  onData: (bytes: Uint8Array) => void = () => {};
  onEnd: () => void = () => {};
  onDrain: () => void = () => {};
  onOpen: () => void = () => {};
  closedBy: CloseReason | null = null;

  opened(): void {
    this.events.push("opened");
    this.onOpen();
  }
  data(bytes: Uint8Array): void {
    this.count += bytes.length;
    this.received.push(bytes.slice());
    this.onData(bytes);
    if (this.reads) this.connection.consumed(bytes.length);
    else this.held += bytes.length;
  }
  read(count = this.held): void {
    this.held -= count;
    this.connection.consumed(count);
  }
  ended(): void {
    this.events.push("ended");
    this.onEnd();
  }
  drained(): void {
    this.onDrain();
  }
  closed(reason: CloseReason): void {
    this.events.push(`closed: ${reason}`);
    this.closedBy = reason;
  }
  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

export interface HostOptions {
  readonly isn?: number;
  readonly segment?: number;
  readonly largest?: number;
}

function packetOf(source: number, destination: number, bytes: Uint8Array): Ipv4Packet {
  const header = new Uint8Array(20);
  return {
    source,
    destination,
    protocol: PROTOCOL.TCP,
    timeToLive: 64,
    identification: 0,
    moreFragments: false,
    fragmentOffset: 0,
    header,
    payload: bytes,
  };
}

/** A host with a TCP of this project's. */
export class TestHost {
  readonly layer: TcpLayer;
  readonly timers: TimerQueue;
  readonly users: TestUser[] = [];
  /** What becomes of a SYN. */
  onOffer: (connection: TcpConnection) => void;
  /** Makes users of connections that come in. */
  makeUser: () => TestUser = () => new TestUser();
  /** Where packets go. */
  transmit: (packet: Ipv4Packet) => void = () => {};
  readonly #clock: VirtualClock;
  readonly #ready = new Set<TcpConnection>();
  readonly #buffer = new Uint8Array(65_600);
  #scheduled = false;

  constructor(clock: VirtualClock, { isn, segment = SEGMENT, largest = segment }: HostOptions = {}) {
    this.#clock = clock;
    this.timers = new TimerQueue(clock);
    const dice = new Random(77);
    this.onOffer = (connection) => {
      connection.hold(this.#add(connection));
      connection.accept();
    };
    this.layer = new TcpLayer({
      timers: this.timers,
      random: () => isn ?? dice.u32(),
      maximumSegmentSize: segment,
      largestPayload: largest,
      ready: (connection) => {
        this.#ready.add(connection);
        this.#schedule();
      },
      gone: (connection) => this.#ready.delete(connection),
      send: (local, remote, bytes) => this.transmit(packetOf(local.address, remote.address, bytes)),
      offered: (connection) => this.onOffer(connection),
    });
  }

  #add(connection: TcpConnection): TestUser {
    const user = this.makeUser();
    user.connection = connection;
    this.users.push(user);
    return user;
  }

  connect(local: Endpoint, remote: Endpoint): TestUser {
    const user = this.makeUser();
    const connection = this.layer.connect(local, remote, user);
    if (connection === null) throw new Error("no connection");
    user.connection = connection;
    this.users.push(user);
    return user;
  }

  receive(packet: Ipv4Packet): void {
    const fault = this.layer.arrive(packet, false);
    if (fault !== null) throw new Error(fault);
  }

  /** The link takes segments a moment after something happened, as a device does. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(0, () => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    const buffer = this.#buffer;
    for (const connection of this.#ready) {
      for (let n = connection.emit(buffer, 0); n > 0; n = connection.emit(buffer, 0)) {
        this.transmit(packetOf(connection.local.address, connection.remote.address, buffer.slice(0, n)));
      }
      this.#ready.delete(connection);
    }
  }
}

export interface LinkOptions {
  readonly delay?: number;
  /** One in so many; 0 for none. */
  readonly loss?: number;
  readonly duplication?: number;
  /** One in so many takes up to 4 times as long. */
  readonly reordering?: number;
  readonly seed?: number;
}

/** Two hosts and what lies between. */
export function joined(link: LinkOptions = {}, here: HostOptions = {}, there: HostOptions = {}) {
  const clock = new VirtualClock();
  const dice = Random.spread(link.seed ?? 1);
  const hosts = [new TestHost(clock, here), new TestHost(clock, there)] as const;
  const { delay = 1, loss = 0, duplication = 0, reordering = 0 } = link;
  const counts = { sent: 0, lost: 0 };
  /** Whether a packet is to be lost: for losses by hand. */
  const control = { lose: (_packet: Ipv4Packet, _from: TestHost): boolean => false };
  for (const [from, to] of [hosts, [hosts[1], hosts[0]]] as const) {
    from.transmit = (packet) => {
      counts.sent++;
      if (control.lose(packet, from) || (loss > 0 && dice.chance(loss))) {
        counts.lost++;
        return;
      }
      const copies = duplication > 0 && dice.chance(duplication) ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        const extra = reordering > 0 && dice.chance(reordering) ? dice.below(300) / 100 : 0;
        clock.after(delay * (1 + extra), () => to.receive(packet));
      }
    };
  }
  return { clock, here: hosts[0], there: hosts[1], counts, control };
}

/** A connection between two hosts, established. */
export function connected(link: LinkOptions = {}, here: HostOptions = {}, there: HostOptions = {}) {
  const rig = joined(link, here, there);
  const client = rig.there.connect(THERE, HERE);
  rig.clock.run(60_000, () => rig.here.users[0]?.events.includes("opened") ?? false);
  return { ...rig, client, server: rig.here.users[0]! };
}

export interface RawSegment {
  readonly sequence?: number;
  readonly acknowledgment?: number;
  readonly flags: number;
  readonly window?: number;
  readonly data?: Uint8Array | string;
  readonly options?: { readonly maximumSegmentSize: number; readonly windowScale: number | null };
}

/** A host, and a peer that sends what a test says and answers nothing by itself. */
export class RawPeer {
  readonly clock = new VirtualClock();
  readonly host: TestHost;
  readonly sent: AddressedSegment[] = [];
  readonly local: Endpoint;
  readonly remote: Endpoint;

  constructor(options: HostOptions = {}, local: Endpoint = THERE, remote: Endpoint = HERE) {
    this.local = local;
    this.remote = remote;
    this.host = new TestHost(this.clock, { isn: 5000, ...options });
    this.host.transmit = (packet) => {
      const segment = parseSegment(packet, false);
      if (typeof segment === "string") throw new Error(segment);
      this.sent.push(segment);
    };
  }

  /** What the host has sent since the last call. No time passes. */
  take(): AddressedSegment[] {
    this.clock.advance(0);
    return this.sent.splice(0);
  }

  /** The only segment that the host has sent. */
  one(): AddressedSegment {
    const [segment, ...more] = this.take();
    if (segment === undefined || more.length > 0)
      throw new Error(`${more.length + (segment ? 1 : 0)} segments`);
    return segment;
  }

  send({ sequence = 0, acknowledgment = 0, flags, window = 65_535, data = "", options }: RawSegment): void {
    const payload = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const bytes = new Uint8Array(60 + payload.length);
    const header = writeTcpHeader(bytes, 0, {
      sourcePort: this.local.port,
      destinationPort: this.remote.port,
      sequence,
      acknowledgment,
      flags,
      window,
      ...(options === undefined ? {} : { options }),
    });
    bytes.set(payload, header);
    const packet = packetOf(
      this.local.address,
      this.remote.address,
      bytes.subarray(0, header + payload.length),
    );
    this.host.receive(packet);
  }

  /** The handshake: the peer's first byte is 1001, the host's 5001. @returns the host's user */
  establish(maximumSegmentSize = SEGMENT, windowScale: number | null = null, window = 65_535): TestUser {
    const options = { maximumSegmentSize, windowScale };
    this.send({ sequence: 1000, flags: FLAG.SYN, window, options });
    this.take();
    this.send({ sequence: 1001, acknowledgment: 5001, flags: FLAG.ACK, window });
    this.take();
    return this.host.users.at(-1)!;
  }
}

/** The flags of a segment in the RFC's order. */
export const flagsOf = ({ flags }: { flags: number }): string =>
  (["SYN", "FIN", "RST", "ACK"] as const).filter((name) => flags & FLAG[name]).join(" ");

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
