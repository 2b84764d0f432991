/**
 * One processor's software TLBs: three arrays of TLB_ENTRIES entries in its block, for data reads, data
 * writes and instruction fetches.
 *
 *     tag i64         linear address of the page | key
 *     addend i32      read, write: what is added to the low half of a linear address to get the host address;
 *                     execute: number of the physical page (low 32 bits)
 *     attributes i32  bits 0-5: log2 of the size of the page the entry is a part of; bit 6: global
 *
 * An entry is found at index (linear >> 12) & (TLB_ENTRIES - 1). Emitted code takes a read or write entry if
 * its tag equals `((linear + size - 1) & ~0xfff) | TLB_KEY`: an operand that crosses a page never matches,
 * since the page of its last byte belongs to another index.
 *
 * The key's 12 bits:
 *
 *     bits 0-1    `Context`: CPL = 3, SMAP, alignment check
 *     bits 2-11   generation, 1 to 1023
 *
 * A generation stands for an address space at a time. Entries of all generations lie in the arrays together;
 * a flush just takes a new generation and leaves the old entries to be overwritten. When the numbers run out
 * the arrays are cleared and counting starts again. Tag 0 is a cleared entry and matches no key.
 *
 * The context may be changed by emitted code too (SYSCALL, SYSRET, STAC, CLAC): it replaces bits 0-1 of
 * TLB_KEY and bit 6 of JUMP_KEY. Everything that is decided here per access reads TLB_KEY.
 */
import {
  TLB_ADDEND,
  TLB_ATTRIBUTES,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_EXECUTE,
  TLB_KEY_CONTEXT,
  TLB_READ,
  TLB_WRITE,
} from "../cpu/layout.ts";

/** Bits of TLB_KEY that hold the `Context`. */
export const KEY_CONTEXT = TLB_KEY_CONTEXT;
export const KEY_GENERATION_SHIFT = 2;
export const GENERATIONS = 1 << (12 - KEY_GENERATION_SHIFT);

/** Attributes of an entry. */
const PAGE_SHIFT = 0x3f;
const GLOBAL = 0x40;

const ENTRY_WORDS = TLB_ENTRY_SIZE / 4;
const ADDEND = TLB_ADDEND / 4;
const ATTRIBUTES = TLB_ATTRIBUTES / 4;
const PAGE_MASK = ~0xfff;
const PCIDS = 4096;

/** Slots of the filter for large pages, and the page sizes it is asked for. */
const LARGE_SLOTS = 4096;
const LARGE_SHIFTS = [21, 22, 30] as const;

/** Which array: the offsets in a processor's block. */
export type TlbArray = typeof TLB_READ | typeof TLB_WRITE | typeof TLB_EXECUTE;
const ARRAYS: readonly TlbArray[] = [TLB_READ, TLB_WRITE, TLB_EXECUTE];

export class Tlb {
  /** The generation in use. */
  generation = 0;
  /** Times that the generations ran out. */
  exhaustions = 0;
  /** Called when the generations ran out: every key may be given out again, so the jump cache is stale. */
  onExhausted: (() => void) | null = null;

  readonly #words: Int32Array;
  /** Index of the processor's block in `#words`. */
  readonly #block: number;
  #next = 1;
  /** Generation by PCID; 0 where the PCID has no translations. */
  readonly #generationOf = new Int16Array(PCIDS);
  /**
   * Non-zero where a fragment of a large page may be present, by a hash of the page's address. An INVLPG
   * inside a large page drops all its fragments, for which the arrays must be searched; this says when.
   */
  readonly #large = new Uint8Array(LARGE_SLOTS);

  /** `words` is the whole WebAssembly memory, `block` the address of the processor's block. */
  constructor(words: Int32Array, block: number) {
    this.#words = words;
    this.#block = block >> 2;
    this.clear();
    this.newGeneration(0);
  }

  /** The addend of the entry for (`lo`, `hi`) under `key`, or 0: addends of RAM are never 0. */
  lookup(array: TlbArray, lo: number, hi: number, key: number): number {
    const at = this.#at(array, lo);
    const words = this.#words;
    return words[at] === ((lo & PAGE_MASK) | key) && words[at + 1] === hi ? words[at + ADDEND] : 0;
  }

  /** As `lookup`, for entries whose addend may be 0; -1 if there is none. */
  lookupExecute(lo: number, hi: number, key: number): number {
    const at = this.#at(TLB_EXECUTE, lo);
    const words = this.#words;
    return words[at] === ((lo & PAGE_MASK) | key) && words[at + 1] === hi ? words[at + ADDEND] >>> 0 : -1;
  }

