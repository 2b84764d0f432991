/** Marsaglia's xorshift32: small, and the same numbers in every run and everywhere. */
export class Random {
  #state: number;

  /** @param seed not 0 */
  constructor(seed: number) {
    this.#state = seed;
  }

  /** For seeds that count up: neighbours do not give neighbouring sequences. */
  static spread(seed: number): Random {
    const random = new Random(Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) | 1);
    for (let i = 0; i < 4; i++) random.u32();
    return random;
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  below(limit: number): number {
    return this.u32() % limit;
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}
