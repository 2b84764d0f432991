/**
 * CVTxx: between singles, doubles and integers in XMM, MMX and general registers. As in `float.ts` the host
 * converts where nothing but a quiet inexact result can come of it, else the soft path of the same mnemonic
 * (with `.q` for a 64-bit integer in a general register).
 */
import { type Expr, type I32, type I64, i32, lane, op, type V128 } from "../../../wasm/index.ts";
import type { Operand } from "../operands.ts";
import type { Definition, Definitions, Stage } from "../stage.ts";
import {
  enterMmx,
  readVector,
  requireSse,
  requireSseAndMmx,
  splat,
  usesMmx,
  writeElement,
  writeVector,
} from "./access.ts";
import {
  FloatLanes,
  type FloatSize,
  inexactIsQuiet,
  roundsAsHost,
  type Shape,
  SOFT_SECOND,
} from "./lanes.ts";

/**
 * Whether the form has an MMX register. CVTPI2PS and CVTPI2PD from memory have none: they leave the MMX state
 * alone (SDM vol. 2 says so of CVTPI2PD; processors do the same for CVTPI2PS).
 */
function hasMmxRegister(s: Stage): boolean {
  return usesMmx(s) && !s.form.memory;
}

function requireFor(s: Stage, mmx: boolean): void {
  if (mmx) requireSseAndMmx(s);
  else requireSse(s);
}

/** Leaves for the soft path with a source that is not a `FloatLanes` value. */
function softInteger(s: Stage, helper: string, source: I64 | V128): void {
  s.b.store(`${source.type}.store`, s.cpu, source, SOFT_SECOND);
  s.exits.helper(helper);
}

// ---- From integers ------------------------------------------------------------------------------------------

/** Whether every integer is at most 2^bits in magnitude and so exact in the format. */
function smallVector(value: V128, bits: number): I32 {
  const shifted = op("i32x4.add", value, splat(4, i32(2 ** bits)));
  return op("i32x4.all_true", op("i32x4.le_u", shifted, splat(4, i32(2 ** (bits + 1)))));
}

/** CVTSI2SS, CVTSI2SD. */
function fromGeneral(mnemonic: string, size: FloatSize): Definition {
  return (s) => {
    requireSse(s);
    const source = s.operand(1);
    const value = source.readSigned();
    const name = size === 4 ? "f32" : "f64";
    const bits = (): I64 => {
      const float = op(`${name}.convert_i64_s`, value) as Expr;
      return size === 4 ? op("i32.reinterpret_f32", float).toU64() : op("i64.reinterpret_f64", float);
    };
    const write = () => writeElement(s.operand(0), bits());
    if (size === 8 && source.width === 4) {
      write();
      return;
    }
    const precision = size === 4 ? 24 : 53;
    const small = value.add(2 ** precision).leU(2 ** (precision + 1));
    const helper = mnemonic.toLowerCase() + (source.width === 8 ? ".q" : "");
    s.b.if(roundsAsHost(s).or(small), write, () => softInteger(s, helper, value));
  };
}

/** CVTDQ2PS, and CVTPI2PS, which leaves the high half alone. */
function integersToSingles(mnemonic: string): Definition {
  return (s) => {
    const mmx = hasMmxRegister(s);
    requireFor(s, mmx);
    const value = readVector(s.operand(1));
    const half = s.operand(0).width === 8;
    if (mmx) enterMmx(s);
    s.b.if(
      roundsAsHost(s).or(smallVector(value, 24)),
      () => {
        const singles = op("f32x4.convert_i32x4_s", value);
        if (half) {
          writeElement(s.operand(0), lane<I64>("i64x2.extract_lane", [0], singles));
        } else s.operand(0).writeV(singles);
      },
      () => softInteger(s, mnemonic.toLowerCase(), value),
    );
  };
}

/** CVTDQ2PD, CVTPI2PD: exact. */
const integersToDoubles: Definition = (s) => {
  const mmx = hasMmxRegister(s);
  requireFor(s, mmx);
  const value = readVector(s.operand(1));
  s.operand(0).writeV(op("f64x2.convert_low_i32x4_s", value));
  if (mmx) enterMmx(s);
};

// ---- To integers --------------------------------------------------------------------------------------------

interface Rounded {
  readonly f: FloatLanes;
  readonly value: Expr;
  readonly rounded: Expr;
  /** Whether the host's result is the processor's. */
  readonly safe: I32;
}

/** Rounds to integers: to nearest, or by truncation. */
function rounded(s: Stage, shape: Shape, size: FloatSize, truncate: boolean, limit: number): Rounded {
  const f = new FloatLanes(s, shape, size);
  const value = f.read(s.operand(1));
  const result = f.compute(truncate ? "trunc" : "nearest", value);
  const exact = f.all(f.compare("eq", result, value));
  const quiet = truncate ? inexactIsQuiet(s) : roundsAsHost(s);
  return { f, value, rounded: result, safe: quiet.or(exact).and(f.all(f.isBelow(result, limit))) };
}

