/**
 * DIV and IDIV: #DE when the divisor is 0 or the quotient does not fit (SDM vol. 2, DIV). Flags are undefined
 * and stay as they are.
 */
import { type I64, i64, select } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { Gpr } from "../registers.ts";
import type { Width } from "./flags.ts";
import { widthMask } from "./operand-reads.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";
import { divideWide } from "./wide.ts";

/** The dividend of an 8-, 16- or 32-bit division as one 64-bit value: AX, DX:AX, EDX:EAX. */
function narrowDividend(s: Stage, width: Width): I64 {
  if (width === 1) return s.gpr(Gpr.RAX, 2).read();
  const low = s.gpr(Gpr.RAX, width).read();
  return s.b.let(
    s
      .gpr(Gpr.RDX, width)
      .read()
      .shl(width * 8)
      .or(low),
  );
}

function writeResult(s: Stage, width: Width, quotient: I64, remainder: I64): void {
  s.gpr(Gpr.RAX, width).write(quotient);
  if (width === 1) s.ah().write(remainder);
  else s.gpr(Gpr.RDX, width).write(remainder);
}

const divide: Definition = (s) => {
  const { b } = s;
  const source = s.operand(0);
  const width = source.scalar;
  const divisor = source.read();
  if (width === 8) {
    const low = s.gpr(Gpr.RAX, 8).read();
    const high = s.gpr(Gpr.RDX, 8).read();
    // Holds for a divisor of 0 too.
    s.faultIf(high.geU(divisor), Vector.DE);
    const { quotient, remainder } = divideWide(b, high, low, divisor);
    writeResult(s, 8, quotient, remainder);
    return;
  }
  const dividend = narrowDividend(s, width);
  s.faultIf(divisor.eqz(), Vector.DE);
  const quotient = b.let(dividend.divU(divisor));
  s.faultIf(quotient.gtU(widthMask(width)), Vector.DE);
  writeResult(s, width, quotient, b.let(dividend.remU(divisor)));
};

const MINIMUM = -(1n << 63n);

/** |value|: the minimum is its own, read as unsigned. */
function magnitude(value: I64): I64 {
  return select(value.ltS(0), value.neg(), value);
}

const divideSigned64 = (s: Stage, divisor: I64): void => {
  const { b } = s;
  const low = s.gpr(Gpr.RAX, 8).read();
  const high = s.gpr(Gpr.RDX, 8).read();
  const quotient = b.local("i64");
  const remainder = b.local("i64");
  s.faultIf(divisor.eqz(), Vector.DE);
  b.if(
    // RDX only repeats the sign of RAX (CQO), and the one such quotient that overflows is out.
    high.eq(low.shrS(63)).and(divisor.ne(-1n)),
    () => {
      b.set(quotient, low.divS(divisor));
      b.set(remainder, low.remS(divisor));
    },
    () => {
      const negative = b.let(high.ltS(0));
      const lowMagnitude = b.let(select(negative, low.neg(), low));
      const borrow = low.ne(0n).toU64();
      const highMagnitude = b.let(select(negative, i64(0).sub(high).sub(borrow), high));
      const d = b.let(magnitude(divisor));
      s.faultIf(highMagnitude.geU(d), Vector.DE);
      const unsigned = divideWide(b, highMagnitude, lowMagnitude, d);
      const negate = b.let(negative.xor(divisor.ltS(0)));
      // Largest magnitude: 2^63 for a negative quotient, 2^63 - 1 for a positive one.
      s.faultIf(unsigned.quotient.gtU(i64(MINIMUM).sub(negate.eqz().toU64())), Vector.DE);
      b.set(quotient, select(negate, unsigned.quotient.neg(), unsigned.quotient));
      b.set(remainder, select(negative, unsigned.remainder.neg(), unsigned.remainder));
    },
  );
  writeResult(s, 8, quotient, remainder);
};

const divideSigned: Definition = (s) => {
  const { b } = s;
  const source = s.operand(0);
  const width = source.scalar;
  const divisor = source.readSigned();
  if (width === 8) {
    divideSigned64(s, divisor);
    return;
  }
  const unsigned = narrowDividend(s, width);
  const dividend = width === 4 ? unsigned : b.let(unsigned.signExtend(width === 1 ? 16 : 32));
  const unfit = divisor.eqz();
  // The one signed division that WebAssembly traps on; narrower dividends cannot be that small.
  s.faultIf(width === 4 ? unfit.or(dividend.eq(MINIMUM).and(divisor.eq(-1n))) : unfit, Vector.DE);
  const quotient = b.let(dividend.divS(divisor));
  s.faultIf(quotient.signExtend((width * 8) as 8 | 16 | 32).ne(quotient), Vector.DE);
  writeResult(s, width, quotient, b.let(dividend.remS(divisor)));
};

export const division: Definitions = { DIV: divide, IDIV: divideSigned };
