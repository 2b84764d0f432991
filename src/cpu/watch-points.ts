/**
 * Watched linear addresses and who wants to know when the instruction there is about to be executed. The code cache
 * puts a WATCH record before such an instruction, where emitted code leaves.
 */
import type { CodeCache } from "./code-cache.ts";
import { RECORD_SIZE } from "./decode/record.ts";
import type { EmittedCode } from "./emitted-code.ts";
import { CODE_BASE, CURRENT_RECORD } from "./layout.ts";
import type { RecordPlaces } from "./record-place.ts";
import type { Slice } from "./slice.ts";
import type { CpuState } from "./state.ts";

export type WatchCallback = (cpu: CpuState) => void;

export class WatchPoints {
  /** Arrays are replaced, not changed: a callback may add and remove others while they are called. */
  readonly #callbacks = new Map<bigint, readonly WatchCallback[]>();
  /** The set of addresses is not the one that the code cache knows. */
  #changed = false;
  readonly #code: CodeCache;
  readonly #slice: Slice;
  readonly #places: RecordPlaces;

  constructor(code: CodeCache, { slice, places }: Pick<EmittedCode, "slice" | "places">) {
    this.#code = code;
    this.#slice = slice;
    this.#places = places;
  }

  /**
   * The same callback may be added more than once, and is called as often.
   * @returns a function that removes it
   */
  add(address: bigint, callback: WatchCallback): () => void {
    const linear = BigInt.asUintN(64, address);
    const before = this.#callbacks.get(linear);
    this.#callbacks.set(linear, [...(before ?? []), callback]);
    if (before === undefined) this.#change();
    let active = true;
    return () => {
      if (active) this.#remove(linear, callback);
      active = false;
    };
  }

  #remove(linear: bigint, callback: WatchCallback): void {
    const before = this.#callbacks.get(linear)!;
    if (before.length > 1) {
      this.#callbacks.set(linear, before.toSpliced(before.indexOf(callback), 1));
      return;
    }
    this.#callbacks.delete(linear);
    this.#change();
  }

  /** Emitted code leaves at the end of its block, as if its budget were spent. */
  #change(): void {
    this.#changed = true;
    this.#slice.hold(-1);
  }

  /**
   * Between runs of emitted code: the code cache learns the addresses that were asked for. All links between
   * records are gone then.
   * @returns whether they had changed
   */
  settle(): boolean {
    if (!this.#changed) return false;
    this.#changed = false;
    this.#slice.release();
    this.#code.setWatched(this.#callbacks.keys());
    return true;
  }

  /** Whether a watched instruction at RIP would be a repeated one that goes on and not a new execution. */
  goesOn(cpu: CpuState): boolean {
    return this.#callbacks.size !== 0 && this.#places.repeating(cpu);
  }

  /**
   * Emitted code has left at the WATCH record CURRENT_RECORD: calls who wants to know, unless the execution `goesOn`.
   * @returns the record of the watched instruction
   */
  reached(cpu: CpuState, goesOn: boolean): number {
    const watch = cpu.i32(CURRENT_RECORD);
    const record = watch + RECORD_SIZE;
    if (goesOn) return record;
    this.#places.setRip(cpu, watch);
    this.#slice.access = record;
    try {
      const callbacks = this.#callbacks.get(BigInt.asUintN(64, cpu.rip + cpu.u64(CODE_BASE)));
      if (callbacks !== undefined) for (const callback of callbacks) callback(cpu);
    } finally {
      this.#slice.access = 0;
    }
    return record;
  }
}
