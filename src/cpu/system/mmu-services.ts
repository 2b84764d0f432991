/** What the system instructions ask of the MMU beyond `Translation`. */
import type { Core, Translation } from "../core.ts";
import type { CpuState } from "../state.ts";

export interface MmuServices extends Translation {
  /**
   * Loads the PDPTE registers of PAE paging from the table at `cr3`; `false`, and nothing changed, if a
   * present entry has reserved bits set (SDM vol. 3A 4.4.1).
   */
  loadPdptes(cpu: CpuState, cr3: number): boolean;
  /** INVPCID type 1: drops the translations of one PCID, but for global ones. */
  flushPcid(cpu: CpuState, pcid: number): void;
}

export function mmuServices(core: Core): MmuServices {
  return core.translation as MmuServices;
}
