/**
 * What a semantic definition works with. A definition is a function `(s: Stage) => void` that emits
 * WebAssembly for one instruction; what it is handed decides what comes out:
 *
 * - Interpreter: `Fields` reads the record at run time, so one piece of code serves every register,
 *   displacement and immediate of that instruction form.
 * - Specialised: `Fields` returns constants taken from one record; the builder folds the rest away.
 *
 * Rules for definitions
 * - Values are i64, zero-extended from the operand width when read. `write` takes the low bits of any value.
 * - A read is evaluated where `read()` is called, so the value stays what it was.
 * - Everything that can fault comes before the first change of state. `Operand.update` has checked the
 *   memory for writing before it calls its function.
 */
import { choose, type FunctionBuilder, type I32, type I64, i32, i64, load } from "../../wasm/index.ts";
import type { Charge, CostModel } from "../cost.ts";
import type { OperandSpec, Row } from "../decode/rows.ts";
import { Vector } from "../fault.ts";
import {
  BUDGET,
  COST_FIGURES,
  FLAGS_SYSTEM,
  GPR,
  RIP_PAGE,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
  X87,
  X87_STRIDE,
  XMM,
  XMM_STRIDE,
  ZERO,
} from "../layout.ts";
import { Gpr } from "../registers.ts";
import { Flags, type Width } from "./flags.ts";
import type { MemoryPath } from "./memory-path.ts";
import { ImmediateOperand, MemoryOperand, type Operand, RegisterOperand } from "./operands.ts";

/** The decoded instruction's fields: run-time loads, or constants. */
export interface Fields {
  /** Block offset of a register operand. */
  register(slot: "a" | "b" | "c" | "base" | "index" | "segmentBase"): I32;
  scale(): I32;
  /** `RecordFlag` bits. */
  flags(): I32;
  /** Sign-extended displacement. */
  displacement(): I64;
  immediate(): I64;
  /** Page offset of the next instruction. */
  next(): I32;
  length(): I32;
}

/** How an instruction ends other than by falling through to the next one. */
export interface Exits {
  /** A fault has been recorded in the state: leave at once. */
  fault(): void;
  /** Go to a RIP. Ends the code path. */
  jump(target: I64): void;
  /** Follow the direct branch's displacement when `taken`, else the next instruction. Ends the code path. */
  branch(taken: I32): void;
  /** The next instruction, but the run loop looks at pending events first. Ends the code path. */
  event(): void;
  /** Calls the TypeScript helper of that name and follows its outcome. Ends the code path. */
  helper(name: string): void;
}

/** What is known of an instruction form when its code is emitted. */
export interface Form {
  readonly row: Row;
  /** 64-bit code segment. */
  readonly long: boolean;
  /** Effective operand size (what `v` means) and address size in bytes. */
  readonly operandSize: 2 | 4 | 8;
  readonly addressSize: 2 | 4 | 8;
  /** Whether ModRM.rm is a memory operand. */
  readonly memory: boolean;
  /** The repeat prefix of a row that has `rep`. */
  readonly repeat: "" | "rep" | "repne";
}

const WIDTH_OF_SIZE: Record<string, number> = {
  b: 1,
  w: 2,
  d: 4,
  q: 8,
  dq: 16,
  x: 16,
  ps: 16,
  pd: 16,
  ss: 4,
  sd: 8,
};

/** Bytes that an operand letter means under an operand size. */
export function operandWidth(spec: OperandSpec, operandSize: 2 | 4 | 8): number {
  if (spec.size === "v") return operandSize;
  if (spec.size === "z") return Math.min(operandSize, 4);
  if (spec.size === "y") return operandSize === 8 ? 8 : 4;
  return WIDTH_OF_SIZE[spec.size] ?? operandSize;
}

export class Stage {
  readonly b: FunctionBuilder;
  /** The current processor's block. */
  readonly cpu: I32;
  readonly form: Form;
  readonly fields: Fields;
  readonly exits: Exits;
  readonly path: MemoryPath;
  readonly flags: Flags;
  readonly operands: readonly Operand[];
  readonly #costs: CostModel | null;

