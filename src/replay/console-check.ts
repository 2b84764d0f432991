/** Keeps count of what the guest writes to the console. */
import { crc32 } from "node:zlib";
import type { ConsoleCheck } from "./format.ts";

const CHUNK = 4096;

export class ConsoleSum {
  readonly #pending = new Uint8Array(CHUNK);
  #length = 0;
  #crc = 0;
  #bytes = 0;

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  add(byte: number): void {
    if (this.#length === CHUNK) this.#sum();
    this.#pending[this.#length++] = byte;
    this.#bytes++;
  }

  #sum(): void {
    this.#crc = crc32(this.#pending.subarray(0, this.#length), this.#crc);
    this.#length = 0;
  }

  get check(): ConsoleCheck {
    this.#sum();
    return { bytes: this.#bytes, crc: this.#crc };
  }
}
