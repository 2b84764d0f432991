/** Generator rows from the emulator's decode tables: every row of them is walked. */
import type { Row } from "../../src/cpu/decode/rows.ts";
import type { Mode } from "./case.ts";
import type { GeneratorRow } from "./rows.ts";

export function tableRows(rows: readonly Row[]): GeneratorRow[] {
  return rows.map((row) => {
    const has = (attribute: string): boolean => row.attributes.has(attribute);
    const modes: readonly Mode[] = has("o64") ? [64] : has("i64") ? [16, 32] : [16, 32, 64];
    const [encoding, operation] = row.text.split("|").map((part) => part.trim().replace(/\s+/g, " "));
    const inOpcode = row.rm >= 0;
    return {
      id: `${encoding}: ${operation}${modes.length === 3 ? "" : ` (${modes.join(", ")})`}`,
      mnemonic: row.mnemonic.toUpperCase(),
      modes,
      prefix: row.prefix,
      map: row.map,
      vex: row.vex
        ? { l: row.vexL < 0 ? null : (row.vexL as 0 | 1), w: row.w < 0 ? null : (row.w as 0 | 1) }
        : null,
      w: row.w === 1 ? 1 : row.w === 0 ? 0 : null,
      opcode: inOpcode ? [row.opcode, 0xc0 | (Math.max(row.digit, 0) << 3) | row.rm] : [row.opcode],
      opcodeRegister: row.opcodeRegister,
      modrm: row.hasModrm && !inOpcode ? { digit: row.digit < 0 ? null : row.digit, mod: row.mod } : null,
      operandSize: 0,
      default64: has("d64") || has("f64"),
      addressSize: 0,
      lockable: has("lock"),
      undefinedFlags: 0,
    };
  });
}
