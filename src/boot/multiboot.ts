/**
 * Multiboot 1 (Multiboot Specification 0.6.96). ELF images of both classes and images with the address fields
 * (flag 16). An ELF64 image is accepted, as GRUB does and QEMU does not: the specification fixes the machine
 * state at entry, not the file's class. It starts in 32-bit protected mode like every other one.
 */
import { cString, ImageReader, StructWriter } from "./bytes.ts";
import { E820Type } from "./e820.ts";
import { type ElfImage, isElf, loadedExtent, loadSegments, parseElf, physicalEntry } from "./elf.ts";
import { type EntryState, enterProtected32 } from "./entry.ts";
import { byteCount, hex, ImageError } from "./image-error.ts";
import { placeCommandLine } from "./linux.ts";
import { Placement } from "./placement.ts";
import type { BootPlatform, GuestMemory, LoadOptions } from "./platform.ts";

const HEADER_MAGIC = 0x1bad_b002;
/** EAX at entry. */
const LOADER_MAGIC = 0x2bad_b002;
/** Section 3.1: the header lies, 4-byte aligned, entirely within the first 8192 bytes. */
const SEARCH_BYTES = 8192;
const HEADER_BYTES = 12;

/** Header flags. Bits 0-15 are requirements: an unknown one means that the image must not be loaded. */
const HeaderFlag = {
  PAGE_ALIGN: 1 << 0,
  MEMORY_INFO: 1 << 1,
  VIDEO_MODE: 1 << 2,
  ADDRESSES: 1 << 16,
} as const;
const KNOWN_REQUIREMENTS = HeaderFlag.PAGE_ALIGN | HeaderFlag.MEMORY_INFO | HeaderFlag.VIDEO_MODE;

/** Flags of the information structure (section 3.3). */
const InfoFlag = {
  MEMORY: 1 << 0,
  COMMAND_LINE: 1 << 2,
  MODULES: 1 << 3,
  MEMORY_MAP: 1 << 6,
  LOADER_NAME: 1 << 9,
} as const;
const INFO_SIZE = 116;
const MODULE_SIZE = 16;
const MAP_ENTRY_SIZE = 24;
const SPACE = 64 * 1024;
const LOADER_NAME = "ukl-emu";

/** The address fields of a header with flag 16 (section 3.1.3). */
interface AddressFields {
  readonly headerAddress: number;
  readonly loadAddress: number;
  readonly loadEnd: number;
  readonly bssEnd: number;
  readonly entry: number;
}

export interface MultibootHeader {
  readonly offset: number;
  readonly flags: number;
  readonly addresses: AddressFields | undefined;
}

/** Finds the header by magic and checksum; undefined when there is none. */
export function findMultibootHeader(file: Uint8Array): MultibootHeader | undefined {
  const reader = new ImageReader(file, "multiboot image");
  const end = Math.min(file.length, SEARCH_BYTES) - HEADER_BYTES;
  for (let offset = 0; offset <= end; offset += 4) {
    if (reader.u32(offset) !== HEADER_MAGIC) continue;
    const flags = reader.u32(offset + 4);
    if (((HEADER_MAGIC + flags + reader.u32(offset + 8)) | 0) !== 0) continue;
    if ((flags & HeaderFlag.ADDRESSES) === 0) return { offset, flags, addresses: undefined };
    const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((o) =>
      reader.u32(offset + o),
    );
    return {
      offset,
      flags,
      addresses: {
        headerAddress: headerAddress!,
        loadAddress: loadAddress!,
        loadEnd: loadEnd!,
        bssEnd: bssEnd!,
        entry: entry!,
      },
    };
  }
  return undefined;
}

/** What is loaded where, however the image says so. */
export interface MultibootPlan {
  readonly kind: "ELF32" | "ELF64" | "address fields";
  readonly base: number;
  readonly end: number;
  readonly entry: number;
  load(placement: Placement, memory: GuestMemory): void;
}

/** Reads the header and the ELF structure or the address fields. Throws `ImageError`. */
export function planMultiboot(file: Uint8Array): MultibootPlan {
  const header = findMultibootHeader(file);
  if (header === undefined) {
    throw new ImageError(
      `multiboot image: expected a header with magic ${hex(HEADER_MAGIC)} and a checksum in the first ${SEARCH_BYTES} bytes, found none`,
    );
  }
  const unknown = header.flags & 0xffff & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0) {
    throw new ImageError(
      `multiboot image: expected requirements among flags 0-2, found unknown flags ${hex(unknown)} at offset ${hex(header.offset + 4)}`,
    );
  }
  if (header.addresses !== undefined) return planAddresses(file, header.offset, header.addresses);
  if (isElf(file)) return planElf(parseElf(file));
  throw new ImageError(
    `multiboot image: expected an ELF file or address fields (flag 16), found neither (flags ${hex(header.flags)} at offset ${hex(header.offset + 4)})`,
  );
}

function planElf(elf: ElfImage): MultibootPlan {
  return {
    kind: elf.bits === 64 ? "ELF64" : "ELF32",
    ...loadedExtent(elf),
    entry: physicalEntry(elf),
    load: (placement, memory) => loadSegments(elf, placement, memory),
  };
}

