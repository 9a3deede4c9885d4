// The core: address arithmetic, CIDR division and address pools for IPv4 and IPv6. This is the safe
// half of the WASM module: it checks ranges, turns codes into unions and exposes no pointer. Text
// and policy are left to the callers.
import {
  addressBits,
  assertCidr,
  assertInteger,
  type Cidr,
  highHalf,
  INDEX_MAX,
  isAddress,
  isIndex,
} from './cidr.ts';
import { CODE, type Engine, loadEngine } from './engine.ts';
import { Pool } from './pool.ts';

export type { Cidr } from './cidr.ts';
export { CoreTrapError } from './engine.ts';
export { ArenaExhaustedError, Pool, SnapshotRefusedError } from './pool.ts';

/** A block, or why there is none. */
export type Division =
  | { ok: true; cidr: Cidr }
  | { ok: false; reason: 'index-out-of-range' | 'prefix-too-long' | 'host-bits-set' };

/** What `nextIndex` and `nextIndices` choose from. */
export interface IndexChoice {
  /** The block that is divided; no host bits set. */
  readonly parent: Cidr;
  /** It is divided into 2^bits blocks. */
  readonly bits: number;
  /** Indices that are taken, in any order, at most 131,072. An ascending Uint32Array is fastest. */
  readonly used: Iterable<number>;
  /** Blocks that one of these covers whole are left out; at most 4,096. */
  readonly excludes: readonly Cidr[];
  /**
   * `first-gap`: the smallest index. `after-highest`: the smallest above the greatest used one, and
   * the smallest of all when there is none, so that an index that came free is not given again
   * soon.
   */
  readonly order: 'first-gap' | 'after-highest';
}

/** Most IPv4 or IPv6 blocks in one call of the module. */
const DIVIDE_MAX = 16384;

/** Compiles the embedded module and starts one instance: about 1 ms. */
export async function loadCore(): Promise<Core> {
  return new Core(await loadEngine());
}

/**
 * The functions of one instance. Contract breaks (numbers that are not integers, addresses that are
 * too long, more than the documented maximum) are a RangeError, a trap of the module is a
 * CoreTrapError; neither is to be caught and ignored.
 */
export class Core {
  readonly #engine: Engine;

  /** For `loadCore`; takes an engine that nobody else uses. */
  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Block `index` of the 2^bits blocks that `parent` divides into. */
  subnetAt(parent: Cidr, index: number, bits: number): Division {
    assertCidr(parent);
    assertInteger('index', index);
    assertBits(bits);
    const { call, output64 } = this.#engine;
    const { family, base, prefix } = parent;
    const asked = isIndex(index) ? index : INDEX_MAX;
    const code =
      family === 4
        ? call.subnet4(Number(base), prefix, asked, bits)
        : call.subnet6(highHalf(base), base, prefix, asked, bits);
    if (code !== CODE.ok) return { ok: false, reason: divisionReason(code) };
    if (asked !== index) return { ok: false, reason: 'index-out-of-range' };
    const [high = 0n, low = 0n] = output64;
    return { ok: true, cidr: { family, base: (high << 64n) | low, prefix: prefix + bits } };
  }

