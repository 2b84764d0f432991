/** Where the instruction at RIP lies, how far its code segment reaches, and its bytes where no block can be read. */
import {
  CODE_BASE,
  MODE,
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

export interface FetchMemory {
  /** Physical address of an instruction byte, or -1 with the fault recorded in the state. */
  translateExecute(cpu: CpuState, low: number, high: number): number;
  /** Host address of a physical page's RAM, or 0 where there is none. */
  hostPage(physical: number): number;
  /** A byte of memory that is not RAM. */
  readDevice(physical: number): number;
}

/** Where an instruction is fetched from: linear address in halves, and physical. */
export interface FetchAddress {
  readonly low: number;
  readonly high: number;
  readonly physical: number;
}

export class InstructionFetch {
  /** What `read` has read. */
  readonly buffer = new Uint8Array(32);
  readonly #bytes: Uint8Array;
  readonly #memory: FetchMemory;
  readonly #at = { low: 0, high: 0, physical: 0 };

  constructor(memory: WebAssembly.Memory, fetchMemory: FetchMemory) {
    this.#bytes = new Uint8Array(memory.buffer);
    this.#memory = fetchMemory;
  }

  /** How many bytes from RIP the code segment's limit allows. There is none in 64-bit code. */
  bytesToLimit(cpu: CpuState): number {
    if ((cpu.i32(MODE) & Mode.SIZE) === Mode.CODE_64) return Number.POSITIVE_INFINITY;
    const limit = cpu.u32(CS_LIMIT);
    return limit === 0xffff_ffff ? Number.POSITIVE_INFINITY : limit - cpu.u32(RIP) + 1;
  }

  /**
   * Translates RIP and sets RIP_PAGE.
   * @returns null when that faults; the fault is recorded in the state. Valid until the next call
   */
  locate(cpu: CpuState): FetchAddress | null {
    const low = cpu.i32(RIP);
    const high = cpu.i32(RIP + 4);
    // The linear address: RIP + CODE_BASE. The base is 0 in 64-bit code and below 2^32 elsewhere.
    const long = (cpu.i32(MODE) & Mode.SIZE) === Mode.CODE_64;
    const at = this.#at;
    at.low = long ? low : (low + cpu.i32(CODE_BASE)) | 0;
    at.high = long ? high : 0;
    at.physical = this.#memory.translateExecute(cpu, at.low, at.high);
    if (at.physical < 0) return null;
    // RIP_PAGE = RIP - offset, 64 bits.
    const offset = at.physical & (PAGE - 1);
    cpu.setI32(RIP_PAGE, (low - offset) | 0);
    cpu.setI32(RIP_PAGE + 4, low >>> 0 < offset ? high - 1 : high);
    return at;
  }

  /** Physical address of the linear page after that of `at`, or -1 with the fault recorded in the state. */
  nextPage(cpu: CpuState, at: FetchAddress): number {
    const next = (at.low & ~(PAGE - 1)) + PAGE;
    const carry = next > 0x7fff_ffff || (next === 0 && at.low < 0);
    return this.#memory.translateExecute(cpu, next | 0, carry ? (at.high + 1) | 0 : at.high);
  }

  /** Copies `length` bytes of one page, RAM or not, to `buffer` from `to` on. */
  read(physical: number, length: number, to: number): void {
    const offset = physical % PAGE;
    const host = this.#memory.hostPage(physical - offset);
    for (let i = 0; i < length; i++) {
      this.buffer[to + i] =
        host !== 0 ? this.#bytes[host + offset + i]! : this.#memory.readDevice(physical + i);
    }
  }
}
