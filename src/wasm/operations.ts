/** Expressions that no method makes: operators by name, loads, choices, calls. */
import {
  type Expr,
  type F32,
  type F64,
  type FunctionRef,
  type FunctionType,
  type I32,
  type I32Like,
  type I64,
  makeExpr,
  operate,
  toI32,
  type V128,
} from "./expr.ts";
import { memoryOperator, operator, type ValType } from "./opcodes.ts";

function checkArguments(name: string, params: readonly ValType[], args: readonly Expr[]): void {
  if (args.length !== params.length || args.some((a, i) => a.type !== params[i])) {
    throw new Error(`${name} takes (${params.join(", ")}), given (${args.map((a) => a.type).join(", ")})`);
  }
}

/**
 * Any operator by its WebAssembly name, for those without a method: `op("i16x8.add_sat_s", a, b)`.
 * Lane immediates of extract, replace and shuffle follow in `lanes`.
 * @throws Error on an unknown name, a wrong number or type of operands, or wrong lanes.
 */
export function op(
  name: `i32.${string}` | `${string}.any_true` | `${string}.all_true` | `${string}.bitmask`,
  ...args: Expr[]
): I32;
export function op(name: `i64.${string}`, ...args: Expr[]): I64;
export function op(name: `f32.${string}`, ...args: Expr[]): F32;
export function op(name: `f64.${string}`, ...args: Expr[]): F64;
export function op(name: string, ...args: Expr[]): V128;
export function op(name: string, ...args: Expr[]): Expr {
  return lane(name, [], ...args);
}

/** As `op`, for operators with lane immediates; the caller names the result's class. */
export function lane<T extends Expr = V128>(name: string, lanes: readonly number[], ...args: Expr[]): T {
  const { params, result, lanes: expected } = operator(name);
  checkArguments(name, params, args);
  if (lanes.length !== expected)
    throw new Error(`${name} takes ${expected} lane indices, given ${lanes.length}`);
  return makeExpr(result, operate(name, args, lanes)) as unknown as T;
}

/** Reads memory: `load("i64.load32_u", address, offset)`. Alignment is never promised. */
export function load(name: `i32.${string}`, address: I32Like, offset?: number): I32;
export function load(name: `i64.${string}`, address: I32Like, offset?: number): I64;
export function load(name: `f32.${string}`, address: I32Like, offset?: number): F32;
export function load(name: `f64.${string}`, address: I32Like, offset?: number): F64;
export function load(name: `v128.${string}`, address: I32Like, offset?: number): V128;
export function load(name: string, address: I32Like, offset = 0): Expr {
  const memory = memoryOperator(name);
  return makeExpr(memory.type, { kind: "load", op: memory, address: toI32(address), offset });
}

/** `condition ? then : otherwise` without a branch; both sides are evaluated. */
export function select<T extends Expr>(condition: I32, then: T, otherwise: T): T {
  if (condition.constant !== null) return condition.constant !== 0 ? then : otherwise;
  return makeExpr(then.type, { kind: "select", condition, then, otherwise }) as unknown as T;
}

/** `condition ? then : otherwise` with a branch; only one side is evaluated. */
export function choose<T extends Expr>(condition: I32, then: T, otherwise: T): T {
  if (condition.constant !== null) return condition.constant !== 0 ? then : otherwise;
  return makeExpr(then.type, { kind: "if", condition, then, otherwise }) as unknown as T;
}

/** Calls a function with exactly one result. */
export function call<T extends Expr = I32>(target: FunctionRef, ...args: Expr[]): T {
  checkArguments(target.name, target.params, args);
  const [result] = target.results;
  if (!result) throw new Error(`${target.name} has no result: use the call statement`);
  return makeExpr(result, { kind: "call", target, args }) as unknown as T;
}

/** Calls through a table; `signature` comes from `ModuleBuilder.type`. */
export function callIndirect<T extends Expr = I32>(
  signature: FunctionType & { readonly index: number },
  table: number,
  index: I32,
  ...args: Expr[]
): T {
  checkArguments("call_indirect", signature.params, args);
  const [result] = signature.results;
  if (!result) throw new Error("call_indirect: the signature has no result");
  return makeExpr(result, {
    kind: "callIndirect",
    typeIndex: signature.index,
    table,
    index,
    args,
  }) as unknown as T;
}
