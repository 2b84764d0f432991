/** Small programs for the tests of the rewriter, assembled and linked by binutils. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  branchTargets,
  type Code,
  disassemble,
  functionAt,
  loadDecoder,
} from "../../src/build/disassembly.ts";
import { ElfFile } from "../../src/build/elf-file.ts";
import { findRedZones } from "../../src/build/inspect.ts";
import { applyRewrites, planRewrites, type Rewrite, stubsSize } from "../../src/build/rewrite-calls.ts";

export const hasTools = ["gcc", "ld"].every((tool) => spawnSync(tool, ["--version"]).error === undefined);

/** Where the entry code would be: it makes the system call itself, so the program runs on the host too. */
const ENTRY = `
	.globl _start
	.section .text.entry, "ax"
	.type ukl_entry, @function
ukl_entry: syscall
	ret
	.size ukl_entry, . - ukl_entry
	.section .text.stubs, "ax"
	.balign 64
ukl_stubs_start: .skip 4096, 0xcc
`;

export interface Assembled {
  readonly elf: ElfFile;
  readonly code: readonly Code[];
  readonly rewrites: readonly Rewrite[];
  /** Writes the program with all system calls rewritten and runs it. */
  run(): { readonly status: number | null; readonly stdout: string };
}

/** Assembles `text` (AT&T syntax, entry point _start), and plans and applies its rewriting. Throws `BuildError`. */
export async function assemble(text: string): Promise<Assembled> {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
  try {
    writeFileSync(join(work, "a.s"), `.text\n${text}\n${ENTRY}`);
    execFileSync("gcc", ["-c", "a.s", "-o", "a.o"], { cwd: work, stdio: "pipe" });
    const linked = ["-static", "--emit-relocs", "-z", "noexecstack", "a.o", "-o", "a.elf"];
    execFileSync("ld", linked, { cwd: work, stdio: "pipe" });
    const elf = new ElfFile(readFileSync(join(work, "a.elf")), "a.elf");
    const decode = await loadDecoder();
    const code = disassemble(decode, elf, { start: 0, end: elf.addressOf("ukl_entry") });
    const redZones = findRedZones(elf, code);
    const rewrites = planRewrites(code, {
      targets: branchTargets(elf, code),
      functionAt: (address) => functionAt(elf, address),
      usesRedZone: redZones.has,
    });
    const stubs = elf.addressOf("ukl_stubs_start");
    const room = { address: stubs, bytes: elf.at(stubs, stubsSize(rewrites)) };
    applyRewrites(code, rewrites, room, elf.addressOf("ukl_entry"));
    return { elf, code, rewrites, run: () => runProgram(elf.bytes) };
  } finally {
    rmSync(work, { recursive: true });
  }
}

function runProgram(bytes: Uint8Array): { status: number | null; stdout: string } {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
  try {
    const program = join(work, "a.elf");
    writeFileSync(program, bytes, { mode: 0o755 });
    const { status, stdout } = spawnSync(program, [], { encoding: "latin1", timeout: 10_000 });
    return { status, stdout };
  } finally {
    rmSync(work, { recursive: true });
  }
}
