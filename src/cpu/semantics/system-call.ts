/** SYSCALL and SYSRET (SDM vol. 2; vol. 3A 5.8.8) in 64-bit mode; `src/cpu/system/system-calls.ts` is complete. */
import { i32, load } from "../../wasm/index.ts";
import { CPL, MSR_FMASK, MSR_LSTAR, MSR_STAR, RingControl, Segment } from "../layout.ts";
import { Flag, Gpr } from "../registers.ts";
import { Attribute, FLAT_CODE, FLAT_DATA } from "../system/descriptor.ts";
import {
  arrive,
  fastOrHelper,
  flatSegment,
  requireCanonical,
  requireControl,
  requireQuiet,
  ringControl,
  setSegment,
  systemPart,
} from "./ring-switch.ts";
import type { Definition, Definitions } from "./stage.ts";

const R11 = 11;
const PERMITTED = RingControl.SCE | RingControl.UNOBSERVED;
/** RFLAGS bits that SYSRET takes from R11: all that are defined, but for RF and VM. */
const FROM_R11 = 0x003c_7fd7;

const syscall: Definition = (s) =>
  fastOrHelper(s, "syscall", (unless) => {
    const { b, cpu } = s;
    requireControl(ringControl(s), PERMITTED, unless);
    const saved = b.let(s.systemFlags().or(s.flags.image()).and(~Flag.RF));
    const flags = b.let(saved.and(load("i32.load", cpu, MSR_FMASK).xor(-1)));
    const system = b.let(systemPart(flags));
    const target = b.let(load("i64.load", cpu, MSR_LSTAR));
    requireQuiet(s, target, system, unless);
    s.gpr(Gpr.RCX, 8).write(s.nextRip());
    s.gpr(R11, 8).write(saved.toU64());
    const selector = b.let(load("i32.load16_u", cpu, MSR_STAR + 4).and(0xfffc));
    setSegment(s, Segment.CS, flatSegment(selector, FLAT_CODE | Attribute.L));
    setSegment(s, Segment.SS, flatSegment(selector.add(8).and(0xffff), FLAT_DATA));
    arrive(s, target, system, flags, i32(0));
  });

const sysret: Definition = (s) => {
  // Compatibility mode is the helper's.
  if (s.operandSize !== 8) {
    s.exits.helper("sysret");
    return;
  }
  fastOrHelper(s, "sysret", (unless) => {
    const { b, cpu } = s;
    requireControl(ringControl(s), PERMITTED, unless);
    unless(load("i32.load", cpu, CPL));
    const target = s.gpr(Gpr.RCX, 8).read();
    requireCanonical(target, unless);
    const flags = b.let(s.gpr(R11, 8).read().wrap().and(FROM_R11));
    const system = b.let(systemPart(flags));
    requireQuiet(s, target, system, unless);
    const base = b.let(load("i32.load16_u", cpu, MSR_STAR + 6));
    const code = base.add(16).or(3).and(0xffff);
    setSegment(s, Segment.CS, flatSegment(code, FLAT_CODE | Attribute.L | Attribute.DPL));
    setSegment(s, Segment.SS, flatSegment(base.add(8).or(3).and(0xffff), FLAT_DATA | Attribute.DPL));
    arrive(s, target, system, flags, i32(3));
  });
};

export const systemCalls: Definitions = { SYSCALL: syscall, SYSRET: sysret };
