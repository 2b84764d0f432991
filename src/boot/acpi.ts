/**
 * The ACPI tables (ACPI 6.4 chapter 5.2): RSDP, RSDT, XSDT, FADT, FACS, DSDT, MADT, MCFG. The hardware is the
 * full ("not hardware-reduced") model without SMM: no SMI command port, so the system is always in ACPI mode.
 */
import type { AcpiPlatform } from "./acpi-platform.ts";
import { StructWriter } from "./bytes.ts";
import { dsdtBody } from "./dsdt.ts";
import type { GuestMemory } from "./platform.ts";

const OEM_ID = "UKLEMU";
const OEM_TABLE_ID = "UKLEMUPC";
const CREATOR_ID = "UKLE";
const HEADER = 36;
const CHECKSUM = 9;

function setChecksum(bytes: Uint8Array, offset: number, length = bytes.length): void {
  bytes[offset] = 0;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += bytes[i]!;
  bytes[offset] = -sum & 0xff;
}

/** Writes a system description table header (5.2.6) and its checksum. */
function finish(table: StructWriter, signature: string, revision: number): Uint8Array {
  table
    .ascii(0, signature, 4)
    .u32(4, table.bytes.length)
    .u8(8, revision)
    .ascii(10, OEM_ID, 6)
    .ascii(16, OEM_TABLE_ID, 8)
    .u32(24, 1)
    .ascii(28, CREATOR_ID, 4)
    .u32(32, 1);
  setChecksum(table.bytes, CHECKSUM);
  return table.bytes;
}

/** Generic address structure (5.2.3.2) of an I/O port. Access size: 1 byte, 2 word, 3 dword. */
function ioAddress(table: StructWriter, offset: number, port: number, bytes: 1 | 2 | 4): void {
  const SYSTEM_IO = 1;
  table
    .u8(offset, SYSTEM_IO)
    .u8(offset + 1, bytes * 8)
    .u8(offset + 3, bytes === 4 ? 3 : bytes)
    .u64(offset + 4, port);
}

/** FADT flags (table 5.10). */
const FadtFlag = {
  WBINVD: 1 << 0,
  PROC_C1: 1 << 2,
  /** No sleep button of the fixed register model; its power button (PWRBTN_STS) is there. */
  SLP_BUTTON: 1 << 5,
  /** The RTC alarm is no wake event of the fixed register model. */
  FIX_RTC: 1 << 6,
  TMR_VAL_EXT: 1 << 8,
  RESET_REG_SUP: 1 << 10,
} as const;

/** IAPC_BOOT_ARCH (table 5.11). */
const BootArchitecture = { LEGACY_DEVICES: 1 << 0, I8042: 1 << 1, VGA_NOT_PRESENT: 1 << 2 } as const;

const FADT_SIZE = 276;
const FADT_REVISION = 6;
const FADT_MINOR_REVISION = 4;
/** Latencies above these values mean that C2 and C3 are not supported (5.2.9). */
const NO_C2 = 101;
const NO_C3 = 1001;

function fadt(platform: AcpiPlatform, facs: number, dsdt: number): Uint8Array {
  const { pm, reset } = platform;
  const flags =
    FadtFlag.WBINVD |
    FadtFlag.PROC_C1 |
    FadtFlag.SLP_BUTTON |
    FadtFlag.FIX_RTC |
    FadtFlag.RESET_REG_SUP |
    (pm.timerBits === 32 ? FadtFlag.TMR_VAL_EXT : 0);
  const bootArchitecture =
    BootArchitecture.LEGACY_DEVICES |
    BootArchitecture.VGA_NOT_PRESENT |
    (platform.keyboard === undefined ? 0 : BootArchitecture.I8042);
  const table = new StructWriter(FADT_SIZE)
    .u32(36, facs) // FIRMWARE_CTRL
    .u32(40, dsdt)
    .u16(46, platform.sci) // SCI_INT
    .u32(56, pm.event) // PM1a_EVT_BLK
    .u32(64, pm.control) // PM1a_CNT_BLK
    .u32(76, pm.timer) // PM_TMR_BLK
    .u8(88, 4) // PM1_EVT_LEN
    .u8(89, 2) // PM1_CNT_LEN
    .u8(91, 4) // PM_TMR_LEN
    .u16(96, NO_C2) // P_LVL2_LAT
    .u16(98, NO_C3) // P_LVL3_LAT
    .u8(108, platform.centuryIndex)
    .u16(109, bootArchitecture)
    .u32(112, flags)
    .u8(128, reset.value)
    .u8(131, FADT_MINOR_REVISION)
    .u64(140, dsdt); // X_DSDT; X_FIRMWARE_CTRL stays 0, only one of the two may be set
  ioAddress(table, 116, reset.port, 1); // RESET_REG
  ioAddress(table, 148, pm.event, 4); // X_PM1a_EVT_BLK
  ioAddress(table, 172, pm.control, 2); // X_PM1a_CNT_BLK
  ioAddress(table, 208, pm.timer, 4); // X_PM_TMR_BLK
  return finish(table, "FACP", FADT_REVISION);
}

