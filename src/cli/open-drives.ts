/** The disks behind `--drive` while a guest runs. */
import { DiskError } from "../block/disk-error.ts";
import type { FileIdentity } from "../block/lock.ts";
import { type Disk, openDisk } from "../block/open.ts";
import type { MachineDrive } from "../machine/virtio.ts";
import type { DriveOption } from "./drives.ts";
import { oneLine, systemErrorText, UserError } from "./errors.ts";

export class OpenDrives {
  readonly drives: readonly MachineDrive[];
  /** Told of a host failure, once for each kind, in one line. */
  onFailure: (message: string) => void = () => {};
  readonly #disks: Disk[] = [];

  private constructor(drives: MachineDrive[]) {
    this.drives = drives;
  }

  /** Opens all or none. @throws UserError */
  static async open(options: readonly DriveOption[]): Promise<OpenDrives> {
    const drives: MachineDrive[] = [];
    const opened = new OpenDrives(drives);
    try {
      for (const option of options) {
        const { id, transport, file, overlay = file } = option;
        const disk = await openDisk(option, systemErrorText, (operation, error) => {
          const name = operation === "read" ? file : overlay;
          opened.onFailure(
            oneLine(`${name}: expected to ${operation}, found ${systemErrorText(error)}: the guest is told`),
          );
        });
        opened.#disks.push(disk);
        drives.push({ id, store: disk.store, transport });
      }
    } catch (error) {
      opened.discard();
      if (error instanceof DiskError) throw new UserError(`--drive: ${error.message}`);
      throw error;
    }
    return opened;
  }

  /** All files that are read or written. */
  get files(): readonly FileIdentity[] {
    return this.#disks.flatMap(({ files }) => files);
  }

  /** May be called more than once. */
  close(): void {
    for (const disk of this.#disks) disk.close();
  }

  /** In place of `close`, where no guest has run: nothing is left of what was made for it. */
  discard(): void {
    for (const disk of this.#disks) disk.discard();
  }
}
