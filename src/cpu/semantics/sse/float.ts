/**
 * SSE arithmetic, comparison and rounding. Each definition computes with the host where that cannot differ and
 * calls the soft path (`src/cpu/sse`) of the same mnemonic where it could.
 */
import { choose, type Expr, type I32, i32, op, select, type V128 } from "../../../wasm/index.ts";
import { Flag } from "../../registers.ts";
import type { Operand } from "../operands.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import { constant, elements, immediateByte, mxcsr, requireSse, shuffle, sources, splat } from "./access.ts";
import { FloatLanes, type FloatSize, inexactIsQuiet, roundsAsHost, type Shape } from "./lanes.ts";

/** A definition for one form of a mnemonic: its name, shape and element size. */
type FormDefinition = (mnemonic: string, shape: Shape, size: FloatSize) => Definition;

const FORMS: readonly [string, Shape, FloatSize][] = [
  ["PS", "packed", 4],
  ["PD", "packed", 8],
  ["SS", "scalar", 4],
  ["SD", "scalar", 8],
];

/** All four forms of a mnemonic (or those of `suffixes`). */
function forms(stem: string, define: FormDefinition, suffixes = "PS PD SS SD"): Definitions {
  return Object.fromEntries(
    FORMS.filter(([suffix]) => suffixes.includes(suffix)).map(([suffix, shape, size]) => [
      stem + suffix,
      define(stem + suffix, shape, size),
    ]),
  );
}

interface FloatOperands {
  readonly f: FloatLanes;
  readonly destination: Operand;
  readonly a: Expr;
  readonly b: Expr;
}

function begin(s: Stage, shape: Shape, size: FloatSize): FloatOperands {
  requireSse(s);
  const f = new FloatLanes(s, shape, size);
  const { destination, first, second } = sources(s);
  const b = f.read(second);
  return { f, destination, a: f.read(first), b };
}

/** Writes `result` when `safe` holds, else leaves for the soft path. */
function finish(o: FloatOperands, mnemonic: string, safe: I32, result: Expr): void {
  o.f.s.b.if(
    safe,
    () => o.f.write(o.destination, result),
    () => o.f.soft(mnemonic.toLowerCase(), o.a, o.b),
  );
}

// ---- Arithmetic -------------------------------------------------------------------------------------------

/** ADDxx, SUBxx. A sum of numbers that are not denormal is exact when it is below the least normal. */
function sum(name: "add" | "sub"): FormDefinition {
  return (mnemonic, shape, size) => (s) => {
    const o = begin(s, shape, size);
    const { f, a, b } = o;
    const result = f.compute(name, a, b);
    // A finite sum has finite terms.
    const safe = f.and(f.isOrdinary(a), f.isOrdinary(b), f.isOrdinary(result), f.isFinite(result));
    finish(o, mnemonic, roundsAsHost(s).and(f.all(safe)), result);
  };
}

/** MULxx: a finite product has finite factors; a zero factor makes an exact zero. */
const product: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, a, b } = o;
  const result = f.compute("mul", a, b);
  const zero = f.and(f.or(f.isZero(a), f.isZero(b)), f.isZero(result));
  const safe = f.and(f.isOrdinary(a), f.isOrdinary(b), f.or(f.isSafeResult(result), zero));
  finish(o, mnemonic, roundsAsHost(s).and(f.all(safe)), result);
};

/** DIVxx: the quotient of zero by a number that is not zero is exact; 0/0 is a NaN, which is no zero. */
const quotient: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, a, b } = o;
  const result = f.compute("div", a, b);
  const zero = f.and(f.isZero(a), f.isZero(result));
  const safe = f.and(f.isOrdinary(a), f.isOrdinary(b), f.or(f.isSafeResult(result), zero));
  finish(o, mnemonic, roundsAsHost(s).and(f.all(safe)), result);
};

const squareRoot: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, b } = o;
  const positive = f.compare("gt", b, f.constant(0));
  const safe = f.or(f.and(f.isSized(b), positive), f.isZero(b));
  finish(o, mnemonic, roundsAsHost(s).and(f.all(safe)), f.compute("sqrt", b));
};

/** MINxx, MAXxx: exact; the second source when the two are equal. */
function extreme(comparison: "lt" | "gt"): FormDefinition {
  return (mnemonic, shape, size) => (s) => {
    const o = begin(s, shape, size);
    const { f, a, b } = o;
    const safe = f.all(f.and(f.isOrdinary(a), f.isOrdinary(b)));
    finish(o, mnemonic, safe, f.pick(f.compare(comparison, a, b), a, b));
  };
}

/** ADDSUBPx: even elements subtracted, odd ones added. */
const addSub: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, a, b } = o;
  const odd = size === 4 ? constant(0, -1, 0, -1) : constant(0, -1);
  const result = s.b.let(f.pick(odd, f.compute("add", a, b), f.compute("sub", a, b)));
  const safe = f.and(f.isOrdinary(a), f.isOrdinary(b), f.isOrdinary(result), f.isFinite(result));
  finish(o, mnemonic, roundsAsHost(s).and(f.all(safe)), result);
};

