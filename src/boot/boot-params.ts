/**
 * `struct boot_params`, the zero page of the Linux boot protocols (Documentation/arch/x86/zero-page.rst), and
 * the setup header inside it (boot.rst, "The Real-Mode Kernel Header").
 */
import { type ImageReader, StructWriter } from "./bytes.ts";
import { E820_ENTRY_SIZE, type E820Entry } from "./e820.ts";
import { ImageError } from "./image-error.ts";

/** Offsets in `boot_params`. Those from 1f1h on are the setup header's, the same as in a bzImage. */
export const BootParams = {
  acpi_rsdp_addr: 0x070,
  e820_entries: 0x1e8,
  setup_sects: 0x1f1,
  syssize: 0x1f4,
  boot_flag: 0x1fe,
  jump: 0x200,
  header: 0x202,
  version: 0x206,
  kernel_version: 0x20e,
  type_of_loader: 0x210,
  loadflags: 0x211,
  code32_start: 0x214,
  ramdisk_image: 0x218,
  ramdisk_size: 0x21c,
  cmd_line_ptr: 0x228,
  initrd_addr_max: 0x22c,
  kernel_alignment: 0x230,
  relocatable_kernel: 0x234,
  min_alignment: 0x235,
  xloadflags: 0x236,
  cmdline_size: 0x238,
  hardware_subarch: 0x23c,
  payload_offset: 0x248,
  payload_length: 0x24c,
  setup_data: 0x250,
  pref_address: 0x258,
  init_size: 0x260,
  handover_offset: 0x264,
  e820_table: 0x2d0,
} as const;

export const BOOT_PARAMS_SIZE = 4096;
/** Capacity of `e820_table` (E820_MAX_ENTRIES_ZEROPAGE). */
const E820_MAX_ENTRIES = 128;
/** The setup header may extend up to the next field of `boot_params`, edd_mbr_sig_buffer. */
const SETUP_HEADER_LIMIT = 0x290;

/** "HdrS", little-endian. */
export const SETUP_HEADER_MAGIC = 0x5372_6448;
export const BOOT_FLAG = 0xaa55;
export const LOADED_HIGH = 0x01;
export const XLF_KERNEL_64 = 0x01;
/** type_of_loader of a loader without an assigned number. */
const LOADER_UNDEFINED = 0xff;

export interface LinuxBootValues {
  readonly commandLineAddress: number;
  readonly initrd?: { readonly base: number; readonly length: number };
  readonly memoryMap: readonly E820Entry[];
  readonly rsdp: number;
}

function fill(page: StructWriter, values: LinuxBootValues): Uint8Array {
  if (values.memoryMap.length > E820_MAX_ENTRIES) {
    throw new ImageError(
      `the memory map has ${values.memoryMap.length} entries, the Linux zero page holds ${E820_MAX_ENTRIES}`,
    );
  }
  page
    .u64(BootParams.acpi_rsdp_addr, values.rsdp)
    .u8(BootParams.e820_entries, values.memoryMap.length)
    .u8(BootParams.type_of_loader, LOADER_UNDEFINED)
    .u32(BootParams.cmd_line_ptr, values.commandLineAddress)
    .u64(BootParams.setup_data, 0);
  if (values.initrd !== undefined) {
    page.u32(BootParams.ramdisk_image, values.initrd.base).u32(BootParams.ramdisk_size, values.initrd.length);
  }
  values.memoryMap.forEach((entry, index) => {
    const offset = BootParams.e820_table + index * E820_ENTRY_SIZE;
    page
      .u64(offset, entry.base)
      .u64(offset + 8, entry.length)
      .u32(offset + 16, entry.type);
  });
  return page.bytes;
}

/** The zero page for a bzImage: its own setup header with the loader's fields written. */
export function bootParamsFromHeader(
  image: ImageReader,
  loadAddress: number,
  values: LinuxBootValues,
): Uint8Array {
  const page = new StructWriter(BOOT_PARAMS_SIZE);
  // boot.rst: the header ends at 202h plus the byte at 201h, the displacement of the jump over it.
  const end = Math.min(BootParams.header + image.u8(BootParams.jump + 1), SETUP_HEADER_LIMIT);
  page.put(
    BootParams.setup_sects,
    image.slice(BootParams.setup_sects, end - BootParams.setup_sects, "setup header"),
  );
  page.u32(BootParams.code32_start, loadAddress);
  return fill(page, values);
}

/**
 * The zero page for a kernel that comes without a setup header, an ELF entered by the 64-bit protocol. The
 * header says what the kernel's own would: protocol 2.12 for a 64-bit kernel loaded high.
 */
export function bootParamsWithoutHeader(
  loadAddress: number,
  commandLineSize: number,
  values: LinuxBootValues,
): Uint8Array {
  const page = new StructWriter(BOOT_PARAMS_SIZE)
    .u16(BootParams.boot_flag, BOOT_FLAG)
    .u32(BootParams.header, SETUP_HEADER_MAGIC)
    .u16(BootParams.version, 0x020c)
    .u8(BootParams.loadflags, LOADED_HIGH)
    .u32(BootParams.code32_start, loadAddress)
    .u16(BootParams.xloadflags, XLF_KERNEL_64)
    .u32(BootParams.cmdline_size, commandLineSize);
  return fill(page, values);
}
