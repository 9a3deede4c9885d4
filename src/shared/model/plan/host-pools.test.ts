// Pools of a host, with the real core: divisions that the original computed, both families,
// host-subnet mode, and every reason for which a NIC has no pool.
import { describe, expect, test } from 'bun:test';
import { loadCore } from '../../../../core-wasm/index.ts';
import { Random, seedTitle } from '../../../../core-wasm/test/random.ts';
import golden from '../../../../test/golden/crd/original-divisions.json';
import {
  block,
  brief,
  define,
  eth1,
  eth2,
  host,
  indices,
  network,
  nic,
} from '../../../../test/helpers/plan-network.ts';
import { addressBits } from '../ip/address.ts';
import { formatCidr } from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { chooseInterfaces, explainHostPools, findSharedNets, planHostPools } from './host-pools.ts';

const core = await loadCore();

describe('divisions of the original', () => {
  for (const row of golden.rows) {
    test(`${row.network.metadata.name} (${row.state})`, () => {
      const definition = define(row.network);
      const interfaceIndices = new Map(row.cidr.map((e) => [e.netAddress, e.interfaceIndex]));
      const planned = row.hosts.flatMap(({ hostName, interfaces }) => {
        const own = row.cidr.flatMap((entry) =>
          entry.hosts
            .filter((one) => one.hostName === hostName)
            .map((one): [string, number] => [entry.netAddress, one.hostIndex]),
        );
        const hostIndices = new Map(own);
        return planHostPools(core, definition, interfaceIndices, {
          hostName,
          interfaces,
          hostIndices,
        });
      });
      const stored = row.cidr.flatMap((entry) =>
        entry.hosts.map((one) => [one.ippool, one.podCIDR, entry.vlanCIDR, one.hostIP]),
      );
      const ours = planned.map((p) => [
        p.name,
        formatCidr(p.podCidr),
        formatCidr(p.vlanCidr),
        p.hostIp,
      ]);
      expect(ours.sort()).toEqual(stored.sort());
      if (definition.hostSubnetMode) return; // W-13: the original left host addresses in
      const excludes = Object.entries<string[]>(row.poolExcludes);
      for (const [name, texts] of excludes) {
        const pool = planned.find((one) => one.name === name);
        expect(pool?.excludes.map(formatCidr)).toEqual(texts.map((t) => formatCidr(block(t))));
      }
    });
  }
});

describe('pools', () => {
  test('have all that an IPPool and a route need', () => {
    const excludeCIDRs = ['192.168.64.70', '192.168.0.0/24'];
    const plan = planHostPools(core, network({}, { excludeCIDRs }), indices, host({ at: 1 }));
    expect(plan).toHaveLength(2);
    expect(plan[1]).toEqual({
      name: 'net-192.168.64.64-26',
      network: 'net',
      hostName: 'h0',
      interfaceName: 'eth2',
      hostIp: '10.0.2.5',
      netAddress: '10.0.2.0/24',
      interfaceIndex: 1,
      hostIndex: 1,
      vlanCidr: block('192.168.64.0/18'),
      podCidr: block('192.168.64.64/26'),
      excludes: [block('192.168.64.70/32')],
      family: 4,
    });
  });

  test('of an exclude that came later give no address, but stay', () => {
    const excludeCIDRs = ['192.168.0.0/24'];
    const [pool] = planHostPools(core, network({}, { excludeCIDRs }), indices, host({ at: 1 }));
    expect(pool?.excludes.map(formatCidr)).toEqual(['192.168.0.64/26']);
    using addresses = core.createPool(pool ?? { podCidr: block('::/0'), excludes: [] });
    expect(addresses.usable).toBe(0);
  });

  test('come for each family, IPv4 and IPv6', () => {
    const addresses = ['10.0.1.5/24', 'fd01::5/64'];
    const interfaces = [{ ...eth1, addresses }];
    const both = network({ subnet: '192.168.0.0/16,fd00::/48' });
    const pools = planHostPools(core, both, indices, host({ interfaces, at: 3 }));
    expect(brief(pools)).toEqual([
      'eth1 192.168.0.0/18 192.168.0.192/26',
      'eth1 fd00::/50 fd00:0:0:c0::/58',
    ]);
    expect(pools.map(({ hostIp, name }) => [hostIp, name])).toEqual([
      ['10.0.1.5', 'net-192.168.0.192-26'],
      ['fd01::5', 'net-fd00-0-0-c0-0-0-0-0-58'],
    ]);
  });

  test('have no host address where the NIC has none of their family', () => {
    const six = network({ subnet: 'fd00::/48' });
    expect(planHostPools(core, six, indices, host())[0]).toMatchObject({ hostIp: '', family: 6 });
  });

  test('are found by the net address however it is spelled', () => {
    const interfaces = [nic('eth1', 'FD01:0:0:0::/64', 'fd01::5')];
    const own = { hostName: 'h', interfaces, hostIndices: new Map([['fd01::/64', 0]]) };
    expect(planHostPools(core, network(), new Map([['fd01::/64', 3]]), own)).toHaveLength(1);
  });

  test('do not exist for foreign IPAM', () => {
    const foreign = network({}, { type: 'whereabouts' });
    expect(explainHostPools(core, foreign, indices, host())).toEqual({ pools: [], skipped: [] });
  });

  test('with hostBlock 0 are the whole vlan CIDR (one host only, see findSharedNets)', () => {
    const pools = planHostPools(core, network({}, { hostBlock: 0 }), indices, host());
    expect(brief(pools)).toEqual([
      'eth1 192.168.0.0/18 192.168.0.0/18',
      'eth2 192.168.64.0/18 192.168.64.0/18',
    ]);
  });
});

