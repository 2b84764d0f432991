/** A symbol, and which part of an image it belongs to. */

/**
 * What an address belongs to. Of this project's kernel: the phases of a system call, and `work` for the rest;
 * of an application: its own code, its C library, and code that the builder made.
 */
export type Part = "entry" | "dispatch" | "exit" | "work" | "app" | "lib" | "stub";

export interface Sym {
  readonly address: bigint;
  /** Bytes; 0 where unknown: then up to the next symbol. */
  readonly size: number;
  readonly name: string;
  readonly part: Part;
}

/** A symbol as its file has it. */
export interface RawSymbol extends Sym {
  /** Whether code lies there: others are found by name only. */
  readonly isCode: boolean;
  /** Of several names for one address the highest is shown. */
  readonly rank: number;
}

export interface SymbolAt {
  readonly symbol: Sym;
  /** Bytes from the symbol's address. */
  readonly offset: number;
}

/** A file has no symbols that could be used: one line that says what was expected and found. */
export class SymbolError extends Error {
  override readonly name = "SymbolError";
}

/** A symbol that this project's kernel has and Linux has not (src/ukl-kernel/include/image.h). */
export const OUR_KERNEL = "image_info";

/** Canonical addresses as doubles: exact as signed numbers, for they have 48 bits. */
export const key = (address: bigint): number => Number(BigInt.asIntN(64, address));

const half = (address: bigint): "kernel" | "user" => (key(address) < 0 ? "kernel" : "user");

/** Phases of this project's kernel go by the names of its symbols; others' kernels are all `work`. */
export function partByName(address: bigint, name: string, isOurKernel: boolean): Part {
  if (half(address) === "user") return "app";
  const phase = isOurKernel ? /^(entry|dispatch|exit)_/.exec(name)?.[1] : undefined;
  return (phase as Part | undefined) ?? "work";
}
