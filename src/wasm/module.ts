/** Assembles a WebAssembly module: types, imports, functions, tables, globals, exports, names. */
import { ByteWriter } from "./encode.ts";
import { type ExprByType, type FunctionRef, type FunctionType, makeExpr } from "./expr.ts";
import { FunctionBuilder } from "./function.ts";
import { VALTYPE_CODE, type ValType } from "./opcodes.ts";

export interface TypeRef extends FunctionType {
  readonly index: number;
}

export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #typeIndex = new Map<string, number>();
  readonly #imports: { module: string; name: string; kind: number; description: ByteWriter }[] = [];
  readonly #functions: { ref: FunctionRef; body: ByteWriter | null }[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  readonly #names: [number, string][] = [];
  #importedFunctions = 0;
  #globals = 0;
  #tables = 0;

  /** The index of a function type, for `callIndirect`. */
  type(params: readonly ValType[], results: readonly ValType[]): TypeRef {
    const key = `${params}>${results}`;
    let index = this.#typeIndex.get(key);
    if (index === undefined) {
      index = this.#types.push({ params, results }) - 1;
      this.#typeIndex.set(key, index);
    }
    return { params, results, index };
  }

  #import(module: string, name: string, kind: number, description: ByteWriter): void {
    this.#imports.push({ module, name, kind, description });
  }

  /** Imports a memory of at least `minimum` 64-KiB pages. */
  importMemory(module: string, name: string, minimum: number): void {
    this.#import(module, name, 2, new ByteWriter().u8(0).leb(minimum));
  }

  /** Imports a table of functions; returns its index. */
  importTable(module: string, name: string, minimum: number): number {
    this.#import(module, name, 1, new ByteWriter().u8(0x70).u8(0).leb(minimum));
    return this.#tables++;
  }

  /** Imports an immutable global: a value fixed at instantiation. */
  importGlobal<T extends ValType>(module: string, name: string, type: T): ExprByType[T] {
    this.#import(module, name, 3, new ByteWriter().u8(VALTYPE_CODE[type]).u8(0));
    return makeExpr(type, { kind: "global", index: this.#globals++ });
  }

  /** @throws Error after the first `function`: imports come first in the index space. */
  importFunction(
    module: string,
    name: string,
    params: readonly ValType[],
    results: readonly ValType[],
  ): FunctionRef {
    if (this.#functions.length > 0) throw new Error(`import ${name} after the first function`);
    this.#import(module, name, 0, new ByteWriter().leb(this.type(params, results).index));
    const index = this.#importedFunctions++;
    this.#names.push([index, name]);
    return { name, index, params, results };
  }

  /** Declares a function whose body follows in `define`, so that functions can call each other. */
  declare(name: string, params: readonly ValType[], results: readonly ValType[]): FunctionRef {
    this.type(params, results);
    const index = this.#importedFunctions + this.#functions.length;
    const ref = { name, index, params, results };
    this.#functions.push({ ref, body: null });
    this.#names.push([index, name]);
    return ref;
  }

  /**
   * Writes a declared function's body. A function with results must end in `return` (or never end).
   * @returns the size of the body in bytes.
   */
  define(ref: FunctionRef, build: (b: FunctionBuilder) => void): number {
    const entry = this.#functions[ref.index - this.#importedFunctions];
    if (!entry || entry.ref !== ref) throw new Error(`${ref.name} was not declared here`);
    if (entry.body) throw new Error(`${ref.name} is defined twice`);
    const builder = new FunctionBuilder(ref.params, ref.results);
    build(builder);
    // Results leave by `return`, so the end of the body is not reached; say so to the validator.
    if (ref.results.length > 0) builder.unreachable();
    entry.body = builder.finish();
    return entry.body.length;
  }

  /** Declares, defines and optionally exports. */
  function(
    name: string,
    params: readonly ValType[],
    results: readonly ValType[],
    build: (b: FunctionBuilder) => void,
    options: { export?: boolean } = {},
  ): FunctionRef {
    const ref = this.declare(name, params, results);
    this.define(ref, build);
    if (options.export) this.export(ref);
    return ref;
  }

  export(ref: FunctionRef, name = ref.name): void {
    this.#exports.push({ name, kind: 0, index: ref.index });
  }

  /** The module in the binary format. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter().bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, count: number, fill: (w: ByteWriter) => void) => {
      if (count === 0) return;
      const content = new ByteWriter().leb(count);
      fill(content);
      out.u8(id).sized(content);
    };
    section(1, this.#types.length, (w) => {
      for (const { params, results } of this.#types) {
        w.u8(0x60);
        for (const list of [params, results]) w.leb(list.length).bytes(list.map((t) => VALTYPE_CODE[t]));
      }
    });
    section(2, this.#imports.length, (w) => {
      for (const entry of this.#imports) {
        w.name(entry.module).name(entry.name).u8(entry.kind).append(entry.description);
      }
    });
    section(3, this.#functions.length, (w) => {
      for (const { ref } of this.#functions) w.leb(this.type(ref.params, ref.results).index);
    });
    section(7, this.#exports.length, (w) => {
      for (const { name, kind, index } of this.#exports) w.name(name).u8(kind).leb(index);
    });
    section(10, this.#functions.length, (w) => {
      for (const { ref, body } of this.#functions) {
        if (!body) throw new Error(`${ref.name} has no body`);
        w.sized(body);
      }
    });
    const names = new ByteWriter().leb(this.#names.length);
    for (const [index, name] of this.#names) names.leb(index).name(name);
    const custom = new ByteWriter().name("name").u8(1).sized(names);
    out.u8(0).sized(custom);
    return out.view().slice();
  }
}