function planAddresses(file: Uint8Array, headerOffset: number, fields: AddressFields): MultibootPlan {
  const { headerAddress, loadAddress, loadEnd, bssEnd, entry } = fields;
  // load_addr may lie below the header by at most the header's place in the file.
  const start = headerOffset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || start < 0) {
    throw new ImageError(
      `multiboot image: expected load_addr at or up to ${hex(headerOffset)} below header_addr ${hex(headerAddress)}, ` +
        `found ${hex(loadAddress)} at offset ${hex(headerOffset + 16)}`,
    );
  }
  // load_end_addr 0: text and data fill the rest of the file. bss_end_addr 0: no bss.
  const length = loadEnd === 0 ? file.length - start : loadEnd - loadAddress;
  if (length < 0) {
    throw new ImageError(
      `multiboot image: expected load_end_addr above load_addr ${hex(loadAddress)}, found ${hex(loadEnd)} at offset ${hex(headerOffset + 20)}`,
    );
  }
  const contents = new ImageReader(file, "multiboot image").slice(start, length, "text and data");
  const end = Math.max(bssEnd, loadAddress + length);
  if (bssEnd !== 0 && bssEnd < loadAddress + length) {
    throw new ImageError(
      `multiboot image: expected bss_end_addr at or above ${hex(loadAddress + length)}, found ${hex(bssEnd)} at offset ${hex(headerOffset + 24)}`,
    );
  }
  if (entry < loadAddress || entry >= end) {
    throw new ImageError(
      `multiboot image: expected entry_addr in ${hex(loadAddress)}-${hex(end - 1)}, found ${hex(entry)} at offset ${hex(headerOffset + 28)}`,
    );
  }
  return {
    kind: "address fields",
    base: loadAddress,
    end,
    entry,
    load: (placement, memory) => {
      placement.claim("kernel", loadAddress, end - loadAddress);
      memory.write(loadAddress, contents);
      memory.fill(loadAddress + contents.length, end - loadAddress - contents.length, 0);
    },
  };
}

interface PlacedModule {
  readonly start: number;
  readonly end: number;
  readonly commandLine: string;
}

/** The information structure with the module list, the memory map and the strings behind it (section 3.3). */
function information(
  address: number,
  commandLine: number,
  modules: readonly PlacedModule[],
  platform: BootPlatform,
): Uint8Array {
  const { memoryMap } = platform;
  const moduleList = INFO_SIZE + (-INFO_SIZE & 7);
  const map = moduleList + modules.length * MODULE_SIZE;
  const texts = [cString(LOADER_NAME), ...modules.map((module) => cString(module.commandLine))];
  const firstText = map + memoryMap.length * MAP_ENTRY_SIZE;
  const size = texts.reduce((sum, text) => sum + text.length, firstText);
  if (size > SPACE) {
    throw new ImageError(
      `multiboot information of ${byteCount(size)} with all modules, expected at most ${byteCount(SPACE)}`,
    );
  }
  const ramAt = (base: number): number => {
    const entry = memoryMap.find(
      (e) => e.type === E820Type.RAM && base >= e.base && base < e.base + e.length,
    );
    return entry === undefined ? 0 : entry.base + entry.length - base;
  };
  const MIB = 0x10_0000;
  const info = new StructWriter(size)
    .u32(
      0,
      InfoFlag.MEMORY | InfoFlag.COMMAND_LINE | InfoFlag.MODULES | InfoFlag.MEMORY_MAP | InfoFlag.LOADER_NAME,
    )
    // mem_lower and mem_upper: KiB of memory from 0, at most 640, and from 1 MiB up to the first hole.
    .u32(4, Math.min(640, Math.floor(ramAt(0) / 1024)))
    .u32(8, Math.floor(ramAt(MIB) / 1024))
    .u32(16, commandLine)
    .u32(20, modules.length)
    .u32(24, address + moduleList)
    .u32(44, memoryMap.length * MAP_ENTRY_SIZE)
    .u32(48, address + map);
  let text = firstText;
  const putText = (bytes: Uint8Array): number => {
    info.put(text, bytes);
    text += bytes.length;
    return address + text - bytes.length;
  };
  info.u32(64, putText(texts[0]!));
  modules.forEach((module, index) => {
    const offset = moduleList + index * MODULE_SIZE;
    info
      .u32(offset, module.start)
      .u32(offset + 4, module.end)
      .u32(offset + 8, putText(texts[index + 1]!));
  });
  memoryMap.forEach((entry, index) => {
    // The size field does not count itself.
    const offset = map + index * MAP_ENTRY_SIZE;
    info
      .u32(offset, MAP_ENTRY_SIZE - 4)
      .u64(offset + 4, entry.base)
      .u64(offset + 12, entry.length);
    info.u32(offset + 20, entry.type);
  });
  return info.bytes;
}

/** Loads a multiboot image. Throws `ImageError`. */
export function loadMultiboot(file: Uint8Array, options: LoadOptions, memory: GuestMemory): EntryState {
  const plan = planMultiboot(file);
  const { layout } = options.platform;
  const placement = new Placement(options.platform, memory);
  plan.load(placement, memory);
  const commandLine = placeCommandLine(memory, placement, options);
  // Low, right after the kernel, where small kernels have memory mapped; page-aligned whether asked for or not.
  const modules = (options.modules ?? []).map((module, index): PlacedModule => {
    const start = placement.claimLowest(
      `module ${index + 1}`,
      module.data.length,
      Math.max(plan.end, layout.highMemory),
    );
    memory.write(start, module.data);
    return { start, end: start + module.data.length, commandLine: module.commandLine ?? "" };
  });
  const info = information(layout.multibootInfo, commandLine, modules, options.platform);
  placement.claim("multiboot information", layout.multibootInfo, info.length);
  memory.write(layout.multibootInfo, info);
  return enterProtected32({ memory, layout, placement }, plan.entry, {
    rax: LOADER_MAGIC,
    rbx: layout.multibootInfo,
  });
}
