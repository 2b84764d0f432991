/**
 * One conformance case: an instruction, the state before it, and what an executor reports as the state after.
 * The surroundings (mapped memory, descriptor tables) are the fixed ones of environment.ts.
 */

export type Mode = 16 | 32 | 64;

/** ES, CS, SS, DS, FS, GS: the encoding order of a ModRM reg field that names a segment register. */
export type Selectors = readonly [es: number, cs: number, ss: number, ds: number, fs: number, gs: number];

/** Bytes written into a window, whatever its protection, before the case runs. */
export interface Patch {
  /** Linear address; bytes that fall outside every window are dropped. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface ConformanceCase {
  /** Id of the generator row the case came from. */
  readonly row: string;
  readonly mode: Mode;
  /** The instruction, up to 32 bytes. What follows it in memory is CODE_FILLER. */
  readonly bytes: Uint8Array;
  /** Linear address of the first byte. */
  readonly codeAddress: number;
  /**
   * How the case ends. "trap": RFLAGS.TF is set, and one instruction (one iteration of a REP string instruction)
   * runs, then #DB. "breakpoint": TF is clear; the case ends when the instruction has been left, by running on
   * into the filler or by a branch, and the INT3 found there is executed. A branch to where nothing is mapped
   * then ends with that fetch's #PF. Cases never branch to themselves under "breakpoint".
   */
  readonly end: "trap" | "breakpoint";
  readonly selectors: Selectors;
  /** RAX RCX RDX RBX RSP RBP RSI RDI R8-R15: the encoding order. Outside 64-bit mode R8-R15 are 0. */
  readonly gpr: BigUint64Array;
  /** RFLAGS without TF and IF, which the executor sets: IF = 1, TF by `end`. IOPL is 0. */
  readonly rflags: number;
  /** 64-bit mode only; in other modes the bases come from the selectors. */
  readonly fsBase: bigint;
  readonly gsBase: bigint;
  /** A 512-byte FXSAVE64 image, or null for the environment's default. */
  readonly fx: Uint8Array | null;
  readonly patches: readonly Patch[];
  readonly unspecified: Unspecified;
}

/** What the architecture leaves open in a case's outcome; comparing leaves it out. */
export interface Unspecified {
  /** Undefined RFLAGS bits, if the instruction completes. */
  readonly rflags: number;
  /** Undefined bits of one general register. */
  readonly gpr?: { readonly register: number; readonly mask: bigint };
  /** The instruction makes several accesses, and which of those that fault is reported is open. */
  readonly faultOrder?: boolean;
  /** The instruction loads floating-point state piece by piece: what it has loaded before a fault is open. */
  readonly partialFx?: boolean;
  /** Bytes of memory whose content depends on the processor model. */
  readonly memory: readonly { readonly address: number; readonly length: number }[];
  /** Results that may differ by a relative error (f32) or by units in the last place (f80). */
  readonly approximate: { readonly unit: "f32" | "f80"; readonly tolerance: number } | null;
}

/**
 * Outcome.vector of an instruction that ran to its end: a single-step #DB, or the #BP of an INT3 outside the
 * case's own bytes (RIP is then reported as it was before that INT3).
 */
export const COMPLETED = 0xff;

/** Outcome.vector of a case that did not end within a few milliseconds: always a mistake of the generator. */
export const HUNG = 0xfe;

export interface Outcome {
  /** Exception vector, or COMPLETED. */
  vector: number;
  /** Error code of the exception, 0 for vectors that push none. */
  errorCode: number;
  /** CR2 for #PF, otherwise 0. */
  cr2: bigint;
  /** RIP after the instruction or as the exception saved it: an offset in CS. */
  rip: bigint;
  /** RFLAGS as the exception (or the single-step trap) saved it. */
  rflags: number;
  gpr: BigUint64Array;
  selectors: number[];
  fsBase: bigint;
  gsBase: bigint;
  /** The FXSAVE64 image after; null when its defined part equals the one before. */
  fx: Uint8Array | null;
  /** Runs of changed quadwords of the writable windows, in ascending order of address. */
  changes: Patch[];
}

/** Runs cases one by one, each from its own fresh state. Results come in the order of the cases. */
export interface Executor {
  readonly name: string;
  run(cases: readonly ConformanceCase[]): Promise<Outcome[]>;
  close(): Promise<void>;
}

export const RFLAGS = {
  CF: 1 << 0,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  NT: 1 << 14,
  RF: 1 << 16,
  AC: 1 << 18,
  ID: 1 << 21,
} as const;

/** RFLAGS as the instruction starts. */
export function initialRflags(c: ConformanceCase): number {
  return c.rflags | RFLAGS.IF | 2 | (c.end === "trap" ? RFLAGS.TF : 0);
}

export const GPR_NAMES = [
  "RAX",
  "RCX",
  "RDX",
  "RBX",
  "RSP",
  "RBP",
  "RSI",
  "RDI",
  "R8",
  "R9",
  "R10",
  "R11",
  "R12",
  "R13",
  "R14",
  "R15",
] as const;

export const SREG_NAMES = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;

export const VECTOR_NAMES: Readonly<Record<number, string>> = {
  0: "#DE",
  1: "#DB",
  3: "#BP",
  4: "#OF",
  5: "#BR",
  6: "#UD",
  7: "#NM",
  8: "#DF",
  10: "#TS",
  11: "#NP",
  12: "#SS",
  13: "#GP",
  14: "#PF",
  16: "#MF",
  17: "#AC",
  19: "#XM",
  [HUNG]: "hung",
  [COMPLETED]: "completed",
};
