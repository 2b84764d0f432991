/**
 * The floating-point formats of the processor (SDM vol. 1, 4.2.2 and 8.2) and the way from a bit pattern to
 * the number it stands for. Everything else in this directory is written once and takes a format.
 */

/** Shape of one binary interchange format, with the figures derived from it. */
export interface FloatFormat {
  readonly name: "binary16" | "binary32" | "binary64" | "extended80";
  readonly exponentBits: number;
  /** Bits below the integer bit. */
  readonly fractionBits: number;
  /** True where the integer bit is stored (x87 double extended). */
  readonly explicitInteger: boolean;
  /** Significant bits of a normal number: fractionBits + 1. */
  readonly precision: number;
  readonly bias: number;
  /** Biased exponent of infinities and NaNs. */
  readonly maxBiased: number;
  /** Unbiased exponent of the smallest normal number. */
  readonly minExponent: number;
  /** Unbiased exponent of the largest finite number. */
  readonly maxExponent: number;
  /** Bits of the stored significand field: fractionBits, plus one with an explicit integer bit. */
  readonly fieldBits: bigint;
  readonly fieldMask: bigint;
  readonly exponentMask: bigint;
  readonly signShift: bigint;
  readonly integerBit: bigint;
  readonly quietBit: bigint;
}

function defineFormat(
  name: FloatFormat["name"],
  exponentBits: number,
  fractionBits: number,
  explicitInteger: boolean,
): FloatFormat {
  const bias = 2 ** (exponentBits - 1) - 1;
  const fieldBits = BigInt(fractionBits + (explicitInteger ? 1 : 0));
  return {
    name,
    exponentBits,
    fractionBits,
    explicitInteger,
    precision: fractionBits + 1,
    bias,
    maxBiased: 2 * bias + 1,
    minExponent: 1 - bias,
    maxExponent: bias,
    fieldBits,
    fieldMask: (1n << fieldBits) - 1n,
    exponentMask: (1n << BigInt(exponentBits)) - 1n,
    signShift: fieldBits + BigInt(exponentBits),
    integerBit: 1n << BigInt(fractionBits),
    quietBit: 1n << BigInt(fractionBits - 1),
  };
}

export const binary16 = defineFormat("binary16", 5, 10, false);
export const binary32 = defineFormat("binary32", 8, 23, false);
export const binary64 = defineFormat("binary64", 11, 52, false);
/** A pattern of this format is 80 bits: sign and exponent in bits 79-64, significand in bits 63-0. */
export const extended80 = defineFormat("extended80", 15, 63, true);

/**
 * What a pattern is. `unsupported` are the 80-bit encodings the 80387 and later refuse: unnormals,
 * pseudo-infinities and pseudo-NaNs (SDM vol. 1, 8.2.2). A pseudo-denormal is `denormal`.
 */
export type FloatKind =
  | "zero"
  | "denormal"
  | "normal"
  | "infinity"
  | "quietNaN"
  | "signallingNaN"
  | "unsupported";

/**
 * A pattern taken apart. A finite number is (-1)^sign * significand * 2^exponent. Of a NaN, the significand
 * is the one it has in the 80-bit format, so that the payload moves between formats by shifting.
 */
export interface Unpacked {
  readonly kind: FloatKind;
  readonly sign: 0 | 1;
  readonly exponent: number;
  readonly significand: bigint;
}

/** Takes the pattern `bits` of `format` apart. */
export function unpack(format: FloatFormat, bits: bigint): Unpacked {
  const sign: 0 | 1 = (bits >> format.signShift) & 1n ? 1 : 0;
  const biased = Number((bits >> format.fieldBits) & format.exponentMask);
  const field = bits & format.fieldMask;
  if (biased === 0) {
    const exponent = format.minExponent - format.fractionBits;
    return { kind: field === 0n ? "zero" : "denormal", sign, exponent, significand: field };
  }
  const exponent = biased - format.bias - format.fractionBits;
  if (format.explicitInteger && (field & format.integerBit) === 0n) {
    return { kind: "unsupported", sign, exponent, significand: field };
  }
  const significand = field | format.integerBit;
  if (biased !== format.maxBiased) return { kind: "normal", sign, exponent, significand };
  if (significand === format.integerBit) return { kind: "infinity", sign, exponent, significand };
  const kind = significand & format.quietBit ? "quietNaN" : "signallingNaN";
  return { kind, sign, exponent: 0, significand: significand << BigInt(63 - format.fractionBits) };
}

/** Puts a pattern together; the integer bit of `significand` is dropped where the format does not store it. */
export function pack(format: FloatFormat, sign: 0 | 1, biased: number, significand: bigint): bigint {
  return (
    ((((sign ? 1n : 0n) << BigInt(format.exponentBits)) | BigInt(biased)) << format.fieldBits) |
    (significand & format.fieldMask)
  );
}

export function zero(format: FloatFormat, sign: 0 | 1): bigint {
  return pack(format, sign, 0, 0n);
}

export function infinity(format: FloatFormat, sign: 0 | 1): bigint {
  return pack(format, sign, format.maxBiased, format.integerBit);
}

export function largestFinite(format: FloatFormat, sign: 0 | 1, precision = format.precision): bigint {
  const significand = ((1n << BigInt(precision)) - 1n) << BigInt(format.precision - precision);
  return pack(format, sign, format.maxBiased - 1, significand);
}

/** QNaN real indefinite: the default NaN, negative, with an empty payload (SDM vol. 1, 4.8.3.7). */
export function indefinite(format: FloatFormat): bigint {
  return pack(format, 1, format.maxBiased, format.integerBit | format.quietBit);
}

const float = new Float64Array(1);
const floatWords = new Uint32Array(float.buffer);

/** Number of bits of `value` (0 for 0); `value` is not negative. */
export function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  float[0] = Number(value);
  const biased = floatWords[1] >>> 20;
  if (biased === 0x7ff) {
    const digits = value.toString(16);
    return digits.length * 4 - (Math.clz32(Number.parseInt(digits[0], 16)) - 28);
  }
  // The conversion may have rounded up to the next power of two.
  const length = biased - 1022;
  return length > 53 && value >> BigInt(length - 1) === 0n ? length - 1 : length;
}
