/**
 * From a logical to a linear address: limits, types and canonicality (SDM vol. 3A 5.3-5.5, vol. 1 3.3.7.1).
 *
 * `legacyLinear` is on the path of every memory access of 16- and 32-bit code: plain numbers, no exceptions.
 */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import { Mode } from "../modes.ts";
import type { CpuState } from "../state.ts";
import { Attribute, SegmentType } from "./descriptor.ts";
import type { RecordView } from "./helper.ts";
import { is64BitCode, isCanonical } from "./modes.ts";

function violation(cpu: CpuState, segment: number): -1 {
  cpu.setI32(L.FAULT_VECTOR, segment === Segment.SS ? Vector.SS : Vector.GP);
  cpu.setI32(L.FAULT_ERROR, 0);
  return -1;
}

/**
 * Linear address (unsigned 32-bit) of `size` bytes at `offset` (signed or unsigned 32-bit) of a segment in
 * real, virtual-8086, 16- and 32-bit protected and compatibility mode; -1 with FAULT_VECTOR and FAULT_ERROR
 * set where the access is not allowed.
 */
export function legacyLinear(
  cpu: CpuState,
  segment: number,
  offset: number,
  size: number,
  write: boolean,
): number {
  const at = L.SEGMENTS + segment * L.SEGMENT_STRIDE;
  const first = offset >>> 0;
  const last = first + size - 1;
  const limit = cpu.u32(at + L.SEGMENT_LIMIT);
  if ((cpu.i32(L.MODE) & Mode.REAL_OR_V86) === 0) {
    // A null or unusable register: #GP(0), for SS #SS(0).
    if (cpu.i32(at + L.SEGMENT_NULL) !== 0) return violation(cpu, segment);
    const attributes = cpu.i32(at + L.SEGMENT_ATTRIBUTES);
    if (attributes & SegmentType.CODE) {
      // Code segments are never written and only read if their type says so.
      if (write || (attributes & SegmentType.READABLE) === 0) return violation(cpu, segment);
      if (last > limit) return violation(cpu, segment);
    } else {
      if (write && (attributes & SegmentType.WRITABLE) === 0) return violation(cpu, segment);
      if (attributes & SegmentType.EXPAND_DOWN) {
        // Valid offsets are limit + 1 up to FFFFH or, with B set, FFFFFFFFH (SDM vol. 3A 5.3).
        if (first <= limit || last > (attributes & Attribute.DB ? 0xffff_ffff : 0xffff)) {
          return violation(cpu, segment);
        }
      } else if (last > limit) return violation(cpu, segment);
    }
  } else if (last > limit) return violation(cpu, segment);
  return (cpu.i32(at + L.SEGMENT_BASE) + first) >>> 0;
}

/** Fields of the `sizeFlags` argument that emitted code passes. */
export const SizeFlag = {
  /** Bytes accessed. */
  SIZE: 0xff,
  /** Number of the segment register. */
  SEGMENT_SHIFT: 8,
  WRITE: 0x1_0000,
} as const;

/** `legacyLinear` for emitted code: size, segment and direction in `sizeFlags`. */
export function legacyAddress(cpu: CpuState, offset: number, sizeFlags: number): number {
  const segment = (sizeFlags >> SizeFlag.SEGMENT_SHIFT) & 7;
  const write = (sizeFlags & SizeFlag.WRITE) !== 0;
  return legacyLinear(cpu, segment, offset, sizeFlags & SizeFlag.SIZE, write);
}

/**
 * Linear address of `size` bytes at `offset` of a segment, in any mode.
 *
 * @throws Fault #SS(0) for SS, else #GP(0), where the segment forbids the access or, in 64-bit code, the
 * address is not canonical.
 */
export function checkedAddress(
  cpu: CpuState,
  segment: number,
  offset: bigint,
  size: number,
  write: boolean,
): bigint {
  if (is64BitCode(cpu)) {
    const base =
      segment === Segment.FS || segment === Segment.GS
        ? cpu.u64(L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_BASE)
        : 0n;
    const first = BigInt.asUintN(64, base + offset);
    if (!isCanonical(cpu, first) || !isCanonical(cpu, first + BigInt(size - 1))) {
      throw new Fault(segment === Segment.SS ? Vector.SS : Vector.GP, 0);
    }
    return first;
  }
  const linear = legacyLinear(cpu, segment, Number(BigInt.asUintN(32, offset)), size, write);
  if (linear < 0) throw new Fault(cpu.i32(L.FAULT_VECTOR), cpu.i32(L.FAULT_ERROR));
  return BigInt(linear);
}

/** Checked linear address of an instruction's memory operand, `displacement` bytes further on. */
export function operandAddress(
  cpu: CpuState,
  record: RecordView,
  size: number,
  write: boolean,
  displacement = 0,
): bigint {
  let offset = record.effectiveOffset(cpu);
  if (displacement !== 0) {
    const bits = record.addressSize * 8;
    offset = BigInt.asUintN(bits, offset + BigInt(displacement));
  }
  return checkedAddress(cpu, record.segment, offset, size, write);
}

/** Reads a memory operand of 2, 4 or 8 bytes; unsigned. */
export function readMemoryOperand(
  core: Core,
  cpu: CpuState,
  record: RecordView,
  size: 1 | 2 | 4 | 8,
  displacement = 0,
): bigint {
  const address = operandAddress(cpu, record, size, false, displacement);
  return size === 8 ? core.memory.read64(address) : BigInt(core.memory.read(address, size));
}

export function writeMemoryOperand(
  core: Core,
  cpu: CpuState,
  record: RecordView,
  size: 1 | 2 | 4 | 8,
  value: bigint,
): void {
  const address = operandAddress(cpu, record, size, true);
  if (size === 8) core.memory.write64(address, BigInt.asUintN(64, value));
  else core.memory.write(address, size, Number(BigInt.asUintN(size * 8, value)));
}
