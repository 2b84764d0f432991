/**
 * A decoded instruction: 32 bytes in the RECORDS region, one after the other within a block.
 *
 * Register operands are stored as offsets into the processor's block, so that AH is RAX's offset plus 1 and
 * an absent base or index is the offset of the zero slot: handlers never ask which register they have.
 */
export const RECORD_SIZE = 32;

/** u16: number of the handler. */
export const R_HANDLER = 0;
/** u16: page offset of the following instruction; up to 4095 + 15. RIP after = RIP_PAGE + this. */
export const R_NEXT = 2;
/** u8: length in bytes. */
export const R_LENGTH = 4;
/** u8: instructions of this block up to and including this one. */
export const R_COUNT = 5;
/** u16: third register operand (VEX.vvvv). */
export const R_REG_C = 6;
/** u16: operand of ModRM.reg. */
export const R_REG_A = 8;
/** u16: register operand of ModRM.rm, or of the opcode's low bits. */
export const R_REG_B = 10;
/** u16 each: offsets of base register, index register and segment base; ZERO where absent. */
export const R_BASE = 12;
export const R_INDEX = 14;
export const R_SEGMENT_BASE = 16;
/** u8: left shift of the index. */
export const R_SCALE = 18;
/** u8: `RecordFlag` bits. */
export const R_FLAGS = 19;
/** i32: displacement of the memory operand, or of a direct branch. */
export const R_DISP = 20;
/** i64: immediate, sign-extended. */
export const R_IMM = 24;
/** u32 each, direct branches only: record of the taken and of the following instruction, 0 while unknown. */
export const R_LINK_TAKEN = 24;
export const R_LINK_NEXT = 28;

export const RecordFlag = {
  /** Bits 0-2: segment register of the memory operand. */
  SEGMENT: 0x07,
  /** The address is truncated: to 32 bits in 64-bit and 32-bit code, to 16 with ADDRESS_16. */
  ADDRESS_32: 0x08,
  ADDRESS_16: 0x10,
  /** F3 and F2 as REP and REPNE. */
  REP: 0x20,
  REPNE: 0x40,
  LOCK: 0x80,
} as const;
