// Properties of address arithmetic and division: random blocks against the plain oracle, and what
// the core refuses.
import { describe, expect, test } from 'bun:test';
import { type Cidr, type IndexChoice, loadCore } from '../index.ts';
import * as oracle from './oracle.ts';
import { Random, seedTitle } from './random.ts';
import { cidr } from './text.ts';

const core = await loadCore();
const families: [4, 6] = [4, 6];

/** A block without host bits. Prefixes near the ends and the middle of an address come often. */
function randomBlock(random: Random, family: 4 | 6): Cidr {
  const width = family === 4 ? 32 : 128;
  const edges: [number, ...number[]] = [0, 1, width / 2, width - 2, width - 1, width];
  const prefix = random.oneIn(2) ? random.pick(edges) : random.between(0, width);
  return { family, base: random.bits(prefix) << BigInt(width - prefix), prefix };
}

/** A block that has something to do with `near`: around it, inside it or beside it. */
function relatedBlock(random: Random, near: Cidr): Cidr {
  const width = near.family === 4 ? 32 : 128;
  const prefix = Math.min(width, Math.max(0, near.prefix + random.between(-6, 12)));
  const hostBits = BigInt(width - prefix);
  const moved = near.base + random.bits(Math.max(0, width - near.prefix + random.below(2)));
  return {
    family: near.family,
    base: (BigInt.asUintN(width, moved) >> hostBits) << hostBits,
    prefix,
  };
}

/** Blocks to leave out: related ones, unrelated ones and some of the other family. */
function randomExcludes(random: Random, near: Cidr): Cidr[] {
  return Array.from({ length: random.below(6) }, () =>
    random.oneIn(4) ? randomBlock(random, random.pick(families)) : relatedBlock(random, near),
  );
}

describe(`random blocks (${seedTitle})`, () => {
  test('subnetAt equals the oracle', () => {
    const random = new Random(1);
    for (let round = 0; round < 3000; round++) {
      const block = randomBlock(random, random.pick(families));
      const parent = random.oneIn(8) ? { ...block, base: block.base | 1n } : block;
      const bits = random.between(0, 34);
      const index = random.oneIn(2) ? random.below(2 ** Math.min(bits, 32)) : random.below(70000);
      const expected = oracle.subnetAt(parent, index, bits);
      expect(core.subnetAt(parent, index, bits)).toEqual(expected);
    }
  });

  test('isCovered, overlaps and contains equal the oracle', () => {
    const random = new Random(2);
    for (let round = 0; round < 3000; round++) {
      const block = randomBlock(random, random.pick(families));
      const excludes = randomExcludes(random, block);
      expect(core.isCovered(block, excludes)).toBe(oracle.isCovered(block, excludes));
      for (const other of excludes) {
        expect(core.overlaps(block, other)).toBe(oracle.overlaps(block, other));
        const { first, last } = oracle.endsOf(block);
        expect(core.contains(block, other.base)).toBe(other.base >= first && other.base <= last);
      }
    }
  });

  test('host bits of an exclude do not count', () => {
    const random = new Random(3);
    for (let round = 0; round < 500; round++) {
      const block = randomBlock(random, random.pick(families));
      const exclude = relatedBlock(random, block);
      const noise = random.bits((block.family === 4 ? 32 : 128) - exclude.prefix);
      const noisy = { ...exclude, base: exclude.base | noise };
      expect(core.isCovered(block, [noisy])).toBe(core.isCovered(block, [exclude]));
      const choice = { ...randomChoice(random), parent: block, bits: 0, excludes: [exclude] };
      choice.bits = Math.min(5, (block.family === 4 ? 32 : 128) - block.prefix);
      const quiet = core.nextIndices(choice, 32);
      expect(core.nextIndices({ ...choice, excludes: [noisy] }, 32)).toEqual(quiet);
      using clean = core.createPool({ podCidr: block, excludes: [exclude] });
      using dirty = core.createPool({ podCidr: block, excludes: [noisy] });
      expect(dirty.snapshot()).toEqual(clean.snapshot());
    }
  });

  test('nextIndex equals the oracle in both orders', () => {
    const random = new Random(4);
    for (let round = 0; round < 1500; round++) {
      const choice = randomChoice(random);
      expect(core.nextIndex(choice)).toBe(oracle.nextIndex(choice));
    }
  });

  test('nextIndices gives what nextIndex gives one after another', () => {
    const random = new Random(5);
    for (let round = 0; round < 300; round++) {
      const choice = randomChoice(random);
      const used = new Set(choice.used);
      const expected: number[] = [];
      for (let next = 0; expected.length < 40; ) {
        next = oracle.nextIndex({ ...choice, used }) ?? -1;
        if (next < 0) break;
        used.add(next);
        expected.push(next);
      }
      expect([...core.nextIndices(choice, 40)]).toEqual(expected);
    }
  });

  test('divideMany gives what subnetAt gives', () => {
    const random = new Random(6);
    for (let round = 0; round < 200; round++) {
      const { parent, bits } = randomChoice(random);
      const indices = Uint32Array.from({ length: random.below(50) }, () => random.below(2 ** bits));
      const bases = core.divideMany(parent, bits, indices);
      const width = parent.family === 4 ? 1 : 2;
      expect(bases.length).toBe(width * indices.length);
      for (const [at, index] of indices.entries()) {
        const [first = 0n, second = 0n] = bases.subarray(width * at, width * at + width);
        const base = width === 1 ? first : (first << 64n) | second;
        expect(core.subnetAt(parent, index, bits)).toMatchObject({ cidr: { base } });
      }
    }
  });
});

