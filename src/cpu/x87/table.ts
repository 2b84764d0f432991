/**
 * The x87 instructions, opcodes D8-DF, one row each (SDM vol. 2D, appendix A.5; AMD APM vol. 3, table A-7).
 * Encodings that no row names are undefined (#UD). Rows marked "alias" are not in Intel's manual but in every
 * processor.
 */

import { binary32, binary64, extended80 } from "../softfloat/index.ts";
import * as A from "./arithmetic.ts";
import * as C from "./compare.ts";
import * as K from "./control.ts";
import type { Execute } from "./instruction.ts";
import * as M from "./load-store.ts";
import * as T from "./transcendental.ts";

/** Which ModRM bytes a row stands for. */
export type Form =
  /** Memory operand, the reg field given. */
  | { readonly memory: number }
  /** Register operand ST(i): the first of eight ModRM bytes. */
  | { readonly register: number }
  /** Exactly this ModRM byte. */
  | { readonly byte: number };

export interface X87Row {
  readonly mnemonic: string;
  /** D8-DF. */
  readonly opcode: number;
  readonly form: Form;
  /** The memory operand's length; 0 without one; FSTENV's and FSAVE's depends on the operand size. */
  readonly operand: "none" | "m16" | "m32" | "m64" | "m80" | "environment" | "state";
  /** Does not look for pending exceptions first (the FNxxx instructions). */
  readonly noWait: boolean;
  /** Leaves the last-instruction pointers alone (SDM vol. 1, 8.1.8). */
  readonly control: boolean;
  readonly execute: Execute;
}

type Operand = X87Row["operand"];

const rows: X87Row[] = [];

function memory(opcode: number, reg: number, mnemonic: string, operand: Operand, execute: Execute): void {
  rows.push({ mnemonic, opcode, form: { memory: reg }, operand, noWait: false, control: false, execute });
}

function register(opcode: number, first: number, mnemonic: string, execute: Execute): void {
  const form = { register: first };
  rows.push({ mnemonic, opcode, form, operand: "none", noWait: false, control: false, execute });
}

function single(opcode: number, byte: number, mnemonic: string, execute: Execute): void {
  rows.push({ mnemonic, opcode, form: { byte }, operand: "none", noWait: false, control: false, execute });
}

function control(
  opcode: number,
  form: Form,
  mnemonic: string,
  operand: Operand,
  noWait: boolean,
  execute: Execute,
): void {
  rows.push({ mnemonic, opcode, form, operand, noWait, control: true, execute });
}

// Arithmetic: D8, DA, DC, DE share the reg field's meaning.
const NAMES = ["ADD", "MUL", "", "", "SUB", "SUBR", "DIV", "DIVR"];
A.OPERATIONS.forEach((operation, reg) => {
  if (!operation) return;
  const name = NAMES[reg];
  memory(0xd8, reg, `F${name} m32fp`, "m32", A.withMemory(operation, A.m32fp));
  memory(0xda, reg, `FI${name} m32int`, "m32", A.withMemory(operation, A.m32int));
  memory(0xdc, reg, `F${name} m64fp`, "m64", A.withMemory(operation, A.m64fp));
  memory(0xde, reg, `FI${name} m16int`, "m16", A.withMemory(operation, A.m16int));
  register(0xd8, 0xc0 + 8 * reg, `F${name} ST(0), ST(i)`, A.withRegister(operation, false));
  // With ST(i) as the destination, SUB and SUBR, DIV and DIVR change places.
  const first = 0xc0 + 8 * (reg < 4 ? reg : reg ^ 1);
  register(0xdc, first, `F${name} ST(i), ST(0)`, A.withRegister(operation, true));
  register(0xde, first, `F${name}P ST(i), ST(0)`, A.withRegister(operation, true, true));
});

