// The excludes that a pool is published with, against the golden files: which, in what order, and
// in whose spelling.
import { describe, expect, test } from 'bun:test';
import golden from '../../../test/golden/cidr/pool-excludes.json';
import sorted from '../../../test/golden/cidr/sorted-excludes.json';
import type { Cidr } from '../../shared/model/ip/cidr.ts';
import { poolExcludes } from '../../shared/model/plan/host-pools.ts';
import { parseNetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import { parseExclude } from '../ipam/pool-plan.ts';
import { excludeTexts, spellExcludes } from './spell-excludes.ts';

const block = (text: string): Cidr => {
  const cidr = parseExclude(text);
  if (cidr === undefined) throw new Error(`${text} is no exclude`);
  return cidr;
};

/** As the plan chooses them and the publisher writes them. */
const publish = (podCidr: string, texts: readonly string[]): string[] =>
  spellExcludes(poolExcludes(block(podCidr), texts.map(block)), texts);

describe('excludes of a pool', () => {
  test.each(golden.excludes)('of %p', ({ podCidr, excludes, poolExcludes: published, covered }) => {
    // One that covers the pod CIDR is no exclude inside of it.
    expect(publish(podCidr, excludes)).toEqual(published);
    if (covered) expect(published).toEqual([]);
  });

  test.each(sorted.rows)('are in the order of %p', ({ excludes, sorted: wanted }) => {
    const [whole = '0.0.0.0/0'] = excludes.some((text) => text.includes(':')) ? ['::/0'] : [];
    expect(publish(whole, excludes)).toEqual(wanted);
  });

  test('are written as the network writes them, else as before, else as blocks', () => {
    const excludes = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(block);
    expect(spellExcludes(excludes, ['10.0.0.1', '10.0.0.1/32', '10.0.0.2/32', 'nonsense'])).toEqual(
      ['10.0.0.1', '10.0.0.2/32', '10.0.0.3/32'],
    );
  });

  test('are read from the network, if it has some', () => {
    const read = (ipam: object): string[] => {
      const text = JSON.stringify({
        type: 'multi-nic-ipam',
        hostBlock: 6,
        interfaceBlock: 2,
        ...ipam,
      });
      const plugin = { cniVersion: '0.3.0', type: 'macvlan' };
      const spec = { subnet: '10.0.0.0/16', ipam: text, multiNICIPAM: true, plugin };
      const parsed = parseNetworkDefinition({ metadata: { name: 'net' }, spec });
      if (!parsed.ok) throw new Error(parsed.issues.join());
      return excludeTexts(parsed.network);
    };
    expect(read({ excludeCIDRs: ['10.0.0.9', '10.0.1.0/24'] })).toEqual([
      '10.0.0.9',
      '10.0.1.0/24',
    ]);
    expect(read({ excludeCIDRs: null })).toEqual([]);
    expect(excludeTexts(undefined)).toEqual([]);
  });
});
