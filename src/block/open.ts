/** Opens disk images for drives: checks first, and touches none that cannot be used. */
import { existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { BlockStore } from "../devices/virtio/block.ts";
import { DiskError } from "./disk-error.ts";
import type { FailureListener } from "./failures.ts";
import type { ImageFormat } from "./image-format.ts";
import { type FileIdentity, isSameFile } from "./lock.ts";
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
  /** The image, and all files below it. */
  readonly files: readonly FileIdentity[];
  /** May be called more than once. */
  close(): void;
  /** In place of `close`, where no guest has run: an overlay that was made for it goes again. */
  discard(): void;
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
    const { overlay } = request;
    const isNew = !existsSync(overlay);
    const image = await openOverlay(request, overlay, reporting);
    return asDisk(image, image.store, isNew ? () => rmSync(overlay, { force: true }) : () => {});
  }
  const { file, format } = request;
  const writes = !request.readonly && !request.snapshot;
  const image = await openImage({ file, format, writes, alone: false }, reporting);
  const inMemory = request.snapshot && !request.readonly;
  return asDisk(image, inMemory ? new Snapshot(image.store) : image.store, () => {});
}

function asDisk(image: Image, store: BlockStore, remove: () => void): Disk {
  const files: FileIdentity[] = [];
  for (let at: Image | null = image; at !== null; at = at.backing) files.push(at.identity);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    image.close();
  };
  const discard = (): void => {
    close();
    remove();
  };
  return { store, files, close, discard };
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
