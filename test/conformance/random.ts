/**
 * The generator's random numbers: one seed gives the same cases on every machine and every run.
 */

/** SplitMix32 (Steele, Lea, Flood 2014, in its 32-bit form): a counter and a mixing function. */
export class SplitMix {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0..2^32-1. */
  u32(): number {
    this.#state = (this.#state + 0x9e37_79b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** 0..n-1. */
  below(n: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * n);
  }

  /** True with probability 1/n. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.u32();
    return bytes;
  }
}

/** A seed for case number `index` of a row, so that a case can be made again without those before it. */
export function caseSeed(seed: number, row: string, index: number): number {
  let hash = seed | 0;
  for (let i = 0; i < row.length; i++) hash = Math.imul(hash ^ row.charCodeAt(i), 0x0100_0193);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d) + Math.imul(index + 1, 0x9e37_79b1);
}

/** Integers at which carries, signs and widths turn over: 0, +-1, and 2^k, 2^k +- 1 for the widths' corners. */
export const EDGE_INTEGERS: BigUint64Array = (() => {
  const values = new Set<bigint>([0n, 1n, 2n, 0x0fn, 0x10n, 0x99n, 0x9an, 0x55n, 0xaan]);
  for (const k of [3n, 4n, 5n, 6n, 7n, 8n, 15n, 16n, 31n, 32n, 47n, 63n])
    for (const delta of [-1n, 0n, 1n]) {
      values.add(BigInt.asUintN(64, (1n << k) + delta));
      values.add(BigInt.asUintN(64, -((1n << k) + delta)));
    }
  values.add(0x5555_5555_5555_5555n);
  values.add(0xaaaa_aaaa_aaaa_aaaan);
  return BigUint64Array.from(values);
})();

/** A 64-bit operand: an edge value, a short value, a sign-extended value or plain noise. */
export function operandValue(random: SplitMix): bigint {
  switch (random.below(6)) {
    case 0:
    case 1:
      return EDGE_INTEGERS[random.below(EDGE_INTEGERS.length)]!;
    case 2:
      return BigInt(random.u32() >>> random.below(32));
    case 3:
      return BigInt.asUintN(64, BigInt(random.u32() | 0) >> BigInt(random.below(32)));
    case 4:
      return 1n << BigInt(random.below(64));
    default:
      return random.u64();
  }
}
