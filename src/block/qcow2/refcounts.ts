/**
 * Refcounts: which clusters of the file are in use, and by how many ("Host cluster management").
 *
 * The image on the disk is never changed where it is valid (see commit.ts): a cluster is free to be taken only if it is
 * free now and in the image on the disk, and changed refcount blocks get new places, as does the table.
 */
import type { HostFile } from "../host-file.ts";
import { CorruptImage, hex, UnsupportedImage } from "./errors.ts";
import { type Header, read64, write64 } from "./header.ts";
import { RefcountBlock, RefcountFormat } from "./refcount-block.ts";

/** Refcount blocks are kept up to this many bytes. */
const CACHE = 8 * 2 ** 20;
const FEWEST_BLOCKS = 16;
/** Clusters that a commit freed, kept at hand for the tables of the next one: so many bytes, but not too many or few. */
const RECYCLED = 2 ** 20;
const MOST_RECYCLED = 256;
const FEWEST_RECYCLED = 8;
/** QEMU's limit for the table. */
const LARGEST_TABLE = 8 * 2 ** 20;

/** Tables in an image that is written to, since the place of each is kept in mind: 32 GiB with the smallest clusters. */
const MOST_TABLES = 2 ** 20;

/** No cluster can be had. As the host says it of a file system. */
class ImageFull extends Error {
  readonly code = "EFBIG";
}

export class Refcounts {
  /** Clusters that hold tables of the image: never data, never to be taken. */
  readonly tables = new Set<number>();
  readonly #file: HostFile;
  readonly #format: RefcountFormat;
  readonly #clusterSize: number;
  /** Offsets of the blocks; 0 where all refcounts are 0. */
  readonly #table: number[] = [];
  /** Where the table is: a first cluster, and how many. */
  #place: { start: number; count: number };
  #spare: { start: number; count: number } | null = null;
  #tablePlaced = false;
  /** The one used last is the last. */
  readonly #blocks = new Map<number, RefcountBlock>();
  readonly #dirty = new Set<RefcountBlock>();
  /** Those of the dirty ones that have no place in the next state of the image. */
  readonly #unplaced = new Set<RefcountBlock>();
  readonly #mostBlocks: number;
  readonly #mostRecycled: number;
  /** Blocks in which nothing was free when last looked at. */
  readonly #full = new Set<number>();
  /** No data cluster is looked for below. */
  #next = 1;
  #recycled: number[] = [];
  #freed: number[] = [];
  #bytesRead = 0;

