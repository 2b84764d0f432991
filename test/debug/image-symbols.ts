/** Writes the symbol table of an image, as src/ukl-kernel/include/image.h describes it. */
const PARTS = ["work", "entry", "dispatch", "exit", "app", "lib", "stub"] as const;

export interface TableSymbol {
  readonly address: bigint;
  readonly size: number;
  readonly name: string;
  readonly part: (typeof PARTS)[number];
}

export function imageSymbols(symbols: readonly TableSymbol[]): Uint8Array {
  const names = Buffer.from(symbols.map(({ name }) => `${name}\0`).join(""), "latin1");
  const table = Buffer.alloc(16 + symbols.length * 16);
  table.write("UKLSYMS1", "latin1");
  table.writeUInt32LE(symbols.length, 8);
  table.writeUInt32LE(names.length, 12);
  let name = 0;
  symbols.forEach((symbol, i) => {
    const at = 16 + i * 16;
    table.writeBigUInt64LE(symbol.address, at);
    table.writeUInt32LE(symbol.size, at + 8);
    table.writeUInt32LE(((PARTS.indexOf(symbol.part) << 24) | name) >>> 0, at + 12);
    name += symbol.name.length + 1;
  });
  return Buffer.concat([table, names]);
}
