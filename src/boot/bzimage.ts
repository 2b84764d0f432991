/**
 * Linux bzImage, boot protocol 2.08 and later (Documentation/arch/x86/boot.rst). The 16-bit setup code never
 * runs: the kernel is entered by the 64-bit protocol where xloadflags offers it, else by the 32-bit one.
 */
import {
  BOOT_FLAG,
  BootParams,
  bootParamsFromHeader,
  LOADED_HIGH,
  SETUP_HEADER_MAGIC,
  XLF_KERNEL_64,
} from "./boot-params.ts";
import { ImageReader } from "./bytes.ts";
import { type EntryState, enterLong64, enterProtected32 } from "./entry.ts";
import { byteCount, hex, ImageError } from "./image-error.ts";
import { onlyModule, placeCommandLine, placeInitrd, writeZeroPage } from "./linux.ts";
import { Placement } from "./placement.ts";
import type { GuestMemory, LoadOptions } from "./platform.ts";

const SECTOR = 512;
/** boot.rst: a setup_sects of 0 means 4. */
const DEFAULT_SETUP_SECTORS = 4;
const OLDEST_VERSION = 0x0208;
const VERSION_2_10 = 0x020a;
const VERSION_2_12 = 0x020c;
/** boot.rst, "64-bit Boot Protocol": the entry is 200h after the start of the protected-mode code. */
const ENTRY64_OFFSET = 0x200;
/** The last field before 2.10 is payload_length; init_size ends at 264h from 2.10 on. */
const HEADER_END_2_08 = 0x250;
const HEADER_END_2_10 = 0x264;

/** What a bzImage says about itself. Addresses are guest physical. */
export interface BzImage {
  readonly reader: ImageReader;
  /** e.g. 020fh for 2.15. */
  readonly version: number;
  readonly setupSize: number;
  /** Protected-mode code in the file. */
  readonly payload: Uint8Array;
  readonly kernelVersion: string;
  readonly relocatable: boolean;
  readonly alignment: number;
  readonly preferredAddress: number;
  /** Contiguous memory the kernel needs from its start address before it looks at the memory map. */
  readonly initSize: number;
  readonly initrdLastAddress: number;
  readonly commandLineSize: number;
  readonly entry64: boolean;
}

/** Whether the file carries the setup header's two signatures. */
export function isBzImage(file: Uint8Array): boolean {
  if (file.length < BootParams.version) return false;
  const reader = new ImageReader(file, "bzImage");
  return (
    reader.u16(BootParams.boot_flag) === BOOT_FLAG && reader.u32(BootParams.header) === SETUP_HEADER_MAGIC
  );
}

