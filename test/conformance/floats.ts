/**
 * Floating-point and SIMD state for cases: FXSAVE images whose registers hold the values at which formats
 * turn over, in every format at once, so that any instruction finds some that matter to it.
 */
import { defaultFxImage } from "./environment.ts";
import { operandValue, type SplitMix } from "./random.ts";

const F32_EDGES = Uint32Array.of(
  0x0000_0000, // 0
  0x0000_0001, // smallest denormal
  0x007f_ffff, // largest denormal
  0x0080_0000, // smallest normal
  0x0080_0001,
  0x3f80_0000, // 1
  0x3f80_0001,
  0x3f7f_ffff,
  0x3f00_0000, // 0.5
  0x3fc0_0000, // 1.5
  0x4020_0000, // 2.5
  0x4b00_0000, // 2^23
  0x4b7f_ffff,
  0x4eff_ffff, // below 2^31
  0x4f00_0000, // 2^31
  0x5eff_ffff, // below 2^63
  0x5f00_0000, // 2^63
  0x7f7f_ffff, // largest
  0x7f80_0000, // infinity
  0x7f80_0001, // signalling NaN
  0x7fbf_ffff,
  0x7fc0_0000, // quiet NaN
  0x7fff_ffff,
);

const F64_EDGES = BigUint64Array.of(
  0x0000_0000_0000_0000n,
  0x0000_0000_0000_0001n,
  0x000f_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n,
  0x0010_0000_0000_0001n,
  0x36a0_0000_0000_0000n, // 2^-149: smallest single denormal
  0x3690_0000_0000_0000n,
  0x3810_0000_0000_0000n, // 2^-126: smallest single normal
  0x380f_ffff_f000_0000n,
  0x3ff0_0000_0000_0000n,
  0x3ff0_0000_0000_0001n,
  0x3fef_ffff_ffff_ffffn,
  0x3fe0_0000_0000_0000n,
  0x3ff8_0000_0000_0000n,
  0x4004_0000_0000_0000n,
  0x41df_ffff_ffc0_0000n, // 2^31 - 1
  0x41df_ffff_ffe0_0000n, // 2^31 - 0.5
  0x41e0_0000_0000_0000n, // 2^31
  0x4330_0000_0000_0000n, // 2^52
  0x43df_ffff_ffff_ffffn,
  0x43e0_0000_0000_0000n, // 2^63
  0x47ef_ffff_e000_0000n, // largest single
  0x47ef_ffff_f000_0000n, // halfway to single overflow
  0x47f0_0000_0000_0000n, // 2^128
  0x7fef_ffff_ffff_ffffn,
  0x7ff0_0000_0000_0000n,
  0x7ff0_0000_0000_0001n,
  0x7ff7_ffff_ffff_ffffn,
  0x7ff8_0000_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
);

/** Sign and exponent with significand, of the double extended format. */
const F80_EDGES: readonly (readonly [exponent: number, significand: bigint])[] = [
  [0x0000, 0x0000_0000_0000_0000n], // 0
  [0x0000, 0x0000_0000_0000_0001n], // denormal
  [0x0000, 0x7fff_ffff_ffff_ffffn],
  [0x0000, 0x8000_0000_0000_0000n], // pseudo-denormal
  [0x0001, 0x8000_0000_0000_0000n], // smallest normal
  [0x3fff, 0x8000_0000_0000_0000n], // 1
  [0x3fff, 0x8000_0000_0000_0001n],
  [0x3ffe, 0xffff_ffff_ffff_ffffn],
  [0x3ffe, 0x8000_0000_0000_0000n], // 0.5
  [0x3fff, 0xc000_0000_0000_0000n], // 1.5
  [0x4000, 0xc90f_daa2_2168_c235n], // pi
  [0x3ffe, 0xb504_f333_f9de_6484n], // sqrt(2) / 2
  [0x403e, 0x8000_0000_0000_0000n], // 2^63
  [0x403d, 0xffff_ffff_ffff_ffffn], // below 2^63
  [0x401e, 0x8000_0000_0000_0000n], // 2^31
  [0x400e, 0x8000_0000_0000_0000n], // 2^15
  [0x403a, 0xde0b_6b3a_763f_fff0n], // 10^18 - 1: largest packed BCD
  [0x43fe, 0xffff_ffff_ffff_f800n], // largest double
  [0x43ff, 0x8000_0000_0000_0000n], // above the largest double
  [0x3c01, 0x8000_0000_0000_0000n], // smallest normal double
  [0x3bcd, 0x8000_0000_0000_0000n], // smallest double denormal
  [0x3f81, 0x8000_0000_0000_0000n], // smallest normal single
  [0x407e, 0xffff_ff00_0000_0000n], // largest single
  [0x7ffe, 0xffff_ffff_ffff_ffffn], // largest
  [0x7fff, 0x8000_0000_0000_0000n], // infinity
  [0x7fff, 0x8000_0000_0000_0001n], // signalling NaN
  [0x7fff, 0xbfff_ffff_ffff_ffffn],
  [0x7fff, 0xc000_0000_0000_0000n], // indefinite, quiet NaN
  [0x7fff, 0xffff_ffff_ffff_ffffn],
  [0x7fff, 0x0000_0000_0000_0000n], // pseudo-infinity: unsupported
  [0x7fff, 0x4000_0000_0000_0000n], // pseudo-NaN: unsupported
  [0x3fff, 0x4000_0000_0000_0000n], // unnormal: unsupported
];

