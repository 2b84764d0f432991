/**
 * Bytes to blocks of records: the instructions from an entry point to the first branch, page end or MAX_BLOCK, and
 * the built-in records that end a block, raise what decoding found, or stop at a watched instruction.
 */
import type { RecordCosts } from "./cost.ts";
import { type Decoder, MAX_LENGTH, Outcome } from "./decode/decoder.ts";
import * as R from "./decode/record.ts";
import { RECORD_SIZE } from "./decode/record.ts";
import { Vector } from "./fault.ts";
import type { FetchAddress, InstructionFetch } from "./instruction-fetch.ts";
import { LINK_OTHER_PAGE } from "./interpreter/main-function.ts";
import { Builtin } from "./interpreter/outcome.ts";
import { MODE } from "./layout.ts";
import { Mode } from "./modes.ts";
import type { CpuState } from "./state.ts";
import type { WatchedPage } from "./watched-pages.ts";

const PAGE = 4096;
/** Longest block in instructions; R_COUNT is a byte. */
const MAX_BLOCK = 64;
/** Room for a block, each of its instructions watched. */
export const BLOCK_ROOM = (2 * MAX_BLOCK + 4) * RECORD_SIZE;

export interface CodeMarks {
  /** Stores to these bytes have to be reported by `CodeCache.invalidatePage` from now on. */
  markCode(physical: number, length: number): void;
}

/** The records of an instruction decoded alone. */
export interface AloneRecords {
  /** Address after the last one. */
  readonly end: number;
  /** Number of the physical page where the instruction ends, -1 when it is the one where it begins. */
  readonly tailPage: number;
}

export class BlockDecoder {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #decoder: Decoder;
  readonly #fetch: InstructionFetch;
  readonly #marks: CodeMarks;
  readonly #costs: RecordCosts | null;
  readonly #counters: { instructions: number };

  /**
   * @param counters where the instructions decoded are counted
   * @param costs with a timing model, the costs of what is decoded
   */
  constructor(
    memory: WebAssembly.Memory,
    decoder: Decoder,
    fetch: InstructionFetch,
    marks: CodeMarks,
    counters: { instructions: number },
    costs: RecordCosts | null,
  ) {
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#decoder = decoder;
    this.#fetch = fetch;
    this.#marks = marks;
    this.#counters = counters;
    this.#costs = costs;
  }

  /**
   * Decodes from a physical address in RAM on.
   * @param host the host address of its page
   * @param at the address of the first record
   * @returns the address after the last record; `at` itself when the first instruction crosses the page.
   */
  block(host: number, physical: number, mode: number, at: number, watched: WatchedPage | null): number {
    const view = this.#view;
    const decoder = this.#decoder;
    const offset = physical & (PAGE - 1);
    const physicalPage = physical - offset;
    let position = offset;
    let count = 0;
    let record = at;
    for (;;) {
      if (position >= PAGE) return this.#builtin(record, Builtin.PAGE_END, position, count);
      if (count === MAX_BLOCK) return this.#builtin(record, Builtin.GOTO, position, count);
      const before = record;
      if (watched !== null) record = this.#watchRecord(watched, record, position, count + 1);
      const outcome = decoder.decode(this.#bytes, host + position, host + PAGE, mode, position, view, record);
      if (outcome === Outcome.MORE) {
        return count === 0 ? at : this.#builtin(before, Builtin.PAGE_END, position, count);
      }
      if (outcome !== Outcome.OK) {
        this.#marks.markCode(physicalPage + position, Math.min(MAX_LENGTH, PAGE - position));
        return this.#raise(record, outcome, position, count + 1);
      }
      const alone = decoder.standsAlone;
      // A repeated string instruction is a block of its own: it may leave and come back, and each time
      // counts what its block holds.
      if (alone && count > 0) return this.#builtin(before, Builtin.GOTO, position, count);
      const { length } = decoder;
      this.#marks.markCode(physicalPage + position, length);
      position += length;
      count++;
      this.#instruction(record, count);
      this.#setLinks(record, position, mode);
      record += RECORD_SIZE;
      if (decoder.endsBlock || alone) {
        return this.#builtin(record, position >= PAGE ? Builtin.PAGE_END : Builtin.GOTO, position, count);
      }
    }
  }

  /**
   * Decodes one instruction that crosses into the next page, does not lie in RAM, or is wanted by itself.
   * @param start the address of the first record
   * @param allowed bytes that the code segment's limit allows
   * @returns null when fetching the next page faults; the fault is recorded in the state
   */
  alone(
    cpu: CpuState,
    at: FetchAddress,
    start: number,
    watched: WatchedPage | null,
    allowed: number,
  ): AloneRecords | null {
    const { buffer } = this.#fetch;
    const mode = cpu.i32(MODE);
    const { physical } = at;
    const offset = physical & (PAGE - 1);
    const record = watched === null ? start : this.#watchRecord(watched, start, offset, 1);
    const head = Math.min(MAX_LENGTH, PAGE - offset, allowed);
    this.#fetch.read(physical, head, 0);
    let outcome = this.#decoder.decode(buffer, 0, head, mode, offset, this.#view, record);
    let tailPage = -1;
    if (outcome === Outcome.MORE && head < allowed) {
      const tail = this.#fetch.nextPage(cpu, at);
      if (tail < 0) return null;
      tailPage = Math.floor(tail / PAGE);
      this.#fetch.read(tail, MAX_LENGTH, head);
      const end = Math.min(head + MAX_LENGTH, allowed);
      outcome = this.#decoder.decode(buffer, 0, end, mode, offset, this.#view, record);
    }
    if (outcome !== Outcome.OK) return { end: this.#raise(record, outcome, offset, 1), tailPage };
    const next = offset + this.#decoder.length;
    this.#instruction(record, 1);
    this.#setNoLinks(record);
    return { end: this.#builtin(record + RECORD_SIZE, Builtin.PAGE_END, next, 1), tailPage };
  }

  /** What every instruction's record gets beside what the decoder has written: the `count`th of its block. */
  #instruction(record: number, count: number): void {
    this.#view.setUint8(record + R.R_COUNT, count);
    this.#costs?.decoded(record);
    this.#counters.instructions++;
  }

  #isDirectBranch(): boolean {
    return this.#decoder.row!.operands.some((operand) => operand.kind === "J");
  }

  /** A direct branch whose target is in the same page can be linked; otherwise it asks the jump cache. */
  #setLinks(record: number, next: number, mode: number): void {
    if (!this.#isDirectBranch()) return;
    const view = this.#view;
    const target = next + view.getInt32(record + R.R_DISP, true);
    // 16-bit code may wrap inside a page: left to the jump cache.
    const near = target >= 0 && target < PAGE && (mode & Mode.SIZE) !== Mode.CODE_16;
    view.setUint32(record + R.R_LINK_TAKEN, near ? 0 : LINK_OTHER_PAGE, true);
    view.setUint32(record + R.R_LINK_NEXT, next < PAGE ? 0 : LINK_OTHER_PAGE, true);
  }

  #setNoLinks(record: number): void {
    if (!this.#isDirectBranch()) return;
    this.#view.setUint32(record + R.R_LINK_TAKEN, LINK_OTHER_PAGE, true);
    this.#view.setUint32(record + R.R_LINK_NEXT, LINK_OTHER_PAGE, true);
  }

  /** @returns the address after the record */
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
}
