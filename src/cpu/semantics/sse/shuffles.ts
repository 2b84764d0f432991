/** Shuffles, unpacks, packs, blends, inserts and extracts (SDM vol. 2). */
import { type I32, i32, i64, load, op, select, type V128 } from "../../../wasm/index.ts";
import { RegisterOperand } from "../operands.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import {
  constant,
  elements,
  enterMmx,
  immediateByte,
  lowHalves,
  readVector,
  registerAddress,
  require,
  requireSse,
  shuffle,
  sources,
  splat,
  usesMmx,
  writeMmx,
  writeVector,
} from "./access.ts";
import { binary } from "./integer.ts";

// ---- Unpack and pack ------------------------------------------------------------------------------------

/** PUNPCKxxx, UNPCKxxx: elements of one half of each source in turn. */
function unpack(size: number, half: "low" | "high"): Definition {
  return binary((a, b, _s, mmx) => {
    const count = (mmx ? 8 : 16) / size;
    const start = half === "low" ? 0 : count / 2;
    const order: number[] = [];
    for (let i = 0; i < count / 2; i++) order.push(start + i, 16 / size + start + i);
    return shuffle(a, b, elements(size, mmx ? [...order, ...order] : order));
  });
}

/** PACKxxxx: both sources narrowed with saturation. */
function pack(operator: string): Definition {
  return binary((a, b, s, mmx) => {
    if (!mmx) return op(operator, a, b);
    const both = s.b.let(lowHalves(a, b));
    return op(operator, both, both);
  });
}

// ---- Shuffles by an immediate ----------------------------------------------------------------------------

/** The immediate's 2-bit fields in four doublewords, as byte indices of the doublewords they select. */
function doublewordIndices(s: Stage): V128 {
  const fields = op("i32x4.mul", splat(4, immediateByte(s)), constant(64, 16, 4, 1));
  const numbers = op("i32x4.shr_u", op("v128.and", fields, splat(4, i32(0xc0))), i32(6));
  return s.b.let(
    op("i32x4.add", op("i32x4.mul", numbers, splat(4, i32(0x0404_0404))), splat(4, i32(0x0302_0100))),
  );
}

/** As `doublewordIndices`, for four words of one half; the other half stays where it is. */
function wordIndices(s: Stage, half: "low" | "high"): V128 {
  const factors = half === "low" ? [64, 16, 4, 1, 0, 0, 0, 0] : [0, 0, 0, 0, 64, 16, 4, 1];
  const base = half === "low" ? [0, 0, 0, 0, 4, 5, 6, 7] : [0, 1, 2, 3, 4, 4, 4, 4];
  const fields = op("i16x8.mul", splat(2, immediateByte(s)), constant(...factors));
  const numbers = op("i16x8.shr_u", op("v128.and", fields, splat(2, i32(0xc0))), i32(6));
  const start = constant(...base.map((word) => word * 0x0202 + 0x0100));
  return op("i16x8.add", op("i16x8.mul", numbers, splat(2, i32(0x0202))), start);
}

/** destination = source with its elements chosen by the immediate. */
function permute(indices: (s: Stage) => V128): Definition {
  return (s) => {
    require(s);
    const value = readVector(s.operand(1));
    writeVector(s.operand(0), op("i8x16.swizzle", value, indices(s)));
  };
}

/** SHUFPS: two elements of the first source below two of the second. */
const shuffleSingles = binary((a, b, s) => {
  const indices = doublewordIndices(s);
  const [low, high] = [op("i8x16.swizzle", a, indices), op("i8x16.swizzle", b, indices)];
  return shuffle(low, high, elements(8, [0, 3]));
});

const shuffleDoubles = binary((a, b, s) => {
  const imm = immediateByte(s);
  const low = select(imm.and(1), shuffle(a, a, elements(8, [1, 1])), a);
  const high = select(imm.and(2), b, shuffle(b, b, elements(8, [0, 0])));
  return shuffle(low, high, elements(8, [0, 3]));
});

/** PSHUFB: an index byte with its sign set gives zero, else its low bits count. */
const shuffleBytes = binary((a, b, _s, mmx) =>
  op("i8x16.swizzle", a, op("v128.and", b, splat(1, i32(mmx ? 0x87 : 0x8f)))),
);

// ---- Blends -----------------------------------------------------------------------------------------------

/** One bit of the immediate for each element chooses the second source. */
function blend(size: 2 | 4 | 8): Definition {
  return binary((a, b, s) => {
    const count = 16 / size;
    const bits = constant(...Array.from({ length: count }, (_, i) => 1 << i));
    const imm = immediateByte(s);
    const all = size === 8 ? op("i64x2.splat", imm.toU64()) : splat(size, imm);
    const name = { 2: "i16x8", 4: "i32x4", 8: "i64x2" }[size];
    return op("v128.bitselect", b, a, op(`${name}.eq`, op("v128.and", all, bits), bits));
  });
}

