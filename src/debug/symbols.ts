/**
 * Symbols: names of code addresses, from ELF files, from System.map, and from the table that `ukl-emu build`
 * puts into its images.
 */
import { isElf } from "../boot/elf.ts";
import {
  key,
  OUR_KERNEL,
  type Part,
  partByName,
  type RawSymbol,
  type Sym,
  type SymbolAt,
  SymbolError,
} from "./symbol.ts";
import { readElfSymbols } from "./symbols-elf.ts";
import { hasSymbolTable, readImageSymbols } from "./symbols-image.ts";

export { type Part, type Sym, type SymbolAt, SymbolError } from "./symbol.ts";

/** A symbol without a size covers no more than this. */
const LONGEST = 1 << 16;
/** How many symbols before an address are looked at for one that reaches to it. */
const NESTING = 8;

export class SymbolTable {
  /** Code, by address as `key` orders it. */
  readonly #code: readonly Sym[];
  readonly #keys: Float64Array;
  readonly #names = new Map<string, Sym>();
  readonly #parts = new Set<Part>();
  /** Where the last `find` ended: most questions come in runs. */
  #last = 0;

  constructor(symbols: Iterable<RawSymbol>) {
    const all = [...symbols];
    const sorted = all.sort((a, b) => key(a.address) - key(b.address) || b.rank - a.rank);
    for (const symbol of sorted) if (!this.#names.has(symbol.name)) this.#names.set(symbol.name, symbol);
    const code = sorted.filter(({ isCode }) => isCode);
    this.#code = code.filter((symbol, i) => i === 0 || symbol.address !== code[i - 1]!.address);
    this.#keys = Float64Array.from(this.#code, ({ address }) => key(address));
    for (const { part } of this.#code) this.#parts.add(part);
  }

  /** @throws SymbolError for a file that is not an executable of 64 bits, or has no .symtab */
  static fromElf(bytes: Uint8Array): SymbolTable {
    return new SymbolTable(readElfSymbols(bytes));
  }

  /** Lines of an address, a letter of nm(1) and a name. @throws SymbolError */
  static fromSystemMap(text: string): SymbolTable {
    const lines: { address: bigint; letter: string; name: string }[] = [];
    for (const line of text.split("\n")) {
      const match = SYSTEM_MAP_LINE.exec(line);
      if (match) lines.push({ address: BigInt(`0x${match[1]}`), letter: match[2]!, name: match[3]! });
      else if (line.trim() !== "") {
        const at = `line ${lines.length + 1}`;
        throw new SymbolError(
          `System.map: expected an address, a letter and a name, found "${line}" on ${at}`,
        );
      }
    }
    if (lines.length === 0) throw new SymbolError("System.map: expected symbols, found none");
    const isOurs = lines.some(({ name }) => name === OUR_KERNEL);
    return new SymbolTable(
      lines.map(({ address, letter, name }) => ({
        ...{ address, size: 0, name, part: partByName(address, name, isOurs) },
        isCode: /[tTwW]/.test(letter),
        // Upper case is global.
        rank: letter === "T" ? 1 : 0,
      })),
    );
  }

  /** From the table inside an image of `ukl-emu build`. @throws SymbolError if there is none */
  static fromImage(bytes: Uint8Array): SymbolTable {
    return new SymbolTable(readImageSymbols(bytes));
  }

  /** By what the file holds. @throws SymbolError */
  static load(bytes: Uint8Array): SymbolTable {
    if (isElf(bytes)) return SymbolTable.fromElf(bytes);
    if (hasSymbolTable(bytes)) return SymbolTable.fromImage(bytes);
    const start = new TextDecoder("latin1").decode(bytes.subarray(0, 200));
    if (SYSTEM_MAP_LINE.test(start.split("\n")[0]!)) {
      return SymbolTable.fromSystemMap(new TextDecoder().decode(bytes));
    }
    throw new SymbolError(
      "expected an ELF file with symbols, a System.map or an image of ukl-emu build, found none of them",
    );
  }

  /** All symbols of several tables. */
  static merge(tables: readonly SymbolTable[]): SymbolTable {
    return new SymbolTable(
      tables.flatMap((table) => {
        const code = new Set(table.#code);
        const others = [...table.#names.values()].filter((symbol) => !code.has(symbol));
        const raw = (isCode: boolean) => (symbol: Sym) => ({ ...symbol, isCode, rank: 0 });
        return [...table.#code.map(raw(true)), ...others.map(raw(false))];
      }),
    );
  }

  get size(): number {
    return this.#code.length;
  }
  /** Whether any code symbol is of this part. */
  has(part: Part): boolean {
    return this.#parts.has(part);
  }
  /** Code symbols in the order of their addresses; the upper half comes first. */
  [Symbol.iterator](): Iterator<Sym> {
    return this.#code[Symbol.iterator]();
  }
  byName(name: string): Sym | undefined {
    return this.#names.get(name);
  }
  partOf(address: bigint): Part | null {
    return this.find(address)?.symbol.part ?? null;
  }

  /** The symbol that covers a code address. */
  find(address: bigint): SymbolAt | null {
    const wanted = key(address);
    const keys = this.#keys;
    let low = this.#last;
    if (!(keys[low]! <= wanted && (low + 1 === keys.length || wanted < keys[low + 1]!))) {
      low = 0;
      let high = keys.length;
      // The first symbol after the address.
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (keys[middle]! <= wanted) low = middle + 1;
        else high = middle;
      }
      if (low === 0) return null;
      low--;
      this.#last = low;
    }
    for (let i = low; i >= 0 && low - i < NESTING; i--) {
      const symbol = this.#code[i]!;
      const offset = wanted - keys[i]!;
      // One without a size ends where the next begins: only the nearest can reach to the address.
      if (symbol.size === 0 ? i === low && offset < LONGEST : offset < symbol.size) return { symbol, offset };
    }
    return null;
  }
}

const SYSTEM_MAP_LINE = /^([0-9a-fA-F]{8,16}) ([a-zA-Z?]) (\S+)(?:\s+\[\S+\])?\r?$/;

/** "name+0x1c", or "name" at its start. */
export function symbolText({ symbol, offset }: SymbolAt): string {
  return offset === 0 ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`;
}
