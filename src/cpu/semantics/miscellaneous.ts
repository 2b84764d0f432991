/** BOUND, the undefined instructions, cache line operations. */
import { Vector } from "../fault.ts";
import { MemoryOperand } from "./operands.ts";
import type { Definition, Definitions } from "./stage.ts";

/** #BR when the signed index lies outside the two bounds in memory, which are part of the range. */
const checkBounds: Definition = (s) => {
  const bounds = s.operand(1);
  if (!(bounds instanceof MemoryOperand)) return;
  const index = s.operand(0).readSigned();
  const lower = bounds.readSigned();
  const upper = bounds.displaced(bounds.width).readSigned();
  s.faultIf(index.ltS(lower).or(index.gtS(upper)), Vector.BR);
};

const undefinedInstruction: Definition = (s) => {
  s.path.recordFault(Vector.UD, 0);
  s.exits.fault();
};

/** Faults as a load does (SDM vol. 2, CLFLUSH); there is no cache to flush. */
const touch: Definition = (s) => {
  s.operand(0).read();
};

export const miscellaneous: Definitions = {
  BOUND: checkBounds,
  UD0: undefinedInstruction,
  UD1: undefinedInstruction,
  UD2: undefinedInstruction,
  CLFLUSH: touch,
  CLFLUSHOPT: touch,
  CLWB: touch,
};
