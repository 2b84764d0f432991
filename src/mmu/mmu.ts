/**
 * Memory management: what the processor, the decoder and emitted code ask of linear memory, for all
 * processors of the machine.
 *
 * Reading order: `physical-memory.ts` (what lies where), `paging.ts` and `page-walk.ts` (the manual's
 * chapter 4), `tlb.ts` (what is remembered of it, and for how long), `operand-access.ts` (the slow paths).
 */
import type { LinearMemory, Translation } from "../cpu/core.ts";
import type { ProcessorPort } from "../cpu/outside.ts";
import type { CpuState } from "../cpu/state.ts";
import { LinearAccess } from "./linear-memory.ts";
import { OperandAccess } from "./operand-access.ts";
import type { MmuStatistics } from "./operand-pieces.ts";
import type { MmuObserver } from "./page-walk.ts";
import { PagingMode, type PagingOptions } from "./paging.ts";
import { PAGE_HOST, type PhysicalMemory } from "./physical-memory.ts";
import { ProcessorTranslation } from "./processor-translation.ts";
import { type TlbGeometry, type TranslationCost, TranslationCosts } from "./translation-costs.ts";

export type { MmuObserver } from "./page-walk.ts";

/** Counters since power-on, summed over the processors. */
export interface MmuReport extends MmuStatistics {
  walks: number;
  /** Flushes of all translations or of an address space. */
  flushes: number;
  pageFlushes: number;
  /** Stores that overlapped decoded code. */
  codeWrites: number;
}

export class Mmu implements LinearMemory, Translation {
  readonly physical: PhysicalMemory;

  readonly #contexts: ProcessorTranslation[];
  readonly #operands: OperandAccess;
  readonly #linear: LinearAccess;
  readonly #port: ProcessorPort;
  #pageFlushes = 0;
  #translationCosts: TranslationCosts | null = null;
  readonly #words = new BigUint64Array(1);
  readonly #halves = new Int32Array(this.#words.buffer);

  constructor(
    physical: PhysicalMemory,
    port: ProcessorPort,
    cpus: readonly CpuState[],
    options: PagingOptions,
  ) {
    this.physical = physical;
    this.#port = port;
    const words = new Int32Array(physical.memory.buffer);
    this.#contexts = cpus.map((cpu) => new ProcessorTranslation(cpu, words, physical, options));
    this.#operands = new OperandAccess(physical, port, this.#contexts[0]);
    this.#linear = new LinearAccess(physical, this.#operands);
    for (const context of this.#contexts) {
      context.onFlush = (what, lo, hi) => {
        this.#translationCosts?.flushed(context, what, lo, hi);
        this.observer?.flush?.(context.cpu, what, lo, hi);
      };
    }
    physical.onMapChange = () => {
      for (const context of this.#contexts) context.flushAll();
    };
  }

  /**
   * With a timing model: charges for what a processor's TLBs would not have known. To be called once, before
   * anything executes.
   */
  timeTranslations(geometry: TlbGeometry, charge: (cost: TranslationCost) => void): void {
    const costs = new TranslationCosts(geometry, charge);
    this.#translationCosts = costs;
    this.#operands.onTranslation = (context, walker, lo, hi, fetch) => {
      if (context.controls.mode !== PagingMode.NONE) costs.translated(context, walker, lo, hi, fetch);
    };
  }

