/** The symbol table in images of `ukl-emu build`: struct image_symbols of src/ukl-kernel/include/image.h. */
import { type Part, type RawSymbol, SymbolError } from "./symbol.ts";

/** IMAGE_SYMBOLS_MAGIC */
const MAGIC = "UKLSYMS1";
const HEADER = 16;
const ENTRY = 16;
/** enum image_part */
const PARTS: readonly Part[] = ["work", "entry", "dispatch", "exit", "app", "lib", "stub"];

interface Found {
  readonly symbols: number;
  readonly count: number;
  readonly names: Uint8Array;
}

/**
 * The kernel that reads the table may hold the same eight bytes as a constant: only a place where a whole table
 * follows is one.
 */
function findTable(bytes: Uint8Array): Found | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = buffer.indexOf(MAGIC); at >= 0; at = buffer.indexOf(MAGIC, at + 1)) {
    if (at + HEADER > bytes.length) return null;
    const count = view.getUint32(at + 8, true);
    const namesSize = view.getUint32(at + 12, true);
    const names = at + HEADER + count * ENTRY;
    if (count === 0 || names + namesSize > bytes.length) continue;
    const table = { symbols: at + HEADER, count, names: bytes.subarray(names, names + namesSize) };
    if (isSound(view, table)) return table;
  }
  return null;
}

/** Addresses ascend, parts are known, names lie inside. */
function isSound(view: DataView, { symbols, count, names }: Found): boolean {
  let previous = 0n;
  for (let at = symbols; at < symbols + count * ENTRY; at += ENTRY) {
    const address = view.getBigUint64(at, true);
    const name = view.getUint32(at + 12, true);
    if (address < previous || name >>> 24 >= PARTS.length || (name & 0xff_ffff) >= names.length) return false;
    previous = address;
  }
  return names.at(-1) === 0;
}

export function hasSymbolTable(bytes: Uint8Array): boolean {
  return findTable(bytes) !== null;
}

/** @throws SymbolError */
export function readImageSymbols(bytes: Uint8Array): RawSymbol[] {
  const table = findTable(bytes);
  if (table === null) {
    throw new SymbolError("expected a symbol table of ukl-emu build in the image, found none");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  return Array.from({ length: table.count }, (_, i): RawSymbol => {
    const at = table.symbols + i * ENTRY;
    const name = view.getUint32(at + 12, true);
    const start = name & 0xff_ffff;
    const text = decoder.decode(table.names.subarray(start, table.names.indexOf(0, start)));
    return {
      address: view.getBigUint64(at, true),
      size: view.getUint32(at + 8, true),
      name: text,
      part: PARTS[name >>> 24]!,
      isCode: true,
      rank: 0,
    };
  });
}
