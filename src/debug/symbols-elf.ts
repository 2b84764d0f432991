/**
 * Symbols of ELF64 executables: the .symtab section (System V ABI, chapter 4, "Symbol Table"). Addresses are
 * kept to the last bit, which the loader in src/boot need not do.
 */
import { OUR_KERNEL, partByName, type RawSymbol, SymbolError } from "./symbol.ts";

const SHT_SYMTAB = 2;
const SHF_EXECINSTR = 4n;
const SECTION_HEADER = 64;
const SYMBOL = 24;
const ET_EXEC = 2;
const ET_DYN = 3;
/** Section indices from here on are not sections: absolute and common symbols. */
const SHN_LORESERVE = 0xff00;
const SHN_ABS = 0xfff1;

const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;
const STT_GNU_IFUNC = 10;
const STB_LOCAL = 0;

interface Section {
  readonly type: number;
  readonly flags: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

function fail(expected: string, found: string): never {
  throw new SymbolError(`ELF file: expected ${expected}, found ${found}`);
}

/** @throws SymbolError */
export function readElfSymbols(bytes: Uint8Array): RawSymbol[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64) fail("a header of 64 bytes", `${bytes.length} bytes`);
  if (bytes[4] !== 2 || bytes[5] !== 1) fail("class 2 (64-bit), little-endian", `${bytes[4]}, ${bytes[5]}`);
  const type = view.getUint16(16, true);
  if (type === ET_DYN) {
    fail(
      "type 2 (executable)",
      "3 (position-independent): where it is loaded is not known; link with -static -no-pie",
    );
  }
  if (type !== ET_EXEC) fail("type 2 (executable)", `${type}`);
  const sections = readSections(view);
  const table = sections.find((section) => section.type === SHT_SYMTAB);
  if (table === undefined || table.size < SYMBOL) {
    fail("a symbol table (.symtab)", "none: the file is stripped; give the unstripped one, or a System.map");
  }
  const names = sections[table.link];
  if (names === undefined)
    fail("names of symbols in a section", `section ${table.link} of ${sections.length}`);
  const symbols: Omit<RawSymbol, "part">[] = [];
  for (let at = table.offset; at + SYMBOL <= table.offset + table.size; at += SYMBOL) {
    const symbol = readSymbol(view, at, names, sections);
    if (symbol !== null) symbols.push(symbol);
  }
  const isOurs = symbols.some(({ name }) => name === OUR_KERNEL);
  return symbols.map((symbol) => ({ ...symbol, part: partByName(symbol.address, symbol.name, isOurs) }));
}

function readSections(view: DataView): Section[] {
  const offset = Number(view.getBigUint64(40, true));
  const entrySize = view.getUint16(58, true);
  let count = view.getUint16(60, true);
  if (offset === 0) return [];
  if (entrySize !== SECTION_HEADER) fail(`section headers of ${SECTION_HEADER} bytes`, `${entrySize}`);
  const inside = (number: number) => offset + number * SECTION_HEADER <= view.byteLength;
  if (!inside(1)) fail(`section headers at offset 0x${offset.toString(16)}`, `${view.byteLength} bytes`);
  // With 0xff00 sections and more, the number is the size of the first.
  if (count === 0) count = Number(view.getBigUint64(offset + 32, true));
  if (!inside(count)) fail(`${count} section headers`, `the end of the file: it is truncated`);
  return Array.from({ length: count }, (_, i): Section => {
    const at = offset + i * SECTION_HEADER;
    const section = {
      type: view.getUint32(at + 4, true),
      flags: view.getBigUint64(at + 8, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
    };
    if (section.type === SHT_SYMTAB && section.offset + section.size > view.byteLength) {
      fail(`a symbol table of ${section.size} bytes`, "the end of the file: it is truncated");
    }
    return section;
  });
}

function readSymbol(
  view: DataView,
  at: number,
  names: Section,
  sections: readonly Section[],
): Omit<RawSymbol, "part"> | null {
  const info = view.getUint8(at + 4);
  const type = info & 15;
  const section = view.getUint16(at + 6, true);
  if (section === 0 || type === STT_SECTION || type === STT_FILE || type === STT_TLS) return null;
  if (section >= SHN_LORESERVE && section !== SHN_ABS) return null;
  const nameAt = names.offset + view.getUint32(at, true);
  const name = cString(view, nameAt, Math.min(names.offset + names.size, view.byteLength));
  if (name === "") return null;
  const executable = ((sections[section]?.flags ?? 0n) & SHF_EXECINSTR) !== 0n;
  const isFunction = type === STT_FUNC || type === STT_GNU_IFUNC;
  return {
    address: view.getBigUint64(at + 8, true),
    size: Number(BigInt.asUintN(52, view.getBigUint64(at + 16, true))),
    name,
    isCode: executable && (isFunction || type === STT_NOTYPE),
    rank: (isFunction ? 2 : 0) + (info >> 4 === STB_LOCAL ? 0 : 1),
  };
}

function cString(view: DataView, start: number, end: number): string {
  let stop = start;
  while (stop < end && view.getUint8(stop) !== 0) stop++;
  if (stop <= start) return "";
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + start, stop - start));
}