  /** @throws CorruptImage; an error of the host */
  constructor(file: HostFile, header: Header) {
    this.#file = file;
    this.#clusterSize = 2 ** header.clusterBits;
    this.#format = new RefcountFormat(header.refcountOrder, this.#clusterSize);
    this.#mostRecycled = Math.max(FEWEST_RECYCLED, Math.min(MOST_RECYCLED, RECYCLED / this.#clusterSize));
    this.#mostBlocks = Math.max(FEWEST_BLOCKS, CACHE / this.#clusterSize);
    this.#place = {
      start: header.refcountTableOffset / this.#clusterSize,
      count: header.refcountTableClusters,
    };
    this.#readTable();
    this.#noteRun(this.#place);
  }

  #readTable(): void {
    const bytes = new Uint8Array(this.#place.count * this.#clusterSize);
    this.#file.read(this.#place.start * this.#clusterSize, bytes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < bytes.length / 8; i++) {
      const offset = read64(view, i * 8);
      if (offset !== 0) {
        while (this.#table.length < i) this.#table.push(0);
        if (offset % this.#clusterSize !== 0 || offset >= this.#file.length) {
          throw new CorruptImage(`refcount table entry ${i} is ${hex(offset)}`);
        }
        this.#noteTable(offset / this.#clusterSize);
        this.#table.push(offset);
      }
    }
  }

  /** A cluster that the image says holds a table. @throws CorruptImage if another table has it already */
  #noteTable(cluster: number): void {
    if (this.tables.has(cluster)) {
      throw new CorruptImage(`two tables at ${hex(cluster * this.#clusterSize)}`);
    }
    if (this.tables.size === MOST_TABLES) {
      throw new UnsupportedImage(
        `a qcow2 image of more than ${MOST_TABLES} tables: qemu-img convert -o cluster_size=64k makes them fewer`,
      );
    }
    this.tables.add(cluster);
  }

  #noteRun({ start, count }: { start: number; count: number }): void {
    for (let i = 0; i < count; i++) this.#noteTable(start + i);
  }

  /** Clusters that hold the tables of others: the header, the L1 table, L2 tables, the snapshot table. @throws CorruptImage */
  noteTables(start: number, count: number): void {
    this.#noteRun({ start, count });
  }

  get tablePlace(): { readonly start: number; readonly count: number } {
    return this.#place;
  }

  /** Bytes of memory that wait for a commit. */
  get dirtyBytes(): number {
    return this.#dirty.size * 2 * this.#clusterSize + this.#freed.length * 8;
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Bytes of refcount blocks that were read so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  get(cluster: number): number {
    const index = Math.floor(cluster / this.#format.entries);
    if ((this.#table[index] ?? 0) === 0 && !this.#blocks.has(index)) return 0;
    return this.#format.get(this.#block(index).bytes, cluster % this.#format.entries);
  }

  /** Takes a free cluster for data; neighbours, where possible, in the order of the calls. @throws when the file cannot grow */
  allocate(): number {
    for (let cluster = this.#next; ; ) {
      const index = Math.floor(cluster / this.#format.entries);
      const from = cluster % this.#format.entries;
      const found = this.#full.has(index) ? -1 : this.#block(index).firstFree(this.#format, from);
      if (found >= 0) {
        cluster = index * this.#format.entries + found;
        this.#take(cluster);
        this.#next = cluster + 1;
        return cluster;
      }
      if (from === 0) this.#full.add(index);
      cluster = (index + 1) * this.#format.entries;
    }
  }

  /** Takes a free cluster for a table. */
  allocateTable(): number {
    let cluster = this.#recycled.pop();
    while (cluster !== undefined && !this.#isFree(cluster)) cluster = this.#recycled.pop();
    if (cluster === undefined) cluster = this.allocate();
    else this.#take(cluster);
    this.tables.add(cluster);
    return cluster;
  }

  /** Takes neighbouring free clusters for a table. @param spare where to look first */
  allocateRun(count: number, spare: { readonly start: number; readonly count: number } | null): number {
    if (count === 1) return this.allocateTable();
    let start = spare !== null && spare.count >= count ? spare.start : this.#next;
    for (let length = 0; length < count; ) {
      if (this.#isFree(start + length)) length++;
      else {
        start = Math.max(start + length + 1, this.#next);
        length = 0;
      }
    }
    for (let i = 0; i < count; i++) {
      this.#take(start + i);
      this.tables.add(start + i);
    }
    return start;
  }

  /** One reference to a cluster less. @throws CorruptImage if there was none */
  release(cluster: number): void {
    const count = this.get(cluster);
    if (count === 0) {
      throw new CorruptImage(
        `a cluster at ${hex(cluster * this.#clusterSize)} that is in use and counted free`,
      );
    }
    this.#set(cluster, count - 1);
    if (count > 1) return;
    if (this.#isFree(cluster)) this.#offer(cluster);
    else this.#freed.push(cluster);
  }

  releaseTable(cluster: number): void {
    this.tables.delete(cluster);
    this.release(cluster);
  }

  /** Gives dirty blocks and the table their places in the next state of the image. */
  place(): void {
    for (;;) {
      // Each place taken and each given up may make another block dirty, which joins the set; each is placed once.
      for (const block of this.#unplaced) this.#placeBlock(block);
      const count = Math.ceil((this.#table.length * 8) / this.#clusterSize);
      if (this.#tablePlaced && this.#place.count >= count) return;
      const old = this.#place;
      this.#place = { start: this.allocateRun(count, this.#spare), count };
      for (let i = 0; i < old.count; i++) this.releaseTable(old.start + i);
      this.#spare = old;
      this.#tablePlaced = true;
    }
  }

  #placeBlock(block: RefcountBlock): void {
    const old = this.#table[block.index]!;
    this.#table[block.index] = this.allocateTable() * this.#clusterSize;
    this.#unplaced.delete(block);
    if (old !== 0) this.releaseTable(old / this.#clusterSize);
  }

  /** Writes what has a new place. */
  write(): void {
    for (const block of this.#dirty) this.#file.write(this.#table[block.index]!, block.bytes);
    const bytes = new Uint8Array(this.#place.count * this.#clusterSize);
    const view = new DataView(bytes.buffer);
    this.#table.forEach((offset, i) => {
      write64(view, i * 8, offset);
    });
    this.#file.write(this.#place.start * this.#clusterSize, bytes);
  }

  /** The image on the disk is the present one: what it no longer uses is free. */
  committed(): void {
    for (const block of this.#dirty) block.committed = null;
    this.#dirty.clear();
    this.#tablePlaced = false;
    for (const cluster of this.#freed) this.#offer(cluster);
    this.#freed = [];
    this.#forgetBlocks();
  }

  #offer(cluster: number): void {
    this.#full.delete(Math.floor(cluster / this.#format.entries));
    if (this.#recycled.length < this.#mostRecycled) this.#recycled.push(cluster);
    else this.#next = Math.min(this.#next, cluster);
  }

  #isFree(cluster: number): boolean {
    const block = this.#block(Math.floor(cluster / this.#format.entries));
    return block.isFree(this.#format, cluster % this.#format.entries);
  }

  #take(cluster: number): void {
    if (this.tables.has(cluster)) {
      throw new CorruptImage(`a table at ${hex(cluster * this.#clusterSize)} that is counted free`);
    }
    this.#set(cluster, 1);
  }

  #set(cluster: number, count: number): void {
    const block = this.#block(Math.floor(cluster / this.#format.entries));
    if (block.committed === null) {
      block.committed = block.bytes.slice();
      this.#dirty.add(block);
      this.#unplaced.add(block);
    }
    this.#format.set(block.bytes, cluster % this.#format.entries, count);
  }

  #block(index: number): RefcountBlock {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      block = this.#load(index);
      this.#forgetBlocks();
    } else this.#blocks.delete(index);
    this.#blocks.set(index, block);
    return block;
  }

  #load(index: number): RefcountBlock {
    if (index * 8 >= LARGEST_TABLE) throw new ImageFull("a qcow2 image that cannot grow further");
    while (this.#table.length <= index) this.#table.push(0);
    const bytes = new Uint8Array(this.#clusterSize);
    const offset = this.#table[index]!;
    if (offset !== 0) {
      this.#file.read(offset, bytes);
      this.#bytesRead += bytes.length;
    }
    return new RefcountBlock(index, bytes);
  }

  #forgetBlocks(): void {
    for (const [index, block] of this.#blocks) {
      if (this.#blocks.size <= this.#mostBlocks) return;
      if (block.committed === null) this.#blocks.delete(index);
    }
  }
}
