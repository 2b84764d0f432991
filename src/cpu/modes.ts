/** The decode mode: everything outside the bytes that decides what an instruction means. */

export const Mode = {
  /** Default operand and address size of the code segment, in bits 0-1. */
  CODE_16: 0,
  CODE_32: 1,
  CODE_64: 2,
  SIZE: 3,
  /** SS.B: the stack pointer is ESP (else SP). Not used in 64-bit code. */
  STACK_32: 4,
  /** CR0.PE = 0 or RFLAGS.VM = 1: segments are selector * 16; instructions of protected mode are #UD. */
  REAL_OR_V86: 8,
} as const;
