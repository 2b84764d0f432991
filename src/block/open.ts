/** Opens disk images for drives: checks first, and touches none that cannot be used. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type BlockStore, SECTOR } from "../devices/virtio/block.ts";
import { DiskError } from "./disk-error.ts";
import { lockFile, type Unlock } from "./lock.ts";
import { type FailureListener, RawFile } from "./raw-file.ts";
import { Snapshot } from "./snapshot.ts";

export interface DiskRequest {
  readonly file: string;
  /** Absent: by content. */
  readonly format?: "raw" | "qcow2";
  /** The guest cannot write. */
  readonly readonly: boolean;
  /** What the guest writes stays in memory. */
  readonly snapshot: boolean;
}

export interface Disk {
  readonly store: BlockStore;
  /** May be called more than once. */
  close(): void;
}

/** First bytes of a qcow2 image: "QFI" and FBh. */
const QCOW2_MAGIC = [0x51, 0x46, 0x49, 0xfb];
const CONVERT = "qemu-img convert -O raw makes a raw disk of it";

/**
 * Opens one image.
 * @param errorText an operating-system error in a few words
 * @throws DiskError
 */
export async function openDisk(
  request: DiskRequest,
  errorText: (error: unknown) => string,
  onFailure: FailureListener,
): Promise<Disk> {
  const { file, format } = request;
  const refuse = (found: string, remedy = ""): DiskError =>
    new DiskError(`${file}: expected a disk image, found ${found}${remedy === "" ? "" : `: ${remedy}`}`);
  if (format === "qcow2") throw new DiskError(`${file}: format=qcow2 is not supported yet: ${CONVERT}`);
  const writes = !request.readonly && !request.snapshot;
  // A FIFO is not waited for.
  const flags = (writes ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = openSync(file, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const remedy = writes && ["EACCES", "EPERM", "EROFS"].includes(code ?? "");
    throw refuse(errorText(error), remedy ? "readonly or snapshot use it without writing" : "");
  }
  let unlock: Unlock | null = () => {};
  try {
    const status = fstatSync(fd, { bigint: true });
    if (status.isDirectory()) throw refuse("a directory");
    if (!status.isFile()) throw refuse("a special file");
    // The superuser may write to any file; one that nobody may write to was protected on purpose.
    if (writes && (status.mode & 0o222n) === 0n) {
      throw refuse("a file without write permission", "readonly or snapshot use it without writing");
    }
    const size = Number(status.size);
    if (size === 0) throw refuse("an empty file", "truncate -s 1G makes it a disk of 1 GiB");
    if (format === undefined && startsAsQcow2(fd)) {
      throw new DiskError(
        `${file}: expected a raw disk, found qcow2, which is not supported yet: ${CONVERT}; a raw disk that only starts like it needs format=raw`,
      );
    }
    if (size % SECTOR !== 0) {
      throw refuse(`${size} bytes`, `its size must be a multiple of ${SECTOR}`);
    }
    if (writes) unlock = await lockFile(status.dev, status.ino);
    if (unlock === null) throw refuse("one that another ukl-emu writes to", "snapshot or readonly share it");
    const raw = new RawFile(fd, size, !writes, onFailure);
    let open = true;
    const store = request.snapshot && !request.readonly ? new Snapshot(raw) : raw;
    const release = unlock;
    const close = (): void => {
      if (!open) return;
      open = false;
      raw.close();
      release();
    };
    return { store, close };
  } catch (error) {
    closeSync(fd);
    throw error instanceof DiskError ? error : refuse(errorText(error));
  }
}

function startsAsQcow2(fd: number): boolean {
  const start = new Uint8Array(QCOW2_MAGIC.length);
  readSync(fd, start, 0, start.length, 0);
  return QCOW2_MAGIC.every((byte, i) => start[i] === byte);
}
