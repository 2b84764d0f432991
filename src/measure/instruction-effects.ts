/**
 * What an instruction does to memory and to the machine, as far as a measurement asks: from iced-x86, which knows
 * each instruction's memory operands, implicit ones (stack, strings, IRET's frame) included.
 */
import type { Instruction, InstructionInfo, UsedMemory } from "iced-x86";
import { GPR, SEGMENT_BASE, SEGMENT_STRIDE, SEGMENTS, Segment } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";

/** One memory operand; its address is computed from the registers before the instruction. */
interface Operand {
  readonly read: boolean;
  readonly write: boolean;
  /** Offset in the processor's block of the segment base, or -1: none that counts in 64-bit mode. */
  readonly segmentBase: number;
  /** General registers by number, or -1. RIP-relative addresses come as displacements. */
  readonly base: number;
  readonly index: number;
  readonly scale: bigint;
  readonly displacement: bigint;
}

/** What it is beside its operands. */
export type Kind =
  | "plain"
  /** A way into a more privileged ring: SYSCALL, SYSENTER, INT n, a far CALL. */
  | "enter"
  /** A way back: SYSRET, SYSEXIT, IRET, a far RET. */
  | "leave"
  | "mov-cr3"
  | "mov-cr4"
  | "invlpg"
  | "invpcid";

export interface Effects {
  readonly bytes: Uint8Array;
  readonly kind: Kind;
  readonly operands: readonly Operand[];
  /** Bytes of an element of a string instruction with a REP prefix; 0: it is none. */
  readonly element: number;
  /** Descriptors that the instruction reads without naming them. */
  readonly descriptorReads: number;
  /** ADD, SUB or LEA on RSP makes room on the same stack, however much. */
  readonly adjustsRsp: boolean;
  /** An operand is addressed by RSP. */
  readonly usesStack: boolean;
  /** MOV to a control register: the general register with the value; INVLPG: none. */
  readonly source: number;
}

/** Decodes the bytes at RIP as 64-bit code. */
export type EffectsDecoder = (bytes: Uint8Array, rip: bigint) => Effects;

/** Loads iced-x86. */
export async function loadEffectsDecoder(): Promise<EffectsDecoder> {
  const iced = await import("iced-x86");
  const { Decoder, DecoderOptions, InstructionInfoFactory, MemorySizeExt, Mnemonic, OpAccess, Register } =
    iced;
  const factory = new InstructionInfoFactory();

  const general = (register: number): number => {
    if (register >= Register.RAX && register <= Register.R15) return register - Register.RAX;
    return register >= Register.EAX && register <= Register.R15D ? register - Register.EAX : -1;
  };
  const segmentBase = (register: number): number => {
    const segment = register === Register.FS ? Segment.FS : register === Register.GS ? Segment.GS : undefined;
    return segment === undefined ? -1 : SEGMENTS + segment * SEGMENT_STRIDE + SEGMENT_BASE;
  };
  const READS = new Set<number>([OpAccess.Read, OpAccess.CondRead, OpAccess.ReadWrite]);
  READS.add(OpAccess.ReadCondWrite);
  const WRITES = new Set<number>([OpAccess.Write, OpAccess.CondWrite, OpAccess.ReadWrite]);
  WRITES.add(OpAccess.ReadCondWrite);

  const operand = (memory: UsedMemory): Operand => ({
    read: READS.has(memory.access),
    write: WRITES.has(memory.access),
    segmentBase: segmentBase(memory.segment),
    base: general(memory.base),
    index: general(memory.index),
    scale: BigInt(memory.scale),
    displacement: memory.displacement,
  });

  const controlRegister = (instruction: Instruction): Kind => {
    const target = instruction.op0Register;
    if (target === Register.CR3) return "mov-cr3";
    return target === Register.CR4 ? "mov-cr4" : "plain";
  };
  const kindOf = (instruction: Instruction, isFar: boolean): Kind => {
    switch (instruction.mnemonic) {
      case Mnemonic.Syscall:
      case Mnemonic.Sysenter:
      case Mnemonic.Int:
      case Mnemonic.Int3:
        return "enter";
      case Mnemonic.Call:
        return isFar ? "enter" : "plain";
      case Mnemonic.Sysret:
      case Mnemonic.Sysretq:
      case Mnemonic.Sysexit:
      case Mnemonic.Sysexitq:
      case Mnemonic.Iret:
      case Mnemonic.Iretd:
      case Mnemonic.Iretq:
      case Mnemonic.Retf:
        return "leave";
      case Mnemonic.Mov:
        return controlRegister(instruction);
      case Mnemonic.Invlpg:
        return "invlpg";
      case Mnemonic.Invpcid:
        return "invpcid";
      default:
        return "plain";
    }
  };
  /** Far transfers read the descriptors of the new CS and SS (SDM vol. 3A 5.8.2-5.8.5, 6.12.1). */
  const descriptors = (instruction: Instruction, kind: Kind): number => {
    if (kind === "enter" && instruction.mnemonic === Mnemonic.Call) return 1;
    const { mnemonic } = instruction;
    return mnemonic === Mnemonic.Iretq || mnemonic === Mnemonic.Iretd || mnemonic === Mnemonic.Retf ? 2 : 0;
  };
  const adjusting = new Set<number>([Mnemonic.Add, Mnemonic.Sub, Mnemonic.Lea]);

  return (bytes, rip) => {
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.ip = rip;
    const instruction = decoder.decode();
    const info: InstructionInfo = factory.info(instruction);
    const memories = info.usedMemory();
    const isFar = instruction.isCallFar || instruction.isCallFarIndirect;
    const kind = kindOf(instruction, isFar);
    const effects: Effects = {
      bytes: bytes.slice(0, instruction.length),
      kind,
      operands: memories.map(operand),
      element:
        instruction.isStringInstruction && (instruction.hasRepPrefix || instruction.hasRepnePrefix)
          ? MemorySizeExt.size(instruction.memorySize)
          : 0,
      descriptorReads: descriptors(instruction, kind),
      adjustsRsp: instruction.op0Register === Register.RSP && adjusting.has(instruction.mnemonic),
      usesStack: memories.some(({ base }) => base === Register.RSP),
      source: kind === "invlpg" ? general(instruction.memoryBase) : general(instruction.op1Register),
    };
    for (const memory of memories) memory.free();
    info.free();
    instruction.free();
    decoder.free();
    return effects;
  };
}

/** Linear address of an operand, registers as they are now. */
export function operandAddress(cpu: CpuState, operand: Operand): bigint {
  let address = operand.displacement;
  if (operand.base >= 0) address += cpu.u64(GPR + operand.base * 8);
  if (operand.index >= 0) address += cpu.u64(GPR + operand.index * 8) * operand.scale;
  if (operand.segmentBase >= 0) address += cpu.u64(operand.segmentBase);
  return BigInt.asUintN(64, address);
}
