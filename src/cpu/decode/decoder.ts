/**
 * Bytes to records, in the order of SDM vol. 2 figure 2-1: prefixes and opcode (`prefixes.ts`), ModRM, SIB and
 * displacement (`address-form.ts`), immediates. What an instruction means is found in the rows; what it is
 * done by, in the handlers.
 *
 * An instruction is fetched whole before it is judged: too few bytes come before too many, and both before
 * #UD, as on a processor.
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
import { AddressForm } from "./address-form.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { addressSizeOf, operandSizeOf, type Plan, planOf } from "./plan.ts";
import { Prefixes } from "./prefixes.ts";
import * as R from "./record.ts";
import { RecordFlag } from "./record.ts";
import { RowIndex, type Selector } from "./row-index.ts";
import type { OperandSpec, Row } from "./rows.ts";

export { MAX_LENGTH } from "./byte-cursor.ts";

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

const SIZE_INDEX: Record<number, number> = { 2: 0, 4: 1, 8: 2 };
const REPEAT = ["", "rep", "repne"] as const;

export class Decoder {
  readonly #rows: readonly Row[];
  readonly #long: RowIndex;
  readonly #legacy: RowIndex;
  readonly #plans: { long: (Plan | undefined)[]; legacy: (Plan | undefined)[] } = { long: [], legacy: [] };
  readonly #handlers: HandlerSource;
  readonly #selector: Selector = { map: 0, opcode: 0, prefix: 0, modrm: 0, vex: false, vexL: 0, w: 0 };

  readonly #cursor = new ByteCursor();
  readonly #prefixes = new Prefixes();
  readonly #address = new AddressForm();
  #immLow = 0;
  #immHigh = 0;

  /** Length and row of the instruction last decoded, and whether it ends its block or stands alone. */
  length = 0;
  row: Row | null = null;
  endsBlock = false;
  standsAlone = false;

  constructor(rows: readonly Row[], features: ReadonlySet<string>, handlers: HandlerSource) {
    const on = rows.filter((row) => row.feature === "" || features.has(row.feature));
    this.#rows = rows;
    // Rows of the other code size come last: their instructions are fetched whole before they are #UD.
    const without = (attribute: string) => on.filter((row) => !row.attributes.has(attribute));
    const only = (attribute: string) => on.filter((row) => row.attributes.has(attribute));
    this.#long = new RowIndex([...without("i64"), ...only("i64")], rows);
    this.#legacy = new RowIndex([...without("o64"), ...only("o64")], rows);
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
    const cursor = this.#cursor;
    const prefixes = this.#prefixes;
    const address = this.#address;
    const long = (mode & Mode.SIZE) === Mode.CODE_64;
    cursor.open(code, at, end);
    prefixes.read(cursor, mode);
    address.reset();
    const row = cursor.short ? null : this.#findRow(cursor, long);
    if (cursor.short) return cursor.tooLong ? Outcome.TOO_LONG : Outcome.MORE;
    if (row === null) return this.#skipUndefined(cursor, mode);
    const plan = this.#planOf(row, long);
    const operandSize = operandSizeOf(plan, row, prefixes, mode);
    const addressSize = addressSizeOf(prefixes, mode);

    let memory = false;
    if (row.hasModrm) {
      const modrm = cursor.u8();
      if (modrm < 0xc0 && !plan.modreg) {
        memory = true;
        address.read(cursor, modrm, addressSize, prefixes, long);
      }
    }
    this.#readImmediates(cursor, plan, operandSize, addressSize);
    if (cursor.short) return cursor.tooLong ? Outcome.TOO_LONG : Outcome.MORE;

    if (prefixes.undefined || (long ? plan.i64 : plan.o64)) return Outcome.UNDEFINED;
    if (plan.protectedOnly && mode & Mode.REAL_OR_V86) return Outcome.UNDEFINED;
    if (prefixes.lock && !(plan.lock && memory)) return Outcome.UNDEFINED;
    if (prefixes.vex && plan.c === null && prefixes.vvvv !== 0) return Outcome.UNDEFINED;
    this.length = cursor.length;
    this.row = row;
    if (!this.#writeRegisters(plan, row, memory, operandSize, addressSize, out, record))
      return Outcome.UNDEFINED;
    this.#writeAddress(plan, long, operandSize, addressSize, pageOffset, out, record);
    if (plan.raw) {
      this.#immLow = prefixes.opcode | (this.#selector.modrm << 8);
      this.#immHigh = 0;
    }
    out.setInt32(record + R.R_IMM, this.#immLow, true);
    out.setInt32(record + R.R_IMM + 4, this.#immHigh, true);
    const repeat = plan.repeat ? (prefixes.repeat === 0xf3 ? 1 : prefixes.repeat === 0xf2 ? 2 : 0) : 0;
    const handler = this.#handlerOf(plan, {
      row,
      long,
      operandSize,
      addressSize,
      memory,
      repeat: REPEAT[repeat]!,
    });
    out.setUint16(record + R.R_HANDLER, handler, true);
    this.endsBlock = plan.end;
    this.standsAlone = repeat !== 0;
    return Outcome.OK;
  }

  #findRow(cursor: ByteCursor, long: boolean): Row | null {
    const prefixes = this.#prefixes;
    const index = long ? this.#long : this.#legacy;
    const s = this.#selector;
    s.map = prefixes.map;
    s.opcode = prefixes.opcode;
    s.prefix = prefixes.mandatory;
    s.vex = prefixes.vex;
    s.vexL = prefixes.vexL;
    s.w = prefixes.w;
    s.modrm = index.hasModrm(s) ? cursor.peek() : 0;
    return index.find(s);
  }

  #planOf(row: Row, long: boolean): Plan {
    const plans = long ? this.#plans.long : this.#plans.legacy;
    let plan = plans[row.id];
    if (plan === undefined) {
      plan = planOf(row);
      plans[row.id] = plan;
    }
    return plan;
  }

  /**
   * An opcode without a row is still fetched as far as its length is known: ModRM byte and immediate as other rows
   * of the opcode have them. Where it has none at all, a ModRM byte beyond the one-byte map, an immediate in 0F3A.
   */
  #skipUndefined(cursor: ByteCursor, mode: number): number {
    const prefixes = this.#prefixes;
    const long = (mode & Mode.SIZE) === Mode.CODE_64;
    const index = long ? this.#long : this.#legacy;
    const sibling = index.sibling(this.#selector);
    const plan = sibling && this.#planOf(sibling, long);
    const addressSize = addressSizeOf(prefixes, mode);
    if (sibling ? index.hasModrm(this.#selector) : prefixes.map > 0) {
      const modrm = cursor.u8();
      if (modrm < 0xc0 && !plan?.modreg) this.#address.read(cursor, modrm, addressSize, prefixes, long);
    }
    if (sibling && plan) {
      this.#readImmediates(cursor, plan, operandSizeOf(plan, sibling, prefixes, mode), addressSize);
    } else if (prefixes.map === 3) cursor.u8();
    if (cursor.short) return cursor.tooLong ? Outcome.TOO_LONG : Outcome.MORE;
    return Outcome.UNDEFINED;
  }

  /** Immediates, sign-extended into `#immLow` and `#immHigh`; a branch displacement into the address form. */
  #readImmediates(cursor: ByteCursor, plan: Plan, operandSize: number, addressSize: number): void {
    this.#immLow = 0;
    this.#immHigh = 0;
    for (let i = 0; i < plan.immediates.length; i++) {
      const { kind, size } = plan.immediates[i]!;
      let low: number;
      let high: number;
      if (kind === "A") {
        // ptr16:16 and ptr16:32: the offset comes first.
        low = operandSize === 2 ? cursor.u16() : cursor.i32();
        high = cursor.u16();
      } else if (kind === "O") {
        low = addressSize === 2 ? cursor.u16() : cursor.i32();
        high = addressSize === 8 ? cursor.i32() : 0;
      } else if (size === "b") {
        low = cursor.i8();
        high = low >> 31;
      } else if (size === "w" || operandSize === 2) {
        low = cursor.i16();
        high = low >> 31;
      } else {
        low = cursor.i32();
        high = size === "v" && operandSize === 8 ? cursor.i32() : low >> 31;
      }
      if (kind === "J") this.#address.displacement = low;
      else if (i === 0) {
        this.#immLow = low;
        this.#immHigh = high;
      } else {
        // The second of two immediates (ENTER Iw,Ib) goes into bits 16-23.
        this.#immLow = (this.#immLow & 0xffff) | ((low & 0xff) << 16);
        this.#immHigh = 0;
      }
    }
  }

  /** @returns false where a register operand does not exist */
  #writeRegisters(
    plan: Plan,
    row: Row,
    memory: boolean,
    operandSize: number,
    addressSize: number,
    out: DataView,
    record: number,
  ): boolean {
    const prefixes = this.#prefixes;
    const { modrm } = this.#selector;
    const rex = prefixes.rex !== 0;
    const a = plan.a ? registerSlot(plan.a, prefixes.r | ((modrm >> 3) & 7), rex) : 0;
    if (a < 0) return false;
    let b = 0;
    if (row.opcodeRegister) b = registerSlot(plan.b!, prefixes.b | (prefixes.opcode & 7), rex);
    else if (plan.b && !memory) b = registerSlot(plan.b, prefixes.b | (modrm & 7), rex);
    let c = plan.c ? registerSlot(plan.c, prefixes.vvvv, true) : 0;
    if (plan.helper) {
      c = (plan.byteOperation ? 1 : operandSize) | ((addressSize | (memory ? 0x80 : 0)) << 8);
    }
    out.setUint16(record + R.R_REG_A, a, true);
    out.setUint16(record + R.R_REG_B, b, true);
    out.setUint16(record + R.R_REG_C, c, true);
    return true;
  }

  #writeAddress(
    plan: Plan,
    long: boolean,
    operandSize: number,
    addressSize: number,
    pageOffset: number,
    out: DataView,
    record: number,
  ): void {
    const prefixes = this.#prefixes;
    const address = this.#address;
    const next = pageOffset + this.length;
    let { base, index, displacement } = address;
    if (address.ripRelative) {
      base = RIP_PAGE;
      displacement += next;
      if (displacement > 0x7fff_ffff) {
        index = CONST_10000;
        displacement -= 0x1_0000;
      }
    }
    const segment = prefixes.segment >= 0 ? prefixes.segment : address.segment;
    let flags = segment | (prefixes.lock ? RecordFlag.LOCK : 0);
    // A direct branch has no memory operand: there the flags say to what RIP is truncated.
    const truncated = plan.branch ? operandSize : addressSize;
    if (truncated === 2) flags |= RecordFlag.ADDRESS_16;
    else if (truncated === 4 && !(plan.branch && long)) flags |= RecordFlag.ADDRESS_32;
    if (plan.repeat) {
      if (prefixes.repeat === 0xf3) flags |= RecordFlag.REP;
      else if (prefixes.repeat === 0xf2) flags |= RecordFlag.REPNE;
    }
    const based = long && segment < Segment.FS ? ZERO : SEGMENTS + segment * SEGMENT_STRIDE + SEGMENT_BASE;
    out.setUint16(record + R.R_NEXT, next, true);
    out.setUint8(record + R.R_LENGTH, this.length);
    out.setUint16(record + R.R_BASE, base, true);
    out.setUint16(record + R.R_INDEX, index, true);
    out.setUint16(record + R.R_SEGMENT_BASE, based, true);
    out.setUint8(record + R.R_SCALE, address.scale);
    out.setUint8(record + R.R_FLAGS, flags);
    out.setInt32(record + R.R_DISP, displacement, true);
  }

  /** The handler's number, remembered by variant so that forms are named once. */
  #handlerOf(plan: Plan, form: Form): number {
    const repeat = REPEAT.indexOf(form.repeat);
    const variant =
      SIZE_INDEX[form.operandSize]! |
      (form.memory ? 4 : 0) |
      (SIZE_INDEX[form.addressSize]! << 3) |
      (repeat << 5);
    let handler = plan.handlers[variant]!;
    if (handler < 0) {
      handler = this.#handlers.handler(form);
      plan.handlers[variant] = handler;
    }
    return handler;
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
