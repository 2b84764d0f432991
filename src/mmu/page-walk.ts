/**
 * The page walk, SDM vol. 3A chapter 4: from a linear address to a physical page, an error code, or both
 * accessed and dirty flags set. This is the only place that knows the paging structures.
 *
 * An entry is read as two 32-bit halves and a physical address is kept as its page number, so that nothing
 * here is wider than what JavaScript computes fast. Results are left in the walker's fields: a walk allocates
 * nothing.
 *
 * Choices the manual leaves open (4.8 and 4.10.2.3):
 * - Accessed flags are set only when the access is allowed, all together after the permission check.
 * - A paging structure that is not in RAM or ROM reads as all ones, without a bus access: the entry is
 *   present and, where the format has reserved bits, faults with RSVD. Flags are not set in ROM.
 */

import { Access } from "../cpu/core.ts";
import { PageFault } from "../cpu/fault.ts";
import { CR3, PKRU } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import { Context, type PagingControls, PagingMode, XD } from "./paging.ts";
import { PAGE_CODE, PAGE_HOST, PAGE_ROM, type PhysicalMemory } from "./physical-memory.ts";

/** Bits of the low half of a paging-structure entry. */
const P = 1 << 0;
const RW = 1 << 1;
const US = 1 << 2;
const A = 1 << 5;
const D = 1 << 6;
const PS = 1 << 7;
const G = 1 << 8;

/** Reserved bits of a 1-GByte PDPTE (29:13) and of a 2-MByte PDE (20:13); bit 12 is PAT. */
const RESERVED_1G = 0x3fff_e000;
const RESERVED_2M = 0x001f_e000;
/** PAE: reserved in a present PDPTE, table 4-8: bits 2:1 and 8:5. */
const RESERVED_PDPTE_LOW = 0x0000_01e6;

