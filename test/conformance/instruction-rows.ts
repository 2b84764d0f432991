/**
 * Generator rows from iced-x86's instruction list: every instruction form of the features in exclusions.ts.
 * The list is independent of the emulator's decode tables, so a form missing there is found here.
 */
import {
  Code,
  CodeExt,
  CpuidFeature,
  EncodingKind,
  Instruction,
  OpCodeOperandKind as Kind,
  MandatoryPrefix,
  Mnemonic,
  OpCodeTableKind,
} from "iced-x86";
import type { Mode } from "./case.ts";
import { EXCLUDED, FEATURES } from "./exclusions.ts";
import type { GeneratorRow } from "./rows.ts";

const MODRM_OPERANDS: ReadonlySet<Kind> = new Set([
  Kind.mem,
  Kind.mem_mib,
  Kind.r8_or_mem,
  Kind.r16_or_mem,
  Kind.r32_or_mem,
  Kind.r64_or_mem,
  Kind.mm_or_mem,
  Kind.xmm_or_mem,
  Kind.r8_reg,
  Kind.r16_reg,
  Kind.r16_reg_mem,
  Kind.r16_rm,
  Kind.r32_reg,
  Kind.r32_reg_mem,
  Kind.r32_rm,
  Kind.r64_reg,
  Kind.r64_reg_mem,
  Kind.r64_rm,
  Kind.seg_reg,
  Kind.mm_reg,
  Kind.mm_rm,
  Kind.xmm_reg,
  Kind.xmm_rm,
  Kind.cr_reg,
  Kind.dr_reg,
  Kind.tr_reg,
]);
const MEMORY_ONLY: ReadonlySet<Kind> = new Set([Kind.mem, Kind.mem_mib]);
const REGISTER_ONLY: ReadonlySet<Kind> = new Set([
  Kind.r16_rm,
  Kind.r32_rm,
  Kind.r64_rm,
  Kind.mm_rm,
  Kind.xmm_rm,
  Kind.cr_reg,
  Kind.dr_reg,
  Kind.tr_reg,
]);
const IN_OPCODE: ReadonlySet<Kind> = new Set([
  Kind.r8_opcode,
  Kind.r16_opcode,
  Kind.r32_opcode,
  Kind.r64_opcode,
  Kind.sti_opcode,
]);

const PREFIXES: Readonly<Record<number, GeneratorRow["prefix"]>> = {
  [MandatoryPrefix.None]: "",
  [MandatoryPrefix.PNP]: "NP",
  [MandatoryPrefix.P66]: "66",
  [MandatoryPrefix.PF3]: "F3",
  [MandatoryPrefix.PF2]: "F2",
};

const MAPS: Readonly<Record<number, GeneratorRow["map"]>> = {
  [OpCodeTableKind.Normal]: 0,
  [OpCodeTableKind.T0F]: 1,
  [OpCodeTableKind.T0F38]: 2,
  [OpCodeTableKind.T0F3A]: 3,
};

/** Instruction forms, by iced-x86's Code, that may be executed: what the generator's output is checked against. */
const allowed = new Uint8Array(Object.keys(Code).length / 2);

/** True for decoded forms that belong to the suite; INVALID does. */
export function isAllowed(code: Code): boolean {
  return code === Code.INVALID || allowed[code] === 1;
}

function belongs(code: Code): boolean {
  const instruction = new Instruction();
  instruction.code = code;
  const { mnemonic } = instruction;
  const features = [...instruction.cpuidFeatures()];
  instruction.free();
  return !EXCLUDED.has(mnemonic) && features.every((feature) => FEATURES.has(CpuidFeature[feature]!));
}

/** Every row of the suite, in iced-x86's order of codes. */
export function instructionRows(): GeneratorRow[] {
  const rows: GeneratorRow[] = [];
  for (let code = 1 as Code; code < allowed.length; code++) {
    const info = CodeExt.opCode(code);
    const encodable = info.encoding === EncodingKind.Legacy || info.encoding === EncodingKind.VEX;
    if (encodable && info.isInstruction && !info.decoderOption && !info.fwait && belongs(code)) {
      allowed[code] = 1;
      const kinds = Array.from({ length: info.opCount }, (_, i) => info.opKind(i));
      const bytes = info.opCodeLength === 2 ? [info.opCode >> 8, info.opCode & 0xff] : [info.opCode];
      const isGroup = info.groupIndex >= 0;
      const inOpcode = kinds.some((kind) => IN_OPCODE.has(kind));
      const fpuMemory =
        bytes.length === 1 && bytes[0]! >= 0xd8 && bytes[0]! <= 0xdf && info.table === OpCodeTableKind.Normal;
      const hasModrm =
        bytes.length === 1 &&
        !inOpcode &&
        (isGroup || fpuMemory || kinds.some((kind) => MODRM_OPERANDS.has(kind)));
      const memoryOnly = fpuMemory || kinds.some((kind) => MEMORY_ONLY.has(kind));
      const registerOnly = kinds.some((kind) => REGISTER_ONLY.has(kind)) || info.rmGroupIndex >= 0;
      rows.push({
        id: Code[code]!,
        mnemonic: Mnemonic[info.mnemonic]!.toUpperCase(),
        modes: ([16, 32, 64] as Mode[]).filter((mode) =>
          mode === 64 ? info.mode64 : mode === 32 ? info.mode32 : info.mode16,
        ),
        prefix: PREFIXES[info.mandatoryPrefix]!,
        map: MAPS[info.table]!,
        vex:
          info.encoding === EncodingKind.VEX
            ? { l: info.L as 0 | 1, w: info.isWIG ? null : (info.W as 0 | 1) }
            : null,
        w: info.W === 1 ? 1 : null,
        opcode: bytes,
        opcodeRegister: inOpcode,
        modrm: hasModrm
          ? {
              digit: isGroup ? info.groupIndex : null,
              mod: memoryOnly ? "mem" : registerOnly ? "reg" : "any",
            }
          : null,
        operandSize: info.operandSize as GeneratorRow["operandSize"],
        default64: info.defaultOpSize64 || info.forceOpSize64,
        addressSize: info.addressSize as GeneratorRow["addressSize"],
        lockable: info.canUseLockPrefix,
        undefinedFlags: 0,
      });
    }
    info.free();
  }
  return rows;
}
