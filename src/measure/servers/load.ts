/**
 * The load: clients that ask a server in the guest, each on a connection of its own, as many requests at once as the pipeline is
 * deep, and when all of them are answered the next. Every byte of every answer is checked.
 */
import type { CloseReason } from "../../net/tcp/interfaces.ts";
import type { GuestConnection } from "../../net/user/guest-connection.ts";
import type { UserNetwork } from "../../net/user/network.ts";
import { difference, type Exchange, type RequestKind } from "./requests.ts";

export interface LoadShape {
  readonly kind: RequestKind;
  readonly connections: number;
  /** Requests that a client sends at once. */
  readonly pipeline: number;
  /** Requests before what is measured. */
  readonly warmUp: number;
  /** Requests that are measured, at least. */
  readonly requests: number;
}

export interface LoadEvents {
  /** An answer has come, or a connection is open. */
  progress(): void;
  /** What is measured begins. */
  begin(): void;
  /** It has ended; answers may still be due. @param requests how many were answered since `begin` */
  end(requests: number): void;
  /** All answers have come. */
  done(): void;
  /** @param what in one line */
  failed(what: string): void;
}

/** One connection, and what it waits for. */
class Client {
  /** What was asked and not answered yet. */
  readonly due: Exchange[] = [];
  readonly #connection: GuestConnection;
  readonly #load: Load;
  readonly #name: string;
  #received: Uint8Array = new Uint8Array(0);
  #over = false;

  constructor(load: Load, connection: GuestConnection, name: string) {
    this.#load = load;
    this.#connection = connection;
    this.#name = name;
    connection.onOpen = () => load.opened();
    connection.onData = (bytes) => this.#take(bytes);
    connection.onEnd = () => this.#closed("its end");
    connection.onClose = (reason) => this.#closed(reason);
  }

  ask(exchanges: readonly Exchange[]): void {
    this.due.push(...exchanges);
    this.#connection.write(Buffer.concat(exchanges.map(({ request }) => request)));
  }

  #take(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#received = Buffer.concat([this.#received, bytes]);
    let answered = 0;
    while (this.#received.length > 0) {
      const [next] = this.due;
      const wrong =
        next === undefined
          ? `expected no answer without a request, found ${this.#received.length} bytes`
          : difference(next.answer, this.#received);
      if (wrong !== null) {
        this.#fail(wrong);
        return;
      }
      const { length } = next!.answer.bytes;
      if (this.#received.length < length) break;
      this.#received = this.#received.subarray(length);
      this.due.shift();
      answered++;
    }
    if (answered > 0) this.#load.answered(this, answered);
  }

  #fail(what: string): void {
    this.#over = true;
    this.#load.failed(`${this.#name}: ${what}`);
  }

  #closed(reason: CloseReason | "its end"): void {
    if (this.#over) return;
    this.#fail(`expected it to stay open, found ${reason} with ${this.due.length} answers due`);
  }
}

export class Load {
  readonly #shape: LoadShape;
  readonly #events: LoadEvents;
  readonly #clients: Client[] = [];
  #phase: "opening" | "preparing" | "warming" | "measuring" | "ending" | "over" = "opening";
  #open = 0;
  #asked = 0;
  #answered = 0;
  /** Answers that had come when what is measured began. */
  #before = 0;

  constructor(shape: LoadShape, events: LoadEvents) {
    this.#shape = shape;
    this.#events = events;
  }

  /** Opens the connections; the load begins when all of them are open. */
  start(network: UserNetwork): void {
    const { connections, kind } = this.#shape;
    for (let i = 0; i < connections; i++) {
      this.#clients.push(new Client(this, network.connectToGuest(kind.port), `connection ${i + 1}`));
    }
  }

  /** What is waited for, in words. */
  get waitsFor(): string {
    const due = this.#clients.reduce((sum, client) => sum + client.due.length, 0);
    if (this.#phase === "opening") return `${this.#shape.connections - this.#open} connections to open`;
    return `${due} answers after ${this.#answered}`;
  }

  opened(): void {
    this.#open++;
    this.#events.progress();
    if (this.#open < this.#clients.length) return;
    const { preparation } = this.#shape.kind;
    if (preparation.length === 0) this.#warmUp();
    else {
      this.#phase = "preparing";
      this.#clients[0]!.ask(preparation);
    }
  }

  #warmUp(): void {
    this.#phase = "warming";
    this.#answered = 0;
    for (const client of this.#clients) this.#ask(client);
  }

  #ask(client: Client): void {
    const { pipeline, kind } = this.#shape;
    client.ask(Array.from({ length: pipeline }, () => kind.exchange(this.#asked++)));
  }

  /** @param count answers that came at once */
  answered(client: Client, count: number): void {
    this.#answered += count;
    this.#events.progress();
    if (this.#phase === "preparing") {
      if (client.due.length === 0) this.#warmUp();
      return;
    }
    if (this.#phase === "warming" && this.#answered >= this.#shape.warmUp) {
      this.#phase = "measuring";
      this.#before = this.#answered;
      this.#events.begin();
    } else if (this.#phase === "measuring" && this.#answered - this.#before >= this.#shape.requests) {
      this.#phase = "ending";
      this.#events.end(this.#answered - this.#before);
    }
    if (client.due.length === 0 && this.#phase !== "ending") this.#ask(client);
    if (this.#phase === "ending" && this.#answered === this.#asked) {
      this.#phase = "over";
      this.#events.done();
    }
  }

  failed(what: string): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#events.failed(what);
  }
}
