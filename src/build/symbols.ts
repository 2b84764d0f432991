/** The symbol table of an image: src/ukl-kernel/include/image.h, struct image_symbols. */
import { type ElfFile, STT_FUNC, STT_NOTYPE, STT_OBJECT } from "./elf-file.ts";
import { fileAt, type MapRange } from "./linker-map.ts";

/** In the order of enum image_part. */
export const PARTS = ["work", "entry", "dispatch", "exit", "app", "lib", "stub"] as const;
export type Part = (typeof PARTS)[number];

export interface ImageSymbol {
  /** Signed, as in `elf-file.ts`. */
  readonly address: number;
  readonly size: number;
  readonly name: string;
  readonly part: Part;
}

const MAGIC = "UKLSYMS1";
const HEADER_SIZE = 16;
const ENTRY_SIZE = 16;

/** The part of a kernel symbol, by its name (image.h). */
export function kernelPart(name: string): Part {
  const match = /^(entry|dispatch|exit)_/.exec(name);
  return match === null ? "work" : (match[1] as Part);
}

/**
 * Functions and objects of a program, one at each address: a phase of a system call before another name, the
 * global before the local name, a function before a label.
 */
function pick(elf: ElfFile, wanted: (address: number, name: string) => Part | null): ImageSymbol[] {
  const byAddress = new Map<number, { symbol: ImageSymbol; rank: number }>();
  for (const { name, type, global, section, address, size } of elf.definedSymbols()) {
    if (type !== STT_FUNC && type !== STT_OBJECT && type !== STT_NOTYPE) continue;
    if (elf.sections[section]?.allocated !== true) continue;
    // Labels of the compiler; the linker script's names of ends cover nothing.
    if (name.startsWith(".L")) continue;
    const part = wanted(address, name);
    if (part === null) continue;
    // Entry code may have two names, for its callers and for its phase: the phase is what is measured.
    const isPhase = part === "entry" || part === "dispatch" || part === "exit";
    const rank =
      (isPhase ? 8 : 0) +
      (type === STT_NOTYPE ? 0 : 4) +
      (size > 0 ? 2 : 0) +
      (global && !name.startsWith("_") ? 1 : 0);
    const present = byAddress.get(address);
    if (present !== undefined) {
      if (present.rank > rank || (present.rank === rank && present.symbol.name <= name)) continue;
    }
    byAddress.set(address, { symbol: { address, size, name, part }, rank });
  }
  return [...byAddress.values()].map(({ symbol }) => symbol).sort((a, b) => a.address - b.address);
}

export interface PartSources {
  readonly map: readonly MapRange[];
  /** Names that stand for places and not for code or data. */
  readonly markers: ReadonlySet<string>;
  /** Whether an input file of the linker is the kernel's. */
  readonly isKernel: (file: string) => boolean;
  /** Whether it is the C library's, or start-up code. */
  readonly isLibrary: (file: string) => boolean;
}

/** Symbols with their parts, by the input file that each address comes from; others are left out. */
export function programSymbols(elf: ElfFile, sources: PartSources): ImageSymbol[] {
  return pick(elf, (address, name) => {
    const file = fileAt(sources.map, address);
    if (file === undefined || sources.markers.has(name)) return null;
    // The setup sectors, at 0, are not where they run.
    if (sources.isKernel(file)) return address >= 0 ? null : kernelPart(name);
    return sources.isLibrary(file) ? "lib" : "app";
  });
}

/** Symbols of a program that was linked elsewhere: all of them are the application's. */
export const foreignSymbols = (elf: ElfFile): ImageSymbol[] => pick(elf, () => "app");

/** Bytes that `encodeSymbols` gives. It depends on the names alone. */
export function encodedSize(symbols: readonly ImageSymbol[]): number {
  const names = symbols.reduce((sum, { name }) => sum + Buffer.byteLength(name) + 1, 0);
  return HEADER_SIZE + symbols.length * ENTRY_SIZE + names;
}

export function encodeSymbols(symbols: readonly ImageSymbol[]): Uint8Array {
  const unsigned = (address: number): bigint => BigInt.asUintN(64, BigInt(address));
  const sorted = [...symbols].sort((a, b) => {
    const [left, right] = [unsigned(a.address), unsigned(b.address)];
    return left < right ? -1 : left > right ? 1 : 0;
  });
  const names = Buffer.from(sorted.map(({ name }) => `${name}\0`).join(""));
  const bytes = Buffer.alloc(HEADER_SIZE + sorted.length * ENTRY_SIZE + names.length);
  bytes.write(MAGIC, 0, "latin1");
  bytes.writeUInt32LE(sorted.length, 8);
  bytes.writeUInt32LE(names.length, 12);
  let nameOffset = 0;
  sorted.forEach(({ address, size, name, part }, index) => {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    bytes.writeBigUInt64LE(unsigned(address), at);
    bytes.writeUInt32LE(Math.min(size, 0xffff_ffff), at + 8);
    bytes.writeUInt32LE(((PARTS.indexOf(part) << 24) | nameOffset) >>> 0, at + 12);
    nameOffset += Buffer.byteLength(name) + 1;
  });
  names.copy(bytes, HEADER_SIZE + sorted.length * ENTRY_SIZE);
  return bytes;
}