  fill(
    array: TlbArray,
    lo: number,
    hi: number,
    key: number,
    addend: number,
    pageShift: number,
    global: boolean,
  ): void {
    const at = this.#at(array, lo);
    const words = this.#words;
    words[at] = (lo & PAGE_MASK) | key;
    words[at + 1] = hi;
    words[at + ADDEND] = addend;
    words[at + ATTRIBUTES] = global ? pageShift | GLOBAL : pageShift;
    if (pageShift > 12) this.#large[largeSlot(lo, hi, pageShift)] = 1;
  }

  /** Takes a new generation for `pcid`: its translations are dropped. */
  newGeneration(pcid: number): void {
    if (this.#next === GENERATIONS) {
      this.exhaustions++;
      this.clear();
      this.#generationOf.fill(0);
      this.#next = 1;
      this.onExhausted?.();
    }
    this.generation = this.#next++;
    this.#generationOf[pcid] = this.generation;
  }

  /** Goes to `pcid` and keeps the translations it had. */
  resumeGeneration(pcid: number): void {
    const kept = this.#generationOf[pcid];
    if (kept === 0) this.newGeneration(pcid);
    else this.generation = kept;
  }

  /** Drops the translations of `pcid`, which need not be the current one. */
  forget(pcid: number, current: number): void {
    if (pcid === current) this.newGeneration(pcid);
    else this.#generationOf[pcid] = 0;
  }

  /** Drops the translations of all PCIDs, global ones too. */
  flushAll(current: number): void {
    this.#generationOf.fill(0);
    this.newGeneration(current);
  }

  /**
   * As `newGeneration`, but global translations stay (4.10.4.1: MOV to CR3 with CR4.PCIDE = 0). They are few
   * thousand words to look through, much less than walking for each of them again.
   */
  newGenerationKeepingGlobal(pcid: number): void {
    const old = this.generation;
    this.newGeneration(pcid);
    const words = this.#words;
    const change = (old ^ this.generation) << KEY_GENERATION_SHIFT;
    for (const array of ARRAYS) {
      const start = this.#block + (array >> 2);
      const end = start + TLB_ENTRIES * ENTRY_WORDS;
      for (let at = start; at < end; at += ENTRY_WORDS) {
        if ((words[at + ATTRIBUTES] & GLOBAL) === 0) continue;
        if ((words[at] & 0xfff) >> KEY_GENERATION_SHIFT === old) words[at] ^= change;
      }
    }
  }

  /**
   * Drops the page of (`lo`, `hi`) in every context and generation, with all fragments of the large page it
   * is a part of (4.10.4.1, INVLPG). `true` if large pages had to be searched for.
   */
  dropPage(lo: number, hi: number): boolean {
    const words = this.#words;
    for (const array of ARRAYS) {
      const at = this.#at(array, lo);
      if (((words[at] ^ lo) & PAGE_MASK) === 0 && words[at + 1] === hi) this.#drop(at);
    }
    let large = false;
    for (const shift of LARGE_SHIFTS) {
      if (this.#large[largeSlot(lo, hi, shift)] !== 0) large = true;
    }
    if (large) this.#dropFragments(lo, hi);
    return large;
  }

  #dropFragments(lo: number, hi: number): void {
    const words = this.#words;
    for (const array of ARRAYS) {
      const start = this.#block + (array >> 2);
      const end = start + TLB_ENTRIES * ENTRY_WORDS;
      for (let at = start; at < end; at += ENTRY_WORDS) {
        const shift = words[at + ATTRIBUTES] & PAGE_SHIFT;
        if (shift > 12 && words[at + 1] === hi && (words[at] ^ lo) >>> shift === 0) this.#drop(at);
      }
    }
  }

  /** Drops every write entry that leads to the host page with this number. */
  dropWritesTo(hostPage: number): void {
    const words = this.#words;
    const start = this.#block + (TLB_WRITE >> 2);
    const end = start + TLB_ENTRIES * ENTRY_WORDS;
    for (let at = start; at < end; at += ENTRY_WORDS) {
      if (((words[at] & PAGE_MASK) + words[at + ADDEND]) >>> 12 === hostPage) this.#drop(at);
    }
  }

  clear(): void {
    const start = this.#block + (TLB_READ >> 2);
    this.#words.fill(0, start, start + ARRAYS.length * TLB_ENTRIES * ENTRY_WORDS);
    this.#large.fill(0);
  }

  #at(array: TlbArray, lo: number): number {
    return this.#block + (array >> 2) + ((lo >>> 12) & (TLB_ENTRIES - 1)) * ENTRY_WORDS;
  }

  #drop(at: number): void {
    const words = this.#words;
    words[at] = 0;
    words[at + 1] = 0;
    words[at + ADDEND] = 0;
    words[at + ATTRIBUTES] = 0;
  }
}

function largeSlot(lo: number, hi: number, shift: number): number {
  const number = (hi << (32 - shift)) | (lo >>> shift);
  return ((Math.imul(number, 0x9e37_79b1) >>> 16) + shift) & (LARGE_SLOTS - 1);
}
