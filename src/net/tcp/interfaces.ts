/** What a TCP connection is to those around it: its user, and the layer that carries its segments. */
import type { TimerQueue } from "../timers.ts";
import type { TcpConnection } from "./connection.ts";

/** The states of RFC 9293, 3.3.2. OFFERED is LISTEN with a SYN that nobody has answered yet. */
export type TcpState =
  | "OFFERED"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT"
  | "CLOSED";

/** Why a connection is no more: both sides were done; the peer reset or refused it; it did not answer; `abort`. */
export type CloseReason = "done" | "reset" | "refused" | "timeout" | "aborted";

/** Who uses a connection. Any of these may call back into the connection. */
export interface TcpUser {
  /** The handshake is over. */
  opened(): void;
  /** Bytes in order, only lent. `TcpConnection.consumed` has to be told when they are done with. */
  data(bytes: Uint8Array): void;
  /** The peer sends no more. */
  ended(): void;
  /** There is room after `write` gave false. */
  drained(): void;
  /** Nothing more happens. Called once. */
  closed(reason: CloseReason): void;
}

export interface TcpEnvironment {
  readonly timers: TimerQueue;
  /** Numbers of 32 bits that a peer cannot guess, for initial sequence numbers. */
  random(): number;
  /** The link's maximum segment size: what is announced, and not exceeded. */
  readonly maximumSegmentSize: number;
  /** Bytes of payload that the link takes in one frame, to be cut up by its receiver. */
  readonly largestPayload: number;
  /** The connection may have something to send: `emit` is to be called. */
  ready(connection: TcpConnection): void;
  /** Sends a reset. @param acknowledgment null for a segment without ACK */
  reset(connection: TcpConnection, sequence: number, acknowledgment: number | null): void;
  /** The state has changed to CLOSED or TIME-WAIT. */
  changed(connection: TcpConnection): void;
}

export interface TcpLimits {
  /** Bytes that the user may hold and that may wait out of order. */
  readonly receive: number;
  /** Bytes after which `write` says that it is enough. */
  readonly send: number;
}
