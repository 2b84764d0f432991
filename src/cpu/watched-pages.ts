/** Watched linear addresses by page, as decoding asks for them. */

/** A linear page with watched addresses. Its code is decoded apart from that of other mappings. */
export interface WatchedPage {
  /** From 1; part of the key of its blocks. */
  readonly variant: number;
  /** Offsets of the watched addresses. */
  readonly offsets: Set<number>;
}

/** Number of a linear page; exact, since it has at most 52 bits. */
function linearPage(low: number, high: number): number {
  return (high >>> 0) * 0x10_0000 + (low >>> 12);
}

export class WatchedPages {
  readonly #pages = new Map<number, WatchedPage>();

  replace(addresses: Iterable<bigint>): void {
    this.#pages.clear();
    for (const address of addresses) {
      const low = Number(address & 0xffff_ffffn);
      const number = linearPage(low, Number(address >> 32n));
      let page = this.#pages.get(number);
      if (!page) {
        page = { variant: this.#pages.size + 1, offsets: new Set() };
        this.#pages.set(number, page);
      }
      page.offsets.add(low & 0xfff);
    }
  }

  /** The page of a linear address, given in halves; null where nothing is watched. */
  at(low: number, high: number): WatchedPage | null {
    return this.#pages.size === 0 ? null : (this.#pages.get(linearPage(low, high)) ?? null);
  }
}
