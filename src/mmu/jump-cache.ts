/**
 * The virtual jump cache: from RIP straight to the decoded record, for branches that carry no link.
 *
 * JUMP_ENTRIES entries of 16 bytes lie in each processor's block: RIP i64, key i32, record i32. An entry is
 * valid when its RIP equals RIP and its key equals JUMP_KEY; the key of a cleared entry, 0, is never in use.
 *
 * The index is made so that all entries of one page lie in one group of 64, which INVLPG can clear, and so
 * that emitted code needs the low half of RIP and seven operations for the entry's byte offset:
 *
 *     mixed  = rip ^ (rip >>> 6)
 *     index  = ((mixed >>> 6) & 0xfc0) | (mixed & 0x3f)
 *     offset = ((mixed >>> 2) & 0xfc00) | ((mixed & 0x3f) << 4)      // index * 16
 *
 * Bits 6-11 of the index are RIP[17:12] ^ RIP[23:18], the same for the whole page; bits 0-5 are
 * RIP[5:0] ^ RIP[11:6], so that blocks one line apart do not collide.
 */
import { JUMP_CACHE, JUMP_ENTRIES } from "../cpu/layout.ts";

/** Entries of one page: a power of two, and the size of a group. */
export const JUMP_GROUP = 64;
const GROUPS = JUMP_ENTRIES / JUMP_GROUP;
/** An entry in 32-bit words, and its fields. */
const ENTRY_WORDS = 4;
const KEY = 2;
const RECORD = 3;

/** Index of the entry for a RIP whose low half is `rip` (signed or unsigned). */
export function jumpIndex(rip: number): number {
  const mixed = rip ^ (rip >>> 6);
  return ((mixed >>> 6) & ((GROUPS - 1) * JUMP_GROUP)) | (mixed & (JUMP_GROUP - 1));
}

/** One processor's jump cache as TypeScript sees it. */
export class JumpCache {
  readonly #words: Int32Array;
  /** Index of the first entry in `#words`. */
  readonly #start: number;

  /** `words` is the whole WebAssembly memory, `block` the address of the processor's block. */
  constructor(words: Int32Array, block: number) {
    this.#words = words;
    this.#start = (block + JUMP_CACHE) >> 2;
  }

  /** The record cached for RIP (`lo`, `hi`) under `key`, or 0. */
  lookup(lo: number, hi: number, key: number): number {
    const at = this.#start + jumpIndex(lo) * ENTRY_WORDS;
    const words = this.#words;
    return words[at] === (lo | 0) && words[at + 1] === (hi | 0) && words[at + KEY] === key
      ? words[at + RECORD]
      : 0;
  }

  /** Enters a record; `key` is JUMP_KEY. */
  store(lo: number, hi: number, key: number, record: number): void {
    const at = this.#start + jumpIndex(lo) * ENTRY_WORDS;
    this.#words[at] = lo;
    this.#words[at + 1] = hi;
    this.#words[at + KEY] = key;
    this.#words[at + RECORD] = record;
  }

  /** Drops every entry whose RIP lies in the page of `lo` (and those of pages in the same group). */
  dropPage(lo: number): void {
    const at = this.#start + (jumpIndex(lo) & -JUMP_GROUP) * ENTRY_WORDS;
    this.#words.fill(0, at, at + JUMP_GROUP * ENTRY_WORDS);
  }

  /** Drops the entries whose records lie at [from, to): those records are about to be dropped. */
  dropRecords(from: number, to: number): void {
    const end = this.#start + JUMP_ENTRIES * ENTRY_WORDS;
    for (let at = this.#start; at < end; at += ENTRY_WORDS) {
      const record = this.#words[at + RECORD];
      if (record >= from && record < to) this.#words[at + KEY] = 0;
    }
  }

  clear(): void {
    this.#words.fill(0, this.#start, this.#start + JUMP_ENTRIES * ENTRY_WORDS);
  }
}
