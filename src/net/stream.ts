/**
 * The other end of a network device in another process: QEMU's `-netdev stream` protocol, which passt, gvproxy, VDE and QEMU
 * itself speak, over a UNIX or TCP socket. A frame goes with its length before it, four bytes, the highest first
 * (QEMU, net/stream.c). There is nothing else, so work cannot be left to the other end.
 */
import { connect, type Socket } from "node:net";
import type { FrameWork } from "../devices/virtio/network-link.ts";
import { COMPLETE } from "../devices/virtio/network-link.ts";
import type { NetworkBackend, OutgoingFrame } from "./backend.ts";

export type StreamAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const PREFIX = 4;
/** QEMU's largest: what claims to be longer is not this protocol. */
const LONGEST = 4096 + 65_536;
/** Bytes kept for the guest. Beyond them the other end has to wait. */
const MOST_INCOMING = 2 ** 20;
/** Bytes kept for an other end that does not read. What comes then is lost, as on a cable. */
const MOST_OUTGOING = 4 * 2 ** 20;

export class StreamNetwork implements NetworkBackend {
  readonly takesUnfinished = false;
  onFrames: () => void = () => {};
  /** Told once, in words, when the connection ends by itself: the guest's cable is cut. */
  onEnd: (reason: string) => void = () => {};
  /** Frames of the guest's that were lost because the other end did not read. */
  lost = 0;

  readonly #socket: Socket;
  /** What has come and was not taken: whole chunks, the first from `#at`. */
  readonly #chunks: Buffer[] = [];
  #at = 0;
  #incoming = 0;
  /** What goes out when the host's event loop has its turn. */
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #open = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("end", () => this.#end("the other end has closed the connection"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message));
  }

  /** Resolves when the connection stands. Rejects with the host's error. */
  static connect(address: StreamAddress): Promise<StreamNetwork> {
    return new Promise((resolve, reject) => {
      const socket = connect(address);
      socket.once("error", reject).once("connect", () => {
        socket.off("error", reject);
        if ("port" in address) socket.setNoDelay(true);
        resolve(new StreamNetwork(socket));
      });
    });
  }

  #end(reason: string): void {
    if (!this.#open) return;
    this.close();
    this.onEnd(reason);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    // What the guest has sent last is still on its way; an other end that does not read cannot hold this up.
    this.#flush();
    this.#socket.end();
    this.#socket.on("error", () => {}).unref();
  }

  // ---- From the guest ---------------------------------------------------------------------------------

  send(frame: Uint8Array, _work: FrameWork): void {
    if (!this.#open) return;
    if (this.#outgoingBytes + this.#socket.writableLength + frame.length > MOST_OUTGOING) {
      this.lost++;
      return;
    }
    const bytes = Buffer.allocUnsafe(PREFIX + frame.length);
    bytes.writeUInt32BE(frame.length);
    bytes.set(frame, PREFIX);
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    this.#outgoing.push(bytes);
    this.#outgoingBytes += bytes.length;
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#socket.write(Buffer.concat(this.#outgoing));
    this.#outgoing = [];
    this.#outgoingBytes = 0;
  }

  // ---- To the guest -----------------------------------------------------------------------------------

  #received(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#incoming += chunk.length;
    if (this.#incoming > MOST_INCOMING) this.#socket.pause();
    this.onFrames();
  }

  /** The next `count` bytes, which stay where they are. */
  #peek(count: number): Buffer | null {
    if (this.#incoming < count) return null;
    const first = this.#chunks[0]!;
    if (first.length - this.#at < count) {
      // Mostly two chunks share a frame.
      let needed = 0;
      let length = -this.#at;
      while (length < count) length += this.#chunks[needed++]!.length;
      const joined = Buffer.concat(this.#chunks.splice(0, needed)).subarray(this.#at);
      this.#chunks.unshift(joined);
      this.#at = 0;
    }
    return this.#chunks[0]!.subarray(this.#at, this.#at + count);
  }

  #take(count: number): void {
    this.#at += count;
    this.#incoming -= count;
    if (this.#at < this.#chunks[0]!.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }

  next(): OutgoingFrame | null {
    const prefix = this.#peek(PREFIX);
    if (prefix === null) return null;
    const length = prefix.readUInt32BE();
    if (length === 0 || length > LONGEST) {
      this.#end(`a frame of ${length} bytes has come: the other end does not speak QEMU's stream protocol`);
      this.#chunks.length = 0;
      this.#at = 0;
      this.#incoming = 0;
      return null;
    }
    const bytes = this.#peek(PREFIX + length);
    if (bytes === null) return null;
    this.#take(PREFIX + length);
    if (this.#socket.isPaused() && this.#incoming < MOST_INCOMING / 2) this.#socket.resume();
    return { frame: bytes.subarray(PREFIX), work: COMPLETE };
  }
}
