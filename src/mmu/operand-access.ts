/**
 * The slow paths of memory operands: everything that a hit in a TLB does not settle. A page walk and the
 * refill of the TLB, operands that cross a page, MMIO, ROM, pages that bear code or a data breakpoint,
 * alignment checks.
 *
 * Emitted code gets a host address at which the whole operand lies: in RAM, or in SCRATCH, where operands
 * that are not in one piece of RAM are assembled and from where `commit` writes them through. Faults are
 * values (0), never exceptions, and nothing here allocates: a booting kernel comes here ten million times.
 */
import { Access } from "../cpu/core.ts";
import { R_FLAGS, RecordFlag } from "../cpu/decode/record.ts";
import { Vector } from "../cpu/fault.ts";
import {
  CR2,
  CURRENT_RECORD,
  FAULT_ERROR,
  FAULT_VECTOR,
  MODE,
  SCRATCH,
  SCRATCH_PENDING,
  Segment,
  TLB_EXECUTE,
  TLB_KEY,
  TLB_READ,
  TLB_WRITE,
} from "../cpu/layout.ts";
import { Mode } from "../cpu/modes.ts";
import type { ProcessorPort } from "../cpu/outside.ts";
import type { CpuState } from "../cpu/state.ts";
import { type MmuStatistics, Piece, PieceAccess } from "./operand-pieces.ts";
import { PageWalker } from "./page-walk.ts";
import { Context } from "./paging.ts";
import { PAGE_CODE, PAGE_HOST, PAGE_ROM, type PhysicalMemory } from "./physical-memory.ts";
import type { ProcessorTranslation } from "./processor-translation.ts";
import { KEY_CONTEXT } from "./tlb.ts";

/** The last argument of `slowRead` and `slowWrite`: the operand's size in bytes (1 to 64) and these bits. */
export const Operand = {
  SIZE: 0xff,
  /** A stack access: a non-canonical address is #SS(0), as it is when the segment is SS. */
  STACK: 0x100,
  /** A store that depends on the old contents: they are put into SCRATCH if the operand lies there. */
  READ_MODIFY_WRITE: 0x200,
} as const;

const PAGE = 0x1000;
const OFFSET = 0xfff;

export class OperandAccess {
  readonly walker: PageWalker;
  readonly statistics: MmuStatistics = {
    readMisses: 0,
    writeMisses: 0,
    executeMisses: 0,
    pageFaults: 0,
    crossings: 0,
    mmioReads: 0,
    mmioWrites: 0,
  };
  /** The processor whose accesses these are. */
  context: ProcessorTranslation;
  /** The fault of the last access that failed; CR2 is set already. */
  faultVector = 0;
  faultError = 0;
  /** Parts of SCRATCH that wait for `commit`. */
  pending = 0;
  /** An access touched enabled data breakpoints: their bits in DR6. */
  onDataBreakpoint: ((cpu: CpuState, hits: number) => void) | null = null;
  /** A translation was looked up in the paging structures: with a timing model, what that costs. */
  onTranslation:
    | ((context: ProcessorTranslation, walker: PageWalker, lo: number, hi: number, fetch: boolean) => void)
    | null = null;

  readonly #physical: PhysicalMemory;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #pieces: PieceAccess;
  readonly #first = new Piece();
  readonly #second = new Piece();

  constructor(physical: PhysicalMemory, port: ProcessorPort, context: ProcessorTranslation) {
    this.#physical = physical;
    this.#pieces = new PieceAccess(physical.memory, port, this.statistics);
    this.context = context;
    this.walker = new PageWalker(physical);
    this.#words = new Int32Array(physical.memory.buffer);
    this.#bytes = new Uint8Array(physical.memory.buffer);
  }

  // ---- Called by emitted code -------------------------------------------------------------------------

  /** Gives the host address of the operand at (`lo`, `hi`), or 0: FAULT_VECTOR and FAULT_ERROR are set. */
  slowRead(record: number, lo: number, hi: number, operand: number): number {
    const words = this.#words;
    const block = this.context.cpu.block >> 2;
    // Devices may ask for the time, which is exact only with the instruction known.
    words[block + (CURRENT_RECORD >> 2)] = record;
    const wrap = (words[block + (MODE >> 2)] & Mode.SIZE) !== Mode.CODE_64;
    const key = words[block + (TLB_KEY >> 2)];
    const host = this.read(lo, wrap ? 0 : hi, operand & Operand.SIZE, key, wrap);
    if (host === 0) this.#publishFault(record, operand);
    return host;
  }

