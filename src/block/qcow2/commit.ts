/**
 * How the tables of an image reach its file: all at once.
 *
 * A changed L2 table, the L1 table, changed refcount blocks and the refcount table are written to clusters that are free
 * in the image on the disk. It stays what it was until the header is written, which names the new L1 table and the
 * new refcount table in one write of less than a sector. So the file is a consistent image, without leaked
 * clusters, at every moment, however the emulator or the host ends; what it loses is what was not flushed. The price is that a
 * flush after an allocation writes a few whole clusters. Flushes between which only allocated clusters were written to
 * cost nothing but the flush.
 */
import type { HostFile } from "../host-file.ts";
import { FIELD, type Header, write64 } from "./header.ts";
import type { Mapping } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";

export class Commit {
  readonly refcounts: Refcounts;
  readonly #file: HostFile;
  readonly #clusterSize: number;
  readonly #header: Uint8Array<ArrayBuffer>;
  readonly #mapping: Mapping;
  #failure: Error | null = null;

  /** @param headerBytes the header as it is in the file */
  constructor(
    file: HostFile,
    header: Header,
    headerBytes: Uint8Array,
    mapping: Mapping,
    refcounts: Refcounts,
  ) {
    this.#file = file;
    this.#clusterSize = 2 ** header.clusterBits;
    this.#header = headerBytes.slice();
    // Whoever writes to an image clears those that he does not keep up to date.
    if (header.version >= 3) this.#header.fill(0, FIELD.AUTOCLEAR_FEATURES, FIELD.AUTOCLEAR_FEATURES + 8);
    this.#mapping = mapping;
    this.refcounts = refcounts;
  }

  /** The tables in memory are lost, those in the file stay. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  /** @throws what has made the image unusable for writing */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * Makes the present state that of the file, on the disk.
   * @throws an error of the host. The file has the old state; if there was no room, a later attempt may succeed.
   */
  run(): void {
    this.check();
    if (!this.#mapping.isDirty && !this.refcounts.isDirty) {
      this.#sync();
      return;
    }
    this.#place();
    this.#mapping.write();
    this.refcounts.write();
    this.#file.extend(Math.ceil(this.#file.length / this.#clusterSize) * this.#clusterSize);
    // The disk must not have the header before it has what the header names.
    this.#sync();
    this.#writeHeader();
    // Nor may it have anything new where the old header led: from `committed` on, those clusters are free to be taken.
    this.#sync();
    this.#mapping.committed();
    this.refcounts.committed();
  }

  #place(): void {
    try {
      this.#mapping.place(this.refcounts);
      this.refcounts.place();
    } catch (error) {
      // What was placed and what was not is not known any more.
      this.fail(error as Error);
      throw error;
    }
  }

  /** After a failure nobody knows what is on the disk: the host may have given up pages that were not written. */
  #sync(): void {
    try {
      this.#file.sync();
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
  }

  #writeHeader(): void {
    const view = new DataView(this.#header.buffer);
    write64(view, FIELD.L1_TABLE_OFFSET, this.#mapping.l1Place.start * this.#clusterSize);
    const { start, count } = this.refcounts.tablePlace;
    write64(view, FIELD.REFCOUNT_TABLE_OFFSET, start * this.#clusterSize);
    view.setUint32(FIELD.REFCOUNT_TABLE_CLUSTERS, count);
    this.#file.write(0, this.#header);
  }
}
