/** What an x87 instruction gets to work with, and the steps that most of them share. */

import { blocked, extended80, type FloatEnvironment, IE, indefinite, OE, UE } from "../softfloat/index.ts";
import { CONDITION_CODES, Status, type X87State } from "./state.ts";

/**
 * The rest of the processor, as an x87 instruction sees it. Memory methods act on the instruction's one memory
 * operand and throw `Fault` before they change anything; the x87 state is changed only after they returned.
 */
export interface X87Bus {
  /** The `length` bytes of the operand. */
  read(length: number): Uint8Array;
  /** Writes the operand; all its pages are checked first. */
  write(bytes: Uint8Array): void;
  /** Throws what `write` of `length` bytes would. */
  probe(length: number): void;
  /** RFLAGS: FCMOVcc reads CF, PF and ZF. */
  readonly flags: number;
  /** FCOMI and kin: ZF, PF and CF as given; OF, SF and AF become 0. */
  setFlags(zfPfCf: number): void;
  /** FNSTSW AX. */
  setAx(value: number): void;
  /** Offset and selector of this instruction, prefixes included. */
  readonly instructionPointer: bigint;
  readonly codeSelector: number;
  /** Offset and selector of the memory operand. */
  readonly dataPointer: bigint;
  readonly dataSelector: number;
  /** Real-address or virtual-8086 mode: pointers in FNSTENV images are linear (SDM vol. 1, 8.1.10). */
  readonly realMode: boolean;
  /** Operand size 32: the 28- and 108-byte images; else those of 14 and 94. True in 64-bit mode without 66H. */
  readonly operandSize32: boolean;
}

/** One instruction being executed. `i` is the low three bits of ModRM: the register of ST(i) forms. */
export interface Instruction {
  readonly state: X87State;
  readonly env: FloatEnvironment;
  readonly bus: X87Bus;
  readonly i: number;
}

export type Execute = (x: Instruction) => void;

export const INDEFINITE = indefinite(extended80);

/** Sets the condition codes in `mask` to `codes`, adds the exceptions of the environment, updates ES. */
export function finish(x: Instruction, codes = 0, mask: number = Status.C1): void {
  const rounded = x.env.roundedUp ? Status.C1 : 0;
  x.state.statusWord = (x.state.statusWord & ~mask) | codes | (mask & Status.C1 ? rounded : 0) | x.env.flags;
}

/** The condition codes all at once, C1 included, exceptions added. */
export function finishCodes(x: Instruction, codes: number): void {
  x.state.statusWord = (x.state.statusWord & ~CONDITION_CODES) | codes | x.env.flags;
}

/**
 * Stack overflow (C1 = 1) or underflow (C1 = 0), SDM vol. 1, 8.5.1.1: raises IE with SF. True if masked: the
 * instruction goes on with the indefinite.
 */
export function stackFault(x: Instruction, overflow: boolean): boolean {
  x.env.flags |= IE;
  const status = x.state.statusWord & ~Status.C1;
  x.state.statusWord = status | Status.SF | IE | (overflow ? Status.C1 : 0);
  return (x.env.masks & IE) !== 0;
}

/** Pushes a result unless an unmasked exception leaves none; the stack was checked before. */
export function push(x: Instruction, value: bigint): void {
  x.state.top--;
  x.state.set(0, value);
}

export function pop(state: X87State): void {
  state.free(0);
  state.top++;
}

/**
 * Pushes what `produce` gives; for instructions whose only operand is memory or a constant. `produce` may
 * throw a memory fault, so it runs first.
 */
export function pushing(produce: (x: Instruction) => bigint): Execute {
  return (x) => {
    const value = produce(x);
    if (!x.state.isEmpty(7)) {
      x.env.flags = 0;
      if (stackFault(x, true)) push(x, INDEFINITE);
      return;
    }
    finish(x);
    // Of a load, only an invalid operand leaves the stack alone; a denormal is loaded even if unmasked.
    if (!(x.env.flags & IE & ~x.env.masks)) push(x, value);
  };
}

/** Replaces ST(0) by a function of it. */
export function unary(compute: (value: bigint, env: FloatEnvironment) => bigint): Execute {
  return (x) => {
    if (x.state.isEmpty(0)) {
      if (stackFault(x, false)) x.state.set(0, INDEFINITE);
      return;
    }
    const value = compute(x.state.get(0), x.env);
    finish(x);
    if (!blocked(x.env)) x.state.set(0, value);
  };
}

/** True if an unmasked exception keeps a result from memory (there is no biased result there). */
export function storeBlocked(env: FloatEnvironment): boolean {
  return blocked(env) || (env.flags & (OE | UE) & ~env.masks) !== 0;
}