/** FACS (5.2.10) has no checksum and lies on a 64-byte boundary. */
function facs(): Uint8Array {
  const SIZE = 64;
  return new StructWriter(SIZE).ascii(0, "FACS").u32(4, SIZE).u8(32, 2).bytes;
}

/** MPS INTI flags (table 5.31). */
const Inti = { CONFORMS: 0, ACTIVE_HIGH_LEVEL: 0x0d } as const;

function madt(platform: AcpiPlatform): Uint8Array {
  const ENABLED = 1;
  const PCAT_COMPAT = 1;
  const ALL_PROCESSORS = 0xff;
  const { ioapic } = platform;
  const structures: Uint8Array[] = platform.localApicIds.map(
    (id, uid) => new StructWriter(8).u8(0, 0).u8(1, 8).u8(2, uid).u8(3, id).u32(4, ENABLED).bytes,
  );
  structures.push(
    new StructWriter(12).u8(0, 1).u8(1, 12).u8(2, ioapic.id).u32(4, ioapic.address).u32(8, ioapic.gsiBase)
      .bytes,
  );
  const override = (irq: number, gsi: number, flags: number): void => {
    structures.push(new StructWriter(10).u8(0, 2).u8(1, 10).u8(3, irq).u32(4, gsi).u16(8, flags).bytes);
  };
  override(0, platform.pitGsi, Inti.CONFORMS);
  override(platform.sci, platform.sci, Inti.ACTIVE_HIGH_LEVEL);
  // NMI on LINT1 of every processor.
  structures.push(
    new StructWriter(6).u8(0, 4).u8(1, 6).u8(2, ALL_PROCESSORS).u16(3, Inti.CONFORMS).u8(5, 1).bytes,
  );

  const FIXED = HEADER + 8;
  const table = new StructWriter(structures.reduce((sum, s) => sum + s.length, FIXED))
    .u32(HEADER, platform.localApicAddress)
    .u32(HEADER + 4, PCAT_COMPAT);
  let offset = FIXED;
  for (const structure of structures) {
    table.put(offset, structure);
    offset += structure.length;
  }
  return finish(table, "APIC", 5);
}

/** MCFG (PCI Firmware Specification 4.1.2). */
function mcfg(platform: AcpiPlatform): Uint8Array {
  const { ecam } = platform.pci;
  const entry = HEADER + 8;
  const table = new StructWriter(entry + 16)
    .u64(entry, ecam.base)
    .u8(entry + 10, ecam.firstBus)
    .u8(entry + 11, ecam.lastBus);
  return finish(table, "MCFG", 1);
}

function pointers(signature: string, width: 4 | 8, addresses: readonly number[]): Uint8Array {
  const table = new StructWriter(HEADER + addresses.length * width);
  addresses.forEach((address, index) => {
    const offset = HEADER + index * width;
    if (width === 8) table.u64(offset, address);
    else table.u32(offset, address);
  });
  return finish(table, signature, 1);
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const SIZE = 36;
  const FIRST_PART = 20;
  const table = new StructWriter(SIZE)
    .ascii(0, "RSD PTR ")
    .ascii(9, OEM_ID, 6)
    .u8(15, 2)
    .u32(16, rsdt)
    .u32(20, SIZE)
    .u64(24, xsdt);
  setChecksum(table.bytes, 8, FIRST_PART);
  setChecksum(table.bytes, 32);
  return table.bytes;
}

/** One table and the guest physical address it belongs at. */
export interface PlacedTable {
  readonly signature: string;
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Builds all tables. Throws `RangeError` where they exceed the room that the platform gives them. */
export function buildAcpiTables(platform: AcpiPlatform): PlacedTable[] {
  const placed: PlacedTable[] = [];
  let next = platform.tables.base;
  const place = (signature: string, bytes: Uint8Array): number => {
    const address = next + (-next & 63);
    next = address + bytes.length;
    if (next > platform.tables.base + platform.tables.length) {
      throw new RangeError(`the ACPI tables exceed their ${platform.tables.length} bytes`);
    }
    placed.push({ signature, address, bytes });
    return address;
  };
  const facsAddress = place("FACS", facs());
  const body = dsdtBody(platform);
  const dsdt = place("DSDT", finish(new StructWriter(HEADER + body.length).put(HEADER, body), "DSDT", 2));
  const tables = [
    place("FACP", fadt(platform, facsAddress, dsdt)),
    place("APIC", madt(platform)),
    place("MCFG", mcfg(platform)),
  ];
  const rsdt = place("RSDT", pointers("RSDT", 4, tables));
  const xsdt = place("XSDT", pointers("XSDT", 8, tables));
  placed.push({ signature: "RSD PTR ", address: platform.rsdp, bytes: rsdp(rsdt, xsdt) });
  return placed;
}

/** Builds the tables and writes them to guest memory. */
export function installAcpi(platform: AcpiPlatform, memory: GuestMemory): void {
  for (const table of buildAcpiTables(platform)) memory.write(table.address, table.bytes);
}