  /**
   * As `slowRead`, for a store or a read-modify-write. If the address is in SCRATCH, SCRATCH_PENDING is set
   * and `commit` must follow the store.
   */
  slowWrite(record: number, lo: number, hi: number, operand: number): number {
    const words = this.#words;
    const block = this.context.cpu.block >> 2;
    words[block + (CURRENT_RECORD >> 2)] = record;
    const wrap = (words[block + (MODE >> 2)] & Mode.SIZE) !== Mode.CODE_64;
    const key = words[block + (TLB_KEY >> 2)];
    const update = (operand & Operand.READ_MODIFY_WRITE) !== 0;
    const host = this.write(lo, wrap ? 0 : hi, operand & Operand.SIZE, key, wrap, update);
    if (host === 0) this.#publishFault(record, operand);
    return host;
  }

  /** Writes SCRATCH through to where the operand of the last `slowWrite` lies. */
  commit(): void {
    const parts = this.pending;
    const scratch = this.#scratch();
    this.#setPending(0);
    if (parts > 0) this.#pieces.store(this.#first, scratch);
    if (parts > 1) this.#pieces.store(this.#second, scratch + this.#first.length);
  }

  /**
   * Physical address of the instruction byte at linear address (`lo`, `hi`), or -1: FAULT_VECTOR and
   * FAULT_ERROR are set. The execute TLB holds what was translated.
   */
  translateExecute(context: ProcessorTranslation, lo: number, hi: number): number {
    const words = this.#words;
    const block = context.cpu.block >> 2;
    if ((words[block + (MODE >> 2)] & Mode.SIZE) !== Mode.CODE_64) hi = 0;
    // Both contexts of CPL 3 are odd. SMAP does not bear on fetches.
    const key = words[block + (TLB_KEY >> 2)];
    const fetcher = (key & 1) !== 0 ? Context.USER : Context.SUPERVISOR;
    const fetchKey = (key & ~KEY_CONTEXT) | fetcher;
    const known = context.tlb.lookupExecute(lo, hi, fetchKey);
    if (known >= 0) return known * PAGE + (lo & OFFSET);

    this.statistics.executeMisses++;
    const walker = this.walker;
    if (!this.#translate(context, lo, hi, Access.EXECUTE, fetcher)) {
      const cpu = context.cpu;
      cpu.setI32(FAULT_VECTOR, this.faultVector);
      cpu.setI32(FAULT_ERROR, this.faultError);
      return -1;
    }
    if (walker.page <= 0xffff_ffff) {
      context.tlb.fill(TLB_EXECUTE, lo, hi, fetchKey, walker.page | 0, walker.pageShift, walker.global);
    }
    return walker.page * PAGE + (lo & OFFSET);
  }

  // ---- Shared with the TypeScript helpers ---------------------------------------------------------------

