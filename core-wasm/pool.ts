// The pool of one pod CIDR: which of its addresses are free, occupied or in quarantine. The bits
// are in the engine's arena.
import { assertCidr, assertInteger, type Cidr, hasHostBits, highHalf } from './cidr.ts';
import { CODE, type Engine, STATE } from './engine.ts';

/** There is no room for one more pool: dispose of some, or spread them over two cores. */
export class ArenaExhaustedError extends Error {
  override readonly name = 'ArenaExhaustedError';
}

/**
 * A snapshot that was not restored: it belongs to another pool, or it is not a snapshot that
 * `snapshot` wrote.
 */
export class SnapshotRefusedError extends Error {
  override readonly name = 'SnapshotRefusedError';
  readonly reason: 'other-pool' | 'damaged';
  constructor(reason: 'other-pool' | 'damaged') {
    super(reason === 'damaged' ? 'the snapshot is damaged' : 'the snapshot is of another pool');
    this.reason = reason;
  }
}

// A snapshot, little-endian:
//   +0 u32 magic     +8  u32 family   +16 u32 cursor                  +24 u64 base, high half
//   +4 u32 version   +12 u32 prefix   +20 u32 bytes of the bitmaps    +32 u64 base, low half
//   +40 free, occupied and quarantined bits, as in assembly/pool.ts
const SNAPSHOT_MAGIC = 0x53504e4d;
const SNAPSHOT_VERSION = 1;
const SNAPSHOT_HEADER_BYTES = 40;

/**
 * Indices of a pod CIDR. Usable are those below 65,536 but the first (IPv4: network, IPv6:
 * subnet-router anycast), the last of an IPv4 block (broadcast) and the excluded ones; IPv4 /31 and
 * /32 and IPv6 /128 have none. Each usable index is free, occupied or in quarantine. Verbs throw a
 * RangeError if given something that is not an integer.
 */
export class Pool {
  readonly podCidr: Cidr;
  /** Number of indices, usable or not: 1..65536. */
  readonly size: number;
  readonly #engine: Engine;
  #at: number;

  private constructor(engine: Engine, podCidr: Cidr, at: number) {
    this.#engine = engine;
    this.#at = at;
    this.podCidr = podCidr;
    this.size = engine.call.poolSize(at);
  }

  /** For `Core.createPool`, which describes it. */
  static create(engine: Engine, podCidr: Cidr, excludes: readonly Cidr[]): Pool {
    assertCidr(podCidr);
    if (hasHostBits(podCidr)) throw new RangeError('a pod CIDR must not have host bits set');
    for (const exclude of excludes) assertCidr(exclude);
    const { family, base, prefix } = podCidr;
    const at = family === 4 ? engine.call.poolCreate4(prefix) : engine.call.poolCreate6(prefix);
    if (at === CODE.noRoom) throw new ArenaExhaustedError('no room for one more pool');
    for (const exclude of excludes) {
      if (exclude.family !== family) continue;
      if (family === 4) {
        engine.call.poolExclude4(at, Number(base), prefix, Number(exclude.base), exclude.prefix);
      } else {
        const [high, exHigh] = [highHalf(base), highHalf(exclude.base)];
        engine.call.poolExclude6(at, high, base, prefix, exHigh, exclude.base, exclude.prefix);
      }
    }
    return new Pool(engine, { family, base, prefix }, at);
  }

  /** Number of indices that can be handed out at all. */
  get usable(): number {
    return this.#engine.call.poolUsable(this.#pointer());
  }

  get occupied(): number {
    return this.#engine.call.poolOccupied(this.#pointer());
  }

  get quarantined(): number {
    return this.#engine.call.poolQuarantined(this.#pointer());
  }

  /** Number of indices that `take` can still give. */
  get free(): number {
    return this.usable - this.occupied - this.quarantined;
  }

