/** Where the fields of a record come from: the record at run time, or constants taken from it now. */
import { type I32, type I64, i32, i64, load } from "../../wasm/index.ts";
import * as R from "../decode/record.ts";
import type { Fields } from "../semantics/stage.ts";

const SLOT = {
  a: R.R_REG_A,
  b: R.R_REG_B,
  c: R.R_REG_C,
  base: R.R_BASE,
  index: R.R_INDEX,
  segmentBase: R.R_SEGMENT_BASE,
} as const;

/** Interpreter stage: loads from the record. */
export function dynamicFields(record: I32): Fields {
  return {
    register: (slot) => load("i32.load16_u", record, SLOT[slot]),
    scale: () => load("i32.load8_u", record, R.R_SCALE),
    flags: () => load("i32.load8_u", record, R.R_FLAGS),
    displacement: () => load("i64.load32_s", record, R.R_DISP),
    immediate: () => load("i64.load", record, R.R_IMM),
    next: () => load("i32.load16_u", record, R.R_NEXT),
    length: () => load("i32.load8_u", record, R.R_LENGTH),
  };
}

/** Specialised stage: the fields of the record at `address`, as they are now. */
export function constantFields(memory: DataView, address: number): Fields {
  const u16 = (offset: number): I32 => i32(memory.getUint16(address + offset, true));
  const u8 = (offset: number): I32 => i32(memory.getUint8(address + offset));
  return {
    register: (slot) => u16(SLOT[slot]),
    scale: () => u8(R.R_SCALE),
    flags: () => u8(R.R_FLAGS),
    displacement: (): I64 => i64(memory.getInt32(address + R.R_DISP, true)),
    immediate: (): I64 => i64(memory.getBigInt64(address + R.R_IMM, true)),
    next: () => u16(R.R_NEXT),
    length: () => u8(R.R_LENGTH),
  };
}
