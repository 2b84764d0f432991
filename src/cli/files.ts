/** Files that the user names. */
import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { type FileIdentity, isSameFile } from "../block/lock.ts";
import { systemErrorText, UserError } from "./errors.ts";

/** More than any image, and less than what readFileSync refuses. */
const LARGEST = 2 ** 31 - 1;

/**
 * The bytes of a file.
 * @param expected what it should be, for messages: "a kernel image"
 * @throws UserError
 */
export function readInput(path: string, expected: string): Uint8Array {
  try {
    const status = statSync(path);
    if (status.isDirectory()) throw new UserError(`${path}: expected ${expected}, found a directory`);
    // A FIFO is what a shell's <(...) gives; other special files may never end.
    if (!status.isFile() && !status.isFIFO()) {
      throw new UserError(`${path}: expected ${expected}, found a special file`);
    }
    if (status.size > LARGEST) {
      throw new UserError(`${path}: expected ${expected} of less than 2 GiB, found ${status.size} bytes`);
    }
    return readFileSync(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: expected ${expected}, found ${systemErrorText(error)}`);
  }
}

const identityOf = ({ dev, ino }: BigIntStats): FileIdentity => ({ device: dev, inode: ino });

/**
 * Opens files for writing, all or none: when one cannot be opened, those that did not exist before are
 * removed again and the others keep their contents. Two that are one file would overwrite each other.
 * @param needed files that exist and must not be written over, by name and by identity
 * @returns file descriptors
 * @throws UserError
 */
export function openOutputs(
  paths: readonly string[],
  needed: readonly string[] = [],
  alsoNeeded: readonly FileIdentity[] = [],
): number[] {
  const opened: { path: string; fd: number; isNew: boolean }[] = [];
  const read = [
    ...alsoNeeded,
    ...needed.filter(existsSync).map((path) => identityOf(statSync(path, { bigint: true }))),
  ];
  const written: FileIdentity[] = [];
  try {
    for (const path of paths) {
      const isNew = !existsSync(path);
      try {
        opened.push({ path, fd: openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o666), isNew });
      } catch (error) {
        throw new UserError(`${path}: expected a file to write to, found ${systemErrorText(error)}`);
      }
      const status = fstatSync(opened.at(-1)!.fd, { bigint: true });
      if (!status.isFile()) continue;
      const file = identityOf(status);
      const taken = (others: readonly FileIdentity[]) => others.some((other) => isSameFile(file, other));
      if (taken(read)) {
        throw new UserError(
          `${path}: expected a file to write to, found one that this run reads: choose another`,
        );
      }
      if (taken(written)) {
        throw new UserError(`${path}: expected a file to write to, found it given twice: choose another`);
      }
      written.push(file);
    }
  } catch (error) {
    for (const { path, fd, isNew } of opened) {
      closeSync(fd);
      if (isNew) rmSync(path);
    }
    throw error;
  }
  return opened.map(({ fd }) => {
    // Devices and pipes have no length.
    if (fstatSync(fd).isFile()) ftruncateSync(fd, 0);
    return fd;
  });
}
