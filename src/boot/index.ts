/** The boot directory's face: what the machine and the command line use. */
export type { AcpiPlatform, IsaDevice } from "./acpi-platform.ts";
export { detectImage, type ImageFormat } from "./detect.ts";
export { buildE820, type E820Entry, E820Type } from "./e820.ts";
export type { EntryRegisters, EntryState, SegmentState } from "./entry.ts";
export { type FirmwareOptions, installFirmware } from "./firmware.ts";
export { ImageError } from "./image-error.ts";
export { describeImage, type ImageInfo } from "./info.ts";
export { loadImage } from "./load.ts";
export type { BootLayout, BootModule, BootPlatform, GuestMemory, LoadOptions, Range } from "./platform.ts";