// Comparisons.
for (const [reg, name, pops] of [
  [2, "COM", 0],
  [3, "COMP", 1],
] as const) {
  memory(0xd8, reg, `F${name} m32fp`, "m32", C.compareMemory(A.m32fp, pops));
  memory(0xda, reg, `FI${name} m32int`, "m32", C.compareMemory(A.m32int, pops));
  memory(0xdc, reg, `F${name} m64fp`, "m64", C.compareMemory(A.m64fp, pops));
  memory(0xde, reg, `FI${name} m16int`, "m16", C.compareMemory(A.m16int, pops));
  register(0xd8, 0xc0 + 8 * reg, `F${name} ST(i)`, C.compareRegister(true, pops));
  register(0xdc, 0xc0 + 8 * reg, `F${name} ST(i) (alias)`, C.compareRegister(true, pops));
}
register(0xde, 0xd0, "FCOMP ST(i) (alias)", C.compareRegister(true, 1));
single(0xde, 0xd9, "FCOMPP", C.compareRegister(true, 2));
single(0xda, 0xe9, "FUCOMPP", C.compareRegister(false, 2));
register(0xdd, 0xe0, "FUCOM ST(i)", C.compareRegister(false, 0));
register(0xdd, 0xe8, "FUCOMP ST(i)", C.compareRegister(false, 1));
register(0xdb, 0xe8, "FUCOMI ST(0), ST(i)", C.compareToFlags(false, 0));
register(0xdb, 0xf0, "FCOMI ST(0), ST(i)", C.compareToFlags(true, 0));
register(0xdf, 0xe8, "FUCOMIP ST(0), ST(i)", C.compareToFlags(false, 1));
register(0xdf, 0xf0, "FCOMIP ST(0), ST(i)", C.compareToFlags(true, 1));
single(0xd9, 0xe4, "FTST", C.ftst);
single(0xd9, 0xe5, "FXAM", C.fxam);

// Loads.
memory(0xd9, 0, "FLD m32fp", "m32", M.loadFloat(binary32));
memory(0xdd, 0, "FLD m64fp", "m64", M.loadFloat(binary64));
memory(0xdb, 5, "FLD m80fp", "m80", M.loadFloat(extended80));
memory(0xdf, 0, "FILD m16int", "m16", M.loadInteger(16));
memory(0xdb, 0, "FILD m32int", "m32", M.loadInteger(32));
memory(0xdf, 5, "FILD m64int", "m64", M.loadInteger(64));
memory(0xdf, 4, "FBLD m80bcd", "m80", M.fbld);
register(0xd9, 0xc0, "FLD ST(i)", M.loadRegister);
single(0xd9, 0xe8, "FLD1", M.fld1);
single(0xd9, 0xe9, "FLDL2T", M.fldl2t);
single(0xd9, 0xea, "FLDL2E", M.fldl2e);
single(0xd9, 0xeb, "FLDPI", M.fldpi);
single(0xd9, 0xec, "FLDLG2", M.fldlg2);
single(0xd9, 0xed, "FLDLN2", M.fldln2);
single(0xd9, 0xee, "FLDZ", M.fldz);

// Stores.
memory(0xd9, 2, "FST m32fp", "m32", M.storeFloat(binary32, false));
memory(0xd9, 3, "FSTP m32fp", "m32", M.storeFloat(binary32, true));
memory(0xdd, 2, "FST m64fp", "m64", M.storeFloat(binary64, false));
memory(0xdd, 3, "FSTP m64fp", "m64", M.storeFloat(binary64, true));
memory(0xdb, 7, "FSTP m80fp", "m80", M.storeFloat(extended80, true));
memory(0xdf, 2, "FIST m16int", "m16", M.storeInteger(16, false));
memory(0xdf, 3, "FISTP m16int", "m16", M.storeInteger(16, true));
memory(0xdb, 2, "FIST m32int", "m32", M.storeInteger(32, false));
memory(0xdb, 3, "FISTP m32int", "m32", M.storeInteger(32, true));
memory(0xdf, 7, "FISTP m64int", "m64", M.storeInteger(64, true));
memory(0xdf, 1, "FISTTP m16int", "m16", M.storeInteger(16, true, true));
memory(0xdb, 1, "FISTTP m32int", "m32", M.storeInteger(32, true, true));
memory(0xdd, 1, "FISTTP m64int", "m64", M.storeInteger(64, true, true));
memory(0xdf, 6, "FBSTP m80bcd", "m80", M.fbstp);
register(0xdd, 0xd0, "FST ST(i)", M.storeRegister(false));
register(0xdd, 0xd8, "FSTP ST(i)", M.storeRegister(true));
register(0xd9, 0xd8, "FSTPNCE ST(i) (alias)", M.fstpnce);
register(0xdf, 0xd0, "FSTP ST(i) (alias)", M.storeRegister(true));
register(0xdf, 0xd8, "FSTP ST(i) (alias)", M.storeRegister(true));
register(0xd9, 0xc8, "FXCH ST(i)", M.fxch);
register(0xdd, 0xc8, "FXCH ST(i) (alias)", M.fxch);
register(0xdf, 0xc8, "FXCH ST(i) (alias)", M.fxch);
register(0xda, 0xc0, "FCMOVB ST(0), ST(i)", M.fcmovb);
register(0xda, 0xc8, "FCMOVE ST(0), ST(i)", M.fcmove);
register(0xda, 0xd0, "FCMOVBE ST(0), ST(i)", M.fcmovbe);
register(0xda, 0xd8, "FCMOVU ST(0), ST(i)", M.fcmovu);
register(0xdb, 0xc0, "FCMOVNB ST(0), ST(i)", M.fcmovnb);
register(0xdb, 0xc8, "FCMOVNE ST(0), ST(i)", M.fcmovne);
register(0xdb, 0xd0, "FCMOVNBE ST(0), ST(i)", M.fcmovnbe);
register(0xdb, 0xd8, "FCMOVNU ST(0), ST(i)", M.fcmovnu);

