/** What firmware would have left in memory before a boot loader runs: BIOS data area, ACPI, SMBIOS and MP tables. */
import { installAcpi } from "./acpi.ts";
import type { AcpiPlatform } from "./acpi-platform.ts";
import { StructWriter } from "./bytes.ts";
import { installMpTable } from "./mp-table.ts";
import type { GuestMemory, Range } from "./platform.ts";
import { installSmbios, type SmbiosNames } from "./smbios.ts";

export interface FirmwareOptions {
  readonly acpi: AcpiPlatform;
  /** Extended BIOS data area below 640 KiB, a whole number of KiB. */
  readonly ebda: Range;
  /** COM1's first port, for kernels that look it up in the BIOS data area. */
  readonly com1: number;
  /** Room for the MP table in F0000h-FFFFFh; absent for none. */
  readonly mpTable?: Range;
  /** Room for the SMBIOS tables in F0000h-FFFFFh, with what they say; absent for none. */
  readonly smbios?: { readonly where: Range; readonly names: SmbiosNames };
}

/** BIOS data area (IBM PC/AT Technical Reference, section 5): offsets from 400h. */
const BDA = 0x400;
const BDA_SIZE = 0x100;
const BdaField = { COM_PORTS: 0x00, EBDA_SEGMENT: 0x0e, MEMORY_KIB: 0x13 } as const;

/** Writes all of it. Throws `RangeError` where a table exceeds its room. */
export function installFirmware(options: FirmwareOptions, memory: GuestMemory): void {
  const { ebda } = options;
  const bda = new StructWriter(BDA_SIZE)
    .u16(BdaField.COM_PORTS, options.com1)
    .u16(BdaField.EBDA_SEGMENT, ebda.base >>> 4)
    .u16(BdaField.MEMORY_KIB, Math.floor(ebda.base / 1024));
  memory.write(BDA, bda.bytes);
  // The first byte of the EBDA is its size in KiB.
  memory.write(ebda.base, Uint8Array.of(Math.floor(ebda.length / 1024)));
  installAcpi(options.acpi, memory);
  if (options.mpTable !== undefined) installMpTable(options.acpi, options.mpTable, memory);
  if (options.smbios !== undefined) installSmbios(options.smbios.names, options.smbios.where, memory);
}
