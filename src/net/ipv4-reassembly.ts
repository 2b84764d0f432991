/** Puts fragments together (RFC 791, 3.2; RFC 815 in what has to come out), within limits on number, size and time. */
import type { Ipv4Packet } from "./ipv4.ts";
import type { Malformed } from "./malformed.ts";
import type { NetworkTimer, TimerQueue } from "./timers.ts";

/** Packets that are being put together at once; the oldest goes when another one comes. */
const MOST_PACKETS = 16;
/** Smallest fragments of 8 bytes must not make lists that take long to look through. */
const MOST_FRAGMENTS = 64;
const LARGEST_PAYLOAD = 65_535 - 20;
/** RFC 1122, 3.3.2 has 60 to 120 seconds for the Internet; here nothing is under way for long. */
const TIMEOUT_MS = 30_000;

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

interface Partial {
  readonly first: Ipv4Packet;
  /** In order, not overlapping. */
  readonly pieces: Piece[];
  /** Known with the last fragment. */
  total: number | null;
  received: number;
  readonly timer: NetworkTimer;
}

export class Reassembly {
  readonly #partial = new Map<string, Partial>();
  readonly #timers: TimerQueue;

  constructor(timers: TimerQueue) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#partial.size;
  }

  /** @returns the whole packet, null while fragments are missing, or what is wrong: then all of it is dropped */
  add(packet: Ipv4Packet): Ipv4Packet | Malformed | null {
    const key = `${packet.source} ${packet.destination} ${packet.protocol} ${packet.identification}`;
    const partial = this.#partial.get(key) ?? this.#begin(key, packet);
    const fault = this.#insert(partial, packet);
    if (fault) {
      this.#drop(key);
      return "ipv4-fragment";
    }
    if (partial.total === null || partial.received < partial.total) return null;
    this.#drop(key);
    const payload = new Uint8Array(partial.total);
    for (const { start, bytes } of partial.pieces) payload.set(bytes, start);
    return { ...partial.first, header: packet.header, moreFragments: false, fragmentOffset: 0, payload };
  }

  #begin(key: string, first: Ipv4Packet): Partial {
    if (this.#partial.size >= MOST_PACKETS) {
      const [oldest] = this.#partial.keys();
      this.#drop(oldest!);
    }
    const timer = this.#timers.timer(() => this.#drop(key));
    timer.arm(TIMEOUT_MS);
    const kept = { ...first, header: first.header.slice(), payload: new Uint8Array() };
    const partial: Partial = { first: kept, pieces: [], total: null, received: 0, timer };
    this.#partial.set(key, partial);
    return partial;
  }

  /** Overlaps have no honest use (RFC 1858, RFC 5722), but a fragment that came twice has. */
  #insert(partial: Partial, { fragmentOffset: start, payload, moreFragments }: Ipv4Packet): boolean {
    const end = start + payload.length;
    if (payload.length === 0 || end > LARGEST_PAYLOAD) return true;
    if (moreFragments ? payload.length % 8 !== 0 : partial.total !== null && partial.total !== end)
      return true;
    const { pieces } = partial;
    const last = pieces.at(-1);
    if (!moreFragments) {
      if (last !== undefined && last.start + last.bytes.length > end) return true;
      partial.total = end;
    } else if (partial.total !== null && end > partial.total) return true;
    let place = pieces.length;
    while (place > 0 && pieces[place - 1]!.start >= start) place--;
    const next = pieces[place];
    if (next?.start === start && next.bytes.length === payload.length) return false;
    const previous = pieces[place - 1];
    if (next !== undefined && end > next.start) return true;
    if (previous !== undefined && previous.start + previous.bytes.length > start) return true;
    if (pieces.length >= MOST_FRAGMENTS) return true;
    pieces.splice(place, 0, { start, bytes: payload.slice() });
    partial.received += payload.length;
    return false;
  }

  #drop(key: string): void {
    this.#partial.get(key)?.timer.disarm();
    this.#partial.delete(key);
  }
}
