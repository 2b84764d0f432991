/**
 * Typed WebAssembly expressions.
 *
 * An expression is a tree; it is evaluated where the statement that uses it is emitted, each time it is used.
 * An expression used twice, or read before something it depends on changes, must go through a local
 * (`FunctionBuilder.let`). Integer operators fold constants and drop neutral elements, so that a definition
 * written for dynamic operands shrinks by itself when an operand is known.
 */
import { fold32, fold64 } from "./fold.ts";
import { type MemoryOperator, type Operator, operator, type ValType } from "./opcodes.ts";

export interface FunctionType {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

/** A function that can be called by index: an import or one of the module's own. */
export interface FunctionRef extends FunctionType {
  readonly name: string;
  readonly index: number;
}

export type Node =
  | { readonly kind: "const"; readonly value: number | bigint | Uint8Array }
  | { readonly kind: "local"; readonly index: number }
  | { readonly kind: "global"; readonly index: number }
  | {
      readonly kind: "op";
      readonly op: Operator;
      readonly args: readonly Expr[];
      readonly lanes: readonly number[];
    }
  | { readonly kind: "load"; readonly op: MemoryOperator; readonly address: I32; readonly offset: number }
  | { readonly kind: "call"; readonly target: FunctionRef; readonly args: readonly Expr[] }
  | {
      readonly kind: "callIndirect";
      readonly typeIndex: number;
      readonly table: number;
      readonly index: I32;
      readonly args: readonly Expr[];
    }
  | { readonly kind: "select"; readonly condition: I32; readonly then: Expr; readonly otherwise: Expr }
  | { readonly kind: "if"; readonly condition: I32; readonly then: Expr; readonly otherwise: Expr };

export abstract class Expr {
  abstract readonly type: ValType;
  readonly node: Node;
  constructor(node: Node) {
    this.node = node;
  }
}

export type I32Like = I32 | number;
export type I64Like = I64 | bigint | number;

/** An operator by its WebAssembly name. */
export function operate(name: string, args: readonly Expr[], lanes: readonly number[] = []): Node {
  return { kind: "op", op: operator(name), args, lanes };
}

function binary32(name: string, a: I32, b: I32Like): I32 {
  const right = toI32(b);
  return fold32(name, a, right) ?? new I32(operate(`i32.${name}`, [a, right]));
}

function binary64(name: string, a: I64, b: I64Like): I64 {
  const right = toI64(b);
  return fold64(name, a, right) ?? new I64(operate(`i64.${name}`, [a, right]));
}

function compare64(name: string, a: I64, b: I64Like): I32 {
  const right = toI64(b);
  if (a.constant !== null && right.constant !== null) {
    return i32(compareConstants(name, a.constant, right.constant) ? 1 : 0);
  }
  return new I32(operate(`i64.${name}`, [a, right]));
}

function compareConstants(name: string, a: bigint, b: bigint): boolean {
  const [ua, ub] = [BigInt.asUintN(64, a), BigInt.asUintN(64, b)];
  switch (name) {
    case "eq":
      return a === b;
    case "ne":
      return a !== b;
    case "lt_s":
      return a < b;
    case "lt_u":
      return ua < ub;
    case "gt_s":
      return a > b;
    case "gt_u":
      return ua > ub;
    case "le_s":
      return a <= b;
    case "le_u":
      return ua <= ub;
    case "ge_s":
      return a >= b;
    default:
      return ua >= ub;
  }
}

export class I32 extends Expr {
  override readonly type = "i32";
  /** The value when it is a constant (signed), else null. */
  get constant(): number | null {
    return this.node.kind === "const" ? (this.node.value as number) : null;
  }
  add(b: I32Like): I32 {
    return binary32("add", this, b);
  }
  sub(b: I32Like): I32 {
    return binary32("sub", this, b);
  }
  mul(b: I32Like): I32 {
    return binary32("mul", this, b);
  }
  divU(b: I32Like): I32 {
    return binary32("div_u", this, b);
  }
  divS(b: I32Like): I32 {
    return binary32("div_s", this, b);
  }
  remU(b: I32Like): I32 {
    return binary32("rem_u", this, b);
  }
  remS(b: I32Like): I32 {
    return binary32("rem_s", this, b);
  }
  and(b: I32Like): I32 {
    return binary32("and", this, b);
  }
  or(b: I32Like): I32 {
    return binary32("or", this, b);
  }
  xor(b: I32Like): I32 {
    return binary32("xor", this, b);
  }
  shl(b: I32Like): I32 {
    return binary32("shl", this, b);
  }
  shrS(b: I32Like): I32 {
    return binary32("shr_s", this, b);
  }
  shrU(b: I32Like): I32 {
    return binary32("shr_u", this, b);
  }
  rotl(b: I32Like): I32 {
    return binary32("rotl", this, b);
  }
  rotr(b: I32Like): I32 {
    return binary32("rotr", this, b);
  }
  eq(b: I32Like): I32 {
    return binary32("eq", this, b);
  }
  ne(b: I32Like): I32 {
    return binary32("ne", this, b);
  }
  ltU(b: I32Like): I32 {
    return binary32("lt_u", this, b);
  }
  ltS(b: I32Like): I32 {
    return binary32("lt_s", this, b);
  }
  gtU(b: I32Like): I32 {
    return binary32("gt_u", this, b);
  }
  gtS(b: I32Like): I32 {
    return binary32("gt_s", this, b);
  }
  leU(b: I32Like): I32 {
    return binary32("le_u", this, b);
  }
  leS(b: I32Like): I32 {
    return binary32("le_s", this, b);
  }
  geU(b: I32Like): I32 {
    return binary32("ge_u", this, b);
  }
  geS(b: I32Like): I32 {
    return binary32("ge_s", this, b);
  }
  /** 1 when zero, else 0. */
  eqz(): I32 {
    if (this.constant !== null) return i32(this.constant === 0 ? 1 : 0);
    return new I32(operate("i32.eqz", [this]));
  }
  clz(): I32 {
    if (this.constant !== null) return i32(Math.clz32(this.constant));
    return new I32(operate("i32.clz", [this]));
  }
  ctz(): I32 {
    return new I32(operate("i32.ctz", [this]));
  }
  popcnt(): I32 {
    return new I32(operate("i32.popcnt", [this]));
  }
  signExtend(bits: 8 | 16): I32 {
    if (this.constant !== null) return i32((this.constant << (32 - bits)) >> (32 - bits));
    return new I32(operate(`i32.extend${bits}_s`, [this]));
  }
  /** Zero-extends to 64 bits. */
  toU64(): I64 {
    if (this.constant !== null) return i64(BigInt(this.constant >>> 0));
    return new I64(operate("i64.extend_i32_u", [this]));
  }
  /** Sign-extends to 64 bits. */
  toS64(): I64 {
    if (this.constant !== null) return i64(BigInt(this.constant));
    return new I64(operate("i64.extend_i32_s", [this]));
  }
}

export class I64 extends Expr {
  override readonly type = "i64";
  /** The value when it is a constant (signed), else null. */
  get constant(): bigint | null {
    return this.node.kind === "const" ? (this.node.value as bigint) : null;
  }
  add(b: I64Like): I64 {
    return binary64("add", this, b);
  }
  sub(b: I64Like): I64 {
    return binary64("sub", this, b);
  }
  mul(b: I64Like): I64 {
    return binary64("mul", this, b);
  }
  divU(b: I64Like): I64 {
    return binary64("div_u", this, b);
  }
  divS(b: I64Like): I64 {
    return binary64("div_s", this, b);
  }
  remU(b: I64Like): I64 {
    return binary64("rem_u", this, b);
  }
  remS(b: I64Like): I64 {
    return binary64("rem_s", this, b);
  }
  and(b: I64Like): I64 {
    return binary64("and", this, b);
  }
  or(b: I64Like): I64 {
    return binary64("or", this, b);
  }
  xor(b: I64Like): I64 {
    return binary64("xor", this, b);
  }
  not(): I64 {
    return binary64("xor", this, -1n);
  }
  neg(): I64 {
    return i64(0n).sub(this);
  }
  /** Shift counts are taken modulo 64. */
  shl(b: I64Like): I64 {
    return binary64("shl", this, b);
  }
  shrS(b: I64Like): I64 {
    return binary64("shr_s", this, b);
  }
  shrU(b: I64Like): I64 {
    return binary64("shr_u", this, b);
  }
  rotl(b: I64Like): I64 {
    return binary64("rotl", this, b);
  }
  rotr(b: I64Like): I64 {
    return binary64("rotr", this, b);
  }
  eq(b: I64Like): I32 {
    return compare64("eq", this, b);
  }
  ne(b: I64Like): I32 {
    return compare64("ne", this, b);
  }
  ltU(b: I64Like): I32 {
    return compare64("lt_u", this, b);
  }
  ltS(b: I64Like): I32 {
    return compare64("lt_s", this, b);
  }
  gtU(b: I64Like): I32 {
    return compare64("gt_u", this, b);
  }
  gtS(b: I64Like): I32 {
    return compare64("gt_s", this, b);
  }
  leU(b: I64Like): I32 {
    return compare64("le_u", this, b);
  }
  leS(b: I64Like): I32 {
    return compare64("le_s", this, b);
  }
  geU(b: I64Like): I32 {
    return compare64("ge_u", this, b);
  }
  geS(b: I64Like): I32 {
    return compare64("ge_s", this, b);
  }
  /** 1 when zero, else 0. */
  eqz(): I32 {
    if (this.constant !== null) return i32(this.constant === 0n ? 1 : 0);
    return new I32(operate("i64.eqz", [this]));
  }
  clz(): I64 {
    return new I64(operate("i64.clz", [this]));
  }
  ctz(): I64 {
    return new I64(operate("i64.ctz", [this]));
  }
  popcnt(): I64 {
    return new I64(operate("i64.popcnt", [this]));
  }
  /** Sign-extends the low `bits`; 64 is the identity. */
  signExtend(bits: 8 | 16 | 32 | 64): I64 {
    if (bits === 64) return this;
    if (this.constant !== null) return i64(BigInt.asIntN(bits, this.constant));
    return new I64(operate(`i64.extend${bits}_s`, [this]));
  }
  /** The low 32 bits. */
  wrap(): I32 {
    if (this.constant !== null) return i32(Number(BigInt.asIntN(32, this.constant)));
    return new I32(operate("i32.wrap_i64", [this]));
  }
}

export class F32 extends Expr {
  override readonly type = "f32";
}
export class F64 extends Expr {
  override readonly type = "f64";
}
export class V128 extends Expr {
  override readonly type = "v128";
}

export interface ExprByType {
  i32: I32;
  i64: I64;
  f32: F32;
  f64: F64;
  v128: V128;
}

/** Wraps a node in the class of its type. */
export function makeExpr<T extends ValType>(type: T, node: Node): ExprByType[T] {
  const classes = { i32: I32, i64: I64, f32: F32, f64: F64, v128: V128 };
  return new classes[type](node) as ExprByType[T];
}

export function i32(value: number): I32 {
  return new I32({ kind: "const", value: value | 0 });
}
export function i64(value: bigint | number): I64 {
  return new I64({ kind: "const", value: BigInt.asIntN(64, BigInt(value)) });
}
export function f32(value: number): F32 {
  return new F32({ kind: "const", value });
}
export function f64(value: number): F64 {
  return new F64({ kind: "const", value });
}
/** A 16-byte constant, lowest byte first. */
export function v128(bytes: ArrayLike<number>): V128 {
  if (bytes.length !== 16) throw new Error(`a v128 constant has 16 bytes, not ${bytes.length}`);
  return new V128({ kind: "const", value: Uint8Array.from(bytes) });
}
export function toI32(value: I32Like): I32 {
  return typeof value === "number" ? i32(value) : value;
}
export function toI64(value: I64Like): I64 {
  return value instanceof I64 ? value : i64(value);
}