describe('a NIC without pool says why', () => {
  const masterNets = ['10.0.2.0/24'];
  const twin = { ...nic('eth0', '10.0.1.0/24', '10.0.1.6'), pciAddress: '0000:00:04.0' };
  const rows: [says: string, plan: () => ReturnType<typeof explainHostPools>, reason: string][] = [
    [
      'no net address',
      () => explainHostPools(core, network(), indices, host({ interfaces: [nic('eth1', '')] })),
      'it has no net address',
    ],
    [
      'a net address that is none',
      () => explainHostPools(core, network(), indices, host({ interfaces: [nic('eth1', 'x')] })),
      'it has no net address',
    ],
    [
      'not asked for',
      () => explainHostPools(core, network({ masterNets }), indices, host({ interfaces: [eth1] })),
      'its net address is not in masterNets',
    ],
    [
      'another NIC in the same net (W-11)',
      () => explainHostPools(core, network(), indices, host({ interfaces: [twin, eth1] })),
      'eth0 serves the same net address',
    ],
    [
      'no interface index yet',
      () => explainHostPools(core, network(), new Map(), host({ interfaces: [eth1] })),
      'its net address has no interface index',
    ],
    [
      'no host index yet',
      () => {
        const own = { hostName: 'h0', interfaces: [eth1], hostIndices: new Map<string, number>() };
        return explainHostPools(core, network(), indices, own);
      },
      'this host has no host index there',
    ],
    [
      'an interface index beyond the bits',
      () => {
        const beyond = new Map([['10.0.1.0/24', 4]]);
        return explainHostPools(core, network(), beyond, host({ interfaces: [eth1] }));
      },
      'interface index 4: index-out-of-range',
    ],
    [
      'a host index beyond the bits',
      () => explainHostPools(core, network(), indices, host({ interfaces: [eth1], at: 256 })),
      'host index 256: index-out-of-range',
    ],
    [
      'a host subnet that is too small for the bits (W-15)',
      () => {
        const subnets = network({ subnet: '' });
        return explainHostPools(core, subnets, indices, host({ interfaces: [eth1] }));
      },
      'prefix and blocks leave 0 bits for pods',
    ],
  ];
  for (const [says, plan, reason] of rows) {
    test(says, () => expect(plan().skipped.map((one) => one.reason)).toContain(reason));
  }

  test('and the others have theirs', () => {
    const plan = explainHostPools(
      core,
      network(),
      indices,
      host({ interfaces: [twin, eth1, eth2] }),
    );
    expect(plan.pools.map((p) => p.interfaceName)).toEqual(['eth0', 'eth2']);
    expect(plan.skipped).toEqual([
      {
        interfaceName: 'eth1',
        netAddress: '10.0.1.0/24',
        reason: 'eth0 serves the same net address',
      },
    ]);
  });
});

