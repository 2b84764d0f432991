/**
 * The physical address space as the processor sees it: RAM, ROM, and holes where the bus answers.
 *
 * Guest RAM is flat in the WebAssembly memory from `RAM` (src/cpu/layout.ts): low RAM [0, lowSize) first,
 * then high RAM, which the guest sees from 4 GiB. A ROM is a part of that RAM which the guest cannot write
 * (shadow RAM, as a PC's chipset has it); a hole in it hides the RAM below. All boundaries are multiples of
 * 4 KiB. Physical addresses are numbers, exact up to 2^52.
 *
 * Every page of RAM or ROM has an entry in the page index: its host page number and flags. Entry 0 means that
 * the bus answers.
 */
import { RAM } from "../cpu/layout.ts";
import { CodePages, PAGE_CODE } from "./code-pages.ts";

export type RegionKind = "RAM" | "ROM" | "hole";

export interface Region {
  readonly base: number;
  readonly size: number;
  readonly kind: RegionKind;
  /** Host address of the first byte; 0 for a hole. */
  readonly host: number;
}

/** Entry of the page index: number of the host page, i.e. host address >> 12. */
export const PAGE_HOST = 0xf_ffff;
/** Entry of the page index: stores have no effect. */
export const PAGE_ROM = 1 << 20;
export { PAGE_CODE };

const PAGE = 4096;
const HIGH_RAM = 2 ** 32;
const HIGH_RAM_PAGE = HIGH_RAM / PAGE;
const RAM_HOST_PAGE = RAM / PAGE;

export interface PhysicalMemoryOptions {
  /** Bytes of RAM from address 0; a multiple of 4 KiB, at most 4 GiB. */
  readonly lowSize: number;
  /** Bytes of RAM from 4 GiB. */
  readonly highSize?: number;
}