/** The sign bits of XMM0's elements choose the second source. */
function blendVariable(lanes: string, bits: number): Definition {
  return (s) => {
    requireSse(s);
    const second = s.operand(1).readV();
    const first = s.operand(0).readV();
    const mask = op(`${lanes}.shr_s`, s.xmm(0).readV(), i32(bits - 1));
    s.operand(0).writeV(op("v128.bitselect", second, first, mask));
  };
}

// ---- Single elements ----------------------------------------------------------------------------------

const LOADS: Record<number, `i64.${string}`> = {
  1: "i64.load8_u",
  2: "i64.load16_u",
  4: "i64.load32_u",
  8: "i64.load",
};
const STORES: Record<number, string> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

/** Byte offset of the element that the immediate names in a register of `width` bytes. */
function elementOffset(imm: I32, size: number, width: number): I32 {
  return imm.and(width / size - 1).shl(Math.log2(size));
}

/** PINSRx: one element of the destination replaced. */
function insert(size: number | "operand"): Definition {
  return (s) => {
    require(s);
    const [destination, source] = [s.operand(0), s.operand(1)];
    const bytes = size === "operand" ? source.width : size;
    const value = source.read();
    if (destination.width === 8) {
      // Bits 79-64 have to become ones: the whole register is written again.
      const shift = s.b.let(elementOffset(immediateByte(s), bytes, 8).shl(3).toU64());
      const kept = destination.read().and(i64(~0xffffn).rotl(shift));
      writeMmx(destination, kept.or(value.and(0xffff).shl(shift)));
      return;
    }
    const address = registerAddress(destination).add(elementOffset(immediateByte(s), bytes, 16));
    s.b.store(STORES[bytes]!, address, value);
  };
}

/** PEXTRx, EXTRACTPS: one element, zero-extended in a register. */
function extract(size: number | "operand"): Definition {
  return (s) => {
    require(s);
    const [destination, source] = [s.operand(0), s.operand(1)];
    const bytes = size === "operand" ? destination.width : size;
    const address = registerAddress(source).add(elementOffset(immediateByte(s), bytes, source.width));
    destination.write(s.b.let(load(LOADS[bytes]!, address)));
    if (usesMmx(s)) enterMmx(s);
  };
}

/** INSERTPS: bits 7-6 choose the source element (of a register), 5-4 the place, 3-0 what becomes zero. */
const insertSingle: Definition = (s) => {
  requireSse(s);
  const { destination, first, second } = sources(s);
  const imm = immediateByte(s);
  const value = s.b.let(
    second instanceof RegisterOperand
      ? load("i32.load", registerAddress(second).add(imm.shrU(6).shl(2)))
      : second.read().wrap(),
  );
  const here = op("i32x4.eq", splat(4, imm.shrU(4).and(3)), constant(0, 1, 2, 3));
  const inserted = op("v128.bitselect", splat(4, value), first.readV(), here);
  const kept = op("i32x4.eq", op("v128.and", splat(4, imm), constant(1, 2, 4, 8)), constant(0, 0));
  destination.writeV(op("v128.and", inserted, kept));
};

export const shuffles: Definitions = {
  PUNPCKLBW: unpack(1, "low"),
  PUNPCKLWD: unpack(2, "low"),
  PUNPCKLDQ: unpack(4, "low"),
  PUNPCKLQDQ: unpack(8, "low"),
  PUNPCKHBW: unpack(1, "high"),
  PUNPCKHWD: unpack(2, "high"),
  PUNPCKHDQ: unpack(4, "high"),
  PUNPCKHQDQ: unpack(8, "high"),
  UNPCKLPS: unpack(4, "low"),
  UNPCKLPD: unpack(8, "low"),
  UNPCKHPS: unpack(4, "high"),
  UNPCKHPD: unpack(8, "high"),
  PACKSSWB: pack("i8x16.narrow_i16x8_s"),
  PACKUSWB: pack("i8x16.narrow_i16x8_u"),
  PACKSSDW: pack("i16x8.narrow_i32x4_s"),
  PACKUSDW: pack("i16x8.narrow_i32x4_u"),

  PSHUFD: permute(doublewordIndices),
  PSHUFLW: permute((s) => wordIndices(s, "low")),
  PSHUFHW: permute((s) => wordIndices(s, "high")),
  PSHUFW: permute((s) => wordIndices(s, "low")),
  SHUFPS: shuffleSingles,
  SHUFPD: shuffleDoubles,
  PSHUFB: shuffleBytes,

  BLENDPS: blend(4),
  BLENDPD: blend(8),
  PBLENDW: blend(2),
  BLENDVPS: blendVariable("i32x4", 32),
  BLENDVPD: blendVariable("i64x2", 64),
  PBLENDVB: blendVariable("i8x16", 8),

  PINSRB: insert(1),
  PINSRW: insert(2),
  PINSRD: insert("operand"),
  PEXTRB: extract(1),
  PEXTRW: extract(2),
  PEXTRD: extract("operand"),
  EXTRACTPS: extract(4),
  INSERTPS: insertSingle,
};
