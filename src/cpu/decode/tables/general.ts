/**
 * The one-byte opcode map without x87, far transfers and privileged instructions (`system.ts`).
 * SDM vol. 2 appendix A, table A-2; the groups of the ModRM digit, table A-6.
 */
import { CONDITIONS } from "../conditions.ts";

/** ADD OR ADC SBB AND SUB XOR CMP: the six forms of one operation in column `base`, and its immediate group. */
function arithmetic(name: string, digit: number): string[] {
  const opcode = (low: number) => (digit * 8 + low).toString(16).toUpperCase().padStart(2, "0");
  const lock = name === "CMP" ? "" : "lock";
  const undefinedFlags = name === "AND" || name === "OR" || name === "XOR" ? "u=A" : "";
  return [
    `${opcode(0)} | ${name} Eb,Gb | ${lock} hot ${undefinedFlags}`,
    `${opcode(1)} | ${name} Ev,Gv | ${lock} hot ${undefinedFlags}`,
    `${opcode(2)} | ${name} Gb,Eb | hot ${undefinedFlags}`,
    `${opcode(3)} | ${name} Gv,Ev | hot ${undefinedFlags}`,
    `${opcode(4)} | ${name} AL,Ib | hot ${undefinedFlags}`,
    `${opcode(5)} | ${name} rAX,Iz | hot ${undefinedFlags}`,
    `80 /${digit} | ${name} Eb,Ib | ${lock} hot ${undefinedFlags}`,
    `81 /${digit} | ${name} Ev,Iz | ${lock} hot ${undefinedFlags}`,
    `82 /${digit} | ${name} Eb,Ib | ${lock} i64 ${undefinedFlags}`,
    `83 /${digit} | ${name} Ev,Ib | ${lock} hot ${undefinedFlags}`,
  ];
}

/** Rotates and shifts of group 2: by 1, by CL, by an immediate. */
function shifts(name: string, digit: number, undefinedFlags: string): string[] {
  const hot = ["SHL", "SHR", "SAR"].includes(name) && digit !== 6 ? "hot" : "";
  const attributes = `${hot} u=${undefinedFlags}`;
  return [
    `C0 /${digit} | ${name} Eb,Ib | u=${undefinedFlags}`,
    `C1 /${digit} | ${name} Ev,Ib | ${attributes}`,
    `D0 /${digit} | ${name} Eb,1 | ${undefinedFlags.includes("A") ? "u=A" : ""}`,
    `D1 /${digit} | ${name} Ev,1 | ${hot} ${undefinedFlags.includes("A") ? "u=A" : ""}`,
    `D2 /${digit} | ${name} Eb,CL | u=${undefinedFlags}`,
    `D3 /${digit} | ${name} Ev,CL | ${attributes}`,
  ];
}