export const protocolName = (version: number): string =>
  `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;

/** Reads and checks the setup header. Throws `ImageError`. */
export function parseBzImage(file: Uint8Array): BzImage {
  const reader = new ImageReader(file, "bzImage");
  const version = reader.u16(BootParams.version);
  if (version < OLDEST_VERSION) {
    throw new ImageError(
      `bzImage: expected boot protocol 2.08 or later (Linux 2.6.26), found ${protocolName(version)} at offset ${hex(BootParams.version)}`,
    );
  }
  const headerEnd = BootParams.header + reader.u8(BootParams.jump + 1);
  const expectedEnd = version >= VERSION_2_10 ? HEADER_END_2_10 : HEADER_END_2_08;
  if (headerEnd < expectedEnd) {
    throw new ImageError(
      `bzImage: expected a setup header up to ${hex(expectedEnd)} for protocol ${protocolName(version)}, ` +
        `found its end at ${hex(headerEnd)} by the jump at offset ${hex(BootParams.jump)}`,
    );
  }
  if ((reader.u8(BootParams.loadflags) & LOADED_HIGH) === 0) {
    throw new ImageError(
      `bzImage: expected a kernel loaded at 1 MiB (loadflags bit 0), found a zImage at offset ${hex(BootParams.loadflags)}`,
    );
  }

  const setupSize = ((reader.u8(BootParams.setup_sects) || DEFAULT_SETUP_SECTORS) + 1) * SECTOR;
  const wanted = reader.u32(BootParams.syssize) * 16;
  const present = Math.max(0, file.length - setupSize);
  // syssize counts 16-byte units; a builder need not pad the file to the last one.
  if (wanted === 0 || present <= wanted - 16) {
    throw new ImageError(
      `truncated bzImage: expected ${byteCount(setupSize + wanted)} by setup_sects and syssize at offset ` +
        `${hex(BootParams.setup_sects)}, found ${byteCount(file.length)}`,
    );
  }
  const payload = file.subarray(setupSize, setupSize + Math.min(wanted, present));

  const has2_10 = version >= VERSION_2_10;
  const alignment = reader.u32(BootParams.kernel_alignment);
  const relocatable = reader.u8(BootParams.relocatable_kernel) !== 0;
  if (relocatable && (alignment === 0 || (alignment & (alignment - 1)) !== 0)) {
    throw new ImageError(
      `bzImage: expected a power of two as kernel_alignment, found ${hex(alignment)} at offset ${hex(BootParams.kernel_alignment)}`,
    );
  }
  const entry64 = version >= VERSION_2_12 && (reader.u16(BootParams.xloadflags) & XLF_KERNEL_64) !== 0;
  if (entry64 && payload.length <= ENTRY64_OFFSET) {
    throw new ImageError(
      `truncated bzImage: expected a 64-bit entry at ${hex(setupSize + ENTRY64_OFFSET)}, found the end of the kernel at ${hex(setupSize + payload.length)}`,
    );
  }
  const versionPointer = reader.u16(BootParams.kernel_version);
  return {
    reader,
    version,
    setupSize,
    payload,
    kernelVersion: versionPointer === 0 ? "" : reader.text(versionPointer + SECTOR, 256),
    relocatable,
    alignment,
    preferredAddress: has2_10 ? reader.u64(BootParams.pref_address) : reader.u32(BootParams.code32_start),
    initSize: Math.max(has2_10 ? reader.u32(BootParams.init_size) : 0, payload.length),
    initrdLastAddress: reader.u32(BootParams.initrd_addr_max),
    commandLineSize: reader.u32(BootParams.cmdline_size),
    entry64,
  };
}

const alignUp = (address: number, alignment: number): number => Math.ceil(address / alignment) * alignment;

/**
 * Where the protected-mode code goes: where it would move itself to. boot.rst, init_size: a relocatable kernel
 * runs at its load address, aligned up and not below pref_address; another one runs at pref_address.
 */
function chooseAddress(image: BzImage, highMemory: number): number {
  if (!image.relocatable) return image.preferredAddress;
  return alignUp(Math.max(image.preferredAddress, highMemory), image.alignment);
}

/** Loads a bzImage. Throws `ImageError`. */
export function loadBzImage(file: Uint8Array, options: LoadOptions, memory: GuestMemory): EntryState {
  const image = parseBzImage(file);
  const { layout, memoryMap, rsdp } = options.platform;
  const placement = new Placement(options.platform, memory);
  const address = chooseAddress(image, layout.highMemory);
  placement.claim("kernel", address, image.initSize);
  memory.write(address, image.payload);

  const commandLineAddress = placeCommandLine(memory, placement, options, image.commandLineSize);
  const initrd = placeInitrd(memory, placement, onlyModule(options), image.initrdLastAddress);
  const values = { commandLineAddress, memoryMap, rsdp, ...(initrd === undefined ? {} : { initrd }) };
  writeZeroPage(memory, placement, layout.zeroPage, bootParamsFromHeader(image.reader, address, values));

  // Both protocols: (E/R)SI points to boot_params; 32-bit: EBP, EDI and EBX are zero.
  const target = { memory, layout, placement };
  return image.entry64
    ? enterLong64(target, address + ENTRY64_OFFSET, { rsi: layout.zeroPage })
    : enterProtected32(target, address, { rsi: layout.zeroPage });
}
