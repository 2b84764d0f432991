/** Names of addresses for ring traces, and the side an address is on. */
import { MSR_LSTAR } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import { hex } from "./hex.ts";
import type { Sym, SymbolAt, SymbolTable } from "./symbols.ts";
import { symbolText } from "./symbols.ts";

/**
 * Who runs: a ring by its number. Where an application runs at ring 0 too, it is `0 app`; CPL cannot tell it from
 * the kernel, symbols can.
 */
export type Side = "3" | "2" | "1" | "0" | "0 app";
const RINGS: readonly Side[] = ["0", "1", "2", "3"];

/** What Linux's IA32_LSTAR points to, wherever it has moved itself. */
const LINUX_ENTRY = "entry_SYSCALL_64";

export class RingNames {
  readonly symbols: SymbolTable | null;
  /** Whether applications run at ring 0: the image says so by what its symbols belong to. */
  readonly hasApplication: boolean;
  /** How far a kernel has moved itself from its symbols (KASLR); null until that is known. */
  #slide: bigint | null = null;
  readonly #linuxEntry: Sym | undefined;

  constructor(symbols: SymbolTable | null) {
    this.symbols = symbols;
    const hasProgram =
      symbols !== null && (["app", "lib", "stub"] as const).some((part) => symbols.has(part));
    this.hasApplication = hasProgram && symbols.has("entry");
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

  /** "name+0x1c", or the address. */
  text(address: bigint): string {
    const found = this.find(address);
    return found === null ? `0x${hex(address)}` : symbolText(found);
  }

  /** "name+0x1c", or null. */
  name(address: bigint): string | null {
    const found = this.find(address);
    return found && symbolText(found);
  }

  side(cpl: number, address: bigint): Side {
    if (cpl !== 0 || !this.hasApplication) return RINGS[cpl]!;
    const part = this.find(address)?.symbol.part;
    if (part === "app" || part === "lib" || part === "stub") return "0 app";
    // Code of unmodified programs, which the image's symbols need not name, and zpoline's page 0.
    return part === undefined && BigInt.asIntN(64, address) >= 0n ? "0 app" : "0";
  }
}
