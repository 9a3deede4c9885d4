// Properties of pools: random verbs on random pools against the plain oracle; snapshots; the arena
// under many pools that come and go; what happens after a trap.
import { describe, expect, test } from 'bun:test';
import corePath from '../build/core.wasm' with { type: 'file' };
import { Engine } from '../engine.ts';
import {
  ArenaExhaustedError,
  type Cidr,
  Core,
  CoreTrapError,
  loadCore,
  type Pool,
  SnapshotRefusedError,
} from '../index.ts';
import { NaivePool } from './oracle.ts';
import { Random, seedTitle } from './random.ts';
import { cidr } from './text.ts';

const core = await loadCore();

interface Definition {
  readonly podCidr: Cidr;
  readonly excludes: readonly Cidr[];
}

/** A pod CIDR of 2^0 to 2^maxBits addresses (IPv6 sometimes more) and excludes that concern it. */
function randomDefinition(random: Random, bitsMax: number): Definition {
  const family = random.pick<4 | 6>([4, 6]);
  const width = family === 4 ? 32 : 128;
  const sizeBits = random.oneIn(20) && bitsMax >= 16 ? 64 : random.between(0, bitsMax);
  const prefix = Math.max(0, width - sizeBits);
  const podCidr = { family, base: random.bits(prefix) << BigInt(width - prefix), prefix };
  const excludes = Array.from({ length: random.below(4) }, (): Cidr => {
    const inside = Math.min(width, prefix + random.between(0, sizeBits + 1));
    const hostBits = BigInt(width - inside);
    const base = podCidr.base + random.bits(Math.min(sizeBits, 17));
    return { family, base: (BigInt.asUintN(width, base) >> hostBits) << hostBits, prefix: inside };
  });
  return { podCidr, excludes: random.oneIn(30) ? [...excludes, podCidr] : excludes };
}

/** Does one random verb on both and expects the same outcome. */
function step(random: Random, pool: Pool, naive: NaivePool): void {
  const held = [...naive.occupied];
  const some = held.length > 0 && !random.oneIn(4);
  const anywhere = random.between(-1, naive.size + 1);
  const index = some ? (held[random.below(held.length)] ?? anywhere) : anywhere;
  const [waiting = index] = naive.quarantined;
  const verb = random.below(10);
  if (verb === 0) expect(pool.release(index)).toBe(naive.release(index));
  else if (verb <= 2) expect(pool.quarantine(index)).toBe(naive.quarantine(index));
  else if (verb === 3) expect(pool.endQuarantine(waiting)).toBe(naive.endQuarantine(waiting));
  else if (verb === 4) expect(pool.occupy(anywhere)).toBe(naive.occupy(anywhere));
  else if (verb === 5) expect(pool.occupy(index)).toBe(naive.occupy(index));
  else expect(pool.take()).toBe(naive.take());
}

function expectEqual(pool: Pool, naive: NaivePool): void {
  expect({
    usable: pool.usable,
    occupied: pool.occupied,
    quarantined: pool.quarantined,
    free: pool.free,
    indices: [...pool.indices()],
  }).toEqual({
    usable: naive.usable.size,
    occupied: naive.occupied.size,
    quarantined: naive.quarantined.size,
    free: naive.free,
    indices: [...naive.occupied].sort((a, b) => a - b),
  });
}