// On ST(0).
single(0xd9, 0xe0, "FCHS", A.fchs);
single(0xd9, 0xe1, "FABS", A.fabs);
single(0xd9, 0xf0, "F2XM1", T.f2xm1);
single(0xd9, 0xf1, "FYL2X", T.fyl2x);
single(0xd9, 0xf2, "FPTAN", T.fptan);
single(0xd9, 0xf3, "FPATAN", T.fpatan);
single(0xd9, 0xf4, "FXTRACT", A.fxtract);
single(0xd9, 0xf5, "FPREM1", A.partialRemainder(true));
single(0xd9, 0xf8, "FPREM", A.partialRemainder(false));
single(0xd9, 0xf9, "FYL2XP1", T.fyl2xp1);
single(0xd9, 0xfa, "FSQRT", A.fsqrt);
single(0xd9, 0xfb, "FSINCOS", T.fsincos);
single(0xd9, 0xfc, "FRNDINT", A.frndint);
single(0xd9, 0xfd, "FSCALE", A.fscale);
single(0xd9, 0xfe, "FSIN", T.fsin);
single(0xd9, 0xff, "FCOS", T.fcos);

// Stack and control.
single(0xd9, 0xd0, "FNOP", K.fnop);
single(0xd9, 0xf6, "FDECSTP", K.fdecstp);
single(0xd9, 0xf7, "FINCSTP", K.fincstp);
register(0xdd, 0xc0, "FFREE ST(i)", K.ffree);
register(0xdf, 0xc0, "FFREEP ST(i) (alias)", K.ffreep);
control(0xd9, { memory: 4 }, "FLDENV", "environment", false, K.fldenv);
control(0xd9, { memory: 5 }, "FLDCW m2byte", "m16", false, K.fldcw);
control(0xd9, { memory: 6 }, "FNSTENV", "environment", true, K.fnstenv);
control(0xd9, { memory: 7 }, "FNSTCW m2byte", "m16", true, K.fnstcw);
control(0xdb, { byte: 0xe0 }, "FNENI (alias)", "none", true, K.fnop);
control(0xdb, { byte: 0xe1 }, "FNDISI (alias)", "none", true, K.fnop);
control(0xdb, { byte: 0xe2 }, "FNCLEX", "none", true, K.fnclex);
control(0xdb, { byte: 0xe3 }, "FNINIT", "none", true, K.fninit);
control(0xdb, { byte: 0xe4 }, "FNSETPM (alias)", "none", true, K.fnop);
control(0xdd, { memory: 4 }, "FRSTOR", "state", false, K.frstor);
control(0xdd, { memory: 6 }, "FNSAVE", "state", true, K.fnsave);
control(0xdd, { memory: 7 }, "FNSTSW m2byte", "m16", true, K.fnstswMemory);
control(0xdf, { byte: 0xe0 }, "FNSTSW AX", "none", true, K.fnstswAx);

export const X87_ROWS: readonly X87Row[] = rows;

/** ModRM bytes a row covers; for memory forms those with mod = 0 stand for mod = 1 and 2. */
export function modrmBytes(form: Form): number[] {
  if ("byte" in form) return [form.byte];
  const first = "memory" in form ? form.memory * 8 : form.register;
  return Array.from({ length: 8 }, (_, i) => first + i);
}

/** Rows by opcode and ModRM; the mod field of memory forms is taken as 0. */
const INDEX: readonly (X87Row | undefined)[] = (() => {
  const index: (X87Row | undefined)[] = new Array(8 * 256).fill(undefined);
  for (const row of rows) {
    for (const modrm of modrmBytes(row.form)) index[((row.opcode & 7) << 8) | modrm] = row;
  }
  return index;
})();

/** The row of an encoding, or undefined: #UD. */
export function findRow(opcode: number, modrm: number): X87Row | undefined {
  return INDEX[((opcode & 7) << 8) | (modrm >= 0xc0 ? modrm : modrm & 0x38)];
}
