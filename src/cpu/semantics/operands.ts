/** Operands: they know how to emit their own read and write. */
import { type I32, type I64, load, type V128 } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { Segment, ZERO } from "../layout.ts";
import type { Width } from "./flags.ts";
import type { Stage } from "./stage.ts";

/** A source or destination of an instruction. */
export abstract class Operand {
  readonly stage: Stage;
  /** Bytes. */
  readonly width: number;
  constructor(stage: Stage, width: number) {
    this.stage = stage;
    this.width = width;
  }
  abstract readonly isMemory: boolean;
  /** 1, 2, 4 or 8 bytes, zero-extended; wider operands give their low 8 bytes. */
  abstract read(): I64;
  abstract write(value: I64): void;
  /** Read-modify-write; memory is checked for writing before `compute` runs. */
  abstract update(compute: (old: I64) => I64): void;
  /** All 16 bytes. */
  abstract readV(): V128;
  abstract writeV(value: V128): void;

  /** As `read`, sign-extended. */
  readSigned(): I64 {
    return this.stage.b.let(this.read().signExtend((this.width * 8) as 8 | 16 | 32 | 64));
  }
  get bits(): number {
    return this.width * 8;
  }
  get scalar(): Width {
    return Math.min(this.width, 8) as Width;
  }
}

/** Loads by width, zero-extended. */
export const LOAD: Record<Width, `i64.${string}`> = {
  1: "i64.load8_u",
  2: "i64.load16_u",
  4: "i64.load32_u",
  8: "i64.load",
};
export const STORE: Record<Width, string> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

export class RegisterOperand extends Operand {
  override readonly isMemory = false;
  /** Block offset. */
  readonly slot: I32;

  constructor(stage: Stage, slot: I32, width: number) {
    super(stage, width);
    this.slot = slot;
  }

  /** Address and constant offset, so that a fixed register needs no addition. */
  #at(): [I32, number] {
    const { cpu } = this.stage;
    return this.slot.constant !== null ? [cpu, this.slot.constant] : [cpu.add(this.slot), 0];
  }

  override read(): I64 {
    const [address, offset] = this.#at();
    return this.stage.b.let(load(LOAD[this.scalar], address, offset));
  }
  override write(value: I64): void {
    const { b } = this.stage;
    const [address, offset] = this.#at();
    // A 32-bit result clears the upper half of the register (SDM vol. 1 3.4.1.1).
    if (this.width === 4) b.store("i64.store", address, value.and(0xffff_ffffn), offset);
    else b.store(STORE[this.scalar], address, value, offset);
  }
  /** Writes without clearing what lies above: XMM and MMX elements. */
  writeElement(value: I64): void {
    const [address, offset] = this.#at();
    this.stage.b.store(STORE[this.scalar], address, value, offset);
  }
  override update(compute: (old: I64) => I64): void {
    this.write(compute(this.read()));
  }
  override readV(): V128 {
    const [address, offset] = this.#at();
    return this.stage.b.let(load("v128.load", address, offset));
  }
  override writeV(value: V128): void {
    const [address, offset] = this.#at();
    this.stage.b.store("v128.store", address, value, offset);
  }
}

export class ImmediateOperand extends Operand {
  override readonly isMemory = false;
  readonly #value: I64;
  constructor(stage: Stage, value: I64, width: number) {
    super(stage, width);
    this.#value = value;
  }
  override read(): I64 {
    const value = this.stage.b.let(this.#value);
    return this.width >= 8 ? value : this.stage.b.let(value.and((1n << BigInt(this.width * 8)) - 1n));
  }
  /** Immediates are stored sign-extended: no mask needed. */
  override readSigned(): I64 {
    return this.stage.b.let(this.#value);
  }
  override write(): void {
    throw new Error("an immediate is no destination");
  }
  override update(): void {
    throw new Error("an immediate is no destination");
  }
  override readV(): V128 {
    throw new Error("an immediate is no vector");
  }
  override writeV(): void {
    throw new Error("an immediate is no destination");
  }
}

export class MemoryOperand extends Operand {
  override readonly isMemory = true;
  /** Effective address (offset in the segment), a local or constant. */
  readonly offset: I64;
  /** Fixed segment, or null for the record's. */
  readonly segment: number | null;

  constructor(stage: Stage, offset: I64, width: number, segment: number | null = null) {
    super(stage, width);
    this.offset = offset;
    this.segment = segment;
  }

  /** The same operand `delta` bytes further on: bit strings, far pointers. */
  displaced(delta: I64 | number, width = this.width): MemoryOperand {
    const { stage } = this;
    const offset = stage.b.let(stage.truncateAddress(this.offset.add(delta)));
    return new MemoryOperand(stage, offset, width, this.segment);
  }

  /** The linear address, after the segment checks of legacy modes. */
  #linear(write: boolean): I64 {
    const { stage } = this;
    if (!stage.long) return stage.path.legacyLinear(stage, this, write);
    if (this.segment !== null) {
      // 64-bit code: ES, CS, SS and DS have base 0 whatever they hold (SDM vol. 3A 3.2.4).
      if (this.segment < Segment.FS) return this.offset;
      return stage.b.let(this.offset.add(stage.segmentBase(this.segment)));
    }
    const slot = stage.fields.register("segmentBase");
    if (slot.constant === ZERO) return this.offset;
    return stage.b.let(this.offset.add(load("i64.load", stage.cpu.add(slot))));
  }

  override read(): I64 {
    return this.stage.path.load(this.stage, this.#linear(false), this.scalar, this.#isStack());
  }
  override write(value: I64): void {
    this.stage.path.store(
      this.stage,
      this.#linear(true),
      this.scalar,
      this.stage.b.let(value),
      this.#isStack(),
    );
  }
  override update(compute: (old: I64) => I64): void {
    this.stage.path.update(this.stage, this.#linear(true), this.scalar, compute, this.#isStack());
  }
  override readV(): V128 {
    const linear = this.#linear(false);
    this.#checkAlignment(linear);
    return this.stage.path.loadV(this.stage, linear);
  }
  override writeV(value: V128): void {
    const linear = this.#linear(true);
    this.#checkAlignment(linear);
    this.stage.path.storeV(this.stage, linear, this.stage.b.let(value));
  }

  /** SDM vol. 1 4.1.1: legacy SSE 16-byte operands are aligned, or #GP(0). */
  #checkAlignment(linear: I64): void {
    const { row } = this.stage.form;
    if (row.vex || row.attributes.has("unaligned")) return;
    this.stage.faultIf(linear.wrap().and(15).ne(0), Vector.GP);
  }
  #isStack(): boolean {
    return this.segment === Segment.SS;
  }
}
