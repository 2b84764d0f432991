/** Names of addresses for ring traces, and the side an address is on. */
import { MSR_LSTAR } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import type { ProgramCode } from "./program-code.ts";
import { addressSpace } from "./ring-frames.ts";
import type { Part, Sym, SymbolAt, SymbolTable } from "./symbols.ts";
import type { Peek } from "./system-call-text.ts";

/**
 * Who runs: a ring by its number. Where an application runs at ring 0 too, it is `0 app`; CPL cannot tell it from
 * the kernel, symbols can.
 */
export type Side = "3" | "2" | "1" | "0" | "0 app";
const RINGS: readonly Side[] = ["0", "1", "2", "3"];

/** As many bytes of code tell programs apart. */
const CODE_BYTES = 16;

/** What Linux's IA32_LSTAR points to, wherever it has moved itself. */
const LINUX_ENTRY = "entry_SYSCALL_64";

export class RingNames {
  readonly symbols: SymbolTable | null;
  /** Whether applications may run at ring 0: symbols say which of the kernel's code they would enter. */
  readonly hasApplication: boolean;
  /** How far a kernel has moved itself from its symbols (KASLR); null until that is known. */
  #slide: bigint | null = null;
  readonly #linuxEntry: Sym | undefined;
  #hasBegun = false;
  readonly #program: ProgramCode | null;
  /** Address spaces by whether the program was last seen in them. */
  readonly #spaces = new Map<bigint, boolean>();

  /** @param program the one that the image's symbols are of, where others may run at the same addresses */
  constructor(symbols: SymbolTable | null, program: ProgramCode | null = null) {
    this.symbols = symbols;
    this.#program = program;
    this.hasApplication = symbols?.has("entry") ?? false;
    this.#linuxEntry = symbols?.byName(LINUX_ENTRY);
    if (this.#linuxEntry === undefined) this.#slide = 0n;
  }

  /** Looks whether the kernel has said by now where it is. */
  look(cpu: CpuState): void {
    if (this.#slide !== null) return;
    const entry = cpu.u64(MSR_LSTAR);
    if (entry !== 0n) this.#slide = entry - this.#linuxEntry!.address;
  }

  find(address: bigint): SymbolAt | null {
    if (this.symbols === null) return null;
    const isKernels = BigInt.asIntN(64, address) < 0n;
    return this.symbols.find(isKernels && this.#slide ? address - this.#slide : address);
  }

  /** The symbol at an address that the processor comes to or from: null for code of other programs. */
  at(cpu: CpuState, address: bigint, peek: Peek): SymbolAt | null {
    const found = this.find(address);
    if (found === null || this.#program === null || !isUsers(address) || isKernelPart(found.symbol.part)) {
      return found;
    }
    const space = addressSpace(cpu);
    const bytes = peek(address, CODE_BYTES);
    // Not mapped yet: code that is about to be fetched for the first time. The first program is the image's.
    const isProgram =
      bytes.length === 0
        ? (this.#spaces.get(space) ?? this.#spaces.size === 0)
        : this.#program.matches(address, bytes);
    this.#spaces.set(space, isProgram);
    return isProgram ? found : null;
  }

  side(cpl: number, address: bigint): Side {
    if (cpl !== 0 || !this.hasApplication) return RINGS[cpl]!;
    const part = this.find(address)?.symbol.part;
    if (part === undefined) return this.#hasBegun && isUsers(address) ? "0 app" : "0";
    return isKernelPart(part) ? "0" : "0 app";
  }

  /**
   * Code without names in the lower half is a program's, of which the image has no symbols, or zpoline's page 0.
   * But not before programs run: boot code lies there too. The kernel's code, which has names, begins them.
   */
  transfer(cpl: number, from: bigint, to: bigint): void {
    if (this.#hasBegun || cpl !== 0 || !this.hasApplication || !isUsers(to)) return;
    const target = this.find(to);
    const source = this.find(from);
    const isPrograms = target === null || !isKernelPart(target.symbol.part);
    this.#hasBegun = isPrograms && source !== null && isKernelPart(source.symbol.part);
  }
}

const isUsers = (address: bigint): boolean => BigInt.asIntN(64, address) >= 0n;

function isKernelPart(part: Part): boolean {
  return part !== "app" && part !== "lib" && part !== "stub";
}
