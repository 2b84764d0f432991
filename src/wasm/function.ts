/** Builds one function body: statements, structured control flow, scoped locals. */
import { ByteWriter } from "./encode.ts";
import {
  type Expr,
  type ExprByType,
  type FunctionRef,
  type I32,
  type I32Like,
  makeExpr,
  toI32,
} from "./expr.ts";
import { memoryOperator, VALTYPE_CODE, type ValType } from "./opcodes.ts";

/** A branch target. Branching to a block's label leaves it; to a loop's label repeats it. */
export interface Label {
  readonly depth: number;
}

const BLOCK = 0x02;
const LOOP = 0x03;
const IF = 0x04;
const ELSE = 0x05;
const END = 0x0b;
const VOID = 0x40;

export class FunctionBuilder {
  readonly #body = new ByteWriter();
  readonly #types: ValType[];
  readonly #paramCount: number;
  readonly #results: readonly ValType[];
  #depth = 0;
  /** Locals of each type that no open scope uses. */
  readonly #free: Record<ValType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #scope: number[] = [];

  constructor(params: readonly ValType[], results: readonly ValType[]) {
    this.#types = [...params];
    this.#paramCount = params.length;
    this.#results = results;
  }

  /** Size of the code emitted so far, bytes. */
  get size(): number {
    return this.#body.length;
  }

  /** The function's parameter number `index`. */
  param<T extends ValType>(index: number, type: T): ExprByType[T] {
    if (index >= this.#paramCount || this.#types[index] !== type) {
      throw new Error(`parameter ${index} is ${this.#types[index] ?? "absent"}, not ${type}`);
    }
    return makeExpr(type, { kind: "local", index });
  }

  /** A new local of the current scope. Its value is undefined: locals of closed scopes are reused. */
  local<T extends ValType>(type: T): ExprByType[T] {
    const index = this.#free[type].pop() ?? this.#types.push(type) - 1;
    this.#scope.push(index);
    return makeExpr(type, { kind: "local", index });
  }

  /**
   * Evaluates now and names the value. Constants stay constants, so that folding goes on behind a `let`.
   */
  let<T extends Expr>(value: T): T {
    if (value.node.kind === "const") return value;
    const local = this.local(value.type);
    this.set(local, value);
    return local as unknown as T;
  }

  /** Assigns a local or a mutable global. */
  set(target: Expr, value: Expr): void {
    if (target.type !== value.type) throw new Error(`set: ${value.type} into ${target.type}`);
    this.#emit(value);
    if (target.node.kind === "local") this.#body.u8(0x21).leb(target.node.index);
    else if (target.node.kind === "global") this.#body.u8(0x24).leb(target.node.index);
    else throw new Error("set: the target is neither a local nor a global");
  }

