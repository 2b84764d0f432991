/**
 * Decoded code, keyed by physical page and decode mode, so that address-space switches keep it.
 *
 * Every block (`block-decoder.ts`) starts at an entry: a jump into its middle makes a block of its own, which
 * keeps instruction counts exact. Records of a page whose bytes change are not freed but turned STALE, so that
 * links and running code find their way to the new bytes; the space comes back when the region fills up and all
 * is dropped.
 */
import { BLOCK_ROOM, BlockDecoder, type CodeMarks } from "./block-decoder.ts";
import type { RecordCosts } from "./cost.ts";
import { type Decoder, MAX_LENGTH } from "./decode/decoder.ts";
import * as R from "./decode/record.ts";
import { RECORD_SIZE } from "./decode/record.ts";
import { Vector } from "./fault.ts";
import { type FetchAddress, type FetchMemory, InstructionFetch } from "./instruction-fetch.ts";
import { BUILTINS, Builtin } from "./interpreter/outcome.ts";
import { FAULT_ERROR, FAULT_VECTOR, JUMP_KEY, MODE, RECORDS, RECORDS_SIZE, RIP } from "./layout.ts";
import { RecentEntries } from "./recent-entries.ts";
import type { CpuState } from "./state.ts";
import { WatchedPages } from "./watched-pages.ts";

const PAGE = 4096;
/** Records set aside for single-stepped instructions: never cached, rewritten each time. */
const STEP_AREA = RECORDS;
const STEP_RECORDS = 4;
const FIRST = RECORDS + STEP_RECORDS * RECORD_SIZE;
const END = RECORDS + RECORDS_SIZE - BLOCK_ROOM;

/** Physical addresses whose low half tells them apart. */
const RECENT_LIMIT = 2 ** 32;

