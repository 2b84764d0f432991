/**
 * An open file of the host, read and written at byte offsets.
 *
 * I/O is synchronous: the guest's time stands still meanwhile, and when a request completes is a matter of virtual time
 * alone. Errors are those of the host.
 */
import { closeSync, fdatasyncSync, ftruncateSync, readSync, writeSync } from "node:fs";

export class HostFile {
  readonly fd: number;
  /** Bytes that the file is known to have. */
  #length: number;
  /** No write has reached this far: what lies behind reads as zeroes. */
  #untouched: number;

  /** Takes over an open file. @param length bytes */
  constructor(fd: number, length: number) {
    this.fd = fd;
    this.#length = length;
    this.#untouched = length;
  }

  get length(): number {
    return this.#length;
  }

  /** Whether no byte from `offset` on was ever written, not even by a write that failed on its way. */
  isUntouched(offset: number): boolean {
    return offset >= this.#untouched;
  }

  /** Fills `target`; with zeroes behind the end of the file. @throws Error if the file ends before its known end */
  read(offset: number, target: Uint8Array): void {
    for (let at = 0; at < target.length; ) {
      const count = readSync(this.fd, target, at, target.length - at, offset + at);
      if (count === 0) {
        if (offset + at < this.#length) throw new Error("the file has become shorter");
        target.fill(0, at);
        return;
      }
      at += count;
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#untouched = Math.max(this.#untouched, offset + bytes.length);
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(this.fd, bytes, at, bytes.length - at, offset + at);
    }
    this.#length = Math.max(this.#length, offset + bytes.length);
  }

  /** Makes the file at least so long. */
  extend(length: number): void {
    if (length <= this.#length) return;
    ftruncateSync(this.fd, length);
    this.#length = length;
  }

  /** What was written is on the disk. */
  sync(): void {
    fdatasyncSync(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }
}
