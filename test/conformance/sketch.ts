/**
 * A case in the making: the decoded instruction, the state so far, and the helpers that place operands.
 */
import {
  type ConstantOffsets,
  Decoder,
  DecoderOptions,
  FlowControl,
  Instruction,
  MemorySizeExt,
  OpKind,
  Register,
  RegisterExt,
} from "iced-x86";
import type { Mode, Patch } from "./case.ts";
import { effectiveOffset } from "./effective-address.ts";
import {
  CODE_BASE,
  CODE_FILLER,
  codeBase,
  DATA_BASE,
  GUARD_BASE,
  HIGH_BASE,
  PAGE,
  READ_ONLY_BASE,
  SELECTOR,
  STACK_BASE,
  segmentBase,
  WINDOWS,
} from "./environment.ts";
import { EDGE_INTEGERS, operandValue, type SplitMix } from "./random.ts";

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

const SEGMENT_INDEX: Readonly<Record<number, number>> = {
  [Register.ES]: ES,
  [Register.CS]: CS,
  [Register.SS]: SS,
  [Register.DS]: DS,
  [Register.FS]: FS,
  [Register.GS]: GS,
};

/** Encoding number of every register, by iced-x86's Register. */
export const REGISTER_NUMBER = Array.from({ length: 256 }, (_, r) => {
  try {
    return RegisterExt.number(r as Register);
  } catch {
    return -1;
  }
});

/** The longest instruction (SDM vol. 2, 2.3.11). */
const MAX_LENGTH = 15;

export const WIDTH_MASK = { 16: 0xffffn, 32: 0xffff_ffffn, 64: 0xffff_ffff_ffff_ffffn } as const;

/** Where an implicit or explicit memory operand takes its address from, and how wide that address is. */
const STRING_OPERAND: ReadonlyMap<OpKind, { register: number; width: 16 | 32 | 64; es: boolean }> = new Map([
  [OpKind.MemorySegSI, { register: RSI, width: 16, es: false }],
  [OpKind.MemorySegESI, { register: RSI, width: 32, es: false }],
  [OpKind.MemorySegRSI, { register: RSI, width: 64, es: false }],
  [OpKind.MemorySegDI, { register: RDI, width: 16, es: false }],
  [OpKind.MemorySegEDI, { register: RDI, width: 32, es: false }],
  [OpKind.MemorySegRDI, { register: RDI, width: 64, es: false }],
  [OpKind.MemoryESDI, { register: RDI, width: 16, es: true }],
  [OpKind.MemoryESEDI, { register: RDI, width: 32, es: true }],
  [OpKind.MemoryESRDI, { register: RDI, width: 64, es: true }],
]);

export class Sketch {
  readonly random: SplitMix;
  readonly mode: Mode;
  bytes: Uint8Array;
  readonly instruction = new Instruction();
  codeAddress = 0;
  end: "trap" | "breakpoint" = "breakpoint";
  selectors: [number, number, number, number, number, number];
  readonly gpr = new BigUint64Array(16);
  rflags = 0;
  fsBase = 0n;
  gsBase = 0n;
  fx: Uint8Array | null = null;
  readonly patches: Patch[] = [];
  /** Linear address of the explicit memory operand; null without one, or when it was left to chance. */
  operandAddress: number | null = null;
  #offsets: ConstantOffsets | null = null;

  constructor(random: SplitMix, mode: Mode, bytes: Uint8Array, selectors: readonly number[]) {
    this.random = random;
    this.mode = mode;
    this.bytes = bytes;
    this.selectors = [...selectors] as Sketch["selectors"];
  }

  /** Decodes `bytes` at the current code address and cuts them to the instruction's length. */
  decode(): void {
    // What follows the bytes in memory belongs to the instruction if it is longer than they are.
    const padded = new Uint8Array(this.bytes.length + 15).fill(CODE_FILLER);
    padded.set(this.bytes);
    const decoder = new Decoder(this.mode, padded, DecoderOptions.None);
    decoder.ip = BigInt(this.codeAddress - codeBase(this.selectors[CS]));
    decoder.decodeOut(this.instruction);
    this.#offsets?.free();
    this.#offsets = null;
    if (this.instruction.isInvalid) this.bytes = this.bytes.slice(0, 15);
    else {
      this.bytes = padded.slice(0, this.instruction.length);
      this.#offsets = decoder.getConstantOffsets(this.instruction);
    }
    decoder.free();
  }

  free(): void {
    this.#offsets?.free();
    this.instruction.free();
  }

  /** Offset and size of the displacement (or of a moffs address) in `bytes`; null without one. */
  get displacement(): { offset: number; size: number } | null {
    const o = this.#offsets;
    return o?.hasDisplacement ? { offset: o.displacementOffset, size: o.displacementSize } : null;
  }

  get immediate(): { offset: number; size: number } | null {
    const o = this.#offsets;
    return o?.hasImmediate ? { offset: o.immediateOffset, size: o.immediateSize } : null;
  }