describe(`random pools (${seedTitle})`, () => {
  test('verbs have the outcome of the oracle', () => {
    const random = new Random(11);
    for (let round = 0; round < 150; round++) {
      const definition = randomDefinition(random, 9);
      using pool = core.createPool(definition);
      const naive = new NaivePool(definition.podCidr, definition.excludes);
      expectEqual(pool, naive);
      for (let count = random.below(120); count > 0; count--) step(random, pool, naive);
      expectEqual(pool, naive);
      for (let index = -1; index <= pool.size; index++) {
        expect(pool.isUsable(index)).toBe(naive.usable.has(index));
        expect(pool.isOccupied(index)).toBe(naive.occupied.has(index));
        expect(pool.isQuarantined(index)).toBe(naive.quarantined.has(index));
      }
    }
  });

  test('pools of 65,536 indices too', () => {
    const random = new Random(12);
    const podCidr = cidr('10.7.0.0/16');
    const excludes = [cidr('10.7.0.0/18'), cidr('10.7.128.0/17')];
    using pool = core.createPool({ podCidr, excludes });
    const naive = new NaivePool(podCidr, excludes);
    for (let count = 0; count < 16000; count++) expect(pool.take()).toBe(naive.take());
    for (let count = 0; count < 1500; count++) step(random, pool, naive);
    expectEqual(pool, naive);
  });

  test('addresses and indices are each other', () => {
    const random = new Random(13);
    for (let round = 0; round < 300; round++) {
      using pool = core.createPool(randomDefinition(random, 16));
      const index = random.below(pool.size);
      expect(pool.indexOf(pool.addressAt(index))).toBe(index);
      expect(core.contains(pool.podCidr, pool.addressAt(index))).toBe(true);
      expect(pool.indexOf(pool.podCidr.base - 1n)).toBeUndefined();
      expect(pool.indexOf(pool.podCidr.base + BigInt(pool.size))).toBeUndefined();
    }
  });

  test('a restored pool goes on exactly like the one that was saved', () => {
    const random = new Random(14);
    for (let round = 0; round < 40; round++) {
      const definition = randomDefinition(random, 16);
      using pool = core.createPool(definition);
      using copy = core.createPool(definition);
      const naive = new NaivePool(definition.podCidr, definition.excludes);
      for (let count = random.below(60); count > 0; count--) step(random, pool, naive);
      for (let count = random.below(5); count > 0; count--) copy.take();
      copy.restore(pool.snapshot());
      expect(copy.snapshot()).toEqual(pool.snapshot());
      for (let count = 30; count > 0; count--) step(random, copy, naive);
      expectEqual(copy, naive);
    }
  });

  test('a damaged snapshot is refused or is another valid state, never a broken pool', () => {
    const random = new Random(15);
    const podCidr = cidr('10.0.0.0/25');
    using pool = core.createPool({ podCidr, excludes: [cidr('10.0.0.64/28')] });
    for (let round = 0; round < 500; round++) {
      pool.take();
      const bytes = pool.snapshot();
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      const before = pool.snapshot();
      try {
        pool.restore(bytes);
        expect(pool.snapshot()).toEqual(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(SnapshotRefusedError);
        expect(pool.snapshot()).toEqual(before);
      }
      expect(pool.occupied).toBe([...pool.indices()].length);
      expect(pool.occupied + pool.quarantined + pool.free).toBe(pool.usable);
    }
  });
});

describe('snapshots are refused', () => {
  const podCidr = cidr('10.0.0.0/24');
  const excludes = [cidr('10.0.0.16/28')];
  const refusals: [string, 'other-pool' | 'damaged', (bytes: Uint8Array) => Uint8Array][] = [
    ['of another address', 'other-pool', () => snapshotOf('10.0.1.0/24', excludes)],
    ['of another prefix', 'other-pool', () => snapshotOf('10.0.0.0/25', excludes)],
    ['of another family', 'other-pool', () => snapshotOf('2001:db8::/120', [])],
    ['with other excludes', 'other-pool', () => snapshotOf('10.0.0.0/24', [cidr('10.0.0.0/28')])],
    ['without excludes', 'other-pool', () => snapshotOf('10.0.0.0/24', [])],
    ['that are empty', 'damaged', () => new Uint8Array()],
    ['that are cut off', 'damaged', (bytes) => bytes.subarray(0, -1)],
    ['that are too long', 'damaged', (bytes) => Uint8Array.of(...bytes, 0)],
    ['with a cursor beyond the pool', 'damaged', (bytes) => changed(bytes, 17, 1)],
    ['of an unknown version', 'damaged', (bytes) => changed(bytes, 4, 99)],
    ['with an index in two states', 'damaged', (bytes) => changed(bytes, 40 + 32, 0xff)],
  ];

  function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
    const copy = bytes.slice();
    copy[at] = value;
    return copy;
  }

  function snapshotOf(text: string, list: readonly Cidr[]): Uint8Array {
    using pool = core.createPool({ podCidr: cidr(text), excludes: list });
    return pool.snapshot();
  }

  for (const [title, reason, make] of refusals) {
    test(title, () => {
      using pool = core.createPool({ podCidr, excludes });
      pool.take();
      const before = pool.snapshot();
      const attempt = (): void => pool.restore(make(snapshotOf('10.0.0.0/24', excludes)));
      expect(attempt).toThrow(expect.objectContaining({ name: 'SnapshotRefusedError', reason }));
      expect(pool.snapshot()).toEqual(before);
    });
  }

  test('but not when other excludes leave the same indices', () => {
    using pool = core.createPool({
      podCidr,
      excludes: [cidr('10.0.0.16/29'), cidr('10.0.0.24/29')],
    });
    pool.restore(snapshotOf('10.0.0.0/24', excludes));
    expect(pool.take()).toBe(1);
  });
});

