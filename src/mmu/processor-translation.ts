/**
 * One processor's translation state: paging controls, TLBs, jump cache, the keys that say which entries are
 * valid, and what hides or watches pages from this processor alone.
 */
import {
  CODE_BASE,
  CPL,
  CR3,
  FLAGS_SYSTEM,
  JUMP_KEY,
  JUMP_KEY_USER,
  MODE,
  PKRU,
  TLB_KEY,
} from "../cpu/layout.ts";
import { Cr0, Flag } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import { DataBreakpoints } from "./breakpoints.ts";
import { JumpCache } from "./jump-cache.ts";
import { loadPdptes } from "./page-walk.ts";
import { Context, PagingControls, PagingMode, type PagingOptions } from "./paging.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { KEY_CONTEXT, KEY_GENERATION_SHIFT, Tlb } from "./tlb.ts";

/**
 * JUMP_KEY: MODE in bits 0-5, CPL = 3 in bit 6, the generation in bits 7-16, and in bits 17-31 a number for
 * the base of the code segment, since a jump cache is asked by RIP and not by linear address. Base 0 is
 * number 0.
 */
const JUMP_KEY_MODE = JUMP_KEY_USER - 1;
const JUMP_KEY_GENERATION_SHIFT = 7;
const JUMP_KEY_BASE_SHIFT = 17;
const CODE_BASES = 1 << 15;

const PCID_MASK = 0xfff;

export class ProcessorTranslation {
  readonly cpu: CpuState;
  readonly tlb: Tlb;
  readonly jumps: JumpCache;
  readonly controls: PagingControls;
  readonly breakpoints = new DataBreakpoints();
  /** The four PDPTE registers of PAE paging, two halves each. */
  readonly pdptes = new Int32Array(8);
  /** Page number of the local APIC's page, where the bus answers even if RAM lies there; -1 if there is none. */
  hiddenPage = -1;
  /** `Context` of implicit supervisor accesses: RFLAGS.AC does not lift SMAP for them. */
  systemContext: number = Context.SUPERVISOR;
  /** Flushes of all translations or of an address space. */
  flushes = 0;

  onFlush: ((what: "all" | "address space" | "page", lo: number, hi: number) => void) | null = null;

  readonly #physical: PhysicalMemory;
  #pkru = 0;
  /** Bits of PKRU that present translations depend on. */
  #pkruUsed = 0;
  #codeBase = 0;
  #codeBaseNumber = 0;
  readonly #codeBases = new Map<number, number>();

  /** `words` is the whole WebAssembly memory. */
  constructor(cpu: CpuState, words: Int32Array, physical: PhysicalMemory, options: PagingOptions) {
    this.cpu = cpu;
    this.#physical = physical;
    this.tlb = new Tlb(words, cpu.block);
    this.jumps = new JumpCache(words, cpu.block);
    this.jumps.clear();
    this.tlb.onExhausted = () => this.jumps.clear();
    this.controls = new PagingControls(options);
    this.contextChanged();
  }

  /** Page-index entry of a physical page as this processor sees it; 0 where the bus answers. */
  pageEntry(page: number): number {
    return page === this.hiddenPage ? 0 : this.#physical.entry(page);
  }

  /** A user-mode address with this protection key is about to enter a TLB. */
  dependsOnKey(key: number): void {
    this.#pkruUsed |= 3 << (key * 2);
  }

