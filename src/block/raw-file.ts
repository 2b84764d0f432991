/**
 * A raw disk image: byte n of the file is byte n of the disk.
 *
 * I/O is synchronous: the guest's time stands still meanwhile, and when a request completes is a matter of virtual time
 * alone.
 */
import { closeSync, fdatasyncSync, readSync, writeSync } from "node:fs";
import { type BlockStore, StoreError } from "../devices/virtio/block.ts";

/** Zeroes are written in pieces of this many bytes. */
const ZEROES = new Uint8Array(256 * 1024);

/** Told of the first failure of each kind: an operation and the host's error code. */
export type FailureListener = (operation: "read" | "write" | "flush", error: unknown) => void;

export class RawFile implements BlockStore {
  readonly size: number;
  readonly readonly: boolean;
  readonly #fd: number;
  readonly #onFailure: FailureListener;
  readonly #told = new Set<string>();

  /**
   * Takes over an open file.
   * @param size bytes, a multiple of 512
   */
  constructor(fd: number, size: number, readonly: boolean, onFailure: FailureListener) {
    this.#fd = fd;
    this.size = size;
    this.readonly = readonly;
    this.#onFailure = onFailure;
  }

  read(offset: number, target: Uint8Array): void {
    this.#attempt("read", () => {
      for (let at = 0; at < target.length; ) {
        const count = readSync(this.#fd, target, at, target.length - at, offset + at);
        if (count === 0) throw new Error("the file has become shorter");
        at += count;
      }
    });
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#attempt("write", () => this.#writeAll(offset, bytes));
  }

  writeZeroes(offset: number, length: number): void {
    this.#attempt("write", () => {
      for (let at = 0; at < length; at += ZEROES.length) {
        this.#writeAll(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)));
      }
    });
  }

  /** A file keeps its blocks: holes cannot be made from here. What is discarded stays readable. */
  discard(): void {}

  flush(): void {
    this.#attempt("flush", () => fdatasyncSync(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #writeAll(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(this.#fd, bytes, at, bytes.length - at, offset + at);
    }
  }

  #attempt(operation: "read" | "write" | "flush", run: () => void): void {
    try {
      run();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const kind = `${operation} ${code ?? message}`;
      if (!this.#told.has(kind)) this.#onFailure(operation, error);
      this.#told.add(kind);
      throw new StoreError(message);
    }
  }
}