describe('of two NICs in one net (W-11)', () => {
  const withPci = (name: string, pciAddress: string): InterfaceInfo => ({
    ...nic(name, '10.0.1.0/24'),
    pciAddress,
  });
  const rows: [says: string, nics: InterfaceInfo[], chosen: string][] = [
    ['the lowest PCI address', [withPci('a', '0000:20:00.0'), withPci('b', '0000:10:00.0')], 'b'],
    ['letters of any case', [withPci('b', '0000:0B:00.0'), withPci('a', '0000:0a:00.0')], 'a'],
    ['one with PCI address before one without', [nic('a', '10.0.1.0/24'), withPci('b', '1')], 'b'],
    ['the lowest name', [nic('eth9', '10.0.1.0/24'), nic('eth10', '10.0.1.0/24')], 'eth10'],
    ['by spelling of the net', [nic('b', 'FD00::/64'), nic('a', 'fd00:0::/64')], 'a'],
  ];
  for (const [says, nics, chosen] of rows) {
    test(`${says}, in any order`, () => {
      for (const order of [nics, nics.toReversed()]) {
        expect([...chooseInterfaces(order).values()].map((n) => n.interfaceName)).toEqual([chosen]);
      }
    });
  }
});

describe('hostBlock 0 (W-12)', () => {
  const hosts = [
    { hostName: 'b', interfaces: [eth1, eth2] },
    { hostName: 'a', interfaces: [nic('ens1', '10.0.1.0/24')] },
    { hostName: 'c', interfaces: [nic('ens1', 'x')] },
  ];

  test('names the hosts that would share a pool', () => {
    const shared = findSharedNets(network({}, { hostBlock: 0 }), hosts);
    expect([...shared]).toEqual([['10.0.1.0/24', ['a', 'b']]]);
  });

  test('does not mind nets that take no part, nor any when there are host bits', () => {
    const masterNets = ['10.0.2.0/24'];
    expect(findSharedNets(network({ masterNets }, { hostBlock: 0 }), hosts).size).toBe(0);
    expect(findSharedNets(network(), hosts).size).toBe(0);
    expect(findSharedNets(network({}, { type: 'x', hostBlock: 0 }), hosts).size).toBe(0);
  });
});

test(`no address belongs to two positions (${seedTitle})`, () => {
  const random = new Random(510);
  for (let round = 0; round < 60; round++) {
    const hostBlock = random.between(1, 6);
    const interfaceBlock = random.between(0, 3);
    const subnet = random.oneIn(2) ? '10.0.0.0/12' : 'fd00::/100';
    const definition = network({ subnet }, { hostBlock, interfaceBlock });
    const nets = Array.from({ length: 2 ** interfaceBlock }, (_, i) => `172.16.${i}.0/24`);
    const interfaceIndices = new Map(nets.map((net, i) => [net, i]));
    const interfaces = nets.map((net, i) => nic(`eth${i}`, net));
    const pools = Array.from({ length: 2 ** hostBlock }, (_, at) =>
      planHostPools(core, definition, interfaceIndices, {
        hostName: `h${at}`,
        interfaces,
        hostIndices: new Map(nets.map((net) => [net, at])),
      }),
    ).flat();
    expect(pools).toHaveLength(2 ** (hostBlock + interfaceBlock));
    const sorted = pools.map((p) => p.podCidr).sort((a, b) => (a.base < b.base ? -1 : 1));
    for (const [i, cidr] of sorted.entries()) {
      const next = sorted[i + 1];
      const size = 1n << BigInt(addressBits[cidr.family] - cidr.prefix);
      if (next !== undefined) expect(cidr.base + size <= next.base).toBe(true);
    }
    expect(new Set(pools.map((p) => p.name)).size).toBe(pools.length);
  }
});
