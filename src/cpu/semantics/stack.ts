/** PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. */
import { type I32, i32, i64, load, select } from "../../wasm/index.ts";
import { CPL, FLAGS_SYSTEM, GPR, PENDING, Segment } from "../layout.ts";
import { Flag, Gpr, STATUS_FLAGS } from "../registers.ts";
import type { Width } from "./flags.ts";
import { readAs, truncate } from "./operand-reads.ts";
import { MemoryOperand } from "./operands.ts";
import { setContext } from "./ring-switch.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

const push: Definition = (s) => s.push(s.operandSize, readAs(s.operand(0), s.operandSize));

/** The selector, zero-extended to the operand size. */
const pushSegment: Definition = (s) => s.push(s.operandSize, s.operand(0).read());

const pop: Definition = (s) => {
  const { b } = s;
  const width = s.operandSize;
  const destination = s.operand(0);
  const { value, commit } = s.popBegin(width);
  if (!(destination instanceof MemoryOperand)) {
    // POP rSP: the value wins over the increment.
    commit();
    destination.write(value);
    return;
  }
  // An address with rSP as its base uses rSP after the increment (SDM vol. 2, POP).
  const usesStackPointer = s.fields.register("base").eq(GPR + Gpr.RSP * 8);
  const moved = b.let(select(usesStackPointer, i64(width), i64(0)));
  destination.displaced(moved).write(value);
  commit();
};

const ALL = [Gpr.RAX, Gpr.RCX, Gpr.RDX, Gpr.RBX, Gpr.RSP, Gpr.RBP, Gpr.RSI, Gpr.RDI];

/** rSP moves once all eight are stored. */
const pushAll: Definition = (s) => {
  const width = s.operandSize as 2 | 4;
  const values = ALL.map((register) => s.gpr(register, width).read());
  let pointer = s.stackPointer();
  for (const value of values) {
    pointer = s.stackOffset(pointer, -width);
    s.storeAt(Segment.SS, pointer, width, value);
  }
  s.setStackPointer(pointer);
};

/**
 * The stored rSP is skipped. A fault finds the registers popped before it changed, as on processors: rSP is
 * not, so that the instruction starts over.
 */
const popAll: Definition = (s) => {
  const width = s.operandSize as 2 | 4;
  let pointer = s.stackPointer();
  for (const register of [...ALL].reverse()) {
    const value = s.loadAt(Segment.SS, pointer, width);
    if (register !== Gpr.RSP) s.gpr(register, width).write(value);
    pointer = s.stackOffset(pointer, width);
  }
  s.setStackPointer(pointer);
};

/** Virtual-8086 mode with IOPL < 3 is the helper's: #GP(0), or VIF in place of IF (SDM vol. 3B 20.2.7, 20.3). */
function checkVirtual8086(s: Stage, system: I32, helper: string): void {
  if (s.long) return;
  const inV86 = system.and(Flag.VM).ne(0);
  s.b.if(inV86.and(system.and(Flag.IOPL).ne(Flag.IOPL)), () => s.exits.helper(helper));
}

const pushFlags: Definition = (s) => {
  const system = s.b.let(s.systemFlags());
  checkVirtual8086(s, system, "pushf");
  // VM and RF are stored as 0 (SDM vol. 2, PUSHF).
  const image = system.and(~(Flag.VM | Flag.RF)).or(s.flags.image());
  s.push(s.operandSize, s.b.let(image.toU64()));
};

/** SDM vol. 2, POPF: IOPL changes at CPL 0 alone, IF where CPL <= IOPL; RF is cleared, VM, VIF and VIP stay. */
const popFlags: Definition = (s) => {
  const { b } = s;
  const width = s.operandSize;
  const old = b.let(s.systemFlags());
  checkVirtual8086(s, old, "popf");
  const value = b.let(s.pop(width).wrap());
  const cpl = b.let(load("i32.load", s.cpu, CPL));
  const always = Flag.TF | Flag.DF | Flag.NT | (width === 2 ? 0 : Flag.AC | Flag.ID);
  const iopl = old.and(Flag.IOPL).shrU(12);
  const changeable = b.let(
    i32(always)
      .or(select(cpl.gtU(iopl), i32(0), i32(Flag.IF)))
      .or(select(cpl, i32(0), i32(Flag.IOPL))),
  );
  const updated = b.let(old.and(changeable.xor(~Flag.RF)).or(value.and(changeable)));
  b.store("i32.store", s.cpu, updated, FLAGS_SYSTEM);
  s.flags.setImage(value.and(STATUS_FLAGS));
  b.if(updated.xor(old).and(Flag.AC), () => setContext(s, updated, cpl.eq(3)));
  // The run loop has to know of single-stepping, and of a window that opens for a waiting interrupt.
  const opened = updated.and(old.xor(-1)).and(Flag.IF).ne(0);
  const waiting = load("i32.load", s.cpu, PENDING).ne(0);
  b.if(updated.and(Flag.TF).or(opened.and(waiting)), () => s.exits.event());
};

/** SDM vol. 2, ENTER: the frame pointers of `level - 1` enclosing frames are copied. */
const enter: Definition = (s) => {
  const { b } = s;
  const width = s.operandSize;
  const immediate = b.let(s.fields.immediate());
  const space = immediate.and(0xffff);
  const level = b.let(immediate.shrU(16).and(31).wrap());
  const rbp = s.gpr(Gpr.RBP, width);
  const pointer = b.local("i64");
  b.set(pointer, s.stackOffset(s.stackPointer(), -width));
  s.storeAt(Segment.SS, pointer, width, rbp.read());
  // With a 16-bit stack pointer the rest of RSP belongs to the frame pointer.
  const above = s.long
    ? i64(0)
    : select(s.path.stack32(), i64(0), s.gpr(Gpr.RSP, 4).read().and(0xffff_0000n));
  const frame = b.let(truncate(pointer.or(above), width));
  b.if(level.gtU(1), () => {
    const source = b.local("i64");
    const left = b.local("i32");
    b.set(source, s.gpr(Gpr.RBP, 8).read());
    b.set(left, level.sub(1));
    b.loop((again) => {
      b.set(source, s.stackOffset(source, -width));
      const value = s.loadAt(Segment.SS, b.let(source), width);
      b.set(pointer, s.stackOffset(pointer, -width));
      s.storeAt(Segment.SS, b.let(pointer), width, value);
      b.set(left, left.sub(1));
      b.brIf(again, left);
    });
  });
  b.if(level, () => {
    b.set(pointer, s.stackOffset(pointer, -width));
    s.storeAt(Segment.SS, b.let(pointer), width, frame);
  });
  const top = s.stackOffset(pointer, i64(0).sub(space));
  // The new top must be writable before anything changes (SDM vol. 2, ENTER, 64-bit mode exceptions).
  new MemoryOperand(s, top, width, Segment.SS).update((old) => old);
  rbp.write(frame);
  s.setStackPointer(top);
};

const leave: Definition = (s) => {
  const { b } = s;
  const width = s.operandSize;
  const frame = s.gpr(Gpr.RBP, 8).read();
  const pointer = s.stackOffset(frame, 0);
  const value = s.loadAt(Segment.SS, pointer, width);
  s.setStackPointer(b.let(s.stackOffset(pointer, width)));
  s.gpr(Gpr.RBP, width as Width).write(value);
};

export const stack: Definitions = {
  PUSH: push,
  PUSH_SREG: pushSegment,
  POP: pop,
  PUSHA: pushAll,
  POPA: popAll,
  PUSHF: pushFlags,
  POPF: popFlags,
  ENTER: enter,
  LEAVE: leave,
};
