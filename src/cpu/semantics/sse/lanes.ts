/**
 * Floating-point values as emitted code handles them: one f32 or f64 for scalar instructions, a v128 for
 * packed ones. The WebAssembly operators have the same names for both, so that arithmetic and the tests of
 * what the host may compute are written once.
 *
 * The host may compute only what cannot differ from the processor (DESIGN 3): WebAssembly rounds to nearest,
 * reports no exception and chooses NaNs freely. So there are two questions, answered here:
 * - does MXCSR allow it (`roundsAsHost`, `inexactIsQuiet`), and
 * - can the operation, with these operands and this result, raise anything but PE (the tests of `FloatLanes`).
 */
import {
  type Expr,
  type F32,
  type F64,
  type I32,
  type I64,
  i32,
  i64,
  op,
  select,
  type V128,
  v128,
} from "../../../wasm/index.ts";
import { SCRATCH } from "../../layout.ts";
import type { Operand } from "../operands.ts";
import type { Stage } from "../stage.ts";
import { mxcsr, writeElement } from "./access.ts";

/** MXCSR fields, SDM vol. 1 10.2.3. */
const MXCSR_PE = 0x20;
const MXCSR_PM = 0x1000;
const MXCSR_RC = 0x6000;

export type FloatSize = 4 | 8;
/** PS and PD, or SS and SD. */
export type Shape = "packed" | "scalar";

/** The soft path reads its operands here: the first source, then the second, 16 bytes each. */
export const SOFT_FIRST = SCRATCH;
export const SOFT_SECOND = SCRATCH + 16;

/** PE is masked and already set: an inexact result changes nothing. */
export function inexactIsQuiet(s: Stage): I32 {
  return mxcsr(s)
    .and(MXCSR_PE | MXCSR_PM)
    .eq(MXCSR_PE | MXCSR_PM);
}

/** As `inexactIsQuiet`, and MXCSR rounds to nearest as the host does. */
export function roundsAsHost(s: Stage): I32 {
  return mxcsr(s)
    .and(MXCSR_PE | MXCSR_PM | MXCSR_RC)
    .eq(MXCSR_PE | MXCSR_PM);
}

/** What a vector or number compares to: all ones per element (packed), 0 or 1 (scalar). */
type Mask = Expr;

export class FloatLanes {
  readonly s: Stage;
  readonly size: FloatSize;
  readonly packed: boolean;
  /** Prefix of the operators: f32, f64, f32x4, f64x2. */
  readonly #prefix: string;

  constructor(s: Stage, shape: Shape, size: FloatSize) {
    this.s = s;
    this.size = size;
    this.packed = shape === "packed";
    this.#prefix = size === 4 ? (this.packed ? "f32x4" : "f32") : this.packed ? "f64x2" : "f64";
  }

  // ---- Values ---------------------------------------------------------------------------------------

  /** An operand's value: XMM register or memory of the format's width. */
  read(operand: Operand): Expr {
    if (this.packed)
      return operand.width === 16 ? operand.readV() : this.s.b.let(op("i64x2.splat", operand.read()));
    return this.fromBits(operand.read());
  }
  fromBits(bits: I64): F32 | F64 {
    const { b } = this.s;
    return this.size === 4
      ? b.let(op("f32.reinterpret_i32", bits.wrap()))
      : b.let(op("f64.reinterpret_i64", bits));
  }
  toBits(value: Expr): I64 {
    return this.size === 4 ? op("i32.reinterpret_f32", value).toU64() : op("i64.reinterpret_f64", value);
  }
  /** Writes an XMM register: whole, or the low element alone. */
  write(operand: Operand, value: Expr): void {
    if (this.packed) operand.writeV(value as V128);
    else writeElement(operand, this.toBits(value));
  }
  /** Hands the operands to the soft path and leaves for it. */
  soft(helper: string, first: Expr, second: Expr): void {
    const { s } = this;
    this.#store(first, SOFT_FIRST);
    this.#store(second, SOFT_SECOND);
    s.exits.helper(helper);
  }
  #store(value: Expr, offset: number): void {
    this.s.b.store(`${value.type}.store`, this.s.cpu, value, offset);
  }

  /** An arithmetic operator by its WebAssembly name without the type. */
  compute(name: string, ...values: Expr[]): Expr {
    return this.s.b.let(op(`${this.#prefix}.${name}`, ...values) as Expr);
  }
  constant(value: number): Expr {
    const element = this.size === 4 ? new Float32Array([value]) : new Float64Array([value]);
    const bytes = new Uint8Array(element.buffer);
    if (this.packed) return v128(Array.from({ length: 16 }, (_, i) => bytes[i % this.size]!));
    const view = new DataView(bytes.buffer);
    return this.size === 4
      ? op("f32.reinterpret_i32", i32(view.getInt32(0, true)))
      : op("f64.reinterpret_i64", i64(view.getBigInt64(0, true)));
  }

  // ---- Masks ------------------------------------------------------------------------------------------

  compare(name: "eq" | "ne" | "lt" | "le" | "gt" | "ge", a: Expr, b: Expr): Mask {
    return op(`${this.#prefix}.${name}`, a, b) as Expr;
  }
  and(first: Mask, ...others: Mask[]): Mask {
    return others.reduce((sum, mask) => op(this.packed ? "v128.and" : "i32.and", sum, mask), first);
  }
  or(a: Mask, b: Mask): Mask {
    return op(this.packed ? "v128.or" : "i32.or", a, b);
  }
  /** Whether every element's mask holds. */
  all(mask: Mask): I32 {
    if (!this.packed) return mask as I32;
    return op(`${this.size === 4 ? "i32x4" : "i64x2"}.all_true`, mask);
  }
  pick(mask: Mask, then: Expr, otherwise: Expr): Expr {
    if (this.packed) return op("v128.bitselect", then, otherwise, mask);
    return select(mask as I32, then, otherwise);
  }

  // ---- What the host may be trusted with ------------------------------------------------------------

  get #leastNormal(): Expr {
    return this.constant(this.size === 4 ? 2 ** -126 : 2 ** -1022);
  }
  isZero(value: Expr): Mask {
    return this.compare("eq", value, this.constant(0));
  }
  /** Normal or infinite: neither NaN nor zero nor denormal. */
  isSized(value: Expr): Mask {
    return this.compare("ge", op(`${this.#prefix}.abs`, value) as Expr, this.#leastNormal);
  }
  /** A number that is not denormal, or an infinity. */
  isOrdinary(value: Expr): Mask {
    return this.or(this.isSized(value), this.isZero(value));
  }
  isFinite(value: Expr): Mask {
    return this.isBelow(value, Number.POSITIVE_INFINITY);
  }
  /** |value| < limit; false for NaN. */
  isBelow(value: Expr, limit: number): Mask {
    return this.compare("lt", op(`${this.#prefix}.abs`, value) as Expr, this.constant(limit));
  }
  /** |value| > limit; false for NaN. */
  isAbove(value: Expr, limit: number): Mask {
    return this.compare("gt", op(`${this.#prefix}.abs`, value) as Expr, this.constant(limit));
  }
  /**
   * A finite result above the least normal number: neither overflow nor, since tininess is found after
   * rounding (SDM vol. 1 4.9.1.5), underflow. The least normal itself may have been tiny before rounding.
   */
  isSafeResult(value: Expr): Mask {
    const magnitude = this.s.b.let(op(`${this.#prefix}.abs`, value) as Expr);
    return this.and(
      this.compare("gt", magnitude, this.#leastNormal),
      this.compare("lt", magnitude, this.constant(Number.POSITIVE_INFINITY)),
    );
  }
}
