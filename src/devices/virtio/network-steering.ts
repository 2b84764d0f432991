/**
 * Which queue pair a frame for the guest goes to (5.1.6.5.5): the one that the guest last sent of the same flow from,
 * as that is where it is worked on.
 */
import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { IP_PROTOCOL, ipHeader } from "./frame-headers.ts";

/** Places of the table; flows that share one share their fate. */
const PLACES = 1024;
/** A place that nothing was sent from. */
const UNKNOWN = 0xff;

/** The same for both directions of a flow: addresses and ports are added up. 0 for what is no flow. */
export function flowHash(frame: Uint8Array): number {
  const ip = ipHeader(frame);
  if (ip === null) return 0;
  const from = ip.version === 4 ? ip.start + 12 : ip.start + 8;
  const to = ip.version === 4 ? ip.start + 20 : ip.start + 40;
  let sum = ip.protocol;
  for (let at = from; at < to; at += 2) sum += (frame[at]! << 8) | frame[at + 1]!;
  const hasPorts = ip.protocol === IP_PROTOCOL.TCP || ip.protocol === IP_PROTOCOL.UDP;
  if (hasPorts && !ip.fragment && ip.end + 4 <= frame.length) {
    for (let at = ip.end; at < ip.end + 4; at += 2) sum += (frame[at]! << 8) | frame[at + 1]!;
  }
  // Ports of flows follow one another: spread them (the finalizer of MurmurHash3).
  let hash = sum >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class Steering {
  readonly #s = { pairs: new Uint8Array(PLACES).fill(UNKNOWN) };

  /** The guest sent `frame` from queue pair `pair`. */
  sent(frame: Uint8Array, pair: number): void {
    this.#s.pairs[flowHash(frame) % PLACES] = pair;
  }

  /** The queue pair, of the first `count`, for a frame to the guest. */
  pairFor(frame: Uint8Array, count: number): number {
    if (count === 1) return 0;
    const hash = flowHash(frame);
    const pair = this.#s.pairs[hash % PLACES]!;
    return pair < count ? pair : hash % count;
  }

  reset(): void {
    this.#s.pairs.fill(UNKNOWN);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