  /** Locals made inside are free for reuse afterwards. */
  scope(body: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    body();
    for (const index of this.#scope) this.#free[this.#types[index]!].push(index);
    this.#scope = outer;
  }

  #structured(opcode: number, body: (label: Label) => void): void {
    this.#body.u8(opcode).u8(VOID);
    this.#depth++;
    const label = { depth: this.#depth };
    this.scope(() => body(label));
    this.#depth--;
    this.#body.u8(END);
  }

  block(body: (exit: Label) => void): void {
    this.#structured(BLOCK, body);
  }

  loop(body: (again: Label) => void): void {
    this.#structured(LOOP, body);
  }

  /** A known condition emits only the side taken. */
  if(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.constant !== null) {
      if (condition.constant !== 0) this.scope(then);
      else if (otherwise) this.scope(otherwise);
      return;
    }
    this.#emit(condition);
    this.#structured(IF, () => {
      this.scope(then);
      if (otherwise) {
        this.#body.u8(ELSE);
        this.scope(otherwise);
      }
    });
  }

  br(target: Label): void {
    this.#body.u8(0x0c).leb(this.#relative(target));
  }

  brIf(target: Label, condition: I32): void {
    if (condition.constant === 0) return;
    this.#emit(condition);
    this.#body.u8(0x0d).leb(this.#relative(target));
  }

  /** Branches to `targets[index]`, or to `fallback` when the index is out of range. */
  brTable(index: I32, targets: readonly Label[], fallback: Label): void {
    this.#emit(index);
    this.#body.u8(0x0e).leb(targets.length);
    for (const target of targets) this.#body.leb(this.#relative(target));
    this.#body.leb(this.#relative(fallback));
  }

  #relative(target: Label): number {
    const distance = this.#depth - target.depth;
    if (distance < 0) throw new Error("branch to a label that is not open");
    return distance;
  }

  return(...values: Expr[]): void {
    if (values.length !== this.#results.length || values.some((v, i) => v.type !== this.#results[i])) {
      throw new Error(`return of (${values.map((v) => v.type)}) from a function of (${this.#results})`);
    }
    for (const value of values) this.#emit(value);
    this.#body.u8(0x0f);
  }

  /** Evaluates for the effect. */
  drop(value: Expr): void {
    this.#emit(value);
    this.#body.u8(0x1a);
  }

  unreachable(): void {
    this.#body.u8(0x00);
  }

  /** Writes memory: `store("i64.store32", address, value, offset)`. Alignment is never promised. */
  store(name: string, address: I32Like, value: Expr, offset = 0): void {
    const memory = memoryOperator(name);
    if (!name.includes(".store")) throw new Error(`${name} is not a store`);
    if (value.type !== memory.type) throw new Error(`${name} of ${value.type}`);
    this.#emit(toI32(address));
    this.#emit(value);
    if (memory.prefix) this.#body.u8(memory.prefix).leb(memory.code);
    else this.#body.u8(memory.code);
    this.#body.leb(0).leb(offset);
  }

  /** Calls a function without results. */
  call(target: FunctionRef, ...args: Expr[]): void {
    if (target.results.length !== 0) throw new Error(`${target.name} has a result: use the call expression`);
    if (args.length !== target.params.length || args.some((a, i) => a.type !== target.params[i])) {
      throw new Error(`${target.name} takes (${target.params}), given (${args.map((a) => a.type)})`);
    }
    for (const argument of args) this.#emit(argument);
    this.#body.u8(0x10).leb(target.index);
  }

  /** memory.copy: regions may overlap. */
  memoryCopy(destination: I32, source: I32, length: I32): void {
    for (const value of [destination, source, length]) this.#emit(value);
    this.#body.u8(0xfc).leb(10).u8(0).u8(0);
  }

  /** memory.fill with the low byte of `value`. */
  memoryFill(destination: I32, value: I32, length: I32): void {
    for (const operand of [destination, value, length]) this.#emit(operand);
    this.#body.u8(0xfc).leb(11).u8(0);
  }

  #emit(expr: Expr): void {
    const { node } = expr;
    const body = this.#body;
    switch (node.kind) {
      case "const":
        this.#constant(expr.type, node.value);
        break;
      case "local":
        body.u8(0x20).leb(node.index);
        break;
      case "global":
        body.u8(0x23).leb(node.index);
        break;
      case "op":
        for (const argument of node.args) this.#emit(argument);
        if (node.op.prefix) body.u8(node.op.prefix).leb(node.op.code);
        else body.u8(node.op.code);
        body.bytes(node.lanes);
        break;
      case "load":
        this.#emit(node.address);
        if (node.op.prefix) body.u8(node.op.prefix).leb(node.op.code);
        else body.u8(node.op.code);
        body.leb(0).leb(node.offset);
        break;
      case "call":
        for (const argument of node.args) this.#emit(argument);
        body.u8(0x10).leb(node.target.index);
        break;
      case "callIndirect":
        for (const argument of node.args) this.#emit(argument);
        this.#emit(node.index);
        body.u8(0x11).leb(node.typeIndex).leb(node.table);
        break;
      case "select":
        this.#emit(node.then);
        this.#emit(node.otherwise);
        this.#emit(node.condition);
        if (expr.type === "v128") body.u8(0x1c).leb(1).u8(VALTYPE_CODE.v128);
        else body.u8(0x1b);
        break;
      case "if":
        this.#emit(node.condition);
        body.u8(IF).u8(VALTYPE_CODE[expr.type]);
        this.#depth++;
        this.#emit(node.then);
        body.u8(ELSE);
        this.#emit(node.otherwise);
        this.#depth--;
        body.u8(END);
        break;
    }
  }

  #constant(type: ValType, value: number | bigint | Uint8Array): void {
    const body = this.#body;
    if (type === "i32") body.u8(0x41).sleb32(value as number);
    else if (type === "i64") body.u8(0x42).sleb64(value as bigint);
    else if (type === "f32") body.u8(0x43).f32(value as number);
    else if (type === "f64") body.u8(0x44).f64(value as number);
    else
      body
        .u8(0xfd)
        .leb(12)
        .bytes(value as Uint8Array);
  }

  /** The encoded body: local declarations (runs of one type) and code. */
  finish(): ByteWriter {
    const out = new ByteWriter();
    const declared = this.#types.slice(this.#paramCount);
    const runs: [number, ValType][] = [];
    for (const type of declared) {
      const last = runs.at(-1);
      if (last && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    out.leb(runs.length);
    for (const [count, type] of runs) out.leb(count).u8(VALTYPE_CODE[type]);
    return out.append(this.#body).u8(END);
  }
}