  /**
   * Occupies this index, free or in quarantine. `take` goes on after the greatest index that was
   * named so.
   */
  occupy(index: number): 'occupied' | 'already-occupied' | 'not-usable' | 'out-of-range' {
    if (!this.#has(index)) return 'out-of-range';
    const code = this.#engine.call.poolOccupy(this.#pointer(), index);
    if (code === CODE.ok) return 'occupied';
    return code === CODE.state ? 'already-occupied' : 'not-usable';
  }

  /** Occupies the next free index after the last one taken, wrapping; undefined if none is free. */
  take(): number | undefined {
    const index = this.#engine.call.poolTake(this.#pointer());
    return index < 0 ? undefined : index;
  }

  /** Makes an occupied index free at once. */
  release(index: number): 'released' | 'not-occupied' {
    if (!this.#has(index)) return 'not-occupied';
    const code = this.#engine.call.poolRelease(this.#pointer(), index);
    return code === CODE.ok ? 'released' : 'not-occupied';
  }

  /**
   * Puts an occupied index into quarantine: neither occupied nor free, until `endQuarantine` or
   * `occupy`.
   */
  quarantine(index: number): 'quarantined' | 'not-occupied' {
    if (!this.#has(index)) return 'not-occupied';
    const code = this.#engine.call.poolQuarantine(this.#pointer(), index);
    return code === CODE.ok ? 'quarantined' : 'not-occupied';
  }

  /** Makes an index in quarantine free. */
  endQuarantine(index: number): 'released' | 'not-quarantined' {
    if (!this.#has(index)) return 'not-quarantined';
    const code = this.#engine.call.poolEndQuarantine(this.#pointer(), index);
    return code === CODE.ok ? 'released' : 'not-quarantined';
  }

  isUsable(index: number): boolean {
    return this.#has(index) && this.#state(index) !== STATE.unusable;
  }

  isOccupied(index: number): boolean {
    return this.#has(index) && this.#state(index) === STATE.occupied;
  }

  isQuarantined(index: number): boolean {
    return this.#has(index) && this.#state(index) === STATE.quarantined;
  }

  /** The occupied indices, ascending. Changes made on the way are seen if they lie ahead. */
  *indices(): IterableIterator<number> {
    let from = 0;
    while (from < this.size) {
      const index = this.#engine.call.poolNextOccupied(this.#pointer(), from);
      if (index < 0) return;
      yield index;
      from = index + 1;
    }
  }

  /** The index of an address, or undefined if the pool has no index for it. */
  indexOf(address: bigint): number | undefined {
    const index = address - this.podCidr.base;
    return index >= 0n && index < BigInt(this.size) ? Number(index) : undefined;
  }

  /** The address of an index, usable or not. Throws a RangeError if the pool has no such index. */
  addressAt(index: number): bigint {
    if (!this.#has(index)) throw new RangeError(`index ${index} is not below ${this.size}`);
    return this.podCidr.base + BigInt(index);
  }

  /** The whole state as bytes, for `restore` on a pool of the same pod CIDR and excludes. */
  snapshot(): Uint8Array {
    const { call, output8 } = this.#engine;
    const at = this.#pointer();
    const bytes = call.poolSave(at);
    const snapshot = new Uint8Array(SNAPSHOT_HEADER_BYTES + bytes);
    snapshot.set(output8.subarray(0, bytes), SNAPSHOT_HEADER_BYTES);
    const header = this.#snapshotHeader(bytes);
    header.setUint32(16, call.poolCursor(at), true);
    snapshot.set(new Uint8Array(header.buffer));
    return snapshot;
  }

  /**
   * Replaces the whole state by that of a snapshot. Throws a SnapshotRefusedError, and changes
   * nothing, if the bytes are not a snapshot or were taken of a pool with another pod CIDR or other
   * excludes.
   */
  restore(snapshot: Uint8Array): void {
    const bytes = snapshot.length - SNAPSHOT_HEADER_BYTES;
    if (bytes < 0) throw new SnapshotRefusedError('damaged');
    const view = new DataView(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength);
    const expected = this.#snapshotHeader(3 * 8 * Math.ceil(this.size / 64));
    for (const at of [0, 4]) {
      if (view.getUint32(at, true) !== expected.getUint32(at, true)) {
        throw new SnapshotRefusedError('damaged');
      }
    }
    for (const at of [8, 12, 20, 24, 28, 32, 36]) {
      if (view.getUint32(at, true) !== expected.getUint32(at, true)) {
        throw new SnapshotRefusedError('other-pool');
      }
    }
    if (bytes !== expected.getUint32(20, true)) throw new SnapshotRefusedError('damaged');
    const at = this.#pointer();
    this.#engine.output8.set(snapshot.subarray(SNAPSHOT_HEADER_BYTES));
    const code = this.#engine.call.poolLoad(at, view.getUint32(16, true));
    if (code !== CODE.ok) {
      throw new SnapshotRefusedError(code === CODE.otherPool ? 'other-pool' : 'damaged');
    }
  }

  /**
   * Ends the pool and gives its room back. A second call does nothing; any other verb throws after
   * it.
   */
  [Symbol.dispose](): void {
    const at = this.#at;
    this.#at = 0;
    // The arena of a poisoned instance is lost as a whole.
    if (at !== 0 && !this.#engine.isPoisoned) this.#engine.call.poolDispose(at);
  }

  #pointer(): number {
    if (this.#at === 0) throw new Error('the pool was disposed of');
    return this.#at;
  }

  #has(index: number): boolean {
    assertInteger('index', index);
    return index >= 0 && index < this.size;
  }

  #state(index: number): number {
    return this.#engine.call.poolState(this.#pointer(), index);
  }

  /** The header of this pool's snapshots, cursor 0. */
  #snapshotHeader(bytes: number): DataView {
    const header = new DataView(new ArrayBuffer(SNAPSHOT_HEADER_BYTES));
    const { family, base, prefix } = this.podCidr;
    for (const [at, value] of [
      SNAPSHOT_MAGIC,
      SNAPSHOT_VERSION,
      family,
      prefix,
      0,
      bytes,
    ].entries()) {
      header.setUint32(4 * at, value, true);
    }
    header.setBigUint64(24, highHalf(base), true);
    header.setBigUint64(32, BigInt.asUintN(64, base), true);
    return header;
  }
}
