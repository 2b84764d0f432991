/** Operands for the tests: edge values of a format and seeded random values that lean toward trouble. */

import { type FloatFormat, pack } from "../../../src/cpu/softfloat/format.ts";

/** Cases per group of instructions: SOFTFLOAT_CASES=200000 makes a long run of it (x87 takes a tenth). */
export const CASES = Number(process.env["SOFTFLOAT_CASES"] ?? 10_000);

/** A small deterministic generator (SplitMix-like over 32-bit state). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  u32(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  below(n: number): number {
    return this.u32() % n;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** Zeros, the borders of every class, some ordinary numbers, NaNs of both kinds; x87 also its odd encodings. */
export function edgeValues(format: FloatFormat): bigint[] {
  const { maxBiased, bias, integerBit, quietBit, fieldMask } = format;
  const positive = [
    pack(format, 0, 0, 0n),
    pack(format, 0, 0, 1n),
    pack(format, 0, 0, integerBit - 1n),
    pack(format, 0, 1, integerBit),
    pack(format, 0, 1, integerBit | 1n),
    pack(format, 0, bias - 1, integerBit),
    pack(format, 0, bias - 1, fieldMask | integerBit),
    pack(format, 0, bias, integerBit),
    pack(format, 0, bias, integerBit | 1n),
    pack(format, 0, bias, integerBit | quietBit),
    pack(format, 0, bias + 1, integerBit | quietBit | (quietBit >> 1n)),
    pack(format, 0, bias + format.fractionBits, integerBit | 1n),
    pack(format, 0, maxBiased - 1, fieldMask | integerBit),
    pack(format, 0, maxBiased, integerBit),
    pack(format, 0, maxBiased, integerBit | 1n),
    pack(format, 0, maxBiased, integerBit | (quietBit >> 1n)),
    pack(format, 0, maxBiased, integerBit | quietBit),
    pack(format, 0, maxBiased, integerBit | quietBit | 5n),
  ];
  if (format.explicitInteger) {
    positive.push(
      pack(format, 0, 0, integerBit | 3n), // pseudo-denormal
      pack(format, 0, bias, quietBit | 1n), // unnormal
      pack(format, 0, maxBiased, 0n), // pseudo-infinity
      pack(format, 0, maxBiased, quietBit), // pseudo-NaN
    );
  }
  const sign = 1n << format.signShift;
  return [...positive, ...positive.map((x) => x | sign)];
}

/** A random significand field: uniform, or a few bits at either end, so that ties and near-ties are common. */
function randomField(format: FloatFormat, random: Random): bigint {
  const uniform = random.u64() & (format.integerBit - 1n);
  switch (random.below(6)) {
    case 0:
      return 0n;
    case 1:
      return (uniform >> BigInt(random.below(format.fractionBits + 1))) & (format.integerBit - 1n);
    case 2:
      return (uniform << BigInt(random.below(format.fractionBits + 1))) & (format.integerBit - 1n);
    case 3: {
      const run = ~0n << BigInt(random.below(format.fractionBits + 1));
      return (random.below(2) ? run : ~run) & (format.integerBit - 1n);
    }
    default:
      return uniform;
  }
}

function randomBiased(format: FloatFormat, random: Random): number {
  const { bias, maxBiased, precision } = format;
  switch (random.below(10)) {
    case 0:
      return 0;
    case 1:
      return random.below(Math.min(precision + 4, maxBiased));
    case 2:
      return maxBiased - random.below(Math.min(precision + 4, maxBiased));
    case 3:
      return (bias >> 1) + random.below(9) - 4;
    case 4:
      return bias + (bias >> 1) + random.below(9) - 4;
    case 5:
    case 6:
    case 7:
      return Math.min(Math.max(bias + random.below(2 * precision + 4) - precision - 2, 0), maxBiased);
    default:
      return random.below(maxBiased + 1);
  }
}

/** A random pattern of `format`; one in 32 of the 80-bit ones is an odd encoding. */
export function randomValue(format: FloatFormat, random: Random): bigint {
  const biased = randomBiased(format, random);
  let field = randomField(format, random);
  if (format.explicitInteger && (biased !== 0) === random.below(32) > 0) field |= format.integerBit;
  return pack(format, random.below(2) as 0 | 1, biased, field);
}

/** A second operand; often near the first, so that differences cancel and quotients are simple. */
export function randomPartner(format: FloatFormat, first: bigint, random: Random): bigint {
  const kind = random.below(8);
  if (kind >= 3) return randomValue(format, random);
  const sign = random.below(2) ? 1n << format.signShift : 0n;
  if (kind === 0) return first ^ sign;
  const width = format.signShift + 1n;
  if (kind === 1) return BigInt.asUintN(Number(width), (first ^ sign) + BigInt(random.below(9) - 4));
  const step = BigInt(random.below(2 * format.precision + 6) - format.precision - 3) << format.fieldBits;
  return BigInt.asUintN(Number(width), (first ^ sign) + step);
}
