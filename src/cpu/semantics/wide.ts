/** 128-bit multiplication and division out of 64-bit operators, which is all WebAssembly has. */
import { type FunctionBuilder, type I32, type I64, i64 } from "../../wasm/index.ts";

const LOW = 0xffff_ffffn;

/** The high half of the unsigned product, from four 32-bit partial products. */
export function multiplyHighUnsigned(b: FunctionBuilder, x: I64, y: I64): I64 {
  const xl = b.let(x.and(LOW));
  const xh = b.let(x.shrU(32));
  const yl = b.let(y.and(LOW));
  const yh = b.let(y.shrU(32));
  const middle = b.let(xh.mul(yl).add(xl.mul(yl).shrU(32)));
  const cross = b.let(xl.mul(yh).add(middle.and(LOW)));
  return b.let(xh.mul(yh).add(middle.shrU(32)).add(cross.shrU(32)));
}

/** The high half of the signed product: the unsigned one, less each operand where the other is negative. */
export function multiplyHighSigned(b: FunctionBuilder, x: I64, y: I64): I64 {
  const high = multiplyHighUnsigned(b, x, y);
  return b.let(high.sub(x.shrS(63).and(y)).sub(y.shrS(63).and(x)));
}

export interface Quotient {
  readonly quotient: I64;
  readonly remainder: I64;
}

/**
 * high:low / divisor, all unsigned, where high < divisor so that the quotient has 64 bits.
 * Two digits of 32 bits by Knuth's algorithm D (The Art of Computer Programming vol. 2, 4.3.1), after a
 * normalisation that makes the estimate of each digit at most 2 too large.
 */
export function divideWide(b: FunctionBuilder, high: I64, low: I64, divisor: I64): Quotient {
  const quotient = b.local("i64");
  const remainder = b.local("i64");
  b.if(
    high.eqz(),
    () => {
      b.set(quotient, low.divU(divisor));
      b.set(remainder, low.remU(divisor));
    },
    () => {
      const shift = b.let(divisor.clz());
      const d = b.let(divisor.shl(shift));
      const d1 = b.let(d.shrU(32));
      const d0 = b.let(d.and(LOW));
      // low >> (64 - shift), which is 0 where shift is 0.
      const upper = b.let(high.shl(shift).or(low.shrU(1).shrU(i64(63).sub(shift))));
      const lower = b.let(low.shl(shift));
      /** One digit of (rest : next) / d; also leaves the new rest. */
      const digit = (rest: I64, next: I64): { q: I64; rest: I64 } => {
        const q = b.let(rest.divU(d1));
        const r = b.let(rest.sub(q.mul(d1)));
        const tooLarge = (): I32 =>
          q
            .shrU(32)
            .ne(0n)
            .or(q.mul(d0).gtU(r.shl(32).or(next)));
        b.block((done) => {
          b.loop((again) => {
            b.brIf(done, tooLarge().eqz());
            b.set(q, q.sub(1));
            b.set(r, r.add(d1));
            b.brIf(again, r.shrU(32).eqz());
          });
        });
        return { q, rest: b.let(rest.shl(32).add(next).sub(q.mul(d))) };
      };
      const first = digit(upper, b.let(lower.shrU(32)));
      const second = digit(first.rest, b.let(lower.and(LOW)));
      b.set(quotient, first.q.shl(32).add(second.q));
      b.set(remainder, second.rest.shrU(shift));
    },
  );
  return { quotient, remainder };
}
