/** Ports of the host that lead to the guest. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../ipv4-address.ts";
import { NetworkError } from "../network-error.ts";
import type { TcpConnection } from "../tcp/connection.ts";
import type { TcpUser } from "../tcp/interfaces.ts";
import type { NetworkTimer, TimerQueue } from "../timers.ts";
import type { Datagram } from "../udp.ts";
import { HOST } from "./addresses.ts";
import { HostStream, reset } from "./host-stream.ts";
import type { HostForward } from "./options.ts";

/** Clients of forwarded UDP ports at once; the one that was silent for longest goes. */
const MOST_CLIENTS = 512;
const IDLE_MS = 120_000;
/** Bytes that the host's kernel has not taken; answers on top are lost. */
const MOST_QUEUED = 1 << 20;

/** Ports of 10.0.2.2 that connections to the guest come from (RFC 6335, 6). */
const FIRST_PORT = 49_152;

export class DynamicPorts {
  #next = FIRST_PORT;

  take(): number {
    const port = this.#next;
    this.#next = port === 0xffff ? FIRST_PORT : port + 1;
    return port;
  }
}

function bindError(forward: HostForward, error: NodeJS.ErrnoException): NetworkError {
  const { protocol, hostAddress, hostPort } = forward;
  const where = `hostfwd=${protocol}:${hostAddress}:${hostPort}`;
  switch (error.code) {
    case "EADDRINUSE":
      return new NetworkError(
        `${where}: expected a free port, found one in use: choose another, or 0 for any that is free`,
      );
    case "EACCES":
    case "EPERM":
      return new NetworkError(
        `${where}: expected a port that this user may open, found permission denied: choose one from 1024 on`,
      );
    case "EADDRNOTAVAIL":
      return new NetworkError(
        `${where}: expected an address of this host, found another: choose 127.0.0.1, or 0.0.0.0 for all`,
      );
    default:
      return new NetworkError(
        `${where}: expected to listen, found ${error.code ?? "an error"}: choose another address or port`,
      );
  }
}

interface UdpClient {
  /** Its port of 10.0.2.2, as the guest sees it. */
  readonly port: number;
  readonly address: string;
  readonly hostPort: number;
  readonly socket: UdpSocket;
  readonly guest: Endpoint;
  readonly key: string;
  readonly timer: NetworkTimer;
}

export interface HostForwardEvents {
  connect(guest: Endpoint, user: TcpUser): TcpConnection | null;
  deliver(datagram: Datagram): void;
  /** The host has no more sockets to give. */
  exhausted(): void;
}

export class HostForwards {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<UdpSocket>();
  /** Accepted and not closed. */
  readonly #streams = new Set<Socket>();
  readonly #clients = new Map<string, UdpClient>();
  readonly #clientsByPort = new Map<number, UdpClient>();
  readonly #timers: TimerQueue;
  readonly #ports: DynamicPorts;
  readonly #events: HostForwardEvents;

  constructor(timers: TimerQueue, ports: DynamicPorts, events: HostForwardEvents) {
    this.#timers = timers;
    this.#ports = ports;
    this.#events = events;
  }

  /** @returns the forward with the port that was bound. @throws NetworkError */
  open(forward: HostForward): Promise<HostForward> {
    return forward.protocol === "tcp" ? this.#listen(forward) : this.#bind(forward);
  }

  #listen(forward: HostForward): Promise<HostForward> {
    const guest = { address: forward.guestAddress, port: forward.guestPort };
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket, guest));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(bindError(forward, error)));
      server.listen({ host: forward.hostAddress, port: forward.hostPort }, () => {
        server.removeAllListeners("error");
        server.on("error", () => this.#events.exhausted());
        const address = server.address();
        const hostPort = address !== null && typeof address === "object" ? address.port : forward.hostPort;
        resolve({ ...forward, hostPort });
      });
    });
  }

  #accept(socket: Socket, guest: Endpoint): void {
    const stream = new HostStream(socket);
    socket.on("error", () => {});
    const connection = this.#events.connect(guest, stream);
    if (connection === null) {
      socket.resetAndDestroy();
      return;
    }
    this.#streams.add(socket);
    socket.on("close", () => this.#streams.delete(socket));
    stream.attach(connection);
  }

  #bind(forward: HostForward): Promise<HostForward> {
    const socket = createSocket("udp4");
    this.#sockets.add(socket);
    return new Promise((resolve, reject) => {
      socket.once("error", (error) => {
        this.#sockets.delete(socket);
        socket.close();
        reject(bindError(forward, error));
      });
      socket.bind({ address: forward.hostAddress, port: forward.hostPort, exclusive: true }, () => {
        socket.removeAllListeners("error");
        // A client that is gone: the host tells of its closed port.
        socket.on("error", () => {});
        const guest = { address: forward.guestAddress, port: forward.guestPort };
        socket.on("message", (data, { address, port }) => {
          // RFC 768: whoever sends from port 0 wants no answer, and the host could send none.
          if (port === 0) return;
          const client = this.#client(socket, guest, address, port);
          this.#events.deliver({ source: { address: HOST, port: client.port }, destination: guest, data });
        });
        resolve({ ...forward, hostPort: socket.address().port });
      });
    });
  }

  /** The client at an address of the host's world, and its port of 10.0.2.2. */
  #client(socket: UdpSocket, guest: Endpoint, address: string, hostPort: number): UdpClient {
    const key = `${guest.address}:${guest.port} ${socket.address().port} ${address}:${hostPort}`;
    let client = this.#clients.get(key);
    if (client === undefined) {
      if (this.#clients.size >= MOST_CLIENTS) {
        const [oldest] = this.#clients.values();
        this.#forget(oldest!);
      }
      let port = this.#ports.take();
      while (this.#clientsByPort.has(port)) port = this.#ports.take();
      const timer = this.#timers.timer(() => this.#forget(added));
      const added: UdpClient = { port, address, hostPort, socket, guest, key, timer };
      this.#clientsByPort.set(port, added);
      client = added;
    }
    this.#clients.delete(key);
    this.#clients.set(key, client);
    client.timer.arm(IDLE_MS);
    return client;
  }

  #forget(client: UdpClient): void {
    client.timer.disarm();
    this.#clients.delete(client.key);
    this.#clientsByPort.delete(client.port);
  }

  /** @returns whether a datagram of the guest's to 10.0.2.2 was the answer to a forwarded one */
  answer({ source, destination, data }: Datagram): boolean {
    const client = this.#clientsByPort.get(destination.port);
    if (client === undefined || destination.address !== HOST) return false;
    if (client.guest.address !== source.address || client.guest.port !== source.port) return false;
    client.timer.arm(IDLE_MS);
    if (client.socket.getSendQueueSize() > MOST_QUEUED) return true;
    client.socket.send(data.slice(), client.hostPort, client.address, () => {});
    return true;
  }

  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
    for (const socket of this.#streams) reset(socket);
    for (const client of [...this.#clients.values()]) this.#forget(client);
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
  }
}
