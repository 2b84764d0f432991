/** Builds the guest of rings.S with gcc, and its symbol table as `ukl-emu build` would write it. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageSymbols, type TableSymbol } from "./image-symbols.ts";

export const hasTools = ["gcc", "objcopy", "nm"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

const APPLICATION = new Set(["main", "program"]);

function partOf(name: string): TableSymbol["part"] {
  if (APPLICATION.has(name)) return "app";
  const phase = /^(entry|dispatch|exit)_/.exec(name)?.[1];
  return (phase as TableSymbol["part"] | undefined) ?? "work";
}

export interface RingGuest {
  /** Without symbols. */
  readonly plain: Uint8Array;
  /** With a table at its end. */
  readonly image: Uint8Array;
  /** The ELF file. */
  readonly elf: Uint8Array;
  readonly address: (name: string) => bigint;
}

export function buildRingGuest(): RingGuest {
  const directory = mkdtempSync(join(tmpdir(), "rings-"));
  try {
    const elf = join(directory, "rings.elf");
    const flat = join(directory, "rings.bin");
    const source = join(import.meta.dirname, "rings.S");
    const link = ["-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000", "-Wl,-N", "-Wl,--build-id=none"];
    execFileSync("gcc", ["-m64", ...link, "-Wl,-e,_begin", "-o", elf, source], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    execFileSync("objcopy", ["-O", "binary", "-j", ".text", "-j", ".data", elf, flat]);
    const listing = execFileSync("nm", ["-S", elf], { encoding: "utf8" });
    const symbols: TableSymbol[] = [...listing.matchAll(/^(\w+) (\w{16}) [Tt] (\w+)$/gm)]
      .map(([, address, size, name]) => ({
        address: BigInt(`0x${address}`),
        size: Number(`0x${size}`),
        name: name!,
        part: partOf(name!),
      }))
      .sort((a, b) => (a.address < b.address ? -1 : 1));
    const plain = readFileSync(flat);
    return {
      plain,
      image: Buffer.concat([plain, imageSymbols(symbols)]),
      elf: readFileSync(elf),
      address: (name) => symbols.find((symbol) => symbol.name === name)!.address,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
