/**
 * Every guest physical address, I/O port and interrupt number of the machine, with the reason for each.
 *
 * Nothing here is code: devices do not know these numbers (the bus gives them offsets), so changing one here
 * moves the hardware, the ACPI tables and the boot protocol together.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** A range of guest physical addresses or of ports: first address and length in bytes. */
export interface AddressRange {
  readonly base: number;
  readonly length: number;
}

// ---- RAM ---------------------------------------------------------------------------------------------

/**
 * RAM is one flat range from 0. The emulator keeps it in a 32-bit WebAssembly memory together with its own
 * state, so it never exceeds 3.5 GiB and never has to be split around the PCI hole: guest address and
 * offset into RAM are the same number, and no RAM lies above 4 GiB.
 */
export const RAM_BASE = 0;
/** First address that can never be RAM. Also the largest `--memory`. */
export const RAM_LIMIT = 0xe000_0000;
/** Enough for a kernel at 1 MiB with its tables; a smaller machine is refused. */
export const RAM_MINIMUM = 2 * MIB;

/** 640 KiB conventional memory; the last KiB is reserved as the extended BIOS data area, as on any PC. */
export const EBDA: AddressRange = { base: 0x9_fc00, length: KIB };
/** Word in the BIOS data area that holds the EBDA's segment; Linux reads it to reserve low memory. */
export const BDA_EBDA_SEGMENT = 0x40e;
/** Text-mode and graphics aperture of a VGA adapter. The machine has none: reads give all ones. */
export const VGA_WINDOW: AddressRange = { base: 0xa_0000, length: 128 * KIB };
/**
 * Where option ROMs sit on a PC. Backed by RAM (as with shadow RAM) and zero, so that a scan for 55AA finds
 * none. Reserved in the E820 map.
 */
export const OPTION_ROM_AREA: AddressRange = { base: 0xc_0000, length: 128 * KIB };
/**
 * The BIOS area: ACPI 5.2.5.1 has the operating system search E0000h-FFFFFh for the RSDP on a 16-byte
 * boundary. RAM-backed; reserved in the E820 map.
 */
export const BIOS_AREA: AddressRange = { base: 0xe_0000, length: 128 * KIB };
/** RSDP first in the BIOS area, the other ACPI tables after it. */
export const ACPI_RSDP = BIOS_AREA.base;
export const ACPI_TABLES: AddressRange = { base: 0xe_0040, length: 0x1_ffc0 };
/** First byte of extended memory. */
export const HIGH_MEMORY = 1 * MIB;

// ---- What a boot loader leaves in low memory ----------------------------------------------------------
// Between the BIOS data area (ends at 500h) and the EBDA. Kernels take these pages over at will.

/** Global descriptor table for entry. */
export const BOOT_GDT = 0x500;
/** `hvm_start_info`, its module list and memory map (PVH). */
export const PVH_START_INFO = 0x6000;
/** Linux `boot_params`, the zero page. */
export const ZERO_PAGE = 0x7000;
/** Top of a small stack; grows down. */
export const BOOT_STACK_TOP = 0x8ff0;
/** Identity page tables for the 64-bit entry: PML4, PDPT, then page directories up to 1_0000h. */
export const BOOT_PAGE_TABLES: AddressRange = { base: 0x9000, length: 0x7000 };
/** Multiboot information structure, memory map and module list. */
export const MULTIBOOT_INFO = 0x1_0000;
/** Kernel command line; 64 KiB is more than any kernel takes. */
export const COMMAND_LINE: AddressRange = { base: 0x2_0000, length: 64 * KIB };

// ---- MMIO below 4 GiB ---------------------------------------------------------------------------------

/**
 * PCI Express enhanced configuration (ECAM): 256 buses of 1 MiB each, right above RAM. It has the natural
 * 256 MiB alignment that MCFG and the Q35's PCIEXBAR ask for.
 */
