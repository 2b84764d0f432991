/**
 * The x86/HVM direct boot ABI, "PVH" (Xen, docs/misc/pvh.pandoc; xen/include/public/arch-x86/hvm/start_info.h):
 * an ELF kernel with the note XEN_ELFNOTE_PHYS32_ENTRY, entered in 32-bit protected mode with EBX pointing to
 * `hvm_start_info`.
 */
import { cString, StructWriter } from "./bytes.ts";
import { type ElfImage, findNote, loadedExtent, loadSegments, parseElf, requireLoaded } from "./elf.ts";
import { type EntryState, enterProtected32 } from "./entry.ts";
import { ImageError } from "./image-error.ts";
import { placeCommandLine } from "./linux.ts";
import { Placement } from "./placement.ts";
import type { BootPlatform, GuestMemory, LoadOptions } from "./platform.ts";

const XEN_ELFNOTE_PHYS32_ENTRY = 18;
/** XEN_HVM_START_MAGIC_VALUE: "xEn3" with bit 7 of the E set. */
const START_MAGIC = 0x336e_c578;
/** Version 1 adds the memory map. */
const START_VERSION = 1;
const START_INFO_SIZE = 56;
const MODULE_SIZE = 32;
const MAP_ENTRY_SIZE = 24;
const SPACE = 4096;

/** The entry point that the note gives, or undefined without a note. */
export function pvhEntry(elf: ElfImage): number | undefined {
  const descriptor = findNote(elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY);
  if (descriptor === undefined || descriptor.length < 4) return undefined;
  // Linux's note is 8 bytes long in a 64-bit kernel; the entry is a 32-bit address all the same.
  return new DataView(descriptor.buffer, descriptor.byteOffset, 4).getUint32(0, true);
}

interface PlacedModule {
  readonly base: number;
  readonly length: number;
  readonly commandLine: string;
}

/** `hvm_start_info`, followed by the module list, the memory map and the modules' command lines. */
function startInfo(
  address: number,
  commandLine: number,
  modules: readonly PlacedModule[],
  platform: BootPlatform,
): Uint8Array {
  const { memoryMap, rsdp } = platform;
  const moduleList = START_INFO_SIZE;
  const map = moduleList + modules.length * MODULE_SIZE;
  let strings = map + memoryMap.length * MAP_ENTRY_SIZE;
  const texts = modules.map((module) => cString(module.commandLine));
  const size = texts.reduce((sum, text) => sum + text.length, strings);
  if (size > SPACE) {
    throw new ImageError(
      `PVH start information of ${size} bytes with all modules, expected at most ${SPACE}`,
    );
  }
  const info = new StructWriter(size)
    .u32(0, START_MAGIC)
    .u32(4, START_VERSION)
    .u32(12, modules.length)
    .u64(16, modules.length === 0 ? 0 : address + moduleList)
    .u64(24, commandLine)
    .u64(32, rsdp)
    .u64(40, address + map)
    .u32(48, memoryMap.length);
  modules.forEach((module, index) => {
    const offset = moduleList + index * MODULE_SIZE;
    info.u64(offset, module.base).u64(offset + 8, module.length);
    if (module.commandLine !== "") info.u64(offset + 16, address + strings);
    info.put(strings, texts[index]!);
    strings += texts[index]!.length;
  });
  memoryMap.forEach((entry, index) => {
    const offset = map + index * MAP_ENTRY_SIZE;
    info
      .u64(offset, entry.base)
      .u64(offset + 8, entry.length)
      .u32(offset + 16, entry.type);
  });
  return info.bytes;
}

/** Loads an ELF kernel with a PVH note. Throws `ImageError`. */
export function loadPvh(file: Uint8Array, options: LoadOptions, memory: GuestMemory): EntryState {
  const elf = parseElf(file);
  const entry = pvhEntry(elf);
  if (entry === undefined) {
    throw new ImageError("ELF file: expected the note XEN_ELFNOTE_PHYS32_ENTRY of PVH, found none");
  }
  loadedExtent(elf);
  requireLoaded(elf, entry, "the PVH entry point");
  const { layout } = options.platform;
  const placement = new Placement(options.platform, memory);
  loadSegments(elf, placement, memory);
  const commandLine = placeCommandLine(memory, placement, options);
  const modules = (options.modules ?? []).map((module, index): PlacedModule => {
    const base = placement.claimHighest(`module ${index + 1}`, module.data.length, memory.size - 1);
    memory.write(base, module.data);
    return { base, length: module.data.length, commandLine: module.commandLine ?? "" };
  });
  const info = startInfo(layout.pvhStartInfo, commandLine, modules, options.platform);
  placement.claim("PVH start information", layout.pvhStartInfo, info.length);
  memory.write(layout.pvhStartInfo, info);
  return enterProtected32({ memory, layout, placement }, entry, { rbx: layout.pvhStartInfo });
}
