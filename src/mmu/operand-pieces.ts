/** Moving the bytes of an operand's pieces: RAM, ROM, and the bus in accesses of at most 4 bytes. */
import { Access } from "../cpu/core.ts";
import type { PortSize, ProcessorPort } from "../cpu/outside.ts";

export interface MmuStatistics {
  readMisses: number;
  writeMisses: number;
  executeMisses: number;
  pageFaults: number;
  /** Operands that crossed a page and were not settled by emitted code. */
  crossings: number;
  /** Accesses by the bus, each of 1, 2 or 4 bytes. */
  mmioReads: number;
  mmioWrites: number;
}

/** A piece of an operand within one page: where it lies. */
export class Piece {
  /** Host address; 0: the bus answers at `address`. */
  host = 0;
  writable = false;
  address = 0;
  length = 0;
}

export class PieceAccess {
  readonly #port: ProcessorPort;
  readonly #statistics: MmuStatistics;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(memory: WebAssembly.Memory, port: ProcessorPort, statistics: MmuStatistics) {
    this.#port = port;
    this.#statistics = statistics;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /** Copies a piece to host address `to`. */
  load(part: Piece, to: number): void {
    if (part.host === 0) this.#readBus(part.address, to, part.length);
    else {
      const from = part.host >>> 0;
      for (let i = 0; i < part.length; i++) this.#bytes[to + i] = this.#bytes[from + i];
    }
  }

  /** Writes a piece from host address `from`; ROM stays as it is. */
  store(part: Piece, from: number): void {
    if (part.host === 0) this.#writeBus(part.address, from, part.length);
    else if (part.writable) {
      const to = part.host >>> 0;
      for (let i = 0; i < part.length; i++) this.#bytes[to + i] = this.#bytes[from + i];
    }
  }

  /** Moves `bytes` from or to a piece of their length; `scratch` is free for use. */
  transfer(part: Piece, bytes: Uint8Array, access: number, scratch: number): void {
    if (part.host !== 0) {
      const host = part.host >>> 0;
      if (access !== Access.WRITE) bytes.set(this.#bytes.subarray(host, host + part.length));
      else if (part.writable) this.#bytes.set(bytes, host);
      return;
    }
    for (let at = 0; at < bytes.length; at += 4) {
      const piece = bytes.subarray(at, Math.min(at + 4, bytes.length));
      if (access === Access.WRITE) {
        this.#bytes.set(piece, scratch);
        this.#writeBus(part.address + at, scratch, piece.length);
      } else {
        this.#readBus(part.address + at, scratch, piece.length);
        piece.set(this.#bytes.subarray(scratch, scratch + piece.length));
      }
    }
  }

  /** The bus takes at most 4 bytes at a time; it splits misaligned accesses itself. */
  #readBus(address: number, to: number, length: number): void {
    for (let at = 0; at < length; ) {
      const size = busSize(length - at);
      const value = this.#port.readMmio(address + at, size);
      this.#statistics.mmioReads++;
      if (size === 4) this.#view.setUint32(to + at, value, true);
      else if (size === 2) this.#view.setUint16(to + at, value, true);
      else this.#bytes[to + at] = value;
      at += size;
    }
  }

  #writeBus(address: number, from: number, length: number): void {
    for (let at = 0; at < length; ) {
      const size = busSize(length - at);
      const value =
        size === 4
          ? this.#view.getUint32(from + at, true)
          : size === 2
            ? this.#view.getUint16(from + at, true)
            : this.#bytes[from + at];
      this.#statistics.mmioWrites++;
      this.#port.writeMmio(address + at, size, value);
      at += size;
    }
  }
}

function busSize(length: number): PortSize {
  return length >= 4 ? 4 : length >= 2 ? 2 : 1;
}
