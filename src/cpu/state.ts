/**
 * One processor's state as TypeScript sees it: typed access to the block that emitted code works on.
 * Nothing is cached here, so both always agree.
 */
import * as L from "./layout.ts";
import { Flag, STATUS_FLAGS } from "./registers.ts";

/** A segment register's hidden part, in plain numbers. */
export interface SegmentRegister {
  selector: number;
  /** As SEGMENT_ATTRIBUTES in `layout.ts`. */
  attributes: number;
  base: bigint;
  limit: number;
  isNull: boolean;
}

export class CpuState {
  /** Address of the block in the WebAssembly memory. */
  readonly block: number;
  readonly index: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly #i32: Int32Array;

  constructor(memory: WebAssembly.Memory, index: number) {
    this.index = index;
    this.block = L.cpuBlock(index);
    this.view = new DataView(memory.buffer, this.block, L.CPU_STRIDE);
    this.bytes = new Uint8Array(memory.buffer, this.block, L.CPU_STRIDE);
    this.#i32 = new Int32Array(memory.buffer, this.block, L.CPU_STRIDE >> 2);
  }

  /** Fields by their offsets in `layout.ts`. */
  i32(offset: number): number {
    return this.#i32[offset >> 2]!;
  }
  u32(offset: number): number {
    return this.#i32[offset >> 2]! >>> 0;
  }
  setI32(offset: number, value: number): void {
    this.#i32[offset >> 2] = value;
  }
  u64(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }
  setU64(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, value, true);
  }

  gpr(register: number): bigint {
    return this.u64(L.GPR + register * 8);
  }
  setGpr(register: number, value: bigint): void {
    this.setU64(L.GPR + register * 8, value);
  }
  /** The low half of a general register, unsigned. */
  gpr32(register: number): number {
    return this.u32(L.GPR + register * 8);
  }
  /** A 32-bit write: the upper half becomes zero (SDM vol. 1 3.4.1.1). */
  setGpr32(register: number, value: number): void {
    this.setI32(L.GPR + register * 8, value);
    this.setI32(L.GPR + register * 8 + 4, 0);
  }
  gpr16(register: number): number {
    return this.view.getUint16(L.GPR + register * 8, true);
  }
  setGpr16(register: number, value: number): void {
    this.view.setUint16(L.GPR + register * 8, value, true);
  }

  get rip(): bigint {
    return this.u64(L.RIP);
  }
  set rip(value: bigint) {
    this.setU64(L.RIP, value);
  }
  get cpl(): number {
    return this.i32(L.CPL);
  }
  get cr0(): number {
    return this.i32(L.CR0);
  }
  get cr4(): number {
    return this.i32(L.CR4);
  }
  get efer(): number {
    return this.i32(L.EFER);
  }

  /** The status flags, from their lazy form (`semantics/flags.ts` defines it). */
  get statusFlags(): number {
    const high = this.i32(L.FLAGS_RESULT + 4);
    const low = this.i32(L.FLAGS_RESULT);
    const carry = this.i32(L.FLAGS_CARRY + 4);
    const parity = this.i32(L.FLAGS_PARITY);
    let flags = 0;
    if (carry < 0) flags |= Flag.CF;
    if ((carry ^ (carry << 1)) < 0) flags |= Flag.OF;
    if ((high | low) === 0) flags |= Flag.ZF;
    if (high < 0 !== ((parity & 0x1_0000) !== 0)) flags |= Flag.SF;
    if (parity & 0x800) flags |= Flag.AF;
    let byte = parity & 0xff;
    byte ^= byte >> 4;
    if (((0x9669 >> (byte & 15)) & 1) === 1) flags |= Flag.PF;
    return flags;
  }
  set statusFlags(flags: number) {
    this.setI32(L.FLAGS_RESULT, flags & Flag.ZF ? 0 : 1);
    this.setI32(L.FLAGS_RESULT + 4, 0);
    this.setI32(L.FLAGS_CARRY, 0);
    const cf = flags & Flag.CF ? 1 : 0;
    const of = flags & Flag.OF ? 1 : 0;
    this.setI32(L.FLAGS_CARRY + 4, (cf << 31) | ((cf ^ of) << 30));
    this.setI32(
      L.FLAGS_PARITY,
      (flags & Flag.PF ? 0 : 1) | (flags & Flag.AF ? 0x800 : 0) | (flags & Flag.SF ? 0x1_0000 : 0),
    );
  }

  /** The whole of RFLAGS (its upper half is zero). */
  get rflags(): number {
    return this.i32(L.FLAGS_SYSTEM) | this.statusFlags;
  }
  set rflags(flags: number) {
    this.setI32(L.FLAGS_SYSTEM, (flags & ~STATUS_FLAGS & 0x003f_7fd5) | 2);
    this.statusFlags = flags;
  }

  segment(index: number): SegmentRegister {
    const at = L.SEGMENTS + index * L.SEGMENT_STRIDE;
    return {
      selector: this.i32(at + L.SEGMENT_SELECTOR),
      attributes: this.i32(at + L.SEGMENT_ATTRIBUTES),
      base: this.u64(at + L.SEGMENT_BASE),
      limit: this.u32(at + L.SEGMENT_LIMIT),
      isNull: this.i32(at + L.SEGMENT_NULL) !== 0,
    };
  }
  setSegment(index: number, segment: SegmentRegister): void {
    const at = L.SEGMENTS + index * L.SEGMENT_STRIDE;
    this.setI32(at + L.SEGMENT_SELECTOR, segment.selector);
    this.setI32(at + L.SEGMENT_ATTRIBUTES, segment.attributes);
    this.setU64(at + L.SEGMENT_BASE, segment.base);
    this.setI32(at + L.SEGMENT_LIMIT, segment.limit | 0);
    this.setI32(at + L.SEGMENT_NULL, segment.isNull ? 1 : 0);
  }
  selector(index: number): number {
    return this.i32(L.SEGMENTS + index * L.SEGMENT_STRIDE);
  }
}
