/**
 * The header of a qcow2 image and its extensions ("Header", "Header extensions" in QEMU's docs/interop/qcow2).
 *
 * All numbers are big-endian. Every one is checked here against the file's length, its alignment and the limits that
 * QEMU keeps, so that what is read by them has a size that an image may ask for.
 */
import { CorruptImage, hex, UnsupportedImage } from "./errors.ts";

/** "QFI" and FBh. */
export const MAGIC = 0x5146_49fb;
/** The least that must be read to know where the first cluster ends. */
export const FIRST_BYTES = 112;

/** Offsets of the header's fields. */
export const FIELD = {
  MAGIC: 0,
  VERSION: 4,
  BACKING_FILE_OFFSET: 8,
  BACKING_FILE_SIZE: 16,
  CLUSTER_BITS: 20,
  SIZE: 24,
  CRYPT_METHOD: 32,
  L1_SIZE: 36,
  L1_TABLE_OFFSET: 40,
  REFCOUNT_TABLE_OFFSET: 48,
  REFCOUNT_TABLE_CLUSTERS: 56,
  NB_SNAPSHOTS: 60,
  SNAPSHOTS_OFFSET: 64,
  INCOMPATIBLE_FEATURES: 72,
  COMPATIBLE_FEATURES: 80,
  AUTOCLEAR_FEATURES: 88,
  REFCOUNT_ORDER: 96,
  HEADER_LENGTH: 100,
  COMPRESSION_TYPE: 104,
} as const;

export const VERSION_2_LENGTH = 72;
export const VERSION_3_LENGTH = 104;

/** Bits of `incompatible_features`. */
const INCOMPATIBLE = { DIRTY: 0, CORRUPT: 1, EXTERNAL_DATA: 2, COMPRESSION: 3, EXTENDED_L2: 4 } as const;
const AUTOCLEAR_BITMAPS = 0;

/** Header extension types. */
export const EXTENSION = {
  END: 0,
  BACKING_FORMAT: 0xe279_2aca,
  FEATURE_NAMES: 0x6803_f857,
  BITMAPS: 0x2385_2875,
  EXTERNAL_DATA: 0x4441_5441,
} as const;
const FEATURE_NAME = { LENGTH: 48, NAME: 2 } as const;

/** QEMU's limits: what it refuses, nobody has. */
const LARGEST_L1 = 32 * 2 ** 20;
const LARGEST_REFCOUNT_TABLE = 8 * 2 ** 20;
const MOST_SNAPSHOTS = 65_536;
const LONGEST_BACKING_NAME = 1023;

export interface BackingName {
  /** As the header has it. */
  readonly name: string;
  /** "raw", "qcow2" or another format's name; null if the header names none. */
  readonly format: string | null;
}

export interface Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Entries of the active L1 table. */
  readonly l1Size: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  /** A refcount has 2 to the power of this many bits. */
  readonly refcountOrder: number;
  readonly compression: "zlib" | "zstd";
  /** Refcounts cannot be trusted. */
  readonly dirty: boolean;
  readonly corrupt: boolean;
  /** Bitmaps are kept that a write would have to be noted in. */
  readonly bitmaps: boolean;
  readonly backing: BackingName | null;
}

/** 64 bits, exact up to 2^53. */
export function read64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export function write64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

/** @param start the file's first bytes, `FIRST_BYTES` of them if it has as many */
export function clusterBitsOf(start: Uint8Array): number {
  const view = new DataView(start.buffer, start.byteOffset, start.length);
  if (start.length < VERSION_2_LENGTH) throw new CorruptImage(`${start.length} bytes`);
  const bits = view.getUint32(FIELD.CLUSTER_BITS);
  if (bits < 9 || bits > 21) throw new CorruptImage(`clusters of 2^${bits} bytes, must be 2^9 to 2^21`);
  return bits;
}

/**
 * @param start the first cluster, or what the file has of it
 * @param length bytes of the file
 * @throws CorruptImage; UnsupportedImage
 */
