/**
 * Which bytes of RAM have been decoded. Decoded code is kept by physical page, so whoever changes memory (a
 * processor's store, a device's DMA, a loader) asks here first and, if it hits decoded bytes, says so.
 *
 * The grain is a line of 64 bytes: compilers and boot loaders put small data beside code, and a store next
 * to code must not throw the page's code away each time.
 */

/** log2 of a line. */
const LINE_SHIFT = 6;
const PAGE = 4096;

/**
 * Set in an entry of the page index (`physical-memory.ts`) while the page bears code: such a page is never
 * entered into a write TLB.
 */
export const PAGE_CODE = 1 << 21;

export class CodePages {
  /**
   * A store is about to overlap decoded bytes in the page with this physical page number. Whoever decoded
   * them drops what came of that page and calls `clear`; the store follows.
   */
  onCodeWrite: ((page: number) => void) | null = null;
  /** Stores that overlapped decoded bytes. */
  writes = 0;

  readonly #pages: Int32Array;
  /** One bit per line: two words for each page. */
  readonly #lines: Int32Array;

  /** `pages` is the page index, whose PAGE_CODE bits belong to this class. */
  constructor(pages: Int32Array) {
    this.#pages = pages;
    this.#lines = new Int32Array(pages.length * 2);
  }

  /**
   * Notes that `length` bytes from `address`, all in one page, were decoded. `true` if the page bore no code
   * before: its entries in write TLBs must go. What is not memory is left alone: nothing is cached for it.
   */
  markWithinPage(address: number, length: number): boolean {
    const page = Math.floor(address / PAGE);
    if (page >= this.#pages.length || this.#pages[page] === 0) return false;
    const offset = address - page * PAGE;
    const last = (offset + length - 1) >> LINE_SHIFT;
    for (let line = offset >> LINE_SHIFT; line <= last; line++) {
      this.#lines[page * 2 + (line >> 5)] |= 1 << (line & 31);
    }
    if ((this.#pages[page] & PAGE_CODE) !== 0) return false;
    this.#pages[page] |= PAGE_CODE;
    return true;
  }

  /** The page with this physical page number bears no code any more. */
  clear(page: number): void {
    if (page >= this.#pages.length) return;
    this.#pages[page] &= ~PAGE_CODE;
    this.#lines[page * 2] = 0;
    this.#lines[page * 2 + 1] = 0;
  }

  /** Whether any of `length` bytes from `offset` of page number `page` was decoded. */
  overlaps(page: number, offset: number, length: number): boolean {
    const last = (offset + length - 1) >> LINE_SHIFT;
    for (let line = offset >> LINE_SHIFT; line <= last; line++) {
      if (((this.#lines[page * 2 + (line >> 5)] >>> (line & 31)) & 1) !== 0) return true;
    }
    return false;
  }

  /** To be called before a store within one page whose entry has PAGE_CODE. */
  beforeWrite(page: number, offset: number, length: number): void {
    if (!this.overlaps(page, offset, length)) return;
    this.writes++;
    this.onCodeWrite?.(page);
  }
}
