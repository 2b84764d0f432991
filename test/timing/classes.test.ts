/** Every row of the decode tables has figures, and every figure is some row's. */
import { describe, expect, test } from "vitest";
import type { Row } from "../../src/cpu/decode/rows.ts";
import { ROWS } from "../../src/cpu/decode/tables/index.ts";
import type { Form } from "../../src/cpu/semantics/stage.ts";
import { figuresOfForm } from "../../src/timing/classes.ts";
import { INSTRUCTION_FIGURES } from "../../src/timing/figures.ts";

const SIZES = [2, 4, 8] as const;

/** Every way to execute a row that its timing may depend on. */
function formsOf(row: Row): Form[] {
  const repeats = row.attributes.has("rep") ? (["", "rep", "repne"] as const) : ([""] as const);
  const memories = row.mod === "mem" ? [true] : row.mod === "reg" || !row.hasModrm ? [false] : [false, true];
  return SIZES.flatMap((operandSize) =>
    memories.flatMap((memory) =>
      repeats.map((repeat): Form => ({ row, long: true, operandSize, addressSize: 8, memory, repeat })),
    ),
  );
}

/** Rows whose whole cost is charged where it happens. */
const CHARGED = new Set(["INT", "INT1", "INT3", "INTO", "IRET", "CALL_FAR", "JMP_FAR", "RETF"]);

describe("timing classes", () => {
  test("each row of the decode tables maps to figures, or is charged by what it does", () => {
    for (const row of ROWS) {
      for (const form of formsOf(row)) {
        const figures = figuresOfForm(form, false, 0);
        const charged = CHARGED.has(row.mnemonic) || form.repeat !== "";
        // INS and OUTS are TypeScript: their elements are not told apart.
        if (charged && !/^(INS|OUTS)$/.test(row.mnemonic)) expect(figures, row.text).toEqual([]);
        else expect(figures.length, row.text).toBeGreaterThan(0);
      }
    }
  });

  test("each figure of an instruction belongs to a row", () => {
    const used = new Set<string>();
    for (const row of ROWS) {
      // x87 by opcode and ModRM.
      const details =
        row.mnemonic === "X87" ? Array.from({ length: 256 }, (_, modrm) => row.opcode | (modrm << 8)) : [0];
      for (const form of formsOf(row)) {
        for (const detail of details) for (const name of figuresOfForm(form, false, detail)) used.add(name);
        for (const name of figuresOfForm(form, true, 0)) used.add(name);
      }
    }
    expect(Object.keys(INSTRUCTION_FIGURES).filter((name) => !used.has(name))).toEqual([]);
  });

  const form = (text: string, memory: boolean, operandSize: 2 | 4 | 8 = 8): Form => ({
    row: ROWS.find((row) => row.text.startsWith(text))!,
    long: true,
    operandSize,
    addressSize: 8,
    memory,
    repeat: "",
  });

  test.each<[string, Form, boolean, string[]]>([
    ["90 without REX.B", form("90+r | XCHG", false), false, ["nop"]],
    ["ADD of registers", form("01 | ADD", false), false, ["alu"]],
    ["ADD to memory", form("01 | ADD", true), false, ["alu", "update"]],
    ["LOCK ADD", form("01 | ADD", true), true, ["locked"]],
    ["ADD from memory", form("03 | ADD", true), false, ["alu", "load"]],
    ["MOV to memory", form("89 | MOV", true), false, ["move", "store"]],
    ["CMP with memory", form("39 | CMP", true), false, ["alu", "load"]],
    ["LEA", form("8D mem | LEA", true), false, ["alu"]],
    ["XCHG with memory", form("87 | XCHG", true), false, ["locked"]],
    ["DIV r32", form("F7 /6 | DIV", false, 4), false, ["divide.32"]],
    ["SHL by CL", form("D3 /4 | SHL", false), false, ["shift-cl"]],
    ["JMP through memory", form("FF /4 | JMP", true), false, ["branch-indirect", "load"]],
  ])("%s", (_name, given, locked, expected) => {
    expect(figuresOfForm(given, locked, 0)).toEqual(expected);
  });

  test("MOV to CR3 is charged by what it loads, MOV to CR4 is not", () => {
    const row = form("0F 22 /0 | MOV_TO_CR", false);
    expect(figuresOfForm(row, false, 3)).toEqual([]);
    expect(figuresOfForm(row, false, 4)).toEqual(["write-cr"]);
  });

  test("x87 instructions are told apart by opcode and ModRM", () => {
    const row = form("D8 mem | X87", false);
    const figure = (opcode: number, modrm: number) => figuresOfForm(row, false, opcode | (modrm << 8))[0];
    expect(figure(0xd8, 0xc8)).toBe("x87-multiply"); // FMUL ST, ST(0)
    expect(figure(0xde, 0xf9)).toBe("x87-divide"); // FDIVP
    expect(figure(0xd9, 0xfe)).toBe("x87-transcendental"); // FSIN
    expect(figure(0xd9, 0xc9)).toBe("x87-move"); // FXCH
    expect(figure(0xdf, 0xe0)).toBe("x87-control"); // FNSTSW AX
  });
});
