/** How an address is mapped, as a TLB would remember it. Reads the paging structures and changes nothing. */
import { CR3 } from "../cpu/layout.ts";
import { Cr0, Cr4 } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Mmu } from "../mmu/mmu.ts";
import type { Mapping } from "./tlb-model.ts";

const PRESENT = 1n;
const PAGE_SIZE = 1n << 7n;
const GLOBAL = 1n << 8n;
/** Bits 51:12 of an entry. */
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** SDM vol. 3A 4.5: 4-level and 5-level paging. Null where nothing is mapped, or paging is off. */
export function mappingOf(mmu: Mmu, cpu: CpuState, linear: bigint): Mapping | null {
  const { cr0, cr4 } = cpu;
  if (!(cr0 & Cr0.PG)) return null;
  let table = cpu.u64(CR3) & ADDRESS;
  for (let level = cr4 & Cr4.LA57 ? 5 : 4; ; level--) {
    const shift = 12 + 9 * (level - 1);
    const entry = mmu.physical.read64(Number(table) + Number((linear >> BigInt(shift)) & 0x1ffn) * 8);
    if (!(entry & PRESENT)) return null;
    if (level === 1 || (level <= 3 && entry & PAGE_SIZE)) {
      return { shift, global: (cr4 & Cr4.PGE) !== 0 && (entry & GLOBAL) !== 0n };
    }
    table = entry & ADDRESS;
  }
}
