/** The typed WebAssembly builder. It knows nothing of x86. */
export {
  Expr,
  type ExprByType,
  F32,
  F64,
  type FunctionRef,
  type FunctionType,
  f32,
  f64,
  I32,
  type I32Like,
  I64,
  type I64Like,
  i32,
  i64,
  makeExpr,
  type Node,
  toI32,
  toI64,
  V128,
  v128,
} from "./expr.ts";
export { FunctionBuilder, type Label } from "./function.ts";
export { ModuleBuilder, type TypeRef } from "./module.ts";
export { MEMORY_OPERATORS, OPERATORS, type ValType } from "./opcodes.ts";
export * from "./operations.ts";
