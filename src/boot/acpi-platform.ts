/** What the ACPI and SMBIOS tables say of the machine: a plain description that the machine fills in. */
import type { Range } from "./platform.ts";

/** An ISA device as the DSDT declares it. */
export interface IsaDevice {
  /** I/O port ranges. */
  readonly ports: readonly Range[];
  /** ISA interrupt requests. */
  readonly irqs: readonly number[];
}

export interface AcpiPlatform {
  /** RSDP: on a 16-byte boundary in E0000h-FFFFFh, where operating systems search (ACPI 5.2.5.1). */
  readonly rsdp: number;
  /** Room for the other tables. */
  readonly tables: Range;
  /** Local APIC IDs, the boot processor first; the index is the ACPI processor UID. */
  readonly localApicIds: readonly number[];
  readonly localApicAddress: number;
  readonly ioapic: { readonly id: number; readonly address: number; readonly gsiBase: number };
  /** I/O APIC input of the 8254, ISA IRQ 0. */
  readonly pitGsi: number;
  /** System control interrupt, level-triggered and active high. */
  readonly sci: number;
  readonly pm: {
    /** PM1a event block of 4 bytes, PM1a control block of 2, PM timer of 4: I/O ports. */
    readonly event: number;
    readonly control: number;
    readonly timer: number;
    readonly timerBits: 24 | 32;
  };
  /** I/O port and value that reset the machine. */
  readonly reset: { readonly port: number; readonly value: number };
  /** SLP_TYPa that powers off. */
  readonly s5SleepType: number;
  /** CMOS index of the century, or 0. */
  readonly centuryIndex: number;
  readonly pci: {
    readonly ecam: { readonly base: number; readonly firstBus: number; readonly lastBus: number };
    /** I/O ports that the host bridge's own configuration mechanism takes. */
    readonly configPorts: Range;
    readonly memory32: Range;
    readonly memory64: Range;
    /**
     * PIRQ A-D by index: the I/O APIC input in APIC mode and the ISA interrupt in 8259 mode. INTx of device d,
     * pin p (0 for INTA#) is wired to PIRQ (d + p) mod 4.
     */
    readonly pirqGsi: readonly [number, number, number, number];
    readonly pirqIsa: readonly [number, number, number, number];
  };
  readonly com1?: IsaDevice;
  readonly rtc?: IsaDevice;
  readonly pit?: IsaDevice;
  /** Absent: the FADT and the DSDT say that there is no 8042, and a guest's driver leaves its ports alone. */
  readonly keyboard?: IsaDevice;
  readonly mouse?: IsaDevice;
  /** Virtio devices on MMIO, each with its registers and an edge-triggered ISA interrupt. */
  readonly virtioMmio?: readonly { readonly registers: Range; readonly irq: number }[];
}