/** CVTSS2SI, CVTSD2SI, CVTTSS2SI, CVTTSD2SI. */
function toGeneral(mnemonic: string, size: FloatSize, truncate: boolean): Definition {
  return (s) => {
    requireSse(s);
    const destination = s.operand(0);
    const wide = destination.width === 8;
    const r = rounded(s, "scalar", size, truncate, wide ? 2 ** 63 : 2 ** 31);
    const name = `i64.trunc_sat_f${size * 8}_s` as const;
    s.b.if(
      r.safe,
      () => destination.write(op(name, r.rounded)),
      () => r.f.soft(mnemonic.toLowerCase() + (wide ? ".q" : ""), r.value, r.value),
    );
  };
}

/** CVTPx2DQ, CVTPx2PI and their truncating forms. */
function toIntegers(mnemonic: string, size: FloatSize, truncate: boolean): Definition {
  return (s) => {
    const mmx = usesMmx(s);
    requireFor(s, mmx);
    const r = rounded(s, "packed", size, truncate, 2 ** 31);
    // The transition to MMX state comes before a floating-point exception.
    if (mmx) enterMmx(s);
    const name = size === 4 ? "i32x4.trunc_sat_f32x4_s" : "i32x4.trunc_sat_f64x2_s_zero";
    s.b.if(
      r.safe,
      () => writeVector(s.operand(0), op(name, r.rounded)),
      () => r.f.soft(mnemonic.toLowerCase(), r.value, r.value),
    );
  };
}

// ---- Between formats ---------------------------------------------------------------------------------------

/** CVTSS2SD, CVTPS2PD: exact for numbers that are not denormal. */
function widen(mnemonic: string, shape: Shape): Definition {
  return (s) => {
    requireSse(s);
    const f = new FloatLanes(s, shape, 4);
    const value = f.read(s.operand(1));
    s.b.if(
      f.all(f.isOrdinary(value)),
      () => {
        if (f.packed) s.operand(0).writeV(op("f64x2.promote_low_f32x4", value));
        else writeElement(s.operand(0), op("i64.reinterpret_f64", op("f64.promote_f32", value)));
      },
      () => f.soft(mnemonic.toLowerCase(), value, value),
    );
  };
}

/** CVTSD2SS, CVTPD2PS. */
function narrow(mnemonic: string, shape: Shape): Definition {
  return (s) => {
    requireSse(s);
    const f = new FloatLanes(s, shape, 8);
    const value = f.read(s.operand(1));
    const result = s.b.let(op(f.packed ? "f32x4.demote_f64x2_zero" : "f32.demote_f64", value) as Expr);
    const back = s.b.let(op(f.packed ? "f64x2.promote_low_f32x4" : "f64.promote_f32", result) as Expr);
    // A result above the least normal single: see `FloatLanes.isSafeResult`.
    const sized = f.and(f.isFinite(back), f.isAbove(back, 2 ** -126));
    s.b.if(
      roundsAsHost(s).and(f.all(f.or(sized, f.isZero(value)))),
      () => writeNarrowed(s.operand(0), result),
      () => f.soft(mnemonic.toLowerCase(), value, value),
    );
  };
}

function writeNarrowed(destination: Operand, result: Expr): void {
  if (result.type === "v128") destination.writeV(result as V128);
  else writeElement(destination, op("i32.reinterpret_f32", result).toU64());
}

export const convert: Definitions = {
  CVTSI2SS: fromGeneral("CVTSI2SS", 4),
  CVTSI2SD: fromGeneral("CVTSI2SD", 8),
  CVTDQ2PS: integersToSingles("CVTDQ2PS"),
  CVTPI2PS: integersToSingles("CVTPI2PS"),
  CVTDQ2PD: integersToDoubles,
  CVTPI2PD: integersToDoubles,

  CVTSS2SI: toGeneral("CVTSS2SI", 4, false),
  CVTSD2SI: toGeneral("CVTSD2SI", 8, false),
  CVTTSS2SI: toGeneral("CVTTSS2SI", 4, true),
  CVTTSD2SI: toGeneral("CVTTSD2SI", 8, true),
  CVTPS2DQ: toIntegers("CVTPS2DQ", 4, false),
  CVTTPS2DQ: toIntegers("CVTTPS2DQ", 4, true),
  CVTPD2DQ: toIntegers("CVTPD2DQ", 8, false),
  CVTTPD2DQ: toIntegers("CVTTPD2DQ", 8, true),
  CVTPS2PI: toIntegers("CVTPS2PI", 4, false),
  CVTTPS2PI: toIntegers("CVTTPS2PI", 4, true),
  CVTPD2PI: toIntegers("CVTPD2PI", 8, false),
  CVTTPD2PI: toIntegers("CVTTPD2PI", 8, true),

  CVTSS2SD: widen("CVTSS2SD", "scalar"),
  CVTPS2PD: widen("CVTPS2PD", "packed"),
  CVTSD2SS: narrow("CVTSD2SS", "scalar"),
  CVTPD2PS: narrow("CVTPD2PS", "packed"),
};
