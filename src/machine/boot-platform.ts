/** The machine as loaders and ACPI tables are told of it: the address map put into their terms. */
import type { AcpiPlatform } from "../boot/acpi-platform.ts";
import { buildE820 } from "../boot/e820.ts";
import type { FirmwareOptions } from "../boot/firmware.ts";
import type { BootPlatform } from "../boot/platform.ts";
import * as Map from "./address-map.ts";

const SMBIOS = { base: 0xf_0000, length: 0x1000 };

export function acpiPlatform(processors: number): AcpiPlatform {
  return {
    rsdp: Map.ACPI_RSDP,
    tables: { base: Map.ACPI_TABLES.base, length: SMBIOS.base - Map.ACPI_TABLES.base },
    localApicIds: Array.from({ length: processors }, (_, i) => Map.localApicId(i)),
    localApicAddress: Map.LOCAL_APIC.base,
    ioapic: { id: Map.ioapicId(processors), address: Map.IOAPIC.base, gsiBase: Map.IOAPIC_GSI_BASE },
    pitGsi: Map.GSI_PIT,
    sci: Map.GSI_SCI,
    pm: {
      event: Map.ACPI_PM1A_EVENT,
      control: Map.ACPI_PM1A_CONTROL,
      timer: Map.ACPI_PM_TIMER,
      timerBits: 32,
    },
    reset: { port: Map.ACPI_RESET_PORT, value: Map.ACPI_RESET_VALUE },
    s5SleepType: Map.ACPI_S5_SLEEP_TYPE,
    centuryIndex: 0x32,
    pci: {
      ecam: { base: Map.PCI_ECAM.base, firstBus: Map.PCI_ECAM_FIRST_BUS, lastBus: Map.PCI_ECAM_LAST_BUS },
      configPorts: Map.PORTS.pciConfig,
      memory32: Map.PCI_MMIO_32,
      memory64: Map.PCI_MMIO_64,
      pirqGsi: [...Map.GSI_PIRQ],
      pirqIsa: [...Map.IRQ_PIRQ],
    },
    com1: { ports: [Map.PORTS.com1], irqs: [Map.IRQ.com1] },
    rtc: { ports: [Map.PORTS.rtc], irqs: [Map.IRQ.rtc] },
    pit: { ports: [Map.PORTS.pit], irqs: [Map.IRQ.pit] },
    keyboard: { ports: [Map.PORTS.i8042Data, Map.PORTS.i8042Command], irqs: [Map.IRQ.keyboard] },
    mouse: { ports: [], irqs: [Map.IRQ.mouse] },
  };
}

export function firmwareOptions(processors: number): FirmwareOptions {
  return {
    acpi: acpiPlatform(processors),
    ebda: Map.EBDA,
    com1: Map.PORTS.com1.base,
    smbios: {
      where: SMBIOS,
      names: { manufacturer: "ukl-emu", product: "ukl-emu virtual PC", version: "1", biosDate: "01/01/2026" },
    },
  };
}

/** @param memorySize bytes of guest RAM, all of it below `RAM_LIMIT` */
export function bootPlatform(memorySize: number): BootPlatform {
  const firmwareArea = { base: Map.EBDA.base, length: Map.HIGH_MEMORY - Map.EBDA.base };
  return {
    layout: {
      gdt: Map.BOOT_GDT,
      stackTop: Map.BOOT_STACK_TOP,
      zeroPage: Map.ZERO_PAGE,
      pageTables: Map.BOOT_PAGE_TABLES,
      pvhStartInfo: Map.PVH_START_INFO,
      multibootInfo: Map.MULTIBOOT_INFO,
      commandLine: Map.COMMAND_LINE,
      highMemory: Map.HIGH_MEMORY,
    },
    memoryMap: buildE820([{ base: Map.RAM_BASE, length: memorySize }], [firmwareArea, Map.PCI_ECAM, Map.BIOS_ROM_ABSENT]),
    rsdp: Map.ACPI_RSDP,
  };
}
