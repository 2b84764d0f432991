/**
 * Where the guest's clusters are: the active L1 table and its L2 tables ("Cluster mapping").
 *
 * Entries are checked when they are used: an offset that is not aligned, lies behind the end of the file or has
 * reserved bits set is an error of the image.
 */
import type { HostFile } from "../host-file.ts";
import { CorruptImage, hex } from "./errors.ts";
import type { Header } from "./header.ts";
import type { Refcounts } from "./refcounts.ts";

/** L2 tables are kept up to this many bytes: with clusters of 64 KiB, those of a disk of 128 GiB. */
const CACHE = 16 * 2 ** 20;
const FEWEST_TABLES = 8;

/** Bits of the upper half of an entry of either table. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
const OFFSET_HIGH = 0x00ff_ffff;
const OFFSET_LOW = 0xffff_fe00;
/** Bit of the lower half of an L2 entry. */
const ZERO = 1;

/**
 * What one L2 entry says. `offset` is the cluster's in the file; of a zero cluster, one that is kept for it, or 0. Of a
 * compressed cluster it is where its data begins, anywhere in a sector, and `length` is how many bytes it may have.
 */
export type Mapped =
  | { readonly kind: "unallocated" }
  | { readonly kind: "zero"; readonly offset: number; readonly copied: boolean }
  | { readonly kind: "data"; readonly offset: number; readonly copied: boolean }
  | { readonly kind: "compressed"; readonly offset: number; readonly length: number };

const UNALLOCATED: Mapped = { kind: "unallocated" };

interface L2Table {
  readonly index: number;
  readonly view: DataView<ArrayBuffer>;
  dirty: boolean;
  placed: boolean;
}

export class Mapping {
  /** Entries in an L2 table. */
  readonly entries: number;
  readonly #file: HostFile;
  readonly #clusterSize: number;
  readonly #version: 2 | 3;
  /** Bits of a compressed cluster's offset in the upper half of an entry; those above count sectors. */
  readonly #compressedBits: number;
  readonly #l1: DataView<ArrayBuffer>;
  #place: { start: number; count: number };
  #spare: { start: number; count: number } | null = null;
  #l1Placed = false;
  /** The one used last is the last. */
  readonly #tables = new Map<number, L2Table>();
  readonly #dirty = new Set<L2Table>();
  readonly #mostTables: number;