  constructor(
    b: FunctionBuilder,
    cpu: I32,
    form: Form,
    fields: Fields,
    exits: Exits,
    path: MemoryPath,
    costs: CostModel | null = null,
  ) {
    this.#costs = costs;
    this.b = b;
    this.cpu = cpu;
    this.form = form;
    this.fields = fields;
    this.exits = exits;
    this.path = path;
    this.flags = new Flags(b, cpu);
    this.operands = form.row.operands.map((spec) => this.#operand(spec));
  }

  get long(): boolean {
    return this.form.long;
  }
  /** A timing model is in force: BUDGET counts its units. */
  get timed(): boolean {
    return this.#costs !== null;
  }

  /** Takes `times` a cost from the budget; nothing without a timing model. */
  charge(cost: Charge, times: I32 = i32(1)): void {
    if (this.#costs === null) return;
    const { b, cpu } = this;
    const { units, figures } = this.#costs.charges[cost];
    b.store("i32.store", cpu, load("i32.load", cpu, BUDGET).sub(times.mul(units)), BUDGET);
    for (const half of [0, 1]) {
      const bits = BigInt.asUintN(64, figures >> BigInt(half * 64));
      const at = COST_FIGURES + half * 8;
      if (bits !== 0n) b.store("i64.store", cpu, load("i64.load", cpu, at).or(i64(bits)), at);
    }
  }
  get operandSize(): 2 | 4 | 8 {
    return this.form.operandSize;
  }
  get addressSize(): 2 | 4 | 8 {
    return this.form.addressSize;
  }

  #operand(spec: OperandSpec): Operand {
    const width = operandWidth(spec, this.form.operandSize);
    const register = (slot: "a" | "b" | "c") => new RegisterOperand(this, this.fields.register(slot), width);
    switch (spec.kind) {
      case "fixed":
        return this.gpr(spec.register, width as Width);
      case "const":
        return new ImmediateOperand(this, i64(spec.register), width);
      case "G":
      case "V":
      case "P":
      case "S":
      case "s":
      case "C":
      case "D":
        return register("a");
      case "Z":
      case "R":
      case "U":
      case "N":
        return register("b");
      case "H":
      case "B":
        return register("c");
      case "E":
      case "W":
      case "Q":
      case "M":
        return this.form.memory ? new MemoryOperand(this, this.#offset(), width) : register("b");
      // String operands: DS:rSI, whose segment a prefix replaces, and ES:rDI (SDM vol. 2 appendix A.2.1).
      case "X":
        return new MemoryOperand(this, this.gpr(Gpr.RSI, this.form.addressSize).read(), width);
      case "Y":
        return new MemoryOperand(this, this.gpr(Gpr.RDI, this.form.addressSize).read(), width, Segment.ES);
      case "O":
        return new MemoryOperand(this, this.b.let(this.truncateAddress(this.fields.immediate())), width);
      case "I":
        return new ImmediateOperand(this, this.fields.immediate(), width);
      case "J":
      case "A":
        return new ImmediateOperand(this, this.fields.displacement(), width);
      default:
        throw new Error(`operand letter ${spec.text} in: ${this.form.row.text}`);
    }
  }

  /** The memory operand's effective address, before segmentation; evaluated once. */
  #offset(): I64 {
    const { fields, cpu } = this;
    const part = (slot: I32) => (slot.constant === ZERO ? i64(0) : load("i64.load", cpu.add(slot)));
    const sum = part(fields.register("base"))
      .add(part(fields.register("index")).shl(fields.scale().toU64()))
      .add(fields.displacement());
    return this.b.let(this.truncateAddress(sum));
  }

  /**
   * Effective addresses are truncated to the address size. In 64-bit code 32-bit addresses are rare enough
   * to be decided at run time from the record's flags.
   */
  truncateAddress(address: I64): I64 {
    const { b, fields, form } = this;
    const flags = fields.flags();
    if (form.long) {
      const narrow = flags.and(0x08);
      if (narrow.constant !== null) return narrow.constant ? address.and(0xffff_ffffn) : address;
      const value = b.local("i64");
      b.set(value, address);
      b.if(narrow, () => b.set(value, value.and(0xffff_ffffn)));
      return value;
    }
    return address.and(choose(flags.and(0x10), i64(0xffff), i64(0xffff_ffffn)));
  }

  operand(index: number): Operand {
    const operand = this.operands[index];
    if (!operand) throw new Error(`operand ${index} of: ${this.form.row.text}`);
    return operand;
  }

  /** A register operand of the record in a width of the caller's choice. */
  register(slot: "a" | "b" | "c", width: number): Operand {
    return new RegisterOperand(this, this.fields.register(slot), width);
  }

  /** A fixed general register (by encoding: SPL, not AH, for 4). */
  gpr(register: number, width: Width): Operand {
    return new RegisterOperand(this, i32(GPR + register * 8), width);
  }
  /** AH, the implicit operand of 8-bit MUL and DIV, LAHF and SAHF. */
  ah(): Operand {
    return new RegisterOperand(this, i32(GPR + 1), 1);
  }
  xmm(register: number, width = 16): Operand {
    return new RegisterOperand(this, i32(XMM + register * XMM_STRIDE), width);
  }
  mmx(register: number): Operand {
    return new RegisterOperand(this, i32(X87 + register * X87_STRIDE), 8);
  }

  segmentBase(segment: number): I64 {
    return load("i64.load", this.cpu, SEGMENTS + segment * SEGMENT_STRIDE + SEGMENT_BASE);
  }

  /** FLAGS_SYSTEM: the flags that are not lazy. */
  systemFlags(): I32 {
    return load("i32.load", this.cpu, FLAGS_SYSTEM);
  }

  /** RIP of the following instruction. */
  nextRip(): I64 {
    const next = load("i64.load", this.cpu, RIP_PAGE).add(this.fields.next().toU64());
    return this.form.long ? next : next.and(0xffff_ffffn);
  }

  /** Raises an exception when `condition` holds. */
  faultIf(condition: I32, vector: number, error: number | I32 = 0): void {
    this.b.if(condition, () => {
      this.path.recordFault(vector, error);
      this.exits.fault();
    });
  }

  /** #GP(0) unless the branch target is canonical (64-bit code only). */
  checkTarget(target: I64): void {
    if (!this.form.long) return;
    // What is canonical with 48 bits is so with 57 too: CR4 is asked only when it matters.
    this.b.if(target.shl(16).shrS(16).ne(target), () =>
      this.faultIf(this.path.nonCanonical(target), Vector.GP),
    );
  }

  // ---- Memory by segment and offset -----------------------------------------------------------------

  /** Reads `width` bytes at an offset in a segment. */
  loadAt(segment: number, offset: I64, width: Width): I64 {
    return new MemoryOperand(this, offset, width, segment).read();
  }
  storeAt(segment: number, offset: I64, width: Width, value: I64): void {
    new MemoryOperand(this, offset, width, segment).write(value);
  }

  // ---- Stack -------------------------------------------------------------------------------------------

  /** The stack pointer as an offset in SS. */
  stackPointer(): I64 {
    const rsp = this.b.let(load("i64.load", this.cpu, GPR + Gpr.RSP * 8));
    if (this.form.long) return rsp;
    return this.b.let(rsp.and(this.#stackMask()));
  }
  #stackMask(): I64 {
    return choose(this.path.stack32(), i64(0xffff_ffffn), i64(0xffff));
  }
  /** Sets RSP, ESP or SP by the stack's address size. */
  setStackPointer(value: I64): void {
    const { b, cpu } = this;
    if (this.form.long) {
      b.store("i64.store", cpu, value, GPR + Gpr.RSP * 8);
      return;
    }
    const pointer = b.let(value);
    b.if(
      this.path.stack32(),
      () => b.store("i64.store", cpu, pointer.and(0xffff_ffffn), GPR + Gpr.RSP * 8),
      () => b.store("i64.store16", cpu, pointer, GPR + Gpr.RSP * 8),
    );
  }
  /** `pointer + delta` in the stack's address size. */
  stackOffset(pointer: I64, delta: number | I64): I64 {
    const sum = pointer.add(delta);
    return this.b.let(this.form.long ? sum : sum.and(this.#stackMask()));
  }

  push(width: Width, value: I64): void {
    const pointer = this.stackOffset(this.stackPointer(), -width);
    this.storeAt(Segment.SS, pointer, width, value);
    this.setStackPointer(pointer);
  }

  /** Reads the top of the stack; the caller moves the pointer by `commit()` once nothing can fault. */
  popBegin(width: Width): { value: I64; commit: () => void } {
    const pointer = this.stackPointer();
    const value = this.loadAt(Segment.SS, pointer, width);
    return { value, commit: () => this.setStackPointer(this.stackOffset(pointer, width)) };
  }
  pop(width: Width): I64 {
    const { value, commit } = this.popBegin(width);
    commit();
    return value;
  }
}

/** A semantic definition: emits the code of one instruction form. */
export type Definition = (s: Stage) => void;
export type Definitions = Record<string, Definition>;
