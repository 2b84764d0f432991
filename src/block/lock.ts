/**
 * Keeps a second emulator from writing to the same disk image.
 *
 * The lock is a socket in Linux's abstract name space, named after the file's device and inode: only one process can
 * hold the name, and the kernel takes it back however the process ends. Other programs do not see it, nor do processes
 * in another network name space. Where there are no such names, there is no lock.
 */
import { connect, createServer } from "node:net";

/** Gives the lock up. */
export type Unlock = () => void;

/** A file, by whichever name. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

const socketName = ({ device, inode }: FileIdentity): string => `\0ukl-emu-disk-${device}-${inode}`;

/** @returns null if another process has the lock */
export function lockFile(file: FileIdentity): Promise<Unlock | null> {
  if (process.platform !== "linux") return Promise.resolve(() => {});
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      // Whatever else keeps the name from being had is no second writer.
      resolve(error.code === "EADDRINUSE" ? null : () => {});
    });
    server.listen(socketName(file), () => {
      // The lock does not keep the process alive.
      server.unref();
      resolve(() => server.close());
    });
  });
}

/** Whether someone has the lock, this process or another. Does not take it, so that many may ask at once. */
export function isLocked(file: FileIdentity): Promise<boolean> {
  if (process.platform !== "linux") return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(socketName(file));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // EAGAIN: someone listens, and has not looked at those who asked before.
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN"));
  });
}