export function parseHeader(start: Uint8Array, length: number): Header {
  const view = new DataView(start.buffer, start.byteOffset, start.length);
  const clusterBits = clusterBitsOf(start);
  const version = view.getUint32(FIELD.VERSION);
  if (version !== 2 && version !== 3)
    throw new UnsupportedImage(`qcow2 version ${version}, of which 2 and 3 are known`);
  const headerLength = version === 2 ? VERSION_2_LENGTH : lengthOf(view);
  const extensions = readExtensions(view, headerLength);
  const features = version === 2 ? 0 : checkFeatures(view, extensions);
  const crypt = view.getUint32(FIELD.CRYPT_METHOD);
  if (crypt !== 0) {
    throw new UnsupportedImage("an encrypted qcow2 image: qemu-img convert makes one that is not encrypted");
  }
  const refcountOrder = version === 2 ? 4 : view.getUint32(FIELD.REFCOUNT_ORDER);
  if (refcountOrder > 6) throw new CorruptImage(`refcount order ${refcountOrder}`);
  const header: Header = {
    version,
    clusterBits,
    size: read64(view, FIELD.SIZE),
    l1Size: view.getUint32(FIELD.L1_SIZE),
    l1Offset: read64(view, FIELD.L1_TABLE_OFFSET),
    refcountTableOffset: read64(view, FIELD.REFCOUNT_TABLE_OFFSET),
    refcountTableClusters: view.getUint32(FIELD.REFCOUNT_TABLE_CLUSTERS),
    snapshots: view.getUint32(FIELD.NB_SNAPSHOTS),
    snapshotsOffset: read64(view, FIELD.SNAPSHOTS_OFFSET),
    refcountOrder,
    compression: compressionOf(view, headerLength, features),
    dirty: (features & (1 << INCOMPATIBLE.DIRTY)) !== 0,
    corrupt: (features & (1 << INCOMPATIBLE.CORRUPT)) !== 0,
    bitmaps: version === 3 && (view.getUint32(FIELD.AUTOCLEAR_FEATURES + 4) & (1 << AUTOCLEAR_BITMAPS)) !== 0,
    backing: backingOf(view, extensions),
  };
  checkTables(header, length);
  return header;
}

function lengthOf(view: DataView): number {
  if (view.byteLength < VERSION_3_LENGTH) throw new CorruptImage(`${view.byteLength} bytes`);
  const length = view.getUint32(FIELD.HEADER_LENGTH);
  if (length < VERSION_3_LENGTH || length % 8 !== 0 || length > view.byteLength) {
    throw new CorruptImage(`a header of ${length} bytes`);
  }
  return length;
}

