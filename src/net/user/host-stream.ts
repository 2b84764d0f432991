/** A TCP connection with the guest whose other end is a socket of the host: each half of either ends the same half of the other. */
import { connect, type Socket } from "node:net";
import { UNREACHABLE, type UnreachableCode } from "../icmp.ts";
import type { TcpConnection } from "../tcp/connection.ts";
import type { CloseReason, TcpUser } from "../tcp/interfaces.ts";
import type { HostEndpoint } from "./resolvers.ts";

export class HostStream implements TcpUser {
  readonly #socket: Socket;
  #connection: TcpConnection | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /** Joins both. The socket is connected, and has no listeners but for errors. */
  attach(connection: TcpConnection): void {
    this.#connection = connection;
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => {
      if (!connection.write(chunk)) socket.pause();
    });
    socket.on("end", () => connection.end());
    socket.on("error", () => connection.abort());
  }

  opened(): void {}

  data(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    // The window opens when the host's kernel has taken the bytes.
    this.#socket.write(copy, () => this.#connection?.consumed(copy.length));
  }

  ended(): void {
    this.#socket.end();
  }

  drained(): void {
    this.#socket.resume();
  }

  closed(reason: CloseReason): void {
    if (reason === "done") this.#socket.destroySoon();
    else reset(this.#socket);
  }
}

/** A socket that is still connecting would wait for that first: a guest could leave any number behind. */
export function reset(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** What the host's connect failed with, as ICMP says it; null for a reset. */
export function unreachableCode(error: NodeJS.ErrnoException): UnreachableCode | null {
  switch (error.code) {
    case "ENETUNREACH":
      return UNREACHABLE.NETWORK;
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
    case "ETIMEDOUT":
    case "EADDRNOTAVAIL":
      return UNREACHABLE.HOST;
    case "EACCES":
    case "EPERM":
      return UNREACHABLE.PROHIBITED;
    default:
      return null;
  }
}

export interface ConnectEvents {
  /** Tells the guest; the connection is dropped after it. */
  unreachable(code: UnreachableCode): void;
  /** The host has no more sockets to give. */
  exhausted(): void;
}

/** Connects to what the guest wants to reach, and answers its SYN when that is done. */
export function connectOut(
  connection: TcpConnection,
  { address, port }: HostEndpoint,
  { unreachable, exhausted }: ConnectEvents,
): Socket {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  const stream = new HostStream(socket);
  connection.hold(stream);
  const failed = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EMFILE" || error.code === "ENFILE") exhausted();
    const code = unreachableCode(error);
    if (code === null || connection.state !== "OFFERED") connection.refuse();
    else {
      unreachable(code);
      connection.drop();
    }
  };
  socket.once("error", failed);
  socket.once("connect", () => {
    socket.off("error", failed);
    stream.attach(connection);
    connection.accept();
  });
  // Whatever comes after the connection is gone.
  socket.on("error", () => {});
  return socket;
}