export function randomF32(random: SplitMix): number {
  const sign = random.oneIn(2) ? 0x8000_0000 : 0;
  if (random.oneIn(2)) return (F32_EDGES[random.below(F32_EDGES.length)]! | sign) >>> 0;
  if (random.oneIn(3)) return random.u32();
  return (sign | ((127 + random.below(48) - 24) << 23) | (random.u32() >>> 9)) >>> 0;
}

export function randomF64(random: SplitMix): bigint {
  const sign = random.oneIn(2) ? 1n << 63n : 0n;
  if (random.oneIn(2)) return F64_EDGES[random.below(F64_EDGES.length)]! | sign;
  if (random.oneIn(3)) return random.u64();
  return sign | (BigInt(1023 + random.below(140) - 70) << 52n) | (random.u64() >> 12n);
}

/** Writes a ten-byte double extended value. */
export function putRandomF80(view: DataView, at: number, random: SplitMix): void {
  let exponent: number;
  let significand: bigint;
  if (random.oneIn(2)) [exponent, significand] = F80_EDGES[random.below(F80_EDGES.length)]!;
  else if (random.oneIn(4)) [exponent, significand] = [random.below(0x8000), random.u64()];
  else if (random.oneIn(3)) {
    // A value that has few significant bits, so that results are exact or halfway.
    exponent = 0x3fff + random.below(70) - 3;
    significand = (1n << 63n) | (BigInt(random.below(64)) << BigInt(57 - random.below(30)));
  } else [exponent, significand] = [0x3fff + random.below(140) - 70, random.u64() | (1n << 63n)];
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, exponent | (random.oneIn(2) ? 0x8000 : 0), true);
}

/** Fills `bytes` with values of one format, chosen at random. */
export function fillOperand(bytes: Uint8Array, random: SplitMix): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const put = (size: number, write: (at: number) => void): void => {
    for (let at = 0; at + size <= bytes.length; at += size) write(at);
  };
  random.fill(bytes);
  switch (random.below(5)) {
    case 0:
      put(4, (at) => view.setUint32(at, randomF32(random), true));
      break;
    case 1:
      put(8, (at) => view.setBigUint64(at, randomF64(random), true));
      break;
    case 2:
      put(10, (at) => putRandomF80(view, at, random));
      break;
    case 3:
      put(8, (at) => view.setBigUint64(at, operandValue(random), true));
      break;
    default:
      break; // noise
  }
}

const FCW = 0;
const FSW = 2;
const FTW = 4;
const MXCSR = 24;
const ST0 = 32;
const XMM0 = 160;

/** x87 exception flags and masks in FSW and FCW (SDM vol. 1, 8.1.3). */
const X87_EXCEPTIONS = 0x3f;
const FSW_ES = 0x80;
const FSW_B = 0x8000;

/** A random FXSAVE image: x87 registers, TOP, tags, control words, XMM registers and MXCSR. */
export function randomFxImage(random: SplitMix): Uint8Array {
  const image = defaultFxImage();
  const view = new DataView(image.buffer);
  for (let i = 0; i < 8; i++) putRandomF80(view, ST0 + i * 16, random);
  for (let i = 0; i < 16; i++) fillOperand(image.subarray(XMM0 + i * 16, XMM0 + i * 16 + 16), random);

  const precision = random.oneIn(2) ? 3 : random.pick([0, 2, 2, 3, 1]);
  const masks = random.oneIn(6) ? random.below(64) : 0x3f;
  const control = 0x40 | masks | (precision << 8) | (random.below(4) << 10);
  view.setUint16(FCW, control, true);
  let status = (random.below(8) << 11) | (random.u32() & 0x4700);
  if (random.oneIn(4)) status |= random.below(64) & (random.oneIn(8) ? X87_EXCEPTIONS : masks);
  // FSW.SF only ever stands with IE.
  if (status & 1 && random.oneIn(2)) status |= 0x40;
  if (status & ~masks & X87_EXCEPTIONS) status |= FSW_ES | FSW_B;
  view.setUint16(FSW, status, true);
  image[FTW] = random.oneIn(3) ? 0xff : random.oneIn(6) ? 0 : random.u32() | random.u32();

  const mxcsrMasks = random.oneIn(6) ? random.below(64) : 0x3f;
  let mxcsr = (mxcsrMasks << 7) | (random.below(4) << 13);
  if (random.oneIn(2)) mxcsr |= random.below(64);
  if (random.oneIn(6)) mxcsr |= 0x8000; // FTZ
  if (random.oneIn(6)) mxcsr |= 0x40; // DAZ
  view.setUint32(MXCSR, mxcsr, true);
  return image;
}
