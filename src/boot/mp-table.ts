/**
 * The MP configuration table (MultiProcessor Specification 1.4, chapter 4): processors, buses, the I/O APIC and what is
 * wired to it, for guests that do without ACPI. It says what the MADT and the DSDT say.
 */
import type { AcpiPlatform } from "./acpi-platform.ts";
import { StructWriter } from "./bytes.ts";
import type { GuestMemory, Range } from "./platform.ts";

const FLOATING_POINTER_SIZE = 16;
const HEADER_SIZE = 44;
const SPECIFICATION_REVISION = 4;

/** Entry types (table 4-3). */
const Entry = { PROCESSOR: 0, BUS: 1, IO_APIC: 2, IO_INTERRUPT: 3, LOCAL_INTERRUPT: 4 } as const;
/** Interrupt types (table 4-11). */
const Interrupt = { INT: 0, NMI: 1, EXT_INT: 3 } as const;
/** Polarity and trigger mode as the bus has them: ISA edge and high, PCI level and low (table 4-10). */
const CONFORMS = 0;
const ENABLED = 1;
const BOOT_PROCESSOR = 2;
const ALL_LOCAL_APICS = 0xff;

const LOCAL_APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x20;
/** A family 6 processor with FPU and APIC: whoever wants to know more asks CPUID. */
const CPU_SIGNATURE = 0x600;
const FEATURE_FLAGS = 0x201;

/** PCI buses come first and are numbered as configuration space numbers them (appendix D.2). */
const PCI_BUS = 0;
const ISA_BUS = 1;
const PCI_DEVICES = 32;
const PCI_PINS = 4;
const ISA_IRQS = 16;
const ISA_CASCADE = 2;

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0);

function processor(id: number, first: boolean): Uint8Array {
  return new StructWriter(20)
    .u8(0, Entry.PROCESSOR)
    .u8(1, id)
    .u8(2, LOCAL_APIC_VERSION)
    .u8(3, first ? ENABLED | BOOT_PROCESSOR : ENABLED)
    .u32(4, CPU_SIGNATURE)
    .u32(8, FEATURE_FLAGS).bytes;
}

const bus = (id: number, type: string): Uint8Array =>
  new StructWriter(8).u8(0, Entry.BUS).u8(1, id).ascii(2, type.padEnd(6), 6).bytes;

/** Both kinds of interrupt entries: from a bus's line to an input of an APIC. */
const interrupt = (
  entry: number,
  type: number,
  source: { readonly bus: number; readonly irq: number },
  apic: number,
  input: number,
): Uint8Array =>
  new StructWriter(8)
    .u8(0, entry)
    .u8(1, type)
    .u16(2, CONFORMS)
    .u8(4, source.bus)
    .u8(5, source.irq)
    .u8(6, apic)
    .u8(7, input).bytes;

/** The table's entries in ascending order of their types (4.3). */
function entries({ localApicIds, ioapic, pci, pitGsi }: AcpiPlatform): Uint8Array[] {
  const list = localApicIds.map((id, index) => processor(id, index === 0));
  list.push(bus(PCI_BUS, "PCI"), bus(ISA_BUS, "ISA"));
  list.push(
    new StructWriter(8)
      .u8(0, Entry.IO_APIC)
      .u8(1, ioapic.id)
      .u8(2, IO_APIC_VERSION)
      .u8(3, ENABLED)
      .u32(4, ioapic.address).bytes,
  );
  const wire = (bus: number, irq: number, gsi: number): void => {
    list.push(interrupt(Entry.IO_INTERRUPT, Interrupt.INT, { bus, irq }, ioapic.id, gsi - ioapic.gsiBase));
  };
  // INTx of device d, pin p: bits 6-2 and 1-0 of the bus's IRQ (appendix D.3).
  for (let device = 0; device < PCI_DEVICES; device++) {
    for (let pin = 0; pin < PCI_PINS; pin++) {
      wire(PCI_BUS, (device << 2) | pin, pci.pirqGsi[((device + pin) % 4) as 0 | 1 | 2 | 3]);
    }
  }
  // ISA interrupts that PCI has taken in 8259 mode are nobody else's.
  for (let irq = 0; irq < ISA_IRQS; irq++) {
    if (irq === ISA_CASCADE || pci.pirqIsa.includes(irq)) continue;
    wire(ISA_BUS, irq, irq === 0 ? pitGsi : irq + ioapic.gsiBase);
  }
  const isa = { bus: ISA_BUS, irq: 0 };
  list.push(
    interrupt(Entry.LOCAL_INTERRUPT, Interrupt.EXT_INT, isa, localApicIds[0]!, 0),
    interrupt(Entry.LOCAL_INTERRUPT, Interrupt.NMI, isa, ALL_LOCAL_APICS, 1),
  );
  return list;
}

/**
 * Writes the floating pointer structure at the start of `where`, which must be 16-byte aligned in F0000h-FFFFFh (4),
 * and the table after it. Throws `RangeError` where they do not fit.
 */
export function installMpTable(platform: AcpiPlatform, where: Range, memory: GuestMemory): void {
  const list = entries(platform);
  const length = list.reduce((total, { length: bytes }) => total + bytes, HEADER_SIZE);
  const address = where.base + FLOATING_POINTER_SIZE;
  if (FLOATING_POINTER_SIZE + length > where.length)
    throw new RangeError(`the MP table exceeds its ${where.length} bytes`);
  const table = new StructWriter(length)
    .ascii(0, "PCMP", 4)
    .u16(4, length)
    .u8(6, SPECIFICATION_REVISION)
    .ascii(8, "UKLEMU  ", 8)
    .ascii(16, "virtual PC  ", 12)
    .u16(34, list.length)
    .u32(36, platform.localApicAddress);
  let offset = HEADER_SIZE;
  for (const entry of list) {
    table.put(offset, entry);
    offset += entry.length;
  }
  table.u8(7, -sum(table.bytes) & 0xff);
  // Feature byte 1 is 0: there is a table. Byte 2, bit 7 is 0: virtual wire mode, no IMCR.
  const pointer = new StructWriter(FLOATING_POINTER_SIZE)
    .ascii(0, "_MP_", 4)
    .u32(4, address)
    .u8(8, 1) // length, in 16-byte units
    .u8(9, SPECIFICATION_REVISION);
  pointer.u8(10, -sum(pointer.bytes) & 0xff);
  memory.write(where.base, pointer.bytes);
  memory.write(address, table.bytes);
}