/** HADDPx, HSUBPx: neighbours combined; the soft path is that of the vertical operation. */
function horizontal(name: "add" | "sub"): FormDefinition {
  return (_mnemonic, shape, size) => (s) => {
    const { f, destination, a, b } = begin(s, shape, size);
    const order = size === 4 ? [0, 2, 4, 6] : [0, 2];
    const pick = (odd: number) =>
      s.b.let(
        shuffle(
          a as V128,
          b as V128,
          elements(
            size,
            order.map((i) => i + odd),
          ),
        ),
      );
    const [left, right] = [pick(0), pick(1)];
    const result = f.compute(name, left, right);
    const safe = f.and(f.isOrdinary(left), f.isOrdinary(right), f.isOrdinary(result), f.isFinite(result));
    const vertical = name.toUpperCase() + (size === 4 ? "PS" : "PD");
    finish({ f, destination, a: left, b: right }, vertical, roundsAsHost(s).and(f.all(safe)), result);
  };
}

// ---- Comparison -------------------------------------------------------------------------------------------

/** CMPxx with predicates 0-7 by the immediate: equal, less, either, unordered, and their opposites. */
const compareMask: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, a, b } = o;
  const predicate = immediateByte(s);
  const safe = f.all(f.and(f.isOrdinary(a), f.isOrdinary(b)));
  const byEqual = predicate.and(1).eqz();
  const byLess = predicate.add(1).and(2).ne(0);
  const negated = predicate.and(4).ne(0);
  s.b.if(
    safe,
    () => {
      const equal = f.compare("eq", a, b);
      const less = f.compare("lt", a, b);
      if (f.packed) {
        const on = (bit: I32) => splat(4, i32(0).sub(bit));
        const either = op("v128.or", op("v128.and", equal, on(byEqual)), op("v128.and", less, on(byLess)));
        o.destination.writeV(op("v128.xor", either, on(negated)));
      } else {
        const either = (equal as I32).and(byEqual).or((less as I32).and(byLess));
        const mask = i32(0).sub(either.xor(negated)).toS64();
        f.write(o.destination, f.fromBits(mask));
      }
    },
    () => f.soft(mnemonic.toLowerCase(), a, b),
  );
};

/** COMISx, UCOMISx: ZF, PF and CF as for unsigned integers; unordered sets all three. */
const compareFlags: FormDefinition = (mnemonic, shape, size) => (s) => {
  const { f, a, b } = begin(s, shape, size);
  s.b.if(
    f.all(f.and(f.isOrdinary(a), f.isOrdinary(b))),
    () => {
      const equal = f.compare("eq", a, b) as I32;
      const less = f.compare("lt", a, b) as I32;
      s.flags.setImage(equal.mul(Flag.ZF).or(less));
    },
    () => f.soft(mnemonic.toLowerCase(), a, b),
  );
};

// ---- Rounding ----------------------------------------------------------------------------------------------

/** ROUNDxx: bit 2 of the immediate asks for MXCSR.RC, else bits 1-0 are the mode; bit 3 hushes PE. */
const round: FormDefinition = (mnemonic, shape, size) => (s) => {
  const o = begin(s, shape, size);
  const { f, b } = o;
  const imm = immediateByte(s);
  const mode = s.b.let(select(imm.and(4), mxcsr(s).shrU(13), imm).and(3));
  const by = (name: string) =>
    op(`${f.packed ? (size === 4 ? "f32x4" : "f64x2") : size === 4 ? "f32" : "f64"}.${name}`, b) as Expr;
  const result = s.b.let(
    choose(
      mode.and(1),
      choose(mode.and(2), by("trunc"), by("floor")),
      choose(mode.and(2), by("ceil"), by("nearest")),
    ),
  );
  const exact = f.all(f.compare("eq", result, b));
  const quiet = imm.and(8).or(inexactIsQuiet(s)).or(exact).ne(0);
  finish(o, mnemonic, f.all(f.isOrdinary(b)).and(quiet), result);
};

/** Always by the soft path: the dot products, and the tables of RCPxx and RSQRTxx. */
const always: FormDefinition = (mnemonic, shape, size) => (s) => {
  const { f, a, b } = begin(s, shape, size);
  f.soft(mnemonic.toLowerCase(), a, b);
};

export const float: Definitions = {
  ...forms("ADD", sum("add")),
  ...forms("SUB", sum("sub")),
  ...forms("MUL", product),
  ...forms("DIV", quotient),
  ...forms("SQRT", squareRoot),
  ...forms("MIN", extreme("lt")),
  ...forms("MAX", extreme("gt")),
  ...forms("ADDSUB", addSub, "PS PD"),
  ...forms("HADD", horizontal("add"), "PS PD"),
  ...forms("HSUB", horizontal("sub"), "PS PD"),
  ...forms("CMP", compareMask),
  ...forms("COMI", compareFlags, "SS SD"),
  ...forms("UCOMI", compareFlags, "SS SD"),
  ...forms("ROUND", round),
  ...forms("DP", always, "PS PD"),
  ...forms("RCP", always, "PS SS"),
  ...forms("RSQRT", always, "PS SS"),
};
