/** `--drive` and `--rng` as people write them. */
import type { DiskRequest } from "../block/open.ts";
import type { VirtioTransport } from "../machine/virtio.ts";
import { UserError } from "./errors.ts";
import { Suboptions } from "./suboptions.ts";

export interface DriveOption extends DiskRequest {
  readonly id: string;
  readonly transport: VirtioTransport;
}

export const DRIVE_FORM =
  "file=FILE[,format=raw|qcow2][,readonly][,snapshot][,overlay=FILE][,id=NAME][,transport=pci|mmio]";
const OPTION = "--drive";
/** What fits into the serial number of a virtio disk and into a file name of udev's. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$/;

export function parseTransport(option: string, text: string): VirtioTransport {
  if (text === "pci" || text === "mmio") return text;
  throw new UserError(`${option}: expected pci or mmio, found "${text}"`);
}

function parseDrive(text: string, index: number): DriveOption {
  const given = new Suboptions(OPTION, DRIVE_FORM, text);
  const file = given.required("file");
  const format = given.choice("format", ["raw", "qcow2"]);
  const overlay = given.value("overlay");
  const transport = given.choice("transport", ["pci", "mmio"]) ?? "pci";
  const id = given.value("id") ?? `disk${index}`;
  if (!ID.test(id)) {
    throw new UserError(
      `${OPTION}: expected an id of up to 20 letters, digits, dots, underscores and hyphens, found "${id}"`,
    );
  }
  const drive: DriveOption = {
    file,
    readonly: given.flag("readonly"),
    snapshot: given.flag("snapshot"),
    id,
    transport,
    ...(format === undefined ? {} : { format }),
    ...(overlay === undefined ? {} : { overlay }),
  };
  if (drive.readonly && overlay !== undefined) {
    throw new UserError(`${OPTION}: expected readonly or overlay=, found both in "${text}"`);
  }
  if (drive.snapshot && overlay !== undefined) {
    throw new UserError(
      `${OPTION}: expected snapshot, which keeps what is written in memory, or overlay=, found both in "${text}"`,
    );
  }
  given.end();
  return drive;
}

/**
 * @param overlay what `--overlay` says: the `overlay=` of the only drive
 * @throws UserError
 */
export function parseDrives(texts: readonly string[], overlay?: string): DriveOption[] {
  const drives = texts.map(parseDrive);
  const ids = new Set<string>();
  for (const { id } of drives) {
    if (ids.has(id)) throw new UserError(`${OPTION}: expected each id once, found "${id}" twice`);
    ids.add(id);
  }
  return overlay === undefined ? drives : [withOverlay(drives, overlay)];
}

function withOverlay(drives: readonly DriveOption[], overlay: string): DriveOption {
  const refuse = (expected: string, found: string): UserError =>
    new UserError(`--overlay: expected ${expected}, found ${found}`);
  const [drive] = drives;
  if (overlay === "") throw refuse("a file", "none");
  if (drive === undefined || drives.length > 1) {
    throw refuse("one --drive", `${drives.length}: overlay=FILE in a --drive says which`);
  }
  if (drive.overlay !== undefined) throw refuse("one overlay", `overlay=${drive.overlay} too`);
  if (drive.readonly) throw refuse("a disk that can be written to", "readonly");
  if (drive.snapshot) throw refuse("a disk whose writes are kept", "snapshot");
  return { ...drive, overlay };
}
