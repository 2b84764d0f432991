/** Bitwise logic: AND OR XOR NOT TEST. */
import type { I64 } from "../../wasm/index.ts";
import { readAs } from "./operand-reads.ts";
import type { Definition, Definitions } from "./stage.ts";

function bitwise(compute: (a: I64, b: I64) => I64): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const b = readAs(s.operand(1), width);
    destination.update((a) => {
      const result = s.b.let(compute(a, b));
      s.flags.logic(width, result);
      return result;
    });
  };
}

const test: Definition = (s) => {
  const first = s.operand(0);
  const a = first.read();
  const b = readAs(s.operand(1), first.width);
  s.flags.logic(first.scalar, s.b.let(a.and(b)));
};

export const logic: Definitions = {
  AND: bitwise((a, b) => a.and(b)),
  OR: bitwise((a, b) => a.or(b)),
  XOR: bitwise((a, b) => a.xor(b)),
  NOT: (s) => s.operand(0).update((a) => a.not()),
  TEST: test,
};
