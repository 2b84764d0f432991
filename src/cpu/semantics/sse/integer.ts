/** Packed integer arithmetic, logic and comparison; MMX and XMM forms alike (SDM vol. 1 9.4, 11.4.2, 12.7, 12.10). */
import { i32, op, type V128 } from "../../../wasm/index.ts";
import { Flag } from "../../registers.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import {
  constant,
  elements,
  IOTA,
  immediateByte,
  lowHalves,
  readVector,
  require,
  requireSse,
  shuffle,
  sources,
  splat,
  writeVector,
} from "./access.ts";

/** What a packed operation is given; `mmx` when only the low halves count. */
type Compute = (a: V128, b: V128, s: Stage, mmx: boolean) => V128;

/** destination = compute(first source, second source). */
export function binary(compute: Compute): Definition {
  return (s) => {
    require(s);
    const { destination, first, second } = sources(s);
    const b = readVector(second);
    const a = readVector(first);
    writeVector(destination, compute(a, b, s, destination.width === 8));
  };
}

/** destination = compute(source). */
export function unary(compute: (a: V128, s: Stage) => V128): Definition {
  return (s) => {
    require(s);
    const value = readVector(s.operand(1));
    writeVector(s.operand(0), compute(value, s));
  };
}

/** Mnemonics that are one WebAssembly operator. */
const OPERATORS: Readonly<Record<string, string>> = {
  PADDB: "i8x16.add",
  PADDW: "i16x8.add",
  PADDD: "i32x4.add",
  PADDQ: "i64x2.add",
  PADDSB: "i8x16.add_sat_s",
  PADDSW: "i16x8.add_sat_s",
  PADDUSB: "i8x16.add_sat_u",
  PADDUSW: "i16x8.add_sat_u",
  PSUBB: "i8x16.sub",
  PSUBW: "i16x8.sub",
  PSUBD: "i32x4.sub",
  PSUBQ: "i64x2.sub",
  PSUBSB: "i8x16.sub_sat_s",
  PSUBSW: "i16x8.sub_sat_s",
  PSUBUSB: "i8x16.sub_sat_u",
  PSUBUSW: "i16x8.sub_sat_u",
  PAVGB: "i8x16.avgr_u",
  PAVGW: "i16x8.avgr_u",
  PMINUB: "i8x16.min_u",
  PMINSB: "i8x16.min_s",
  PMINSW: "i16x8.min_s",
  PMINUW: "i16x8.min_u",
  PMINSD: "i32x4.min_s",
  PMINUD: "i32x4.min_u",
  PMAXUB: "i8x16.max_u",
  PMAXSB: "i8x16.max_s",
  PMAXSW: "i16x8.max_s",
  PMAXUW: "i16x8.max_u",
  PMAXSD: "i32x4.max_s",
  PMAXUD: "i32x4.max_u",
  PCMPEQB: "i8x16.eq",
  PCMPEQW: "i16x8.eq",
  PCMPEQD: "i32x4.eq",
  PCMPEQQ: "i64x2.eq",
  PCMPGTB: "i8x16.gt_s",
  PCMPGTW: "i16x8.gt_s",
  PCMPGTD: "i32x4.gt_s",
  PCMPGTQ: "i64x2.gt_s",
  PMULLW: "i16x8.mul",
  PMULLD: "i32x4.mul",
  PMADDWD: "i32x4.dot_i16x8_s",
  PAND: "v128.and",
  POR: "v128.or",
  PXOR: "v128.xor",
  ANDPS: "v128.and",
  ANDPD: "v128.and",
  ORPS: "v128.or",
  ORPD: "v128.or",
  XORPS: "v128.xor",
  XORPD: "v128.xor",
};

/** v128.andnot complements its second operand, PANDN its first. */
const andNot = binary((a, b) => op("v128.andnot", b, a));

// ---- Multiplication -----------------------------------------------------------------------------------

/** High words of the eight products. */
function highProducts(sign: "s" | "u"): Definition {
  return binary((a, b, s) => {
    const low = s.b.let(op(`i32x4.extmul_low_i16x8_${sign}`, a, b));
    const high = s.b.let(op(`i32x4.extmul_high_i16x8_${sign}`, a, b));
    return shuffle(low, high, elements(2, [1, 3, 5, 7, 9, 11, 13, 15]));
  });
}