describe(`the arena (${seedTitle})`, () => {
  interface Living {
    readonly pool: Pool;
    readonly held: Set<number>;
  }

  /** Takes one index; it must not be among those that were taken before. */
  function takeNew({ pool, held }: Living): void {
    const index = pool.take();
    if (index === undefined) return;
    expect(held.has(index)).toBe(false);
    held.add(index);
  }

  function end({ pool, held }: Living): void {
    expect(new Set(pool.indices())).toEqual(held);
    pool[Symbol.dispose]();
  }

  test('pools that come and go never share an index and leave nothing behind', async () => {
    const random = new Random(21);
    const own = await loadCore();
    const whole = own.arena;
    expect(whole.freeBytes).toBe(whole.bytes);
    const living: Living[] = [];
    for (let round = 0; round < 3000; round++) {
      if (living.length < 120 && !random.oneIn(3)) {
        living.push({ pool: own.createPool(randomDefinition(random, 16)), held: new Set() });
      } else {
        living.splice(random.below(living.length), 1).forEach(end);
      }
      living.slice(0, 6).forEach(takeNew);
    }
    living.forEach(end);
    expect(own.arena).toEqual(whole);
  });

  test('small pools that are gone make room for large ones', async () => {
    const random = new Random(22);
    const own = await loadCore();
    const fill = (prefix: number): Pool[] => {
      const pools: Pool[] = [];
      const podCidr: Cidr = { family: 6, base: 0n, prefix };
      const more = (): void => {
        while (pools.length < 100_000) pools.push(own.createPool({ podCidr, excludes: [] }));
      };
      expect(more).toThrow(ArenaExhaustedError);
      return pools;
    };
    const large = fill(64);
    for (const pool of large) pool[Symbol.dispose]();
    const small = fill(114);
    while (small.length > 0) small.splice(random.below(small.length), 1)[0]?.[Symbol.dispose]();
    expect(fill(64).length).toBe(large.length);
  });

  test('holds 1,300 of the largest pools, then says so, and goes on when one has gone', async () => {
    const own = await loadCore();
    const definition = { podCidr: cidr('2001:db8::/64'), excludes: [] };
    const pools: Pool[] = [];
    const fill = (): void => {
      while (pools.length < 100_000) pools.push(own.createPool(definition));
    };
    expect(fill).toThrow(ArenaExhaustedError);
    expect(pools.length).toBeGreaterThan(1300);
    const again = pools.length;
    expect(pools.map((pool) => pool.take()).every((index) => index === 1)).toBe(true);
    for (const pool of pools.splice(100, 200)) pool[Symbol.dispose]();
    expect(fill).toThrow(ArenaExhaustedError);
    expect(pools.length).toBe(again);
    expect(pools.at(-1)?.occupied).toBe(0); // memory of a pool that is gone does not shine through
    for (const pool of pools) pool[Symbol.dispose]();
    expect(own.arena.freeBytes).toBe(own.arena.bytes);
  });
});