export const PCI_ECAM: AddressRange = { base: 0xe000_0000, length: 256 * MIB };
export const PCI_ECAM_FIRST_BUS = 0;
/** One bus is populated, but MCFG declares all 256 so that the window is decoded wherever a guest looks. */
export const PCI_ECAM_LAST_BUS = 255;
/** Window of the host bridge for 32-bit BARs: from ECAM up to the I/O APIC. */
export const PCI_MMIO_32: AddressRange = { base: 0xf000_0000, length: 0xec0_0000 };
/** Window for 64-bit prefetchable BARs, far above any RAM and inside 39 physical address bits. */
export const PCI_MMIO_64: AddressRange = { base: 32 * GIB, length: 32 * GIB };
/** I/O APIC, where the first one of every PC is. */
export const IOAPIC: AddressRange = { base: 0xfec0_0000, length: 4 * KIB };
/** Where an HPET would be (IA-PC HPET 1.0a). The machine has none, and its ACPI tables say so. */
export const HPET_ABSENT: AddressRange = { base: 0xfed0_0000, length: 4 * KIB };
/** Where a TPM would be. The machine has none. */
export const TPM_ABSENT: AddressRange = { base: 0xfed4_0000, length: 20 * KIB };
/**
 * Virtio devices on MMIO: a page and an ISA interrupt for each. Interrupts are ISA's because kernels take the numbers of
 * `virtio_mmio.device=` as they are, and only those of ISA are the same in every interrupt mode.
 */
export const VIRTIO_MMIO: AddressRange = { base: 0xfed1_0000, length: 0x6000 };
export const VIRTIO_MMIO_STEP = 0x1000;
export const IRQ_VIRTIO_MMIO = [5, 6, 7, 14, 15, 3] as const;
/** Local APIC page after reset (SDM 3A 11.4.1). IA32_APIC_BASE can move it, for each processor alone. */
export const LOCAL_APIC: AddressRange = { base: 0xfee0_0000, length: 4 * KIB };
/** A device's memory write to FEExxxxxh is an MSI (SDM 3A 11.11.1). */
export const MSI_WINDOW: AddressRange = { base: 0xfee0_0000, length: 1 * MIB };
/** The last 64 KiB below 4 GiB hold a BIOS's reset vector; there is no BIOS. Reserved in the E820 map. */
export const BIOS_ROM_ABSENT: AddressRange = { base: 0xffff_0000, length: 64 * KIB };

/** Hardware that is absent by design, by physical address. */
export const ABSENT_MMIO: readonly (AddressRange & { readonly name: string })[] = [
  { ...VGA_WINDOW, name: "VGA" },
  { ...HPET_ABSENT, name: "HPET" },
  { ...TPM_ABSENT, name: "TPM" },
  { ...BIOS_ROM_ABSENT, name: "BIOS ROM" },
];

// ---- I/O ports ----------------------------------------------------------------------------------------

/** Ports of the devices that exist. Legacy positions are those of the PC/AT. */
export const PORTS = {
  pic1: { base: 0x20, length: 2 },
  pit: { base: 0x40, length: 4 },
  /** i8042 data at 60h, status and command at 64h; port 61h between them is not its. */
  i8042Data: { base: 0x60, length: 1 },
  systemControlB: { base: 0x61, length: 1 },
  i8042Command: { base: 0x64, length: 1 },
  rtc: { base: 0x70, length: 2 },
  post: { base: 0x80, length: 1 },
  systemControlA: { base: 0x92, length: 1 },
  pic2: { base: 0xa0, length: 2 },
  /** Bochs and QEMU debug console. */
  bochsDebug: { base: 0xe9, length: 1 },
  /** QEMU's isa-debug-exit at the address its users give it. */
  debugExit: { base: 0xf4, length: 4 },
  com1: { base: 0x3f8, length: 8 },
  elcr: { base: 0x4d0, length: 2 },
  /** ACPI PM1a event block (4), PM1a control block (2, at +4), PM timer (4, at +8): Q35's PMBASE. */
  acpiPm: { base: 0x600, length: 12 },
  /** PCI configuration mechanism #1; its byte at CF9h is the reset control register. */
  pciConfig: { base: 0xcf8, length: 8 },
} as const satisfies Record<string, AddressRange>;

/** Parts of `PORTS.acpiPm`, as the FADT names them. */
export const ACPI_PM1A_EVENT = 0x600;
export const ACPI_PM1A_CONTROL = 0x604;
export const ACPI_PM_TIMER = 0x608;
/** FADT RESET_REG and the value that makes a full reset. */
export const ACPI_RESET_PORT = 0xcf9;
export const ACPI_RESET_VALUE = 0x0e;
/** SLP_TYPa of \_S5, PM1 control bits 12:10. A machine constant that DSDT and PM block share. */
export const ACPI_S5_SLEEP_TYPE = 0;