  /** CPL, MODE, the code segment, CR0, CR4, EFER, RFLAGS.AC, PKRU or a debug register changed. */
  contextChanged(): void {
    if (this.#update()) this.#drop();
    this.#publish();
  }

  /** Reads the registers; `true` if translations made before may be wrong now. */
  #update(): boolean {
    const { cpu, controls } = this;
    let stale = false;
    if (controls.update(cpu)) {
      stale = true;
      this.systemContext = controls.smap ? Context.SUPERVISOR_SMAP : Context.SUPERVISOR;
      if (controls.mode === PagingMode.PAE) this.#reloadPdptes();
    }
    if (controls.protectionKeys) {
      const pkru = cpu.i32(PKRU);
      if (((pkru ^ this.#pkru) & this.#pkruUsed) !== 0) stale = true;
      this.#pkru = pkru;
    }
    if (this.breakpoints.update(cpu, controls.longMode)) stale = true;
    return stale;
  }

  /** CR3 was written. */
  addressSpaceChanged(keep: boolean): void {
    this.#flushed("address space");
    const { tlb, controls } = this;
    if (controls.mode === PagingMode.PAE) this.#reloadPdptes();
    if (controls.pcids) {
      if (keep) tlb.resumeGeneration(this.#pcid());
      else tlb.newGeneration(this.#pcid());
    } else if (controls.globalPages) tlb.newGenerationKeepingGlobal(0);
    else tlb.newGeneration(0);
    this.#publish();
  }

  /** Drops all translations, global ones too; a register may have changed just before. */
  flushAll(): void {
    this.#update();
    this.#drop();
    this.#publish();
  }

  #drop(): void {
    this.#flushed("all");
    this.#pkruUsed = 0;
    this.tlb.flushAll(this.#pcid());
  }

  /** INVPCID type 1: drops the translations of one PCID. */
  flushPcid(pcid: number): void {
    this.#flushed("address space");
    this.tlb.forget(pcid, this.#pcid());
    this.#publish();
  }

  /** INVLPG: the page in every context, and what the jump cache knows of it. */
  flushPage(lo: number, hi: number): void {
    this.onFlush?.("page", lo, hi);
    if (this.tlb.dropPage(lo, hi) || this.#codeBases.size > 0) this.jumps.clear();
    else this.jumps.dropPage(lo);
  }

  /** Loads the PDPTE registers from the table at `cr3`; `false`: reserved bits, and nothing changed. */
  loadPdptes(cr3: number): boolean {
    return loadPdptes(this.#physical, this.controls, cr3, this.pdptes);
  }

  #flushed(what: "all" | "address space"): void {
    this.flushes++;
    this.onFlush?.(what, 0, 0);
  }

  /** Reserved bits were checked by the instruction, which calls `loadPdptes` first. */
  #reloadPdptes(): void {
    this.loadPdptes(this.cpu.i32(CR3));
  }

  #pcid(): number {
    return this.controls.pcids ? this.cpu.i32(CR3) & PCID_MASK : 0;
  }

  /** Writes TLB_KEY and JUMP_KEY. */
  #publish(): void {
    const { cpu, controls } = this;
    const user = cpu.i32(CPL) === 3;
    const ac = (cpu.i32(FLAGS_SYSTEM) & Flag.AC) !== 0;
    let context: number;
    if (user) context = ac && (cpu.cr0 & Cr0.AM) !== 0 ? Context.USER_ALIGNMENT_CHECK : Context.USER;
    else context = controls.smap && !ac ? Context.SUPERVISOR_SMAP : Context.SUPERVISOR;
    const generation = this.tlb.generation;
    cpu.setI32(TLB_KEY, (generation << KEY_GENERATION_SHIFT) | (context & KEY_CONTEXT));
    cpu.setI32(TLB_KEY + 4, 0);

    const mode = cpu.i32(MODE);
    const base = cpu.i32(CODE_BASE);
    if (base !== this.#codeBase) {
      this.#codeBase = base;
      this.#codeBaseNumber = this.#numberOfCodeBase(base);
    }
    const key =
      (mode & JUMP_KEY_MODE) |
      (user ? JUMP_KEY_USER : 0) |
      (generation << JUMP_KEY_GENERATION_SHIFT) |
      (this.#codeBaseNumber << JUMP_KEY_BASE_SHIFT);
    cpu.setI32(JUMP_KEY, key);
  }

  #numberOfCodeBase(base: number): number {
    if (base === 0) return 0;
    const known = this.#codeBases.get(base);
    if (known !== undefined) return known;
    if (this.#codeBases.size === CODE_BASES - 1) {
      this.#codeBases.clear();
      this.jumps.clear();
    }
    const number = this.#codeBases.size + 1;
    this.#codeBases.set(base, number);
    return number;
  }
}
