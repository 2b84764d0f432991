/**
 * Decoded code, keyed by physical page and decode mode, so that address-space switches keep it.
 *
 * A block is a run of records from an entry point to the first branch, page end or MAX_BLOCK instructions.
 * Every block starts at an entry: a jump into its middle makes a block of its own, which keeps instruction
 * counts exact. Records of a page whose bytes change are not freed but turned STALE, so that links and
 * running code find their way to the new bytes; the space comes back when the region fills up and all is
 * dropped.
 */
import type { RecordCosts } from "./cost.ts";
import { type Decoder, MAX_LENGTH, Outcome } from "./decode/decoder.ts";
import * as R from "./decode/record.ts";
import { RECORD_SIZE } from "./decode/record.ts";
import { Vector } from "./fault.ts";
import { LINK_OTHER_PAGE } from "./interpreter/main-function.ts";
import { BUILTINS, Builtin } from "./interpreter/outcome.ts";
import {
  CODE_BASE,
  FAULT_ERROR,
  FAULT_VECTOR,
  JUMP_KEY,
  MODE,
  RECORDS,
  RECORDS_SIZE,
  RIP,
  RIP_PAGE,
  SEGMENT_LIMIT,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
} from "./layout.ts";
import { Mode } from "./modes.ts";
import type { CpuState } from "./state.ts";

const PAGE = 4096;
const CS_LIMIT = SEGMENTS + Segment.CS * SEGMENT_STRIDE + SEGMENT_LIMIT;
/** Longest block in instructions; R_COUNT is a byte. */
const MAX_BLOCK = 64;
/** Records set aside for single-stepped instructions: never cached, rewritten each time. */
const STEP_AREA = RECORDS;
const STEP_RECORDS = 4;
const FIRST = RECORDS + STEP_RECORDS * RECORD_SIZE;
/** Room for a block, each of its instructions watched. */
const END = RECORDS + RECORDS_SIZE - (2 * MAX_BLOCK + 4) * RECORD_SIZE;

/** What the code cache needs of memory management. */
export interface CodeMemory {
  /** Physical address of an instruction byte, or -1 with the fault recorded in the state. */
  translateExecute(cpu: CpuState, low: number, high: number): number;
  /** Host address of a physical page's RAM, or 0 where there is none. */
  hostPage(physical: number): number;
  /** A byte of memory that is not RAM. */
  readDevice(physical: number): number;
  /** Stores to these bytes have to be reported by `CodeCache.invalidatePage` from now on. */
  markCode(physical: number, length: number): void;
  clearCode(physicalPage: number): void;
  /** Enters a record into the current processor's jump cache. */
  cacheJump(cpu: CpuState, low: number, high: number, key: number, record: number): void;
  /** Drops every processor's jump cache. */
  clearJumpCaches(): void;
}

/** Where an instruction is fetched from: linear address in halves, and physical. */
interface FetchAddress {
  low: number;
  high: number;
  physical: number;
  /** The watched addresses of its linear page. */
  watched: WatchedPage | null;
}

/** A linear page with watched addresses. Its code is decoded apart from that of other mappings. */
interface WatchedPage {
  /** From 1; part of the key of its blocks. */
  readonly variant: number;
  readonly offsets: Set<number>;
}

/** Number of a linear page; exact, since it has at most 52 bits. */
function linearPage(low: number, high: number): number {
  return (high >>> 0) * 0x10_0000 + (low >>> 12);
}

interface CodePage {
  /** Record by `variant << 16 | offset << 4 | mode`; the variant is 0 for code that nobody watches. */
  readonly entries: Map<number, number>;
  /** Instructions that run into the next page, with the physical page of their tail. */
  readonly crossing: Map<number, { readonly record: number; readonly tailPage: number }>;
  /** Start and end of each run of records that holds bytes of this page. */
  readonly ranges: number[];
}

export class CodeCache {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #decoder: Decoder;
  readonly #memory: CodeMemory;
  readonly #costs: RecordCosts | null;
  readonly #pages = new Map<number, CodePage>();
  readonly #fetchBuffer = new Uint8Array(32);
  readonly #fetchAt: FetchAddress = { low: 0, high: 0, physical: 0, watched: null };
  /** By number of the linear page. */
  readonly #watched = new Map<number, WatchedPage>();
  #next = FIRST;
  /** Counters for statistics. */
  readonly counters = { blocks: 0, instructions: 0, invalidations: 0, flushes: 0, lookups: 0 };

  /** `costs`: with a timing model, the costs of what is decoded. */
  constructor(
    memory: WebAssembly.Memory,
    decoder: Decoder,
    codeMemory: CodeMemory,
    costs: RecordCosts | null = null,
  ) {
    this.#costs = costs;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#decoder = decoder;
    this.#memory = codeMemory;
  }

