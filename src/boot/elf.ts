/**
 * ELF executables (System V ABI, chapters 4 and 5): headers, segments and notes, of both classes, and loading
 * segments at their physical addresses.
 */
import { ImageReader } from "./bytes.ts";
import { byteCount, hex, ImageError } from "./image-error.ts";
import type { Placement } from "./placement.ts";
import type { GuestMemory } from "./platform.ts";

export const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;

const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const EM_386 = 3;
const EM_X86_64 = 62;

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_TLS = 7;

/** More than any kernel has; a bound for the work that a damaged header can ask for. */
const MOST_SEGMENTS = 4096;

const fileTypes: Readonly<Record<number, string>> = {
  0: "no type",
  1: "a relocatable object",
  3: "a shared object or position-independent program",
  4: "a core dump",
};
const machines: Readonly<Record<number, string>> = {
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "S/390",
  40: "32-bit Arm",
  183: "arm64",
  243: "RISC-V",
  258: "LoongArch",
};

export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly virtualAddress: number;
  readonly physicalAddress: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

export interface ElfImage {
  readonly reader: ImageReader;
  readonly bits: 32 | 64;
  /** e_entry, a virtual address. */
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
}

export const isElf = (file: Uint8Array): boolean => ELF_MAGIC.every((byte, index) => file[index] === byte);

/** Reads and checks the headers. Throws `ImageError`. */
export function parseElf(file: Uint8Array): ElfImage {
  const reader = new ImageReader(file, "ELF file");
  const elfClass = reader.u8(4);
  if (elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) {
    throw new ImageError(
      `ELF file: expected class 1 (32-bit) or 2 (64-bit), found ${elfClass} at offset 0x4`,
    );
  }
  const bits = elfClass === ELFCLASS64 ? 64 : 32;
  if (reader.u8(5) !== ELFDATA2LSB) {
    throw new ImageError(`ELF file: expected little-endian data (1), found ${reader.u8(5)} at offset 0x5`);
  }
  const machine = reader.u16(18);
  if (machine !== EM_X86_64 && machine !== EM_386) {
    const name = machines[machine];
    throw new ImageError(
      `ELF file: expected machine 62 (x86-64), found ${machine}${name === undefined ? "" : ` (${name})`} at offset 0x12`,
    );
  }
  const type = reader.u16(16);
  if (type !== ET_EXEC) {
    const name = fileTypes[type];
    throw new ImageError(
      `ELF file: expected type 2 (executable), found ${type}${name === undefined ? "" : ` (${name})`} at offset 0x10`,
    );
  }
  const wide = bits === 64;
  const entry = wide ? reader.u64(24) : reader.u32(24);
  const tableOffset = wide ? reader.u64(32) : reader.u32(28);
  const entrySize = reader.u16(wide ? 54 : 42);
  const count = reader.u16(wide ? 56 : 44);
  const expectedSize = wide ? 56 : 32;
  if (entrySize !== expectedSize) {
    throw new ImageError(
      `ELF file: expected program headers of ${expectedSize} bytes, found ${entrySize} at offset ${wide ? "0x36" : "0x2a"}`,
    );
  }
  if (count === 0 || count > MOST_SEGMENTS) {
    throw new ImageError(
      `ELF file: expected 1 to ${MOST_SEGMENTS} program headers, found ${count} at offset ${wide ? "0x38" : "0x2c"}`,
    );
  }
  reader.slice(tableOffset, count * entrySize, "program headers");
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) segments.push(readSegment(reader, tableOffset + i * entrySize, wide));
  return { reader, bits, entry, segments };
}

function readSegment(reader: ImageReader, offset: number, wide: boolean): ElfSegment {
  if (wide) {
    return {
      type: reader.u32(offset),
      offset: reader.u64(offset + 8),
      virtualAddress: reader.u64(offset + 16),
      physicalAddress: reader.u64(offset + 24),
      fileSize: reader.u64(offset + 32),
      memorySize: reader.u64(offset + 40),
      alignment: reader.u64(offset + 48),
    };
  }
  return {
    type: reader.u32(offset),
    offset: reader.u32(offset + 4),
    virtualAddress: reader.u32(offset + 8),
    physicalAddress: reader.u32(offset + 12),
    fileSize: reader.u32(offset + 16),
    memorySize: reader.u32(offset + 20),
    alignment: reader.u32(offset + 28),
  };
}

