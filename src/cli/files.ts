/** Files that the user names. */
import {
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

/**
 * Opens files for writing, all or none: when one cannot be opened, those that did not exist before are
 * removed again and the others keep their contents.
 * @returns file descriptors
 * @throws UserError
 */
export function openOutputs(paths: readonly string[]): number[] {
  const opened: { path: string; fd: number; isNew: boolean }[] = [];
  try {
    for (const path of paths) {
      const isNew = !existsSync(path);
      try {
        opened.push({ path, fd: openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o666), isNew });
      } catch (error) {
        throw new UserError(`${path}: expected a file to write to, found ${systemErrorText(error)}`);
      }
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
