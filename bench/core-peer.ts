// What the core is measured against: the same work in plain TypeScript with bigint and Set, written
// to be as quick as it can be without leaving those.
import type { Cidr } from '../core-wasm/index.ts';

/** The bases of the first `count` blocks that no exclude covers. */
export function divide(
  parent: Cidr,
  bits: number,
  count: number,
  excludes: readonly Cidr[],
): bigint[] {
  const used = new Set<number>();
  const bases: bigint[] = [];
  for (let index = nextIndex(parent, bits, used, excludes, -1); bases.length < count; ) {
    if (index === undefined) break;
    used.add(index);
    bases.push(blockBase(parent, bits, index));
    index = nextIndex(parent, bits, used, excludes, index);
  }
  return bases;
}

/** The first address of a block. */
export function blockBase(parent: Cidr, bits: number, index: number): bigint {
  return parent.base + (BigInt(index) << BigInt(width(parent) - parent.prefix - bits));
}

/** The index after the greatest used one, or the first gap. */
export function nextIndex(
  parent: Cidr,
  bits: number,
  used: ReadonlySet<number>,
  excludes: readonly Cidr[],
  greatest: number,
): number | undefined {
  const end = 2 ** bits;
  const mayGive = (index: number): boolean =>
    !used.has(index) && !isCovered(blockBase(parent, bits, index), parent.prefix + bits, excludes);
  for (let index = greatest + 1; index < end; index++) if (mayGive(index)) return index;
  for (let index = 0; index < greatest; index++) if (mayGive(index)) return index;
  return undefined;
}

/** The greatest of the used indices, or -1. */
export function greatestOf(used: Iterable<number>): number {
  let greatest = -1;
  for (const index of used) if (index > greatest) greatest = index;
  return greatest;
}

function isCovered(base: bigint, prefix: number, excludes: readonly Cidr[]): boolean {
  return excludes.some((exclude) => {
    const shift = BigInt(width(exclude) - exclude.prefix);
    return exclude.prefix <= prefix && base >> shift === exclude.base >> shift;
  });
}

function width(cidr: Cidr): number {
  return cidr.family === 4 ? 32 : 128;
}

/** A pool with a Set of what is taken and a cursor. */
export class SetPool {
  readonly #taken = new Set<number>();
  readonly #size: number;
  #cursor = 1;

  constructor(size: number) {
    this.#size = size;
  }

  take(): number | undefined {
    for (let step = 0; step < this.#size; step++) {
      const index = this.#cursor;
      this.#cursor = index === this.#size - 2 ? 1 : index + 1;
      if (!this.#taken.has(index)) {
        this.#taken.add(index);
        return index;
      }
    }
    return undefined;
  }

  release(index: number): boolean {
    return this.#taken.delete(index);
  }
}
