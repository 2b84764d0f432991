/**
 * The block device (5.2): several queues, flush, discard, write zeroes, a serial number.
 *
 * Where the sectors are is the store's business. Every length and sector number comes from the guest and is checked
 * against the store's capacity before anything is read or written.
 */

import type { AccessSize, DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { Chain } from "./chain.ts";
import {
  type Completion,
  DEVICE_ID,
  DriverError,
  type FeatureWords,
  hasFeature,
  type VirtioDevice,
} from "./device.ts";

export const SECTOR = 512;

/** Bytes that last. Offsets and lengths are in bytes, multiples of 512, and inside `size`. */
export interface BlockStore {
  readonly size: number;
  readonly readonly: boolean;
  /** All of these throw a `StoreError` when the host fails. */
  read(offset: number, target: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
  writeZeroes(offset: number, length: number): void;
  /** The contents are of no more use. */
  discard(offset: number, length: number): void;
  /** What was written lasts. */
  flush(): void;
}

/** The host could not read or write. Whoever throws it has told the user. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** Feature bits (5.2.3). */
export const BLOCK_FEATURE = {
  SIZE_MAX: 1,
  SEG_MAX: 2,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types (5.2.6). */
export const REQUEST = {
  IN: 0,
  OUT: 1,
  FLUSH: 4,
  GET_ID: 8,
  DISCARD: 11,
  WRITE_ZEROES: 13,
} as const;

/** Status byte (5.2.6). */
export const BLOCK_STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;

/** `struct virtio_blk_config` (5.2.4). */
const CONFIG = {
  CAPACITY: 0,
  SIZE_MAX: 8,
  SEG_MAX: 12,
  BLK_SIZE: 20,
  PHYSICAL_BLOCK_EXP: 24,
  MIN_IO_SIZE: 26,
  OPT_IO_SIZE: 28,
  WRITEBACK: 32,
  NUM_QUEUES: 34,
  MAX_DISCARD_SECTORS: 36,
  MAX_DISCARD_SEG: 40,
  DISCARD_SECTOR_ALIGNMENT: 44,
  MAX_WRITE_ZEROES_SECTORS: 48,
  MAX_WRITE_ZEROES_SEG: 52,
  WRITE_ZEROES_MAY_UNMAP: 56,
  LENGTH: 60,
} as const;

const HEADER = 16;
const SERIAL_LENGTH = 20;
/** `struct virtio_blk_discard_write_zeroes` (5.2.6), and its flag "unmap". */
const RANGE = 16;
const RANGE_UNMAP = 1;

const QUEUES = 4;
const QUEUE_SIZE = 256;
const LARGEST_SEGMENT = 64 * 1024;
/** A chain holds a header and a status beside its data (5.2.4: `seg_max` counts the data alone). */
const MOST_SEGMENTS = QUEUE_SIZE - 2;
/** The most that one request reads or writes: what a driver that keeps to `seg_max` and `size_max` can ask. */
const LARGEST_REQUEST = MOST_SEGMENTS * LARGEST_SEGMENT;
/** Sectors of one discard, and of one write of zeroes, which costs the host as much as a write does. */
const MOST_DISCARDED = 2 ** 22;
const MOST_ZEROED = (8 * 2 ** 20) / SECTOR;
const MOST_RANGES = 1;
/** Data is moved in pieces of this many bytes. */
const PIECE = 128 * 1024;

export interface BlockOptions {
  /** For messages, e.g. "virtio disk0". */
  readonly name: string;
  readonly store: BlockStore;
  /** Serial number that GET_ID gives, up to 20 bytes of ASCII. */
  readonly serial: string;
  /** Whether packed rings are offered; true unless given. */
  readonly packed?: boolean;
}

interface Answer {
  readonly status: number;
  /** Bytes of data written before the status. */
  readonly data?: number;
  readonly moved?: number;
}

export class VirtioBlock implements VirtioDevice {
  readonly name: string;
  readonly deviceId = DEVICE_ID.BLOCK;
  /** Mass storage, SCSI: as drivers that go by the class expect of a disk. */
  readonly classCode = 0x01_0000;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[] = new Array(QUEUES).fill(QUEUE_SIZE);
  readonly configLength = CONFIG.LENGTH;
  readonly packed: boolean;
  readonly #store: BlockStore;
  readonly #serial = new Uint8Array(SERIAL_LENGTH);
  readonly #piece = new Uint8Array(PIECE);
  readonly #config = new DataView(new ArrayBuffer(CONFIG.LENGTH));
  readonly #s = {
    /** Writes wait for a flush; otherwise each is flushed (5.2.6.2). */
    writeBack: true,
    /** Without FLUSH the driver has no way to ask. */
    hasFlush: true,
  };

  constructor({ name, store, serial, packed = true }: BlockOptions) {
    this.name = name;
    this.packed = packed;
    this.#store = store;
    this.#serial.set(new TextEncoder().encode(serial).subarray(0, SERIAL_LENGTH));
    const F = BLOCK_FEATURE;
    const always = [F.SIZE_MAX, F.SEG_MAX, F.BLK_SIZE, F.FLUSH, F.TOPOLOGY, F.CONFIG_WCE, F.MQ];
    this.features = [...always, ...(store.readonly ? [F.RO] : [F.DISCARD, F.WRITE_ZEROES])];
    this.#fillConfig();
  }

  #fillConfig(): void {
    const c = this.#config;
    const sectors = this.#store.size / SECTOR;
    c.setUint32(CONFIG.CAPACITY, sectors % 2 ** 32, true);
    c.setUint32(CONFIG.CAPACITY + 4, Math.floor(sectors / 2 ** 32), true);
    c.setUint32(CONFIG.SIZE_MAX, LARGEST_SEGMENT, true);
    c.setUint32(CONFIG.SEG_MAX, MOST_SEGMENTS, true);
    c.setUint32(CONFIG.BLK_SIZE, SECTOR, true);
    // The host's file system works in blocks of 4 KiB: eight sectors.
    c.setUint8(CONFIG.PHYSICAL_BLOCK_EXP, 3);
    c.setUint16(CONFIG.MIN_IO_SIZE, 8, true);
    c.setUint32(CONFIG.OPT_IO_SIZE, 0, true);
    c.setUint16(CONFIG.NUM_QUEUES, QUEUES, true);
    c.setUint32(CONFIG.MAX_DISCARD_SECTORS, MOST_DISCARDED, true);
    c.setUint32(CONFIG.MAX_DISCARD_SEG, MOST_RANGES, true);
    c.setUint32(CONFIG.DISCARD_SECTOR_ALIGNMENT, 8, true);
    c.setUint32(CONFIG.MAX_WRITE_ZEROES_SECTORS, MOST_ZEROED, true);
    c.setUint32(CONFIG.MAX_WRITE_ZEROES_SEG, MOST_RANGES, true);
    c.setUint8(CONFIG.WRITE_ZEROES_MAY_UNMAP, 0);
  }

  readConfig(offset: number, size: AccessSize): number {
    this.#config.setUint8(CONFIG.WRITEBACK, this.#s.writeBack ? 1 : 0);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#config.getUint8(offset + i);
    return value;
  }

  /** The cache mode is the one field that a driver may write (5.2.5.1). */
  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset === CONFIG.WRITEBACK && size === 1) this.#s.writeBack = (value & 1) !== 0;
  }

  negotiated(features: FeatureWords): void {
    this.#s.hasFlush = hasFeature(features, BLOCK_FEATURE.FLUSH);
  }

  handle(_queue: number, chain: Chain): Completion {
    // 2.7.4: how a request is cut into buffers means nothing. The status is the last byte.
    const header = new Uint8Array(HEADER);
    if (chain.read(0, header) < HEADER) throw new DriverError("a request without a header");
    if (chain.writable < 1) throw new DriverError("a request without room for its status");
    const answer = this.#answer(new DataView(header.buffer), chain);
    chain.write(chain.writable - 1, Uint8Array.of(answer.status));
    // 2.7.8.2: `written` bytes from the start were written. The status ends the buffer: unless all before it was
    // filled, nothing can be promised but the bytes that were.
    const data = answer.data ?? 0;
    const written = data === chain.writable - 1 ? chain.writable : data;
    return { written, moved: answer.moved ?? 0 };
  }

  #answer(header: DataView, chain: Chain): Answer {
    const sector = header.getUint32(8, true) + header.getUint32(12, true) * 2 ** 32;
    try {
      switch (header.getUint32(0, true)) {
        case REQUEST.IN:
          return this.#read(sector, chain);
        case REQUEST.OUT:
          return this.#write(sector, chain);
        case REQUEST.FLUSH:
          this.#store.flush();
          return { status: BLOCK_STATUS.OK };
        case REQUEST.GET_ID:
          return this.#getId(chain);
        case REQUEST.DISCARD:
          return this.#ranges(chain, false);
        case REQUEST.WRITE_ZEROES:
          return this.#ranges(chain, true);
        default:
          return { status: BLOCK_STATUS.UNSUPP };
      }
    } catch (error) {
      if (error instanceof StoreError) return { status: BLOCK_STATUS.IOERR };
      throw error;
    }
  }

  /** Whether a request for `length` bytes at `sector` is one that the device carries out. */
  #fits(sector: number, length: number): boolean {
    if (length % SECTOR !== 0 || length > LARGEST_REQUEST) return false;
    return sector * SECTOR + length <= this.#store.size;
  }

  #read(sector: number, chain: Chain): Answer {
    const length = chain.writable - 1;
    if (!this.#fits(sector, length)) return { status: BLOCK_STATUS.IOERR };
    this.#inPieces(length, (at, piece) => {
      this.#store.read(sector * SECTOR + at, piece);
      chain.write(at, piece);
    });
    return { status: BLOCK_STATUS.OK, data: length, moved: length };
  }

  #write(sector: number, chain: Chain): Answer {
    const length = chain.readable - HEADER;
    // 5.2.6.2: a write to a read-only device fails and writes nothing.
    if (this.#store.readonly || !this.#fits(sector, length)) return { status: BLOCK_STATUS.IOERR };
    this.#inPieces(length, (at, piece) => {
      chain.read(HEADER + at, piece);
      this.#store.write(sector * SECTOR + at, piece);
    });
    this.#afterWrite();
    return { status: BLOCK_STATUS.OK, moved: length };
  }

  /** Data goes through one buffer that stays in the host's caches: a new one for each request costs more than the copy. */
  #inPieces(length: number, move: (at: number, piece: Uint8Array) => void): void {
    for (let at = 0; at < length; at += PIECE) {
      move(at, this.#piece.subarray(0, Math.min(PIECE, length - at)));
    }
  }

  #afterWrite(): void {
    if (!this.#s.writeBack || !this.#s.hasFlush) this.#store.flush();
  }

  #getId(chain: Chain): Answer {
    const length = Math.min(chain.writable - 1, SERIAL_LENGTH);
    chain.write(0, this.#serial.subarray(0, length));
    return { status: BLOCK_STATUS.OK, data: length };
  }

  #ranges(chain: Chain, zeroes: boolean): Answer {
    if (this.#store.readonly) return { status: BLOCK_STATUS.IOERR };
    const length = chain.readable - HEADER;
    if (length % RANGE !== 0 || length < RANGE || length > RANGE * MOST_RANGES) {
      return { status: BLOCK_STATUS.IOERR };
    }
    const range = new DataView(new ArrayBuffer(RANGE));
    chain.read(HEADER, new Uint8Array(range.buffer));
    const sector = range.getUint32(0, true) + range.getUint32(4, true) * 2 ** 32;
    const count = range.getUint32(8, true);
    const flags = range.getUint32(12, true);
    // 5.2.6.2: reserved flags, and "unmap" of a discard, are not supported.
    if ((flags & ~RANGE_UNMAP) !== 0 || (flags !== 0 && !zeroes)) return { status: BLOCK_STATUS.UNSUPP };
    const most = zeroes ? MOST_ZEROED : MOST_DISCARDED;
    const bytes = count * SECTOR;
    if (count > most || sector * SECTOR + bytes > this.#store.size) return { status: BLOCK_STATUS.IOERR };
    if (zeroes) {
      this.#store.writeZeroes(sector * SECTOR, bytes);
      this.#afterWrite();
    } else this.#store.discard(sector * SECTOR, bytes);
    return { status: BLOCK_STATUS.OK, moved: zeroes ? bytes : 0 };
  }

  /** The contents stay: a disk does not forget at a reset. */
  reset(): void {
    Object.assign(this.#s, { writeBack: true, hasFlush: true });
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
