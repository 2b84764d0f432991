/**
 * The notation of the decode tables, and its parser.
 *
 * A row is one line: `encoding | mnemonic operands | attributes`, e.g. `0F B0 | CMPXCHG Eb,Gb | lock`.
 *
 * encoding    [NP|66|F3|F2] [VEX.L0|L1|LIG[.W0|.W1]] [0F|0F38|0F3A] opcode[+r] [/digit] [mem|reg [rm=n]]
 *             A prefix named here is mandatory: it selects the row and is no operand-size or repeat prefix.
 * operands    the letters of SDM vol. 2 appendix A.2, and `Z` for the register in the opcode's low bits;
 *             fixed registers by name (AL, CL, DX, rAX)
 * attributes  see `Attribute`
 */

/** Facts about a row that are not in its operands. */
export type Attribute =
  /** LOCK is allowed with a memory destination. */
  | "lock"
  /** Valid in 64-bit mode only / invalid in 64-bit mode. */
  | "o64"
  | "i64"
  /** Operand size defaults to 64 bits in 64-bit mode / is 64 bits whatever the prefixes say. */
  | "d64"
  | "f64"
  /** #UD in real and virtual-8086 mode. */
  | "protected"
  /** The meaning depends on the operand size / address size though no operand letter says so. */
  | "osize"
  | "asize"
  /** F3 and F2 are repeat prefixes. */
  | "rep"
  /** F3 alone, whatever the mnemonic makes of it, is ignored (NOP, RET, branches). */
  | "end"
  /** Done by the TypeScript helper of the same name. */
  | "helper"
  /** With `helper`: there is a definition too, which does the frequent cases and calls the helper for others. */
  | "staged"
  /** An arm of the interpreter's main function: frequent in kernels and applications. */
  | "hot"
  /** With `hot`: so is the form with 16-bit operands. */
  | "hot16"
  /** The 16-byte memory operand need not be aligned. */
  | "unaligned"
  /** #UD unless CPL is 0: no; #GP(0) unless CPL is 0. */
  | "cpl0"
  /** The immediate field of the record holds opcode and ModRM bytes, for helpers that decode on. */
  | "raw"
  /** RFLAGS.TF: no single-step trap follows (INT n) / TF after the instruction decides (SYSCALL, SYSRET). */
  | "notrap"
  | "tfafter"
  /** ModRM.mod is ignored: always a register (MOV CR, MOV DR). */
  | "modreg";

export type MandatoryPrefix = "" | "NP" | "66" | "F3" | "F2";

export interface OperandSpec {
  /** As written, e.g. "Ev". */
  readonly text: string;
  /** The addressing letter, "fixed" for a general register, "s" for a segment register, "const". */
  readonly kind: string;
  /** The size suffix: b w d q v z y dq x ss sd ps pd p s ..., or "" . */
  readonly size: string;
  /** Number of the fixed register (by its encoding), the constant, or -1. */
  readonly register: number;
}

export interface Row {
  readonly id: number;
  readonly text: string;
  readonly prefix: MandatoryPrefix;
  /** 0: one-byte, 1: 0F, 2: 0F38, 3: 0F3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly vex: boolean;
  /** VEX.L: 0, 1, or -1 for either; VEX.W likewise (also REX.W for legacy rows). */
  readonly vexL: number;
  readonly w: number;
  readonly opcode: number;
  readonly opcodeRegister: boolean;
  /** ModRM.reg that selects the row, or -1. */
  readonly digit: number;
  /** ModRM.mod restriction. */
  readonly mod: "any" | "mem" | "reg";
  /** ModRM.rm that selects the row, or -1: instructions whose ModRM byte is part of the opcode. */
  readonly rm: number;
  readonly hasModrm: boolean;
  readonly mnemonic: string;
  readonly operands: readonly OperandSpec[];
  readonly attributes: ReadonlySet<string>;
  /** CPUID feature that must be on, by its name in the CPU models, or "". */
  readonly feature: string;
  /** Status flags left undefined (RFLAGS mask), for the conformance tests. */
  readonly undefinedFlags: number;
}

