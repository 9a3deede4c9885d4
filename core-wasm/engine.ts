// One instance of the module: its exports behind a guard, and typed views of its memory. A trap
// poisons the instance. Pointers live here and in pool.ts; index.ts gives none away.
import corePath from './build/core.wasm' with { type: 'file' };

/** The result codes of assembly/codes.ts, in the same order. */
export const CODE = {
  ok: 0,
  hostBits: -1,
  prefix: -2,
  index: -3,
  noRoom: -4,
  none: -5,
  state: -6,
  unusable: -7,
  otherPool: -8,
  corrupt: -9,
} as const;

/** The states of an index, as `poolState` answers them. */
export const STATE = { unusable: 0, free: 1, occupied: 2, quarantined: 3 } as const;

/** The exports of assembly/index.ts. u32 arguments and results pass as number, u64 as bigint. */
export interface CoreExports {
  outputBase(): number;
  outputBytes(): number;
  arenaBytes(): number;
  arenaFreeBytes(): number;
  subnet4(base: number, prefix: number, index: number, bits: number): number;
  subnet6(high: bigint, low: bigint, prefix: number, index: number, bits: number): number;
  covers4(baseA: number, prefixA: number, baseB: number, prefixB: number): number;
  covers6(
    highA: bigint,
    lowA: bigint,
    prefixA: number,
    highB: bigint,
    lowB: bigint,
    prefixB: number,
  ): number;
  poolCreate4(prefix: number): number;
  poolCreate6(prefix: number): number;
  poolExclude4(
    pool: number,
    base: number,
    prefix: number,
    excludeBase: number,
    excludePrefix: number,
  ): void;
  poolExclude6(
    pool: number,
    high: bigint,
    low: bigint,
    prefix: number,
    excludeHigh: bigint,
    excludeLow: bigint,
    excludePrefix: number,
  ): void;
  poolDispose(pool: number): void;
  poolSize(pool: number): number;
  poolUsable(pool: number): number;
  poolOccupied(pool: number): number;
  poolQuarantined(pool: number): number;
  poolCursor(pool: number): number;
  poolState(pool: number, index: number): number;
  poolOccupy(pool: number, index: number): number;
  poolTake(pool: number): number;
  poolRelease(pool: number, index: number): number;
  poolQuarantine(pool: number, index: number): number;
  poolEndQuarantine(pool: number, index: number): number;
  poolNextOccupied(pool: number, from: number): number;
  poolSave(pool: number): number;
  poolLoad(pool: number, cursor: number): number;
}

/**
 * The module trapped: a bug in the core, or memory that was damaged. The instance is poisoned and
 * every further call on it throws the same error; load a new core and rebuild its pools from the
 * recorded claims.
 */
export class CoreTrapError extends Error {
  override readonly name = 'CoreTrapError';
}

type Exported = (...args: (number | bigint)[]) => number;

/** One instance of the module. */
export class Engine {
  /** The exports; each of them throws a CoreTrapError once the instance is poisoned. */
  readonly call: CoreExports;
  /** What a call found, as u64. */
  readonly output64: BigUint64Array;
  /** What a call found, as bytes: the same bytes. */
  readonly output8: Uint8Array;
  #trap: CoreTrapError | undefined;

  /**
   * Takes an instance of the module that nobody else calls. Throws a TypeError if it is of another
   * module.
   */
  constructor(instance: WebAssembly.Instance) {
    const { memory } = instance.exports;
    if (!(memory instanceof WebAssembly.Memory)) throw new TypeError('the module has no memory');
    const guarded: Record<string, Exported> = {};
    for (const [name, value] of Object.entries(instance.exports)) {
      if (typeof value === 'function') guarded[name] = this.#guard(value as unknown as Exported);
    }
    if (guarded.poolLoad === undefined || guarded.subnet6 === undefined) {
      throw new TypeError('the module is not the core');
    }
    this.call = guarded as unknown as CoreExports;
    const { buffer } = memory; // never detaches: initial and maximum size are equal
    const [at, bytes] = [this.call.outputBase(), this.call.outputBytes()];
    this.output64 = new BigUint64Array(buffer, at, bytes / 8);
    this.output8 = new Uint8Array(buffer, at, bytes);
  }

  /** True after a trap. */
  get isPoisoned(): boolean {
    return this.#trap !== undefined;
  }

  #guard(call: Exported): Exported {
    return (...args) => {
      if (this.#trap !== undefined) throw this.#trap;
      try {
        return call(...args);
      } catch (cause) {
        this.#trap = new CoreTrapError('the core trapped and must be loaded anew', { cause });
        throw this.#trap;
      }
    };
  }
}

/**
 * Compiles the embedded module and starts one instance of it. At once: 7 KiB take 0.5 ms, and to be
 * told by another thread costs a turn of the event loop on top.
 */
export async function loadEngine(): Promise<Engine> {
  const bytes = await Bun.file(corePath).arrayBuffer();
  return new Engine(new WebAssembly.Instance(new WebAssembly.Module(bytes)));
}
