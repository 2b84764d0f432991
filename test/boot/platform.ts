/** The machine of `src/machine/address-map.ts` as the loaders and tables see it, and a guest memory to load into. */
import type { AcpiPlatform } from "../../src/boot/acpi-platform.ts";
import { buildE820 } from "../../src/boot/e820.ts";
import type { FirmwareOptions } from "../../src/boot/firmware.ts";
import type { BootPlatform, GuestMemory } from "../../src/boot/platform.ts";
import * as map from "../../src/machine/address-map.ts";

export const MIB = 0x10_0000;

export function bootPlatform(memorySize: number): BootPlatform {
  const reserved = [map.EBDA, map.OPTION_ROM_AREA, map.BIOS_AREA, map.PCI_ECAM, map.BIOS_ROM_ABSENT];
  const ram = [
    { base: 0, length: map.VGA_WINDOW.base },
    { base: map.HIGH_MEMORY, length: memorySize - map.HIGH_MEMORY },
  ];
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

export function acpiPlatform(processors: number): AcpiPlatform {
  return {
    rsdp: map.ACPI_RSDP,
    tables: map.ACPI_TABLES,
    localApicIds: Array.from({ length: processors }, (_, index) => map.localApicId(index)),
    localApicAddress: map.LOCAL_APIC.base,
    ioapic: { id: map.ioapicId(processors), address: map.IOAPIC.base, gsiBase: map.IOAPIC_GSI_BASE },
    pitGsi: map.GSI_PIT,
    sci: map.GSI_SCI,
    pm: {
      event: map.ACPI_PM1A_EVENT,
      control: map.ACPI_PM1A_CONTROL,
      timer: map.ACPI_PM_TIMER,
      timerBits: 24,
    },
    reset: { port: map.ACPI_RESET_PORT, value: map.ACPI_RESET_VALUE },
    s5SleepType: map.ACPI_S5_SLEEP_TYPE,
    centuryIndex: 0x32,
    pci: {
      ecam: { base: map.PCI_ECAM.base, firstBus: map.PCI_ECAM_FIRST_BUS, lastBus: map.PCI_ECAM_LAST_BUS },
      configPorts: map.PORTS.pciConfig,
      memory32: map.PCI_MMIO_32,
      memory64: map.PCI_MMIO_64,
      pirqGsi: map.GSI_PIRQ,
      pirqIsa: map.IRQ_PIRQ,
    },
    com1: { ports: [map.PORTS.com1], irqs: [map.IRQ.com1] },
    rtc: { ports: [map.PORTS.rtc], irqs: [map.IRQ.rtc] },
    pit: { ports: [map.PORTS.pit], irqs: [map.IRQ.pit] },
    keyboard: { ports: [map.PORTS.i8042Data, map.PORTS.i8042Command], irqs: [map.IRQ.keyboard] },
    mouse: { ports: [], irqs: [map.IRQ.mouse] },
  };
}

export function firmwareOptions(processors: number): FirmwareOptions {
  return {
    acpi: acpiPlatform(processors),
    ebda: map.EBDA,
    com1: map.PORTS.com1.base,
    smbios: {
      where: { base: 0xf_0000, length: 4096 },
      names: { manufacturer: "ukl-emu", product: "ukl-emu PC", version: "1", biosDate: "01/01/2026" },
    },
  };
}

/** Guest RAM in 64 KiB chunks that exist once written with something else than zero; any access outside it throws. */
export class SparseMemory implements GuestMemory {
  static readonly #CHUNK = 0x1_0000;
  readonly size: number;
  /** Bytes written and filled so far: what a loader's work on guest memory amounts to. */
  work = 0;
  readonly #chunks = new Map<number, Uint8Array>();

  constructor(size: number) {
    this.size = size;
  }

  #check(address: number, length: number): void {
    const sound =
      Number.isSafeInteger(address) && Number.isSafeInteger(length) && address >= 0 && length >= 0;
    if (!sound || address + length > this.size) {
      throw new RangeError(`guest memory access of ${length} bytes at ${address}, RAM has ${this.size}`);
    }
  }

  /** Calls `use` for each chunk of a range with the offset in the chunk and in the range. */
  #each(
    address: number,
    length: number,
    use: (index: number, start: number, done: number, count: number) => void,
  ): void {
    this.#check(address, length);
    for (let done = 0; done < length; ) {
      const index = Math.floor((address + done) / SparseMemory.#CHUNK);
      const start = (address + done) % SparseMemory.#CHUNK;
      const count = Math.min(SparseMemory.#CHUNK - start, length - done);
      use(index, start, done, count);
      done += count;
    }
  }

  #chunk(index: number): Uint8Array {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(SparseMemory.#CHUNK);
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }

  write(address: number, bytes: Uint8Array): void {
    this.work += bytes.length;
    this.#each(address, bytes.length, (index, start, done, count) => {
      this.#chunk(index).set(bytes.subarray(done, done + count), start);
    });
  }

  fill(address: number, length: number, value: number): void {
    this.work += length;
    this.#each(address, length, (index, start, _done, count) => {
      if (value === 0) this.#chunks.get(index)?.fill(0, start, start + count);
      else this.#chunk(index).fill(value, start, start + count);
    });
  }

  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    this.#each(address, length, (index, start, done, count) => {
      const chunk = this.#chunks.get(index);
      if (chunk !== undefined) result.set(chunk.subarray(start, start + count), done);
    });
    return result;
  }

  u8(address: number): number {
    return this.read(address, 1)[0]!;
  }
  u16(address: number): number {
    return this.u8(address) | (this.u8(address + 1) << 8);
  }
  u32(address: number): number {
    return (this.u16(address) | (this.u16(address + 2) << 16)) >>> 0;
  }
  u64(address: number): number {
    return this.u32(address) + this.u32(address + 4) * 2 ** 32;
  }
  /** A C string. */
  text(address: number): string {
    let result = "";
    for (let a = address; this.u8(a) !== 0; a++) result += String.fromCharCode(this.u8(a));
    return result;
  }
}
