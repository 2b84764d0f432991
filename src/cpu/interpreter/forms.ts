/** Instruction forms: names for pieces of emitted code, and the list of those in the main function. */

import type { OperandSpec, Row } from "../decode/rows.ts";
import { type Form, operandWidth } from "../semantics/stage.ts";

const SLOT_OF_KIND: Record<string, string> = {
  G: "a",
  V: "a",
  P: "a",
  S: "a",
  C: "a",
  D: "a",
  Z: "b",
  R: "b",
  U: "b",
  N: "b",
  H: "c",
  B: "c",
  I: "i",
};

/**
 * A name equal for forms with the same code: mnemonic, where each operand lies and how wide it is, and the
 * sizes the meaning depends on. `ADD b8,a8` serves every 64-bit register pair.
 */
export function formName(form: Form): string {
  const { row } = form;
  const operand = (spec: OperandSpec): string => {
    if (spec.kind === "fixed") return `r${spec.register}:${operandWidth(spec, form.operandSize)}`;
    if (spec.kind === "const") return String(spec.register);
    const slot =
      SLOT_OF_KIND[spec.kind] ?? ("EWQM".includes(spec.kind) ? (form.memory ? "m" : "b") : spec.kind);
    return slot + (spec.kind === "M" && spec.size === "" ? "" : operandWidth(spec, form.operandSize));
  };
  const sized =
    row.operands.some((o) => "vzyp".includes(o.size)) ||
    ["osize", "d64", "f64"].some((a) => row.attributes.has(a));
  const addressed =
    row.attributes.has("asize") ||
    row.attributes.has("rep") ||
    row.operands.some((o) => "XYO".includes(o.kind));
  return [
    form.long ? "" : "legacy ",
    row.vex ? "V" : "",
    row.mnemonic,
    ` ${row.operands.map(operand).join(",")}`,
    sized ? ` o${form.operandSize * 8}` : "",
    addressed ? ` a${form.addressSize * 8}` : "",
    form.repeat && ` ${form.repeat}`,
    row.attributes.has("unaligned") ? " u" : "",
    row.attributes.has("cpl0") ? " cpl0" : "",
    row.attributes.has("helper") ? ` helper${form.memory ? " m" : ""}` : "",
  ].join("");
}

/** The forms of a row that get an arm of their own: 64-bit code, 8-, 32- and 64-bit operands. */
export function hotForms(row: Row): Form[] {
  const { attributes } = row;
  if (!attributes.has("hot") || attributes.has("i64")) return [];
  const takesModrm = row.operands.some((o) => "EWQM".includes(o.kind));
  const sized = row.operands.some((o) => "vzy".includes(o.size));
  const wide = attributes.has("d64") || attributes.has("f64");
  const narrow: (2 | 4 | 8)[] = attributes.has("hot16") ? [2] : [];
  // Without an operand that shows its size, that of 64-bit code: IRETQ, SYSRET with REX.W.
  const implied = attributes.has("osize") ? 8 : 4;
  const sizes: (2 | 4 | 8)[] = wide ? [8] : sized ? [...narrow, 4, 8] : [implied];
  const memories = takesModrm
    ? [row.mod !== "mem" ? [false] : [], row.mod !== "reg" ? [true] : []].flat()
    : [false];
  return sizes.flatMap((operandSize) =>
    memories.map((memory): Form => ({ row, long: true, operandSize, addressSize: 8, memory, repeat: "" })),
  );
}