/** Products of the even doublewords. */
function evenProducts(sign: "s" | "u"): Definition {
  return binary((a, b) => {
    const even = (v: V128) => shuffle(v, v, elements(4, [0, 2, 0, 2]));
    return op(`i64x2.extmul_low_i32x4_${sign}`, even(a), even(b));
  });
}

/** PMULHRSW: -1 * -1 gives -1 where the WebAssembly operator saturates to 0x7fff. */
const roundedHighProducts = binary((a, b, s) => {
  const minimum = splat(2, i32(0x8000));
  const wraps = op("v128.and", op("i16x8.eq", a, minimum), op("i16x8.eq", b, minimum));
  return s.b.let(op("v128.xor", op("i16x8.q15mulr_sat_s", a, b), wraps));
});

/** PMADDUBSW: unsigned bytes of the first source by signed bytes of the second, pairs added with saturation. */
const byteProducts = binary((a, b) => {
  const eight = i32(8);
  const even = op(
    "i16x8.mul",
    op("v128.and", a, splat(2, i32(0xff))),
    op("i16x8.shr_s", op("i16x8.shl", b, eight), eight),
  );
  const odd = op("i16x8.mul", op("i16x8.shr_u", a, eight), op("i16x8.shr_s", b, eight));
  return op("i16x8.add_sat_s", even, odd);
});

// ---- Across elements ------------------------------------------------------------------------------------

/** Sums of absolute differences of unsigned bytes, one for each quadword. */
const byteDistances = binary((a, b, s) => {
  const distance = op("v128.or", op("i8x16.sub_sat_u", a, b), op("i8x16.sub_sat_u", b, a));
  const words = op("i16x8.extadd_pairwise_i8x16_u", distance);
  const sums = s.b.let(op("i32x4.extadd_pairwise_i16x8_u", words));
  // Two sums in each quadword: at most 2040 together.
  const low = op("v128.and", sums, constant(0xffff, 0, 0xffff, 0));
  return op("i64x2.add", low, op("i64x2.shr_u", sums, i32(32)));
});

/** PHADDx, PHSUBx: neighbours of the first source, then of the second. */
function horizontal(operator: string, size: 2 | 4): Definition {
  return binary((a, b, s, mmx) => {
    let [x, y] = [a, b];
    if (mmx) {
      x = s.b.let(lowHalves(a, b));
      y = x;
    }
    const count = 16 / size;
    const pick = (odd: number) =>
      shuffle(
        x,
        y,
        elements(
          size,
          Array.from({ length: count }, (_, i) => 2 * i + odd),
        ),
      );
    return op(operator, pick(0), pick(1));
  });
}

/** PSIGNx: the first source negated, kept or cleared by the sign of the second. */
function sign(lanes: "i8x16" | "i16x8" | "i32x4", bits: number): Definition {
  return binary((a, b, s) => {
    const negative = s.b.let(op(`${lanes}.shr_s`, b, i32(bits - 1)));
    const signed = op(`${lanes}.sub`, op("v128.xor", a, negative), negative);
    return op("v128.andnot", signed, op(`${lanes}.eq`, b, constant(0, 0)));
  });
}

/** PHMINPOSUW: the least word and, in bits 18-16, its position. */
const leastWord = unary((a, s) => {
  // Word and position side by side in 32 bits: the least of these is the first least word.
  const tagged = (half: "low" | "high", base: number) =>
    op(
      "v128.or",
      op("i32x4.shl", op(`i32x4.extend_${half}_i16x8_u`, a), i32(3)),
      constant(base, base + 1, base + 2, base + 3),
    );
  const four = s.b.let(op("i32x4.min_u", tagged("low", 0), tagged("high", 4)));
  const two = s.b.let(op("i32x4.min_u", four, shuffle(four, four, elements(4, [2, 3, 2, 3]))));
  const one = s.b.let(op("i32x4.min_u", two, shuffle(two, two, elements(4, [1, 1, 1, 1]))));
  const value = op("i32x4.shr_u", one, i32(3));
  const position = op("i32x4.shl", op("v128.and", one, splat(4, i32(7))), i32(16));
  return op("v128.and", op("v128.or", value, position), constant(-1, 0, 0, 0));
});