  /**
   * The record of the instruction at RIP, decoding it if need be; enters it into the jump cache and sets
   * RIP_PAGE. @returns 0 when fetching faults: the fault is recorded in the state.
   */
  lookup(cpu: CpuState): number {
    this.counters.lookups++;
    if (this.#next >= END) this.flush();
    const mode = cpu.i32(MODE);
    // Near the end of a code segment every instruction is checked against the limit: not cached.
    if (this.#bytesToLimit(cpu, mode) < PAGE + MAX_LENGTH) return this.decodeOne(cpu);
    const at = this.#fetchAddress(cpu, mode);
    if (at === null) return 0;
    const record = this.#find(cpu, at, mode);
    if (record !== 0) {
      this.#memory.cacheJump(cpu, cpu.i32(RIP), cpu.i32(RIP + 4), cpu.i32(JUMP_KEY), record);
    }
    return record;
  }

  /** How many bytes from RIP the code segment's limit allows. There is none in 64-bit code. */
  #bytesToLimit(cpu: CpuState, mode: number): number {
    if ((mode & Mode.SIZE) === Mode.CODE_64) return Number.POSITIVE_INFINITY;
    const limit = cpu.u32(CS_LIMIT);
    return limit === 0xffff_ffff ? Number.POSITIVE_INFINITY : limit - cpu.u32(RIP) + 1;
  }

  /** Translates RIP and sets RIP_PAGE. @returns null when that faults */
  #fetchAddress(cpu: CpuState, mode: number): FetchAddress | null {
    const low = cpu.i32(RIP);
    const high = cpu.i32(RIP + 4);
    // The linear address: RIP + CODE_BASE. The base is 0 in 64-bit code and below 2^32 elsewhere.
    const long = (mode & Mode.SIZE) === Mode.CODE_64;
    const at = this.#fetchAt;
    at.low = long ? low : (low + cpu.i32(CODE_BASE)) | 0;
    at.high = long ? high : 0;
    at.physical = this.#memory.translateExecute(cpu, at.low, at.high);
    if (at.physical < 0) return null;
    at.watched = this.#watched.size === 0 ? null : (this.#watched.get(linearPage(at.low, at.high)) ?? null);
    this.#setRipPage(cpu, low, high, at.physical & (PAGE - 1));
    return at;
  }