  get secondImmediate(): { offset: number; size: number } | null {
    const o = this.#offsets;
    return o?.hasImmediate2 ? { offset: o.immediateOffset2, size: o.immediateSize2 } : null;
  }

  /** Writes a little-endian number into the instruction's bytes. */
  setField(field: { offset: number; size: number } | null, value: bigint): void {
    if (!field) return;
    for (let i = 0; i < field.size; i++)
      this.bytes[field.offset + i] = Number((value >> BigInt(i * 8)) & 0xffn);
  }

  /** Base of a segment in this case's mode; in 64-bit mode only FS and GS have one. */
  base(segment: number): bigint {
    if (this.mode !== 64) return BigInt(segmentBase(this.selectors[segment]!));
    return segment === FS ? this.fsBase : segment === GS ? this.gsBase : 0n;
  }

  /** Bytes of the explicit memory operand; 0 where the instruction only computes its address. */
  get operandSize(): number {
    return MemorySizeExt.size(this.instruction.memorySize);
  }

  /** Content of memory at a linear address. What the case executes stays as it is. */
  patch(address: number, bytes: Uint8Array): void {
    const inCode = WINDOWS.some(
      (w) => w.executable && address < w.address + w.size && address + bytes.length > w.address,
    );
    const overInstruction =
      address < this.codeAddress + MAX_LENGTH && address + bytes.length > this.codeAddress;
    const { flowControl } = this.instruction;
    const branches = flowControl !== FlowControl.Next && flowControl !== FlowControl.Exception;
    if (overInstruction || (inCode && branches)) return;
    if (this.patches.length < 8) this.patches.push({ address, bytes });
  }

