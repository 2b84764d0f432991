/**
 * What the generator needs to know of an instruction form: how to write its bytes. Everything else (length,
 * operands, memory addressing) it learns by decoding what it wrote.
 */
import type { Mode } from "./case.ts";

export interface GeneratorRow {
  /** Unique; names the row in summaries and seeds its cases. */
  readonly id: string;
  /** Upper case, as in the manual: what `--row` selects by. */
  readonly mnemonic: string;
  /** Modes in which the form is valid. The others get a small share of the cases: they must be #UD there. */
  readonly modes: readonly Mode[];
  /** Mandatory prefix; "NP" means that none may stand there. */
  readonly prefix: "" | "NP" | "66" | "F3" | "F2";
  /** Opcode map: one-byte, 0F, 0F38, 0F3A. */
  readonly map: 0 | 1 | 2 | 3;
  /** VEX.L and VEX.W of a VEX-encoded form; null stands for either value. */
  readonly vex: { readonly l: 0 | 1 | null; readonly w: 0 | 1 | null } | null;
  /** REX.W of a legacy form. */
  readonly w: 0 | 1 | null;
  /** The opcode, or the opcode and a ModRM byte that belongs to it (0F 01 D0, D9 E8). */
  readonly opcode: readonly number[];
  /** The low three bits of the last opcode byte name a register. */
  readonly opcodeRegister: boolean;
  readonly modrm: { readonly digit: number | null; readonly mod: "any" | "mem" | "reg" } | null;
  /** Effective operand size the form is defined for; 0: any. */
  readonly operandSize: 0 | 16 | 32 | 64;
  /** In 64-bit mode the operand size is 64 without REX.W. */
  readonly default64: boolean;
  readonly addressSize: 0 | 16 | 32 | 64;
  /** LOCK is legal with a memory destination. */
  readonly lockable: boolean;
  /** Status flags the table leaves undefined, in addition to what undefined.ts knows. */
  readonly undefinedFlags: number;
}
