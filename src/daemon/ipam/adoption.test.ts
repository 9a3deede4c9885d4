// Records of the original against the addresses that running pods have: what is held afterwards, by
// the golden rows.
import { describe, expect, test } from 'bun:test';
import golden from '../../../test/golden/pools/adoption.json';
import { parseAddress } from '../../shared/model/ip/address.ts';
import { containsAddress, parseCidr } from '../../shared/model/ip/cidr.ts';
import { type Claim, mergeClaims } from './claims.ts';
import { findBeyondJournal } from './published-beyond.ts';

const toClaim = (text: string): Claim => {
  const [address = '', pod = ''] = text.split(' ');
  return { address, pod, namespace: 'default' };
};
const toText = ({ address, pod }: Claim): string => `${address} ${pod}`;

function isIn(podCidr: string, { address: text }: Claim): boolean {
  const [block, address] = [parseCidr(podCidr), parseAddress(text)];
  return block !== undefined && address !== undefined && containsAddress(block, address);
}

/** As a daemon with an empty journal takes a pool over. */
function takeOver(podCidr: string, recorded: readonly string[], active: readonly Claim[]) {
  const existsPod = ({ name }: { name: string }): boolean => active.some(({ pod }) => pod === name);
  const { claims, contested } = mergeClaims({
    listed: recorded.map(toClaim),
    stated: active.filter((claim) => isIn(podCidr, claim)),
    existsPod,
  });
  const nothing = { holders: new Map<string, string>(), resting: new Set<string>(), existsPod };
  const { lost } = findBeyondJournal(claims, nothing);
  return { held: lost.map(toText).sort(), contested };
}

describe.each(golden.rows)('$case', ({ recorded, active, held, changed }) => {
  test.each(golden.pools.map((podCidr, n) => ({ podCidr, n })))('$podCidr', ({ podCidr, n }) => {
    const before = recorded[n] ?? [];
    const after = takeOver(podCidr, before, active.map(toClaim));
    expect(after).toEqual({ held: held[n] ?? [], contested: [] });
    expect(after.held.join() !== [...before].sort().join()).toBe(changed[n] ?? false);
  });
});
