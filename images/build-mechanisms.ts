/**
 * Builds `images/mechanisms.bin` from `src/ukl-kernel/mechanisms` with gcc and binutils:
 *
 *     node images/build-mechanisms.ts [OUTPUT]
 *
 * A flat multiboot image; behind it lies a symbol table as `ukl-emu build` makes it, which nothing loads.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const sources = join(import.meta.dirname, "..", "src", "ukl-kernel", "mechanisms");
const cFlags = [
  ...["-m64", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie"],
  ...["-mno-red-zone", "-mgeneral-regs-only", "-mcmodel=small", "-fno-stack-protector"],
  ...["-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-fno-ident"],
];
const linkFlags = ["-m", "elf_x86_64", "-nostdlib", "-static", "--build-id=none", "-T", "mechanisms.ld"];

interface CodeSymbol {
  readonly address: bigint;
  readonly size: number;
  readonly name: string;
}

/** enum image_part of include/image.h. */
const PART_ENTRY = 1;
const PART_EXIT = 3;
const PART_APP = 4;

function part(name: string): number {
  if (name.startsWith("entry_")) return PART_ENTRY;
  return name.startsWith("exit_") ? PART_EXIT : PART_APP;
}

/** struct image_symbols of include/image.h. */
function symbolTable(symbols: readonly CodeSymbol[]): Uint8Array {
  const names = Buffer.from(symbols.map(({ name }) => `${name}\0`).join(""));
  const table = Buffer.alloc(16 + 16 * symbols.length);
  table.write("UKLSYMS1");
  table.writeUInt32LE(symbols.length, 8);
  table.writeUInt32LE(names.length, 12);
  let nameOffset = 0;
  symbols.forEach(({ address, size, name }, i) => {
    const at = 16 + 16 * i;
    table.writeBigUInt64LE(address, at);
    table.writeUInt32LE(size, at + 8);
    table.writeUInt32LE((part(name) << 24) | nameOffset, at + 12);
    nameOffset += name.length + 1;
  });
  return Buffer.concat([table, names]);
}

/** Functions by address, from `nm -S`; those written in assembly without a size get the way to the next. */
function codeSymbols(nm: string): CodeSymbol[] {
  const symbols: CodeSymbol[] = [];
  for (const line of nm.split("\n")) {
    const match = /^([0-9a-f]+) (?:([0-9a-f]+) )?[tT] (\w+)$/.exec(line);
    if (match) {
      const [, address, size, name] = match;
      symbols.push({ address: BigInt(`0x${address}`), size: Number.parseInt(size ?? "0", 16), name: name! });
    }
  }
  return symbols.sort((a, b) => Number(a.address - b.address) || a.name.localeCompare(b.name));
}

/** Builds the image and writes it to `output`. Throws when a tool fails or is missing. */
export function buildMechanisms(output: string): void {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-mechanisms-"));
  const tool = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: sources, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  try {
    const objects = ["boot.S", "ways.S", "mechanisms.c"].map((source) => {
      const object = join(work, `${source}.o`);
      tool("gcc", ...cFlags, "-c", source, "-o", object);
      return object;
    });
    const elf = join(work, "mechanisms.elf");
    const flat = join(work, "mechanisms.bin");
    tool("ld", ...linkFlags, "-o", elf, ...objects);
    tool("objcopy", "-O", "binary", "-j", ".text", elf, flat);
    writeFileSync(
      output,
      Buffer.concat([readFileSync(flat), symbolTable(codeSymbols(tool("nm", "-S", elf)))]),
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) buildMechanisms(process.argv[2] ?? join(import.meta.dirname, "mechanisms.bin"));
