/**
 * ELF64 files for x86-64 with their sections, symbols and relocations (System V ABI, chapter 4): what rewriting
 * code needs, beyond the segments that `boot/elf.ts` loads.
 *
 * Addresses are signed numbers: the top 2 GiB, where kernels are linked, are -2^31 to -1, and all of user
 * space is positive. Both are exact, and comparing them needs no BigInt.
 */
import { BuildError } from "./build-error.ts";

export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
const EM_X86_64 = 62;

export const SHT_PROGBITS = 1;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
export const SHT_NOBITS = 8;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_TLS = 7;
const PF_X = 1;

export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;
export const STT_TLS = 6;

export const R_X86_64_64 = 1;
export const R_X86_64_PC32 = 2;
export const R_X86_64_PLT32 = 4;
export const R_X86_64_32 = 10;
export const R_X86_64_32S = 11;

export interface Section {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly allocated: boolean;
  readonly executable: boolean;
  readonly address: number;
  /** In the file. */
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly type: number;
  readonly global: boolean;
  /** 0: undefined. */
  readonly section: number;
  readonly address: number;
  readonly size: number;
}

export interface Relocation {
  readonly address: number;
  readonly type: number;
  readonly symbol: number;
  readonly addend: number;
}

export interface Segment {
  readonly type: number;
  readonly executable: boolean;
  readonly address: number;
  readonly physicalAddress: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

export const isElf = (file: Uint8Array): boolean =>
  file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;

/** The 64-bit value of an address as people write it. */
export const hexAddress = (address: number): string =>
  `0x${BigInt.asUintN(64, BigInt(address)).toString(16)}`;

export class ElfFile {
  /** The file; patches go into it. */
  readonly bytes: Uint8Array;
  readonly type: number;
  readonly entry: number;
  readonly sections: readonly Section[];
  readonly segments: readonly Segment[];
  readonly symbols: readonly ElfSymbol[];
  readonly #view: DataView;
  readonly #name: string;

