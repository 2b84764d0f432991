/** Near transfers: JMP CALL RET Jcc LOOPcc JrCXZ. */
import { type I32, type I64, i32, load } from "../../wasm/index.ts";
import { CONDITIONS } from "../decode/conditions.ts";
import { Vector } from "../fault.ts";
import { SEGMENT_LIMIT, SEGMENT_STRIDE, SEGMENTS, Segment } from "../layout.ts";
import { Gpr } from "../registers.ts";
import { truncate } from "./operand-reads.ts";
import { MemoryOperand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

/** #GP(0) for a target outside the code segment: not canonical in 64-bit code, beyond the limit elsewhere. */
function checkTarget(s: Stage, target: I64): void {
  if (s.long) s.checkTarget(target);
  else {
    const limit = load("i64.load32_u", s.cpu, SEGMENTS + Segment.CS * SEGMENT_STRIDE + SEGMENT_LIMIT);
    s.faultIf(target.gtU(limit), Vector.GP);
  }
}

/** The target of a direct branch, cut to the operand size. */
function directTarget(s: Stage): I64 {
  return s.b.let(truncate(s.nextRip().add(s.fields.displacement()), s.operandSize));
}

/**
 * A direct branch when `taken`; `before` changes state once nothing can fault. Targets in 64-bit code are not
 * checked here: only a branch from the last 2 GB below the canonical limit could leave it, and the fetch there
 * faults.
 */
function branch(s: Stage, taken: I32, before: () => void = () => {}): void {
  const { b } = s;
  if (s.long) {
    before();
    s.exits.branch(taken);
    return;
  }
  const condition = b.let(taken);
  b.if(condition, () => checkTarget(s, directTarget(s)));
  before();
  // A 16-bit target wraps in its segment, which the record's displacement does not.
  if (s.operandSize === 2) b.if(condition, () => s.exits.jump(directTarget(s)));
  else s.exits.branch(condition);
}

function isDirect(s: Stage): boolean {
  return s.form.row.operands[0]!.kind === "J";
}

const jump: Definition = (s) => {
  if (isDirect(s)) branch(s, i32(1));
  else {
    const target = s.operand(0).read();
    checkTarget(s, target);
    s.exits.jump(target);
  }
};

const callNear: Definition = (s) => {
  const width = s.operandSize;
  const returnRip = s.b.let(truncate(s.nextRip(), width));
  if (isDirect(s)) branch(s, i32(1), () => s.push(width, returnRip));
  else {
    const target = s.operand(0).read();
    const pointer = s.stackOffset(s.stackPointer(), -width);
    // A stack that cannot be written comes before a bad target, as on processors.
    new MemoryOperand(s, pointer, width, Segment.SS).update(() => {
      checkTarget(s, target);
      return returnRip;
    });
    s.setStackPointer(pointer);
    s.exits.jump(target);
  }
};

const returnNear: Definition = (s) => {
  const width = s.operandSize;
  const pointer = s.stackPointer();
  const target = s.loadAt(Segment.SS, pointer, width);
  checkTarget(s, target);
  const released = s.operands.length > 0 ? s.operand(0).read().add(width) : width;
  s.setStackPointer(s.stackOffset(pointer, released));
  s.exits.jump(target);
};

/** LOOPcc count in rCX of the address size. */
function loop(zero: boolean | null): Definition {
  return (s) => {
    const { b } = s;
    const counter = s.gpr(Gpr.RCX, s.addressSize);
    const count = b.let(truncate(counter.read().sub(1), s.addressSize));
    const more = count.eqz().eqz();
    const zf = s.flags.zf();
    const taken = b.let(zero === null ? more : more.and(zero ? zf : zf.eqz()));
    branch(s, taken, () => counter.write(count));
  };
}

export const branches: Definitions = {
  JMP: jump,
  CALL: callNear,
  RET: returnNear,
  LOOP: loop(null),
  LOOPE: loop(true),
  LOOPNE: loop(false),
  JRCXZ: (s) => branch(s, s.b.let(s.gpr(Gpr.RCX, s.addressSize).read().eqz())),
  ...Object.fromEntries(
    CONDITIONS.map((name, i): [string, Definition] => [`J${name}`, (s) => branch(s, s.flags.condition(i))]),
  ),
};
