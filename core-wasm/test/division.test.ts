// Properties of address arithmetic and division: random blocks against the plain oracle, and what
// the core refuses.
import { describe, expect, test } from 'bun:test';
import { type Cidr, loadCore } from '../index.ts';
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
      using clean = core.createPool({ podCidr: block, excludes: [exclude] });
      using dirty = core.createPool({ podCidr: block, excludes: [noisy] });
      expect(dirty.snapshot()).toEqual(clean.snapshot());
    }
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
    [
      'a pool with host bits',
      () => core.createPool({ podCidr: { ...parent, base: 1n }, excludes: [] }),
    ],
  ];
  for (const [title, attempt] of breaks) {
    test(title, () => {
      expect(attempt).toThrow(RangeError);
      expect(core.subnetAt(parent, 0, 8).ok).toBe(true); // and the core still works
    });
  }

  test('an address that is too long lies in no block', () => {
    expect(core.contains(parent, 1n << 32n)).toBe(false);
    expect(core.contains(parent, -1n)).toBe(false);
  });
});