/** MPSADBW: eight sums of four absolute differences; the immediate chooses where in each source. */
const slidingDistances = binary((a, b, s) => {
  const imm = immediateByte(s);
  const start = s.b.let(op("i8x16.add", splat(1, imm.and(4)), constant(...IOTA)));
  const block = s.b.let(splat(1, imm.and(3).shl(2)));
  let sum: V128 | null = null;
  for (let k = 0; k < 4; k++) {
    const sliding = op("i8x16.swizzle", a, op("i8x16.add", start, splat(1, i32(k))));
    const fixed = op("i8x16.swizzle", b, op("i8x16.add", block, splat(1, i32(k))));
    const difference = op(
      "i16x8.sub",
      op("i16x8.extend_low_i8x16_u", sliding),
      op("i16x8.extend_low_i8x16_u", fixed),
    );
    const term = op("i16x8.abs", difference);
    sum = s.b.let(sum === null ? term : op("i16x8.add", sum, term));
  }
  return sum!;
});

/** PTEST: ZF when no bit is in both, CF when every bit of the second is in the first; the rest cleared. */
const test: Definition = (s) => {
  requireSse(s);
  const second = s.operand(1).readV();
  const first = s.operand(0).readV();
  const zf = op("v128.any_true", op("v128.and", second, first)).eqz();
  const cf = op("v128.any_true", op("v128.andnot", second, first)).eqz();
  s.flags.setImage(zf.mul(Flag.ZF).or(cf));
};

/** PMOVSXxx, PMOVZXxx: the low elements widened, in one step or several. */
function extend(sign: "s" | "u", from: number, to: number): Definition {
  return unary((a) => {
    let value = a;
    for (let bits = from; bits < to; bits *= 2) {
      const lanes = (n: number) => `i${n}x${128 / n}`;
      value = op(`${lanes(bits * 2)}.extend_low_${lanes(bits)}_${sign}`, value);
    }
    return value;
  });
}

export const integer: Definitions = {
  ...Object.fromEntries(
    Object.entries(OPERATORS).map(([mnemonic, operator]) => [mnemonic, binary((a, b) => op(operator, a, b))]),
  ),
  PANDN: andNot,
  ANDNPS: andNot,
  ANDNPD: andNot,

  PMULHW: highProducts("s"),
  PMULHUW: highProducts("u"),
  PMULHRSW: roundedHighProducts,
  PMULUDQ: evenProducts("u"),
  PMULDQ: evenProducts("s"),
  PMADDUBSW: byteProducts,

  PSADBW: byteDistances,
  MPSADBW: slidingDistances,
  PHMINPOSUW: leastWord,
  PHADDW: horizontal("i16x8.add", 2),
  PHADDD: horizontal("i32x4.add", 4),
  PHADDSW: horizontal("i16x8.add_sat_s", 2),
  PHSUBW: horizontal("i16x8.sub", 2),
  PHSUBD: horizontal("i32x4.sub", 4),
  PHSUBSW: horizontal("i16x8.sub_sat_s", 2),
  PSIGNB: sign("i8x16", 8),
  PSIGNW: sign("i16x8", 16),
  PSIGND: sign("i32x4", 32),
  PABSB: unary((a) => op("i8x16.abs", a)),
  PABSW: unary((a) => op("i16x8.abs", a)),
  PABSD: unary((a) => op("i32x4.abs", a)),
  PTEST: test,

  PMOVSXBW: extend("s", 8, 16),
  PMOVSXBD: extend("s", 8, 32),
  PMOVSXBQ: extend("s", 8, 64),
  PMOVSXWD: extend("s", 16, 32),
  PMOVSXWQ: extend("s", 16, 64),
  PMOVSXDQ: extend("s", 32, 64),
  PMOVZXBW: extend("u", 8, 16),
  PMOVZXBD: extend("u", 8, 32),
  PMOVZXBQ: extend("u", 8, 64),
  PMOVZXWD: extend("u", 16, 32),
  PMOVZXWQ: extend("u", 16, 64),
  PMOVZXDQ: extend("u", 32, 64),
};
