/**
 * Bytes to records: prefixes, opcode, ModRM, SIB, displacement, immediate, in the order of SDM vol. 2
 * figure 2-1. What an instruction means is found in the rows; what it is done by, in the handlers.
 */
import {
  CONST_10000,
  GPR,
  RIP_PAGE,
  SEGMENT_BASE,
  SEGMENT_STRIDE,
  SEGMENTS,
  Segment,
  X87,
  X87_STRIDE,
  XMM,
  XMM_STRIDE,
  ZERO,
} from "../layout.ts";
import { Mode } from "../modes.ts";
import type { Form } from "../semantics/stage.ts";
import * as R from "./record.ts";
import { RecordFlag } from "./record.ts";
import { Prefix, RowIndex, type Selector } from "./row-index.ts";
import type { OperandSpec, Row } from "./rows.ts";

/** Longest instruction, SDM vol. 2 2.3.11. */
export const MAX_LENGTH = 15;

/** What `decode` found, beside the record it wrote. */
export const Outcome = {
  /** The record is complete. */
  OK: 0,
  /** The bytes given end inside the instruction. */
  MORE: 1,
  /** No row, or a row that this mode or its prefixes forbid: #UD. */
  UNDEFINED: 2,
  /** Over 15 bytes: #GP(0). */
  TOO_LONG: 3,
} as const;

/** Numbers the code of an instruction form: the interpreter's handlers. */
export interface HandlerSource {
  handler(form: Form): number;
}

const LEGACY_PREFIXES = new Uint8Array(256);
for (const byte of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3])
  LEGACY_PREFIXES[byte] = 1;

const SEGMENT_OF_PREFIX: Record<number, number> = {
  38: Segment.ES,
  46: Segment.CS,
  54: Segment.SS,
  62: Segment.DS,
  100: Segment.FS,
  101: Segment.GS,
};

/** 16-bit addressing, SDM vol. 2 table 2-1: base and index register numbers, -1 for none. */
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** The operand kinds that put something into each register field of the record. */
const KINDS_A = "GVPSsCD";
const KINDS_B = "EWQMRUNZ";
const KINDS_C = "HB";

/** What decoding needs of a row, worked out once. */
interface Plan {
  readonly a: OperandSpec | null;
  readonly b: OperandSpec | null;
  readonly c: OperandSpec | null;
  readonly immediates: readonly OperandSpec[];
  readonly helper: boolean;
  readonly raw: boolean;
  readonly repeat: boolean;
  readonly end: boolean;
  readonly lock: boolean;
  readonly protectedOnly: boolean;
  readonly d64: boolean;
  readonly f64: boolean;
  readonly modreg: boolean;
  /** Operand size of helper rows with a fixed width, or 0. */
  readonly byteOperation: boolean;
  readonly branch: boolean;
  /** Handler numbers by variant. */
  readonly handlers: Int32Array;
}

function planOf(row: Row): Plan {
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
    protectedOnly: has("protected"),
    d64: has("d64"),
    f64: has("f64"),
    modreg: has("modreg"),
    byteOperation: row.operands.some((o) => o.size === "b" && o.kind !== "I"),
    branch: row.operands.some((o) => o.kind === "J"),
    handlers: new Int32Array(128).fill(-1),
  };
}

const SIZE_INDEX: Record<number, number> = { 2: 0, 4: 1, 8: 2 };

export class Decoder {
  readonly #rows: readonly Row[];
  readonly #long: RowIndex;
  readonly #legacy: RowIndex;
  readonly #plans: { long: (Plan | undefined)[]; legacy: (Plan | undefined)[] } = { long: [], legacy: [] };
  readonly #handlers: HandlerSource;
  readonly #selector: Selector = { map: 0, opcode: 0, prefix: 0, modrm: 0, vex: false, vexL: 0, w: 0 };

  /** Length and row of the instruction last decoded, and whether it ends its block or stands alone. */
  length = 0;
  row: Row | null = null;
  endsBlock = false;
  standsAlone = false;

