/** What the control registers say about translation (SDM vol. 3A 4.1), worked out once per change. */
import { CR0, CR4, EFER } from "../cpu/layout.ts";
import { Cr0, Cr4, Efer } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";

/** Paging modes, SDM vol. 3A 4.1.1 and table 4-1. */
export const PagingMode = {
  /** CR0.PG = 0: linear addresses are physical addresses. */
  NONE: 0,
  /** 32-bit paging: CR4.PAE = 0. */
  BITS_32: 1,
  PAE: 2,
  LEVEL_4: 3,
  LEVEL_5: 4,
} as const;

/**
 * Who accesses, as far as permissions go. It is part of every TLB tag, so that translations for different
 * contexts may lie in a TLB together.
 */
export const Context = {
  /** CPL < 3, user-mode addresses accessible: CR4.SMAP = 0, or explicit with RFLAGS.AC = 1. */
  SUPERVISOR: 0,
  /** CPL = 3. */
  USER: 1,
  /** CPL < 3 with SMAP in force. */
  SUPERVISOR_SMAP: 2,
  /** CPL = 3 with CR0.AM = RFLAGS.AC = 1. No entry ever has it, so that every access is seen. */
  USER_ALIGNMENT_CHECK: 3,
} as const;

export interface PagingOptions {
  /** MAXPHYADDR, CPUID.80000008H:EAX[7:0]: 36 to 52. */
  readonly physicalAddressBits: number;
  /** 1-GByte pages, CPUID.80000001H:EDX.Page1GB [bit 26]; without them the PS bit of a PDPTE is reserved. */
  readonly gigabytePages?: boolean;
}

const CR0_BITS = Cr0.PG | Cr0.WP;
const CR4_BITS = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.LA57 | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP | Cr4.PKE;
const EFER_BITS = Efer.LMA | Efer.NXE;

/** Bit 63 of an entry in its high half: XD. */
export const XD = 0x8000_0000 | 0;

export class PagingControls {
  readonly options: PagingOptions;
  mode: number = PagingMode.NONE;
  /** IA32_EFER.LMA */
  longMode = false;
  writeProtect = false;
  noExecute = false;
  smep = false;
  smap = false;
  pageSizeExtensions = false;
  globalPages = false;
  pcids = false;
  /** Protection keys apply: CR4.PKE in 4-level or 5-level paging. */
  protectionKeys = false;
  /** Error-code bit I/D is in use (SDM vol. 3A 4.7). */
  reportsFetch = false;
  /** Shift of a linear address's high half that leaves only copies of its sign; 31 outside IA-32e mode. */
  canonicalShift = 31;
  /** Bits of an entry's high half that are reserved, and those that belong to a physical address. */
  reservedHigh = 0;
  readonly addressHigh: number;
  /** Bits of a 4-MByte PDE that are reserved, SDM vol. 3A table 4-4: 21 down to M - 19. */
  readonly reserved4M: number;

  #cr0 = 0;
  #cr4 = 0;
  #efer = 0;
  readonly #beyondMaxphyaddr: number;

  constructor(options: PagingOptions) {
    const bits = options.physicalAddressBits;
    if (bits < 36 || bits > 52) throw new RangeError(`MAXPHYADDR ${bits} is not within 36 to 52`);
    this.options = options;
    this.addressHigh = 2 ** (bits - 32) - 1;
    this.#beyondMaxphyaddr = 0xf_ffff & ~this.addressHigh;
    // PSE-36 reaches 40 bits at most: M = min(40, MAXPHYADDR), table 4-4's note.
    const m = Math.min(40, bits);
    this.reserved4M = (2 ** 22 - 1) & ~(2 ** (m - 19) - 1);
  }

  /** Reads the registers; `true` if anything changed that a cached translation depends on. */
  update(cpu: CpuState): boolean {
    const cr0 = cpu.i32(CR0) & CR0_BITS;
    const cr4 = cpu.i32(CR4) & CR4_BITS;
    const efer = cpu.i32(EFER) & EFER_BITS;
    if (cr0 === this.#cr0 && cr4 === this.#cr4 && efer === this.#efer) return false;
    this.#cr0 = cr0;
    this.#cr4 = cr4;
    this.#efer = efer;
    this.#derive(cr0, cr4, efer);
    return true;
  }

  #derive(cr0: number, cr4: number, efer: number): void {
    const pae = (cr4 & Cr4.PAE) !== 0;
    this.longMode = (efer & Efer.LMA) !== 0;
    if ((cr0 & Cr0.PG) === 0) this.mode = PagingMode.NONE;
    else if (!pae) this.mode = PagingMode.BITS_32;
    else if (!this.longMode) this.mode = PagingMode.PAE;
    else this.mode = (cr4 & Cr4.LA57) !== 0 ? PagingMode.LEVEL_5 : PagingMode.LEVEL_4;

    this.writeProtect = (cr0 & Cr0.WP) !== 0;
    this.noExecute = (efer & Efer.NXE) !== 0;
    this.smep = (cr4 & Cr4.SMEP) !== 0;
    this.smap = (cr4 & Cr4.SMAP) !== 0;
    this.pageSizeExtensions = (cr4 & Cr4.PSE) !== 0;
    this.globalPages = (cr4 & Cr4.PGE) !== 0;
    this.pcids = (cr4 & Cr4.PCIDE) !== 0 && this.longMode;
    this.protectionKeys = (cr4 & Cr4.PKE) !== 0 && this.longMode;
    this.reportsFetch = this.smep || (pae && this.noExecute);
    this.canonicalShift = !this.longMode ? 31 : this.mode === PagingMode.LEVEL_5 ? 24 : 15;
    // PAE reserves bits 62:M (tables 4-8 to 4-11), IA-32e paging 51:M (tables 4-14 to 4-20); bit 63 is
    // reserved in both while IA32_EFER.NXE = 0.
    this.reservedHigh = this.#beyondMaxphyaddr;
    if (this.mode === PagingMode.PAE) this.reservedHigh |= 0x7ff0_0000;
    if (!this.noExecute) this.reservedHigh |= XD;
  }
}
