/**
 * Datagrams from the guest to the outside, and their answers: one socket of the host for each pair of endpoints. It is a
 * connected one, so that the host's kernel lets nothing in from others, and tells of ports that nobody listens to.
 */
import { createSocket, type Socket } from "node:dgram";
import { UNREACHABLE, type UnreachableCode } from "../icmp.ts";
import type { Ipv4Packet } from "../ipv4.ts";
import type { Endpoint } from "../ipv4-address.ts";
import type { NetworkTimer, TimerQueue } from "../timers.ts";
import type { Datagram } from "../udp.ts";
import { DNS_PORT } from "./addresses.ts";
import type { HostEndpoint, Resolvers } from "./resolvers.ts";

/** Flows at once; the one that was silent for longest goes. */
export const MOST_FLOWS = 512;
/** RFC 4787, REQ-5: not less than two minutes, except for services that answer once. */
const IDLE_MS = 120_000;
const DNS_IDLE_MS = 20_000;
/** A name server that has not answered for so long has failed. */
const DNS_PATIENCE_MS = 2000;
/** Datagrams that wait for a socket. */
const MOST_WAITING = 16;
/** Bytes that the host's kernel has not taken; what comes on top is lost. */
const MOST_QUEUED = 1 << 20;

interface Flow {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly to: HostEndpoint;
  readonly socket: Socket;
  readonly timer: NetworkTimer;
  readonly since: number;
  /** Datagrams while the socket is not ready; then null. */
  waiting: Uint8Array[] | null;
  answered: boolean;
  /** What an ICMP error would quote: the packet that was sent last. */
  last: Ipv4Packet;
}

export interface UdpNatEvents {
  deliver(datagram: Datagram): void;
  unreachable(code: UnreachableCode, about: Ipv4Packet): void;
}

export class UdpNat {
  /** Longest silent first. */
  readonly #flows = new Map<string, Flow>();
  readonly #timers: TimerQueue;
  readonly #resolvers: Resolvers;
  readonly #events: UdpNatEvents;

  constructor(timers: TimerQueue, resolvers: Resolvers, events: UdpNatEvents) {
    this.#timers = timers;
    this.#resolvers = resolvers;
    this.#events = events;
  }

  get size(): number {
    return this.#flows.size;
  }

  send({ source, destination, data }: Datagram, packet: Ipv4Packet, to: HostEndpoint): void {
    const key = `${source.address}:${source.port} ${destination.address}:${destination.port}`;
    let flow = this.#flows.get(key);
    if (flow !== undefined && this.#isStuck(flow)) {
      this.#drop(key, flow);
      flow = undefined;
    }
    if (flow === undefined) flow = this.#open(key, source, destination, to, packet);
    // Last in the map: longest silent last.
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    flow.last = { ...packet, header: packet.header.slice(), payload: packet.payload.slice(0, 64) };
    flow.timer.arm(destination.port === DNS_PORT ? DNS_IDLE_MS : IDLE_MS);
    if (flow.waiting === null) this.#transmit(flow, data.slice());
    else if (flow.waiting.length < MOST_WAITING) flow.waiting.push(data.slice());
  }

  /** A question that is asked again after it was not answered. */
  #isStuck(flow: Flow): boolean {
    const { destination, answered, since } = flow;
    return destination.port === DNS_PORT && !answered && this.#timers.clock.now() - since >= DNS_PATIENCE_MS;
  }

  #open(key: string, source: Endpoint, destination: Endpoint, to: HostEndpoint, packet: Ipv4Packet): Flow {
    if (this.#flows.size >= MOST_FLOWS) {
      const [[oldest, flow]] = this.#flows as Iterable<[string, Flow]> as [[string, Flow]];
      this.#drop(oldest, flow);
    }
    const socket = createSocket(to.address.includes(":") ? "udp6" : "udp4");
    const flow: Flow = {
      source,
      destination,
      to,
      socket,
      timer: this.#timers.timer(() => this.#drop(key, flow)),
      since: this.#timers.clock.now(),
      waiting: [],
      answered: false,
      last: packet,
    };
    socket.on("message", (data) => {
      flow.answered = true;
      flow.timer.arm(destination.port === DNS_PORT ? DNS_IDLE_MS : IDLE_MS);
      this.#events.deliver({ source: destination, destination: source, data });
    });
    socket.on("error", (error) => this.#failed(key, flow, error));
    socket.connect(to.port, to.address, () => {
      const waiting = flow.waiting ?? [];
      flow.waiting = null;
      for (const data of waiting) this.#transmit(flow, data);
    });
    return flow;
  }

  #transmit(flow: Flow, data: Uint8Array): void {
    try {
      if (flow.socket.getSendQueueSize() > MOST_QUEUED) return;
      flow.socket.send(data, (error) => {
        if (error !== null) this.#refused(flow, error);
      });
    } catch {
      // The socket was closed by an error that is told elsewhere.
    }
  }

  #failed(key: string, flow: Flow, error: NodeJS.ErrnoException): void {
    this.#refused(flow, error);
    this.#drop(key, flow);
  }

  #refused(flow: Flow, error: NodeJS.ErrnoException): void {
    switch (error.code) {
      case "ECONNREFUSED":
        this.#events.unreachable(UNREACHABLE.PORT, flow.last);
        break;
      case "ENETUNREACH":
        this.#events.unreachable(UNREACHABLE.NETWORK, flow.last);
        break;
      case "EHOSTUNREACH":
        this.#events.unreachable(UNREACHABLE.HOST, flow.last);
        break;
      case "EACCES":
      case "EPERM":
        this.#events.unreachable(UNREACHABLE.PROHIBITED, flow.last);
        break;
      default:
      // EMSGSIZE and the like: the datagram is lost, as datagrams are.
    }
  }

  #drop(key: string, flow: Flow): void {
    if (this.#flows.get(key) !== flow) return;
    if (flow.destination.port === DNS_PORT && !flow.answered) this.#resolvers.failed(flow.to);
    this.#flows.delete(key);
    flow.timer.disarm();
    flow.socket.close();
  }

  close(): void {
    for (const [key, flow] of [...this.#flows]) this.#drop(key, flow);
  }
}
