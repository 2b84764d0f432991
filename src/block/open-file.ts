/** Opens the file behind a disk image, and refuses what cannot be one before a byte is read. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { DiskError } from "./disk-error.ts";
import type { FileIdentity } from "./lock.ts";

/** An operating-system error in a few words. */
export type ErrorText = (error: unknown) => string;

export interface OpenedFile extends FileIdentity {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
}

const WITHOUT_WRITING = "readonly or snapshot use it without writing";

export function refusal(file: string, found: string, remedy = ""): DiskError {
  return new DiskError(`${file}: expected a disk image, found ${found}${remedy === "" ? "" : `: ${remedy}`}`);
}

/** @throws DiskError */
export function openFile(file: string, writes: boolean, errorText: ErrorText): OpenedFile {
  // A FIFO is not waited for.
  const flags = (writes ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = openSync(file, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const remedy = writes && ["EACCES", "EPERM", "EROFS"].includes(code ?? "");
    throw refusal(file, errorText(error), remedy ? WITHOUT_WRITING : "");
  }
  try {
    const status = fstatSync(fd, { bigint: true });
    if (status.isDirectory()) throw refusal(file, "a directory");
    if (!status.isFile()) throw refusal(file, "a special file");
    // The superuser may write to any file; one that nobody may write to was protected on purpose.
    if (writes && (status.mode & 0o222n) === 0n) {
      throw refusal(file, "a file without write permission", WITHOUT_WRITING);
    }
    if (status.size === 0n) throw refusal(file, "an empty file", "truncate -s 1G makes it a disk of 1 GiB");
    return { fd, size: Number(status.size), device: status.dev, inode: status.ino };
  } catch (error) {
    closeSync(fd);
    throw error instanceof DiskError ? error : refusal(file, errorText(error));
  }
}

/** The first bytes of a file, fewer than `length` if it has fewer. */
export function readStart(fd: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let count = 0;
  for (let read = -1; read !== 0 && count < length; count += read) {
    read = readSync(fd, bytes, count, length - count, count);
  }
  return bytes.subarray(0, count);
}