  /** The processor whose accesses `slowRead`, `slowWrite`, `commit` and the methods of LinearMemory make. */
  get current(): CpuState {
    return this.#operands.context.cpu;
  }
  set current(cpu: CpuState) {
    const context = this.#contexts[cpu.index];
    if (context === this.#operands.context) return;
    // A store whose instruction faulted before `commit` is the other processor's.
    if (this.#operands.pending !== 0) this.#operands.cancel();
    this.#operands.context = context;
  }

  /** Follows walks, faults and flushes. */
  get observer(): MmuObserver | null {
    return this.#operands.walker.observer;
  }
  set observer(observer: MmuObserver | null) {
    this.#operands.walker.observer = observer;
  }

  /**
   * An access that succeeded touched enabled data breakpoints: `hits` are bits B0-B3 of DR6. The debug
   * exception is a trap, to be delivered after the instruction unless that faults.
   */
  set onDataBreakpoint(hook: ((cpu: CpuState, hits: number) => void) | null) {
    this.#operands.onDataBreakpoint = hook;
  }

  /**
   * A store is about to overlap decoded bytes in the page with this physical page number: drop what was
   * decoded there, and call `clearCode`. Comes for stores of processors, DMA and loaders alike, before the
   * store.
   */
  set onCodeWrite(hook: ((page: number) => void) | null) {
    this.physical.code.onCodeWrite = hook;
  }

  get statistics(): MmuReport {
    return {
      ...this.#operands.statistics,
      walks: this.#operands.walker.walks,
      flushes: this.#contexts.reduce((sum, context) => sum + context.flushes, 0),
      pageFlushes: this.#pageFlushes,
      codeWrites: this.physical.code.writes,
    };
  }

  // ---- Slow paths of emitted code, see `operand-access.ts` -------------------------------------------------

  slowRead(record: number, lo: number, hi: number, operand: number): number {
    return this.#operands.slowRead(record, lo, hi, operand);
  }
  slowWrite(record: number, lo: number, hi: number, operand: number): number {
    return this.#operands.slowWrite(record, lo, hi, operand);
  }
  commit(): void {
    this.#operands.commit();
  }
  /** For the decoder: physical address of an instruction byte, or -1 and a fault in the processor's block. */
  translateExecute(cpu: CpuState, lo: number, hi: number): number {
    return this.#operands.translateExecute(this.#contexts[cpu.index], lo, hi);
  }

  // ---- LinearMemory ----------------------------------------------------------------------------------------

  read(address: bigint, size: 1 | 2 | 4, access?: number): number {
    return this.#linear.read(address, size, access);
  }
  read64(address: bigint, access?: number): bigint {
    return this.#linear.read64(address, access);
  }
  write(address: bigint, size: 1 | 2 | 4, value: number, access?: number): void {
    this.#linear.write(address, size, value, access);
  }
  write64(address: bigint, value: bigint, access?: number): void {
    this.#linear.write64(address, value, access);
  }
  readBytes(address: bigint, length: number, access?: number, alignment?: number): Uint8Array {
    return this.#linear.readBytes(address, length, access, alignment);
  }
  writeBytes(address: bigint, bytes: Uint8Array, access?: number, alignment?: number): void {
    this.#linear.writeBytes(address, bytes, access, alignment);
  }
  hostLine(address: bigint): number {
    return this.#linear.hostLine(address);
  }
  probeWrite(address: bigint, length: number, access?: number, alignment?: number): void {
    this.#linear.probeWrite(address, length, access, alignment);
  }

  // ---- Translation -----------------------------------------------------------------------------------------

  contextChanged(cpu: CpuState): void {
    this.#contexts[cpu.index].contextChanged();
  }
  addressSpaceChanged(cpu: CpuState, keep: boolean): void {
    this.#contexts[cpu.index].addressSpaceChanged(keep);
  }
  flushAll(cpu: CpuState): void {
    this.#contexts[cpu.index].flushAll();
  }
  flushPage(cpu: CpuState, address: bigint): void {
    this.#words[0] = address;
    const lo = this.#halves[0];
    const context = this.#contexts[cpu.index];
    const hi = context.controls.longMode ? this.#halves[1] : 0;
    this.#pageFlushes++;
    context.flushPage(lo, hi);
  }
  /** INVPCID type 1: drops all translations of one PCID. */
  flushPcid(cpu: CpuState, pcid: number): void {
    this.#contexts[cpu.index].flushPcid(pcid);
  }

  /**
   * PAE paging: loads the PDPTE registers from the table at `cr3` (its low 32 bits). To be called before
   * MOV to CR3, and before MOV to CR0 or CR4 that changes CD, NW, PG, PAE, PGE, PSE or SMEP, takes effect
   * with PAE paging in use. `false`, and nothing changed: reserved bits are set, #GP(0) (4.4.1).
   */
  loadPdptes(cpu: CpuState, cr3: number): boolean {
    return this.#contexts[cpu.index].loadPdptes(cr3);
  }
  /** The PDPTE registers, two halves each: state that a snapshot keeps and sets after `contextChanged`. */
  pdptes(cpu: CpuState): Int32Array {
    return this.#contexts[cpu.index].pdptes;
  }

  // ---- Pages -----------------------------------------------------------------------------------------------

  /** The local APIC's page of processor `index` answers at `base`, or nowhere: RAM there is hidden or shows. */
  localApicMoved(index: number, base: number | null): void {
    const context = this.#contexts[index];
    const page = base === null ? -1 : Math.floor(base / 4096);
    context.hiddenPage = page;
    context.flushAll();
  }

  /** Bytes at a physical address were decoded: stores to them will be reported by `onCodeWrite`. */
  markCode(address: number, length: number): void {
    for (let at = address; at < address + length; ) {
      const part = Math.min(4096 - (at % 4096), address + length - at);
      if (this.physical.code.markWithinPage(at, part)) {
        const hostPage = this.physical.entry(Math.floor(at / 4096)) & PAGE_HOST;
        for (const context of this.#contexts) context.tlb.dropWritesTo(hostPage);
      }
      at += part;
    }
  }
  /** Nothing decoded from the page with this physical page number is kept any more. */
  clearCode(page: number): void {
    this.physical.code.clear(page);
  }
  /** Host address of the page of RAM or ROM at a physical address, or 0 where the bus answers. */
  hostPage(address: number): number {
    return this.physical.hostAddress(address - (address % 4096));
  }
  /** A byte that the bus gives, for instructions fetched from there. */
  readDevice(address: number): number {
    return this.#port.readMmio(address, 1);
  }
  /** Enters a record under RIP and JUMP_KEY into a processor's jump cache. */
  cacheJump(cpu: CpuState, lo: number, hi: number, key: number, record: number): void {
    this.#contexts[cpu.index].jumps.store(lo, hi, key, record);
  }
  clearJumpCaches(): void {
    for (const context of this.#contexts) context.jumps.clear();
  }
}
