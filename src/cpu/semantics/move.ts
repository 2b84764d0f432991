/** Data movement: MOV MOVZX MOVSX MOVSXD LEA XLAT BSWAP MOVBE CMOVcc SETcc, and widening in place. */
import { type I64, i64, select } from "../../wasm/index.ts";
import { CONDITIONS } from "../decode/conditions.ts";
import { Gpr } from "../registers.ts";
import type { Width } from "./flags.ts";
import { readAs, truncate } from "./operand-reads.ts";
import { MemoryOperand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

const move: Definition = (s) => s.operand(0).write(readAs(s.operand(1), s.operand(0).width));
const moveZeroExtended: Definition = (s) => s.operand(0).write(s.operand(1).read());
const moveSignExtended: Definition = (s) => s.operand(0).write(s.operand(1).readSigned());

/** The offset in the segment, not the linear address; cut to the operand size by the write. */
const loadEffectiveAddress: Definition = (s) => {
  const source = s.operand(1);
  if (source instanceof MemoryOperand) s.operand(0).write(source.offset);
};

/** XLAT: AL = [rBX + AL] in DS or the segment of the prefix. */
const translate: Definition = (s) => {
  const size = s.addressSize;
  const al = s.gpr(Gpr.RAX, 1);
  const offset = s.b.let(truncate(s.gpr(Gpr.RBX, size).read().add(al.read()), size));
  al.write(new MemoryOperand(s, offset, 1).read());
};

/** The bytes of a value of `width` in reverse order. */
function reverseBytes(s: Stage, value: I64, width: Width): I64 {
  const { b } = s;
  if (width === 2) return b.let(value.shl(8).or(value.shrU(8)).and(0xffff));
  // Swap neighbouring bytes, then neighbouring words; a rotation does the rest.
  const bytes = b.let(value.and(0x00ff_00ff_00ff_00ffn).shl(8).or(value.shrU(8).and(0x00ff_00ff_00ff_00ffn)));
  const words = b.let(
    bytes.and(0x0000_ffff_0000_ffffn).shl(16).or(bytes.shrU(16).and(0x0000_ffff_0000_ffffn)),
  );
  return width === 8 ? b.let(words.rotl(32)) : words;
}

/** A 16-bit operand is undefined (SDM vol. 2, BSWAP); processors clear it. */
const swapBytes: Definition = (s) => {
  const destination = s.operand(0);
  const width = destination.scalar;
  destination.write(width === 2 ? i64(0) : reverseBytes(s, destination.read(), width));
};

const moveSwapped: Definition = (s) => {
  const source = s.operand(1);
  s.operand(0).write(reverseBytes(s, source.read(), source.scalar));
};

/** The source is read, and a 32-bit destination zero-extended, whatever the condition (SDM vol. 2, CMOVcc). */
function moveIf(condition: number): Definition {
  return (s) => {
    const destination = s.operand(0);
    const source = s.operand(1).read();
    const old = destination.read();
    destination.write(select(s.flags.condition(condition), source, old));
  };
}

function setIf(condition: number): Definition {
  return (s) => s.operand(0).write(s.flags.condition(condition).toU64());
}

/** CBW CWDE CDQE: the accumulator's lower half sign-extended. */
const widen: Definition = (s) => {
  const half = (s.operandSize / 2) as 1 | 2 | 4;
  s.gpr(Gpr.RAX, s.operandSize).write(s.gpr(Gpr.RAX, half).readSigned());
};

/** CWD CDQ CQO: rDX becomes the accumulator's sign. */
const widenInto: Definition = (s) => {
  s.gpr(Gpr.RDX, s.operandSize).write(s.gpr(Gpr.RAX, s.operandSize).readSigned().shrS(63));
};

export const moves: Definitions = {
  MOV: move,
  MOVZX: moveZeroExtended,
  MOVSX: moveSignExtended,
  MOVSXD: moveSignExtended,
  LEA: loadEffectiveAddress,
  XLAT: translate,
  BSWAP: swapBytes,
  MOVBE: moveSwapped,
  CBW: widen,
  CWD: widenInto,
  ...Object.fromEntries(CONDITIONS.map((name, i) => [`CMOV${name}`, moveIf(i)])),
  ...Object.fromEntries(CONDITIONS.map((name, i) => [`SET${name}`, setIf(i)])),
};
