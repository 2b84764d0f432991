/**
 * MOVS STOS LODS SCAS CMPS, single and under a repeat prefix (SDM vol. 2, REP).
 *
 * A repeated instruction is a loop in emitted code. rCX, rSI and rDI are written after every element, so that a
 * fault leaves a state from which the instruction goes on. Each pass takes from the budget; when that is spent,
 * the instruction leaves with its own RIP and is entered again.
 *
 * Forward MOVS and STOS of 64-bit code work on runs within a page (`string-bulk.ts`).
 */
import { type I32, type I64, i32, i64, load, select } from "../../wasm/index.ts";
import type { Charge } from "../cost.ts";
import { BUDGET, Segment, SLICE_INSTRUCTIONS } from "../layout.ts";
import { Flag, Gpr } from "../registers.ts";
import type { Width } from "./flags.ts";
import { truncate } from "./operand-reads.ts";
import { MemoryOperand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";
import { emitFill, emitRun } from "./string-bulk.ts";

/** One element's worth of forward or backward motion. */
function stepOf(s: Stage, width: number): I64 {
  return s.b.let(select(s.systemFlags().and(Flag.DF), i64(-width), i64(width)));
}

function advance(s: Stage, register: number, delta: I64): void {
  const pointer = s.gpr(register, s.addressSize);
  pointer.write(truncate(pointer.read().add(delta), s.addressSize));
}

function sourceOperand(s: Stage, width: number): MemoryOperand {
  return new MemoryOperand(s, s.gpr(Gpr.RSI, s.addressSize).read(), width);
}
/** ES cannot be overridden (SDM vol. 2, MOVS). */
function destinationOperand(s: Stage, width: number): MemoryOperand {
  return new MemoryOperand(s, s.gpr(Gpr.RDI, s.addressSize).read(), width, Segment.ES);
}

/**
 * Counts elements as instructions, and gives the run loop its turn when the budget is spent and elements remain.
 */
function spend(s: Stage, instructions: I32, remaining: I64): void {
  const { b, cpu } = s;
  const left = load("i32.load", cpu, BUDGET);
  const budget = b.let(s.timed ? left : left.sub(instructions));
  if (s.timed) {
    const counted = load("i32.load", cpu, SLICE_INSTRUCTIONS).add(instructions);
    b.store("i32.store", cpu, counted, SLICE_INSTRUCTIONS);
  } else b.store("i32.store", cpu, budget, BUDGET);
  b.if(budget.ltS(0).and(remaining.eqz().eqz()), () =>
    s.exits.jump(s.nextRip().sub(s.fields.length().toU64())),
  );
}

/**
 * Repeats `element` until rCX is 0 or, where it returns one, its condition fails.
 * `run`, if given, tries to handle several elements at once: it returns how many, 0 for none.
 */
function repeat(s: Stage, cost: ElementCost, element: () => I32 | null, run?: (count: I64) => I64): void {
  const { b } = s;
  const counter = s.gpr(Gpr.RCX, s.addressSize);
  b.block((done) => {
    b.loop((again) => {
      const count = counter.read();
      b.brIf(done, count.eqz());
      const handled = b.local("i64");
      b.set(handled, run ? run(count) : i64(0));
      const goOn = b.local("i32");
      b.set(goOn, i32(1));
      b.if(handled.eqz(), () => {
        const condition = element();
        if (condition) b.set(goOn, condition);
        b.set(handled, i64(1));
      });
      const remaining = b.let(count.sub(handled));
      counter.write(remaining);
      s.charge(cost.charge, handled.wrap().mul(cost.times));
      b.brIf(done, goOn.eqz());
      // Eight elements of a run cost as much as one alone.
      spend(s, run ? handled.shrU(3).wrap().add(1) : handled.wrap(), remaining);
      b.br(again);
    });
  });
  s.charge("rep.overhead");
}

/** What an element costs under a repeat prefix. */
interface ElementCost {
  readonly charge: Charge;
  readonly times: number;
}
function perElement(charge: Charge): (width: Width) => ElementCost {
  return () => ({ charge, times: 1 });
}
function perByte(charge: Charge): (width: Width) => ElementCost {
  return (width) => ({ charge, times: width });
}

/** A string instruction without a condition, with or without REP (REPNE counts as REP: SDM vol. 2, REP). */
function plain(
  cost: (width: Width) => ElementCost,
  element: (s: Stage, width: Width) => void,
  run?: (s: Stage, width: Width, count: I64) => I64,
): Definition {
  return (s) => {
    const width = s.operand(0).scalar;
    if (s.form.repeat === "") element(s, width);
    else {
      const bulk = run && s.long ? (count: I64) => run(s, width, count) : undefined;
      repeat(
        s,
        cost(width),
        () => {
          element(s, width);
          return null;
        },
        bulk,
      );
    }
  };
}

/** SCAS and CMPS: REPE goes on while ZF is 1, REPNE while it is 0. */
function comparing(charge: Charge, element: (s: Stage, width: Width) => I32): Definition {
  return (s) => {
    const width = s.operand(0).scalar;
    if (s.form.repeat === "") s.b.drop(element(s, width));
    else {
      repeat(s, { charge, times: 1 }, () => {
        const equal = element(s, width);
        return s.form.repeat === "rep" ? equal : equal.eqz();
      });
    }
  };
}

const moveString = plain(
  perByte("rep.movs.byte"),
  (s, width) => {
    const value = sourceOperand(s, width).read();
    destinationOperand(s, width).write(value);
    const step = stepOf(s, width);
    advance(s, Gpr.RSI, step);
    advance(s, Gpr.RDI, step);
  },
  emitRun,
);

const storeString = plain(
  perByte("rep.stos.byte"),
  (s, width) => {
    destinationOperand(s, width).write(s.gpr(Gpr.RAX, width).read());
    advance(s, Gpr.RDI, stepOf(s, width));
  },
  emitFill,
);

const loadString = plain(perElement("rep.lods"), (s, width) => {
  const value = sourceOperand(s, width).read();
  s.gpr(Gpr.RAX, width).write(value);
  advance(s, Gpr.RSI, stepOf(s, width));
});

const scanString = comparing("rep.scas", (s, width) => {
  const { b } = s;
  const value = destinationOperand(s, width).read();
  const accumulator = s.gpr(Gpr.RAX, width).read();
  s.flags.sub(width, accumulator, value, b.let(accumulator.sub(value)));
  advance(s, Gpr.RDI, stepOf(s, width));
  return b.let(accumulator.eq(value));
});

const compareStrings = comparing("rep.cmps", (s, width) => {
  const { b } = s;
  const first = sourceOperand(s, width).read();
  const second = destinationOperand(s, width).read();
  s.flags.sub(width, first, second, b.let(first.sub(second)));
  const step = stepOf(s, width);
  advance(s, Gpr.RSI, step);
  advance(s, Gpr.RDI, step);
  return b.let(first.eq(second));
});

export const strings: Definitions = {
  MOVS: moveString,
  STOS: storeString,
  LODS: loadString,
  SCAS: scanString,
  CMPS: compareStrings,
};
