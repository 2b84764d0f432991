/**
 * Frames on a stack: all slots are checked before the first is written, so that a fault leaves the stack and
 * the stack pointer as they were.
 */
import { Access, type Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import { Segment } from "../layout.ts";
import { Gpr } from "../registers.ts";
import type { CpuState, SegmentRegister } from "../state.ts";
import { Attribute, SegmentType } from "./descriptor.ts";
import { isCanonical, isRealOrVirtual8086, stackPointerSize } from "./modes.ts";

/** A stack to push to or pop from: the current one, or one that a transfer is about to switch to. */
export interface Stack {
  readonly segment: SegmentRegister;
  /** Bytes of the pointer: 8 for the flat stack of 64-bit mode. */
  readonly pointerSize: 2 | 4 | 8;
  /** The whole register; a 16-bit pointer leaves its upper bits alone. */
  pointer: bigint;
  /** Added to READ or WRITE: `Access.SYSTEM` for a stack of another privilege level. */
  readonly access: number;
  /** Error code of #SS where the stack has no room. */
  readonly error: number;
}

export function currentStack(cpu: CpuState): Stack {
  return {
    segment: cpu.segment(Segment.SS),
    pointerSize: stackPointerSize(cpu),
    pointer: cpu.gpr(Gpr.RSP),
    access: 0,
    error: 0,
  };
}

/** The stack that `segment` and `pointer` make, for code that is 64-bit or not. */
export function otherStack(segment: SegmentRegister, pointer: bigint, code64: boolean, error: number): Stack {
  const pointerSize = code64 ? 8 : segment.attributes & Attribute.DB ? 4 : 2;
  return { segment, pointerSize, pointer, access: Access.SYSTEM, error };
}

/** `pointer` moved by `bytes`, in as many bits as the stack pointer has. */
export function movePointer(stack: Stack, bytes: number): bigint {
  const bits = stack.pointerSize * 8;
  const moved = BigInt.asUintN(bits, stack.pointer + BigInt(bytes));
  if (stack.pointerSize === 8) return moved;
  return ((stack.pointer >> BigInt(bits)) << BigInt(bits)) | moved;
}

/** Linear address of `size` bytes at the pointer moved by `displacement`. @throws Fault #SS(stack.error). */
export function stackAddress(cpu: CpuState, stack: Stack, displacement: number, size: number): bigint {
  if (stack.pointerSize === 8) {
    const address = BigInt.asUintN(64, stack.pointer + BigInt(displacement));
    // A stack address that is not canonical raises #SS.
    if (!isCanonical(cpu, address) || !isCanonical(cpu, address + BigInt(size - 1))) {
      throw new Fault(Vector.SS, stack.error);
    }
    return address;
  }
  const first = Number(BigInt.asUintN(stack.pointerSize * 8, stack.pointer + BigInt(displacement)));
  const last = first + size - 1;
  const { attributes, limit, isNull, base } = stack.segment;
  const expandDown =
    !isRealOrVirtual8086(cpu) && (attributes & (SegmentType.CODE | SegmentType.EXPAND_DOWN)) === 4;
  const outside = expandDown
    ? first <= limit || last > (attributes & Attribute.DB ? 0xffff_ffff : 0xffff)
    : last > limit;
  if (isNull || outside) throw new Fault(Vector.SS, stack.error);
  return BigInt.asUintN(32, base + BigInt(first));
}

/**
 * Pushes `values`, the first one first, each of `size` bytes, and moves the pointer.
 * @throws Fault before anything was written.
 */
export function pushAll(
  core: Core,
  cpu: CpuState,
  stack: Stack,
  size: 2 | 4 | 8,
  values: readonly bigint[],
): void {
  const access = Access.WRITE | stack.access;
  const addresses = values.map((_, index) => stackAddress(cpu, stack, -size * (index + 1), size));
  for (const address of addresses) core.memory.probeWrite(address, size, access);
  for (let index = 0; index < values.length; index++) {
    const value = BigInt.asUintN(size * 8, values[index]!);
    if (size === 8) core.memory.write64(addresses[index]!, value, access);
    else core.memory.write(addresses[index]!, size, Number(value), access);
  }
  stack.pointer = movePointer(stack, -size * values.length);
}

/** The first `count` slots at the pointer, without moving it; unsigned. A 64-bit stack is read in one access. */
export function peekSlots(
  core: Core,
  cpu: CpuState,
  stack: Stack,
  size: 2 | 4 | 8,
  count: number,
): readonly bigint[] {
  const slots: bigint[] = [];
  if (stack.pointerSize !== 8 || size !== 8) {
    for (let index = 0; index < count; index++) slots.push(peek(core, cpu, stack, size, index));
    return slots;
  }
  const address = stackAddress(cpu, stack, 0, count * 8);
  const bytes = core.memory.readBytes(address, count * 8, Access.READ | stack.access, 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < count * 8; at += 8) slots.push(view.getBigUint64(at, true));
  return slots;
}

/** Reads the slot `index` above the pointer, of `size` bytes, without moving the pointer; unsigned. */
export function peek(core: Core, cpu: CpuState, stack: Stack, size: 2 | 4 | 8, index: number): bigint {
  return peekAt(core, cpu, stack, size, index * size);
}

/** Reads `size` bytes `displacement` above the pointer; unsigned. */
export function peekAt(
  core: Core,
  cpu: CpuState,
  stack: Stack,
  size: 2 | 4 | 8,
  displacement: number,
): bigint {
  const address = stackAddress(cpu, stack, displacement, size);
  const access = Access.READ | stack.access;
  return size === 8 ? core.memory.read64(address, access) : BigInt(core.memory.read(address, size, access));
}

/** Writes a stack's pointer to RSP, ESP or SP. */
export function setStackPointer(cpu: CpuState, stack: Stack): void {
  if (stack.pointerSize === 2) cpu.setGpr16(Gpr.RSP, Number(stack.pointer & 0xffffn));
  else if (stack.pointerSize === 4) cpu.setGpr32(Gpr.RSP, Number(stack.pointer & 0xffff_ffffn));
  else cpu.setGpr(Gpr.RSP, stack.pointer);
}
