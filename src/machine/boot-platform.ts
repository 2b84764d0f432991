/** The machine as loaders and ACPI tables are told of it: the address map put into their terms. */
import type { AcpiPlatform } from "../boot/acpi-platform.ts";
import { buildE820 } from "../boot/e820.ts";
import type { FirmwareOptions } from "../boot/firmware.ts";
import type { BootPlatform } from "../boot/platform.ts";
import * as map from "./address-map.ts";

const SMBIOS = { base: 0xf_0000, length: 0x1000 };
const MP_TABLE = { base: 0xf_1000, length: 0x1000 };

/** @param virtioMmio number of virtio devices on MMIO */
export function acpiPlatform(processors: number, virtioMmio = 0): AcpiPlatform {
  return {
    rsdp: map.ACPI_RSDP,
    tables: { base: map.ACPI_TABLES.base, length: SMBIOS.base - map.ACPI_TABLES.base },
    localApicIds: Array.from({ length: processors }, (_, i) => map.localApicId(i)),
    localApicAddress: map.LOCAL_APIC.base,
    ioapic: { id: map.ioapicId(processors), address: map.IOAPIC.base, gsiBase: map.IOAPIC_GSI_BASE },
    pitGsi: map.GSI_PIT,
    sci: map.GSI_SCI,
    pm: {
      event: map.ACPI_PM1A_EVENT,
      control: map.ACPI_PM1A_CONTROL,
      timer: map.ACPI_PM_TIMER,
      timerBits: 32,
    },
    reset: { port: map.ACPI_RESET_PORT, value: map.ACPI_RESET_VALUE },
    s5SleepType: map.ACPI_S5_SLEEP_TYPE,
    centuryIndex: 0x32,
    pci: {
      ecam: { base: map.PCI_ECAM.base, firstBus: map.PCI_ECAM_FIRST_BUS, lastBus: map.PCI_ECAM_LAST_BUS },
      configPorts: map.PORTS.pciConfig,
      memory32: map.PCI_MMIO_32,
      memory64: map.PCI_MMIO_64,
      pirqGsi: [...map.GSI_PIRQ],
      pirqIsa: [...map.IRQ_PIRQ],
    },
    com1: { ports: [map.PORTS.com1], irqs: [map.IRQ.com1] },
    rtc: { ports: [map.PORTS.rtc], irqs: [map.IRQ.rtc] },
    pit: { ports: [map.PORTS.pit], irqs: [map.IRQ.pit] },
    keyboard: { ports: [map.PORTS.i8042Data, map.PORTS.i8042Command], irqs: [map.IRQ.keyboard] },
    mouse: { ports: [], irqs: [map.IRQ.mouse] },
    virtioMmio: virtioMmioPlaces(virtioMmio),
  };
}

/** Where the first `count` virtio devices on MMIO are. */
export function virtioMmioPlaces(count: number): { registers: map.AddressRange; irq: number }[] {
  return map.IRQ_VIRTIO_MMIO.slice(0, count).map((irq, i) => ({
    registers: { base: map.VIRTIO_MMIO.base + i * map.VIRTIO_MMIO_STEP, length: map.VIRTIO_MMIO_STEP },
    irq,
  }));
}

/** What Linux has to be told of them on its command line: `virtio_mmio.device=SIZE@BASE:IRQ`. */
export function virtioMmioArguments(count: number): string[] {
  return virtioMmioPlaces(count).map(
    ({ registers, irq }) =>
      `virtio_mmio.device=0x${registers.length.toString(16)}@0x${registers.base.toString(16)}:${irq}`,
  );
}

export function firmwareOptions(processors: number, virtioMmio = 0): FirmwareOptions {
  return {
    acpi: acpiPlatform(processors, virtioMmio),
    ebda: map.EBDA,
    com1: map.PORTS.com1.base,
    mpTable: MP_TABLE,
    smbios: {
      where: SMBIOS,
      names: { manufacturer: "ukl-emu", product: "ukl-emu virtual PC", version: "1", biosDate: "01/01/2026" },
    },
  };
}

/** @param memorySize bytes of guest RAM, all of it below `RAM_LIMIT` */
export function bootPlatform(memorySize: number): BootPlatform {
  // The video window between the EBDA and the ROM areas is neither RAM nor reserved, as on a PC.
  const ram = [
    { base: map.RAM_BASE, length: map.VGA_WINDOW.base },
    { base: map.HIGH_MEMORY, length: memorySize - map.HIGH_MEMORY },
  ];
  const reserved = [map.EBDA, map.OPTION_ROM_AREA, map.BIOS_AREA, map.PCI_ECAM, map.BIOS_ROM_ABSENT];
  return {
    layout: {
      gdt: map.BOOT_GDT,
      stackTop: map.BOOT_STACK_TOP,
      zeroPage: map.ZERO_PAGE,
      pageTables: map.BOOT_PAGE_TABLES,
      pvhStartInfo: map.PVH_START_INFO,
      multibootInfo: map.MULTIBOOT_INFO,
      commandLine: map.COMMAND_LINE,
      highMemory: map.HIGH_MEMORY,
    },
    memoryMap: buildE820(ram, reserved),
    rsdp: map.ACPI_RSDP,
  };
}
