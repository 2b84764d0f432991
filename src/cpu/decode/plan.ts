/** What decoding needs of a row, worked out once, and the sizes that follow from row, prefixes and mode. */
import { Mode } from "../modes.ts";
import type { Prefixes } from "./prefixes.ts";
import type { OperandSpec, Row } from "./rows.ts";

/** The operand kinds that put something into each register field of the record. */
const KINDS_A = "GVPSsCD";
const KINDS_B = "EWQMRUNZ";
const KINDS_C = "HB";

/** What decoding needs of a row, worked out once. */
export interface Plan {
  readonly a: OperandSpec | null;
  readonly b: OperandSpec | null;
  readonly c: OperandSpec | null;
  readonly immediates: readonly OperandSpec[];
  readonly helper: boolean;
  readonly raw: boolean;
  readonly repeat: boolean;
  readonly end: boolean;
  readonly lock: boolean;
  readonly i64: boolean;
  readonly o64: boolean;
  readonly protectedOnly: boolean;
  readonly d64: boolean;
  readonly f64: boolean;
  readonly modreg: boolean;
  /** A byte is what it works on, whatever the operand size. */
  readonly byteOperation: boolean;
  readonly branch: boolean;
  /** Handler numbers by variant. */
  readonly handlers: Int32Array;
}

export function planOf(row: Row): Plan {
  const find = (kinds: string) => row.operands.find((o) => kinds.includes(o.kind)) ?? null;
  const has = (name: string) => row.attributes.has(name);
  return {
    a: find(KINDS_A),
    b: find(KINDS_B),
    c: find(KINDS_C),
    immediates: row.operands.filter((o) => "IJAO".includes(o.kind)),
    helper: has("helper"),
    raw: has("raw"),
    repeat: has("rep"),
    end: has("end"),
    lock: has("lock"),
    i64: has("i64"),
    o64: has("o64"),
    protectedOnly: has("protected"),
    d64: has("d64"),
    f64: has("f64"),
    modreg: has("modreg"),
    byteOperation: row.operands.some((o) => o.size === "b" && o.kind !== "I"),
    branch: row.operands.some((o) => o.kind === "J"),
    handlers: new Int32Array(128).fill(-1),
  };
}

/** SDM vol. 1 3.6.1. A mandatory 66 is no operand-size prefix. */
export function operandSizeOf(plan: Plan, row: Row, prefixes: Prefixes, mode: number): 2 | 4 | 8 {
  const narrow = prefixes.operand66 && row.prefix !== "66";
  if ((mode & Mode.SIZE) === Mode.CODE_64) {
    if (plan.f64 || prefixes.w) return 8;
    if (narrow) return 2;
    return plan.d64 ? 8 : 4;
  }
  return ((mode & Mode.SIZE) === Mode.CODE_32) !== narrow ? 4 : 2;
}

export function addressSizeOf(prefixes: Prefixes, mode: number): 2 | 4 | 8 {
  if ((mode & Mode.SIZE) === Mode.CODE_64) return prefixes.address67 ? 4 : 8;
  return ((mode & Mode.SIZE) === Mode.CODE_32) !== prefixes.address67 ? 4 : 2;
}
