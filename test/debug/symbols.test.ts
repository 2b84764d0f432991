/** Symbols of ELF files, System.map and images. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProgramCode } from "../../src/debug/program-code.ts";
import { SymbolError, SymbolTable, symbolText } from "../../src/debug/symbols.ts";
import { imageSymbols } from "./image-symbols.ts";

const directory = mkdtempSync(join(tmpdir(), "symbols-"));
afterAll(() => rmSync(directory, { recursive: true }));

const hasGcc = (() => {
  try {
    execFileSync("gcc", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

const SOURCE = `
	.globl _start, table
	.type _start, @function
	.type helper, @function
	.text
_start:	call helper
	.globl inner
inner:	hlt
	.size _start, . - _start
	.balign 64
helper:	nop
	ret
	.size helper, . - helper
	.data
table:	.quad 1
`;

function build(name: string, ...flags: string[]): Uint8Array {
  const source = join(directory, "source.S");
  const output = join(directory, name);
  writeFileSync(source, SOURCE);
  execFileSync("gcc", ["-nostdlib", ...flags, "-o", output, source]);
  return readFileSync(output);
}

describe.skipIf(!hasGcc)("symbols of an ELF executable", () => {
  let bytes: Uint8Array;
  let table: SymbolTable;
  beforeAll(() => {
    bytes = build("static", "-static", "-no-pie", "-Wl,-Ttext=0xffffffff81000000");
    table = SymbolTable.load(bytes);
  });

  test("are those of nm", () => {
    const listing = execFileSync("nm", [join(directory, "static")], { encoding: "utf8" });
    const names = [...listing.matchAll(/^([0-9a-f]+) \w (\w+)$/gm)];
    expect(names.length).toBeGreaterThan(4);
    for (const [, address, name] of names) expect(table.byName(name!)?.address).toBe(BigInt(`0x${address}`));
  });

  test("cover their sizes and nothing else", () => {
    const { address, size } = table.byName("helper")!;
    expect(size).toBe(2);
    expect(symbolText(table.find(address)!)).toBe("helper");
    expect(symbolText(table.find(address + 1n)!)).toBe("helper+0x1");
    expect(table.find(address + 2n)).toBeNull();
    expect(table.find(address - 1n)?.symbol.name).not.toBe("helper");
    expect(table.find(0n)).toBeNull();
    expect(table.find(0x7fff_ffff_ffff_ffffn)).toBeNull();
  });

  test("a label inside a function is nearer than the function", () => {
    expect(symbolText(table.find(table.byName("inner")!.address)!)).toBe("inner");
  });

  test("data is found by name only", () => {
    const { address } = table.byName("table")!;
    expect(table.find(address)?.symbol.name).not.toBe("table");
  });

  test("a stripped file says so", () => {
    execFileSync("strip", ["-o", join(directory, "stripped"), join(directory, "static")]);
    expect(() => SymbolTable.load(readFileSync(join(directory, "stripped")))).toThrow(/stripped/);
  });

  test("a position-independent file is refused", () => {
    expect(() => SymbolTable.load(build("pie", "-static-pie"))).toThrow(/position-independent/);
  });

  test("a truncated or damaged file is one line", () => {
    for (const length of [4, 40, 63, 64, bytes.length >> 1, bytes.length - 100]) {
      expect(() => SymbolTable.load(bytes.subarray(0, length))).toThrow(SymbolError);
    }
    for (let at = 4; at < 64; at++) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = 0xff;
      try {
        SymbolTable.load(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(SymbolError);
      }
    }
  });
});

describe.skipIf(!hasGcc)("the program whose symbols an image has", () => {
  let elf: Uint8Array;
  let start: bigint;
  let code: Uint8Array;
  beforeAll(() => {
    elf = build("program", "-static", "-no-pie", "-Wl,-Ttext=0x401000");
    start = SymbolTable.load(elf).byName("_start")!.address;
    const at = Buffer.from(elf).indexOf(Buffer.from([0xe8])); // CALL helper, the first instruction
    code = elf.subarray(at, at + 6);
  });
  const table = (entry: bigint) =>
    SymbolTable.fromImage(imageSymbols([{ address: entry, size: 6, name: "_start", part: "app" }]));

  test("is found by its entry, and knows its code", () => {
    const image = Buffer.concat([Buffer.from("\x7fELF\x02 and more"), build("program"), elf]);
    const program = ProgramCode.find(image, table(start))!;
    expect(program.matches(start, code)).toBe(true);
    expect(program.matches(start + 1n, code.subarray(1))).toBe(true);
    expect(program.matches(start + 1n, code)).toBe(false);
    expect(program.matches(start + 0x10_0000n, code)).toBe(false);
  });

  test("is not there for symbols of another one", () => {
    expect(ProgramCode.find(elf, table(start + 1n))).toBeNull();
    expect(ProgramCode.find(new Uint8Array(100), table(start))).toBeNull();
    expect(ProgramCode.find(elf.subarray(0, 70), table(start))).toBeNull();
  });
});

describe("System.map", () => {
  const MAP = `0000000000000000 D __per_cpu_start
ffffffff81000000 T _stext
ffffffff81000000 T startup_64
ffffffff81000100 t local_function
ffffffff81a00000 T entry_SYSCALL_64
ffffffff82000000 D some_data
ffffffffc0000000 t module_function\t[module]
`;
  const table = SymbolTable.load(new TextEncoder().encode(MAP));

  test("gives code by address, everything by name", () => {
    expect(symbolText(table.find(0xffff_ffff_8100_0123n)!)).toBe("local_function+0x23");
    expect(table.find(8n)).toBeNull();
    expect(table.byName("some_data")?.address).toBe(0xffff_ffff_8200_0000n);
    expect(table.byName("module_function")?.address).toBe(0xffff_ffff_c000_0000n);
  });

  test("a symbol without a size does not reach for ever", () => {
    expect(table.find(0xffff_ffff_8100_0100n + (1n << 16n))).toBeNull();
  });

  test("Linux's names are no phases of this project's kernel", () => {
    expect(table.partOf(0xffff_ffff_81a0_0000n)).toBe("work");
  });

  test("a line of another kind is named", () => {
    expect(() => SymbolTable.fromSystemMap(`${MAP}nonsense\n`)).toThrow(/"nonsense" on line 8/);
    expect(() => SymbolTable.fromSystemMap("")).toThrow(SymbolError);
  });
});

describe("the table inside an image", () => {
  const symbols = [
    { address: 0x40_0000n, size: 16, name: "main", part: "app" },
    { address: 0x40_0010n, size: 0, name: "write", part: "lib" },
    { address: 0xffff_ffff_8010_0000n, size: 32, name: "entry_syscall", part: "entry" },
    { address: 0xffff_ffff_8010_0020n, size: 32, name: "sys_write", part: "work" },
  ] as const;
  const noise = Buffer.from("code UKLSYMS1 more code, long enough to be read as a header of a table");
  const image = Buffer.concat([noise, imageSymbols(symbols), noise]);

  test("is found behind other occurrences of its magic number", () => {
    const table = SymbolTable.load(image);
    expect([...table]).toHaveLength(4);
    for (const { address, name, part, size } of symbols) {
      expect(table.find(address)?.symbol).toMatchObject({ address, name, part, size });
    }
    expect(table.partOf(0xffff_ffff_8010_001fn)).toBe("entry");
    expect(table.has("exit")).toBe(false);
  });

  test("an image without one is refused", () => {
    expect(() => SymbolTable.fromImage(noise)).toThrow(SymbolError);
    expect(() => SymbolTable.load(noise)).toThrow(/found none of them/);
  });

  test("tables can be put together", () => {
    const other = SymbolTable.fromSystemMap("ffffffff81000000 T startup_64\n");
    const both = SymbolTable.merge([SymbolTable.fromImage(image), other]);
    expect(both.size).toBe(5);
    expect(both.byName("startup_64")).toBeDefined();
  });
});
