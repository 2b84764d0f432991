/**
 * Keeps a second emulator from writing to the same disk image.
 *
 * The lock is a socket in Linux's abstract name space, named after the file's device and inode: only one process can
 * hold the name, and the kernel takes it back however the process ends. Other programs do not see it, nor do processes
 * in another network name space. Where there are no such names, there is no lock.
 */
import { createServer } from "node:net";

/** Gives the lock up. */
export type Unlock = () => void;

/** @returns null if another process has the lock */
export function lockFile(device: bigint, inode: bigint): Promise<Unlock | null> {
  if (process.platform !== "linux") return Promise.resolve(() => {});
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      // Whatever else keeps the name from being had is no second writer.
      resolve(error.code === "EADDRINUSE" ? null : () => {});
    });
    server.listen(`\0ukl-emu-disk-${device}-${inode}`, () => {
      // The lock does not keep the process alive.
      server.unref();
      resolve(() => server.close());
    });
  });
}
