/** All connections of a network: which segment is whose, what becomes of those that are nobody's, and how many there may be. */

import type { Ipv4Packet } from "../ipv4.ts";
import type { Endpoint } from "../ipv4-address.ts";
import type { Malformed } from "../malformed.ts";
import type { TimerQueue } from "../timers.ts";
import { TcpConnection } from "./connection.ts";
import type { TcpEnvironment, TcpLimits, TcpUser } from "./interfaces.ts";
import { type AddressedSegment, FLAG, parseSegment, segmentLength, TCP, writeTcpHeader } from "./segment.ts";

/** Connections at once, those in TIME-WAIT not counted. */
export const MOST_CONNECTIONS = 4096;
/** The oldest goes when there are more. */
const MOST_WAITING = 1024;

const KIB = 1024;
/** The more connections there are, the less a new one may buffer: together 102 MiB each way at most. */
function limitsFor(count: number): TcpLimits {
  const bytes = count < 64 ? 256 * KIB : count < 256 ? 96 * KIB : count < 512 ? 48 * KIB : 16 * KIB;
  return { receive: bytes, send: bytes };
}

export interface TcpLayerOptions {
  readonly timers: TimerQueue;
  random(): number;
  readonly maximumSegmentSize: number;
  readonly largestPayload: number;
  ready(connection: TcpConnection): void;
  /** It has nothing to send any more. */
  gone(connection: TcpConnection): void;
  /** A segment without a connection, checksum field 0. */
  send(local: Endpoint, remote: Endpoint, segment: Uint8Array): void;
  /** A SYN to nobody: `accept`, `refuse` or `drop` decides, now or later. */
  offered(connection: TcpConnection, packet: Ipv4Packet): void;
}

const keyOf = ({ address, port }: Endpoint): number => address * 0x1_0000 + port;

export class TcpLayer {
  readonly #options: TcpLayerOptions;
  readonly #environment: TcpEnvironment;
  /** By local and then by remote endpoint. */
  readonly #connections = new Map<number, Map<number, TcpConnection>>();
  /** In TIME-WAIT, oldest first. */
  readonly #waiting = new Set<TcpConnection>();
  #size = 0;

  constructor(options: TcpLayerOptions) {
    this.#options = options;
    const { timers, maximumSegmentSize, largestPayload } = options;
    this.#environment = {
      timers,
      maximumSegmentSize,
      largestPayload,
      random: () => options.random(),
      ready: (connection) => options.ready(connection),
      reset: ({ local, remote }, sequence, acknowledgment) =>
        this.#reset(local, remote, sequence, acknowledgment),
      changed: (connection) => this.#changed(connection),
    };
  }

  /** Connections that are not in TIME-WAIT. */
  get active(): number {
    return this.#size - this.#waiting.size;
  }

  get full(): boolean {
    return this.active >= MOST_CONNECTIONS;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Opens a connection. @returns null if there are too many, or this pair of endpoints is in use */
  connect(local: Endpoint, remote: Endpoint, user: TcpUser): TcpConnection | null {
    const existing = this.#find(local, remote);
    if (existing !== undefined || this.full) return null;
    const connection = this.#create(local, remote);
    connection.connect(user);
    return connection;
  }

  /** A packet of protocol TCP. @param verify whether its checksum is complete */
  arrive(packet: Ipv4Packet, verify: boolean): Malformed | null {
    const segment = parseSegment(packet, verify);
    if (typeof segment === "string") return segment;
    const local = { address: packet.destination, port: segment.destinationPort };
    const remote = { address: packet.source, port: segment.sourcePort };
    let connection = this.#find(local, remote);
    if (connection?.mayReopen(segment)) {
      connection.drop();
      connection = undefined;
    }
    if (connection !== undefined) connection.arrive(segment);
    else this.#arriveForNobody(local, remote, segment, packet);
    return null;
  }

  /** RFC 9293, 3.10.7.1 and 3.10.7.2. */
  #arriveForNobody(local: Endpoint, remote: Endpoint, segment: AddressedSegment, packet: Ipv4Packet): void {
    const { flags } = segment;
    if (flags & FLAG.RST) return;
    if (flags & FLAG.ACK) {
      this.#reset(local, remote, segment.acknowledgment, null);
      return;
    }
    if (!(flags & FLAG.SYN)) {
      this.#reset(local, remote, 0, segment.sequence + segmentLength(segment));
      return;
    }
    // A guest that opens more tries again when others are closed.
    if (this.full) return;
    const connection = this.#create(local, remote);
    connection.offer(segment);
    this.#options.offered(connection, packet);
  }

  /** Ends every connection, without a word to the peers. */
  close(): void {
    for (const connection of [...this.#all()]) connection.drop();
  }

  *#all(): Generator<TcpConnection> {
    for (const group of this.#connections.values()) yield* group.values();
  }

  #find(local: Endpoint, remote: Endpoint): TcpConnection | undefined {
    return this.#connections.get(keyOf(local))?.get(keyOf(remote));
  }

  #create(local: Endpoint, remote: Endpoint): TcpConnection {
    const connection = new TcpConnection(local, remote, limitsFor(this.active), this.#environment);
    const key = keyOf(local);
    let group = this.#connections.get(key);
    if (group === undefined) {
      group = new Map();
      this.#connections.set(key, group);
    }
    group.set(keyOf(remote), connection);
    this.#size++;
    return connection;
  }

  #changed(connection: TcpConnection): void {
    if (connection.state === "TIME-WAIT") {
      this.#waiting.add(connection);
      if (this.#waiting.size > MOST_WAITING) {
        const [oldest] = this.#waiting;
        oldest!.drop();
      }
      return;
    }
    this.#waiting.delete(connection);
    this.#options.gone(connection);
    const key = keyOf(connection.local);
    const group = this.#connections.get(key);
    if (!group?.delete(keyOf(connection.remote))) return;
    this.#size--;
    if (group.size === 0) this.#connections.delete(key);
  }

  #reset(local: Endpoint, remote: Endpoint, sequence: number, acknowledgment: number | null): void {
    const bytes = new Uint8Array(TCP.HEADER);
    writeTcpHeader(bytes, 0, {
      sourcePort: local.port,
      destinationPort: remote.port,
      sequence,
      acknowledgment: acknowledgment ?? 0,
      flags: acknowledgment === null ? FLAG.RST : FLAG.RST | FLAG.ACK,
      window: 0,
    });
    this.#options.send(local, remote, bytes);
  }
}
