/**
 * SMBIOS 3.0 tables (DMTF DSP0134): what operating systems print as the machine's name. Three structures, as
 * small as the specification allows: BIOS (type 0), system (type 1), end of table (type 127).
 */
import { StructWriter } from "./bytes.ts";
import type { GuestMemory, Range } from "./platform.ts";

export interface SmbiosNames {
  readonly manufacturer: string;
  readonly product: string;
  readonly version: string;
  /** mm/dd/yyyy. */
  readonly biosDate: string;
}

/** A structure: formatted area with type, length and handle, then its strings, ended by an empty one. */
function structure(
  type: number,
  handle: number,
  formatted: StructWriter,
  strings: readonly string[],
): number[] {
  formatted.u8(0, type).u8(1, formatted.bytes.length).u16(2, handle);
  const texts = strings.flatMap((text) => [...new TextEncoder().encode(text), 0]);
  return [...formatted.bytes, ...(texts.length === 0 ? [0] : texts), 0];
}

function structures(names: SmbiosNames): Uint8Array {
  const BIOS_CHARACTERISTICS_UNSUPPORTED = 1 << 3;
  const IS_VIRTUAL_MACHINE = 1 << 4;
  const WAKE_UP_POWER_SWITCH = 6;
  // Strings are numbered from 1 in their order behind the structure.
  const bios = new StructWriter(0x18)
    .u8(4, 1) // vendor
    .u8(5, 2) // version
    .u16(6, 0xe000) // starting segment
    .u8(8, 3) // release date
    .u8(9, 1) // ROM of 64 KiB * (n + 1)
    .u32(0xa, BIOS_CHARACTERISTICS_UNSUPPORTED)
    .u8(0x13, IS_VIRTUAL_MACHINE) // characteristics, second extension byte
    .u8(0x16, 0xff) // no embedded controller
    .u8(0x17, 0xff);
  const system = new StructWriter(0x1b).u8(4, 1).u8(5, 2).u8(6, 3).u8(0x18, WAKE_UP_POWER_SWITCH);
  return Uint8Array.from([
    ...structure(0, 0, bios, [names.manufacturer, names.version, names.biosDate]),
    ...structure(1, 0x100, system, [names.manufacturer, names.product, names.version]),
    ...structure(127, 0x7f00, new StructWriter(4), []),
  ]);
}

/**
 * Writes the entry point at the start of `where`, which must be 16-byte aligned in F0000h-FFFFFh (5.2.2), and
 * the structures after it. Throws `RangeError` where they do not fit.
 */
export function installSmbios(names: SmbiosNames, where: Range, memory: GuestMemory): void {
  const ENTRY_SIZE = 24;
  const table = structures(names);
  const address = where.base + 32;
  if (32 + table.length > where.length)
    throw new RangeError(`the SMBIOS tables exceed their ${where.length} bytes`);
  const entry = new StructWriter(ENTRY_SIZE)
    .ascii(0, "_SM3_")
    .u8(6, ENTRY_SIZE)
    .u8(7, 3) // version 3.0
    .u8(10, 1) // entry point revision
    .u32(12, table.length)
    .u64(16, address);
  entry.u8(5, -entry.bytes.reduce((sum, byte) => sum + byte, 0) & 0xff);
  memory.write(where.base, entry.bytes);
  memory.write(address, table);
}
