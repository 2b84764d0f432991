/**
 * XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B. Processors run in turn on one thread, so every instruction is
 * atomic and LOCK asks nothing of them.
 */
import { type I64, load, select } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { GPR } from "../layout.ts";
import { Gpr } from "../registers.ts";
import { accumulator } from "./operand-reads.ts";
import { MemoryOperand, RegisterOperand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

const exchange: Definition = (s) => {
  const first = s.operand(0);
  const second = s.operand(1);
  const swap = () => {
    const value = second.read();
    first.update((old) => {
      second.write(old);
      return value;
    });
  };
  // 90 without REX.B is NOP: it does not zero-extend EAX (SDM vol. 2, NOP).
  const isShort = s.form.row.operands[0]!.kind === "Z";
  if (isShort && first instanceof RegisterOperand) s.b.if(first.slot.ne(GPR + Gpr.RAX * 8), swap);
  else swap();
};

const exchangeAdd: Definition = (s) => {
  const destination = s.operand(0);
  const source = s.operand(1);
  const addend = source.read();
  destination.update((old) => {
    const sum = s.b.let(old.add(addend));
    s.flags.add(destination.scalar, old, addend, sum);
    // Before the destination, which wins when both are one register.
    source.write(old);
    return sum;
  });
};

/**
 * Memory is written in either case (SDM vol. 2, CMPXCHG), so that it has to be writable; a register is left
 * alone where the comparison fails, even the upper half of a 32-bit one.
 */
const compareExchange: Definition = (s) => {
  const { b } = s;
  const destination = s.operand(0);
  const width = destination.scalar;
  const expected = accumulator(s, width);
  const wanted = expected.read();
  const source = s.operand(1).read();
  const compare = (found: I64) => s.flags.sub(width, wanted, found, b.let(wanted.sub(found)));
  if (!destination.isMemory) {
    const found = destination.read();
    compare(found);
    b.if(
      wanted.eq(found),
      () => destination.write(source),
      () => expected.write(found),
    );
    return;
  }
  const found = b.local("i64");
  destination.update((old) => {
    b.set(found, old);
    compare(found);
    return select(wanted.eq(found), source, found);
  });
  b.if(wanted.ne(found), () => expected.write(found));
};

/** EDX:EAX or RDX:RAX as the low and high half. */
function pair(s: Stage, low: number, high: number, width: 4 | 8): [I64, I64] {
  return [s.gpr(low, width).read(), s.gpr(high, width).read()];
}

/** Of the flags only ZF changes. */
const compareExchange8: Definition = (s) => {
  const { b } = s;
  const destination = s.operand(0);
  const [eax, edx] = pair(s, Gpr.RAX, Gpr.RDX, 4);
  const [ebx, ecx] = pair(s, Gpr.RBX, Gpr.RCX, 4);
  const wanted = b.let(edx.shl(32).or(eax));
  const found = b.local("i64");
  destination.update((old) => {
    b.set(found, old);
    return select(found.eq(wanted), ecx.shl(32).or(ebx), found);
  });
  const equal = b.let(found.eq(wanted));
  s.flags.setZero(equal);
  b.if(equal.eqz(), () => {
    s.gpr(Gpr.RAX, 4).write(found);
    s.gpr(Gpr.RDX, 4).write(found.shrU(32));
  });
};

const compareExchange16: Definition = (s) => {
  const { b } = s;
  const operand = s.operand(0);
  if (!(operand instanceof MemoryOperand)) return;
  const linear = operand.offset.add(load("i64.load", s.cpu.add(s.fields.register("segmentBase"))));
  s.faultIf(linear.wrap().and(15).ne(0), Vector.GP);
  const lowHalf = new MemoryOperand(s, operand.offset, 8);
  const highHalf = operand.displaced(8, 8);
  const [rax, rdx] = pair(s, Gpr.RAX, Gpr.RDX, 8);
  const [rbx, rcx] = pair(s, Gpr.RBX, Gpr.RCX, 8);
  // Writing the low half back asks for write access first: both halves lie in one page.
  lowHalf.update((old) => old);
  const low = lowHalf.read();
  const high = highHalf.read();
  const equal = b.let(low.eq(rax).and(high.eq(rdx)));
  lowHalf.write(select(equal, rbx, low));
  highHalf.write(select(equal, rcx, high));
  s.flags.setZero(equal);
  b.if(equal.eqz(), () => {
    s.gpr(Gpr.RAX, 8).write(low);
    s.gpr(Gpr.RDX, 8).write(high);
  });
};

export const exchanges: Definitions = {
  XCHG: exchange,
  XADD: exchangeAdd,
  CMPXCHG: compareExchange,
  CMPXCHG8B: compareExchange8,
  CMPXCHG16B: compareExchange16,
};
