// Pools of a host, with the real core: divisions that the original computed, both families,
// host-subnet mode, and every reason for which a NIC has no pool.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { loadCore } from '../../../../core-wasm/index.ts';
import { Random, seedTitle } from '../../../../core-wasm/test/random.ts';
import hostSubnet from '../../../../test/golden/cidr/host-subnet-mode.json';
import poolGolden from '../../../../test/golden/cidr/pool-excludes.json';
import golden from '../../../../test/golden/crd/original-divisions.json';
import { addressBits, parseAddress } from '../ip/address.ts';
import { type Cidr, cidrOf, formatCidr, parseCidr } from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { MultiNicNetwork } from '../objects/multi-nic-network.ts';
import {
  chooseInterfaces,
  explainHostPools,
  findSharedNets,
  type HostPool,
  hostAddressBlocks,
  isPoolAddress,
  planHostPools,
  poolExcludes,
} from './host-pools.ts';
import { type NetworkDefinition, parseNetworkDefinition } from './network-definition.ts';
import { poolName } from './pool-name.ts';

const core = await loadCore();

function define(object: unknown): NetworkDefinition {
  const parsed = parseNetworkDefinition(v.parse(MultiNicNetwork, object));
  if (!parsed.ok) throw new Error(parsed.issues.join('\n'));
  return parsed.network;
}

function network(spec: Record<string, unknown> = {}, ipam: Record<string, unknown> = {}) {
  const section = { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' };
  return define({
    metadata: { name: 'net', uid: 'u' },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify({ ...section, ...ipam }),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'ipvlan' },
      ...spec,
    },
  });
}

function block(text: string): Cidr {
  const address = parseAddress(text);
  if (address !== undefined) return cidrOf(address, addressBits[address.family]);
  const cidr = parseCidr(text, { allowHostBits: true });
  if (cidr === undefined) throw new Error(`${text} is no block`);
  return cidr;
}

const nic = (interfaceName: string, netAddress: string, hostIP = ''): InterfaceInfo => ({
  interfaceName,
  netAddress,
  hostIP,
});

const eth1 = nic('eth1', '10.0.1.0/24', '10.0.1.5');
const eth2 = nic('eth2', '10.0.2.0/24', '10.0.2.5');
const indices = new Map([
  ['10.0.1.0/24', 0],
  ['10.0.2.0/24', 1],
]);

function host(o: { interfaces?: InterfaceInfo[]; at?: number; reserved?: Cidr[] } = {}) {
  const { interfaces = [eth1, eth2], at = 0, reserved = [] } = o;
  const hostIndices = new Map([...indices.keys()].map((net) => [net, at]));
  return { hostName: 'h0', interfaces, hostIndices, reserved };
}

function brief(pools: readonly HostPool[]): string[] {
  return pools.map((p) => `${p.interfaceName} ${formatCidr(p.vlanCidr)} ${formatCidr(p.podCidr)}`);
}

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
    expect(plan).toHaveLength(1);
    expect(plan[0]).toEqual({
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
      'a block that is excluded as a whole',
      () => {
        const excludeCIDRs = ['192.168.0.0/26'];
        const excluding = network({}, { excludeCIDRs });
        return explainHostPools(core, excluding, indices, host({ interfaces: [eth1] }));
      },
      'its pod CIDR is excluded as a whole',
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

describe('host-subnet mode', () => {
  for (const { netAddress, hostBits, hosts, refused } of hostSubnet.blocks) {
    if (refused !== undefined || hostBits > 6) continue; // the others leave no addresses
    test(`${netAddress} with hostBlock ${hostBits} (W-13)`, () => {
      const all = hosts.map((one) => ({
        hostName: one.host,
        interfaces: [nic('eth1', netAddress, one.hostIp)],
        hostIndices: new Map([[netAddress, one.hostIndex]]),
      }));
      const definition = define({
        metadata: { name: 'aws' },
        spec: {
          ipam: JSON.stringify({ type: 'multi-nic-ipam', hostBlock: hostBits, interfaceBlock: 0 }),
          plugin: { cniVersion: '0.3.0', type: 'ipvlan' },
        },
      });
      const reserved = hostAddressBlocks(all);
      const pools = all.flatMap((one) =>
        planHostPools(core, definition, new Map([[netAddress, 5]]), { ...one, reserved }),
      );
      expect(
        pools.map((p) => ({
          host: p.hostName,
          podCidr: formatCidr(p.podCidr),
          vlanCidr: formatCidr(p.vlanCidr),
          pool: p.name,
          excludes: p.excludes.map(formatCidr),
        })),
      ).toEqual(
        hosts.map(({ host: name, podCidr, pool, excludes }) => ({
          host: name,
          podCidr,
          vlanCidr: netAddress,
          pool,
          excludes,
        })),
      );
    });
  }

  test("keeps a host's addresses of all its NICs and the gateways of pods out of pools", () => {
    const routes = [{ dst: '10.9.0.0/16', gw: '10.0.1.1' }, { dst: '10.8.0.0/16' }];
    const definition = network({ subnet: '' }, { hostBlock: 2, routes });
    const interfaces = [{ ...eth1, addresses: ['10.0.1.5/24', '10.0.1.9/32', 'fe80::1/64'] }, eth2];
    const [pool] = planHostPools(core, definition, indices, host({ interfaces }));
    expect(pool?.excludes.map(formatCidr)).toEqual(['10.0.1.1/32', '10.0.1.5/32', '10.0.1.9/32']);
    for (const [address, may] of [
      ['10.0.1.2', true],
      ['10.0.1.5', false],
      ['10.0.1.64', false],
      ['fd00::1', false],
      ['x', false],
    ] as const) {
      expect(pool && isPoolAddress(pool, address)).toBe(may);
    }
  });

  test('takes no notice of other addresses where there is a subnet', () => {
    const reserved = [block('192.168.0.5/32')];
    const [pool] = planHostPools(core, network(), indices, host({ reserved }));
    expect(pool?.excludes).toEqual([]);
  });

  test('works with IPv6 nets', () => {
    const interfaces = [nic('eth1', 'fd01::/64', 'fd01::5')];
    const own = { hostName: 'h', interfaces, hostIndices: new Map([['fd01::/64', 2]]) };
    const pools = planHostPools(core, network({ subnet: '' }), new Map([['fd01::/64', 0]]), own);
    expect(brief(pools)).toEqual(['eth1 fd01::/64 fd01::200:0:0:0/72']);
  });
});

describe('excludes of a pool', () => {
  for (const { excludes, podCidr, poolExcludes: expected } of poolGolden.excludes) {
    test(`${excludes} in ${podCidr}`, () => {
      const found = poolExcludes(block(podCidr), excludes.map(block));
      expect(found.map(formatCidr)).toEqual(expected);
    });
  }

  test('are listed once', () => {
    const same = ['10.0.0.5/32', '10.0.0.5'].map(block);
    expect(poolExcludes(block('10.0.0.0/24'), same).map(formatCidr)).toEqual(['10.0.0.5/32']);
  });
});

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
