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
import { encodeSymbols, type ImageSymbol, type Part } from "../src/build/symbols.ts";

const sources = join(import.meta.dirname, "..", "src", "ukl-kernel", "mechanisms");
const cFlags = [
  ...["-m64", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie"],
  ...["-mno-red-zone", "-mgeneral-regs-only", "-mcmodel=small", "-fno-stack-protector"],
  ...["-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-fno-ident"],
];
const linkFlags = ["-m", "elf_x86_64", "-nostdlib", "-static", "--build-id=none", "-T", "mechanisms.ld"];

function part(name: string): Part {
  if (name.startsWith("entry_")) return "entry";
  return name.startsWith("exit_") ? "exit" : "app";
}

/** Functions by address, from `nm -S`; those written in assembly without a size get the way to the next. */
function codeSymbols(nm: string): ImageSymbol[] {
  const symbols: ImageSymbol[] = [];
  for (const line of nm.split("\n")) {
    const match = /^([0-9a-f]+) (?:([0-9a-f]+) )?[tT] (\w+)$/.exec(line);
    if (match) {
      const [, address, size, name] = match;
      const bytes = Number.parseInt(size ?? "0", 16);
      symbols.push({ address: Number(`0x${address}`), size: bytes, name: name!, part: part(name!) });
    }
  }
  return symbols.sort((a, b) => a.address - b.address || a.name.localeCompare(b.name));
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
      Buffer.concat([readFileSync(flat), encodeSymbols(codeSymbols(tool("nm", "-S", elf)))]),
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) buildMechanisms(process.argv[2] ?? join(import.meta.dirname, "mechanisms.bin"));
