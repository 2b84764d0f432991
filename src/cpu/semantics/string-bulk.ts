/**
 * Runs of REP MOVS and REP STOS: as many elements as fit in the pages of both operands, at once.
 *
 * A run is taken only where it cannot be told from single elements: DF = 0, no stepping, and both pages in
 * the TLB, which says that they are plain RAM that holds no decoded code and no watched address. The first
 * element of a page takes the ordinary path, which raises what there is to raise and fills the TLB.
 */
import { type I32, type I64, i32, i64, load, select } from "../../wasm/index.ts";
import { FLAGS_SYSTEM, TLB_ADDEND, TLB_ENTRIES, TLB_KEY, TLB_READ, TLB_WRITE, ZERO } from "../layout.ts";
import { Flag, Gpr } from "../registers.ts";
import type { Width } from "./flags.ts";
import { truncate } from "./operand-reads.ts";
import { LOAD, STORE } from "./operands.ts";
import type { Stage } from "./stage.ts";

/** Short runs are not worth the set-up. */
const SHORTEST_RUN = 4;

/** Host address of a linear address where the TLB knows its page, else 0. */
function hostAddress(s: Stage, linear: I64, array: number): I32 {
  const { b, cpu } = s;
  const slot = linear
    .shrU(8)
    .wrap()
    .and((TLB_ENTRIES - 1) << 4);
  const entry = b.let(cpu.add(slot));
  const hit = load("i64.load", entry, array).eq(linear.and(-4096n).or(load("i64.load", cpu, TLB_KEY)));
  return b.let(select(hit, linear.wrap().add(load("i32.load", entry, array + TLB_ADDEND)), i32(0)));
}

/** Whole elements from a linear address to the end of its page. */
function elementsInPage(linear: I64, width: Width): I64 {
  return i64(4096).sub(linear.and(4095)).shrU(Math.log2(width));
}

function smaller(s: Stage, x: I64, y: I64): I64 {
  const [a, b] = [s.b.let(x), s.b.let(y)];
  return s.b.let(select(a.ltU(b), a, b));
}

/** The rSI operand's linear address, and that of rDI, whose segment is flat in 64-bit code. */
function linearOf(s: Stage, register: number): I64 {
  const offset = s.gpr(register, s.addressSize).read();
  const slot = s.fields.register("segmentBase");
  if (register === Gpr.RDI || slot.constant === ZERO) return offset;
  return s.b.let(offset.add(load("i64.load", s.cpu.add(slot))));
}

function move(s: Stage, register: number, bytes: I64): void {
  const pointer = s.gpr(register, s.addressSize);
  pointer.write(truncate(pointer.read().add(bytes), s.addressSize));
}

/** Runs `body` where a run is allowed; its result is the number of elements done. */
function guarded(s: Stage, count: I64, body: (done: I64) => void): I64 {
  const { b, cpu } = s;
  const done = b.local("i64");
  b.set(done, i64(0));
  const ordinary = load("i32.load", cpu, FLAGS_SYSTEM)
    .and(Flag.DF | Flag.TF)
    .eqz();
  b.if(count.geU(SHORTEST_RUN).and(ordinary), () => body(done));
  return done;
}

/** MOVS: moves a run if it can. */
export function emitRun(s: Stage, width: Width, count: I64): I64 {
  const { b } = s;
  return guarded(s, count, (done) => {
    const source = linearOf(s, Gpr.RSI);
    const destination = linearOf(s, Gpr.RDI);
    const room = smaller(s, elementsInPage(source, width), elementsInPage(destination, width));
    const elements = smaller(s, room, count);
    const from = hostAddress(s, source, TLB_READ);
    const to = hostAddress(s, destination, TLB_WRITE);
    b.if(from.eqz().or(to.eqz()).or(elements.eqz()).eqz(), () => {
      const bytes = b.let(elements.shl(Math.log2(width)).wrap());
      // Where the destination starts inside the source, later elements repeat earlier ones. Host addresses tell
      // that even of two mappings of one page.
      b.if(
        to.sub(from).geU(bytes),
        () => b.memoryCopy(to, from, bytes),
        () => {
          const offset = b.local("i32");
          b.set(offset, i32(0));
          b.loop((again) => {
            b.store(STORE[width], to.add(offset), load(LOAD[width], from.add(offset)));
            b.set(offset, offset.add(width));
            b.brIf(again, offset.ltU(bytes));
          });
        },
      );
      move(s, Gpr.RSI, bytes.toU64());
      move(s, Gpr.RDI, bytes.toU64());
      b.set(done, elements);
    });
  });
}

/** STOS: fills a run if it can. */
export function emitFill(s: Stage, width: Width, count: I64): I64 {
  const { b } = s;
  return guarded(s, count, (done) => {
    const destination = linearOf(s, Gpr.RDI);
    const elements = smaller(s, elementsInPage(destination, width), count);
    const to = hostAddress(s, destination, TLB_WRITE);
    b.if(to.eqz().or(elements.eqz()).eqz(), () => {
      const bytes = b.let(elements.shl(Math.log2(width)).wrap());
      const value = s.gpr(Gpr.RAX, width).read();
      const spread = value.and(0xff).mul(0x0101_0101_0101_0101n);
      b.if(
        truncate(spread, width).eq(value),
        () => b.memoryFill(to, value.wrap(), bytes),
        () => {
          const offset = b.local("i32");
          b.set(offset, i32(0));
          b.loop((again) => {
            b.store(STORE[width], to.add(offset), value);
            b.set(offset, offset.add(width));
            b.brIf(again, offset.ltU(bytes));
          });
        },
      );
      move(s, Gpr.RDI, bytes.toU64());
      b.set(done, elements);
    });
  });
}