/** What the code cache needs of memory management. */
export interface CodeMemory extends FetchMemory, CodeMarks {
  clearCode(physicalPage: number): void;
  /** Enters a record into the current processor's jump cache. */
  cacheJump(cpu: CpuState, low: number, high: number, key: number, record: number): void;
  /** Drops every processor's jump cache. */
  clearJumpCaches(): void;
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
  readonly #memory: CodeMemory;
  readonly #costs: RecordCosts | null;
  readonly #fetch: InstructionFetch;
  readonly #decoder: BlockDecoder;
  readonly #watched = new WatchedPages();
  readonly #pages = new Map<number, CodePage>();
  /** Entries of `#pages` that lookups found, of code that nobody watches. */
  readonly #recent = new RecentEntries();
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
    this.#view = new DataView(memory.buffer);
    this.#memory = codeMemory;
    this.#costs = costs;
    this.#fetch = new InstructionFetch(memory, codeMemory);
    this.#decoder = new BlockDecoder(memory, decoder, this.#fetch, codeMemory, this.counters, costs);
  }

  /**
   * The record of the instruction at RIP, decoding it if need be; enters it into the jump cache and sets
   * RIP_PAGE. @returns 0 when fetching faults: the fault is recorded in the state.
   */
  lookup(cpu: CpuState): number {
    this.counters.lookups++;
    if (this.#next >= END) this.flush();
    // Near the end of a code segment every instruction is checked against the limit: not cached.
    if (this.#fetch.bytesToLimit(cpu) < PAGE + MAX_LENGTH) return this.decodeOne(cpu);
    const at = this.#fetch.locate(cpu);
    if (at === null) return 0;
    const record = this.#find(cpu, at);
    if (record !== 0) {
      this.#memory.cacheJump(cpu, cpu.i32(RIP), cpu.i32(RIP + 4), cpu.i32(JUMP_KEY), record);
    }
    return record;
  }

  #find(cpu: CpuState, at: FetchAddress): number {
    const { physical } = at;
    const mode = cpu.i32(MODE);
    const watched = this.#watched.at(at.low, at.high);
    const cacheable = watched === null && physical < RECENT_LIMIT;
    if (cacheable) {
      const recent = this.#recent.find(physical, mode);
      if (recent !== 0) return recent;
    }
    const pageNumber = Math.floor(physical / PAGE);
    const offset = physical & (PAGE - 1);
    const key = (watched === null ? 0 : watched.variant * 0x1_0000) + ((offset << 4) | mode);
    const page = this.#pages.get(pageNumber);
    if (page) {
      const known = page.entries.get(key);
      if (known !== undefined) {
        if (cacheable) this.#recent.store(physical, mode, known);
        return known;
      }
      const crossing = page.crossing.get(key);
      // A store to the page of the tail has made the record stale without this page knowing.
      if (crossing && this.#view.getUint16(crossing.record + R.R_HANDLER, true) !== Builtin.STALE) {
        const tail = this.#fetch.nextPage(cpu, at);
        if (tail < 0) return 0;
        if (Math.floor(tail / PAGE) === crossing.tailPage) return crossing.record;
      }
    }
    const start = this.#next;
    const host = this.#memory.hostPage(pageNumber * PAGE);
    if (host !== 0) {
      const end = this.#decoder.block(host, physical, mode, start, watched);
      if (end > start) {
        this.#next = end;
        this.#keep(pageNumber, start, end).entries.set(key, start);
        this.counters.blocks++;
        return start;
      }
    }
    const alone = this.#decoder.alone(cpu, at, start, watched, Number.POSITIVE_INFINITY);
    if (alone === null) return 0;
    this.#next = alone.end;
    if (host !== 0) this.#keepAlone(physical, key, start, alone.end, alone.tailPage);
    return start;
  }

  /** An instruction by itself is kept under its one or two physical pages. */
  #keepAlone(physical: number, key: number, start: number, end: number, tailPage: number): void {
    this.#memory.markCode(physical, Math.min(MAX_LENGTH, PAGE - (physical % PAGE)));
    const page = this.#keep(Math.floor(physical / PAGE), start, end);
    if (tailPage < 0) {
      page.entries.set(key, start);
      return;
    }
    page.crossing.set(key, { record: start, tailPage });
    if (this.#memory.hostPage(tailPage * PAGE) === 0) return;
    this.#memory.markCode(tailPage * PAGE, MAX_LENGTH);
    this.#keep(tailPage, start, end);
  }

  /** Records from `start` to `end` hold bytes of a page. */
  #keep(pageNumber: number, start: number, end: number): CodePage {
    let page = this.#pages.get(pageNumber);
    if (!page) {
      page = { entries: new Map(), crossing: new Map(), ranges: [] };
      this.#pages.set(pageNumber, page);
    }
    page.ranges.push(start, end);
    return page;
  }

  /**
   * Decodes the instruction at RIP alone, into a scratch area: single-stepping.
   * @returns as `lookup`
   */
  decodeOne(cpu: CpuState): number {
    const allowed = this.#fetch.bytesToLimit(cpu);
    if (allowed <= 0) {
      // RIP beyond the limit: #GP(0) (SDM vol. 3A 5.3).
      cpu.setI32(FAULT_VECTOR, Vector.GP);
      cpu.setI32(FAULT_ERROR, 0);
      return 0;
    }
    const at = this.#fetch.locate(cpu);
    if (at === null) return 0;
    const watched = this.#watched.at(at.low, at.high);
    return this.#decoder.alone(cpu, at, STEP_AREA, watched, allowed) === null ? 0 : STEP_AREA;
  }

  /** A store is about to change code in this page: its records become stale. */
  invalidatePage(pageNumber: number): void {
    const page = this.#pages.get(pageNumber);
    if (!page) return;
    this.counters.invalidations++;
    this.#pages.delete(pageNumber);
    this.#recent.clear();
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
    this.#watched.replace(addresses);
    this.flush();
  }

  /** Drops everything. Only between runs of emitted code. */
  flush(): void {
    this.counters.flushes++;
    for (const pageNumber of this.#pages.keys()) this.#memory.clearCode(pageNumber);
    this.#pages.clear();
    this.#recent.clear();
    this.#memory.clearJumpCaches();
    this.#next = FIRST;
  }
}
