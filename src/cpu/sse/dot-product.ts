/** DPPS and DPPD (SDM vol. 2A): products of the chosen elements, added in pairs. */
import { add, type FloatFormat, multiply, packedFlags, sseEnvironment } from "../softfloat/index.ts";

export interface DotProduct {
  readonly value: bigint;
  /** Exceptions raised by all steps done. */
  readonly flags: number;
  readonly masks: number;
}

/**
 * Bits 4 and up of the immediate choose the products that count, the others are +0. The products are made
 * together, then their sums; an unmasked exception ends the instruction after the step that raised it.
 */
export function dotProduct(
  format: FloatFormat,
  a: readonly bigint[],
  b: readonly bigint[],
  immediate: number,
  mxcsr: number,
): DotProduct {
  const env = sseEnvironment(mxcsr);
  let flags = 0;
  /** Does the steps of one stage; false when the instruction ends there. */
  const stage = (steps: readonly (() => bigint)[]): bigint[] | null => {
    const raised: number[] = [];
    const values = steps.map((step) => {
      env.flags = 0;
      const value = step();
      raised.push(env.flags);
      return value;
    });
    flags |= packedFlags(raised, env.masks);
    return flags & ~env.masks ? null : values;
  };
  const result = (value: bigint): DotProduct => ({ value, flags, masks: env.masks });
  const products = stage(
    a.map((x, i) => () => ((immediate >> (4 + i)) & 1 ? multiply(format, x, b[i]!, env) : 0n)),
  );
  if (products === null) return result(0n);
  let values = products;
  while (values.length > 1) {
    const pairs = Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i]!, values[2 * i + 1]!]);
    const sums = stage(
      pairs.map(
        ([x, y]) =>
          () =>
            add(format, x!, y!, env),
      ),
    );
    if (sums === null) return result(0n);
    values = sums;
  }
  return result(values[0]!);
}