  constructor(rows: readonly Row[], features: ReadonlySet<string>, handlers: HandlerSource) {
    const on = rows.filter((row) => row.feature === "" || features.has(row.feature));
    this.#rows = rows;
    this.#long = new RowIndex(
      on.filter((row) => !row.attributes.has("i64")),
      rows,
    );
    this.#legacy = new RowIndex(
      on.filter((row) => !row.attributes.has("o64")),
      rows,
    );
    this.#handlers = handlers;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  /**
   * Decodes one instruction.
   * @param code the bytes; readable from `at` up to `end` (exclusive)
   * @param mode `Mode` bits
   * @param pageOffset the instruction's offset in its page
   * @param out the memory that holds the record, and its address
   * @returns `Outcome`
   */
  decode(
    code: Uint8Array,
    at: number,
    end: number,
    mode: number,
    pageOffset: number,
    out: DataView,
    record: number,
  ): number {
    const long = (mode & Mode.SIZE) === Mode.CODE_64;
    const limit = Math.min(end, at + MAX_LENGTH);
    const short = () => (end - at >= MAX_LENGTH ? Outcome.TOO_LONG : Outcome.MORE);
    let p = at;
    let operand66 = false;
    let address67 = false;
    let segmentPrefix = -1;
    let lock = false;
    let repeat = 0;
    let rex = 0;

    // Prefixes. A REX prefix counts only right before the opcode (SDM vol. 2 2.2.1).
    let opcode: number;
    for (;;) {
      if (p >= limit) return short();
      opcode = code[p++]!;
      if (LEGACY_PREFIXES[opcode]) {
        rex = 0;
        if (opcode === 0x66) operand66 = true;
        else if (opcode === 0x67) address67 = true;
        else if (opcode === 0xf0) lock = true;
        else if (opcode >= 0xf2) repeat = opcode;
        else if (!long || opcode >= 0x64) segmentPrefix = SEGMENT_OF_PREFIX[opcode]!;
      } else if (long && (opcode & 0xf0) === 0x40) rex = opcode;
      else break;
    }

    let rexW = (rex >> 3) & 1;
    let rexR = (rex & 4) << 1;
    let rexX = (rex & 2) << 2;
    let rexB = (rex & 1) << 3;
    let map = 0;
    let prefix: number =
      repeat === 0xf3 ? Prefix.F3 : repeat === 0xf2 ? Prefix.F2 : operand66 ? Prefix.P66 : Prefix.NONE;
    let vex = false;
    let vexL = 0;
    let vvvv = 0;

    if (opcode === 0x0f) {
      if (p >= limit) return short();
      opcode = code[p++]!;
      map = 1;
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? 2 : 3;
        if (p >= limit) return short();
        opcode = code[p++]!;
      }
    } else if ((opcode & 0xfe) === 0xc4) {
      if (p >= limit) return short();
      const byte1 = code[p]!;
      // Outside 64-bit mode C4 and C5 are LES and LDS unless ModRM.mod would be 3 (SDM vol. 2 2.3.5).
      if (long || (byte1 >= 0xc0 && !(mode & Mode.REAL_OR_V86))) {
        vex = true;
        if (rex !== 0 || operand66 || repeat !== 0 || lock) return Outcome.UNDEFINED;
        let byte2 = byte1;
        p++;
        rexR = byte1 & 0x80 ? 0 : 8;
        map = 1;
        if (opcode === 0xc4) {
          if (p >= limit) return short();
          byte2 = code[p++]!;
          rexX = byte1 & 0x40 ? 0 : 8;
          rexB = byte1 & 0x20 ? 0 : 8;
          map = byte1 & 0x1f;
          rexW = byte2 >> 7;
          if (map === 0 || map > 3) return Outcome.UNDEFINED;
        }
        vvvv = (~byte2 >> 3) & 15;
        vexL = (byte2 >> 2) & 1;
        prefix = [Prefix.NONE, Prefix.P66, Prefix.F3, Prefix.F2][byte2 & 3]!;
        if (!long) {
          rexR = 0;
          rexX = 0;
          rexB = 0;
          rexW = 0;
          vvvv &= 7;
        }
        if (p >= limit) return short();
        opcode = code[p++]!;
      }
    }

    const index = long ? this.#long : this.#legacy;
    let modrm = 0;
    const mapSlot = vex ? map + 4 + vexL * 4 : map;
    const mayHaveModrm = index.hasModrm(mapSlot, opcode);
    if (mayHaveModrm) {
      if (p >= limit) return short();
      modrm = code[p]!;
    }
    const s = this.#selector;
    s.map = map;
    s.opcode = opcode;
    s.prefix = prefix;
    s.modrm = modrm;
    s.vex = vex;
    s.vexL = vexL;
    s.w = rexW;
    const row = index.find(s);
    if (row === null) return Outcome.UNDEFINED;
    const plans = long ? this.#plans.long : this.#plans.legacy;
    let plan = plans[row.id];
    if (plan === undefined) {
      plan = planOf(row);
      plans[row.id] = plan;
    }
    if (plan.protectedOnly && mode & Mode.REAL_OR_V86) return Outcome.UNDEFINED;

    // Operand and address size, SDM vol. 1 3.6.
    const size66 = operand66 && row.prefix !== "66";
    let operandSize: 2 | 4 | 8;
    let addressSize: 2 | 4 | 8;
    if (long) {
      addressSize = address67 ? 4 : 8;
      if (plan.f64 || rexW) operandSize = 8;
      else if (size66) operandSize = 2;
      else operandSize = plan.d64 ? 8 : 4;
    } else {
      const wide = (mode & Mode.SIZE) === Mode.CODE_32;
      operandSize = wide !== size66 ? 4 : 2;
      addressSize = wide !== address67 ? 4 : 2;
    }

    // ModRM, SIB and displacement.
    const hasModrm = row.hasModrm;
    let memory = false;
    let flags = lock ? RecordFlag.LOCK : 0;
    let base = ZERO;
    let indexRegister = ZERO;
    let scale = 0;
    let displacement = 0;
    let ripRelative = false;
    let segment: number = Segment.DS;
    if (hasModrm) {
      p++;
      const mod = modrm >> 6;
      const rm = modrm & 7;
      if (mod !== 3 && !plan.modreg) {
        memory = true;
        if (addressSize === 2) {
          if (mod === 0 && rm === 6) {
            if (p + 2 > limit) return short();
            displacement = ((code[p]! | (code[p + 1]! << 8)) << 16) >> 16;
            p += 2;
          } else {
            base = GPR + BASE_16[rm]! * 8;
            if (INDEX_16[rm]! >= 0) indexRegister = GPR + INDEX_16[rm]! * 8;
            if (BASE_16[rm] === 5) segment = Segment.SS;
            if (mod === 1) {
              if (p >= limit) return short();
              displacement = (code[p++]! << 24) >> 24;
            } else if (mod === 2) {
              if (p + 2 > limit) return short();
              displacement = ((code[p]! | (code[p + 1]! << 8)) << 16) >> 16;
              p += 2;
            }
          }
        } else {
          let baseNumber = rm;
          let noBase = false;
          if (rm === 4) {
            if (p >= limit) return short();
            const sib = code[p++]!;
            baseNumber = sib & 7;
            scale = sib >> 6;
            const indexNumber = ((sib >> 3) & 7) | rexX;
            if (indexNumber !== 4) indexRegister = GPR + indexNumber * 8;
            else scale = 0;
            noBase = baseNumber === 5 && mod === 0;
          } else if (rm === 5 && mod === 0) {
            noBase = true;
            ripRelative = long;
          }
          if (!noBase) {
            base = GPR + (baseNumber | rexB) * 8;
            if (rexB === 0 && (baseNumber === 4 || baseNumber === 5)) segment = Segment.SS;
          }
          if (mod === 1) {
            if (p >= limit) return short();
            displacement = (code[p++]! << 24) >> 24;
          } else if (mod === 2 || noBase) {
            if (p + 4 > limit) return short();
            displacement = code[p]! | (code[p + 1]! << 8) | (code[p + 2]! << 16) | (code[p + 3]! << 24);
            p += 4;
          }
        }
      }
    }
    if (segmentPrefix >= 0) segment = segmentPrefix;
    if (lock && !(plan.lock && memory)) return Outcome.UNDEFINED;

    // Immediates, sign-extended.
    let immLow = 0;
    let immHigh = 0;
    for (let i = 0; i < plan.immediates.length; i++) {
      const spec = plan.immediates[i]!;
      let width: number;
      if (spec.kind === "O") width = addressSize;
      else if (spec.kind === "A") width = operandSize + 2;
      else if (spec.size === "b") width = 1;
      else if (spec.size === "w") width = 2;
      else if (spec.size === "z") width = operandSize === 2 ? 2 : 4;
      else width = operandSize;
      if (p + width > limit) return short();
      let low: number;
      if (width === 1) low = (code[p]! << 24) >> 24;
      else if (width === 2) low = ((code[p]! | (code[p + 1]! << 8)) << 16) >> 16;
      else low = code[p]! | (code[p + 1]! << 8) | (code[p + 2]! << 16) | (code[p + 3]! << 24);
      let high = low >> 31;
      if (spec.kind === "A") {
        if (operandSize === 2) low = code[p]! | (code[p + 1]! << 8);
        high = code[p + width - 2]! | (code[p + width - 1]! << 8);
      } else if (width === 8) {
        high = code[p + 4]! | (code[p + 5]! << 8) | (code[p + 6]! << 16) | (code[p + 7]! << 24);
      } else if (spec.kind === "O") {
        if (width === 2) low &= 0xffff;
        high = 0;
      }
      p += width;
      if (spec.kind === "J") displacement = low;
      else if (i === 0) {
        immLow = low;
        immHigh = high;
      } else {
        // The second of two immediates (ENTER Iw,Ib) goes into bits 16-23.
        immLow = (immLow & 0xffff) | ((low & 0xff) << 16);
        immHigh = 0;
      }
    }
    if (plan.raw) {
      immLow = opcode | (modrm << 8);
      immHigh = 0;
    }
    if (p - at > MAX_LENGTH) return Outcome.TOO_LONG;

    const length = p - at;
    const next = pageOffset + length;
    if (ripRelative) {
      base = RIP_PAGE;
      const absolute = displacement + next;
      if (absolute > 0x7fff_ffff) {
        indexRegister = CONST_10000;
        displacement = absolute - 0x1_0000;
      } else displacement = absolute;
    }
    // A direct branch has no memory operand: there the flags say to what RIP is truncated.
    const truncated = plan.branch ? operandSize : addressSize;
    if (truncated === 2) flags |= RecordFlag.ADDRESS_16;
    else if (truncated === 4 && !(plan.branch && long)) flags |= RecordFlag.ADDRESS_32;
    if (plan.repeat) {
      if (repeat === 0xf3) flags |= RecordFlag.REP;
      else if (repeat === 0xf2) flags |= RecordFlag.REPNE;
    }
    flags |= segment;

    const segmentBase =
      long && segment < Segment.FS ? ZERO : SEGMENTS + segment * SEGMENT_STRIDE + SEGMENT_BASE;
    const b = rexB | (modrm & 7);
    out.setUint16(record + R.R_NEXT, next, true);
    out.setUint8(record + R.R_LENGTH, length);
    const regA = plan.a ? registerSlot(plan.a, rexR | ((modrm >> 3) & 7), rex !== 0) : 0;
    if (regA < 0) return Outcome.UNDEFINED;
    out.setUint16(record + R.R_REG_A, regA, true);
    out.setUint16(
      record + R.R_REG_B,
      row.opcodeRegister
        ? registerSlot(plan.b!, rexB | (opcode & 7), rex !== 0)
        : plan.b && !memory
          ? registerSlot(plan.b, b, rex !== 0)
          : 0,
      true,
    );
    if (plan.helper) {
      const width = plan.byteOperation ? 1 : operandSize;
      out.setUint16(record + R.R_REG_C, width | ((addressSize | (memory ? 0x80 : 0)) << 8), true);
    } else {
      if (vex && plan.c === null && vvvv !== 0) return Outcome.UNDEFINED;
      out.setUint16(record + R.R_REG_C, plan.c ? registerSlot(plan.c, vvvv, true) : 0, true);
    }
    out.setUint16(record + R.R_BASE, base, true);
    out.setUint16(record + R.R_INDEX, indexRegister, true);
    out.setUint16(record + R.R_SEGMENT_BASE, segmentBase, true);
    out.setUint8(record + R.R_SCALE, scale);
    out.setUint8(record + R.R_FLAGS, flags);
    out.setInt32(record + R.R_DISP, displacement, true);
    out.setInt32(record + R.R_IMM, immLow, true);
    out.setInt32(record + R.R_IMM + 4, immHigh, true);

    const repeatIndex = plan.repeat ? (repeat === 0xf3 ? 1 : repeat === 0xf2 ? 2 : 0) : 0;
    const variant =
      SIZE_INDEX[operandSize]! | (memory ? 4 : 0) | (SIZE_INDEX[addressSize]! << 3) | (repeatIndex << 5);
    let handler = plan.handlers[variant]!;
    if (handler < 0) {
      handler = this.#handlers.handler({
        row,
        long,
        operandSize,
        addressSize,
        memory,
        repeat: (["", "rep", "repne"] as const)[repeatIndex]!,
      });
      plan.handlers[variant] = handler;
    }
    out.setUint16(record + R.R_HANDLER, handler, true);
    this.length = length;
    this.row = row;
    this.endsBlock = plan.end;
    this.standsAlone = repeatIndex !== 0;
    return Outcome.OK;
  }
}

/** The record's register field for an operand; -1 where the encoding is undefined. */
function registerSlot(spec: OperandSpec, number: number, rex: boolean): number {
  switch (spec.kind) {
    case "V":
    case "W":
    case "U":
    case "H":
      return XMM + number * XMM_STRIDE;
    case "P":
    case "Q":
    case "N":
      return X87 + (number & 7) * X87_STRIDE;
    case "S":
      return (number & 7) > Segment.GS ? -1 : SEGMENTS + (number & 7) * SEGMENT_STRIDE;
    case "s":
      return SEGMENTS + spec.register * SEGMENT_STRIDE;
    case "C":
    case "D":
      return number;
    default:
      // Without REX, encodings 4-7 of byte registers are AH, CH, DH, BH (SDM vol. 2 table 2-3).
      if (spec.size === "b" && !rex && number >= 4 && number < 8) return GPR + (number - 4) * 8 + 1;
      return GPR + number * 8;
  }
}
