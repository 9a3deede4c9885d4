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
