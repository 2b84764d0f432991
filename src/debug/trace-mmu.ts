/** `--trace mmu`: page walks with each entry read, page faults, flushes. TLB hits are not seen. */
import { Access } from "../cpu/core.ts";
import type { CpuState } from "../cpu/state.ts";
import type { MmuObserver } from "../mmu/mmu.ts";
import { hex } from "./hex.ts";
import type { LineStart, TraceSink } from "./trace.ts";

const ACCESS_NAMES: Readonly<Record<number, string>> = {
  [Access.READ]: "read",
  [Access.WRITE]: "write",
  [Access.EXECUTE]: "fetch",
};
const PAGE_SIZES: Readonly<Record<number, string>> = { 12: "4K", 21: "2M", 22: "4M", 30: "1G" };

function linear(lo: number, hi: number): string {
  return hex(hi >>> 0, 8) + hex(lo >>> 0, 8);
}

export class MmuTrace implements MmuObserver {
  readonly #sink: TraceSink;
  readonly #start: LineStart;
  /** Entries of the walk under way. */
  #steps = "";

  constructor(sink: TraceSink, start: LineStart) {
    this.#sink = sink;
    this.#start = start;
  }

  step(_cpu: CpuState, entry: string, address: number, low: number, high: number): void {
    this.#steps += ` ${entry}[${hex(address)}]=${hex(high, 8)}${hex(low, 8)}`;
  }

  translated(
    cpu: CpuState,
    lo: number,
    hi: number,
    access: number,
    physical: number,
    pageShift: number,
  ): void {
    this.#end(cpu, lo, hi, access, `-> ${hex(physical)} (${PAGE_SIZES[pageShift]})`);
  }

  pageFault(cpu: CpuState, lo: number, hi: number, access: number, error: number): void {
    this.#end(cpu, lo, hi, access, `-> #PF error ${hex(error)}h`);
  }

  flush(_cpu: CpuState, what: "all" | "address space" | "page", lo: number, hi: number): void {
    this.#sink(`${this.#start()}flush ${what === "page" ? `page ${linear(lo, hi)}` : what}`);
  }

  #end(cpu: CpuState, lo: number, hi: number, access: number, result: string): void {
    const what = ACCESS_NAMES[access & ~Access.SYSTEM] ?? "access";
    this.#sink(`${this.#start()}${what} ${linear(lo, hi)} CPL ${cpu.cpl}:${this.#steps} ${result}`);
    this.#steps = "";
  }
}
