/**
 * What SYSCALL, SYSRET, IRET, STAC, CLAC and POPF share: the privilege level, the translation context that
 * follows from it, the hidden parts of CS and SS, and when a transfer has to go to the TypeScript helper.
 *
 * The helpers of the same instructions (`src/cpu/system`) are complete; emitted code takes the case between
 * flat 64-bit segments in which nothing waits, nobody looks on and nothing can fault.
 */
import { type I32, type I64, i32, i64, load, select } from "../../wasm/index.ts";
import {
  CPL,
  FLAGS_SYSTEM,
  JUMP_KEY,
  JUMP_KEY_USER,
  PENDING,
  RING_CONTROL,
  RingControl,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEGMENT_NULL,
  SEGMENT_SELECTOR,
  SEGMENT_STRIDE,
  SEGMENTS,
  SHADOW,
  SHADOW_RIP,
  TLB_KEY,
  TLB_KEY_CONTEXT,
} from "../layout.ts";
import { Flag, STATUS_FLAGS } from "../registers.ts";
import type { Stage } from "./stage.ts";

/** Leaves for the helper when the condition holds. */
export type Unless = (condition: I32) => void;

/** Emits `fast`, which ends its code path, and the call of the helper that takes what `fast` leaves to it. */
export function fastOrHelper(s: Stage, helper: string, fast: (unless: Unless) => void): void {
  s.b.block((slow) => fast((condition) => s.b.brIf(slow, condition)));
  s.exits.helper(helper);
}

export function ringControl(s: Stage): I32 {
  return load("i32.load", s.cpu, RING_CONTROL);
}

/** Leaves for the helper unless all of `bits` (`RingControl`) are set. */
export function requireControl(control: I32, bits: number, unless: Unless): void {
  unless(control.and(bits).ne(bits));
}

/**
 * The run loop must look before the instruction at `target` if an event waits, if RFLAGS is to have TF or RF,
 * or if `target` lies in the shadow of an STI. Twin of `transferred` (`src/cpu/system/helper.ts`).
 */
export function requireQuiet(s: Stage, target: I64, system: I32, unless: Unless): void {
  const { cpu } = s;
  unless(load("i32.load", cpu, PENDING).or(system.and(Flag.TF | Flag.RF)));
  unless(
    load("i32.load", cpu, SHADOW)
      .ne(0)
      .and(load("i64.load", cpu, SHADOW_RIP).eq(target)),
  );
}

/**
 * Sets RFLAGS, CPL and what depends on them, and goes to `target`: the end of a transfer that stays in 64-bit
 * code. `system` as FLAGS_SYSTEM has it, `status` an image with the status flags; CPL is 0 or 3.
 */
export function arrive(s: Stage, target: I64, system: I32, status: I32, cpl: I32): void {
  const { b, cpu } = s;
  s.flags.setImage(status);
  b.store("i32.store", cpu, system, FLAGS_SYSTEM);
  b.store("i32.store", cpu, cpl, CPL);
  b.store("i32.store", cpu, i32(0), SHADOW);
  setContext(s, system, cpl.and(1));
  const user = cpl.and(1).mul(JUMP_KEY_USER);
  b.store("i32.store", cpu, load("i32.load", cpu, JUMP_KEY).and(~JUMP_KEY_USER).or(user), JUMP_KEY);
  s.exits.jump(target);
}

/**
 * Sets the translation context for RFLAGS.AC in `system` and a level (`user`: 1 for CPL 3, else 0), as
 * `ProcessorTranslation` does.
 */
export function setContext(s: Stage, system: I32, user: I32): void {
  const { b, cpu } = s;
  const control = ringControl(s);
  // Context.USER, or with CR0.AM and RFLAGS.AC Context.USER_ALIGNMENT_CHECK.
  const outer = control.and(system).and(Flag.AC).shrU(17).or(1);
  // Context.SUPERVISOR, or with CR4.SMAP and not RFLAGS.AC Context.SUPERVISOR_SMAP.
  const inner = control.and(system.shrU(17).xor(-1)).and(RingControl.SMAP);
  const key = load("i32.load", cpu, TLB_KEY).and(~TLB_KEY_CONTEXT);
  b.store("i32.store", cpu, key.or(select(user, outer, inner)), TLB_KEY);
}

/** The parts of FLAGS_SYSTEM in an RFLAGS image that has no reserved bits. Bit 1 is always set. */
export function systemPart(image: I32): I32 {
  return image.and(~STATUS_FLAGS).or(2);
}

export interface SegmentParts {
  readonly selector: I32;
  readonly attributes: I32;
  readonly base: I64;
  readonly limit: I32;
  /** 0 or 1. */
  readonly isNull: I32;
}

/** A segment that covers all of 4 GiB. */
export function flatSegment(selector: I32, attributes: number): SegmentParts {
  return { selector, attributes: i32(attributes), base: i64(0), limit: i32(-1), isNull: i32(0) };
}

export function segmentOffset(segment: number, field: number): number {
  return SEGMENTS + segment * SEGMENT_STRIDE + field;
}

export function setSegment(s: Stage, segment: number, parts: SegmentParts): void {
  const { b, cpu } = s;
  b.store("i32.store", cpu, parts.selector, segmentOffset(segment, SEGMENT_SELECTOR));
  b.store("i32.store", cpu, parts.attributes, segmentOffset(segment, SEGMENT_ATTRIBUTES));
  b.store("i64.store", cpu, parts.base, segmentOffset(segment, SEGMENT_BASE));
  b.store("i32.store", cpu, parts.limit, segmentOffset(segment, SEGMENT_LIMIT));
  b.store("i32.store", cpu, parts.isNull, segmentOffset(segment, SEGMENT_NULL));
}

/** What is canonical with 48 bits is so with 57 too; the rest is the helper's. */
export function requireCanonical(target: I64, unless: Unless): void {
  unless(target.shl(16).shrS(16).ne(target));
}
