// The seeded generator of the property tests. TEST_SEED sets the seed; otherwise every run has a
// new one. A test puts `seedTitle` into its title, so that a failure can be run again.

const chosen = Bun.env.TEST_SEED ?? String(crypto.getRandomValues(new Uint32Array(1))[0]);

/** The seed of this run. */
export const seed = Number(chosen) >>> 0;

/** For titles: how to run it again. */
export const seedTitle = `TEST_SEED=${seed}`;

/** A generator (mulberry32) whose numbers follow from the run's seed and `stream` alone. */
export class Random {
  #state: number;

  constructor(stream: number) {
    this.#state = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) >>> 0;
  }

  /** An integer from 0 to `end` - 1. */
  below(end: number): number {
    return Math.floor((this.#next() / 2 ** 32) * end);
  }

  /** An integer from `first` to `last`, both inclusive. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of the items. */
  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  /** An unsigned integer of `bits` random bits. */
  bits(bits: number): bigint {
    let value = 0n;
    for (let have = 0; have < bits; have += 32) value = (value << 32n) | BigInt(this.#next());
    return BigInt.asUintN(bits, value);
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  }
}