  /** @throws CorruptImage; an error of the host */
  constructor(file: HostFile, header: Header) {
    this.#file = file;
    this.#clusterSize = 2 ** header.clusterBits;
    this.entries = this.#clusterSize / 8;
    this.#version = header.version;
    this.#compressedBits = 62 - (header.clusterBits - 8) - 32;
    this.#mostTables = Math.max(FEWEST_TABLES, CACHE / this.#clusterSize);
    this.#l1 = new DataView(new ArrayBuffer(header.l1Size * 8));
    file.read(header.l1Offset, new Uint8Array(this.#l1.buffer));
    this.#place = {
      start: header.l1Offset / this.#clusterSize,
      count: Math.ceil((header.l1Size * 8) / this.#clusterSize),
    };
    for (let index = 0; index < header.l1Size; index++) this.#checkL1(index);
  }

  #checkL1(index: number): void {
    const high = this.#l1.getUint32(index * 8);
    const offset = this.#tableOffset(index);
    if (
      (high & ~(COPIED | OFFSET_HIGH)) !== 0 ||
      offset % this.#clusterSize !== 0 ||
      offset >= this.#file.length ||
      (offset === 0 && high !== 0)
    ) {
      throw new CorruptImage(`L1 entry ${index} is ${hex(high)} ${hex(this.#l1.getUint32(index * 8 + 4))}`);
    }
  }

  /** The L1 table: a first cluster, and how many. */
  get l1Place(): { readonly start: number; readonly count: number } {
    return this.#place;
  }

  get l1Size(): number {
    return this.#l1.byteLength / 8;
  }

  /** Bytes of memory that wait for a commit. */
  get dirtyBytes(): number {
    return this.#dirty.size * this.#clusterSize;
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Cluster of an L2 table in the file, and whether the entry says that its refcount is 1; null where there is none. */
  tableCluster(index: number): { readonly cluster: number; readonly copied: boolean } | null {
    const offset = this.#tableOffset(index);
    if (offset === 0) return null;
    return {
      cluster: offset / this.#clusterSize,
      copied: (this.#l1.getUint32(index * 8) & COPIED) !== 0,
    };
  }

  /** Whether any cluster with this number of an L2 table may be mapped. */
  hasTable(index: number): boolean {
    return this.#tables.has(index) || this.#tableOffset(index) !== 0;
  }

  /** @param cluster of the guest */
  find(cluster: number): Mapped {
    const table = this.#table(Math.floor(cluster / this.entries));
    if (table === null) return UNALLOCATED;
    const at = (cluster % this.entries) * 8;
    const high = table.view.getUint32(at);
    const low = table.view.getUint32(at + 4);
    if (high === 0 && low === 0) return UNALLOCATED;
    return (high & COMPRESSED) === 0
      ? this.#standard(cluster, high, low)
      : this.#compressed(cluster, high, low);
  }

  #standard(cluster: number, high: number, low: number): Mapped {
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
    const copied = (high & COPIED) !== 0;
    const zero = (low & ZERO) !== 0;
    const reserved = (high & ~(COPIED | OFFSET_HIGH)) | (low & ~(OFFSET_LOW | ZERO));
    if (
      reserved !== 0 ||
      (zero && this.#version === 2) ||
      offset % this.#clusterSize !== 0 ||
      offset >= this.#file.length ||
      (offset === 0 && copied)
    ) {
      throw new CorruptImage(`the entry of cluster ${cluster} is ${hex(high)} ${hex(low)}`);
    }
    if (zero) return { kind: "zero", offset, copied };
    return offset === 0 ? UNALLOCATED : { kind: "data", offset, copied };
  }

  #compressed(cluster: number, high: number, low: number): Mapped {
    const bits = this.#compressedBits;
    const offset = (high & (2 ** Math.min(bits, 24) - 1)) * 2 ** 32 + low;
    const above = bits > 24 ? (high & 0x3fff_ffff & (2 ** bits - 1)) >>> 24 : 0;
    const sectors = ((high & 0x3fff_ffff) >>> bits) + 1;
    if (above !== 0 || (high & COPIED) !== 0 || offset < this.#clusterSize || offset >= this.#file.length) {
      throw new CorruptImage(`the entry of compressed cluster ${cluster} is ${hex(high)} ${hex(low)}`);
    }
    return { kind: "compressed", offset, length: sectors * 512 - (offset % 512) };
  }

  /** @param cluster of the guest @param offset of its cluster in the file, whose refcount is 1 */
  setData(cluster: number, offset: number): void {
    this.#set(cluster, (Math.floor(offset / 2 ** 32) | COPIED) >>> 0, offset % 2 ** 32);
  }

  /** Reads as zeroes, whatever a backing file has. Version 3. */
  setZero(cluster: number): void {
    this.#set(cluster, 0, ZERO);
  }

  setUnallocated(cluster: number): void {
    this.#set(cluster, 0, 0);
  }

  #set(cluster: number, high: number, low: number): void {
    const index = Math.floor(cluster / this.entries);
    const table = this.#table(index) ?? this.#keep(this.#newTable(index));
    table.view.setUint32((cluster % this.entries) * 8, high);
    table.view.setUint32((cluster % this.entries) * 8 + 4, low);
    table.dirty = true;
    this.#dirty.add(table);
  }

  /** Gives dirty L2 tables and the L1 table their places in the next state of the image. */
  place(refcounts: Refcounts): void {
    for (const table of this.#dirty) {
      if (table.placed) continue;
      const old = this.tableCluster(table.index);
      const place = refcounts.allocateTable();
      table.placed = true;
      const offset = place * this.#clusterSize;
      this.#l1.setUint32(table.index * 8, (Math.floor(offset / 2 ** 32) | COPIED) >>> 0);
      this.#l1.setUint32(table.index * 8 + 4, offset % 2 ** 32);
      if (old !== null) refcounts.releaseTable(old.cluster);
    }
    if (this.#dirty.size === 0 || this.#l1Placed) return;
    const old = this.#place;
    this.#place = { start: refcounts.allocateRun(old.count, this.#spare), count: old.count };
    this.#l1Placed = true;
    for (let i = 0; i < old.count; i++) refcounts.releaseTable(old.start + i);
    this.#spare = old;
  }

  /** Writes what has a new place. */
  write(): void {
    if (this.#dirty.size === 0) return;
    for (const table of this.#dirty) {
      this.#file.write(this.#tableOffset(table.index), new Uint8Array(table.view.buffer));
    }
    this.#file.write(this.#place.start * this.#clusterSize, new Uint8Array(this.#l1.buffer));
  }

  /** The image on the disk is the present one. */
  committed(): void {
    for (const table of this.#dirty) {
      table.dirty = false;
      table.placed = false;
    }
    this.#dirty.clear();
    this.#l1Placed = false;
    this.#forgetTables();
  }

  #tableOffset(index: number): number {
    const high = this.#l1.getUint32(index * 8);
    return (high & OFFSET_HIGH) * 2 ** 32 + this.#l1.getUint32(index * 8 + 4);
  }

  #table(index: number): L2Table | null {
    const known = this.#tables.get(index);
    if (known !== undefined) {
      this.#tables.delete(index);
      this.#tables.set(index, known);
      return known;
    }
    const offset = this.#tableOffset(index);
    if (offset === 0) return null;
    const table = this.#newTable(index);
    this.#file.read(offset, new Uint8Array(table.view.buffer));
    return this.#keep(table);
  }

  #newTable(index: number): L2Table {
    const view = new DataView(new ArrayBuffer(this.#clusterSize));
    return { index, view, dirty: false, placed: false };
  }

  #keep(table: L2Table): L2Table {
    this.#tables.set(table.index, table);
    this.#forgetTables();
    return table;
  }

  #forgetTables(): void {
    for (const [index, table] of this.#tables) {
      if (this.#tables.size <= this.#mostTables) return;
      // A table with neither contents nor place is the one just made: its first entry follows.
      if (!table.dirty && this.#tableOffset(index) !== 0) this.#tables.delete(index);
    }
  }
}
