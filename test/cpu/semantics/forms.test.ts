import { describe, expect, it } from "vitest";
import type { Row } from "../../../src/cpu/decode/rows.ts";
import { ROWS } from "../../../src/cpu/decode/tables/index.ts";
import { formName, hotForms } from "../../../src/cpu/interpreter/forms.ts";
import { buildHandlerModule, HelperNames } from "../../../src/cpu/interpreter/handlers.ts";
import { definitions } from "../../../src/cpu/semantics/index.ts";
import type { Form } from "../../../src/cpu/semantics/stage.ts";

/** Every form a row can be decoded to, hot or not. */
function formsOf(row: Row): Form[] {
  const forms: Form[] = [];
  const has = (name: string) => row.attributes.has(name);
  for (const long of [true, false]) {
    if (has(long ? "i64" : "o64")) continue;
    const operandSizes: (2 | 4 | 8)[] = !long ? [2, 4] : has("f64") ? [8] : has("d64") ? [2, 8] : [2, 4, 8];
    const memories =
      !row.hasModrm || row.mod === "reg" || has("modreg")
        ? [false]
        : row.mod === "mem"
          ? [true]
          : [false, true];
    const repeats: Form["repeat"][] = has("rep") ? ["", "rep", "repne"] : [""];
    for (const operandSize of operandSizes)
      for (const addressSize of long ? ([4, 8] as const) : ([2, 4] as const))
        for (const memory of memories)
          for (const repeat of repeats) forms.push({ row, long, operandSize, addressSize, memory, repeat });
  }
  return forms;
}

describe("staged definitions", () => {
  it("every row has a definition or a helper", () => {
    const missing = ROWS.filter((row) => !row.attributes.has("helper") && !definitions[row.mnemonic]);
    expect(missing.map((row) => row.text)).toEqual([]);
  });

  it("every definition has a row", () => {
    const emitted = ROWS.filter(({ attributes }) => !attributes.has("helper") || attributes.has("staged"));
    const mnemonics = new Set(emitted.map((row) => row.mnemonic));
    expect(Object.keys(definitions).filter((name) => !mnemonics.has(name))).toEqual([]);
  });

  it("every form of every row emits a valid function", () => {
    const helpers = new HelperNames();
    const seen = new Set<string>();
    const invalid: string[] = [];
    for (const form of ROWS.flatMap(formsOf)) {
      const name = formName(form);
      if (seen.has(name)) continue;
      seen.add(name);
      try {
        if (!WebAssembly.validate(buildHandlerModule(form, definitions, helpers.index))) invalid.push(name);
      } catch (error) {
        invalid.push(`${name}: ${error}`);
      }
    }
    expect(invalid).toEqual([]);
    expect(seen.size).toBeGreaterThan(2000);
  });

  it("the hot forms fit one function that V8 still optimises", () => {
    const names = new Set(ROWS.flatMap(hotForms).map(formName));
    expect(names.size).toBeLessThan(700);
  });
});
