// Which of two overlapping networks gives way.
import { describe, expect, test } from 'bun:test';
import { Random, seedTitle } from '../../../core-wasm/test/random.ts';
import {
  type Cidr,
  cidrOf,
  formatCidr,
  overlapsCidr,
  parseCidr,
} from '../../shared/model/ip/cidr.ts';
import { type Footprint, planOverlaps } from './footprints.ts';

function footprint(name: string, createdAt: string, blocks: string[], isInUse = false): Footprint {
  const all = blocks.flatMap((text) => parseCidr(text) ?? []);
  const [held, wanted] = isInUse ? [all, []] : [[], all];
  return { name, createdAt, held, wanted };
}

/** The same by comparing each with all that come before it. */
function naiveOverlaps(footprints: readonly Footprint[]): Map<string, string> {
  const rankOf = ({ held, createdAt, name }: Footprint): string =>
    `${held.length > 0 ? 0 : 1} ${createdAt} ${name}`;
  const blocksOf = ({ held, wanted }: Footprint): readonly Cidr[] => [...held, ...wanted];
  const ordered = [...footprints].sort((a, b) => (rankOf(a) < rankOf(b) ? -1 : 1));
  const taken: Footprint[] = [];
  const overlaps = new Map<string, string>();
  for (const one of ordered) {
    const other = taken.find((footprint) =>
      blocksOf(footprint).some((theirs) => blocksOf(one).some((own) => overlapsCidr(own, theirs))),
    );
    if (other !== undefined) overlaps.set(one.name, other.name);
    if (other === undefined || one.held.length > 0) taken.push(one);
  }
  return overlaps;
}

function randomFootprint(random: Random, name: string): Footprint {
  const block = (): string => {
    const prefix = random.between(8, 14);
    const base = random.below(64) * 2 ** 18;
    return formatCidr(cidrOf({ family: 4, value: BigInt(base) + (10n << 24n) }, prefix));
  };
  const blocks = Array.from({ length: random.between(0, 3) }, block);
  return footprint(name, String(random.below(5)), blocks, random.oneIn(3));
}

describe('planOverlaps (W-17)', () => {
  test(`finds what comparing all with all finds, ${seedTitle}`, () => {
    const random = new Random(77);
    for (let world = 0; world < 300; world++) {
      const list = Array.from({ length: random.between(1, 14) }, (_, index) =>
        randomFootprint(random, `n${index}`),
      );
      const found = [...planOverlaps(list)].map(([name, { other }]): [string, string] => [
        name,
        other,
      ]);
      expect(new Map(found)).toEqual(naiveOverlaps(list));
    }
  });

  test('networks with blocks of their own do not meet', () => {
    const apart = [
      footprint('a', '1', ['192.168.0.0/16']),
      footprint('b', '2', ['192.169.0.0/16', 'fd00::/48']),
      footprint('c', '3', ['fd01::/48']),
    ];
    expect([...planOverlaps(apart)]).toEqual([]);
  });

  test('the later one gives way, whatever the order of the list', () => {
    const first = footprint('z', '1', ['10.0.0.0/8']);
    const second = footprint('a', '2', ['10.5.0.0/16', '192.168.0.0/16']);
    const expected = new Map([['a', { other: 'z', block: '10.5.0.0/16' }]]);
    expect(planOverlaps([first, second])).toEqual(expected);
    expect(planOverlaps([second, first])).toEqual(expected);
  });

  test('of two of the same second the name decides', () => {
    const both = [footprint('b', '1', ['10.0.0.0/8']), footprint('a', '1', ['10.0.0.0/8'])];
    expect([...planOverlaps(both).keys()]).toEqual(['b']);
  });

  test('one that hosts hold indices of comes before an earlier one that nobody uses', () => {
    const unused = footprint('old', '1', ['10.0.0.0/8']);
    const used = footprint('new', '2', ['10.0.0.0/8'], true);
    expect([...planOverlaps([unused, used]).keys()]).toEqual(['old']);
  });

  test('one that is refused takes nothing from a third', () => {
    const list = [
      footprint('a', '1', ['10.0.0.0/16']),
      footprint('b', '2', ['10.0.0.0/15']),
      footprint('c', '3', ['10.1.0.0/16']),
    ];
    expect([...planOverlaps(list).keys()]).toEqual(['b']);
  });

  test('one in use that wants more does not disturb another in use', () => {
    const growing = footprint('a', '1', ['10.0.0.0/16'], true);
    const wanted = [...growing.held, ...footprint('', '', ['fd00::/48']).wanted];
    const other = footprint('b', '2', ['fd00::/48'], true);
    const expected = new Map([['a', { other: 'b', block: 'fd00::/48' }]]);
    expect(planOverlaps([{ ...growing, wanted }, other])).toEqual(expected);
  });

  test('two in use that overlap are both counted', () => {
    const list = [
      footprint('a', '1', ['10.0.0.0/16'], true),
      footprint('b', '2', ['10.0.0.0/15'], true),
      footprint('c', '3', ['10.1.0.0/16']),
    ];
    expect([...planOverlaps(list).keys()]).toEqual(['b', 'c']);
  });
});