  /**
   * Host address from which `size` bytes can be loaded, or 0: `faultVector` and `faultError` say why. `key` is
   * the TLB key of the access; `wrap`: linear addresses have 32 bits.
   */
  read(lo: number, hi: number, size: number, key: number, wrap: boolean): number {
    if (this.#isRefused(lo, hi, size, alignmentOf(size), key, wrap)) return 0;
    const first = this.#first;
    const across = (lo & OFFSET) + size - PAGE;
    if (across <= 0) {
      this.statistics.readMisses++;
      if (!this.#locate(first, lo, hi, size, Access.READ, key)) return 0;
    } else if (!this.#locateBoth(lo, hi, size, across, Access.READ, key, wrap)) return 0;
    const context = this.context;
    if (context.breakpoints.count !== 0) this.#watch(lo, hi, size, false);
    if (across <= 0 && first.host !== 0) return first.host;

    const scratch = this.#scratch();
    this.#pieces.load(first, scratch);
    if (across > 0) this.#pieces.load(this.#second, scratch + first.length);
    return scratch;
  }

  /** As `read`; `update`: the old contents are wanted. After the store, `commit` must follow if `pending`. */
  write(lo: number, hi: number, size: number, key: number, wrap: boolean, update: boolean): number {
    if (this.pending !== 0) this.cancel();
    if (this.#isRefused(lo, hi, size, alignmentOf(size), key, wrap)) return 0;
    const first = this.#first;
    const across = (lo & OFFSET) + size - PAGE;
    if (across <= 0) {
      this.statistics.writeMisses++;
      if (!this.#locate(first, lo, hi, size, Access.WRITE, key)) return 0;
    } else if (!this.#locateBoth(lo, hi, size, across, Access.WRITE, key, wrap)) return 0;
    const context = this.context;
    if (context.breakpoints.count !== 0) this.#watch(lo, hi, size, true);
    if (across <= 0 && first.host !== 0 && first.writable) return first.host;

    const scratch = this.#scratch();
    if (update) {
      this.#pieces.load(first, scratch);
      if (across > 0) this.#pieces.load(this.#second, scratch + first.length);
    }
    this.#setPending(across > 0 ? 2 : 1);
    return scratch;
  }

  /**
   * Reads or writes `bytes` (at most a page) at (`lo`, `hi`), checking all before anything changes. `false`:
   * a fault, as with `read`. `alignment`: what the operand must be aligned to where alignment is checked.
   */
  transfer(
    bytes: Uint8Array,
    lo: number,
    hi: number,
    access: number,
    key: number,
    wrap: boolean,
    alignment: number,
  ): boolean {
    const size = bytes.length;
    if (this.#isRefused(lo, hi, size, alignment, key, wrap)) return false;
    const across = (lo & OFFSET) + size - PAGE;
    const first = this.#first;
    const second = this.#second;
    if (across <= 0) {
      if (!this.#locate(first, lo, hi, size, access, key)) return false;
    } else if (!this.#locateBoth(lo, hi, size, across, access, key, wrap)) return false;
    if (this.context.breakpoints.count !== 0) this.#watch(lo, hi, size, access === Access.WRITE);
    this.#pieces.transfer(first, bytes.subarray(0, first.length), access, this.#scratch());
    if (across > 0) this.#pieces.transfer(second, bytes.subarray(first.length), access, this.#scratch());
    return true;
  }

  /** Whether `transfer` could store `size` bytes (at most a page); `false`: a fault, as with `read`. */
  probe(lo: number, hi: number, size: number, key: number, wrap: boolean, alignment: number): boolean {
    if (this.#isRefused(lo, hi, size, alignment, key, wrap)) return false;
    const across = (lo & OFFSET) + size - PAGE;
    if (across <= 0) return this.#locate(this.#first, lo, hi, 0, Access.WRITE, key);
    return this.#locateBoth(lo, hi, size, across, Access.WRITE, key, wrap);
  }

  /** Forgets a store that its instruction gave up (it faulted) before `commit`. */
  cancel(): void {
    this.#setPending(0);
  }

  // ---- One page -----------------------------------------------------------------------------------------

  /** Canonicality and the page walk; the result is in `walker`, or `faultVector` says why not. */
  #translate(context: ProcessorTranslation, lo: number, hi: number, access: number, who: number): boolean {
    const { cpu, controls } = context;
    if (!isCanonical(hi, controls.canonicalShift)) return this.#notCanonical();
    if (this.walker.walk(cpu, controls, context.pdptes, lo, hi, access, who)) {
      this.onTranslation?.(context, this.walker, lo, hi, access === Access.EXECUTE);
      return true;
    }
    this.statistics.pageFaults++;
    this.faultVector = Vector.PF;
    this.faultError = this.walker.error;
    cpu.setI32(CR2, lo);
    cpu.setI32(CR2 + 4, hi);
    return false;
  }

  /** Finds the page of (`lo`, `hi`) and fills the TLBs; `length` bytes from there are about to be accessed. */
  #locate(part: Piece, lo: number, hi: number, length: number, access: number, key: number): boolean {
    const context = this.context;
    const walker = this.walker;
    const kind = key & KEY_CONTEXT;
    const who = kind === Context.USER_ALIGNMENT_CHECK ? Context.USER : kind;
    if (!this.#translate(context, lo, hi, access, who)) return false;
    part.length = length;
    const page = walker.page;
    let entry = context.pageEntry(page);
    if (entry === 0) {
      part.host = 0;
      part.address = page * PAGE + (lo & OFFSET);
      return true;
    }
    if (access === Access.WRITE && (entry & PAGE_CODE) !== 0) {
      this.#physical.code.beforeWrite(page, lo & OFFSET, length);
      entry = context.pageEntry(page);
    }
    const host = (entry & PAGE_HOST) << 12;
    part.host = host | (lo & OFFSET);
    part.writable = (entry & PAGE_ROM) === 0;
    if (kind === Context.USER_ALIGNMENT_CHECK) return true;
    if (context.breakpoints.count !== 0 && context.breakpoints.inPage(lo, hi)) return true;

    if (walker.key >= 0) context.dependsOnKey(walker.key);
    const addend = (host - (lo & ~OFFSET)) | 0;
    if (access === Access.WRITE && (entry & (PAGE_CODE | PAGE_ROM)) === 0) {
      context.tlb.fill(TLB_WRITE, lo, hi, key, addend, walker.pageShift, walker.global);
    }
    // A page that may be written may be read (4.6), and what is written is read soon.
    context.tlb.fill(TLB_READ, lo, hi, key, addend, walker.pageShift, walker.global);
    return true;
  }

  /** Finds both pages of an operand that reaches `across` bytes into the second. */
  #locateBoth(
    lo: number,
    hi: number,
    size: number,
    across: number,
    access: number,
    key: number,
    wrap: boolean,
  ): boolean {
    this.statistics.crossings++;
    const nextLo = ((lo | OFFSET) + 1) | 0;
    const nextHi = nextLo === 0 && !wrap ? (hi + 1) | 0 : hi;
    return (
      this.#find(this.#first, lo, hi, size - across, access, key) &&
      this.#find(this.#second, nextLo, nextHi, across, access, key)
    );
  }

  /** As `#locate`, but asks the TLB first. */
  #find(part: Piece, lo: number, hi: number, length: number, access: number, key: number): boolean {
    const array = access === Access.WRITE ? TLB_WRITE : TLB_READ;
    const addend = this.context.tlb.lookup(array, lo, hi, key);
    if (addend === 0) return this.#locate(part, lo, hi, length, access, key);
    part.host = (lo + addend) | 0;
    part.writable = true;
    part.length = length;
    return true;
  }

  // ---- SCRATCH -------------------------------------------------------------------------------------

  #scratch(): number {
    return this.context.cpu.block + SCRATCH;
  }

  #setPending(parts: number): void {
    this.pending = parts;
    this.context.cpu.setI32(SCRATCH_PENDING, parts);
  }

  // ---- Faults and traps -------------------------------------------------------------------------------------

  #watch(lo: number, hi: number, size: number, write: boolean): void {
    const hits = this.context.breakpoints.hits(lo, hi, size, write);
    if (hits !== 0) this.onDataBreakpoint?.(this.context.cpu, hits);
  }

  /**
   * Whether an operand faults whatever its pages are: an end that is not canonical comes before a misaligned
   * operand, and both come before the page fault of either page.
   */
  #isRefused(lo: number, hi: number, size: number, alignment: number, key: number, wrap: boolean): boolean {
    const misaligned = (key & KEY_CONTEXT) === Context.USER_ALIGNMENT_CHECK && (lo & (alignment - 1)) !== 0;
    const across = (lo >>> 0) + size > 0x1_0000_0000 && !wrap;
    if (!misaligned && !across) return false;
    const shift = this.context.controls.canonicalShift;
    if (!isCanonical(hi, shift) || (across && !isCanonical((hi + 1) | 0, shift))) {
      return !this.#notCanonical();
    }
    if (!misaligned) return false;
    this.faultVector = Vector.AC;
    this.faultError = 0;
    return true;
  }

  #notCanonical(): false {
    this.faultVector = Vector.GP;
    this.faultError = 0;
    return false;
  }

  #publishFault(record: number, operand: number): void {
    const cpu = this.context.cpu;
    let vector = this.faultVector;
    if (
      vector === Vector.GP &&
      ((operand & Operand.STACK) !== 0 || (this.#bytes[record + R_FLAGS] & RecordFlag.SEGMENT) === Segment.SS)
    ) {
      vector = Vector.SS;
    }
    cpu.setI32(FAULT_VECTOR, vector);
    cpu.setI32(FAULT_ERROR, this.faultError);
  }
}

/** Vol. 1 3.3.7.1: the bits above the highest in use are copies of it. */
function isCanonical(hi: number, shift: number): boolean {
  return ((hi >> shift) + 1) >>> 0 <= 1;
}

/**
 * SDM vol. 3A table 6-7: an operand of 2, 4 or 8 bytes is aligned to its size, an 80-bit one to 8 bytes, one of
 * 128 bits to 16. Instructions that demand 16 bytes raise #GP themselves, before they come here.
 */
function alignmentOf(size: number): number {
  if ((size & (size - 1)) === 0) return size;
  return size === 10 ? 8 : 1;
}
