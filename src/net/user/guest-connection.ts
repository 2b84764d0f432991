/** A connection with the guest for a program within this process: a load generator, a server, a test. */
import type { TcpConnection } from "../tcp/connection.ts";
import type { CloseReason, TcpState, TcpUser } from "../tcp/interfaces.ts";

export class GuestConnection {
  onOpen: () => void = () => {};
  /** The bytes are only lent: copy what is to stay. */
  onData: (bytes: Uint8Array) => void = () => {};
  /** The guest sends no more. */
  onEnd: () => void = () => {};
  /** There is room after `write` gave false. */
  onDrain: () => void = () => {};
  /** Called once; nothing comes after it. "refused": there was nobody at the guest's port. */
  onClose: (reason: CloseReason) => void = () => {};
  readonly #connection: TcpConnection;
  #paused = false;
  /** Bytes that came and count as unread, since `pause`. */
  #unread = 0;

  constructor(connection: TcpConnection) {
    this.#connection = connection;
  }

  /** What the connection itself is to be given. */
  get user(): TcpUser {
    return {
      opened: () => this.onOpen(),
      data: (bytes) => {
        const { length } = bytes;
        this.onData(bytes);
        if (this.#paused) this.#unread += length;
        else this.#connection.consumed(length);
      },
      ended: () => this.onEnd(),
      drained: () => this.onDrain(),
      closed: (reason) => this.onClose(reason),
    };
  }

  get state(): TcpState {
    return this.#connection.state;
  }

  /**
   * Bytes of 4096 and more are kept until they are acknowledged, not copied: they must not change.
   * @returns false if it is enough for now: `onDrain` will be called. What is written in spite of it is sent too.
   */
  write(bytes: Uint8Array): boolean {
    return this.#connection.write(bytes);
  }

  /** Sends no more; receiving goes on. */
  end(): void {
    this.#connection.end();
  }

  /** Neither sends nor receives any more: what is written is still sent, what comes is refused. */
  close(): void {
    this.#connection.leave();
  }

  /** Resets the connection. */
  abort(): void {
    this.#connection.abort();
  }

  /** What comes from now on closes the window. It is still given to `onData`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const unread = this.#unread;
    this.#unread = 0;
    if (unread > 0) this.#connection.consumed(unread);
  }
}
