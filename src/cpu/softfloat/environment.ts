/**
 * The floating-point environment an operation runs in: what MXCSR (SDM vol. 1, 10.2.3) or the x87 control
 * word (8.1.5) say, and the exceptions the operation raised.
 */

/** Exception flags, as in MXCSR bits 5-0 and in the x87 status word; the same bits serve as masks. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 16;
export const PE = 32;
export const ALL_EXCEPTIONS = 63;
/** Exceptions found before the operation is done (SDM vol. 1, 4.9.2): unmasked, they leave no result. */
export const PRE_COMPUTATION = IE | DE | ZE;

/** Rounding control: 0 to nearest even, 1 down, 2 up, 3 toward zero (SDM vol. 1, table 4-8). */
export type Rounding = 0 | 1 | 2 | 3;
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_ZERO = 3;

/**
 * Operations read the upper fields and report in `flags` and `roundedUp`. `flags` is or-ed into, so the
 * caller clears it before an operation whose own exceptions it wants to see.
 */
export interface FloatEnvironment {
  /** Which NaN rules and which responses to unmasked overflow and underflow apply. */
  rules: "sse" | "x87";
  rounding: Rounding;
  /** Significand bits of x87 add, subtract, multiply, divide and square root (precision control). */
  precision: 24 | 53 | 64;
  flushToZero: boolean;
  denormalsAreZero: boolean;
  /** Bit set: exception masked. */
  masks: number;
  flags: number;
  /** x87 C1 after an inexact result: the last rounding went away from zero. */
  roundedUp: boolean;
}

/** Environment of an SSE instruction under `mxcsr`, with no flag raised yet. */
export function sseEnvironment(mxcsr: number): FloatEnvironment {
  return setSseEnvironment({} as FloatEnvironment, mxcsr);
}

/** Sets `env` up for an SSE instruction under `mxcsr` and clears its flags; returns `env`. */
export function setSseEnvironment(env: FloatEnvironment, mxcsr: number): FloatEnvironment {
  env.rules = "sse";
  env.rounding = ((mxcsr >> 13) & 3) as Rounding;
  env.precision = 64;
  env.flushToZero = (mxcsr & 0x8000) !== 0;
  env.denormalsAreZero = (mxcsr & 0x40) !== 0;
  env.masks = (mxcsr >> 7) & ALL_EXCEPTIONS;
  env.flags = 0;
  env.roundedUp = false;
  return env;
}

/** Environment of an x87 instruction under the control word, with no flag raised yet. */
export function x87Environment(controlWord: number): FloatEnvironment {
  return setX87Environment({} as FloatEnvironment, controlWord);
}

/** Sets `env` up for an x87 instruction and clears its flags; returns `env`. */
export function setX87Environment(env: FloatEnvironment, controlWord: number): FloatEnvironment {
  env.rules = "x87";
  env.rounding = ((controlWord >> 10) & 3) as Rounding;
  const precisionControl = (controlWord >> 8) & 3;
  // 01 is reserved; the processors tested treat it as extended precision.
  env.precision = precisionControl === 0 ? 24 : precisionControl === 2 ? 53 : 64;
  env.flushToZero = false;
  env.denormalsAreZero = false;
  env.masks = controlWord & ALL_EXCEPTIONS;
  env.flags = 0;
  env.roundedUp = false;
  return env;
}

/** Raises `flags`; true if one of them is unmasked. */
export function raise(env: FloatEnvironment, flags: number): boolean {
  env.flags |= flags;
  return (flags & ~env.masks) !== 0;
}

/** True if an unmasked exception found before the computation leaves the destination unchanged. */
export function blocked(env: FloatEnvironment): boolean {
  return (env.flags & PRE_COMPUTATION & ~env.masks) !== 0;
}

/** True if any raised exception is unmasked: an SSE instruction then raises #XM and writes no result. */
export function unmasked(env: FloatEnvironment): boolean {
  return (env.flags & ~env.masks) !== 0;
}

/**
 * Flags a packed SSE instruction leaves, from those of its elements each computed by itself: an unmasked
 * exception found before the computation in any element keeps every element from being computed, so that no
 * overflow, underflow or inexact result is reported (SDM vol. 1, 11.5.3.2 and E.4.1).
 */
export function packedFlags(elements: readonly number[], masks: number): number {
  let flags = 0;
  for (const element of elements) flags |= element;
  return flags & PRE_COMPUTATION & ~masks ? flags & PRE_COMPUTATION : flags;
}
