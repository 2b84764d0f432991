/** A raw disk image: byte n of the file is byte n of the disk. */
import type { BlockStore } from "../devices/virtio/block.ts";
import { type FailureListener, Failures } from "./failures.ts";
import { HostFile } from "./host-file.ts";

/** Zeroes are written in pieces of this many bytes. */
const ZEROES = new Uint8Array(256 * 1024);

export class RawFile implements BlockStore {
  readonly size: number;
  readonly readonly: boolean;
  readonly #file: HostFile;
  readonly #failures: Failures;

  /**
   * Takes over an open file.
   * @param size bytes, a multiple of 512 unless it is only read as a backing file
   */
  constructor(fd: number, size: number, readonly: boolean, onFailure: FailureListener) {
    this.#file = new HostFile(fd, size);
    this.size = size;
    this.readonly = readonly;
    this.#failures = new Failures(onFailure);
  }

  read(offset: number, target: Uint8Array): void {
    this.#failures.attempt("read", () => this.#file.read(offset, target));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#failures.attempt("write", () => this.#file.write(offset, bytes));
  }

  writeZeroes(offset: number, length: number): void {
    this.#failures.attempt("write", () => {
      for (let at = 0; at < length; at += ZEROES.length) {
        this.#file.write(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)));
      }
    });
  }

  /** A file keeps its blocks: holes cannot be made from here. What is discarded stays readable. */
  discard(): void {}

  flush(): void {
    this.#failures.attempt("flush", () => this.#file.sync());
  }

  close(): void {
    this.#file.close();
  }
}
