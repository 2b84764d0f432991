/**
 * Writes, zeroes and discards: data into the file, what it means for the tables into memory.
 *
 * Data is in its place before a table says so. A request that fails on its way leaves the tables as if the rest had
 * never been asked for.
 */
import type { HostFile } from "../host-file.ts";
import type { Commit } from "./commit.ts";
import { CorruptImage, hex } from "./errors.ts";
import type { Mapped, Mapping } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";

/** Tables that wait for a commit may take this many bytes of memory each, L2 tables and refcounts. */
const MOST_DIRTY = 8 * 2 ** 20;

/** What is below and around the clusters that change. */
export interface Surroundings {
  readonly clusterSize: number;
  readonly version: 2 | 3;
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of the backing file; null without one. */
  readonly backingSize: number | null;
  /** All of a guest cluster as it is now. */
  contents(cluster: number, mapped: Mapped): Uint8Array;
  /** A compressed cluster at this place is no more. */
  forget(offset: number): void;
}

/** A guest cluster that gets a new place, and what it had before. */
interface Move {
  readonly cluster: number;
  readonly place: number;
  readonly old: Mapped;
}

/** Bytes of one request that go to neighbouring places of the file, and the moves that hold once they are there. */
class Run {
  #offset = 0;
  #from = 0;
  #to = 0;
  moves: Move[] = [];

  isContinuedBy(offset: number, at: number): boolean {
    return this.#to > this.#from && at === this.#to && offset === this.#offset + (this.#to - this.#from);
  }

  add(offset: number, at: number, length: number): void {
    if (!this.isContinuedBy(offset, at)) {
      this.#offset = offset;
      this.#from = at;
    }
    this.#to = at + length;
  }

