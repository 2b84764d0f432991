/** What a ring trace consists of: the tracer makes it, sinks write it. */
import type { CpuState } from "../cpu/state.ts";
import type { Side } from "./ring-names.ts";
import type { SymbolAt } from "./symbols.ts";

/** On a processor: counts are its own. */
export interface Moment {
  readonly processor: number;
  /** Virtual nanoseconds since power-on. */
  readonly time: number;
  readonly instructions: number;
  /** By the timing model; as many as instructions without one. */
  readonly cycles: number;
  /** The part of `time` that the processor waited through. */
  readonly idle: number;
}

/** What was executed between two moments; what a thread that has changed processors executed is not known: 0. */
export function executedBetween(start: Moment, end: Moment): { instructions: number; cycles: number } {
  if (start.processor !== end.processor) return { instructions: 0, cycles: 0 };
  return { instructions: end.instructions - start.instructions, cycles: end.cycles - start.cycles };
}

export interface Place {
  readonly side: Side;
  readonly cpl: number;
  /** Null where only the arrival was seen: a near return. */
  readonly rip: bigint | null;
  readonly symbol: SymbolAt | null;
}

/** What was entered: it lasts until the return. */
export interface Frame {
  readonly kind: "system call" | "call" | "event";
  /** "write", "#PF", "interrupt 30h", or the function that was called. */
  readonly name: string;
  /** What is known of it besides: "local APIC timer", the error code in words. */
  readonly detail: string;
  /** Of a system call. */
  readonly number: number | null;
  readonly registers: readonly bigint[];
  readonly start: Moment;
  readonly from: Place;
  /** Null where the handler may choose another. */
  readonly returnRip: bigint | null;
  /** RIP of its first instruction. */
  readonly entry: bigint;
}

export interface Transition {
  readonly moment: Moment;
  /** "SYSCALL", "#PF", "interrupt 30h", "IRET", "CALL". */
  readonly cause: string;
  readonly from: Place;
  readonly to: Place;
  readonly enters: Frame | null;
  /** What returned, and RAX then. Not known of every return: programs start somewhere. */
  readonly leaves: Frame | null;
  readonly result: bigint;
  /** The text of the result of what has returned, with data that it has written. */
  readonly answer: string;
  /** The text of a call that is entered, from memory as it is now. */
  readonly call: (() => string) | null;
  readonly cpu: CpuState;
  /** The address space of the side that control comes to. */
  readonly space: bigint;
}

export interface RingSink {
  transition(transition: Transition): void;
  /** A line of the guest's console. */
  console?(moment: Moment, text: string): void;
  /** @param moments the last one of each processor */
  end(moments: readonly Moment[]): void;
}