  /**
   * True if one of the excludes contains the whole block. Host bits do not count; the other family
   * never covers.
   */
  isCovered(block: Cidr, excludes: readonly Cidr[]): boolean {
    return excludes.some((exclude) => this.#covers(exclude, block));
  }

  /** True if the address lies in the block. */
  contains(block: Cidr, address: bigint): boolean {
    if (!isAddress(block.family, address)) return false;
    const prefix = addressBits(block.family);
    return this.#covers(block, { family: block.family, base: address, prefix });
  }

  /** True if the blocks have an address in common. */
  overlaps(a: Cidr, b: Cidr): boolean {
    return this.#covers(a, b) || this.#covers(b, a);
  }

  /**
   * The index to give next, or undefined if every one is used or covered. Throws a RangeError if
   * the parent cannot be divided so (`subnetAt` says why).
   */
  nextIndex(choice: IndexChoice): number | undefined {
    return this.nextIndices(choice, 1)[0];
  }

  /**
   * What `count` calls of `nextIndex` would give if each result were used from then on; shorter if
   * there are not so many. `count` is at most 65,536.
   */
  nextIndices(choice: IndexChoice, count: number): Uint32Array {
    const { parent, bits, order } = choice;
    assertCidr(parent);
    assertBits(bits);
    const { output32 } = this.#engine;
    if (!isIndex(count) || count > output32.length) throw new RangeError('count is above 65,536');
    const excludes = this.#writeExcludes(parent.family, choice.excludes);
    const used = this.#writeIndices(choice.used);
    const after = order === 'after-highest' ? 1 : 0;
    let found = this.#nextIndices(parent, bits, used, excludes, after, count);
    if (found === CODE.unsorted) {
      this.#engine.indices.subarray(0, used).sort();
      found = this.#nextIndices(parent, bits, used, excludes, after, count);
    }
    if (found < 0) throw new RangeError(`the parent cannot be divided: ${divisionReason(found)}`);
    return output32.slice(0, found);
  }

  /**
   * The first addresses of the blocks with these indices, in their order: one element each for
   * IPv4; for IPv6 two, high half then low half. Throws a RangeError if one of them has no block.
   */
  divideMany(parent: Cidr, bits: number, indices: Uint32Array): BigUint64Array {
    assertCidr(parent);
    assertBits(bits);
    const { call, output64 } = this.#engine;
    const { family, base, prefix } = parent;
    const width = family === 4 ? 1 : 2;
    const result = new BigUint64Array(width * indices.length);
    for (let start = 0; start < indices.length; start += DIVIDE_MAX) {
      const piece = indices.subarray(start, start + DIVIDE_MAX);
      this.#engine.indices.set(piece);
      const code =
        family === 4
          ? call.divideMany4(Number(base), prefix, bits, piece.length)
          : call.divideMany6(highHalf(base), base, prefix, bits, piece.length);
      if (code !== CODE.ok) throw new RangeError(`no such block: ${divisionReason(code)}`);
      result.set(output64.subarray(0, width * piece.length), width * start);
    }
    return result;
  }

  /**
   * A pool of the addresses of `podCidr`, all usable ones free. Excludes of the other family, or
   * outside, do not matter; host bits of an exclude do not count. Throws an ArenaExhaustedError if
   * there is no room: a core holds about 1,300 pools of 65,536 indices, or many more small ones.
   * Dispose of a pool when it is no longer needed.
   */
  createPool(o: { podCidr: Cidr; excludes: readonly Cidr[] }): Pool {
    return Pool.create(this.#engine, o.podCidr, o.excludes);
  }

  /** Room for pools, in bytes: `freeBytes` equals `bytes` when there is no pool. */
  get arena(): { bytes: number; freeBytes: number } {
    const { call } = this.#engine;
    return { bytes: call.arenaBytes() >>> 0, freeBytes: call.arenaFreeBytes() >>> 0 };
  }

  #covers(a: Cidr, b: Cidr): boolean {
    assertCidr(a);
    assertCidr(b);
    if (a.family !== b.family) return false;
    const { call } = this.#engine;
    const covered =
      a.family === 4
        ? call.covers4(Number(a.base), a.prefix, Number(b.base), b.prefix)
        : call.covers6(highHalf(a.base), a.base, a.prefix, highHalf(b.base), b.base, b.prefix);
    return covered !== 0;
  }

  #nextIndices(
    parent: Cidr,
    bits: number,
    used: number,
    excludes: number,
    after: number,
    want: number,
  ): number {
    const { call } = this.#engine;
    const { family, base, prefix } = parent;
    return family === 4
      ? call.nextIndices4(Number(base), prefix, bits, used, excludes, after, want)
      : call.nextIndices6(highHalf(base), base, prefix, bits, used, excludes, after, want);
  }

  /** Writes the excludes of the family for the next call; returns how many. */
  #writeExcludes(family: 4 | 6, excludes: readonly Cidr[]): number {
    const list = this.#engine.excludes;
    let at = 0;
    for (const exclude of excludes) {
      assertCidr(exclude);
      if (exclude.family !== family) continue;
      if (at === list.length) throw new RangeError(`more than ${list.length / 3} excludes`);
      list[at] = highHalf(exclude.base);
      list[at + 1] = exclude.base;
      list[at + 2] = BigInt(exclude.prefix);
      at += 3;
    }
    return at / 3;
  }

  /** Writes the used indices for the next call; returns how many. */
  #writeIndices(used: Iterable<number>): number {
    const list = this.#engine.indices;
    if (used instanceof Uint32Array) {
      if (used.length > list.length) throw new RangeError(`more than ${list.length} used indices`);
      list.set(used);
      return used.length;
    }
    let count = 0;
    for (const index of used) {
      if (!isIndex(index)) throw new RangeError(`${index} is not an index`);
      if (count === list.length) throw new RangeError(`more than ${list.length} used indices`);
      list[count++] = index;
    }
    return count;
  }
}

function assertBits(bits: number): void {
  if (!Number.isInteger(bits) || bits < 0 || bits > 128) {
    throw new RangeError(`bits must be an integer from 0 to 128, not ${bits}`);
  }
}

function divisionReason(code: number): Exclude<Division, { ok: true }>['reason'] {
  if (code === CODE.hostBits) return 'host-bits-set';
  return code === CODE.prefix ? 'prefix-too-long' : 'index-out-of-range';
}
