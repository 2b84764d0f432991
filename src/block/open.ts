/** Opens disk images for drives: checks first, and touches none that cannot be used. */
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { BlockStore } from "../devices/virtio/block.ts";
import { DiskError } from "./disk-error.ts";
import type { FailureListener } from "./failures.ts";
import type { ImageFormat } from "./image-format.ts";
import { isSameFile } from "./lock.ts";
import type { ErrorText } from "./open-file.ts";
import { type Image, openImage, type Reporting } from "./open-image.ts";
import { createOverlay, LONGEST_BACKING_NAME } from "./qcow2/create.ts";
import { Snapshot } from "./snapshot.ts";

export interface DiskRequest {
  readonly file: string;
  /** Absent: by contents and name. */
  readonly format?: ImageFormat;
  /** The guest cannot write. */
  readonly readonly: boolean;
  /** What the guest writes stays in memory. */
  readonly snapshot: boolean;
  /** A qcow2 file that what the guest writes goes to instead: made, or used again if it is an overlay of `file`. */
  readonly overlay?: string;
}

export interface Disk {
  readonly store: BlockStore;
  /** May be called more than once. */
  close(): void;
}

/**
 * Opens one image.
 * @param errorText an operating-system error in a few words
 * @throws DiskError
 */
export async function openDisk(
  request: DiskRequest,
  errorText: ErrorText,
  onFailure: FailureListener,
): Promise<Disk> {
  const reporting = { errorText, onFailure };
  if (request.overlay !== undefined) {
    return asDisk(await openOverlay(request, request.overlay, reporting), (store) => store);
  }
  const { file, format } = request;
  const writes = !request.readonly && !request.snapshot;
  const image = await openImage({ file, format, writes, alone: false }, reporting);
  const inMemory = request.snapshot && !request.readonly;
  return asDisk(image, (store) => (inMemory ? new Snapshot(store) : store));
}

function asDisk(image: Image, above: (store: BlockStore) => BlockStore): Disk {
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    image.close();
  };
  return { store: above(image.store), close };
}

async function openOverlay(
  { file, format }: DiskRequest,
  overlay: string,
  reporting: Reporting,
): Promise<Image> {
  const base = await openImage({ file, format, writes: false, alone: true }, reporting);
  try {
    if (!existsSync(overlay)) makeOverlay(overlay, file, base, reporting.errorText);
    const image = await openImage({ file: overlay, format: "qcow2", writes: true, alone: true }, reporting);
    const below = image.backing;
    if (below !== null && isSameFile(below.identity, base.identity) && below.format === base.format) {
      return image;
    }
    image.close();
    throw new DiskError(`${overlay}: expected an overlay of ${file}, found one of something else`);
  } finally {
    base.close();
  }
}

function makeOverlay(overlay: string, file: string, base: Image, errorText: ErrorText): void {
  const refuse = (found: string): DiskError =>
    new DiskError(`${overlay}: expected to make an overlay, found ${found}`);
  try {
    const backing = backingName(overlay, file);
    if (Buffer.byteLength(backing) > LONGEST_BACKING_NAME) throw refuse(`${file}, whose name is too long`);
    createOverlay(overlay, backing, base.format, base.store.size);
  } catch (error) {
    throw error instanceof DiskError ? error : refuse(errorText(error));
  }
}

/** Files in one directory may be moved together; elsewhere only the whole path is sure. */
function backingName(overlay: string, file: string): string {
  const real = realpathSync(file);
  if (realpathSync(dirname(overlay)) !== dirname(real)) return real;
  // A colon would make a protocol of the name.
  return basename(real).includes(":") ? join(dirname(real), basename(real)) : basename(real);
}
