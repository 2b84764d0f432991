/**
 * IRETQ from CPL 0 to 64-bit code at CPL 0 or 3 (SDM vol. 2A, IRET; vol. 3A 6.14.3). `src/cpu/system/iret.ts`
 * is complete and takes everything else: faults, other segments, LDT, page crossings, TLB misses.
 *
 * Nothing is remembered of the descriptors: both are read anew through the TLB, as the helper does, which
 * makes changes of the GDT a matter of course.
 */
import { type I32, type I64, i32, i64, load, select } from "../../wasm/index.ts";
import {
  CPL,
  GDTR_BASE,
  GDTR_LIMIT,
  GPR,
  RingControl,
  SEGMENT_ATTRIBUTES,
  SEGMENT_NULL,
  Segment,
  TLB_KEY,
} from "../layout.ts";
import { Flag, Gpr, STATUS_FLAGS } from "../registers.ts";
import { NMI_BLOCKED } from "../system/cold-state.ts";
import { Attribute, SegmentType } from "../system/descriptor.ts";
import {
  arrive,
  fastOrHelper,
  requireCanonical,
  requireControl,
  requireQuiet,
  ringControl,
  type SegmentParts,
  segmentOffset,
  setSegment,
  type Unless,
} from "./ring-switch.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

/** FLAGS_SYSTEM bits that IRETQ takes from its frame at CPL 0: all but VM. */
const TAKEN =
  Flag.TF | Flag.IF | Flag.DF | Flag.IOPL | Flag.NT | Flag.RF | Flag.AC | Flag.VIF | Flag.VIP | Flag.ID;

/** Bits of TLB_KEY's context that tell SMAP: `Context.SUPERVISOR_SMAP`. */
const CONTEXT_SMAP = RingControl.SMAP;
/** A selector's table indicator. */
const TI = 4;

/** The descriptor of a GDT selector, as one 64-bit value. */
function readDescriptor(s: Stage, selector: I32, unless: Unless): I64 {
  const { b, cpu } = s;
  const offset = b.let(selector.and(0xfff8));
  unless(selector.and(TI).or(offset.add(7).gtU(load("i32.load", cpu, GDTR_LIMIT))));
  const linear = b.let(load("i64.load", cpu, GDTR_BASE).add(offset.toU64()));
  return b.let(load("i64.load", s.path.cached(linear, 8, unless)));
}

/** Attributes as SEGMENT_ATTRIBUTES has them: descriptor bits 40-55. */
function attributesOf(s: Stage, descriptor: I64): I32 {
  return s.b.let(descriptor.shrU(40).wrap().and(0xf0ff));
}

function segmentParts(s: Stage, selector: I32, descriptor: I64, attributes: I32): SegmentParts {
  const { b } = s;
  const base = descriptor.shrU(16).and(0xff_ffff).or(descriptor.shrU(32).and(0xff00_0000n));
  const raw = b.let(descriptor.and(0xffff).or(descriptor.shrU(32).and(0xf_0000)).wrap());
  const limit = select(attributes.and(Attribute.G), raw.shl(12).or(0xfff), raw);
  return { selector, attributes, base, limit, isNull: i32(0) };
}

/** On the way to CPL 3, data segments that it may not use become null: the helper's, unless there are none. */
function requireOuterSegments(s: Stage, unless: Unless): void {
  for (const segment of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) {
    const attributes = load("i32.load", s.cpu, segmentOffset(segment, SEGMENT_ATTRIBUTES));
    const isNull = load("i32.load", s.cpu, segmentOffset(segment, SEGMENT_NULL));
    unless(isNull.eqz().and(attributes.and(Attribute.DPL).ne(Attribute.DPL)));
  }
}

const interruptReturn: Definition = (s) => {
  const helper = { 2: "iret", 4: "iretd", 8: "iretq" }[s.operandSize];
  if (!s.long || s.operandSize !== 8) {
    s.exits.helper(helper);
    return;
  }
  fastOrHelper(s, helper, (unless) => {
    const { b, cpu } = s;
    const control = b.let(ringControl(s));
    requireControl(control, RingControl.UNOBSERVED, unless);
    const old = b.let(s.systemFlags());
    // A nested task, an NMI that ends, a level whose IF and IOPL are not its own.
    unless(
      load("i32.load", cpu, CPL)
        .or(old.and(Flag.NT))
        .or(load("i32.load", cpu, NMI_BLOCKED)),
    );
    // Descriptors are read whatever RFLAGS.AC says: by emitted code only where it says the same.
    unless(load("i32.load", cpu, TLB_KEY).xor(control).and(CONTEXT_SMAP));

    const frame = s.path.cached(b.let(load("i64.load", cpu, GPR + Gpr.RSP * 8)), 40, unless);
    const target = b.let(load("i64.load", frame));
    requireCanonical(target, unless);
    const image = b.let(load("i32.load", frame, 16));
    const system = b.let(old.and(~TAKEN).or(image.and(TAKEN)));
    requireQuiet(s, target, system, unless);

    const selector = b.let(load("i32.load16_u", frame, 8));
    const cpl = b.let(selector.and(3));
    // RPL 1 and 2, and null selectors.
    unless(cpl.sub(1).ltU(2).or(selector.ltU(4)));
    const descriptor = readDescriptor(s, selector, unless);
    const attributes = attributesOf(s, descriptor);
    // Present, accessed 64-bit code whose DPL is the new CPL; so it need not matter whether it is conforming.
    const { P, S, DPL, L, DB } = Attribute;
    const { CODE, ACCESSED } = SegmentType;
    const isCode = P | S | L | CODE | ACCESSED;
    unless(attributes.and(isCode | DPL | DB).ne(cpl.shl(5).or(isCode)));

    const stackSelector = b.let(load("i32.load16_u", frame, 32));
    const rsp = b.let(load("i64.load", frame, 24));
    b.if(cpl, () => requireOuterSegments(s, unless));
    const isNull = b.let(stackSelector.ltU(4));
    // A null SS is for inner levels, and its RPL must be the new CPL.
    unless(isNull.and(stackSelector.or(cpl).ne(0)));
    // Of a null SS all is zero.
    const stackDescriptor = b.local("i64");
    const stackAttributes = b.local("i32");
    b.set(stackDescriptor, i64(0));
    b.set(stackAttributes, i32(0));
    b.if(isNull.eqz(), () => {
      b.set(stackDescriptor, readDescriptor(s, stackSelector, unless));
      b.set(stackAttributes, attributesOf(s, stackDescriptor));
      // Present, accessed, writable data with RPL and DPL equal to the new CPL.
      const isData = P | S | SegmentType.WRITABLE | ACCESSED;
      const wrong = stackAttributes.and(isData | DPL | CODE).ne(cpl.shl(5).or(isData));
      unless(wrong.or(stackSelector.and(3).ne(cpl)));
    });
    setSegment(s, Segment.CS, segmentParts(s, selector, descriptor, attributes));
    const stack = segmentParts(s, stackSelector, stackDescriptor, stackAttributes);
    setSegment(s, Segment.SS, { ...stack, isNull });
    s.gpr(Gpr.RSP, 8).write(rsp);
    if (s.timed) {
      b.if(
        cpl,
        () => s.charge("iret.outer"),
        () => s.charge("iret.same"),
      );
    }
    arrive(s, target, system, image.and(STATUS_FLAGS), cpl);
  });
};

export const returns: Definitions = { IRET: interruptReturn };
