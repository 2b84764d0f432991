/** Makes a qcow2 image that has nothing but a backing file. */
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { EXTENSION, FIELD, MAGIC, VERSION_3_LENGTH, write64 } from "./header.ts";

/** QEMU's default. */
const CLUSTER_BITS = 16;
const CLUSTER = 2 ** CLUSTER_BITS;
/** 16 bits for each refcount. */
const REFCOUNT_ORDER = 4;
/** Bytes of the disk that one L2 table maps. */
const MAPPED = CLUSTER * (CLUSTER / 8);

/** Where things are, in clusters. */
const PLACE = { REFCOUNT_TABLE: 1, REFCOUNT_BLOCK: 2, L1_TABLE: 3 } as const;

/** The longest name that a header may hold. */
export const LONGEST_BACKING_NAME = 1023;

/**
 * @param file must not exist; it appears complete or not at all
 * @param backing name of the backing file, relative to the directory of `file` or absolute; at most 1023 bytes
 * @param size bytes of the disk
 * @throws an error of the host
 */
export function createOverlay(file: string, backing: string, format: "raw" | "qcow2", size: number): void {
  const l1Size = Math.ceil(size / MAPPED);
  const l1Clusters = Math.ceil((l1Size * 8) / CLUSTER);
  const clusters = PLACE.L1_TABLE + l1Clusters;
  const bytes = new Uint8Array(clusters * CLUSTER);
  const view = new DataView(bytes.buffer);
  const name = new TextEncoder().encode(backing);
  const formatName = new TextEncoder().encode(format);
  view.setUint32(FIELD.MAGIC, MAGIC);
  view.setUint32(FIELD.VERSION, 3);
  view.setUint32(FIELD.CLUSTER_BITS, CLUSTER_BITS);
  write64(view, FIELD.SIZE, size);
  view.setUint32(FIELD.L1_SIZE, l1Size);
  write64(view, FIELD.L1_TABLE_OFFSET, PLACE.L1_TABLE * CLUSTER);
  write64(view, FIELD.REFCOUNT_TABLE_OFFSET, PLACE.REFCOUNT_TABLE * CLUSTER);
  view.setUint32(FIELD.REFCOUNT_TABLE_CLUSTERS, 1);
  view.setUint32(FIELD.REFCOUNT_ORDER, REFCOUNT_ORDER);
  view.setUint32(FIELD.HEADER_LENGTH, VERSION_3_LENGTH);
  view.setUint32(VERSION_3_LENGTH, EXTENSION.BACKING_FORMAT);
  view.setUint32(VERSION_3_LENGTH + 4, formatName.length);
  bytes.set(formatName, VERSION_3_LENGTH + 8);
  // Behind the extension, which is padded to 8 bytes, and the end mark.
  const nameOffset = VERSION_3_LENGTH + 24;
  write64(view, FIELD.BACKING_FILE_OFFSET, nameOffset);
  view.setUint32(FIELD.BACKING_FILE_SIZE, name.length);
  bytes.set(name, nameOffset);
  write64(view, PLACE.REFCOUNT_TABLE * CLUSTER, PLACE.REFCOUNT_BLOCK * CLUSTER);
  for (let i = 0; i < clusters; i++) view.setUint16(PLACE.REFCOUNT_BLOCK * CLUSTER + i * 2, 1);
  writeWhole(file, bytes);
}

function writeWhole(file: string, bytes: Uint8Array): void {
  const draft = `${file}.${process.pid}.new`;
  const fd = openSync(draft, "wx");
  try {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, file);
  } catch (error) {
    unlinkSync(draft);
    throw error;
  }
}
