/** What a program's code says about it before it runs: red zones, and the system calls it can make. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Code, Instruction } from "./disassembly.ts";
import { type ElfFile, STT_FUNC } from "./elf-file.ts";
import { kernelDirectory } from "./kernel-source.ts";
import { needTool } from "./toolchain.ts";

/** Functions with data below RSP, by their address ranges. */
export interface RedZones {
  readonly names: readonly string[];
  /** Whether the function at an address is one of them. */
  readonly has: (address: number) => boolean;
}

export function findRedZones(elf: ElfFile, code: readonly Code[]): RedZones {
  const functions = elf
    .definedSymbols()
    .filter(({ type }) => type === STT_FUNC)
    .sort((a, b) => a.address - b.address);
  /** Index of the last function that begins at or before an address. */
  const functionOf = (address: number): number => {
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (functions[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    // Several names of one function: the first stands for all.
    while (low > 1 && functions[low - 2]!.address === functions[low - 1]!.address) low--;
    return low - 1;
  };
  const found = new Set<number>();
  for (const { instructions } of code) {
    for (const { redZone, address } of instructions) if (redZone) found.add(functionOf(address));
  }
  return {
    names: [...found].map((index) => functions[index]?.name ?? "a function without a name").sort(),
    has: (address) => found.has(functionOf(address)),
  };
}

/** Lists the calls by the macros that the kernel makes its table of. */
const CALL_LIST = `#include "syscall.h"
#define CALL(number, name) call number
FILE_SYSTEM_CALLS(CALL) NETWORK_SYSTEM_CALLS(CALL) PROCESS_SYSTEM_CALLS(CALL)
`;

/**
 * Numbers of the calls that the kernel has.
 * @param work directory for a file
 * @param defines -D options of the kernel
 */
export async function kernelCalls(work: string, defines: readonly string[]): Promise<Set<number>> {
  const source = join(work, "calls.c");
  writeFileSync(source, CALL_LIST);
  const args = ["-E", "-P", ...defines, "-I", join(kernelDirectory(), "include"), source];
  const text = await needTool("listing the kernel's system calls", "gcc", args);
  return new Set([...text.matchAll(/\bcall (\d+)/g)].map((match) => Number(match[1])));
}

/** Names by number, from the C library's header. */
function callNames(muslInclude: string): Map<number, string> {
  const text = readFileSync(join(muslInclude, "bits", "syscall.h"), "utf8");
  return new Map(
    [...text.matchAll(/#define\s+__NR_(\w+)\s+(\d+)/g)].map((match) => [Number(match[2]), match[1]!]),
  );
}

/**
 * The constant in RAX at the instruction `index`, or null: followed backwards through code that falls
 * through, over copies of registers.
 */
function constantRax(
  instructions: readonly Instruction[],
  index: number,
  targets: ReadonlySet<number>,
  rax: number,
) {
  let register = rax;
  for (let i = index - 1; i >= 0; i--) {
    if (targets.has(instructions[i + 1]!.address)) return null;
    const { flow, sets, changesRax, kind } = instructions[i]!;
    if ((flow !== "next" && flow !== "branch") || kind === "syscall") return null;
    if (sets?.register === register) {
      if (sets.constant !== null) return sets.constant;
      if (sets.copyOf === null) return null;
      register = sets.copyOf;
    } else if (changesRax && register === rax) return null;
  }
  return null;
}

/** A system call that the code makes with a constant number. */
export interface ConstantCall {
  readonly number: number;
  readonly address: number;
}

export async function constantCalls(
  code: readonly Code[],
  targets: ReadonlySet<number>,
): Promise<ConstantCall[]> {
  const { Register } = await import("iced-x86");
  return code.flatMap(({ instructions }) =>
    instructions.flatMap(({ kind, address }, index) => {
      if (kind !== "syscall") return [];
      const number = constantRax(instructions, index, targets, Register.RAX);
      return number === null ? [] : [{ number, address }];
    }),
  );
}

/** Those that the kernel lacks, each once: "mount (165) in do_mount"; of a stripped program "mount (165)". */
export function missingCalls(
  calls: readonly ConstantCall[],
  present: ReadonlySet<number>,
  muslInclude: string,
  functionAt: (address: number) => string | null,
): string[] {
  const names = callNames(muslInclude);
  const missing = new Map<number, string>();
  for (const { number, address } of calls) {
    if (present.has(number) || missing.has(number)) continue;
    const where = functionAt(address);
    missing.set(
      number,
      `${names.get(number) ?? "number"} (${number})${where === null ? "" : ` in ${where}`}`,
    );
  }
  return [...missing.entries()].sort(([a], [b]) => a - b).map(([, text]) => text);
}