const FLAG_LETTERS: Record<string, number> = { O: 0x800, S: 0x80, Z: 0x40, A: 0x10, P: 0x04, C: 0x01 };

/** Segment registers that an opcode names: operands of kind "s". */
const SEGMENT_NAMES = ["ES", "CS", "SS", "DS", "FS", "GS"];

const FIXED: Record<string, [number, string]> = {
  AL: [0, "b"],
  CL: [1, "b"],
  AX: [0, "w"],
  DX: [2, "w"],
  rAX: [0, "v"],
  eAX: [0, "z"],
};

/** Letters whose operand comes from the ModRM byte. */
const MODRM_KINDS = new Set("EGMRSCDVWUPQN".split(""));

function parseOperand(text: string): OperandSpec {
  const fixed = FIXED[text];
  if (fixed) return { text, kind: "fixed", size: fixed[1], register: fixed[0] };
  const segment = SEGMENT_NAMES.indexOf(text);
  if (segment >= 0) return { text, kind: "s", size: "w", register: segment };
  if (/^\d$/.test(text)) return { text, kind: "const", size: "", register: Number(text) };
  return { text, kind: text[0]!, size: text.slice(1), register: -1 };
}

/** @throws Error naming the row when the notation is wrong. */
export function parseRow(line: string, id: number): Row {
  const [encoding, operation, attributeText = ""] = line.split("|").map((part) => part.trim());
  if (!encoding || !operation) throw new Error(`decode row without encoding or mnemonic: ${line}`);
  let prefix: MandatoryPrefix = "";
  let map: Row["map"] = 0;
  let vex = false;
  let vexL = -1;
  let w = -1;
  let opcode = -1;
  let opcodeRegister = false;
  let digit = -1;
  let mod: Row["mod"] = "any";
  let rm = -1;
  for (const token of encoding.split(/\s+/)) {
    if (opcode < 0 && map === 0 && !vex && /^(NP|66|F3|F2)$/.test(token)) {
      prefix = token as MandatoryPrefix;
    } else if (token.startsWith("VEX.")) {
      vex = true;
      for (const part of token.slice(4).split(".")) {
        if (part === "L0" || part === "L1") vexL = Number(part[1]);
        else if (part === "W0" || part === "W1") w = Number(part[1]);
        else if (part !== "LIG") throw new Error(`decode row ${line}: VEX.${part}`);
      }
    } else if (token === "W1" || token === "W0") w = Number(token[1]);
    else if (opcode < 0 && token === "0F" && map === 0) map = 1;
    else if (token === "0F38") map = 2;
    else if (token === "0F3A") map = 3;
    else if (/^[0-9A-F]{2}(\+r)?$/.test(token) && opcode < 0) {
      opcode = Number.parseInt(token, 16);
      opcodeRegister = token.endsWith("+r");
    } else if (/^\/[0-7]$/.test(token)) digit = Number(token[1]);
    else if (token === "mem" || token === "reg") mod = token;
    else if (/^rm=[0-7]$/.test(token)) rm = Number(token[3]);
    else throw new Error(`decode row ${line}: token ${token}`);
  }
  if (opcode < 0) throw new Error(`decode row without opcode: ${line}`);
  const [mnemonic, operandText = ""] = operation.split(/\s+/, 2) as [string, string?];
  const operands = operandText === "" ? [] : operandText.split(",").map(parseOperand);
  const attributes = new Set<string>();
  let feature = "";
  let undefinedFlags = 0;
  let hasModrm = digit >= 0 || mod !== "any" || operands.some((o) => MODRM_KINDS.has(o.kind));
  for (const word of attributeText.split(/\s+/).filter(Boolean)) {
    if (word.startsWith("+")) feature = word.slice(1);
    else if (word.startsWith("u="))
      for (const letter of word.slice(2)) undefinedFlags |= FLAG_LETTERS[letter]!;
    else if (word === "modrm") hasModrm = true;
    else attributes.add(word);
  }
  return {
    id,
    text: line,
    prefix,
    map,
    vex,
    vexL,
    w,
    opcode,
    opcodeRegister,
    digit,
    mod,
    rm,
    hasModrm,
    mnemonic,
    operands,
    attributes,
    feature,
    undefinedFlags,
  };
}