/** Ports for 32-bit and 16-bit I/O BARs. */
export const PCI_IO: AddressRange = { base: 0xc000, length: 0x4000 };

/**
 * Hardware a PC may have and this one has not. Drivers probe these ports; a read gives all ones, which is
 * what an empty bus answers, and is not reported as unknown.
 */
export const ABSENT_PORTS: readonly (AddressRange & { readonly name: string })[] = [
  { base: 0x00, length: 0x10, name: "8237 DMA controller 1" },
  { base: 0x2e, length: 2, name: "super I/O configuration" },
  { base: 0x4e, length: 2, name: "super I/O configuration (second)" },
  { base: 0x81, length: 0x0f, name: "8237 DMA page registers" },
  { base: 0xb2, length: 2, name: "SMI command port" },
  { base: 0xc0, length: 0x20, name: "8237 DMA controller 2" },
  { base: 0xed, length: 1, name: "alternative I/O delay port" },
  { base: 0xf0, length: 2, name: "coprocessor error latch" },
  { base: 0x170, length: 8, name: "secondary IDE" },
  { base: 0x1f0, length: 8, name: "primary IDE" },
  { base: 0x201, length: 1, name: "game port" },
  { base: 0x278, length: 8, name: "LPT2" },
  { base: 0x2e8, length: 8, name: "COM4" },
  { base: 0x2f8, length: 8, name: "COM2" },
  { base: 0x376, length: 1, name: "secondary IDE control" },
  { base: 0x378, length: 8, name: "LPT1" },
  { base: 0x3b0, length: 0x30, name: "VGA" },
  { base: 0x3e8, length: 8, name: "COM3" },
  { base: 0x3f0, length: 8, name: "floppy controller and primary IDE control" },
];

// ---- Interrupts ---------------------------------------------------------------------------------------

/** ISA interrupt requests in use. The I/O APIC pin (GSI) is the same number but for IRQ 0. */
export const IRQ = {
  pit: 0,
  keyboard: 1,
  cascade: 2,
  com1: 4,
  sci: 9,
  rtc: 8,
  mouse: 12,
} as const;

/** The 8254's output goes to pin 2 of the I/O APIC: MADT interrupt source override for IRQ 0. */
export const GSI_PIT = 2;
/** The SCI: level-triggered, active high (MADT override with flags 0Dh), on pin 9. */
export const GSI_SCI = 9;
/** PCI INTx routed to PIRQ A-D: I/O APIC pins, level-triggered, active low by the bus's convention. */
export const GSI_PIRQ = [16, 17, 18, 19] as const;
/** The same wires on the 8259 pair, for guests without an I/O APIC driver; ELCR marks 10 and 11 level. */
export const IRQ_PIRQ = [10, 11, 10, 11] as const;
export const IOAPIC_PINS = 24;
export const IOAPIC_GSI_BASE = 0;

/** Local APIC IDs are the processor indexes. */
export function localApicId(processor: number): number {
  return processor;
}

/**
 * I/O APIC ID for a machine of `processors`: MADT and the ID register agree. It has four bits and its own
 * name space on every APIC that delivers through the system bus, so it may repeat a local APIC's ID.
 */
export function ioapicId(processors: number): number {
  return processors & 0xf;
}

// ---- Frequencies --------------------------------------------------------------------------------------

/** 8254 input clock of the PC: 14.31818 MHz / 12. */
export const PIT_HZ = 1_193_182;
/** ACPI 4.8.3.3: the power management timer. */
export const PM_TIMER_HZ = 3_579_545;
/** Width of the power management timer: 32 bits, FADT flag TMR_VAL_EXT. */
export const PM_TIMER_BITS = 32;
/**
 * Local APIC timer before its divider; CPUID leaf 15h shows it as the core crystal clock. One tick is one
 * nanosecond of virtual time, so no rounding separates the timer from the clock.
 */
export const LOCAL_APIC_TIMER_HZ = 1_000_000_000;
/** Time-stamp counter: one tick a virtual nanosecond. */
export const TSC_HZ = 1_000_000_000;
