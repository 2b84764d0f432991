/** Every row of the suite: the emulator's decode tables, and the forms iced-x86 knows beside them. */
import { ROWS } from "../../src/cpu/decode/tables/index.ts";
import { instructionRows } from "./instruction-rows.ts";
import type { GeneratorRow } from "./rows.ts";
import { tableRows } from "./table-rows.ts";

export function allRows(): GeneratorRow[] {
  return [...tableRows(ROWS), ...instructionRows()];
}