export class PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly lowSize: number;
  readonly highSize: number;
  /** The page index by physical page number; pages at or beyond its length are holes. */
  readonly pages: Int32Array;
  readonly code: CodePages;
  /** Called after the map changed: whatever was cached by physical address is stale. */
  onMapChange: (() => void) | null = null;

  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #regions: Region[] = [];

  /** 64-KiB pages that a WebAssembly memory needs for `ramSize` bytes of guest RAM. */
  static wasmPages(ramSize: number): number {
    return Math.ceil((RAM + ramSize) / 0x1_0000);
  }

  constructor(memory: WebAssembly.Memory, options: PhysicalMemoryOptions) {
    this.memory = memory;
    this.lowSize = options.lowSize;
    this.highSize = options.highSize ?? 0;
    if (this.lowSize % PAGE !== 0 || this.highSize % PAGE !== 0 || this.lowSize > HIGH_RAM) {
      throw new RangeError("RAM sizes must be multiples of 4 KiB, low RAM at most 4 GiB");
    }
    if (memory.buffer.byteLength < RAM + this.size) {
      throw new RangeError(`${this.size} bytes of RAM do not fit into the WebAssembly memory`);
    }
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    const lowPages = this.lowSize / PAGE;
    const highPages = this.highSize / PAGE;
    this.pages = new Int32Array(highPages > 0 ? HIGH_RAM_PAGE + highPages : lowPages);
    for (let page = 0; page < lowPages; page++) this.pages[page] = RAM_HOST_PAGE + page;
    for (let page = 0; page < highPages; page++) {
      this.pages[HIGH_RAM_PAGE + page] = RAM_HOST_PAGE + lowPages + page;
    }
    this.code = new CodePages(this.pages);
    this.#rebuildRegions();
  }

  /** Bytes of RAM, those below holes included. */
  get size(): number {
    return this.lowSize + this.highSize;
  }

  /** RAM, ROM and the holes between them in address order; everything above the last is a hole too. */
  get regions(): readonly Region[] {
    return this.#regions;
  }

  /**
   * Makes [base, base + size) RAM, ROM or a hole. Only addresses of the flat RAM can be changed, and the
   * contents stay. Throws a RangeError for anything else.
   */
  map(base: number, size: number, kind: RegionKind): void {
    if (base % PAGE !== 0 || size % PAGE !== 0 || size <= 0 || !this.#isBacked(base, size)) {
      throw new RangeError(
        `${kind} at 0x${base.toString(16)}, 0x${size.toString(16)} bytes: not pages of RAM`,
      );
    }
    for (let page = base / PAGE; page < (base + size) / PAGE; page++) {
      if ((this.pages[page] & PAGE_CODE) !== 0) this.code.onCodeWrite?.(page);
      this.code.clear(page);
      const host = this.#hostPage(page);
      this.pages[page] = kind === "hole" ? 0 : kind === "ROM" ? host | PAGE_ROM : host;
    }
    this.#rebuildRegions();
    this.onMapChange?.();
  }

  /** Entry of the page index for physical page number `page`; 0 where the bus answers. */
  entry(page: number): number {
    return page < this.pages.length ? this.pages[page] : 0;
  }

  /** Host address of the byte at `address`, unsigned; 0 where the bus answers. */
  hostAddress(address: number): number {
    const page = Math.floor(address / PAGE);
    const entry = this.entry(page);
    return entry === 0 ? 0 : (entry & PAGE_HOST) * PAGE + (address - page * PAGE);
  }

  /** Number of the physical page that lies at host page `hostPage` of the RAM area. */
  pageOfHostPage(hostPage: number): number {
    const flat = hostPage - RAM_HOST_PAGE;
    const lowPages = this.lowSize / PAGE;
    return flat < lowPages ? flat : flat - lowPages + HIGH_RAM_PAGE;
  }

  /** Whether all of [address, address + length) is RAM. */
  isRam(address: number, length: number): boolean {
    if (address < 0 || length < 0) return false;
    const region = this.#regions.find((r) => r.base <= address && address < r.base + r.size);
    return region?.kind === "RAM" && address + length <= region.base + region.size;
  }

  /** The bytes of [address, address + length) themselves, if all are RAM; stores to them are not seen. */
  view(address: number, length: number): Uint8Array | null {
    if (!this.isRam(address, length)) return null;
    const host = this.hostAddress(address);
    return this.#bytes.subarray(host, host + length);
  }

  /** A copy of `length` bytes; what is neither RAM nor ROM reads as FFH. */
  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    this.readInto(address, result);
    return result;
  }

  readInto(address: number, target: Uint8Array): void {
    this.#eachPage(address, target.length, (page, offset, at, length) => {
      const entry = this.entry(page);
      if (entry === 0) target.fill(0xff, at, at + length);
      else {
        const host = (entry & PAGE_HOST) * PAGE + offset;
        target.set(this.#bytes.subarray(host, host + length), at);
      }
    });
  }

  /** Stores as a device's DMA or a loader does: code decoded there is dropped, ROM and holes stay as they are. */
  write(address: number, bytes: Uint8Array): void {
    this.#eachPage(address, bytes.length, (page, offset, at, length) => {
      const host = this.#writable(page, offset, length);
      if (host !== 0) this.#bytes.set(bytes.subarray(at, at + length), host);
    });
  }

  /** As `write`, with `length` bytes of one value. */
  fill(address: number, length: number, value: number): void {
    this.#eachPage(address, length, (page, offset, _at, part) => {
      const host = this.#writable(page, offset, part);
      if (host !== 0) this.#bytes.fill(value, host, host + part);
    });
  }

  /** Sets the contents of a ROM (or of RAM), as the factory does. */
  load(address: number, bytes: Uint8Array): void {
    this.#eachPage(address, bytes.length, (page, offset, at, length) => {
      const entry = this.entry(page);
      if (entry === 0) return;
      if ((entry & PAGE_CODE) !== 0) this.code.beforeWrite(page, offset, length);
      this.#bytes.set(bytes.subarray(at, at + length), (entry & PAGE_HOST) * PAGE + offset);
    });
  }

  /** Little-endian reads; the value must lie within one page. */
  read8(address: number): number {
    const host = this.hostAddress(address);
    return host === 0 ? 0xff : this.#bytes[host];
  }
  read16(address: number): number {
    const host = this.hostAddress(address);
    return host === 0 ? 0xffff : this.#view.getUint16(host, true);
  }
  read32(address: number): number {
    const host = this.hostAddress(address);
    return host === 0 ? 0xffff_ffff : this.#view.getUint32(host, true);
  }
  read64(address: number): bigint {
    const host = this.hostAddress(address);
    return host === 0 ? 0xffff_ffff_ffff_ffffn : this.#view.getBigUint64(host, true);
  }

  /** Little-endian stores, as `write`; the value must lie within one page. */
  write8(address: number, value: number): void {
    const host = this.#writableAt(address, 1);
    if (host !== 0) this.#bytes[host] = value;
  }
  write16(address: number, value: number): void {
    const host = this.#writableAt(address, 2);
    if (host !== 0) this.#view.setUint16(host, value, true);
  }
  write32(address: number, value: number): void {
    const host = this.#writableAt(address, 4);
    if (host !== 0) this.#view.setUint32(host, value, true);
  }
  write64(address: number, value: bigint): void {
    const host = this.#writableAt(address, 8);
    if (host !== 0) this.#view.setBigUint64(host, value, true);
  }

  #writableAt(address: number, length: number): number {
    const page = Math.floor(address / PAGE);
    return this.#writable(page, address - page * PAGE, length);
  }

  /** Host address for a store of `length` bytes, after the code there was dropped; 0 if it has no effect. */
  #writable(page: number, offset: number, length: number): number {
    const entry = this.entry(page);
    if (entry === 0 || (entry & PAGE_ROM) !== 0) return 0;
    if ((entry & PAGE_CODE) !== 0) this.code.beforeWrite(page, offset, length);
    return (entry & PAGE_HOST) * PAGE + offset;
  }

  #eachPage(
    address: number,
    length: number,
    visit: (page: number, offset: number, at: number, length: number) => void,
  ): void {
    for (let at = 0; at < length; ) {
      const page = Math.floor((address + at) / PAGE);
      const offset = address + at - page * PAGE;
      const part = Math.min(PAGE - offset, length - at);
      visit(page, offset, at, part);
      at += part;
    }
  }

  #isBacked(base: number, size: number): boolean {
    return (
      (base >= 0 && base + size <= this.lowSize) ||
      (base >= HIGH_RAM && base + size <= HIGH_RAM + this.highSize)
    );
  }

  #hostPage(page: number): number {
    return RAM_HOST_PAGE + (page < HIGH_RAM_PAGE ? page : page - HIGH_RAM_PAGE + this.lowSize / PAGE);
  }

  #rebuildRegions(): void {
    const regions: Region[] = [];
    const kindOf = (entry: number): RegionKind =>
      entry === 0 ? "hole" : (entry & PAGE_ROM) !== 0 ? "ROM" : "RAM";
    for (let page = 0; page < this.pages.length; ) {
      const kind = kindOf(this.pages[page]);
      let end = page + 1;
      while (end < this.pages.length && kindOf(this.pages[end]) === kind && end !== HIGH_RAM_PAGE) end++;
      const host = kind === "hole" ? 0 : (this.pages[page] & PAGE_HOST) * PAGE;
      regions.push({ base: page * PAGE, size: (end - page) * PAGE, kind, host });
      page = end;
    }
    this.#regions = regions;
  }
}
