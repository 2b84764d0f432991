/** MUL, IMUL with one, two and three operands, MULX. SF, ZF, AF and PF are undefined and stay as they are. */
import { type I64, i64 } from "../../wasm/index.ts";
import { Gpr } from "../registers.ts";
import type { Width } from "./flags.ts";
import { accumulator, readAs, truncate } from "./operand-reads.ts";
import type { Operand } from "./operands.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";
import { multiplyHighSigned, multiplyHighUnsigned } from "./wide.ts";

const bits = (width: number) => (width * 8) as 8 | 16 | 32 | 64;

/** The product of a narrow multiplication into AX, DX:AX or EDX:EAX. */
function writeProduct(s: Stage, width: Width, product: I64): void {
  if (width === 1) {
    s.gpr(Gpr.RAX, 2).write(product);
    return;
  }
  s.gpr(Gpr.RAX, width).write(product);
  s.gpr(Gpr.RDX, width).write(product.shrU(bits(width)));
}

const multiply: Definition = (s) => {
  const { b, flags } = s;
  const source = s.operand(0);
  const width = source.scalar;
  const x = source.read();
  const y = accumulator(s, width).read();
  const product = b.let(x.mul(y));
  if (width === 8) {
    const high = multiplyHighUnsigned(b, x, y);
    s.gpr(Gpr.RAX, 8).write(product);
    s.gpr(Gpr.RDX, 8).write(high);
    const carry = b.let(high.ne(0n).toU64());
    flags.setCarryOverflow(carry, carry);
    return;
  }
  writeProduct(s, width, product);
  const carry = b.let(product.shrU(bits(width)).ne(0n).toU64());
  flags.setCarryOverflow(carry, carry);
};

const multiplySignedWide = (s: Stage, source: Operand): void => {
  const { b, flags } = s;
  const width = source.scalar;
  const x = source.readSigned();
  const y = accumulator(s, width).readSigned();
  const product = b.let(x.mul(y));
  if (width === 8) {
    const high = multiplyHighSigned(b, x, y);
    s.gpr(Gpr.RAX, 8).write(product);
    s.gpr(Gpr.RDX, 8).write(high);
    const carry = b.let(high.ne(product.shrS(63)).toU64());
    flags.setCarryOverflow(carry, carry);
    return;
  }
  writeProduct(s, width, product);
  const carry = b.let(product.signExtend(bits(width)).ne(product).toU64());
  flags.setCarryOverflow(carry, carry);
};

/** destination = x * y, cut to the width; CF and OF when that lost significant bits. */
const multiplySigned = (s: Stage, first: Operand, second: Operand): void => {
  const { b, flags } = s;
  const destination = s.operand(0);
  const width = destination.scalar;
  const x = first.readSigned();
  const y = second.readSigned();
  const product = b.let(x.mul(y));
  const carry = b.local("i64");
  if (width === 8) {
    // Operands of 32 significant bits, by far the most common, cannot overflow.
    b.if(
      x.signExtend(32).ne(x).or(y.signExtend(32).ne(y)),
      () => b.set(carry, multiplyHighSigned(b, x, y).ne(product.shrS(63)).toU64()),
      () => b.set(carry, i64(0)),
    );
  } else b.set(carry, product.signExtend(bits(width)).ne(product).toU64());
  destination.write(product);
  flags.setCarryOverflow(carry, carry);
};

const multiplySignedForms: Definition = (s) => {
  if (s.operands.length === 1) multiplySignedWide(s, s.operand(0));
  else if (s.operands.length === 2) multiplySigned(s, s.operand(0), s.operand(1));
  else multiplySigned(s, s.operand(1), s.operand(2));
};

/** MULX: RDX times the source, no flags. Where both destinations are one register it holds the high half. */
const multiplyPlain: Definition = (s) => {
  const { b } = s;
  const source = s.operand(2);
  const width = source.scalar;
  const x = readAs(source, width);
  const y = s.gpr(Gpr.RDX, width).read();
  const low = b.let(x.mul(y));
  const high = width === 8 ? multiplyHighUnsigned(b, x, y) : b.let(low.shrU(32));
  s.operand(1).write(truncate(low, width));
  s.operand(0).write(high);
};

export const multiplication: Definitions = {
  MUL: multiply,
  IMUL: multiplySignedForms,
  MULX: multiplyPlain,
};
