/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 1 12.10.3 and vol. 2 4.1, "Imm8 Control Byte Operation
 * for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM").
 */
import { GPR, HELPER_VALUE, XMM } from "../layout.ts";
import { Flag, Gpr } from "../registers.ts";
import { SOFT_FIRST, SOFT_SECOND } from "../semantics/sse/lanes.ts";
import type { CpuState } from "../state.ts";
import { CONTINUE, type Helper, type SystemHelpers, writeRegister } from "../system/helper.ts";

/** Fields of the immediate. */
const WORDS = 0x01;
const SIGNED = 0x02;
const AGGREGATION_SHIFT = 2;
const NEGATIVE = 0x10;
const MASKED = 0x20;
/** Output selection: the most significant index, or a mask of whole elements. */
const MOST_SIGNIFICANT = 0x40;

const Aggregation = { EQUAL_ANY: 0, RANGES: 1, EQUAL_EACH: 2, EQUAL_ORDERED: 3 } as const;

interface Operand {
  readonly elements: readonly number[];
  /** Number of valid elements, from the first. */
  readonly length: number;
}

interface Comparison {
  /** IntRes2: one bit an element. */
  readonly result: number;
  readonly count: number;
  readonly first: Operand;
  readonly second: Operand;
}

function readElements(cpu: CpuState, offset: number, imm: number): number[] {
  const { view } = cpu;
  const signed = (imm & SIGNED) !== 0;
  if (imm & WORDS) {
    return Array.from({ length: 8 }, (_, i) =>
      signed ? view.getInt16(offset + 2 * i, true) : view.getUint16(offset + 2 * i, true),
    );
  }
  return Array.from({ length: 16 }, (_, i) =>
    signed ? view.getInt8(offset + i) : view.getUint8(offset + i),
  );
}

/** Implicit length: up to the first zero element. */
function implicit(cpu: CpuState, offset: number, imm: number): Operand {
  const elements = readElements(cpu, offset, imm);
  const end = elements.indexOf(0);
  return { elements, length: end < 0 ? elements.length : end };
}

/** Explicit length: the magnitude of EAX or EDX (RAX, RDX with REX.W), at most the number of elements. */
function explicit(cpu: CpuState, offset: number, imm: number, register: number): Operand {
  const elements = readElements(cpu, offset, imm);
  const value =
    cpu.i32(HELPER_VALUE) === 8 ? BigInt.asIntN(64, cpu.gpr(register)) : BigInt(cpu.i32(GPR + register * 8));
  const magnitude = value < 0n ? -value : value;
  return { elements, length: magnitude > elements.length ? elements.length : Number(magnitude) };
}

/** One bit of IntRes1: what the aggregation says of element `j` of the second operand. */
function aggregate(first: Operand, second: Operand, j: number, mode: number): boolean {
  const count = first.elements.length;
  const value = second.elements[j]!;
  const valid = j < second.length;
  switch (mode) {
    case Aggregation.EQUAL_ANY:
      return valid && first.elements.slice(0, first.length).includes(value);
    case Aggregation.RANGES:
      for (let i = 0; valid && i + 1 < first.length; i += 2) {
        if (value >= first.elements[i]! && value <= first.elements[i + 1]!) return true;
      }
      return false;
    case Aggregation.EQUAL_EACH:
      // Two invalid elements are equal, a valid and an invalid one are not.
      return j < first.length && valid ? first.elements[j] === value : j >= first.length && !valid;
    default:
      // Equal ordered: the first operand, as far as valid, found from element j on; it may run over the end.
      for (let i = 0; i < first.length && i + j < count; i++) {
        if (i + j >= second.length || first.elements[i] !== second.elements[i + j]) return false;
      }
      return true;
  }
}

function comparison(first: Operand, second: Operand, imm: number): Comparison {
  const count = second.elements.length;
  const mode = (imm >> AGGREGATION_SHIFT) & 3;
  let result = 0;
  for (let j = 0; j < count; j++) {
    let bit = aggregate(first, second, j, mode);
    // Negative polarity, masked: of valid elements only.
    if (imm & NEGATIVE && (!(imm & MASKED) || j < second.length)) bit = !bit;
    if (bit) result |= 1 << j;
  }
  return { result, count, first, second };
}

function setFlags(cpu: CpuState, c: Comparison): void {
  cpu.statusFlags =
    (c.result !== 0 ? Flag.CF : 0) |
    (c.second.length < c.count ? Flag.ZF : 0) |
    (c.first.length < c.count ? Flag.SF : 0) |
    (c.result & 1 ? Flag.OF : 0);
}

/** The index forms write ECX: the lowest or highest set bit, or the number of elements. */
function writeIndex(cpu: CpuState, c: Comparison, imm: number): void {
  let index = c.count;
  if (c.result !== 0) {
    const lowest = 31 - Math.clz32(c.result & -c.result);
    index = imm & MOST_SIGNIFICANT ? 31 - Math.clz32(c.result) : lowest;
  }
  writeRegister(cpu, GPR + Gpr.RCX * 8, 4, BigInt(index));
  setFlags(cpu, c);
}

/** The mask forms write XMM0: the bits themselves, or whole elements of ones. */
function writeMask(cpu: CpuState, c: Comparison, imm: number): void {
  const size = 16 / c.count;
  for (let byte = 0; byte < 16; byte++) {
    const value =
      imm & MOST_SIGNIFICANT
        ? (c.result >> Math.floor(byte / size)) & 1
          ? 0xff
          : 0
        : byte < 2
          ? (c.result >> (8 * byte)) & 0xff
          : 0;
    cpu.view.setUint8(XMM + byte, value);
  }
  setFlags(cpu, c);
}

function helper(
  operands: (cpu: CpuState, imm: number) => [Operand, Operand],
  write: (cpu: CpuState, c: Comparison, imm: number) => void,
): Helper {
  return (_core, cpu, record) => {
    const imm = record.imm32 & 0xff;
    const [first, second] = operands(cpu, imm);
    write(cpu, comparison(first, second, imm), imm);
    return CONTINUE;
  };
}

const explicitOperands = (cpu: CpuState, imm: number): [Operand, Operand] => [
  explicit(cpu, SOFT_FIRST, imm, Gpr.RAX),
  explicit(cpu, SOFT_SECOND, imm, Gpr.RDX),
];
const implicitOperands = (cpu: CpuState, imm: number): [Operand, Operand] => [
  implicit(cpu, SOFT_FIRST, imm),
  implicit(cpu, SOFT_SECOND, imm),
];

export const stringCompareHelpers: SystemHelpers = {
  pcmpestri: helper(explicitOperands, writeIndex),
  pcmpestrm: helper(explicitOperands, writeMask),
  pcmpistri: helper(implicitOperands, writeIndex),
  pcmpistrm: helper(implicitOperands, writeMask),
};
