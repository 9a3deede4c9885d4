// Which of two overlapping networks gives way.
import { describe, expect, test } from 'bun:test';
import { parseCidr } from '../../shared/model/ip/cidr.ts';
import { type Footprint, planOverlaps } from './footprints.ts';

function footprint(name: string, createdAt: string, blocks: string[], isInUse = false): Footprint {
  return { name, createdAt, isInUse, blocks: blocks.flatMap((text) => parseCidr(text) ?? []) };
}

describe('planOverlaps (W-17)', () => {
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

  test('two in use that overlap are both counted', () => {
    const list = [
      footprint('a', '1', ['10.0.0.0/16'], true),
      footprint('b', '2', ['10.0.0.0/15'], true),
      footprint('c', '3', ['10.1.0.0/16']),
    ];
    expect([...planOverlaps(list).keys()]).toEqual(['b', 'c']);
  });
});
