/**
 * Instances of allowed forms that the suite leaves out all the same, each with its reason: what processors of
 * different makers do differently, what would reach the host's kernel or a hypervisor, what has no defined result.
 */
import { Code, type Instruction, Mnemonic, OpKind, Register } from "iced-x86";
import { RFLAGS } from "./case.ts";
import { addressBits, isCanonical } from "./effective-address.ts";
import { CODE_BASE, PAGE } from "./environment.ts";
import { FS, GS, RAX, RDX, REGISTER_NUMBER, RSP, type Sketch } from "./sketch.ts";
import { operandBits, shiftCount } from "./undefined.ts";

/** The instruction ends where its code window ends, or beyond. */
export const nearCodeEnd = (s: Sketch): boolean => {
  const offset = s.codeAddress - CODE_BASE + s.bytes.length;
  return offset >= (offset > 0xf000 ? 0x1_0000 : 2 * PAGE);
};

const FAR_LOADS: ReadonlySet<Mnemonic> = new Set([Mnemonic.Lss, Mnemonic.Lfs, Mnemonic.Lgs]);
const DOUBLE_SHIFTS: ReadonlySet<Mnemonic> = new Set([Mnemonic.Shld, Mnemonic.Shrd]);

/** Instances of allowed forms that the suite leaves out all the same; each with its reason. */
export function leftOut(s: Sketch): boolean {
  const { instruction: i, mode } = s;
  // LOCK on LAR, LSL and the group of 0F 00: AMD processors read the operand before they raise #UD.
  if (hasPrefix(s, 0xf0) && isSystemSegment(s)) return true;
  // LOCK MOV CR0 is MOV CR8 on AMD processors.
  if (hasPrefix(s, 0xf0) && isControlRegisterMove(s)) return true;
  // VMCALL and VMMCALL leave to a hypervisor under the host, whatever their prefixes.
  if (isHypercall(s)) return true;
  // What UD0 and UD1 take for their operands differs; that they are #UD is common to all.
  if ([0xb9, 0xff].includes(secondOpcodeByte(s)) && (nearCodeEnd(s) || s.bytes.length > 8)) return true;
  const atLimit = nearCodeEnd(s) || s.bytes.length > 12;
  if (i.isInvalid && hasVectorPrefix(s)) {
    // How long an undefined instruction is, and so which of its bytes are fetched, the manual does not say: AMD
    // processors take C4 and C5 after REX for LES and LDS, and those with AVX-512 know more of what 62H begins.
    if (atLimit) return true;
    // AMD processors with AVX-512 ignore bits that must be set in instructions on opmask registers.
    if (isOpmask(s)) return true;
  }
  // 66H before a near branch, which AMD processors heed: an overlong instruction might be one of 15 bytes there.
  if (i.isInvalid) return mode === 64 && atLimit && hasPrefix(s, 0x66);
  if (i.mnemonic === Mnemonic.Int && i.immediate8 === 0x80) return true; // enters the host's kernel
  if (i.code === Code.Bswap_r16) return true; // the result is undefined
  const near =
    i.isJmpNear ||
    i.isJmpShort ||
    i.isCallNear ||
    i.isJccShortOrNear ||
    i.isLoop ||
    i.isLoopcc ||
    i.isJcxShort;
  const prefix66 = i.mnemonic !== Mnemonic.INVALID && hasPrefix(s, 0x66);
  // 66H on a near branch in 64-bit mode: ignored on Intel processors, 16-bit RIP on AMD's.
  if (
    mode === 64 &&
    prefix66 &&
    (near ||
      i.isJmpNearIndirect ||
      i.isCallNearIndirect ||
      i.mnemonic === Mnemonic.Ret ||
      i.mnemonic === Mnemonic.Xbegin)
  )
    return true;
  // REX.W on far pointers in memory: 64-bit offsets on Intel processors, ignored on AMD's.
  if (
    mode === 64 &&
    i.memorySize !== 0 &&
    (i.isJmpFarIndirect || i.isCallFarIndirect || FAR_LOADS.has(i.mnemonic)) &&
    s.operandSize === 10
  )
    return true;
  // The component mask in EDX:EAX is chosen after the operand is placed.
  if (XSAVE_FAMILY.has(i.mnemonic) && addressUses(i, RAX, RDX)) return true;
  // MOVSXD to a 16-bit register reads 32 bits on AMD processors, 16 on Intel's.
  if (i.code === Code.Movsxd_r16_rm16 && i.op1Kind === OpKind.Memory) return true;
  // 0F 0D with a register operand: #UD on AMD processors, a NOP on Intel's.
  if (isReservedPrefetch(s)) return true;
  // REP prefixes on LOOPcc change the condition on AMD processors.
  if (i.isLoopcc && (hasPrefix(s, 0xf2) || hasPrefix(s, 0xf3))) return true;
  return false;
}

const XSAVE_FAMILY: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Xsave,
  Mnemonic.Xsave64,
  Mnemonic.Xrstor,
  Mnemonic.Xrstor64,
]);

function addressUses(i: Instruction, ...registers: number[]): boolean {
  return [i.memoryBase, i.memoryIndex].some(
    (r) => r !== Register.None && registers.includes(REGISTER_NUMBER[r]!),
  );
}