function readExtensions(view: DataView, headerLength: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = headerLength; at + 8 <= view.byteLength; ) {
    const type = view.getUint32(at);
    if (type === EXTENSION.END) break;
    const length = view.getUint32(at + 4);
    at += 8;
    if (length > view.byteLength - at) {
      throw new CorruptImage(`a header extension of ${length} bytes at ${hex(at - 8)}`);
    }
    if (!found.has(type)) found.set(type, new Uint8Array(view.buffer, view.byteOffset + at, length));
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** @returns the low 32 bits, since no higher one is known */
function checkFeatures(view: DataView, extensions: Map<number, Uint8Array>): number {
  const { COMPRESSION, EXTERNAL_DATA, EXTENDED_L2 } = INCOMPATIBLE;
  for (let bit = 0; bit < 64; bit++) {
    const word = view.getUint32(FIELD.INCOMPATIBLE_FEATURES + (bit < 32 ? 4 : 0));
    if (((word >>> (bit % 32)) & 1) === 0 || bit <= COMPRESSION) continue;
    const name = bit === EXTENDED_L2 ? "extended L2 entries" : featureName(extensions, bit);
    throw new UnsupportedImage(
      `a qcow2 image with ${name}, not supported: qemu-img convert -O qcow2 makes a plain one`,
    );
  }
  const features = view.getUint32(FIELD.INCOMPATIBLE_FEATURES + 4);
  if ((features & (1 << EXTERNAL_DATA)) !== 0) {
    throw new UnsupportedImage(
      "a qcow2 image with an external data file, not supported: qemu-img convert -O qcow2 makes one of both",
    );
  }
  return features;
}

function featureName(extensions: Map<number, Uint8Array>, bit: number): string {
  const table = extensions.get(EXTENSION.FEATURE_NAMES) ?? new Uint8Array(0);
  for (let at = 0; at + FEATURE_NAME.LENGTH <= table.length; at += FEATURE_NAME.LENGTH) {
    if (table[at] !== 0 || table[at + 1] !== bit) continue;
    const name = text(table.subarray(at + FEATURE_NAME.NAME, at + FEATURE_NAME.LENGTH)).replace(/\0.*$/s, "");
    return `"${name}" (incompatible feature ${bit})`;
  }
  return `incompatible feature ${bit}`;
}

function compressionOf(view: DataView, headerLength: number, features: number): "zlib" | "zstd" {
  const type = headerLength > FIELD.COMPRESSION_TYPE ? view.getUint8(FIELD.COMPRESSION_TYPE) : 0;
  const marked = (features & (1 << INCOMPATIBLE.COMPRESSION)) !== 0;
  if (marked !== (type !== 0))
    throw new CorruptImage(`compression type ${type}, its feature bit says otherwise`);
  if (type > 1)
    throw new UnsupportedImage(`a qcow2 image with compression type ${type}, of which 0 and 1 are known`);
  return type === 1 ? "zstd" : "zlib";
}

function backingOf(view: DataView, extensions: Map<number, Uint8Array>): BackingName | null {
  const offset = read64(view, FIELD.BACKING_FILE_OFFSET);
  if (offset === 0) return null;
  const length = view.getUint32(FIELD.BACKING_FILE_SIZE);
  if (length > LONGEST_BACKING_NAME || offset + length > view.byteLength) {
    throw new CorruptImage(`a backing file name of ${length} bytes at ${hex(offset)}`);
  }
  if (length === 0) return null;
  const format = extensions.get(EXTENSION.BACKING_FORMAT);
  return {
    name: text(new Uint8Array(view.buffer, view.byteOffset + offset, length)),
    format: format === undefined || format.length === 0 ? null : text(format),
  };
}

function checkTables(header: Header, length: number): void {
  const clusterSize = 2 ** header.clusterBits;
  const end = Math.ceil(length / clusterSize) * clusterSize;
  const check = (what: string, offset: number, bytes: number, most: number): void => {
    if (offset % clusterSize !== 0 || offset < clusterSize || offset + bytes > end) {
      throw new CorruptImage(`${what} at ${hex(offset)}, of ${bytes} bytes in a file of ${length}`);
    }
    if (bytes > most) throw new CorruptImage(`${what} of ${bytes} bytes`);
  };
  if (header.size === 0) throw new UnsupportedImage("an empty qcow2 disk: qemu-img resize makes it larger");
  const { l1Size, refcountTableClusters, snapshots } = header;
  const l1Needed = Math.ceil(header.size / (clusterSize * (clusterSize / 8)));
  if (header.size > Number.MAX_SAFE_INTEGER || l1Size < l1Needed) {
    throw new CorruptImage(`a disk of ${header.size} bytes, an L1 table of ${l1Size} entries`);
  }
  check("the L1 table", header.l1Offset, l1Size * 8, LARGEST_L1);
  check(
    "the refcount table",
    header.refcountTableOffset,
    refcountTableClusters * clusterSize,
    LARGEST_REFCOUNT_TABLE,
  );
  if (refcountTableClusters === 0) throw new CorruptImage("no refcount table");
  if (snapshots === 0) return;
  if (snapshots > MOST_SNAPSHOTS) throw new CorruptImage(`${snapshots} snapshots`);
  check("the snapshot table", header.snapshotsOffset, snapshots * 40, Number.MAX_SAFE_INTEGER);
}