function randomChoice(random: Random): IndexChoice {
  const family = random.pick(families);
  const width = family === 4 ? 32 : 128;
  const bits = random.between(0, 7);
  // Every other division crosses the middle of an address, where the halves of IPv6 meet.
  const prefix = random.oneIn(2)
    ? random.between(width / 2 - 7, width / 2)
    : random.between(0, width - bits);
  const parent = { family, base: random.bits(prefix) << BigInt(width - prefix), prefix };
  const count = random.below(2 ** bits + 2);
  const used = Array.from({ length: count }, () => random.below(2 ** bits + 2));
  return {
    parent,
    bits,
    used: random.oneIn(3) ? Uint32Array.from(used) : used,
    excludes: randomExcludes(random, parent),
    order: random.pick(['first-gap', 'after-highest']),
  };
}

describe('large divisions', () => {
  test('an index may be as great as u32 allows', () => {
    const rest = { parent: cidr('::/0'), bits: 64, excludes: [] };
    const used = [0xfffffffe];
    expect(core.nextIndex({ ...rest, used, order: 'after-highest' })).toBe(0xffffffff);
    expect(core.nextIndex({ ...rest, used: [0xffffffff], order: 'after-highest' })).toBe(0);
  });

  test('an exclude that covers billions of blocks is passed in one step', () => {
    const rest = { parent: cidr('2001:db8::/32'), bits: 64, used: [] };
    const half = [cidr('2001:db8::/65')];
    expect(core.nextIndex({ ...rest, excludes: half, order: 'first-gap' })).toBe(0x80000000);
    const all = [cidr('2001:db8::/64')];
    expect(core.nextIndex({ ...rest, excludes: all, order: 'first-gap' })).toBeUndefined();
  });

  test('an exclude beyond the greatest index changes nothing', () => {
    const rest = {
      parent: cidr('2001:db8::/32'),
      bits: 64,
      used: [0],
      order: 'first-gap' as const,
    };
    for (const beyond of ['2001:db8:8000::/40', '2001:db8:0:0:1::/96', '2001:db8:0:1::/64']) {
      expect(core.nextIndices({ ...rest, excludes: [cidr(beyond)] }, 2)).toEqual(
        Uint32Array.of(1, 2),
      );
    }
  });

  test('several excludes are left out whatever their order', () => {
    const list = ['10.0.9.0/24', '10.0.5.0/24', '10.0.2.0/23', '10.0.4.0/22', '10.0.2.0/24'];
    const expected = Uint32Array.of(0, 1, 8, 10, 11, 12);
    const rest = { parent: cidr('10.0.0.0/8'), bits: 16, used: [], order: 'first-gap' as const };
    for (const texts of [list, list.toReversed(), list.toSorted()]) {
      expect(core.nextIndices({ ...rest, excludes: texts.map(cidr) }, 6)).toEqual(expected);
    }
    const sparse = ['2001:db8:0:9::/64', '2001:db8:0:5::/64', '2001:db8:0:7::/64'].map(cidr);
    const parent = cidr('2001:db8::/60');
    expect(core.nextIndices({ ...rest, parent, bits: 4, excludes: sparse }, 16)).toEqual(
      Uint32Array.of(0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15),
    );
  });

  test('an exclude covers blocks on both sides of the middle of an address', () => {
    const rest = { parent: cidr('2001:db8::/60'), bits: 8, order: 'first-gap' as const };
    const used = Array.from({ length: 15 }, (_, at) => at);
    const excludes = [cidr('2001:db8:0:1::/64'), cidr('2001:db8:0:2:8000::/65')];
    const next = core.nextIndices({ ...rest, used, excludes }, 10);
    expect(next).toEqual(Uint32Array.of(15, 32, 33, 34, 35, 36, 37, 38, 39, 48));
  });

  test('131,072 used indices in any order, and one more is refused', () => {
    const rest = { parent: cidr('10.0.0.0/8'), bits: 20, excludes: [] };
    const used = Uint32Array.from({ length: 131072 }, (_, at) => 131071 - at);
    expect(core.nextIndex({ ...rest, used, order: 'first-gap' })).toBe(131072);
    expect(used[0]).toBe(131071); // the caller's list is left as it was
    const more = [...used, 131072];
    expect(() => core.nextIndex({ ...rest, used: more, order: 'first-gap' })).toThrow(RangeError);
  });

  test('65,536 indices and their blocks at once', () => {
    const parent = cidr('2001:db8::/40');
    const choice = { parent, bits: 24, used: [], excludes: [], order: 'first-gap' as const };
    const indices = core.nextIndices(choice, 65536);
    expect(indices.length).toBe(65536);
    const bases = core.divideMany(parent, 24, indices);
    expect(bases.at(-2)).toBe((parent.base >> 64n) + 65535n);
    expect(() => core.nextIndices(choice, 65537)).toThrow(RangeError);
  });

  test('4,096 excludes, and one more is refused', () => {
    const parent = cidr('10.0.0.0/8');
    const excludes = Array.from({ length: 4096 }, (_, at) => ({
      family: 4 as const,
      base: parent.base + (BigInt(4095 - at) << 8n),
      prefix: 24,
    }));
    const rest = { parent, bits: 16, used: [], order: 'first-gap' as const };
    expect(core.nextIndex({ ...rest, excludes })).toBe(4096);
    expect(() => core.nextIndex({ ...rest, excludes: [...excludes, parent] })).toThrow(RangeError);
  });
});

