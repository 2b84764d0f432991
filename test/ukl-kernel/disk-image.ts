/** ext2 disks for guests: made and checked by e2fsprogs, kept in memory while a guest runs. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockStore, StoreError } from "../../src/devices/virtio/block.ts";
import type { MachineDrive } from "../../src/machine/virtio.ts";

/** As on a login shell's path of the superuser. */
const environment = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };

export const hasExt2Tools = ["mke2fs", "e2fsck", "debugfs"].every(
  (tool) => spawnSync(tool, ["-V"], { env: environment }).error === undefined,
);

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "ukl-emu-disk-"));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export interface DiskRequest {
  /** Of a block: 1024, 2048 or 4096. */
  readonly blockSize?: number;
  /** As mke2fs takes it; default "16M". */
  readonly size?: string;
  /** Directory of this machine whose files are on the disk. */
  readonly from?: string;
  /** More options for mke2fs. */
  readonly options?: readonly string[];
}

/** A disk with a new file system, made by mke2fs. */
export function makeDisk({ blockSize = 1024, size = "16M", from, options = [] }: DiskRequest): Uint8Array {
  return inDirectory((directory) => {
    const file = join(directory, "disk");
    const files = from === undefined ? [] : ["-d", from];
    const args = ["-q", "-t", "ext2", "-b", String(blockSize), ...options, ...files, file, size];
    execFileSync("mke2fs", args, { env: environment, stdio: "pipe" });
    return new Uint8Array(readFileSync(file));
  });
}

/** What e2fsck says if it finds anything wrong, and does not look at the mark "clean" alone; otherwise "". */
export function checkDisk(disk: Uint8Array): string {
  return inDirectory((directory) => {
    const file = join(directory, "disk");
    writeFileSync(file, disk);
    const { status, stdout } = spawnSync("e2fsck", ["-fn", file], { env: environment, encoding: "latin1" });
    const unclean = /was not cleanly unmounted/.test(stdout);
    return status === 0 && !unclean ? "" : stdout;
  });
}

/** What debugfs prints for a request, e.g. "cat /file". */
export function debugDisk(disk: Uint8Array, request: string): string {
  return inDirectory((directory) => {
    const file = join(directory, "disk");
    writeFileSync(file, disk);
    return execFileSync("debugfs", ["-R", request, file], {
      env: environment,
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 256 << 20,
    });
  });
}

/** A disk in memory, with a place where reads fail and one where writes do. */
export class MemoryDisk implements BlockStore {
  readonly bytes: Uint8Array;
  readonly readonly: boolean;
  /** Bytes [start, end) that cannot be read. */
  badReads: readonly [number, number] = [0, 0];
  /** Bytes [start, end) that cannot be written. */
  badWrites: readonly [number, number] = [0, 0];
  reads = 0;
  flushes = 0;

  constructor(bytes: Uint8Array, readonly = false) {
    this.bytes = bytes;
    this.readonly = readonly;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, target: Uint8Array): void {
    this.reads++;
    const [start, end] = this.badReads;
    if (offset < end && offset + target.length > start) throw new StoreError("read");
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, bytes: Uint8Array): void {
    const [start, end] = this.badWrites;
    if (offset < end && offset + bytes.length > start) throw new StoreError("write");
    this.bytes.set(bytes, offset);
  }

  writeZeroes(offset: number, length: number): void {
    this.bytes.fill(0, offset, offset + length);
  }

  discard(): void {}

  flush(): void {
    this.flushes++;
  }
}

/** As the machine's only disk. */
export const asDrive = (store: BlockStore): readonly MachineDrive[] => [
  { id: "disk0", store, transport: "pci" },
];
