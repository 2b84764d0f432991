/** RDFSBASE RDGSBASE WRFSBASE WRGSBASE SWAPGS. */
import { load } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { CR4, MSR_KERNEL_GS_BASE, SEGMENT_BASE, SEGMENT_STRIDE, SEGMENTS, Segment } from "../layout.ts";
import { Cr4 } from "../registers.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

function baseOffset(segment: number): number {
  return SEGMENTS + segment * SEGMENT_STRIDE + SEGMENT_BASE;
}

function checkEnabled(s: Stage): void {
  s.faultIf(load("i32.load", s.cpu, CR4).and(Cr4.FSGSBASE).eqz(), Vector.UD);
}

function readBase(segment: number): Definition {
  return (s) => {
    checkEnabled(s);
    s.operand(0).write(s.segmentBase(segment));
  };
}

/** A 32-bit source is zero-extended, and so canonical. */
function writeBase(segment: number): Definition {
  return (s) => {
    checkEnabled(s);
    const source = s.operand(0);
    const value = source.read();
    if (source.width === 8) s.faultIf(s.path.nonCanonical(value), Vector.GP);
    s.b.store("i64.store", s.cpu, value, baseOffset(segment));
  };
}

const swapGs: Definition = (s) => {
  const { b, cpu } = s;
  const current = b.let(s.segmentBase(Segment.GS));
  b.store("i64.store", cpu, load("i64.load", cpu, MSR_KERNEL_GS_BASE), baseOffset(Segment.GS));
  b.store("i64.store", cpu, current, MSR_KERNEL_GS_BASE);
};

export const segmentBases: Definitions = {
  RDFSBASE: readBase(Segment.FS),
  RDGSBASE: readBase(Segment.GS),
  WRFSBASE: writeBase(Segment.FS),
  WRGSBASE: writeBase(Segment.GS),
  SWAPGS: swapGs,
};
