/** Moves between XMM, MMX and general registers and memory (SDM vol. 1 5.4-5.10, vol. 2). */
import { type I32, type I64, i32, lane, load, op, type V128 } from "../../../wasm/index.ts";
import { FTW, GPR } from "../../layout.ts";
import { Gpr } from "../../registers.ts";
import { MemoryOperand, type Operand } from "../operands.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import {
  elements,
  enterMmx,
  linearOf,
  readHigh,
  readVector,
  require,
  requireMmx,
  requireSse,
  requireSseAndMmx,
  shuffle,
  usesMmx,
  writeElement,
  writeHigh,
  writeLowZeroing,
  writeMmx,
} from "./access.ts";

/** All 16 bytes. */
const whole: Definition = (s) => {
  requireSse(s);
  s.operand(0).writeV(s.operand(1).readV());
};

/** dst = shuffle of src, for the duplicating moves. */
function duplicate(indices: readonly number[]): Definition {
  return (s) => {
    requireSse(s);
    const source = readVector(s.operand(1));
    s.operand(0).writeV(shuffle(source, source, elements(16 / indices.length, indices)));
  };
}

/** MOVSS, MOVSD: from memory the upper elements become zero, between registers they stay. */
const scalar: Definition = (s) => {
  requireSse(s);
  const [destination, source] = [s.operand(0), s.operand(1)];
  if (source.isMemory) writeLowZeroing(destination, source.read());
  else writeElement(destination, source.read());
};

/** The low quadword from memory or to it (MOVLPS, MOVLPD). */
const low: Definition = (s) => {
  requireSse(s);
  writeElement(s.operand(0), s.operand(1).read());
};

const high: Definition = (s) => {
  requireSse(s);
  if (s.operand(0).isMemory) s.operand(0).write(readHigh(s.operand(1)));
  else writeHigh(s.operand(0), s.operand(1).read());
};

/** MOVD and MOVQ with a general register or memory. */
const general: Definition = (s) => {
  require(s);
  const [destination, source] = [s.operand(0), s.operand(1)];
  const kind = s.form.row.operands[0]!.kind;
  if (kind === "P") writeMmx(destination, source.read());
  else if (kind === "V") writeLowZeroing(destination, source.read());
  else {
    const value = source.read();
    destination.write(value);
    if (usesMmx(s)) enterMmx(s);
  }
};

/** MOVQ between vector registers and memory; an XMM destination is cleared above. */
const quadword: Definition = (s) => {
  require(s);
  const [destination, source] = [s.operand(0), s.operand(1)];
  const value = source.read();
  if (usesMmx(s)) {
    if (!destination.isMemory) writeMmx(destination, value);
    else {
      destination.write(value);
      enterMmx(s);
    }
  } else if (destination.isMemory) destination.write(value);
  else writeLowZeroing(destination, value);
};

/** Sign bits of the elements as an integer. */
function signMask(s: Stage, source: Operand, mask: (value: V128) => I32): void {
  require(s);
  const value = readVector(source);
  s.operand(0).write(mask(value).toU64());
  if (usesMmx(s)) enterMmx(s);
}

/** MASKMOVQ, MASKMOVDQU: bytes whose mask byte has its sign set go to DS:[rDI], or another segment's. */
const masked: Definition = (s) => {
  require(s);
  const { b } = s;
  const value = readVector(s.operand(0));
  const mask = b.let(op("i8x16.shr_s", readVector(s.operand(1)), i32(7)));
  const width = s.operand(0).width;
  const offset = b.let(s.truncateAddress(load("i64.load", s.cpu, GPR + Gpr.RDI * 8)));
  // MASKMOVQ makes TOP 0 and the tags valid even when its store then faults, as processors do.
  if (usesMmx(s)) enterMmx(s);
  const linear = linearOf(s, new MemoryOperand(s, offset, width));
  const host = s.path.writable(s, linear, width, { modify: true });
  const old = width === 16 ? load("v128.load", host) : load("v128.load64_zero", host);
  const merged = b.let(op("v128.bitselect", value, old, mask));
  if (width === 16) b.store("v128.store", host, merged);
  else b.store("i64.store", host, lane<I64>("i64x2.extract_lane", [0], merged));
  s.path.settle(host);
};

export const moves: Definitions = {
  MOVAPS: whole,
  MOVAPD: whole,
  MOVUPS: whole,
  MOVUPD: whole,
  MOVDQA: whole,
  MOVDQU: whole,
  LDDQU: whole,
  MOVNTPS: whole,
  MOVNTPD: whole,
  MOVNTDQ: whole,
  MOVNTDQA: whole,

  MOVSS: scalar,
  MOVSD: scalar,
  MOVLPS: low,
  MOVLPD: low,
  MOVHPS: high,
  MOVHPD: high,
  MOVHLPS: (s) => {
    requireSse(s);
    writeElement(s.operand(0), readHigh(s.operand(1)));
  },
  MOVLHPS: (s) => {
    requireSse(s);
    writeHigh(s.operand(0), s.operand(1).read());
  },
  MOVDDUP: duplicate([0, 0]),
  MOVSLDUP: duplicate([0, 0, 2, 2]),
  MOVSHDUP: duplicate([1, 1, 3, 3]),

  MOVD: general,
  MOVQ: quadword,
  MOVNTQ: quadword,
  /** A general register's store: neither CR0 nor CR4 matters. */
  MOVNTI: (s) => s.operand(0).write(s.operand(1).read()),
  MOVQ2DQ: (s) => {
    requireSseAndMmx(s);
    writeLowZeroing(s.operand(0), s.operand(1).read());
    enterMmx(s);
  },
  MOVDQ2Q: (s) => {
    requireSseAndMmx(s);
    writeMmx(s.operand(0), s.operand(1).read());
  },

  MOVMSKPS: (s) => signMask(s, s.operand(1), (v) => op("i32x4.bitmask", v)),
  MOVMSKPD: (s) => signMask(s, s.operand(1), (v) => op("i64x2.bitmask", v)),
  PMOVMSKB: (s) =>
    signMask(s, s.operand(1), (v) => op("i8x16.bitmask", v).and(s.operand(1).width === 8 ? 0xff : -1)),

  MASKMOVQ: masked,
  MASKMOVDQU: masked,

  /** All tags empty, TOP 0 (SDM vol. 3A table 13-2). */
  EMMS: (s) => {
    requireMmx(s);
    enterMmx(s);
    s.b.store("i32.store", s.cpu, i32(0xffff), FTW);
  },
};