export const rows: readonly string[] = [
  // ---- 00-3F -----------------------------------------------------------------------------------------
  ...["ADD", "OR", "ADC", "SBB", "AND", "SUB", "XOR", "CMP"].flatMap(arithmetic),
  "06 | PUSH_SREG ES | i64 osize",
  "0E | PUSH_SREG CS | i64 osize",
  "16 | PUSH_SREG SS | i64 osize",
  "1E | PUSH_SREG DS | i64 osize",
  "27 | DAA | i64 u=O",
  "2F | DAS | i64 u=O",
  "37 | AAA | i64 u=OSZP",
  "3F | AAS | i64 u=OSZP",

  // ---- 40-5F: one register in the opcode ----------------------------------------------------------------
  "40+r | INC Zv | i64",
  "48+r | DEC Zv | i64",
  "50+r | PUSH Zv | d64 hot",
  "58+r | POP Zv | d64 hot",

  // ---- 60-6F -----------------------------------------------------------------------------------------
  "60 | PUSHA | i64 osize",
  "61 | POPA | i64 osize",
  "62 mem | BOUND Gv,Mv | i64",
  "63 | MOVSXD Gv,Ez | o64 hot",
  "68 | PUSH Iz | d64 hot",
  "69 | IMUL Gv,Ev,Iz | hot u=SZAP",
  "6A | PUSH Ib | d64 hot",
  "6B | IMUL Gv,Ev,Ib | hot u=SZAP",

  // ---- 70-7F: short conditional branches ------------------------------------------------------------------
  ...CONDITIONS.map((name, i) => `7${i.toString(16).toUpperCase()} | J${name} Jb | f64 end hot`),

  // ---- 84-8F -----------------------------------------------------------------------------------------
  "84 | TEST Eb,Gb | hot u=A",
  "85 | TEST Ev,Gv | hot u=A",
  "86 | XCHG Eb,Gb | lock hot",
  "87 | XCHG Ev,Gv | lock hot",
  "88 | MOV Eb,Gb | hot",
  "89 | MOV Ev,Gv | hot hot16",
  "8A | MOV Gb,Eb | hot",
  "8B | MOV Gv,Ev | hot hot16",
  // A selector stored to memory has 16 bits whatever the operand size (SDM vol. 2, MOV).
  "8C mem | MOV Mw,Sw",
  "8C reg | MOV Ev,Sw",
  "8D mem | LEA Gv,M | hot",
  "8F /0 | POP Ev | d64",

  // ---- 90-9F -----------------------------------------------------------------------------------------
  // Without REX.B this is NOP, with F3 PAUSE, which has a meaning where several processors take turns.
  "F3 90 | PAUSE Zv,rAX | helper +several-processors",
  "90+r | XCHG Zv,rAX | hot",
  "98 | CBW rAX | hot",
  "99 | CWD rAX | hot",
  "9C | PUSHF | d64 helper staged hot",
  "9D | POPF | d64 helper staged hot",
  "9E | SAHF | i64",
  "9E | SAHF | o64 +lahf_lm",
  "9F | LAHF | i64",
  "9F | LAHF | o64 +lahf_lm",

  // ---- A0-AF -----------------------------------------------------------------------------------------
  "A0 | MOV AL,Ob",
  "A1 | MOV rAX,Ov",
  "A2 | MOV Ob,AL",
  "A3 | MOV Ov,rAX",
  "A4 | MOVS Yb,Xb | rep hot",
  "A5 | MOVS Yv,Xv | rep hot",
  "A6 | CMPS Xb,Yb | rep",
  "A7 | CMPS Xv,Yv | rep",
  "A8 | TEST AL,Ib | hot u=A",
  "A9 | TEST rAX,Iz | hot u=A",
  "AA | STOS Yb,AL | rep hot",
  "AB | STOS Yv,rAX | rep hot",
  "AC | LODS AL,Xb | rep hot",
  "AD | LODS rAX,Xv | rep hot",
  "AE | SCAS AL,Yb | rep",
  "AF | SCAS rAX,Yv | rep",

  // ---- B0-BF -----------------------------------------------------------------------------------------
  "B0+r | MOV Zb,Ib | hot",
  "B8+r | MOV Zv,Iv | hot",

  // ---- C0-CF -----------------------------------------------------------------------------------------
  "C2 | RET Iw | f64 osize end",
  "C3 | RET | f64 osize end hot",
  "C6 /0 | MOV Eb,Ib | hot",
  "C7 /0 | MOV Ev,Iz | hot",
  "C8 | ENTER Iw,Ib | d64",
  "C9 | LEAVE | d64 hot",

  // ---- D0-DF: shifts (C0, C1 too), BCD, table look-up ----------------------------------------------------
  ...shifts("ROL", 0, "O"),
  ...shifts("ROR", 1, "O"),
  ...shifts("RCL", 2, "O"),
  ...shifts("RCR", 3, "O"),
  ...shifts("SHL", 4, "OA"),
  ...shifts("SHR", 5, "OA"),
  ...shifts("SHL", 6, "OA"),
  ...shifts("SAR", 7, "A"),
  "D4 | AAM Ib | i64 u=OAC",
  "D5 | AAD Ib | i64 u=OAC",
  "D6 | SALC | i64",
  "D7 | XLAT | asize",

  // ---- E0-EF -----------------------------------------------------------------------------------------
  "E0 | LOOPNE Jb | f64 asize end",
  "E1 | LOOPE Jb | f64 asize end",
  "E2 | LOOP Jb | f64 asize end",
  "E3 | JRCXZ Jb | f64 asize end",
  "E8 | CALL Jz | f64 end hot",
  "E9 | JMP Jz | f64 end hot",
  "EB | JMP Jb | f64 end hot",

  // ---- F0-FF -----------------------------------------------------------------------------------------
  "F5 | CMC",
  "F8 | CLC",
  "F9 | STC",
  "FA | CLI | helper staged hot",
  "FB | STI | helper staged hot",
  "FC | CLD | hot",
  "FD | STD | hot",
  "F6 /0 | TEST Eb,Ib | hot u=A",
  "F6 /1 | TEST Eb,Ib | u=A",
  "F6 /2 | NOT Eb | lock",
  "F6 /3 | NEG Eb | lock",
  "F6 /4 | MUL Eb | u=SZAP",
  "F6 /5 | IMUL Eb | u=SZAP",
  "F6 /6 | DIV Eb | u=OSZAPC",
  "F6 /7 | IDIV Eb | u=OSZAPC",
  "F7 /0 | TEST Ev,Iz | hot u=A",
  "F7 /1 | TEST Ev,Iz | u=A",
  "F7 /2 | NOT Ev | lock hot",
  "F7 /3 | NEG Ev | lock hot",
  "F7 /4 | MUL Ev | hot u=SZAP",
  "F7 /5 | IMUL Ev | u=SZAP",
  "F7 /6 | DIV Ev | u=OSZAPC",
  "F7 /7 | IDIV Ev | u=OSZAPC",
  "FE /0 | INC Eb | lock",
  "FE /1 | DEC Eb | lock",
  "FF /0 | INC Ev | lock hot",
  "FF /1 | DEC Ev | lock hot",
  "FF /2 | CALL Ev | f64 end hot",
  "FF /4 | JMP Ev | f64 end hot",
  "FF /6 | PUSH Ev | d64 hot",
];
