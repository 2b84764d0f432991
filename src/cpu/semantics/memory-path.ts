/**
 * The inline fast path to guest memory: a TLB compare, then a plain load or store; everything else goes
 * through the MMU's slow paths (imports with i32 arguments).
 */
import {
  call,
  choose,
  type FunctionBuilder,
  type FunctionRef,
  type I32,
  type I64,
  i32,
  i64,
  load,
  type ModuleBuilder,
  op,
  toI32,
  type V128,
} from "../../wasm/index.ts";
import {
  CR4,
  FAULT_ERROR,
  FAULT_VECTOR,
  HELPER_VALUE,
  MODE,
  RAM,
  TLB_ADDEND,
  TLB_ENTRIES,
  TLB_KEY,
  TLB_READ,
  TLB_WRITE,
} from "../layout.ts";
import { Mode } from "../modes.ts";
import { Cr4 } from "../registers.ts";
import type { Width } from "./flags.ts";
import { LOAD, type MemoryOperand, STORE } from "./operands.ts";
import type { Stage } from "./stage.ts";

/** Bits of the slow paths' size argument beside the size in bytes (0-7). */
export const SLOW_STACK = 0x100;
/** slowWrite: the old contents are needed too. */
export const SLOW_MODIFY = 0x200;

/** The MMU functions that emitted code imports; all parameters and results are i32. */
export interface MemoryImports {
  /** (record, low, high, size | SLOW_*) -> host address, 0 after a fault. */
  readonly slowRead: FunctionRef;
  readonly slowWrite: FunctionRef;
  /** Writes SCRATCH back after a store that crossed a page or went to a device. */
  readonly commit: FunctionRef;
  /** (record, offset, size | segment << 8 | write << 16) -> 1, linear address in HELPER_VALUE; 0 after a fault. */
  readonly legacyAddress: FunctionRef;
}

export function importMemoryFunctions(m: ModuleBuilder): MemoryImports {
  const four = ["i32", "i32", "i32", "i32"] as const;
  return {
    slowRead: m.importFunction("mmu", "slowRead", four, ["i32"]),
    slowWrite: m.importFunction("mmu", "slowWrite", four, ["i32"]),
    commit: m.importFunction("mmu", "commit", [], []),
    legacyAddress: m.importFunction("mmu", "legacyAddress", ["i32", "i32", "i32"], ["i32"]),
  };
}

export class MemoryPath {
  readonly #b: FunctionBuilder;
  readonly #cpu: I32;
  readonly #record: I32;
  readonly #imports: MemoryImports;

  constructor(b: FunctionBuilder, cpu: I32, record: I32, imports: MemoryImports) {
    this.#b = b;
    this.#cpu = cpu;
    this.#record = record;
    this.#imports = imports;
  }

  recordFault(vector: number, error: number | I32): void {
    this.#b.store("i32.store", this.#cpu, i32(vector), FAULT_VECTOR);
    this.#b.store("i32.store", this.#cpu, toI32(error), FAULT_ERROR);
  }

  /** SS.B: the stack pointer is 32 bits wide. */
  stack32(): I32 {
    return load("i32.load", this.#cpu, MODE).and(Mode.STACK_32);
  }

  /** Whether a 64-bit linear address is not canonical: bits above 47 (56 with CR4.LA57) differ from it. */
  nonCanonical(address: I64): I32 {
    const shift = choose(load("i32.load", this.#cpu, CR4).and(Cr4.LA57), i64(7), i64(16));
    const amount = this.#b.let(shift);
    return address.shl(amount).shrS(amount).ne(address);
  }

  legacyLinear(stage: Stage, operand: MemoryOperand, write: boolean): I64 {
    const segment = operand.segment === null ? stage.fields.flags().and(7) : i32(operand.segment);
    const done = call(
      this.#imports.legacyAddress,
      this.#record,
      operand.offset.wrap(),
      i32(operand.width | (write ? 0x1_0000 : 0)).or(segment.shl(8)),
    );
    this.#b.if(done.eqz(), () => stage.exits.fault());
    return this.#b.let(load("i64.load32_u", this.#cpu, HELPER_VALUE));
  }

  /** Address of the TLB entry of a linear address, less the array's offset. */
  #entry(linear: I64): I32 {
    // (page number mod entries) * 16, from bits 12 and up.
    return this.#b.let(
      this.#cpu.add(
        linear
          .shrU(8)
          .wrap()
          .and((TLB_ENTRIES - 1) << 4),
      ),
    );
  }

