/**
 * Where decoded code of recent lookups begins: a direct-mapped table in front of the code cache's maps. Jump caches are
 * keyed by linear address and emptied with the TLBs; a system with many processes looks the same physical code up again
 * and again, in another address space or after a flush.
 *
 * An entry is three words: low half of the physical address, decode mode plus one (0: no entry), record.
 */
const ENTRIES = 1 << 15;
const WORDS = 3;

export class RecentEntries {
  readonly #words = new Int32Array(ENTRIES * WORDS);

  /** Code starts at any byte, mostly a few bytes apart: low bits tell lines apart, the page's number is mixed in. */
  #at(physical: number): number {
    return ((physical ^ (physical >>> 12)) & (ENTRIES - 1)) * WORDS;
  }

  /**
   * @param physical address below 4 GiB
   * @returns the record, or 0
   */
  find(physical: number, mode: number): number {
    const at = this.#at(physical);
    const words = this.#words;
    return words[at] === (physical | 0) && words[at + 1] === mode + 1 ? words[at + 2]! : 0;
  }

  store(physical: number, mode: number, record: number): void {
    const at = this.#at(physical);
    this.#words[at] = physical;
    this.#words[at + 1] = mode + 1;
    this.#words[at + 2] = record;
  }

  clear(): void {
    this.#words.fill(0);
  }
}
