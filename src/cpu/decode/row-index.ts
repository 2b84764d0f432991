/** Finds the row of an opcode. Rows are tried in the order of the tables; the first that fits wins. */
import type { Row } from "./rows.ts";

/** Which prefix may select a row. F2 and F3 win over 66 (SDM vol. 2 2.1.2). */
export const Prefix = { NONE: 0, P66: 1, F3: 2, F2: 3 } as const;
const PREFIX_INDEX: Record<string, number> = { "66": Prefix.P66, F3: Prefix.F3, F2: Prefix.F2 };

/** Everything a row can be selected by. */
export interface Selector {
  map: number;
  opcode: number;
  prefix: number;
  /** The ModRM byte, or 0. */
  modrm: number;
  vex: boolean;
  /** VEX.L or 0; W of REX or VEX. */
  vexL: number;
  w: number;
}

// map (0-3, VEX.L0 4-7, VEX.L1 8-11) x opcode x prefix x W x (register form, digit)
const SLOTS = 12 * 256 * 4 * 2 * 16;
const NO_ROW = 1;

const mapOf = (s: Selector): number => (s.vex ? s.map + 4 + s.vexL * 4 : s.map);

export class RowIndex {
  readonly #candidates: Row[][];
  readonly #rows: readonly Row[];
  /** 0: not looked up yet, 1: none, else row id + 2. */
  readonly #cache = new Uint16Array(SLOTS);

  /** `rows` are those of one code size whose features are on. */
  constructor(rows: readonly Row[], all: readonly Row[]) {
    this.#rows = all;
    this.#candidates = Array.from({ length: 12 * 256 }, () => []);
    for (const row of rows) {
      for (let i = 0; i < (row.opcodeRegister ? 8 : 1); i++) {
        const lengths = row.vex ? (row.vexL < 0 ? [4, 8] : [4 + row.vexL * 4]) : [0];
        for (const base of lengths) this.#candidates[((base + row.map) << 8) | (row.opcode + i)]!.push(row);
      }
    }
  }

  /** A row of the opcode, whatever else selects it, and one with an immediate if there is any; or null. */
  sibling(s: Selector): Row | null {
    const rows = this.#candidates[(mapOf(s) << 8) | s.opcode]!;
    return rows.find((row) => row.operands.some((operand) => operand.kind === "I")) ?? rows[0] ?? null;
  }

  /** Rows of an opcode whatever else selects them: tells whether a ModRM byte follows. */
  hasModrm(s: Selector): boolean {
    return this.#candidates[(mapOf(s) << 8) | s.opcode]!.some((row) => row.hasModrm);
  }

  find(s: Selector): Row | null {
    const map = mapOf(s);
    const register = s.modrm >= 0xc0 ? 8 : 0;
    const digit = (s.modrm >> 3) & 7;
    const slot = ((((map << 8) | s.opcode) * 4 + s.prefix) * 2 + s.w) * 16 + register + digit;
    const known = this.#cache[slot]!;
    if (known > NO_ROW) return this.#rows[known - 2]!;
    if (known === NO_ROW) return null;
    const candidates = this.#candidates[(map << 8) | s.opcode]!;
    const row = candidates.find((candidate) => this.#fits(candidate, s, register !== 0, digit));
    // Where ModRM.rm belongs to the opcode (0F 01) the slot does not tell: looked up each time.
    if (candidates.some((candidate) => candidate.rm >= 0)) return row ?? null;
    this.#cache[slot] = row ? row.id + 2 : NO_ROW;
    return row ?? null;
  }

  #fits(row: Row, s: Selector, register: boolean, digit: number): boolean {
    if (
      row.prefix === "NP"
        ? s.prefix !== Prefix.NONE
        : row.prefix !== "" && PREFIX_INDEX[row.prefix] !== s.prefix
    )
      return false;
    if (row.digit >= 0 && row.digit !== digit) return false;
    if (row.mod === "reg" && !register) return false;
    if (row.mod === "mem" && register) return false;
    if (row.rm >= 0 && row.rm !== (s.modrm & 7)) return false;
    return row.w < 0 || row.w === s.w;
  }
}