  #hit(entry: I32, linear: I64, size: number, array: number): I32 {
    const last = size === 1 ? linear : linear.add(size - 1);
    return load("i64.load", entry, array).eq(last.and(-4096n).or(load("i64.load", this.#cpu, TLB_KEY)));
  }

  #host(entry: I32, linear: I64, array: number): I32 {
    return linear.wrap().add(load("i32.load", entry, array + TLB_ADDEND));
  }

  #slow(target: FunctionRef, linear: I64, size: number): I32 {
    return call(target, this.#record, linear.wrap(), linear.shrU(32).wrap(), i32(size));
  }

  /** Host address of `size` readable bytes. */
  readable(stage: Stage, linear: I64, size: number, stack = false): I32 {
    const b = this.#b;
    const entry = this.#entry(linear);
    const host = b.local("i32");
    b.if(
      this.#hit(entry, linear, size, TLB_READ),
      () => b.set(host, this.#host(entry, linear, TLB_READ)),
      () => {
        b.set(host, this.#slow(this.#imports.slowRead, linear, size | (stack ? SLOW_STACK : 0)));
        b.if(host.eqz(), () => stage.exits.fault());
      },
    );
    return host;
  }

  /** Host address of `size` readable bytes if the TLB has them; else `miss`, which must leave. */
  cached(linear: I64, size: number, miss: (condition: I32) => void): I32 {
    const entry = this.#entry(linear);
    miss(this.#hit(entry, linear, size, TLB_READ).eqz());
    return this.#b.let(this.#host(entry, linear, TLB_READ));
  }

  /** Host address of `size` writable bytes; `settle` has to follow the store. */
  writable(
    stage: Stage,
    linear: I64,
    size: number,
    options: { stack?: boolean; modify?: boolean } = {},
  ): I32 {
    const b = this.#b;
    const entry = this.#entry(linear);
    const host = b.local("i32");
    const flags = (options.stack ? SLOW_STACK : 0) | (options.modify ? SLOW_MODIFY : 0);
    b.if(
      this.#hit(entry, linear, size, TLB_WRITE),
      () => b.set(host, this.#host(entry, linear, TLB_WRITE)),
      () => {
        b.set(host, this.#slow(this.#imports.slowWrite, linear, size | flags));
        b.if(host.eqz(), () => stage.exits.fault());
      },
    );
    return host;
  }

  /** After a store through `writable`: writes back what went to SCRATCH, which lies below RAM. */
  settle(host: I32): void {
    const b = this.#b;
    b.if(host.ltU(RAM), () => b.call(this.#imports.commit));
  }

  load(stage: Stage, linear: I64, width: Width, stack = false): I64 {
    return this.#b.let(load(LOAD[width], this.readable(stage, linear, width, stack)));
  }

  store(stage: Stage, linear: I64, width: Width, value: I64, stack = false): void {
    const host = this.writable(stage, linear, width, { stack });
    this.#b.store(STORE[width], host, value);
    this.settle(host);
  }

  update(stage: Stage, linear: I64, width: Width, compute: (old: I64) => I64, stack = false): void {
    const b = this.#b;
    const host = this.writable(stage, linear, width, { modify: true, stack });
    const old = b.let(load(LOAD[width], host));
    b.store(STORE[width], host, compute(old));
    this.settle(host);
  }

  loadV(stage: Stage, linear: I64): V128 {
    return this.#b.let(load("v128.load", this.readable(stage, linear, 16)));
  }

  storeV(stage: Stage, linear: I64, value: V128): void {
    const host = this.writable(stage, linear, 16);
    this.#b.store("v128.store", host, value);
    this.settle(host);
  }
}

/** Zero vector. */
export function zeroV(): V128 {
  return op("i64x2.splat", i64(0));
}
