/** Watched linear addresses and who wants to know when the instruction there is about to be executed. */
import type { CpuState } from "./state.ts";

export type WatchCallback = (cpu: CpuState) => void;

export class WatchPoints {
  /** Arrays are replaced, not changed: a callback may add and remove others while they are called. */
  readonly #callbacks = new Map<bigint, readonly WatchCallback[]>();
  #changed = false;

  get empty(): boolean {
    return this.#callbacks.size === 0;
  }
  /** The set of addresses is not the one that `takeChanged` has seen. */
  get changed(): boolean {
    return this.#changed;
  }
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }
  addresses(): Iterable<bigint> {
    return this.#callbacks.keys();
  }

  /**
   * The same callback may be added more than once, and is called as often.
   * @returns whether the address was not watched before
   */
  add(address: bigint, callback: WatchCallback): boolean {
    const linear = BigInt.asUintN(64, address);
    const before = this.#callbacks.get(linear);
    this.#callbacks.set(linear, [...(before ?? []), callback]);
    if (before !== undefined) return false;
    this.#changed = true;
    return true;
  }

  /** @returns whether the address is not watched any more because of that */
  remove(address: bigint, callback: WatchCallback): boolean {
    const linear = BigInt.asUintN(64, address);
    const before = this.#callbacks.get(linear);
    const at = before?.indexOf(callback) ?? -1;
    if (before === undefined || at < 0) return false;
    if (before.length > 1) {
      this.#callbacks.set(linear, before.toSpliced(at, 1));
      return false;
    }
    this.#callbacks.delete(linear);
    this.#changed = true;
    return true;
  }

  /** The instruction at a linear address is about to be executed. */
  reached(cpu: CpuState, linear: bigint): void {
    const callbacks = this.#callbacks.get(linear);
    if (callbacks !== undefined) for (const callback of callbacks) callback(cpu);
  }
}
