// What the executable checks an answer against must not follow from the answer.
import { expect, test } from 'bun:test';
import { parseCidr } from '../../shared/model/ip/cidr.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import type { PoolRecord } from '../ipam/pool-set.ts';
import type { Attached } from './attach.ts';
import { toReply } from './reply.ts';

const cidr = (text: string) => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

/** An attachment of one NIC that holds an IPv4 address and nothing else. */
function attached(network: { subnets: string[]; hostSubnetMode: boolean }): Attached {
  const name = 'net1-0';
  const pool = {
    name: 'p',
    podCidr: cidr('192.168.0.0/24'),
    vlanCidr: cidr('192.168.0.0/18'),
    excludes: [],
  };
  const nic = {
    name,
    addresses: [{ address: '192.168.0.1', prefix: 18, pool: 'p', index: 1, family: 4 }],
  };
  const definition = {
    hostSubnetMode: network.hostSubnetMode,
    subnets: network.subnets.map(cidr),
  };
  // Only what a reply is made of.
  return {
    attachment: { netnsPath: '/run/netns/c1', nics: [nic] } as unknown as Attached['attachment'],
    links: [{ name, mac: '02:00:00:00:00:01', mtu: 1500 } as Attached['links'][number]],
    steps: {},
    plan: {
      network: definition as unknown as NetworkDefinition,
      nics: [{ name, nic: {}, pools: [{ plan: pool } as unknown as PoolRecord] }],
      routes: { installed: [] },
      considered: [],
    } as unknown as Attached['plan'],
  };
}

test('families are those of the network, though an address of one is missing', () => {
  const dual = { subnets: ['192.168.0.0/16', 'fd00::/64'], hostSubnetMode: false };
  expect(toReply(attached(dual)).families).toEqual([4, 6]);
});

test('in host-subnet mode they are those of the pools', () => {
  expect(toReply(attached({ subnets: [], hostSubnetMode: true })).families).toEqual([4]);
});
