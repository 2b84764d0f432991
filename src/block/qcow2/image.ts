/**
 * A qcow2 image as a disk.
 *
 * Tables are changed in memory and reach the file when the guest flushes, when too many of them wait, and at the end:
 * see commit.ts. Nothing that an image holds can end the emulator: what cannot be so is an I/O error for the guest.
 */
import { type BlockStore, StoreError } from "../../devices/virtio/block.ts";
import { type FailureListener, Failures, type Operation } from "../failures.ts";
import type { HostFile } from "../host-file.ts";
import { Changes } from "./changes.ts";
import { Commit } from "./commit.ts";
import { decompress } from "./compression.ts";
import { CorruptImage } from "./errors.ts";
import type { Header } from "./header.ts";
import { type Mapped, Mapping } from "./mapping.ts";
import { Refcounts } from "./refcounts.ts";
import { verify } from "./verify.ts";

/** Decompressed clusters that are kept: a guest reads on where it has read. */
const MOST_DECOMPRESSED = 4;

/** What is below an image: read only, a multiple of 512 bytes or not. */
export type Backing = Pick<BlockStore, "size" | "read">;

export interface ImageParts {
  readonly file: HostFile;
  readonly header: Header;
  /** The header as it is in the file. */
  readonly headerBytes: Uint8Array;
  readonly backing: Backing | null;
  readonly readonly: boolean;
}

interface Writing {
  readonly commit: Commit;
  readonly changes: Changes;
}

export class Qcow2Image implements BlockStore {
  readonly size: number;
  readonly readonly: boolean;
  readonly #file: HostFile;
  readonly #clusterSize: number;
  readonly #header: Header;
  readonly #backing: Backing | null;
  readonly #failures: Failures;
  readonly #mapping: Mapping;
  /** Null if the image is only read. */
  readonly #writing: Writing | null;
  readonly #decompressed = new Map<number, Uint8Array>();

  /**
   * Takes over an open file.
   * @throws CorruptImage; an error of the host
   */
  constructor(parts: ImageParts, onFailure: FailureListener) {
    const { file, header } = parts;
    this.#file = file;
    this.#header = header;
    this.#clusterSize = 2 ** header.clusterBits;
    this.size = header.size;
    this.readonly = parts.readonly;
    this.#backing = parts.backing;
    this.#failures = new Failures(onFailure);
    this.#mapping = new Mapping(file, header);
    this.#writing = parts.readonly ? null : this.#prepareWriting(parts.headerBytes);
  }

  #prepareWriting(headerBytes: Uint8Array): Writing {
    const refcounts = new Refcounts(this.#file, this.#header);
    verify(this.#file, this.#header, this.#mapping, refcounts);
    const commit = new Commit(this.#file, this.#header, headerBytes, this.#mapping, refcounts);
    const changes = new Changes(this.#file, this.#mapping, commit, {
      clusterSize: this.#clusterSize,
      version: this.#header.version,
      size: this.size,
      backingSize: this.#backing?.size ?? null,
      contents: (cluster, mapped) => this.#contents(cluster, mapped),
      forget: (offset) => this.#decompressed.delete(offset),
    });
    return { commit, changes };
  }

  read(offset: number, target: Uint8Array): void {
    this.#attempt("read", () => this.#read(offset, target));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#change((changes) => changes.write(offset, bytes));
  }

  writeZeroes(offset: number, length: number): void {
    this.#change((changes) => changes.zero(offset, length));
  }

  discard(offset: number, length: number): void {
    this.#change((changes) => changes.discard(offset, length));
  }

  flush(): void {
    const writing = this.#writing;
    if (writing !== null) this.#attempt("flush", () => writing.commit.run());
  }

  /** Writes what waits in memory, and closes the file. A failure is told, not thrown. */
  close(): void {
    try {
      if (this.#writing !== null && !this.#writing.commit.failed) this.flush();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#file.close();
    }
  }

  #attempt(operation: Operation, run: () => void): void {
    try {
      run();
    } catch (error) {
      // A backing file has told of its own.
      if (error instanceof StoreError) throw error;
      this.#failures.tell(operation, error);
      throw new StoreError((error as Error).message);
    }
  }

  #change(run: (changes: Changes) => void): void {
    const writing = this.#writing;
    if (writing === null) throw new StoreError("the image is only read");
    const { commit, changes } = writing;
    this.#attempt("write", () => {
      commit.check();
      try {
        run(changes);
      } catch (error) {
        // Where one thing is wrong, more may be: the file is kept as it is.
        if (error instanceof CorruptImage) commit.fail(error);
        throw error;
      }
    });
  }

  #read(offset: number, target: Uint8Array): void {
    for (let at = 0; at < target.length; ) {
      const cluster = Math.floor((offset + at) / this.#clusterSize);
      const within = offset + at - cluster * this.#clusterSize;
      const mapped = this.#mapping.find(cluster);
      // Neighbours that continue each other are read at once.
      let part = this.#clusterSize - within;
      for (let next = 1; part < target.length - at; next++, part += this.#clusterSize) {
        if (!this.#continues(mapped, this.#mapping.find(cluster + next), next)) break;
      }
      const piece = target.subarray(at, Math.min(target.length, at + part));
      this.#readMapped(mapped, offset + at, within, piece);
      at += piece.length;
    }
  }

  #continues(first: Mapped, mapped: Mapped, distance: number): boolean {
    if (first.kind === "data" && mapped.kind === "data") {
      return mapped.offset === first.offset + distance * this.#clusterSize;
    }
    return first.kind === mapped.kind && (first.kind === "zero" || first.kind === "unallocated");
  }

  /** @param offset on the disk @param within the first cluster */
  #readMapped(mapped: Mapped, offset: number, within: number, target: Uint8Array): void {
    switch (mapped.kind) {
      case "data":
        this.#file.read(mapped.offset + within, target);
        return;
      case "zero":
        target.fill(0);
        return;
      case "compressed":
        target.set(this.#decompress(mapped).subarray(within, within + target.length));
        return;
      case "unallocated": {
        const backing = this.#backing;
        const below = backing === null ? 0 : Math.max(0, Math.min(target.length, backing.size - offset));
        if (below > 0) backing?.read(offset, target.subarray(0, below));
        target.fill(0, below);
      }
    }
  }

  /** The last cluster may reach beyond the disk, where a backing file may have bytes that are not the disk's. */
  #contents(cluster: number, mapped: Mapped): Uint8Array {
    const bytes = new Uint8Array(this.#clusterSize);
    const offset = cluster * this.#clusterSize;
    this.#readMapped(mapped, offset, 0, bytes.subarray(0, Math.min(bytes.length, this.size - offset)));
    return bytes;
  }

  #decompress({ offset, length }: { readonly offset: number; readonly length: number }): Uint8Array {
    const known = this.#decompressed.get(offset);
    if (known !== undefined) return known;
    const data = new Uint8Array(length);
    this.#file.read(offset, data);
    const bytes = decompress(this.#header.compression, data, this.#clusterSize);
    for (const oldest of this.#decompressed.keys()) {
      if (this.#decompressed.size < MOST_DECOMPRESSED) break;
      this.#decompressed.delete(oldest);
    }
    this.#decompressed.set(offset, bytes);
    return bytes;
  }
}
