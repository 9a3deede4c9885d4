// Pools where pods share the subnets of the host NICs, and which excludes a pool has.
import { describe, expect, test } from 'bun:test';
import { loadCore } from '../../../../core-wasm/index.ts';
import hostSubnet from '../../../../test/golden/cidr/host-subnet-mode.json';
import poolGolden from '../../../../test/golden/cidr/pool-excludes.json';
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
import { formatCidr } from '../ip/cidr.ts';
import { hostAddressBlocks, isPoolAddress, planHostPools, poolExcludes } from './host-pools.ts';

const core = await loadCore();

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
      expect(found).toEqual(expected.map(block));
    });
  }

  test('are listed once', () => {
    const same = ['10.0.0.5/32', '10.0.0.5'].map(block);
    expect(poolExcludes(block('10.0.0.0/24'), same).map(formatCidr)).toEqual(['10.0.0.5/32']);
  });
});
