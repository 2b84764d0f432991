/** The typed WebAssembly builder. It knows nothing of x86. */
export * from "./expr.ts";
export { FunctionBuilder, type Label } from "./function.ts";
export { ModuleBuilder, type TypeRef } from "./module.ts";
export { MEMORY_OPERATORS, OPERATORS, type ValType } from "./opcodes.ts";
