/** Makes random numbers that a seed brings back. Every test that uses them prints its seed; SEED=… runs it again. */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** Takes SEED from the environment, or a new seed. */
  static fromEnvironment(): Random {
    return new Random(process.env.SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(process.env.SEED));
  }

  /** Returns 32 bits, by splitmix32. */
  next(): number {
    this.#state = this.#state + 0x9e3779b9 | 0;
    let z = this.#state;
    z = Math.imul(z ^ z >>> 16, 0x21f0aaad);
    z = Math.imul(z ^ z >>> 15, 0x735a2d97);
    return (z ^ z >>> 15) >>> 0;
  }

  /** Returns a number from 0 to bound − 1. */
  below(bound: number): number {
    return Math.floor(this.next() / 2 ** 32 * bound);
  }

  /** Returns true once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}
