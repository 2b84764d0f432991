/**
 * RCPSS/RCPPS and RSQRTSS/RSQRTPS. The manuals promise a relative error of at most 1.5 * 2^-12 and leave the
 * digits to the maker; these are the digits of AMD's Zen 4. Neither instruction raises exceptions or heeds
 * MXCSR: denormal operands count as zeros, denormal results become zeros (SDM vol. 2B, RCPPS, RSQRTPS).
 * Operands and results are binary32 patterns as unsigned numbers.
 */

import { APPROXIMATION_DATA } from "./approximation-data.ts";

const ENTRIES = 4096;
const SIGN = 0x80000000;
const INFINITY = 0x7f800000;
const QUIET = 0x00400000;
const INDEFINITE = 0xffc00000;

interface Tables {
  readonly reciprocal: Uint16Array;
  readonly rootEven: Uint16Array;
  readonly rootOdd: Uint16Array;
}

let tables: Tables | undefined;

/** Results in units of 2^-13, by the top 12 fraction bits; see the generator for the encoding. */
function decode(data: string, exact: (middle: number) => number): Uint16Array {
  const bytes = atob(data);
  return Uint16Array.from({ length: ENTRIES }, (_, i) => {
    const code = (bytes.charCodeAt(i >> 2) >> (2 * (i & 3))) & 3;
    return Math.floor(exact(8192 + 2 * i + 1)) + code - 1;
  });
}

function load(): Tables {
  tables ??= {
    reciprocal: decode(APPROXIMATION_DATA.reciprocal, (middle) => 2 ** 26 / middle),
    rootEven: decode(APPROXIMATION_DATA.reciprocalRootEven, (middle) => Math.sqrt(2 ** 39 / middle)),
    rootOdd: decode(APPROXIMATION_DATA.reciprocalRootOdd, (middle) => Math.sqrt(2 ** 38 / middle)),
  };
  return tables;
}

/** The pattern of `units` * 2^(exponent - 13), units in [4096, 8192]. */
function compose(sign: number, units: number, exponent: number): number {
  const carry = units >> 13;
  const fraction = carry ? 0 : (units & 4095) << 11;
  return (sign | ((exponent - 1 + 127 + carry) << 23) | fraction) >>> 0;
}

/** RCPSS: about 1 / x. */
export function reciprocal(bits: number): number {
  const sign = bits & SIGN;
  const biased = (bits >>> 23) & 0xff;
  if (biased === 0) return (sign | INFINITY) >>> 0;
  if (biased === 0xff) return bits & 0x7fffff ? (bits | QUIET) >>> 0 : sign >>> 0;
  // From 2^126 on the result would be denormal.
  if (biased >= 253) return sign >>> 0;
  return compose(sign, load().reciprocal[(bits >>> 11) & 4095], 127 - biased);
}

/** RSQRTSS: about 1 / sqrt(x). */
export function reciprocalSquareRoot(bits: number): number {
  const sign = bits & SIGN;
  const biased = (bits >>> 23) & 0xff;
  if (biased === 0) return (sign | INFINITY) >>> 0;
  if (biased === 0xff && bits & 0x7fffff) return (bits | QUIET) >>> 0;
  if (sign) return INDEFINITE;
  if (biased === 0xff) return 0;
  const { rootEven, rootOdd } = load();
  const index = (bits >>> 11) & 4095;
  return biased & 1
    ? compose(0, rootEven[index], (127 - biased) / 2)
    : compose(0, rootOdd[index], (128 - biased) / 2);
}
