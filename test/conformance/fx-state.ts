/**
 * Between an FXSAVE64 image and a processor's block: the executor's own path, so that a mistake in the
 * emulated FXSAVE and FXRSTOR cannot hide itself.
 */
import * as L from "../../src/cpu/layout.ts";
import type { CpuState } from "../../src/cpu/state.ts";
import { FX_BYTES } from "./environment.ts";

const EMPTY = 3;

/** The tag FXRSTOR gives a register that is in use: 0 valid, 1 zero, 2 special (SDM vol. 1, 8.1.7). */
function tagOf(significand: bigint, exponent: number): number {
  const biased = exponent & 0x7fff;
  if (biased === 0) return significand === 0n ? 1 : 2;
  if (biased === 0x7fff) return 2;
  return significand >> 63n ? 0 : 2;
}

/** Sets x87, MXCSR and XMM registers from an image; the upper halves of YMM registers become zero. */
export function loadFxImage(cpu: CpuState, image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, FX_BYTES);
  const status = view.getUint16(2, true);
  const top = (status >> 11) & 7;
  const abridged = image[4]!;
  cpu.setI32(L.FCW, view.getUint16(0, true));
  cpu.setI32(L.FSW, status);
  cpu.setI32(L.FOP, view.getUint16(6, true));
  cpu.setU64(L.FIP, view.getBigUint64(8, true));
  cpu.setU64(L.FDP, view.getBigUint64(16, true));
  cpu.setI32(L.FCS, 0);
  cpu.setI32(L.FDS, 0);
  cpu.setI32(L.MXCSR, view.getUint32(24, true));
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const register = (top + i) & 7;
    const significand = view.getBigUint64(32 + i * 16, true);
    const exponent = view.getUint16(40 + i * 16, true);
    cpu.setU64(L.X87 + register * L.X87_STRIDE, significand);
    cpu.setU64(L.X87 + register * L.X87_STRIDE + 8, BigInt(exponent));
    const tag = (abridged >> register) & 1 ? tagOf(significand, exponent) : EMPTY;
    tags |= tag << (register * 2);
  }
  cpu.setI32(L.FTW, tags);
  for (let i = 0; i < 16; i++) {
    const at = L.XMM + i * L.XMM_STRIDE;
    cpu.bytes.set(image.subarray(160 + i * 16, 176 + i * 16), at);
    cpu.bytes.fill(0, at + 16, at + 32);
  }
}

/** The same state as an image, from what `before` left undefined. */
export function readFxImage(cpu: CpuState, before: Uint8Array): Uint8Array {
  const image = before.slice();
  const view = new DataView(image.buffer);
  const status = cpu.i32(L.FSW) & 0xffff;
  const top = (status >> 11) & 7;
  view.setUint16(0, cpu.i32(L.FCW), true);
  view.setUint16(2, status, true);
  let abridged = 0;
  for (let register = 0; register < 8; register++)
    if (((cpu.i32(L.FTW) >> (register * 2)) & 3) !== EMPTY) abridged |= 1 << register;
  image[4] = abridged;
  view.setUint32(24, cpu.i32(L.MXCSR), true);
  for (let i = 0; i < 8; i++) {
    const at = L.X87 + ((top + i) & 7) * L.X87_STRIDE;
    image.set(cpu.bytes.subarray(at, at + 10), 32 + i * 16);
  }
  for (let i = 0; i < 16; i++) {
    const at = L.XMM + i * L.XMM_STRIDE;
    image.set(cpu.bytes.subarray(at, at + 16), 160 + i * 16);
  }
  return image;
}
