/** Frames on their way to the guest that wait for buffers: bounded in number and bytes. */
import type { DeviceState } from "../device.ts";

/** A frame is taken while there are fewer frames than this, and fewer bytes. */
const MOST_FRAMES = 1024;
const MOST_BYTES = 2 * 2 ** 20;

/** One list for each queue pair; the bounds are for all of them together. */
export class Backlog {
  /** Each is a header for the driver with its frame. */
  readonly #lists: Uint8Array[][];
  #frames = 0;
  #bytes = 0;

  constructor(pairs: number) {
    this.#lists = Array.from({ length: pairs }, () => []);
  }

  /** Whether one frame more is taken, which may become several (`MOST_SEGMENTS`). */
  get hasRoom(): boolean {
    return this.#frames < MOST_FRAMES && this.#bytes < MOST_BYTES;
  }

  push(pair: number, packet: Uint8Array): void {
    this.#lists[pair]!.push(packet);
    this.#frames++;
    this.#bytes += packet.length;
  }

  /** The one that has waited longest for a pair. */
  first(pair: number): Uint8Array | null {
    return this.#lists[pair]![0] ?? null;
  }

  shift(pair: number): void {
    const packet = this.#lists[pair]!.shift();
    if (packet === undefined) return;
    this.#frames--;
    this.#bytes -= packet.length;
  }

  /** Pairs from `count` are used no more: what waits for them goes to the first. */
  narrow(count: number): void {
    for (const list of this.#lists.slice(count)) this.#lists[0]!.push(...list.splice(0));
  }

  clear(): void {
    for (const list of this.#lists) list.length = 0;
    this.#frames = 0;
    this.#bytes = 0;
  }

  save(): DeviceState {
    return this.#lists.map((list) => list.map((packet) => packet.slice()));
  }

  restore(state: DeviceState): void {
    this.clear();
    for (const [pair, list] of (state as Uint8Array[][]).entries()) {
      if (this.#lists[pair] === undefined) throw new Error("the saved state has more queue pairs");
      for (const packet of list) this.push(pair, packet.slice());
    }
  }
}