  write(file: HostFile, bytes: Uint8Array): void {
    if (this.#to > this.#from) file.write(this.#offset, bytes.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}

export class Changes {
  readonly #file: HostFile;
  readonly #mapping: Mapping;
  readonly #refcounts: Refcounts;
  readonly #commit: Commit;
  readonly #around: Surroundings;

  constructor(file: HostFile, mapping: Mapping, commit: Commit, around: Surroundings) {
    this.#file = file;
    this.#mapping = mapping;
    this.#refcounts = commit.refcounts;
    this.#commit = commit;
    this.#around = around;
  }

  write(offset: number, bytes: Uint8Array): void {
    const run = new Run();
    let loose: number | null = null;
    try {
      this.#eachCluster(offset, bytes.length, (cluster, within, part, at) => {
        const old = this.#mapping.find(cluster);
        if (this.#isOwn(old)) {
          if (!run.isContinuedBy(old.offset + within, at)) this.#finish(run, bytes);
          run.add(old.offset + within, at, part);
          return;
        }
        // What may fail comes first, while nothing is taken.
        const isPart = part !== this.#around.clusterSize;
        const around =
          isPart && !this.#readsAsZeroes(cluster, old) ? this.#around.contents(cluster, old) : null;
        loose = this.#refcounts.allocate();
        const place = loose * this.#around.clusterSize;
        // A place that was used before has bytes of its own; one behind the end of the file has zeroes.
        const isAlone = isPart && (around !== null || !this.#file.isUntouched(place));
        if (isAlone || !run.isContinuedBy(place + within, at)) this.#finish(run, bytes);
        run.moves.push({ cluster, place, old });
        loose = null;
        if (isAlone) {
          const whole = around ?? new Uint8Array(this.#around.clusterSize);
          whole.set(bytes.subarray(at, at + part), within);
          this.#file.write(place, whole);
          this.#finish(run, bytes);
        } else run.add(place + within, at, part);
      });
      this.#finish(run, bytes);
    } catch (error) {
      if (loose !== null) this.#refcounts.release(loose);
      for (const { place } of run.moves) this.#refcounts.release(place / this.#around.clusterSize);
      throw error;
    }
    this.#relieve();
  }

  /** Writes a run's bytes; then the tables may say where they are. */
  #finish(run: Run, bytes: Uint8Array): void {
    run.write(this.#file, bytes);
    const { moves } = run;
    run.moves = [];
    for (const { cluster, place, old } of moves) {
      this.#remap(old, () => this.#mapping.setData(cluster, place));
    }
  }

  zero(offset: number, length: number): void {
    this.#eachCluster(offset, length, (cluster, within, part) => {
      this.#zeroPart(cluster, within, part);
      this.#relieve();
    });
  }

  #zeroPart(cluster: number, within: number, part: number): void {
    const { clusterSize, version, backingSize } = this.#around;
    const old = this.#mapping.find(cluster);
    if (this.#readsAsZeroes(cluster, old)) return;
    // Version 2 has no zero clusters: above a backing file zeroes are data.
    if (!this.#isWhole(cluster, within, part) || (version === 2 && backingSize !== null)) {
      this.write(cluster * clusterSize + within, new Uint8Array(part));
    } else this.#remapToNothing(cluster, old);
  }

  /** Whole clusters are given back; what is cut by the ends of the range stays. */
  discard(offset: number, length: number): void {
    const { version, backingSize } = this.#around;
    if (version === 2 && backingSize !== null) return;
    this.#eachCluster(offset, length, (cluster, within, part) => {
      if (!this.#isWhole(cluster, within, part)) return;
      const old = this.#mapping.find(cluster);
      if (old.kind === "unallocated" ? this.#readsAsZeroes(cluster, old) : isPlainZero(old)) return;
      this.#remapToNothing(cluster, old);
      this.#relieve();
    });
  }

  /** What a backing file has must not come back: a cluster above one is marked as zeroes. */
  #remapToNothing(cluster: number, old: Mapped): void {
    this.#remap(old, () => {
      if (this.#around.backingSize === null) this.#mapping.setUnallocated(cluster);
      else this.#mapping.setZero(cluster);
    });
  }

  /** Sets an entry, and gives up what it referred to before. If that fails, refcounts and entries are no longer one. */
  #remap(old: Mapped, set: () => void): void {
    try {
      set();
      this.#release(old);
    } catch (error) {
      this.#commit.fail(error as Error);
      throw error;
    }
  }

  #release(old: Mapped): void {
    if (old.kind === "unallocated" || old.offset === 0) return;
    const { clusterSize } = this.#around;
    const first = Math.floor(old.offset / clusterSize);
    let last = first;
    if (old.kind === "compressed") {
      last = Math.floor((old.offset + old.length - 1) / clusterSize);
      this.#around.forget(old.offset);
    }
    for (let cluster = first; cluster <= last; cluster++) {
      if (this.#refcounts.tables.has(cluster)) {
        throw new CorruptImage(`the guest's data at ${hex(old.offset)}, where a table is`);
      }
      this.#refcounts.release(cluster);
    }
  }

  /** Whether a cluster may be written where it is: nothing else refers to it. @throws CorruptImage */
  #isOwn(mapped: Mapped): mapped is Mapped & { kind: "data" } {
    if (mapped.kind !== "data" || !mapped.copied) return false;
    const cluster = mapped.offset / this.#around.clusterSize;
    if (this.#refcounts.get(cluster) !== 1 || this.#refcounts.tables.has(cluster)) {
      throw new CorruptImage(`the guest's data at ${hex(mapped.offset)}, which is not its own`);
    }
    return true;
  }

  #readsAsZeroes(cluster: number, mapped: Mapped): boolean {
    if (mapped.kind !== "unallocated") return mapped.kind === "zero";
    const { clusterSize, backingSize } = this.#around;
    return backingSize === null || cluster * clusterSize >= backingSize;
  }

  /** Whether this is all that the disk has of a cluster. */
  #isWhole(cluster: number, within: number, part: number): boolean {
    const { clusterSize, size } = this.#around;
    return within === 0 && (part === clusterSize || cluster * clusterSize + part === size);
  }

  /** Memory is bounded. To be called where the tables are in order. */
  #relieve(): void {
    if (this.#mapping.dirtyBytes > MOST_DIRTY || this.#refcounts.dirtyBytes > MOST_DIRTY) {
      this.#commit.run();
    }
  }

  #eachCluster(
    offset: number,
    length: number,
    visit: (cluster: number, within: number, part: number, at: number) => void,
  ): void {
    const { clusterSize } = this.#around;
    for (let at = 0; at < length; ) {
      const cluster = Math.floor((offset + at) / clusterSize);
      const within = offset + at - cluster * clusterSize;
      const part = Math.min(clusterSize - within, length - at);
      visit(cluster, within, part, at);
      at += part;
    }
  }
}

function isPlainZero(mapped: Mapped): boolean {
  return mapped.kind === "zero" && mapped.offset === 0;
}