  patchNumber(address: number, value: bigint, size: number): void {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(i * 8)) & 0xffn);
    this.patch(address, bytes);
  }

  /** Offsets of the operands in memory that lie in the segment an override would choose. */
  get segmentOffsets(): bigint[] {
    const { instruction } = this;
    const offsets: bigint[] = [];
    for (let i = 0; i < instruction.opCount; i++) {
      const kind = instruction.opKind(i);
      const implicit = STRING_OPERAND.get(kind);
      if (kind === OpKind.Memory)
        offsets.push(effectiveOffset(instruction, this.gpr, this.#displacementValue));
      else if (implicit && !implicit.es)
        offsets.push(this.gpr[implicit.register]! & WIDTH_MASK[implicit.width]);
    }
    return offsets;
  }

  get #displacementValue(): bigint {
    const field = this.displacement;
    let value = 0n;
    for (let i = (field?.size ?? 0) - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(this.bytes[field!.offset + i]!);
    return BigInt.asIntN((field?.size ?? 0) * 8, value);
  }

  /** Replaces the low `width` bits of a register; the rest keeps what it held. */
  setRegister(register: number, value: bigint, width: 16 | 32 | 64): void {
    const mask = WIDTH_MASK[width];
    this.gpr[register] = (this.gpr[register]! & ~mask) | (value & mask);
  }

  /** A linear address for an access of `size` bytes: mostly good, sometimes at an edge, sometimes hopeless. */
  target(size: number): number {
    const { random } = this;
    const reach = Math.max(size, 1);
    switch (random.below(32)) {
      case 0: // across two writable pages
        return DATA_BASE + PAGE - random.below(reach);
      case 1: // from writable to read-only
        return READ_ONLY_BASE - random.below(reach + 1);
      case 2:
      case 3:
        return READ_ONLY_BASE + random.below(PAGE);
      case 4: // from read-only to unmapped
        return GUARD_BASE - random.below(reach + 1);
      case 5:
        return GUARD_BASE + random.below(PAGE);
      case 6: // from stack to unmapped
        return STACK_BASE + PAGE - random.below(reach + 1);
      case 7: // from unmapped to stack
        return STACK_BASE - random.below(reach + 1);
      case 8:
      case 9:
        return this.mode === 64 ? HIGH_BASE + random.below(PAGE) : DATA_BASE + random.below(2 * PAGE);
      case 10:
        return this.mode === 64
          ? HIGH_BASE + PAGE - random.below(reach + 1)
          : CODE_BASE + random.below(2 * PAGE);
      case 11:
        return Number(BigInt.asUintN(53, operandValue(random)));
      case 12:
      case 13:
      case 14:
      case 15:
      case 16:
        return DATA_BASE + random.below(2 * PAGE);
      default:
        return DATA_BASE + (random.below(2 * PAGE - 1024) & ~63);
    }
  }

  /** Points the explicit memory operand, if there is one, at a target. */
  placeOperand(): void {
    const { instruction, random } = this;
    let explicit = false;
    for (let i = 0; i < instruction.opCount; i++)
      if (instruction.opKind(i) === OpKind.Memory) explicit = true;
    if (!explicit) return;
    const base = this.base(SEGMENT_INDEX[instruction.memorySegment]!);
    this.pointAt(random.oneIn(24) ? this.#anyOffset() : BigInt(this.target(this.operandSize)) - base);
    const linear = base + effectiveOffset(instruction, this.gpr, this.#displacementValue);
    this.operandAddress = Number(BigInt.asUintN(this.mode === 64 ? 64 : 32, linear));
  }

  /** An address nothing is prepared for: non-canonical, wrapping, above or below everything. */
  #anyOffset(): bigint {
    const { random } = this;
    return random.oneIn(2)
      ? 0x7fff_ffff_ffffn + BigInt(random.below(32) - 16)
      : EDGE_INTEGERS[random.below(EDGE_INTEGERS.length)]!;
  }

  /** Chooses base, index and displacement so that the effective address is `offset`, as far as possible. */
  pointAt(offset: bigint): void {
    const { instruction, random } = this;
    const base = instruction.memoryBase;
    const index = instruction.memoryIndex;
    if (instruction.isIpRelMemoryOperand) {
      const next = base === Register.EIP ? BigInt(instruction.nextIP32) : instruction.nextIP;
      this.setField(this.displacement, offset - next);
      return;
    }
    if (base === Register.None && index === Register.None) {
      this.setField(this.displacement, offset);
      return;
    }
    const named = base === Register.None ? index : base;
    const width = (RegisterExt.size(named) * 8) as 16 | 32 | 64;
    const scale = BigInt(instruction.memoryIndexScale);
    const rest = offset - instruction.memoryDisplacement;
    const baseNumber = REGISTER_NUMBER[base]!;
    const indexNumber = REGISTER_NUMBER[index]!;
    if (base === Register.None) this.setRegister(indexNumber, BigInt.asUintN(64, rest) / scale, width);
    else if (index === Register.None) this.setRegister(baseNumber, rest, width);
    else if (baseNumber === indexNumber)
      this.setRegister(baseNumber, BigInt.asUintN(64, rest) / (scale + 1n), width);
    else {
      if (indexNumber === RSP || random.oneIn(2))
        this.setRegister(indexNumber, BigInt(random.below(4096)), width);
      const indexValue = this.gpr[indexNumber]! & WIDTH_MASK[width];
      this.setRegister(baseNumber, rest - indexValue * scale, width);
    }
  }

  /** Points the registers of implicit string operands at targets; returns these. */
  placeStringOperands(): { source: number | null; destination: number | null } {
    const { instruction, random } = this;
    const placed: { source: number | null; destination: number | null } = { source: null, destination: null };
    for (let i = 0; i < instruction.opCount; i++) {
      const operand = STRING_OPERAND.get(instruction.opKind(i));
      if (!operand) continue;
      const segment = operand.es ? ES : SEGMENT_INDEX[instruction.memorySegment]!;
      const linear = random.oneIn(3) ? this.target(8) : DATA_BASE + 256 + random.below(2 * PAGE - 512);
      this.setRegister(operand.register, BigInt(linear) - this.base(segment), operand.width);
      if (operand.register === RSI) placed.source = linear;
      else placed.destination = linear;
    }
    return placed;
  }

  /** Width of the stack pointer: 64 bits in 64-bit mode, else by SS.B. */
  get stackWidth(): 16 | 32 | 64 {
    if (this.mode === 64) return 64;
    const ss = this.selectors[SS];
    return ss === SELECTOR.data16 || ss === SELECTOR.dataExpandDown16 ? 16 : 32;
  }

  /** Points the stack pointer at a place with room on both sides, or at an edge. */
  placeStack(): void {
    const { random } = this;
    let linear: number;
    switch (random.below(24)) {
      case 0:
        linear = STACK_BASE + random.below(64);
        break;
      case 1:
        linear = STACK_BASE + PAGE - random.below(64);
        break;
      case 2:
        linear = DATA_BASE + PAGE + random.below(64) - 32;
        break;
      case 3:
        linear = READ_ONLY_BASE + random.below(64) - 32;
        break;
      case 4:
        linear = Number(BigInt.asUintN(53, operandValue(random)));
        break;
      case 5:
        this.setRegister(RSP, EDGE_INTEGERS[random.below(EDGE_INTEGERS.length)]!, this.stackWidth);
        return;
      case 6:
      case 7:
        linear = STACK_BASE + 512 + random.below(PAGE - 1024);
        break;
      default:
        linear = STACK_BASE + 1024 + (random.below(PAGE - 2048) & ~7);
    }
    this.setRegister(RSP, BigInt(linear) - this.base(SS), this.stackWidth);
  }

  /** Linear address of the top of the stack. */
  get stackAddress(): number {
    return Number(BigInt.asUintN(64, this.base(SS) + (this.gpr[RSP]! & WIDTH_MASK[this.stackWidth])));
  }

  /** An offset in a code segment to branch to: mostly where filler lies, sometimes nowhere. */
  codeTarget(base: number): bigint {
    const { random } = this;
    if (random.oneIn(8)) return operandValue(random);
    if (random.oneIn(8)) return 0x7fff_ffff_ffffn + BigInt(random.below(4));
    return BigInt(CODE_BASE - base + 0x1000 + random.below(0xf00));
  }
}
