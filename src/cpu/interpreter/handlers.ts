/**
 * The handler numbering, and the handlers that are functions of their own.
 *
 * Numbers 0 to BUILTINS-1 belong to no instruction, the hot forms follow, all others are given out when a
 * form is first decoded; its function is compiled then, so that start-up pays only for what a guest uses.
 */
import { call, choose, type FunctionBuilder, type I32, i32, load, ModuleBuilder } from "../../wasm/index.ts";
import type { CostModel } from "../cost.ts";
import type { HandlerSource } from "../decode/decoder.ts";
import type { Row } from "../decode/rows.ts";
import { RIP, RIP_PAGE } from "../layout.ts";
import { importMemoryFunctions } from "../semantics/memory-path.ts";
import type { Definitions, Exits, Fields, Form } from "../semantics/stage.ts";
import { emitForm } from "./emit.ts";
import { dynamicFields } from "./fields.ts";
import { formName, hotForms } from "./forms.ts";
import { buildMainFunction } from "./main-function.ts";
import { BUILTINS, HandlerOutcome } from "./outcome.ts";
import { type PrebuiltMain, prebuilt } from "./prebuilt.ts";

/** What the TypeScript side provides to emitted code. */
export interface HostFunctions {
  readonly memory: WebAssembly.Memory;
  readonly slowRead: (record: number, low: number, high: number, size: number) => number;
  readonly slowWrite: (record: number, low: number, high: number, size: number) => number;
  readonly commit: () => void;
  readonly legacyAddress: (record: number, offset: number, size: number) => number;
  /** Calls helper number `index` for the instruction at `record`; returns a `HandlerOutcome`. */
  readonly helper: (index: number, record: number) => number;
}

/** Numbers helpers by name. */
export class HelperNames {
  readonly names: string[] = [];
  readonly #index = new Map<string, number>();

  readonly index = (name: string): number => {
    let index = this.#index.get(name);
    if (index === undefined) {
      index = this.names.push(name) - 1;
      this.#index.set(name, index);
    }
    return index;
  };
}

/** Room for the handler numbers of every form there is. */
const TABLE_SIZE = 0x4000;

/** A handler's exits: it returns its outcome. */
function functionExits(
  b: FunctionBuilder,
  cpu: I32,
  fields: Fields,
  callHelper: (name: string) => I32,
): Exits {
  const next = () => load("i64.load", cpu, RIP_PAGE).add(fields.next().toU64());
  return {
    fault: () => b.return(i32(HandlerOutcome.FAULT)),
    jump: (target) => {
      b.store("i64.store", cpu, target, RIP);
      b.return(i32(HandlerOutcome.JUMP));
    },
    branch: (taken) => b.return(choose(taken, i32(HandlerOutcome.TAKEN), i32(HandlerOutcome.NEXT))),
    event: () => {
      b.store("i64.store", cpu, next(), RIP);
      b.return(i32(HandlerOutcome.EVENT));
    },
    helper: (name) => b.return(callHelper(name)),
  };
}

/**
 * A module with one function `handler(cpu, record) -> HandlerOutcome` for a form. With `constants` the
 * fields are fixed: the specialised stage.
 */
export function buildHandlerModule(
  form: Form,
  definitions: Definitions,
  helperIndex: (name: string) => number,
  constants?: Fields,
  costs: CostModel | null = null,
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", 1);
  const imports = importMemoryFunctions(m);
  const helper = m.importFunction("env", "helper", ["i32", "i32"], ["i32"]);
  const handler = m.declare(`handler ${formName(form)}`, ["i32", "i32"], ["i32"]);
  m.define(handler, (b) => {
    const cpu = b.param(0, "i32");
    const record = b.param(1, "i32");
    const fields = constants ?? dynamicFields(record);
    const exits = functionExits(b, cpu, fields, (name) => call(helper, i32(helperIndex(name)), record));
    emitForm(form, definitions, { b, cpu, record, fields, exits, imports, costs });
    b.return(i32(HandlerOutcome.CONTINUE));
  });
  m.export(handler, "handler");
  return m.toBytes();
}