const PREFETCH_WITH_REGISTER: ReadonlySet<Code> = new Set([
  Code.Reservednop_rm16_r16_0F0D,
  Code.Reservednop_rm32_r32_0F0D,
  Code.Reservednop_rm64_r64_0F0D,
]);

/** The byte after 0F behind whatever prefixes, or -1. */
function secondOpcodeByte(s: Sketch): number {
  const at = s.bytes.indexOf(0x0f);
  return at < 0 ? -1 : (s.bytes[at + 1] ?? -1);
}

/** LAR, LSL and the group of 0F 00. */
function isSystemSegment(s: Sketch): boolean {
  return [0x00, 0x02, 0x03].includes(secondOpcodeByte(s));
}

function isControlRegisterMove(s: Sketch): boolean {
  return [0x20, 0x22].includes(secondOpcodeByte(s));
}

function isHypercall(s: Sketch): boolean {
  const modrm = s.bytes[s.bytes.indexOf(0x0f) + 2];
  return secondOpcodeByte(s) === 0x01 && (modrm === 0xc1 || modrm === 0xd9);
}

function isReservedPrefetch(s: Sketch): boolean {
  return PREFETCH_WITH_REGISTER.has(s.instruction.code) && s.instruction.op0Kind === OpKind.Register;
}

/**
 * Whether 16-byte operands that need no alignment are checked for it is the processor's choice (SDM vol. 2, MOVDQU).
 * AMD processors check MASKMOVDQU's as two quadwords.
 */
function isMaskedMoveOfQuadwords(s: Sketch): boolean {
  if (s.instruction.mnemonic !== Mnemonic.Maskmovdqu || !(s.rflags & RFLAGS.AC)) return false;
  return s.segmentOffsets.some((offset) => (offset & 7n) === 0n && (offset & 15n) !== 0n);
}

/** Index of the first byte behind legacy prefixes and REX. */
function afterPrefixes(s: Sketch): number {
  const isRex = (byte: number): boolean => s.mode === 64 && (byte & 0xf0) === 0x40;
  return s.bytes.findIndex((byte) => !isLegacyPrefix(byte) && !isRex(byte));
}

/** VEX, EVEX; LES, LDS and BOUND too. */
function hasVectorPrefix(s: Sketch): boolean {
  return [0x62, 0xc4, 0xc5].includes(s.bytes[afterPrefixes(s)] ?? 0);
}

/** VEX.0F 41-4B and 90-99. */
function isOpmask(s: Sketch): boolean {
  const at = afterPrefixes(s);
  const opcode = s.bytes[at + (s.bytes[at] === 0xc5 ? 2 : 3)] ?? 0;
  return (opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99);
}

function isLegacyPrefix(byte: number): boolean {
  return [0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(byte) || (byte & 0xe7) === 0x26 || (byte & 0xfe) === 0x64;
}

function hasPrefix(s: Sketch, prefix: number): boolean {
  for (const byte of s.bytes) {
    if (byte === prefix) return true;
    if (!isLegacyPrefix(byte) && !(s.mode === 64 && (byte & 0xf0) === 0x40)) return false;
  }
  return false;
}

export function leftOutByState(s: Sketch): boolean {
  if (isMadeCanonicalByBase(s) || isMaskedMoveOfQuadwords(s)) return true;
  if (imageWraps(s)) return true;
  // A far call from 64-bit mode to compatibility mode: AMD processors push to ESP.
  if (s.mode === 64 && s.instruction.isCallFarIndirect && s.gpr[RSP]! >> 32n !== 0n) return true;
  // SHLD, SHRD by more than the operand's width: the result is undefined.
  return DOUBLE_SHIFTS.has(s.instruction.mnemonic) && shiftCount(s) > operandBits(s);
}

const X87_IMAGES: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Fldenv,
  Mnemonic.Fnstenv,
  Mnemonic.Frstor,
  Mnemonic.Fnsave,
]);

/** An x87 image that reaches beyond offset FFFFH of a 16-bit address: AMD processors go on at offset 0. */
function imageWraps(s: Sketch): boolean {
  const { instruction: i } = s;
  if (!X87_IMAGES.has(i.mnemonic) || addressBits(i) !== 16) return false;
  return s.segmentOffsets.some((offset) => offset + BigInt(s.operandSize) > 0x1_0000n);
}

/**
 * An effective address that only the base of FS or GS makes canonical: AMD processors raise #GP, Intel's look at
 * the linear address alone (SDM vol. 1, 3.3.7.1).
 */
function isMadeCanonicalByBase(s: Sketch): boolean {
  const segment = s.instruction.memorySegment;
  if (s.mode !== 64 || (segment !== Register.FS && segment !== Register.GS)) return false;
  const base = s.base(segment === Register.FS ? FS : GS);
  const last = BigInt(Math.max(s.operandSize, 1) - 1);
  return s.segmentOffsets.some((offset) => {
    const ends = [offset, offset + last];
    return ends.some((end) => !isCanonical(end)) && ends.some((end) => isCanonical(base + end));
  });
}