  /** RIP_PAGE = RIP - offset, 64 bits. */
  #setRipPage(cpu: CpuState, low: number, high: number, offset: number): void {
    const base = (low - offset) | 0;
    cpu.setI32(RIP_PAGE, base);
    cpu.setI32(RIP_PAGE + 4, low >>> 0 < offset ? high - 1 : high);
  }

  #find(cpu: CpuState, at: FetchAddress, mode: number): number {
    const { physical } = at;
    const pageNumber = Math.floor(physical / PAGE);
    const offset = physical & (PAGE - 1);
    const key = (at.watched === null ? 0 : at.watched.variant * 0x1_0000) + ((offset << 4) | mode);
    let page = this.#pages.get(pageNumber);
    if (page) {
      const known = page.entries.get(key);
      if (known !== undefined) return known;
      const crossing = page.crossing.get(key);
      // A store to the page of the tail has made the record stale without this page knowing.
      if (crossing && this.#view.getUint16(crossing.record + R.R_HANDLER, true) !== Builtin.STALE) {
        const tail = this.#translateNextPage(cpu, at);
        if (tail < 0) return 0;
        if (Math.floor(tail / PAGE) === crossing.tailPage) return crossing.record;
      }
    }
    const host = this.#memory.hostPage(pageNumber * PAGE);
    if (host !== 0) {
      const start = this.#next;
      const end = this.#decodeBlock(host, pageNumber * PAGE, offset, mode, start, at.watched);
      if (end > start) {
        page = this.#page(pageNumber);
        page.entries.set(key, start);
        this.counters.blocks++;
        page.ranges.push(start, end);
        this.#next = end;
        return start;
      }
    }
    return this.#decodeAlone(cpu, at, mode, this.#next, host !== 0 ? key : -1);
  }

  #page(pageNumber: number): CodePage {
    let page = this.#pages.get(pageNumber);
    if (!page) {
      page = { entries: new Map(), crossing: new Map(), ranges: [] };
      this.#pages.set(pageNumber, page);
    }
    return page;
  }

  /**
   * Decodes from `offset` of a page in RAM.
   * @returns the address after the last record; `at` itself when the first instruction crosses the page.
   */
  #decodeBlock(
    host: number,
    physicalPage: number,
    offset: number,
    mode: number,
    at: number,
    watched: WatchedPage | null,
  ): number {
    const view = this.#view;
    let position = offset;
    let count = 0;
    let record = at;
    for (;;) {
      if (position >= PAGE) return this.#builtin(record, Builtin.PAGE_END, position, count);
      if (count === MAX_BLOCK) return this.#builtin(record, Builtin.GOTO, position, count);
      const before = record;
      if (watched !== null) record = this.#watchRecord(watched, record, position, count + 1);
      const outcome = this.#decoder.decode(
        this.#bytes,
        host + position,
        host + PAGE,
        mode,
        position,
        view,
        record,
      );
      if (outcome === Outcome.MORE) {
        return count === 0 ? at : this.#builtin(before, Builtin.PAGE_END, position, count);
      }
      if (outcome !== Outcome.OK) {
        this.#memory.markCode(physicalPage + position, Math.min(MAX_LENGTH, PAGE - position));
        return this.#raise(record, outcome, position, count + 1);
      }
      const alone = this.#decoder.standsAlone;
      // A repeated string instruction is a block of its own: it may leave and come back, and each time
      // counts what its block holds.
      if (alone && count > 0) return this.#builtin(before, Builtin.GOTO, position, count);
      const { length } = this.#decoder;
      this.#memory.markCode(physicalPage + position, length);
      position += length;
      count++;
      this.counters.instructions++;
      view.setUint8(record + R.R_COUNT, count);
      this.#costs?.decoded(record);
      this.#setLinks(record, position, mode);
      record += RECORD_SIZE;
      if (this.#decoder.endsBlock || alone) {
        return this.#builtin(record, position >= PAGE ? Builtin.PAGE_END : Builtin.GOTO, position, count);
      }
    }
  }

  /** A direct branch whose target is in the same page can be linked; otherwise it asks the jump cache. */
  #setLinks(record: number, next: number, mode: number): void {
    if (!this.#decoder.row!.operands.some((operand) => operand.kind === "J")) return;
    const view = this.#view;
    const target = next + view.getInt32(record + R.R_DISP, true);
    // 16-bit code may wrap inside a page: left to the jump cache.
    const near = target >= 0 && target < PAGE && (mode & Mode.SIZE) !== Mode.CODE_16;
    view.setUint32(record + R.R_LINK_TAKEN, near ? 0 : LINK_OTHER_PAGE, true);
    view.setUint32(record + R.R_LINK_NEXT, next < PAGE ? 0 : LINK_OTHER_PAGE, true);
  }

  #builtin(record: number, handler: number, next: number, count: number): number {
    const view = this.#view;
    this.#bytes.fill(0, record, record + RECORD_SIZE);
    view.setUint16(record + R.R_HANDLER, handler, true);
    view.setUint16(record + R.R_NEXT, next, true);
    view.setUint8(record + R.R_COUNT, count);
    this.#costs?.builtin(record, handler);
    return record + RECORD_SIZE;
  }

  /**
   * Puts a WATCH record before the instruction at `position` if it is watched. It counts as that instruction
   * does, for it may turn stale in its place. @returns the address for the instruction's record
   */
  #watchRecord(watched: WatchedPage, record: number, position: number, count: number): number {
    return watched.offsets.has(position) ? this.#builtin(record, Builtin.WATCH, position, count) : record;
  }

  /** Undefined: #UD. Longer than 15 bytes, or past the code segment's limit: #GP(0). */
  #raise(record: number, outcome: number, position: number, count: number): number {
    const end = this.#builtin(record, Builtin.RAISE, position, count);
    this.#view.setInt32(record + R.R_IMM, outcome === Outcome.UNDEFINED ? Vector.UD : Vector.GP, true);
    return end;
  }

  #translateNextPage(cpu: CpuState, at: FetchAddress): number {
    const next = (at.low & ~(PAGE - 1)) + PAGE;
    const carry = next > 0x7fff_ffff || (next === 0 && at.low < 0);
    return this.#memory.translateExecute(cpu, next | 0, carry ? (at.high + 1) | 0 : at.high);
  }

  /**
   * One instruction that crosses into the next page, does not lie in RAM, or is wanted alone. With `key` >= 0
   * it is cached under its two physical pages.
   * @param allowed bytes that the code segment's limit allows
   */
  #decodeAlone(
    cpu: CpuState,
    at: FetchAddress,
    mode: number,
    start: number,
    key: number,
    allowed = Number.POSITIVE_INFINITY,
  ): number {
    const { physical } = at;
    const offset = physical & (PAGE - 1);
    const record = at.watched === null ? start : this.#watchRecord(at.watched, start, offset, 1);
    const head = Math.min(MAX_LENGTH, PAGE - offset, allowed);
    const buffer = this.#fetchBuffer;
    this.#fetch(physical, head, 0);
    let outcome = this.#decoder.decode(buffer, 0, head, mode, offset, this.#view, record);
    let tailPage = -1;
    if (outcome === Outcome.MORE && head < allowed) {
      const tail = this.#translateNextPage(cpu, at);
      if (tail < 0) return 0;
      tailPage = Math.floor(tail / PAGE);
      this.#fetch(tail, MAX_LENGTH, head);
      const end = Math.min(head + MAX_LENGTH, allowed);
      outcome = this.#decoder.decode(buffer, 0, end, mode, offset, this.#view, record);
    }
    let end: number;
    if (outcome === Outcome.OK) {
      const next = offset + this.#decoder.length;
      this.#view.setUint8(record + R.R_COUNT, 1);
      this.#costs?.decoded(record);
      this.counters.instructions++;
      this.#setLinks(record, next, mode);
      if (this.#decoder.row!.operands.some((operand) => operand.kind === "J")) {
        this.#view.setUint32(record + R.R_LINK_TAKEN, LINK_OTHER_PAGE, true);
        this.#view.setUint32(record + R.R_LINK_NEXT, LINK_OTHER_PAGE, true);
      }
      end = this.#builtin(record + RECORD_SIZE, Builtin.PAGE_END, next, 1);
    } else end = this.#raise(record, outcome, offset, 1);
    if (key >= 0 && start !== STEP_AREA) {
      this.#memory.markCode(physical, head);
      const page = this.#page(Math.floor(physical / PAGE));
      page.ranges.push(start, end);
      if (tailPage >= 0) {
        page.crossing.set(key, { record: start, tailPage });
        if (this.#memory.hostPage(tailPage * PAGE) !== 0) {
          this.#memory.markCode(tailPage * PAGE, MAX_LENGTH);
          this.#page(tailPage).ranges.push(start, end);
        }
      } else page.entries.set(key, start);
    }
    if (start !== STEP_AREA) this.#next = end;
    return start;
  }

  #fetch(physical: number, length: number, to: number): void {
    const host = this.#memory.hostPage(physical - (physical % PAGE));
    const offset = physical % PAGE;
    for (let i = 0; i < length; i++) {
      this.#fetchBuffer[to + i] =
        host !== 0 ? this.#bytes[host + offset + i]! : this.#memory.readDevice(physical + i);
    }
  }

  /**
   * Decodes the instruction at RIP alone, into a scratch area: single-stepping.
   * @returns as `lookup`
   */
  decodeOne(cpu: CpuState): number {
    const mode = cpu.i32(MODE);
    const allowed = this.#bytesToLimit(cpu, mode);
    if (allowed <= 0) {
      // RIP beyond the limit: #GP(0) (SDM vol. 3A 5.3).
      cpu.setI32(FAULT_VECTOR, Vector.GP);
      cpu.setI32(FAULT_ERROR, 0);
      return 0;
    }
    const at = this.#fetchAddress(cpu, mode);
    return at === null ? 0 : this.#decodeAlone(cpu, at, mode, STEP_AREA, -1, allowed);
  }

  /** A store is about to change code in this page: its records become stale. */
  invalidatePage(pageNumber: number): void {
    const page = this.#pages.get(pageNumber);
    if (!page) return;
    this.counters.invalidations++;
    this.#pages.delete(pageNumber);
    const view = this.#view;
    for (let i = 0; i < page.ranges.length; i += 2) {
      this.#costs?.staling(page.ranges[i]!, page.ranges[i + 1]!);
      for (let record = page.ranges[i]!; record < page.ranges[i + 1]!; record += RECORD_SIZE) {
        const handler = view.getUint16(record + R.R_HANDLER, true);
        if (handler < BUILTINS && handler !== Builtin.RAISE && handler !== Builtin.WATCH) continue;
        view.setUint16(record + R.R_HANDLER, Builtin.STALE, true);
        // A stale record executes nothing: only what came before it counts.
        view.setUint8(record + R.R_COUNT, view.getUint8(record + R.R_COUNT) - 1);
      }
    }
    this.#memory.clearCode(pageNumber);
    // A stale record looks its RIP up: it must not find itself.
    this.#memory.clearJumpCaches();
  }

  /** Replaces the set of watched linear addresses. All code is decoded anew: only as `flush`. */
  setWatched(addresses: Iterable<bigint>): void {
    this.#watched.clear();
    for (const address of addresses) {
      const low = Number(address & 0xffff_ffffn);
      const number = linearPage(low, Number(address >> 32n));
      let page = this.#watched.get(number);
      if (!page) {
        page = { variant: this.#watched.size + 1, offsets: new Set() };
        this.#watched.set(number, page);
      }
      page.offsets.add(low & (PAGE - 1));
    }
    this.flush();
  }

  /** Drops everything. Only between runs of emitted code. */
  flush(): void {
    this.counters.flushes++;
    for (const pageNumber of this.#pages.keys()) this.#memory.clearCode(pageNumber);
    this.#pages.clear();
    this.#memory.clearJumpCaches();
    this.#next = FIRST;
  }
}
