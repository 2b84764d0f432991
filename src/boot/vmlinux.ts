/**
 * ELF64 kernels without a PVH note: entered at e_entry by the Linux 64-bit protocol (boot.rst), which is where
 * a vmlinux's startup_64 is.
 */
import { bootParamsWithoutHeader } from "./boot-params.ts";
import { loadedExtent, loadSegments, parseElf, physicalEntry } from "./elf.ts";
import { type EntryState, enterLong64 } from "./entry.ts";
import { onlyModule, placeCommandLine, placeInitrd, writeZeroPage } from "./linux.ts";
import { Placement } from "./placement.ts";
import type { GuestMemory, LoadOptions } from "./platform.ts";

/** COMMAND_LINE_SIZE - 1 of every x86 Linux. */
const LINUX_COMMAND_LINE = 2047;
/** initrd_addr_max of every x86-64 Linux. */
const LINUX_INITRD_LAST = 0x7fff_ffff;

/** Loads an ELF64 kernel. Throws `ImageError`. */
export function loadElf64(file: Uint8Array, options: LoadOptions, memory: GuestMemory): EntryState {
  const elf = parseElf(file);
  const { layout, memoryMap, rsdp } = options.platform;
  const extent = loadedExtent(elf);
  const rip = physicalEntry(elf);
  const placement = new Placement(options.platform, memory);
  loadSegments(elf, placement, memory);

  const commandLineAddress = placeCommandLine(memory, placement, options, LINUX_COMMAND_LINE);
  const initrd = placeInitrd(memory, placement, onlyModule(options), LINUX_INITRD_LAST);
  const values = { commandLineAddress, memoryMap, rsdp, ...(initrd === undefined ? {} : { initrd }) };
  const page = bootParamsWithoutHeader(extent.base, LINUX_COMMAND_LINE, values);
  writeZeroPage(memory, placement, layout.zeroPage, page);
  return enterLong64({ memory, layout, placement }, rip, { rsi: layout.zeroPage });
}
