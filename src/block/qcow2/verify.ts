/**
 * What is looked at before an image is opened for writing: that the tables lie apart and are counted as used, and that
 * each cluster that a table refers to is counted too. Otherwise a write could take a cluster that is in use.
 *
 * An image may be made so that a full look takes hours. It ends after a fixed amount of tables, enough for an image
 * with clusters of 64 KiB that holds 512 GiB; what was not looked at is checked when it is used.
 */
import type { HostFile } from "../host-file.ts";
import { CorruptImage, hex } from "./errors.ts";
import type { Header } from "./header.ts";
import type { Mapped, Mapping } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";

/** Bytes of tables that are read. */
const MOST_READ = 64 * 2 ** 20;
/** A snapshot's entry ("Snapshots"): its fields, and the limits that QEMU keeps for what follows them. */
const SNAPSHOT = { ID_LENGTH: 12, NAME_LENGTH: 14, EXTRA_LENGTH: 36, LENGTH: 40, MOST_EXTRA: 1024 } as const;
const LARGEST_SNAPSHOT_TABLE = 64 * 2 ** 20;

/** @throws CorruptImage; an error of the host */
export function verify(file: HostFile, header: Header, mapping: Mapping, refcounts: Refcounts): void {
  const clusterSize = 2 ** header.clusterBits;
  refcounts.noteTables(0, 1);
  refcounts.noteTables(mapping.l1Place.start, mapping.l1Place.count);
  if (header.snapshots > 0) {
    const bytes = snapshotTableLength(file, header);
    refcounts.noteTables(header.snapshotsOffset / clusterSize, Math.ceil(bytes / clusterSize));
  }
  for (let index = 0; index < mapping.l1Size; index++) {
    const table = mapping.tableCluster(index);
    if (table !== null) refcounts.noteTables(table.cluster, 1);
  }
  const budget = new Budget(refcounts);
  // In the order of the file, so that each refcount block is read once.
  for (const cluster of Float64Array.from(refcounts.tables).sort()) {
    if (refcounts.get(cluster) === 0) {
      throw new CorruptImage(`a table at ${hex(cluster * clusterSize)} that is counted free`);
    }
    if (budget.isSpent(0)) return;
  }
  for (let index = 0; index < mapping.l1Size; index++) {
    const table = mapping.tableCluster(index);
    if (table === null) continue;
    if (table.copied !== (refcounts.get(table.cluster) === 1)) {
      throw new CorruptImage(`the refcount of the L2 table at ${hex(table.cluster * clusterSize)}`);
    }
    for (let slot = 0; slot < mapping.entries; slot++) {
      verifyEntry(mapping.find(index * mapping.entries + slot), clusterSize, refcounts);
      if (budget.isSpent(0)) return;
    }
    if (budget.isSpent(clusterSize)) return;
  }
}

function verifyEntry(mapped: Mapped, clusterSize: number, refcounts: Refcounts): void {
  if (mapped.kind === "unallocated" || mapped.offset === 0) return;
  const first = Math.floor(mapped.offset / clusterSize);
  const length = mapped.kind === "compressed" ? mapped.length : 1;
  const last = Math.floor((mapped.offset + length - 1) / clusterSize);
  for (let cluster = first; cluster <= last; cluster++) {
    const count = refcounts.get(cluster);
    const copied = mapped.kind === "compressed" ? false : mapped.copied;
    if (count === 0 || (copied && count !== 1)) {
      throw new CorruptImage(`the refcount ${count} of data at ${hex(mapped.offset)}`);
    }
    if (refcounts.tables.has(cluster)) throw new CorruptImage(`data and a table at ${hex(mapped.offset)}`);
  }
}

/** Bytes of tables that may still be read. */
class Budget {
  readonly #refcounts: Refcounts;
  #read = 0;

  constructor(refcounts: Refcounts) {
    this.#refcounts = refcounts;
  }

  isSpent(bytes: number): boolean {
    this.#read += bytes;
    return this.#read + this.#refcounts.bytesRead > MOST_READ;
  }
}

function snapshotTableLength(file: HostFile, header: Header): number {
  const entry = new Uint8Array(SNAPSHOT.LENGTH);
  const view = new DataView(entry.buffer);
  let at = header.snapshotsOffset;
  for (let i = 0; i < header.snapshots; i++) {
    file.read(at, entry);
    const extra = view.getUint32(SNAPSHOT.EXTRA_LENGTH);
    const strings = view.getUint16(SNAPSHOT.ID_LENGTH) + view.getUint16(SNAPSHOT.NAME_LENGTH);
    const end = at + SNAPSHOT.LENGTH + extra + strings;
    const length = end - header.snapshotsOffset;
    if (extra > SNAPSHOT.MOST_EXTRA || end > file.length || length > LARGEST_SNAPSHOT_TABLE) {
      throw new CorruptImage(`snapshot ${i} ends at ${hex(end)}`);
    }
    // Entries are padded; the last one's padding need not be in the file.
    at = Math.ceil(end / 8) * 8;
  }
  return at - header.snapshotsOffset;
}
