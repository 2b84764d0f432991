/**
 * The memory images of FNSTENV and FNSAVE (SDM vol. 1, 8.1.10, figures 8-9 to 8-12). In real-address and
 * virtual-8086 mode the pointers are linear addresses cut in two; else they are offset and selector.
 */

import type { X87Bus } from "./instruction.ts";
import type { X87State } from "./state.ts";

function viewOf(image: Uint8Array): DataView {
  return new DataView(image.buffer, image.byteOffset, image.byteLength);
}

/** selector:offset of real mode as a linear address. */
function linear(selector: number, offset: bigint): number {
  return (selector * 16 + Number(offset & 0xffff_ffffn)) >>> 0;
}

/** Fills `image`, of 14 or 28 bytes. */
export function writeEnvironment(state: X87State, bus: X87Bus, image: Uint8Array): void {
  const view = viewOf(image);
  const words = [state.controlWord, state.statusWord, state.tagWord];
  const ip = bus.realMode
    ? linear(state.codeSelector, state.instructionPointer)
    : Number(state.instructionPointer & 0xffff_ffffn);
  const dp = bus.realMode
    ? linear(state.dataSelector, state.dataPointer)
    : Number(state.dataPointer & 0xffff_ffffn);
  if (image.length === 28) {
    for (let i = 0; i < 3; i++) view.setUint32(4 * i, words[i] | 0xffff_0000, true);
    if (bus.realMode) {
      view.setUint32(12, (ip & 0xffff) | 0xffff_0000, true);
      view.setUint32(16, ((ip >>> 16) << 12) | state.opcode, true);
      view.setUint32(20, (dp & 0xffff) | 0xffff_0000, true);
      view.setUint32(24, (dp >>> 16) << 12, true);
    } else {
      view.setUint32(12, ip, true);
      view.setUint32(16, state.codeSelector | (state.opcode << 16), true);
      view.setUint32(20, dp, true);
      view.setUint32(24, state.dataSelector | 0xffff_0000, true);
    }
    return;
  }
  for (let i = 0; i < 3; i++) view.setUint16(2 * i, words[i], true);
  view.setUint16(6, ip, true);
  view.setUint16(8, bus.realMode ? ((ip >>> 4) & 0xf000) | state.opcode : state.codeSelector, true);
  view.setUint16(10, dp, true);
  view.setUint16(12, bus.realMode ? (dp >>> 4) & 0xf000 : state.dataSelector, true);
}

/** Loads an image of 14 or 28 bytes; ES and B follow from flags and masks. */
export function readEnvironment(state: X87State, bus: X87Bus, image: Uint8Array): void {
  const view = viewOf(image);
  const wide = image.length === 28;
  const word = (i: number) => view.getUint16(i * (wide ? 4 : 2), true);
  state.controlWord = word(0);
  state.statusWord = word(1);
  state.tagWord = word(2);
  if (bus.realMode) {
    // A linear pointer comes back as an offset from selector 0.
    const high = (i: number) => (wide ? (view.getUint32(4 * i, true) >>> 12) & 0xffff : word(i) >>> 12);
    const ip = word(3) + high(4) * 0x1_0000;
    const dp = word(5) + high(6) * 0x1_0000;
    state.setInstruction(BigInt(ip), 0, word(4) & 0x7ff);
    state.setData(BigInt(dp), 0);
  } else if (wide) {
    state.setInstruction(BigInt(view.getUint32(12, true)), word(4), view.getUint16(18, true));
    state.setData(BigInt(view.getUint32(20, true)), word(6));
  } else {
    // The 16-bit protected image has no room for the opcode.
    state.setInstruction(BigInt(word(3)), word(4), 0);
    state.setData(BigInt(word(5)), word(6));
  }
}

/** ST(0) to ST(7), ten bytes each. */
export function writeRegisters(state: X87State, image: Uint8Array): void {
  const view = viewOf(image);
  for (let i = 0; i < 8; i++) {
    const value = state.get(i);
    view.setBigUint64(10 * i, value & 0xffff_ffff_ffff_ffffn, true);
    view.setUint16(10 * i + 8, Number(value >> 64n), true);
  }
}

/** Loads ST(0) to ST(7) without touching the tags. */
export function readRegisters(state: X87State, image: Uint8Array): void {
  const view = viewOf(image);
  for (let i = 0; i < 8; i++) {
    const value = (BigInt(view.getUint16(10 * i + 8, true)) << 64n) | view.getBigUint64(10 * i, true);
    state.setPhysical((state.top + i) & 7, value);
  }
}
