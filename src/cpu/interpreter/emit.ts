/** Emits the code of one form: the definition of its mnemonic, or a helper call where there is none. */
import { type FunctionBuilder, type I32, load } from "../../wasm/index.ts";
import type { CostModel } from "../cost.ts";
import { Vector } from "../fault.ts";
import { CPL } from "../layout.ts";
import { type MemoryImports, MemoryPath } from "../semantics/memory-path.ts";
import { type Definitions, type Exits, type Fields, type Form, Stage } from "../semantics/stage.ts";

export interface EmitTarget {
  readonly b: FunctionBuilder;
  readonly cpu: I32;
  readonly record: I32;
  readonly fields: Fields;
  readonly exits: Exits;
  readonly imports: MemoryImports;
  /** The timing model in force. */
  readonly costs: CostModel | null;
}

/**
 * The name of the TypeScript helper of a row: the mnemonic in lower case.
 */
export function helperName(form: Form): string {
  return form.row.mnemonic.toLowerCase();
}

/** @throws Error when no definition exists for the row's mnemonic. */
export function emitForm(form: Form, definitions: Definitions, target: EmitTarget): void {
  const { b, cpu, record, fields, exits, imports, costs } = target;
  const stage = new Stage(b, cpu, form, fields, exits, new MemoryPath(b, cpu, record, imports), costs);
  // SDM: privileged instructions raise #GP(0) unless CPL is 0.
  if (form.row.attributes.has("cpl0")) stage.faultIf(load("i32.load", cpu, CPL), Vector.GP);
  if (form.row.attributes.has("helper") && !form.row.attributes.has("staged")) {
    exits.helper(helperName(form));
    return;
  }
  const definition = definitions[form.row.mnemonic];
  if (!definition) throw new Error(`no semantic definition of ${form.row.mnemonic} (${form.row.text})`);
  definition(stage);
}