/** Levels by number: what the entry of a level is called. */
export const ENTRY_NAMES = ["", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"] as const;

/** Follows translation; every method is optional, and an absent observer costs a comparison. */
export interface MmuObserver {
  /** One paging-structure entry was read: its name, physical address and halves. */
  step?(cpu: CpuState, entry: string, address: number, low: number, high: number): void;
  /** A linear address was translated; `access` as in `Access`, `pageShift` 12, 21, 22 or 30. */
  translated?(
    cpu: CpuState,
    lo: number,
    hi: number,
    access: number,
    physical: number,
    pageShift: number,
  ): void;
  /** A page fault with this error code. */
  pageFault?(cpu: CpuState, lo: number, hi: number, access: number, error: number): void;
  /** Translations were dropped: all, those of a PCID, or one page. */
  flush?(cpu: CpuState, what: "all" | "address space" | "page", lo: number, hi: number): void;
}

export class PageWalker {
  observer: MmuObserver | null = null;
  /** Walks made since power-on. */
  walks = 0;

  // Results of the last successful walk.
  /** Number of the physical 4-KByte page. */
  page = 0;
  /** log2 of the size of the page that maps it. */
  pageShift = 12;
  global = false;
  /** Protection key of a user-mode address in effect, else -1. */
  key = -1;
  /** Error code of the last walk that failed. */
  error = 0;

  readonly #physical: PhysicalMemory;
  readonly #pages: Int32Array;
  readonly #words: Int32Array;

  // The entry just read, and where each level's entry lies (index into #words, -1 if not in RAM).
  #low = 0;
  #high = 0;
  readonly #place = new Int32Array(6);
  /** Level of the entry that maps the page. */
  #leaf = 1;
  // Gathered on the way down: AND and OR over the entries used.
  #allLow = 0;
  #anyHigh = 0;

  constructor(physical: PhysicalMemory) {
    this.#physical = physical;
    this.#pages = physical.pages;
    this.#words = new Int32Array(physical.memory.buffer);
  }

  /**
   * Translates the linear address (`lo`, `hi`), which must be canonical, for an access (`Access`, without
   * SYSTEM) in a `Context`. `pdptes` are the PDPTE registers, used in PAE mode. `false`: a page fault with
   * `error`.
   */
  walk(
    cpu: CpuState,
    controls: PagingControls,
    pdptes: Int32Array,
    lo: number,
    hi: number,
    access: number,
    context: number,
  ): boolean {
    this.walks++;
    if (controls.mode === PagingMode.NONE) {
      this.page = lo >>> 12;
      this.pageShift = 12;
      this.global = false;
      this.key = -1;
      return true;
    }
    const ok =
      controls.mode === PagingMode.BITS_32
        ? this.#walk32(cpu, controls, lo)
        : this.#walk64(cpu, controls, pdptes, lo, hi);
    if (ok && this.#permitted(cpu, controls, access, context)) {
      this.#setFlags(access);
      if (this.observer !== null) this.#reportTranslation(cpu, lo, hi, access);
      return true;
    }
    if (access === Access.WRITE) this.error |= PageFault.WRITE;
    if (context === Context.USER) this.error |= PageFault.USER;
    if (access === Access.EXECUTE && controls.reportsFetch) this.error |= PageFault.FETCH;
    this.observer?.pageFault?.(cpu, lo, hi, access, this.error);
    return false;
  }

  /** 4.3, 32-bit paging. A 4-KByte page takes PDE and PTE; CR4.PSE allows 4-MByte pages with 40-bit addresses. */
  #walk32(cpu: CpuState, controls: PagingControls, lo: number): boolean {
    this.#allLow = -1;
    this.#anyHigh = 0;
    this.global = false;
    this.key = -1;
    const place = this.#place.fill(-1);

    // PDE: bits 31:12 from CR3, bits 11:2 are bits 31:22 of the linear address.
    const directory = cpu.i32(CR3) >>> 12;
    this.#high = 0;
    place[2] = this.#read32(cpu, directory, lo >>> 22, 2);
    const pde = this.#low;
    if ((pde & P) === 0) return this.#notPresent();
    this.#allLow &= pde;

    // PDE.PS = 1 and CR4.PSE = 1: a 4-MByte page, bits 39:32 of its address in PDE[20:13].
    if ((pde & PS) !== 0 && controls.pageSizeExtensions) {
      if ((pde & controls.reserved4M) !== 0) return this.#reserved();
      const base = ((pde >>> 13) & 0xff) * 0x10_0000 + (pde >>> 22) * 0x400;
      return this.#mapped(controls, 22, base + ((lo >>> 12) & 0x3ff), 2);
    }

    // PTE: bits 31:12 from the PDE, bits 11:2 are bits 21:12 of the linear address.
    place[1] = this.#read32(cpu, pde >>> 12, (lo >>> 12) & 0x3ff, 1);
    const pte = this.#low;
    if ((pte & P) === 0) return this.#notPresent();
    this.#allLow &= pte;
    return this.#mapped(controls, 12, pte >>> 12, 1);
  }

  /** 4.4 PAE, 4.5 4-level and 5-level paging: the same 64-bit entries, begun at different levels. */
  #walk64(cpu: CpuState, controls: PagingControls, pdptes: Int32Array, lo: number, hi: number): boolean {
    this.#allLow = -1;
    this.#anyHigh = 0;
    this.global = false;
    this.key = -1;
    let level: number;
    let table: number;
    if (controls.mode === PagingMode.PAE) {
      // 4.4.1: the PDPTE register is selected by bits 31:30 of the linear address. It has no rights and no
      // flags, and its reserved bits were checked when it was loaded.
      const register = (lo >>> 30) * 2;
      const low = pdptes[register];
      if ((low & P) === 0) return this.#notPresent();
      table = (pdptes[register + 1] & controls.addressHigh) * 0x10_0000 + (low >>> 12);
      level = 2;
    } else {
      table = (cpu.i32(CR3 + 4) & controls.addressHigh) * 0x10_0000 + (cpu.i32(CR3) >>> 12);
      level = controls.mode === PagingMode.LEVEL_5 ? 5 : 4;
    }

    const place = this.#place;
    place[1] = -1;
    place[2] = -1;
    place[3] = -1;
    place[4] = -1;
    place[5] = -1;
    for (; ; level--) {
      // Bits 11:3 of the entry's address are the next nine bits of the linear address: 56:48 for a PML5E,
      // 47:39 for a PML4E, 38:30 for a PDPTE, 29:21 for a PDE, 20:12 for a PTE.
      let index: number;
      if (level === 1) index = lo >>> 12;
      else if (level === 2) index = lo >>> 21;
      else if (level === 3) index = (hi << 2) | (lo >>> 30);
      else if (level === 4) index = hi >>> 7;
      else index = hi >>> 16;
      place[level] = this.#read64(cpu, table, index & 0x1ff, level);
      const low = this.#low;
      const high = this.#high;
      if ((low & P) === 0) return this.#notPresent();
      if ((high & controls.reservedHigh) !== 0) return this.#reserved();
      this.#allLow &= low;
      this.#anyHigh |= high;
      table = (high & controls.addressHigh) * 0x10_0000 + (low >>> 12);
      if (level === 1) return this.#mapped(controls, 12, table, 1);
      if ((low & PS) === 0) continue;
      // PS = 1: a 2-MByte page by a PDE, a 1-GByte page by a PDPTE; reserved anywhere else.
      if (level === 2) {
        if ((low & RESERVED_2M) !== 0) return this.#reserved();
        return this.#mapped(controls, 21, table - (table & 0x1ff) + ((lo >>> 12) & 0x1ff), 2);
      }
      if (level === 3 && controls.options.gigabytePages !== false) {
        if ((low & RESERVED_1G) !== 0) return this.#reserved();
        return this.#mapped(controls, 30, table - (table & 0x3_ffff) + ((lo >>> 12) & 0x3_ffff), 3);
      }
      return this.#reserved();
    }
  }

  /** The entry of `level`, still in #low and #high, maps a page. */
  #mapped(controls: PagingControls, shift: number, page: number, level: number): boolean {
    this.page = page;
    this.pageShift = shift;
    this.global = controls.globalPages && (this.#low & G) !== 0;
    // 4.6.2: the key of a user-mode address is bits 62:59 of the entry that maps the page.
    if (controls.protectionKeys && (this.#allLow & US) !== 0) this.key = (this.#high >>> 27) & 15;
    this.#leaf = level;
    return true;
  }

  /** 4.6.1 and 4.6.2: access rights; sets `error` if they forbid the access. */
  #permitted(cpu: CpuState, controls: PagingControls, access: number, context: number): boolean {
    // A user-mode address: U/S = 1 in every entry. Writable: R/W = 1 in every entry. XD in any forbids fetches.
    const userAddress = (this.#allLow & US) !== 0;
    const writable = (this.#allLow & RW) !== 0;
    const fetchable = (this.#anyHigh & XD) === 0;
    const userAccess = context === Context.USER;

    let allowed: boolean;
    if (access === Access.EXECUTE) {
      // Supervisor fetches from user-mode addresses: CR4.SMEP = 0. User fetches: user-mode addresses only.
      allowed = fetchable && (userAccess ? userAddress : !userAddress || !controls.smep);
    } else {
      // Data. Supervisor accesses to user-mode addresses: SMAP not in force (CR4.SMAP = 0, or explicit and
      // RFLAGS.AC = 1). User accesses: user-mode addresses only.
      allowed = userAccess ? userAddress : !userAddress || context !== Context.SUPERVISOR_SMAP;
      // Writes: R/W = 1, or supervisor and CR0.WP = 0.
      if (access === Access.WRITE && !writable && (userAccess || controls.writeProtect)) allowed = false;
    }
    let error: number = PageFault.PRESENT;
    if (this.key >= 0 && access !== Access.EXECUTE) {
      // ADi forbids data accesses; WDi writes, those of supervisor mode only with CR0.WP = 1.
      const rights = cpu.i32(PKRU) >>> (this.key * 2);
      const denied =
        (rights & 1) !== 0 ||
        ((rights & 2) !== 0 && access === Access.WRITE && (userAccess || controls.writeProtect));
      if (denied) {
        allowed = false;
        error |= PageFault.PROTECTION_KEY;
      }
    }
    this.error = error;
    return allowed;
  }

  /** 4.8: accessed in every entry used, dirty in the one that maps the page when it is written. */
  #setFlags(access: number): void {
    const place = this.#place;
    if ((this.#allLow & A) === 0) {
      for (let level = 1; level <= 5; level++) {
        if (level < this.#leaf || place[level] < 0) continue;
        if ((this.#words[place[level]] & A) === 0) this.#setFlag(place[level], A);
      }
    }
    if (access === Access.WRITE && (this.#low & D) === 0 && place[this.#leaf] >= 0) {
      this.#setFlag(place[this.#leaf], D);
    }
  }

  #setFlag(place: number, flag: number): void {
    // A paging structure may share its page with decoded code.
    const page = this.#physical.pageOfHostPage(place >>> 10);
    if ((this.#physical.pages[page] & PAGE_CODE) !== 0) {
      this.#physical.code.beforeWrite(page, (place << 2) & 0xfff, 4);
    }
    this.#words[place] |= flag;
  }

  /** Reads a 4-byte entry into #low; gives its place for #setFlags. */
  #read32(cpu: CpuState, table: number, index: number, level: number): number {
    const entry = table < this.#pages.length ? this.#pages[table] : 0;
    let place = -1;
    if (entry === 0) this.#low = -1;
    else {
      place = ((entry & PAGE_HOST) << 10) | index;
      this.#low = this.#words[place];
      if ((entry & PAGE_ROM) !== 0) place = -1;
    }
    if (this.observer !== null) this.#reportStep(cpu, level, table * 4096 + index * 4);
    return place;
  }

  /** Reads an 8-byte entry into #low and #high. */
  #read64(cpu: CpuState, table: number, index: number, level: number): number {
    const entry = table < this.#pages.length ? this.#pages[table] : 0;
    let place = -1;
    if (entry === 0) {
      this.#low = -1;
      this.#high = -1;
    } else {
      place = ((entry & PAGE_HOST) << 10) | (index << 1);
      this.#low = this.#words[place];
      this.#high = this.#words[place + 1];
      if ((entry & PAGE_ROM) !== 0) place = -1;
    }
    if (this.observer !== null) this.#reportStep(cpu, level, table * 4096 + index * 8);
    return place;
  }

  #notPresent(): boolean {
    this.error = 0;
    return false;
  }

  #reserved(): boolean {
    this.error = PageFault.PRESENT | PageFault.RESERVED;
    return false;
  }

  #reportStep(cpu: CpuState, level: number, address: number): void {
    this.observer?.step?.(cpu, ENTRY_NAMES[level], address, this.#low >>> 0, this.#high >>> 0);
  }

  #reportTranslation(cpu: CpuState, lo: number, hi: number, access: number): void {
    const physical = this.page * 4096 + (lo & 0xfff);
    this.observer?.translated?.(cpu, lo, hi, access, physical, this.pageShift);
  }
}

/**
 * Loads the four PDPTE registers from the table at CR3 (4.4.1). `false`, and nothing changed, if a present
 * entry has a reserved bit set: the instruction that loads CR3 raises #GP(0).
 */
export function loadPdptes(
  physical: PhysicalMemory,
  controls: PagingControls,
  cr3: number,
  pdptes: Int32Array,
): boolean {
  // CR3[31:5] is the table's address, table 4-7.
  const table = (cr3 & ~31) >>> 0;
  const loaded: number[] = [];
  for (let i = 0; i < 4; i++) {
    const low = physical.read32(table + i * 8) | 0;
    const high = physical.read32(table + i * 8 + 4) | 0;
    if ((low & P) !== 0 && ((low & RESERVED_PDPTE_LOW) !== 0 || (high & ~controls.addressHigh) !== 0)) {
      return false;
    }
    loaded.push(low, high);
  }
  pdptes.set(loaded);
  return true;
}
