/**
 * The program whose symbols an image of `ukl-emu build` has: its ELF file lies in the image's initial file system.
 * Other programs may run at the same addresses; its code tells them apart.
 */
import { ELF_MAGIC } from "../boot/elf.ts";
import type { SymbolTable } from "./symbols.ts";

const HEADER = 64;
const ET_EXEC = 2;
const PT_LOAD = 1;
const PF_X = 1;
const PROGRAM_HEADER = 56;

interface Segment {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export class ProgramCode {
  readonly #segments: readonly Segment[];

  constructor(segments: readonly Segment[]) {
    this.#segments = segments;
  }

  /** The first 64-bit executable in the image whose entry is a symbol of a program. Null if there is none. */
  static find(image: Uint8Array, symbols: SymbolTable): ProgramCode | null {
    const buffer = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
    const magic = Buffer.from(ELF_MAGIC);
    for (let at = buffer.indexOf(magic); at >= 0; at = buffer.indexOf(magic, at + 1)) {
      const file = image.subarray(at);
      if (file.length < HEADER || file[4] !== 2) continue;
      const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
      if (view.getUint16(16, true) !== ET_EXEC) continue;
      const entry = symbols.find(view.getBigUint64(24, true));
      if (entry?.offset !== 0 || entry.symbol.part === "work" || entry.symbol.part === "entry") continue;
      const segments = codeSegments(view, file);
      if (segments.length > 0) return new ProgramCode(segments);
    }
    return null;
  }

  /** Whether `bytes` are the program's at an address. */
  matches(address: bigint, bytes: Uint8Array): boolean {
    for (const segment of this.#segments) {
      const offset = Number(address - segment.address);
      if (offset < 0 || offset >= segment.bytes.length) continue;
      const expected = segment.bytes.subarray(offset, offset + bytes.length);
      return expected.every((byte, i) => byte === bytes[i]);
    }
    return false;
  }
}

function codeSegments(view: DataView, file: Uint8Array): Segment[] {
  const table = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  if (table + count * PROGRAM_HEADER > file.length) return [];
  const segments: Segment[] = [];
  for (let at = table; at < table + count * PROGRAM_HEADER; at += PROGRAM_HEADER) {
    if (view.getUint32(at, true) !== PT_LOAD || (view.getUint32(at + 4, true) & PF_X) === 0) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (offset + size > file.length) return [];
    segments.push({
      address: view.getBigUint64(at + 16, true),
      bytes: file.subarray(offset, offset + size),
    });
  }
  return segments;
}