const loadable = (elf: ElfImage): ElfSegment[] =>
  elf.segments.filter((segment) => segment.type === PT_LOAD && segment.memorySize > 0);

/** Lowest address and first address after all loaded segments. Throws `ImageError` if there are none. */
export function loadedExtent(elf: ElfImage): { base: number; end: number } {
  const segments = loadable(elf);
  if (segments.length === 0) throw new ImageError("ELF file: expected a PT_LOAD segment, found none");
  return {
    base: segments.reduce((least, s) => Math.min(least, s.physicalAddress), Number.POSITIVE_INFINITY),
    end: segments.reduce((most, s) => Math.max(most, s.physicalAddress + s.memorySize), 0),
  };
}

/**
 * The physical address of e_entry. Linux gives a physical one already; most other kernels give a virtual one
 * inside a segment.
 */
export function physicalEntry(elf: ElfImage): number {
  const segments = loadable(elf);
  const byVirtual = segments.find(
    (s) => elf.entry >= s.virtualAddress && elf.entry < s.virtualAddress + s.memorySize,
  );
  if (byVirtual !== undefined) return elf.entry - byVirtual.virtualAddress + byVirtual.physicalAddress;
  requireLoaded(elf, elf.entry, "e_entry");
  return elf.entry;
}

/** Throws `ImageError` unless the physical address lies in a loaded segment. */
export function requireLoaded(elf: ElfImage, address: number, what: string): void {
  const inside = loadable(elf).some(
    (s) => address >= s.physicalAddress && address < s.physicalAddress + s.memorySize,
  );
  if (!inside)
    throw new ImageError(`ELF file: expected ${what} inside a PT_LOAD segment, found ${hex(address)}`);
}

/**
 * Copies the segments to their physical addresses and clears what the file does not fill.
 *
 * A PT_TLS segment may lie outside every PT_LOAD (kernels with an application linked in have such), so its
 * initialised part is loaded too. It goes first: where it does lie in a PT_LOAD, that one has the last word,
 * and its uninitialised part takes no memory at its address.
 */
export function loadSegments(elf: ElfImage, placement: Placement, memory: GuestMemory): void {
  const { reader } = elf;
  let total = 0;
  const load = (segment: ElfSegment, memorySize: number, name: string): void => {
    if (segment.fileSize > segment.memorySize) {
      throw new ImageError(
        `ELF file: expected ${name} of at most ${byteCount(segment.memorySize)} (p_memsz), found p_filesz ${hex(segment.fileSize)}`,
      );
    }
    const contents = reader.slice(segment.offset, segment.fileSize, name);
    placement.claim("kernel", segment.physicalAddress, memorySize);
    total += memorySize;
    if (total > memory.size) {
      throw new ImageError(
        `ELF file: expected segments of at most ${byteCount(memory.size)}, the guest's memory, found more`,
      );
    }
    memory.write(segment.physicalAddress, contents);
    memory.fill(segment.physicalAddress + contents.length, memorySize - contents.length, 0);
  };
  for (const segment of elf.segments) {
    if (segment.type === PT_TLS && segment.fileSize > 0) load(segment, segment.fileSize, "PT_TLS segment");
  }
  for (const segment of loadable(elf)) load(segment, segment.memorySize, "PT_LOAD segment");
}

const align = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** The descriptor of the first note of this owner and type, or undefined. Damaged notes end the search. */
export function findNote(elf: ElfImage, owner: string, type: number): Uint8Array | undefined {
  const { reader } = elf;
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE || segment.offset + segment.fileSize > reader.length) continue;
    // Notes are 4-byte aligned but for segments that say 8 (GNU properties).
    const step = segment.alignment === 8 ? 8 : 4;
    const end = segment.offset + segment.fileSize;
    let offset = segment.offset;
    while (offset + 12 <= end) {
      const nameSize = reader.u32(offset);
      const descriptorSize = reader.u32(offset + 4);
      const descriptor = align(offset + 12 + nameSize, step);
      if (descriptor + descriptorSize > end) break;
      const matches = nameSize === owner.length + 1 && reader.text(offset + 12, nameSize) === owner;
      if (matches && reader.u32(offset + 8) === type)
        return reader.bytes.subarray(descriptor, descriptor + descriptorSize);
      offset = align(descriptor + descriptorSize, step);
    }
  }
  return undefined;
}