  /**
   * @param name for messages, e.g. the file's path
   * @throws BuildError
   */
  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    this.#name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isElf(bytes)) throw new BuildError(`${name}: expected an ELF file, found something else`);
    if (bytes.length < 64) throw this.#truncated("header");
    if (bytes[4] !== 2) {
      throw new BuildError(`${name}: expected a 64-bit program, found a 32-bit one: compile it with -m64`);
    }
    const machine = this.u16(18);
    if (bytes[5] !== 1 || machine !== EM_X86_64) {
      throw new BuildError(`${name}: expected a program for x86-64 (machine 62), found machine ${machine}`);
    }
    this.type = this.u16(16);
    this.entry = this.i64(24);
    this.segments = this.#table(this.i64(32), this.u16(54), this.u16(56), 56, (at) => this.#segment(at));
    const sections = this.#table(this.i64(40), this.u16(58), this.u16(60), 64, (at, i) =>
      this.#section(at, i),
    );
    const names = sections[this.u16(62)];
    this.sections = sections.map(({ name: at, ...section }) => ({
      ...section,
      name: names === undefined ? "" : this.#string(names.offset, at),
    }));
    this.symbols = this.#readSymbols();
  }

  u16 = (at: number): number => this.#view.getUint16(this.#inside(at, 2), true);
  u32 = (at: number): number => this.#view.getUint32(this.#inside(at, 4), true);
  i64 = (at: number): number =>
    this.#view.getInt32(this.#inside(at, 8) + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);

  #inside(at: number, size: number): number {
    if (at < 0 || at + size > this.bytes.length) throw this.#truncated("tables");
    return at;
  }

  #truncated(what: string): BuildError {
    return new BuildError(`${this.#name}: expected ELF ${what}, found the end of the file`);
  }

  #table<T>(
    offset: number,
    entrySize: number,
    count: number,
    expected: number,
    read: (at: number, index: number) => T,
  ): T[] {
    if (count === 0 || offset === 0) return [];
    if (entrySize !== expected) {
      throw new BuildError(
        `${this.#name}: expected ELF table entries of ${expected} bytes, found ${entrySize}`,
      );
    }
    return Array.from({ length: count }, (_, i) => read(offset + i * entrySize, i));
  }

  #segment(at: number): Segment {
    return {
      type: this.u32(at),
      executable: (this.u32(at + 4) & PF_X) !== 0,
      offset: this.i64(at + 8),
      address: this.i64(at + 16),
      physicalAddress: this.i64(at + 24),
      fileSize: this.i64(at + 32),
      memorySize: this.i64(at + 40),
    };
  }

  #section(at: number, index: number) {
    const flags = this.i64(at + 8);
    return {
      index,
      name: this.u32(at),
      type: this.u32(at + 4),
      allocated: (flags & SHF_ALLOC) !== 0,
      executable: (flags & SHF_EXECINSTR) !== 0,
      address: this.i64(at + 16),
      offset: this.i64(at + 24),
      size: this.i64(at + 32),
      link: this.u32(at + 40),
      info: this.u32(at + 44),
    };
  }

  #string(table: number, at: number): string {
    const start = table + at;
    let end = start;
    while (end < this.bytes.length && this.bytes[end] !== 0) end++;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString("latin1");
  }

  #readSymbols(): ElfSymbol[] {
    const table = this.sections.find((section) => section.type === SHT_SYMTAB);
    const strings = table === undefined ? undefined : this.sections[table.link];
    if (table === undefined || strings === undefined) return [];
    return this.#table(table.offset, 24, table.size / 24, 24, (at) => {
      const info = this.bytes[this.#inside(at, 24) + 4]!;
      return {
        name: this.#string(strings.offset, this.u32(at)),
        type: info & 15,
        global: info >> 4 !== 0,
        section: this.u16(at + 6),
        address: this.i64(at + 8),
        size: this.i64(at + 16),
      };
    });
  }

  /** Named symbols that lie in a section of the file. */
  definedSymbols(): ElfSymbol[] {
    return this.symbols.filter(
      ({ name, type, section }) =>
        name !== "" &&
        type !== STT_SECTION &&
        type !== STT_FILE &&
        section !== SHN_UNDEF &&
        section < SHN_LORESERVE,
    );
  }

  symbol(name: string): ElfSymbol | undefined {
    return this.symbols.find((symbol) => symbol.name === name && symbol.section !== SHN_UNDEF);
  }

  /** The address of a symbol that the linker script or the kernel has to define. */
  addressOf(name: string): number {
    const symbol = this.symbol(name);
    if (symbol === undefined) throw new BuildError(`${this.#name}: expected a symbol ${name}, found none`);
    return symbol.address;
  }

  /** All of `--emit-relocs`, or of a relocatable object. */
  relocations(): Relocation[] {
    return this.sections
      .filter((section) => section.type === SHT_RELA)
      .flatMap((section) =>
        this.#table(section.offset, 24, section.size / 24, 24, (at) => ({
          address: this.i64(at),
          type: this.u32(at + 8),
          symbol: this.u32(at + 12),
          addend: this.i64(at + 16),
        })),
      );
  }

  /** A view of a section's bytes; writing to it changes the file. */
  contents(section: Section): Uint8Array {
    if (section.offset + section.size > this.bytes.length) throw this.#truncated(`section ${section.name}`);
    return this.bytes.subarray(section.offset, section.offset + section.size);
  }

  /** A view of the bytes that will be at `address`; writing to it changes the file. */
  at(address: number, size: number): Uint8Array {
    const section = this.sections.find(
      (s) =>
        s.allocated && s.type !== SHT_NOBITS && address >= s.address && address + size <= s.address + s.size,
    );
    if (section !== undefined) {
      const offset = address - section.address;
      return this.contents(section).subarray(offset, offset + size);
    }
    const segment = this.segments.find(
      (s) => s.type === PT_LOAD && address >= s.address && address + size <= s.address + s.fileSize,
    );
    if (segment === undefined) {
      throw new BuildError(`${this.#name}: expected ${size} bytes at ${hexAddress(address)}, found none`);
    }
    const start = segment.offset + address - segment.address;
    return this.bytes.subarray(start, start + size);
  }

  /** Code: executable sections, or executable segments where a stripped file has no sections. */
  code(): { readonly address: number; readonly bytes: Uint8Array }[] {
    const sections = this.sections.filter((s) => s.allocated && s.executable && s.type === SHT_PROGBITS);
    if (sections.length > 0) {
      return sections.map((section) => ({ address: section.address, bytes: this.contents(section) }));
    }
    return this.segments
      .filter((s) => s.type === PT_LOAD && s.executable)
      .map((s) => ({ address: s.address, bytes: this.at(s.address, s.fileSize) }));
  }
}