describe('contract breaks are a RangeError', () => {
  const parent = cidr('10.0.0.0/8');
  const breaks: [string, () => unknown][] = [
    ['an index that is not an integer', () => core.subnetAt(parent, 1.5, 8)],
    ['an index that is not a number', () => core.subnetAt(parent, Number.NaN, 8)],
    ['bits that are not an integer', () => core.subnetAt(parent, 1, 8.5)],
    ['bits below 0', () => core.subnetAt(parent, 1, -1)],
    ['bits above 128', () => core.subnetAt(parent, 1, 129)],
    ['an IPv4 prefix above 32', () => core.subnetAt({ ...parent, prefix: 33 }, 0, 0)],
    ['a prefix below 0', () => core.isCovered({ ...parent, prefix: -1 }, [parent])],
    ['an IPv4 address above 2^32', () => core.overlaps(parent, { ...parent, base: 1n << 32n })],
    ['an address below 0', () => core.overlaps({ ...parent, base: -1n }, parent)],
    [
      'an IPv6 address above 2^128',
      () => core.subnetAt({ family: 6, base: 1n << 128n, prefix: 0 }, 0, 0),
    ],
    ['an index without a block', () => core.divideMany(parent, 2, Uint32Array.of(0, 4))],
    [
      'a parent with host bits',
      () => core.divideMany({ ...parent, base: 1n }, 2, new Uint32Array(1)),
    ],
    ['more bits than there are', () => core.nextIndex({ ...base(), bits: 25 })],
    ['a used index that is not one', () => core.nextIndex({ ...base(), used: [1, -1] })],
    ['a used index with a fraction', () => core.nextIndex({ ...base(), used: [0.5] })],
    [
      'a pool with host bits',
      () => core.createPool({ podCidr: { ...parent, base: 1n }, excludes: [] }),
    ],
  ];
  function base(): IndexChoice {
    return { parent, bits: 8, used: [], excludes: [], order: 'first-gap' };
  }
  for (const [title, attempt] of breaks) {
    test(title, () => {
      expect(attempt).toThrow(RangeError);
      expect(core.nextIndex(base())).toBe(0); // and the core still works
    });
  }

  test('an address that is too long lies in no block', () => {
    expect(core.contains(parent, 1n << 32n)).toBe(false);
    expect(core.contains(parent, -1n)).toBe(false);
  });
});
