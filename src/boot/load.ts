/** Loads an image of any known format. */
import { loadBzImage } from "./bzimage.ts";
import { detectImage, type ImageFormat } from "./detect.ts";
import type { EntryState } from "./entry.ts";
import { loadMultiboot } from "./multiboot.ts";
import type { GuestMemory, LoadOptions } from "./platform.ts";
import { loadPvh } from "./pvh.ts";
import { loadElf64 } from "./vmlinux.ts";

type Loader = (file: Uint8Array, options: LoadOptions, memory: GuestMemory) => EntryState;

export const loaders: Readonly<Record<ImageFormat, Loader>> = {
  bzimage: loadBzImage,
  pvh: loadPvh,
  multiboot: loadMultiboot,
  elf64: loadElf64,
};

/**
 * Puts an image with its command line and modules into guest memory and returns the state to start it in.
 * Firmware data and ACPI tables are `installFirmware`'s. Throws `ImageError` for anything that does not fit.
 */
export function loadImage(file: Uint8Array, options: LoadOptions, memory: GuestMemory): EntryState {
  return loaders[detectImage(file)](file, options, memory);
}
