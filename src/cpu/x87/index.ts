/**
 * The x87 instruction set. The caller decodes the operand address, checks CR0.EM and CR0.TS (#NM), and passes
 * opcode and ModRM here; on "error" it raises #MF (or, with CR0.NE = 0, asserts FERR#).
 *
 *   const state = new X87State(cpu.view);
 *   const outcome = executeX87(state, 0xd8, 0xc1, bus);
 */

import { type FloatEnvironment, setX87Environment, x87Environment } from "../softfloat/index.ts";
import type { X87Bus } from "./instruction.ts";
import type { X87State } from "./state.ts";
import { findRow } from "./table.ts";

export type { X87Bus } from "./instruction.ts";
export { X87State } from "./state.ts";
export { findRow, modrmBytes, X87_ROWS, type X87Row } from "./table.ts";

/** "undefined": #UD. "error": an unmasked exception was pending, nothing was done. */
export type X87Outcome = "done" | "undefined" | "error";

const env: FloatEnvironment = x87Environment(0x037f);

/**
 * Executes one instruction, opcode D8-DF. Memory faults leave as what the bus throws, with the x87 state as it
 * was. An unmasked exception the instruction itself raises is reported by the next waiting instruction.
 */
export function executeX87(state: X87State, opcode: number, modrm: number, bus: X87Bus): X87Outcome {
  const row = findRow(opcode, modrm);
  if (!row) return "undefined";
  if (!row.noWait && state.pending) return "error";
  row.execute({ state, env: setX87Environment(env, state.controlWord), bus, i: modrm & 7 });
  if (!row.control) {
    state.setInstruction(bus.instructionPointer, bus.codeSelector, ((opcode & 7) << 8) | modrm);
    if (row.operand !== "none") state.setData(bus.dataPointer, bus.dataSelector);
  }
  return "done";
}

/** FWAIT (9B). */
export function executeFwait(state: X87State): X87Outcome {
  return state.pending ? "error" : "done";
}