/** Emits the main function: the hot forms of the tables become its arms. */
export function buildMain(
  rows: readonly Row[],
  definitions: Definitions,
  costs: CostModel | null = null,
): PrebuiltMain {
  const hot = new Map<string, Form>();
  for (const form of rows.flatMap(hotForms)) {
    const name = formName(form);
    if (!hot.has(name)) hot.set(name, form);
  }
  const helpers = new HelperNames();
  const main = buildMainFunction([...hot.values()], definitions, helpers.index, costs);
  return { ...main, forms: [...hot.keys()], helpers: helpers.names };
}

/** Main functions by timing model: machines that come after the first with a model need not emit it again. */
const timedMains = new WeakMap<CostModel, PrebuiltMain>();

function timedMain(rows: readonly Row[], definitions: Definitions, costs: CostModel): PrebuiltMain {
  let main = timedMains.get(costs);
  if (main === undefined) {
    main = buildMain(rows, definitions, costs);
    timedMains.set(costs, main);
  }
  return main;
}

export class Handlers implements HandlerSource {
  readonly #definitions: Definitions;
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = ["goto", "page end", "raise", "stale", "watch"];
  readonly #costs: CostModel | null;
  /** A form for each handler number that has been asked for. Forms with one number have one cost, too. */
  readonly forms: (Form | undefined)[] = [];
  readonly #table: WebAssembly.Table;
  readonly #importObject: WebAssembly.Imports;
  readonly helpers = new HelperNames();
  /** The interpreter: (CPU block, record) -> `Exit`. */
  readonly run: (cpu: number, record: number) => number;
  /** Number of arms and bytes of the main function. */
  readonly mainFunction: { readonly arms: number; readonly size: number };

  constructor(
    rows: readonly Row[],
    definitions: Definitions,
    host: HostFunctions,
    costs: CostModel | null = null,
  ) {
    this.#definitions = definitions;
    this.#costs = costs;
    const main =
      costs === null ? (prebuilt ?? buildMain(rows, definitions)) : timedMain(rows, definitions, costs);
    main.forms.forEach((name, i) => {
      this.#numbers.set(name, BUILTINS + i);
      this.#names.push(name);
    });
    for (const name of main.helpers) this.helpers.index(name);
    this.#table = new WebAssembly.Table({ element: "anyfunc", initial: TABLE_SIZE });
    const { memory, slowRead, slowWrite, commit, legacyAddress, helper } = host;
    this.#importObject = {
      env: { memory, handlers: this.#table, helper },
      mmu: { slowRead, slowWrite, commit, legacyAddress },
    };
    this.mainFunction = { arms: BUILTINS + main.forms.length, size: main.size };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(main.bytes), this.#importObject);
    this.run = instance.exports.run as (cpu: number, record: number) => number;
  }

  /** Name of a handler, for traces and profiles. */
  name(handler: number): string {
    return this.#names[handler] ?? "?";
  }

  handler(form: Form): number {
    const name = formName(form);
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#names.push(name) - 1;
      this.#numbers.set(name, number);
      this.#table.set(number, this.#instantiate(this.#build(form)));
    }
    this.forms[number] ??= form;
    return number;
  }

  #build(form: Form, constants?: Fields): Uint8Array<ArrayBuffer> {
    return buildHandlerModule(form, this.#definitions, this.helpers.index, constants, this.#costs);
  }

  /**
   * Emits one instruction with static operands: the fields of its record become constants.
   * @returns a function (CPU block, record) -> HandlerOutcome
   */
  specialise(form: Form, fields: Fields): (cpu: number, record: number) => number {
    return this.#instantiate(this.#build(form, fields));
  }

  #instantiate(bytes: Uint8Array<ArrayBuffer>): (cpu: number, record: number) => number {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#importObject);
    return instance.exports.handler as (cpu: number, record: number) => number;
  }
}
