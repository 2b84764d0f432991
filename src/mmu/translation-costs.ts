/**
 * What translations cost under a timing model: a model of a processor's own TLBs, two levels, set-associative,
 * with the least recently used entry replaced.
 *
 * It is asked only where this machine's TLBs (`tlb.ts`) miss. They are larger than a processor's first level, so
 * its misses that hit the second level go uncharged while they hit here; what is charged are the misses after
 * flushes and of large working sets. Address spaces are told apart by the generations of `tlb.ts`, which stand
 * for a PCID between two of its flushes.
 */
import type { PageWalker } from "./page-walk.ts";
import type { ProcessorTranslation } from "./processor-translation.ts";

export interface TlbLevel {
  readonly entries: number;
  readonly ways: number;
}

export interface TlbGeometry {
  readonly data: TlbLevel;
  readonly instruction: TlbLevel;
  /** Shared by data and instructions. */
  readonly second: TlbLevel;
}

export type TranslationCost = "tlb.second-level" | "tlb.walk";

/** Generation of entries that belong to every address space. */
const GLOBAL = -1;

/** One level: parallel arrays of tags. An entry is a page number with its size, and a generation. */
class Level {
  readonly #sets: number;
  readonly #ways: number;
  readonly #page: Float64Array;
  readonly #generation: Int32Array;
  readonly #used: Float64Array;
  #clock = 0;

  constructor({ entries, ways }: TlbLevel) {
    this.#sets = entries / ways;
    this.#ways = ways;
    this.#page = new Float64Array(entries).fill(-1);
    this.#generation = new Int32Array(entries);
    this.#used = new Float64Array(entries);
  }

  /** Whether the page is there; it is afterwards. */
  access(page: number, set: number, generation: number): boolean {
    const first = (set % this.#sets) * this.#ways;
    let oldest = first;
    this.#clock++;
    for (let at = first; at < first + this.#ways; at++) {
      const of = this.#generation[at]!;
      if (this.#page[at] === page && (of === generation || of === GLOBAL)) {
        this.#used[at] = this.#clock;
        return true;
      }
      if (this.#used[at]! < this.#used[oldest]!) oldest = at;
    }
    this.#page[oldest] = page;
    this.#generation[oldest] = generation;
    this.#used[oldest] = this.#clock;
    return false;
  }

  /** Drops the entries for which `matches` holds. */
  drop(matches: (page: number) => boolean): void {
    for (let at = 0; at < this.#page.length; at++) {
      if (!matches(this.#page[at]!)) continue;
      this.#page[at] = -1;
      this.#used[at] = 0;
    }
  }
}

/** A page's number and size as one number: exact, since there are at most 45 bits of number. */
function tagOf(lo: number, hi: number, shift: number): number {
  const number = Math.floor(((hi >>> 0) * 0x1_0000_0000 + (lo >>> 0)) / 2 ** shift);
  return number * 64 + shift;
}

const PAGE_SHIFTS = [12, 21, 22, 30] as const;

interface Levels {
  readonly data: Level;
  readonly instruction: Level;
  readonly second: Level;
  /** `Tlb.exhaustions` when the levels were last used: numbers of generations come again after that. */
  exhaustions: number;
}

export class TranslationCosts {
  readonly #geometry: TlbGeometry;
  readonly #charge: (cost: TranslationCost) => void;
  readonly #levels = new Map<ProcessorTranslation, Levels>();

  constructor(geometry: TlbGeometry, charge: (cost: TranslationCost) => void) {
    this.#geometry = geometry;
    this.#charge = charge;
  }

  /** The walker has found a page that this machine's TLBs did not know. */
  translated(
    context: ProcessorTranslation,
    walker: PageWalker,
    lo: number,
    hi: number,
    fetch: boolean,
  ): void {
    const levels = this.#of(context);
    const shift = walker.pageShift;
    const tag = tagOf(lo, hi, shift);
    const set = Math.floor(tag / 64);
    const generation = walker.global ? GLOBAL : context.tlb.generation;
    if ((fetch ? levels.instruction : levels.data).access(tag, set, generation)) return;
    this.#charge(levels.second.access(tag, set, generation) ? "tlb.second-level" : "tlb.walk");
  }

  flushed(
    context: ProcessorTranslation,
    what: "all" | "address space" | "page",
    lo: number,
    hi: number,
  ): void {
    // A new address space has a new generation.
    if (what === "address space") return;
    if (what === "all") this.#levels.delete(context);
    else {
      const tags = new Set<number>(PAGE_SHIFTS.map((shift) => tagOf(lo, hi, shift)));
      const { data, instruction, second } = this.#of(context);
      for (const level of [data, instruction, second]) level.drop((page) => tags.has(page));
    }
  }

  #of(context: ProcessorTranslation): Levels {
    const { exhaustions } = context.tlb;
    let levels = this.#levels.get(context);
    if (levels === undefined || levels.exhaustions !== exhaustions) {
      const { data, instruction, second } = this.#geometry;
      levels = {
        data: new Level(data),
        instruction: new Level(instruction),
        second: new Level(second),
        exhaustions,
      };
      this.#levels.set(context, levels);
    }
    return levels;
  }
}
