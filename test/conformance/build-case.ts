/** Cases written by hand, for the tests of the suite itself. */
import type { ConformanceCase, Mode } from "./case.ts";
import { CODE_BASE, DEFAULT_SELECTORS, STACK_BASE, segmentBase } from "./environment.ts";

type Registers = Partial<Record<"rax" | "rcx" | "rdx" | "rbx" | "rsp" | "rbp" | "rsi" | "rdi", bigint>>;

const ORDER = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const;

/** RSP of a case that names none: the middle of the stack window. */
export const STACK_TOP = STACK_BASE + 0x800;

/**
 * A case of the instruction bytes given in hexadecimal: registers 0 but for RSP, which points into the stack
 * window, flags clear, ended by the breakpoint.
 */
export function buildCase(
  mode: Mode,
  bytes: string,
  registers: Registers = {},
  change: Partial<ConformanceCase> = {},
): ConformanceCase {
  const selectors = change.selectors ?? DEFAULT_SELECTORS[mode];
  const rsp = BigInt(STACK_TOP - (mode === 64 ? 0 : segmentBase(selectors[2])));
  return {
    row: "hand-written",
    mode,
    bytes: Uint8Array.from(Buffer.from(bytes.replaceAll(" ", ""), "hex")),
    codeAddress: CODE_BASE + 0x100,
    end: "breakpoint",
    selectors,
    gpr: BigUint64Array.from({ length: 16 }, (_, i) => {
      const name = ORDER[i];
      return (name && registers[name]) ?? (name === "rsp" ? rsp : 0n);
    }),
    rflags: 0,
    fsBase: 0n,
    gsBase: 0n,
    fx: null,
    patches: [],
    unspecified: { rflags: 0, memory: [], approximate: null },
    ...change,
  };
}
