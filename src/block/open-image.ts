/** Opens an image of either format, with the files below it. */
import { closeSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { type BlockStore, SECTOR } from "../devices/virtio/block.ts";
import { DiskError } from "./disk-error.ts";
import type { FailureListener } from "./failures.ts";
import { HostFile } from "./host-file.ts";
import { foreignFormat, guessFormat, type ImageFormat, startsAsQcow2 } from "./image-format.ts";
import { type FileIdentity, isLocked, isSameFile, lockFile, type Unlock } from "./lock.ts";
import { type ErrorText, type OpenedFile, openFile, readStart, refusal } from "./open-file.ts";
import { CorruptImage, UnsupportedImage } from "./qcow2/errors.ts";
import {
  type BackingName,
  clusterBitsOf,
  FIRST_BYTES,
  type Header,
  parseHeader,
  VERSION_2_LENGTH,
  VERSION_3_LENGTH,
} from "./qcow2/header.ts";
import { Qcow2Image } from "./qcow2/image.ts";
import { isLockedByQemu } from "./qemu-lock.ts";
import { RawFile } from "./raw-file.ts";

/** Each file of a chain is open: more than anybody stacks up, less than a process may have. */
const LONGEST_CHAIN = 32;
const QCOW2_BY = "format=qcow2 or format=raw says which it is";

export interface Image {
  readonly store: BlockStore;
  readonly identity: FileIdentity;
  readonly format: ImageFormat;
  /** The image that is its backing file; null without one. */
  readonly backing: Image | null;
  close(): void;
}

export interface ImageRequest {
  readonly file: string;
  /** Absent: by contents and name. */
  readonly format?: ImageFormat | undefined;
  readonly writes: boolean;
  /** Nobody else may write to it meanwhile. A qcow2 image whose tables change cannot be read. */
  readonly alone: boolean;
  /** Files above it. */
  readonly above?: readonly FileIdentity[];
}

export interface Reporting {
  readonly errorText: ErrorText;
  readonly onFailure: FailureListener;
}

/** @throws DiskError */
export async function openImage(request: ImageRequest, reporting: Reporting): Promise<Image> {
  const { file, writes } = request;
  const opened = openFile(file, writes, reporting.errorText);
  const undo: (() => void)[] = [() => closeSync(opened.fd)];
  try {
    const format = request.format ?? guessFormat(file, opened.fd);
    if (format === null) throw unclear(file, opened.fd);
    const unlock = await lock(request, format, opened);
    undo.push(unlock);
    if (format === "raw") return openRaw(request, reporting, opened, unlock);
    return await openQcow2(request, reporting, opened, unlock, undo);
  } catch (error) {
    for (const act of undo.reverse()) act();
    if (error instanceof DiskError) throw error;
    if (error instanceof CorruptImage || error instanceof UnsupportedImage)
      throw refusal(file, error.message);
    throw refusal(file, reporting.errorText(error));
  }
}

function unclear(file: string, fd: number): DiskError {
  const foreign = foreignFormat(fd);
  if (foreign !== null) {
    const remedy =
      "qemu-img convert -O qcow2 makes one that can be used, and format=raw says that it is none";
    return refusal(file, `one that starts like ${foreign}`, remedy);
  }
  const disagreement = startsAsQcow2(fd)
    ? "one that starts like qcow2, which a guest can write to a raw disk too"
    : `one that does not start like qcow2, as its name ${file.slice(-6)} promises`;
  return refusal(file, disagreement, QCOW2_BY);
}

async function lock(
  { file, writes, alone }: ImageRequest,
  format: ImageFormat,
  opened: OpenedFile,
): Promise<Unlock> {
  const busy = "one that another ukl-emu or another drive of this one writes to";
  if ((writes || alone || format === "qcow2") && isLockedByQemu(opened, writes)) {
    throw refusal(file, "one that QEMU has locked");
  }
  if (writes) {
    const unlock = await lockFile(opened);
    if (unlock === null) throw refusal(file, busy, format === "raw" ? "snapshot or readonly share it" : "");
    return unlock;
  }
  if ((alone || format === "qcow2") && (await isLocked(opened))) throw refusal(file, busy);
  return () => {};
}

function openRaw(
  { file, writes, above }: ImageRequest,
  { onFailure }: Reporting,
  opened: OpenedFile,
  unlock: Unlock,
): Image {
  if (above === undefined && opened.size % SECTOR !== 0) {
    throw refusal(file, `${opened.size} bytes`, `its size must be a multiple of ${SECTOR}`);
  }
  const store = new RawFile(opened.fd, opened.size, !writes, onFailure);
  const close = (): void => {
    store.close();
    unlock();
  };
  return { store, identity: opened, format: "raw", backing: null, close };
}

async function openQcow2(
  request: ImageRequest,
  reporting: Reporting,
  opened: OpenedFile,
  unlock: Unlock,
  undo: (() => void)[],
): Promise<Image> {
  const { file, writes, above } = request;
  if (!startsAsQcow2(opened.fd)) throw refusal(file, "no qcow2 header");
  const clusterBits = clusterBitsOf(readStart(opened.fd, FIRST_BYTES));
  const start = readStart(opened.fd, 2 ** clusterBits);
  const header = parseHeader(start, opened.size);
  if (writes) checkWritable(header);
  if (above === undefined && header.size % SECTOR !== 0) {
    throw refusal(
      file,
      `a qcow2 disk of ${header.size} bytes`,
      `its size must be a multiple of ${SECTOR}: qemu-img resize`,
    );
  }
  const backing =
    header.backing === null ? null : await openBacking(request, reporting, opened, header.backing);
  if (backing !== null) undo.push(() => backing.close());
  const headerBytes = start.slice(0, header.version === 2 ? VERSION_2_LENGTH : VERSION_3_LENGTH);
  const store = new Qcow2Image(
    {
      file: new HostFile(opened.fd, opened.size),
      header,
      headerBytes,
      backing: backing?.store ?? null,
      readonly: !writes,
    },
    reporting.onFailure,
  );
  const close = (): void => {
    store.close();
    backing?.close();
    unlock();
  };
  return { store, identity: opened, format: "qcow2", backing, close };
}

function checkWritable(header: Header): void {
  const refuse = (what: string, remedy: string): UnsupportedImage =>
    new UnsupportedImage(`a qcow2 image ${what}: ${remedy}`);
  if (header.corrupt) throw refuse("that is marked as corrupt", "qemu-img check -r all repairs it");
  if (header.dirty) {
    throw refuse(
      "whose refcounts are out of date (its dirty bit is set)",
      "qemu-img check -r all brings them up to date",
    );
  }
  if (header.bitmaps) {
    throw refuse(
      "with bitmaps, which a write would make invalid",
      "qemu-img bitmap --remove, or readonly or snapshot",
    );
  }
}

/**
 * Opens what the header names. Its format comes from the header alone; where that says nothing, it is raw, and one that
 * starts like qcow2 is refused: a guest may have written that.
 */
async function openBacking(
  { file, above = [] }: ImageRequest,
  reporting: Reporting,
  opened: OpenedFile,
  { name, format }: BackingName,
): Promise<Image> {
  const chain = [...above, opened];
  if (chain.length >= LONGEST_CHAIN) {
    throw new UnsupportedImage(`more than ${LONGEST_CHAIN} backing files: qemu-img rebase makes them fewer`);
  }
  const path = backingPath(file, name);
  if (format !== null && format !== "raw" && format !== "qcow2") {
    throw new UnsupportedImage(
      `a qcow2 image whose backing file ${name} has the format "${format}", of which raw and qcow2 are known`,
    );
  }
  let backing: Image;
  try {
    if (format === null) refuseUnnamed(path, reporting.errorText);
    const request = {
      file: path,
      format: format ?? "raw",
      writes: false,
      alone: true,
      above: chain,
    } as const;
    if (chain.some((other) => isSameFile(other, identify(path, reporting.errorText)))) {
      throw refusal(path, "the same file above itself");
    }
    backing = await openImage(request, reporting);
  } catch (error) {
    if (error instanceof DiskError) throw new DiskError(`${file}: its backing file ${error.message}`);
    throw error;
  }
  return backing;
}

function identify(path: string, errorText: ErrorText): FileIdentity {
  const opened = openFile(path, false, errorText);
  closeSync(opened.fd);
  return opened;
}

function refuseUnnamed(path: string, errorText: ErrorText): void {
  const { fd } = openFile(path, false, errorText);
  try {
    if (!startsAsQcow2(fd)) return;
    throw refusal(
      path,
      "one that starts like qcow2, while the image above names no format",
      "qemu-img rebase -u -F qcow2 (or -F raw) -b names it",
    );
  } finally {
    closeSync(fd);
  }
}

/** Relative to the image's directory; a colon before any slash means a protocol to QEMU. */
function backingPath(file: string, name: string): string {
  const plain = name.startsWith("file:") ? name.slice("file:".length) : name;
  if (/^[^/]*:/.test(plain) || plain.includes("\0")) {
    throw new UnsupportedImage(
      `a qcow2 image with the backing file "${name}", which is not the name of a file`,
    );
  }
  return isAbsolute(plain) ? plain : join(dirname(file), plain);
}
