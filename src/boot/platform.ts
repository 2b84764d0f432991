/**
 * What the loaders ask of the machine: memory to write to, and a description of where things are. The machine
 * makes it from its address map; nothing here imports upward.
 */
import type { E820Entry } from "./e820.ts";

/** A range of guest physical addresses. */
export interface Range {
  readonly base: number;
  readonly length: number;
}

/** Guest RAM as loaders see it: flat from address 0. Accesses outside it are the loader's bug. */
export interface GuestMemory {
  /** Bytes of RAM. */
  readonly size: number;
  write(address: number, bytes: Uint8Array): void;
  fill(address: number, length: number, value: number): void;
  /** A copy or a view of `length` bytes. */
  read(address: number, length: number): Uint8Array;
}

/** Where a loader leaves its structures in low memory; each is used only by the protocols that need it. */
export interface BootLayout {
  /** Global descriptor table, 48 bytes. */
  readonly gdt: number;
  /** Top of a small stack that grows down. */
  readonly stackTop: number;
  /** Linux `boot_params`, 4 KiB. */
  readonly zeroPage: number;
  /** PML4, PDPT and four page directories: at least 24 KiB, page-aligned. */
  readonly pageTables: Range;
  /** `hvm_start_info`, its module list and memory map: up to the zero page or 4 KiB. */
  readonly pvhStartInfo: number;
  /** Multiboot information, memory map, module list and strings: 64 KiB. */
  readonly multibootInfo: number;
  /** The command line with its NUL. */
  readonly commandLine: Range;
  /** First address a kernel may be loaded at when it leaves the choice to the loader. */
  readonly highMemory: number;
}

export interface BootPlatform {
  readonly layout: BootLayout;
  /** Sorted, without overlaps: `buildE820`. */
  readonly memoryMap: readonly E820Entry[];
  /** Guest physical address of the ACPI RSDP, or 0 for none. */
  readonly rsdp: number;
}

/** A file loaded beside the kernel: an initrd, or a multiboot module with its own command line. */
export interface BootModule {
  readonly data: Uint8Array;
  readonly commandLine?: string;
}

export interface LoadOptions {
  readonly commandLine: string;
  /** At most one for the Linux boot protocols, where it is the initrd. */
  readonly modules?: readonly BootModule[];
  readonly platform: BootPlatform;
}