describe('a pool that was disposed of', () => {
  test('refuses every verb and may be disposed of again', () => {
    const pool = core.createPool({ podCidr: cidr('10.0.0.0/24'), excludes: [] });
    const { freeBytes } = core.arena;
    pool[Symbol.dispose]();
    const after = core.arena.freeBytes;
    expect(after).toBeGreaterThan(freeBytes);
    pool[Symbol.dispose]();
    expect(core.arena.freeBytes).toBe(after);
    expect(() => pool.take()).toThrow('disposed');
    expect(() => pool.occupy(1)).toThrow('disposed');
    expect(() => pool.usable).toThrow('disposed');
    expect(() => [...pool.indices()]).toThrow('disposed');
    expect(() => pool.snapshot()).toThrow('disposed');
  });

  test('an index that is not an integer is a RangeError', () => {
    using pool = core.createPool({ podCidr: cidr('10.0.0.0/24'), excludes: [] });
    for (const index of [1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => pool.occupy(index)).toThrow(RangeError);
      expect(() => pool.release(index)).toThrow(RangeError);
    }
  });
});

describe('a trap', () => {
  /** A core whose memory the test can damage. */
  async function fragileCore(): Promise<{ core: Core; memory: Uint8Array }> {
    const { instance } = await WebAssembly.instantiate(await Bun.file(corePath).arrayBuffer());
    const { memory } = instance.exports;
    if (!(memory instanceof WebAssembly.Memory)) throw new Error('no memory');
    return { core: new Core(new Engine(instance)), memory: new Uint8Array(memory.buffer) };
  }

  test('poisons the core: nothing works any more, in any of its pools', async () => {
    const fragile = await fragileCore();
    const podCidr = cidr('10.0.0.0/24');
    const pool = fragile.core.createPool({ podCidr, excludes: [] });
    const other = fragile.core.createPool({ podCidr, excludes: [] });
    const saved = other.snapshot();
    expect(pool.take()).toBe(1);
    fragile.memory.fill(0);
    expect(() => pool.take()).toThrow(CoreTrapError);
    const calls: (() => unknown)[] = [
      () => pool.take(),
      () => other.occupied,
      () => other.restore(saved),
      () => fragile.core.subnetAt(podCidr, 0, 1),
      () => fragile.core.contains(podCidr, 1n),
      () => fragile.core.createPool({ podCidr, excludes: [] }),
    ];
    for (const call of calls) expect(call).toThrow(CoreTrapError);
    other[Symbol.dispose](); // does not throw: `using` must not hide the first error
  });

  test('keeps its cause and leaves other cores alone', async () => {
    const fragile = await fragileCore();
    const pool = fragile.core.createPool({ podCidr: cidr('10.0.0.0/24'), excludes: [] });
    fragile.memory.fill(0);
    expect(() => pool.occupied).toThrow(
      expect.objectContaining({ cause: expect.any(WebAssembly.RuntimeError) }),
    );
    const anew = await loadCore();
    using rebuilt = anew.createPool({ podCidr: cidr('10.0.0.0/24'), excludes: [] });
    expect(rebuilt.occupy(1)).toBe('occupied');
  });

  test('comes when a bitmap contradicts its summary or its count', async () => {
    const fragile = await fragileCore();
    const podCidr = cidr('10.0.0.0/24');
    const pool = fragile.core.createPool({ podCidr, excludes: [] });
    const at = fragile.memory.lastIndexOf(0x7f); // the last byte of the free bits: 254 is usable
    fragile.memory.fill(0, at - 31, at + 1);
    expect(() => pool.take()).toThrow(CoreTrapError);
  });

  test('another module is not taken for the core', async () => {
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    const { instance } = await WebAssembly.instantiate(empty);
    expect(() => new Engine(instance)).toThrow(TypeError);
  });
});
