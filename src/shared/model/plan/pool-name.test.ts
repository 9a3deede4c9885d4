// Names of IPPool objects against the golden vectors.
import { describe, expect, test } from 'bun:test';
import poolGolden from '../../../../test/golden/cidr/pool-excludes.json';
import { block } from '../../../../test/helpers/plan-network.ts';
import { parseCidr } from '../ip/cidr.ts';
import { poolName } from './pool-name.ts';

describe('names of pools', () => {
  for (const { network: name, podCidr, name: expected } of poolGolden.names) {
    if (parseCidr(podCidr) === undefined) continue; // ours never have host bits
    test(expected, () => expect(poolName(name, block(podCidr))).toBe(expected));
  }

  test('IPv6 has its eight groups', () => {
    expect(poolName('net', block('fd00::/64'))).toBe('net-fd00-0-0-0-0-0-0-0-64');
    expect(poolName('net', block('2001:DB8::1/128'))).toBe('net-2001-db8-0-0-0-0-0-1-128');
  });
});
