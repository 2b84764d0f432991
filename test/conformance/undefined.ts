/**
 * Which status flags an instruction leaves undefined, exact to the operands where the manual is.
 */
import { Mnemonic, OpKind, Register, RflagsBits } from "iced-x86";
import { RFLAGS } from "./case.ts";
import { RCX, type Sketch } from "./sketch.ts";

/** iced-x86's flag bits, in RFLAGS' places. */
const FROM_ICED: readonly (readonly [iced: number, rflags: number])[] = [
  [RflagsBits.CF, RFLAGS.CF],
  [RflagsBits.PF, RFLAGS.PF],
  [RflagsBits.AF, RFLAGS.AF],
  [RflagsBits.ZF, RFLAGS.ZF],
  [RflagsBits.SF, RFLAGS.SF],
  [RflagsBits.OF, RFLAGS.OF],
];

const SHIFTS: ReadonlySet<Mnemonic> = new Set([Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar]);
const ROTATES: ReadonlySet<Mnemonic> = new Set([Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr]);
const DOUBLE_SHIFTS: ReadonlySet<Mnemonic> = new Set([Mnemonic.Shld, Mnemonic.Shrd]);

/** The count a shift or rotate uses, after masking to 5 or 6 bits. */
export function shiftCount(s: Sketch): number {
  const { instruction } = s;
  const last = instruction.opCount - 1;
  const raw =
    instruction.opKind(last) === OpKind.Register && instruction.opRegister(last) === Register.CL
      ? Number(s.gpr[RCX]! & 0xffn)
      : Number(instruction.immediate(last) & 0xffn);
  return raw & (operandBits(s) === 64 ? 63 : 31);
}

/** Width of the first operand, in bits. */
export function operandBits(s: Sketch): number {
  const { instruction } = s;
  if (instruction.op0Kind !== OpKind.Register) return s.operandSize * 8;
  const r = instruction.op0Register;
  return r <= Register.R15L ? 8 : r <= Register.R15W ? 16 : r <= Register.R15D ? 32 : 64;
}

/** RFLAGS mask of the status flags that are undefined after the instruction as it stands in the sketch. */
export function undefinedFlags(s: Sketch): number {
  const { mnemonic } = s.instruction;
  if (SHIFTS.has(mnemonic)) {
    // SDM vol. 2, SAL/SAR/SHL/SHR: no flag changes for a count of 0; OF is only defined for 1; AF never;
    // CF is undefined for SHL and SHR with counts of the operand's width or more.
    const count = shiftCount(s);
    if (count === 0) return 0;
    const carry = mnemonic !== Mnemonic.Sar && count >= operandBits(s) ? RFLAGS.CF : 0;
    return RFLAGS.AF | (count === 1 ? 0 : RFLAGS.OF) | carry;
  }
  if (ROTATES.has(mnemonic)) return shiftCount(s) <= 1 ? 0 : RFLAGS.OF;
  if (DOUBLE_SHIFTS.has(mnemonic)) {
    const count = shiftCount(s);
    return count === 0 ? 0 : RFLAGS.AF | (count === 1 ? 0 : RFLAGS.OF);
  }
  const bits = s.instruction.rflagsUndefined;
  let mask = 0;
  for (const [iced, rflags] of FROM_ICED) if (bits & iced) mask |= rflags;
  return mask;
}
