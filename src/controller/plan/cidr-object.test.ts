// The CIDR object as it is written, and older records as they are read.
import { describe, expect, test } from 'bun:test';
import { parseCidr } from '../../shared/model/ip/cidr.ts';
import type { CidrHost, CidrObjectSpec } from '../../shared/model/objects/cidr-object.ts';
import type { HostPool } from '../../shared/model/plan/host-pools.ts';
import { type CidrInput, isSameCidr, planCidrObject } from './cidr-object.ts';
import { indexOfBlock, readCidrObject, readPools } from './records.ts';

const A = '10.1.0.0/16';

function cidr(text: string) {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function pool(hostName: string, hostIndex: number, change: Partial<HostPool> = {}): HostPool {
  const podCidr = cidr(`192.168.${hostIndex}.0/24`);
  return {
    name: `net-192.168.${hostIndex}.0-24`,
    network: 'net',
    hostName,
    interfaceName: 'eth1',
    hostIp: `10.1.0.${10 + hostIndex}`,
    netAddress: A,
    interfaceIndex: 0,
    hostIndex,
    vlanCidr: cidr('192.168.0.0/18'),
    podCidr,
    excludes: [],
    family: 4,
    ...change,
  };
}

const config: CidrObjectSpec['config'] = {
  name: 'net',
  type: 'ipvlan',
  subnet: '192.168.0.0/16',
  masterNets: [A],
  hostBlock: 6,
  interfaceBlock: 2,
};

function plan(pools: HostPool[], change: Partial<CidrInput> = {}): CidrObjectSpec {
  const result = planCidrObject({
    config,
    nets: [{ netAddress: A, interfaceIndex: 0, vlanCidrs: ['192.168.0.0/18'] }],
    pools,
    poolCount: pools.length,
    previous: undefined,
    isStillHeld: () => false,
    ...change,
  });
  if (result.kind !== 'spec') throw new Error(`${result.bytes} bytes`);
  return result.spec;
}

describe('planCidrObject', () => {
  test('hosts are in the order of their index', () => {
    const [entry] = plan([pool('b', 4), pool('a', 0)]).cidr;
    expect(entry).toEqual({
      netAddress: A,
      interfaceIndex: 0,
      vlanCIDR: '192.168.0.0/18',
      hosts: [
        {
          hostIndex: 0,
          hostName: 'a',
          interfaceName: 'eth1',
          hostIP: '10.1.0.10',
          podCIDR: '192.168.0.0/24',
          ippool: 'net-192.168.0.0-24',
        },
        {
          hostIndex: 4,
          hostName: 'b',
          interfaceName: 'eth1',
          hostIP: '10.1.0.14',
          podCIDR: '192.168.4.0/24',
          ippool: 'net-192.168.4.0-24',
        },
      ],
    });
  });

  test('W-21: a net address without hosts has an empty list, not null', () => {
    expect(plan([]).cidr[0]?.hosts).toEqual([]);
  });

  test('W-11: a host has one record per net address', () => {
    const hosts = plan([pool('a', 0), pool('a', 0, { interfaceName: 'eth2' })]).cidr[0]?.hosts;
    expect(hosts?.map(({ interfaceName }) => interfaceName)).toEqual(['eth1']);
  });

  test('a two-family network has an entry per family', () => {
    const nets = [{ netAddress: A, interfaceIndex: 0, vlanCidrs: ['192.168.0.0/18', 'fd00::/50'] }];
    const six = pool('a', 0, {
      vlanCidr: cidr('fd00::/50'),
      podCidr: cidr('fd00::/56'),
      family: 6,
    });
    const { cidr: entries } = plan([pool('a', 0), six], { nets });
    expect(entries.map(({ vlanCIDR, hosts }) => [vlanCIDR, hosts[0]?.podCIDR])).toEqual([
      ['192.168.0.0/18', '192.168.0.0/24'],
      ['fd00::/50', 'fd00::/56'],
    ]);
  });

  test('W-05: the stored record of a NIC that is away is kept while its index is held', () => {
    const previous = plan([pool('a', 0), pool('b', 1)]);
    const isStillHeld = (_: string, host: CidrHost): boolean => host.hostName === 'b';
    expect(plan([pool('a', 0)], { previous, isStillHeld })).toEqual(previous);
    expect(plan([pool('a', 0)], { previous }).cidr[0]?.hosts).toHaveLength(1);
  });

  test('W-70: what could not be stored is not built', () => {
    const result = planCidrObject({
      config,
      nets: [],
      pools: [],
      poolCount: 80_000,
      previous: undefined,
      isStillHeld: () => false,
    });
    expect(result).toMatchObject({ kind: 'too-large' });
  });

  test('W-70: one that turns out too large is not written', () => {
    const pools = Array.from({ length: 7_000 }, (_, index) =>
      pool(`a-rather-long-node-name-${index}`, index % 60, { hostIndex: index }),
    );
    const result = planCidrObject({
      config,
      nets: [{ netAddress: A, interfaceIndex: 0, vlanCidrs: ['192.168.0.0/18'] }],
      pools,
      poolCount: pools.length,
      previous: undefined,
      isStillHeld: () => false,
    });
    expect(result.kind).toBe('too-large');
  });

  test('W-53: the order of entries, hosts and keys is no difference', () => {
    const spec = plan([pool('a', 0), pool('b', 1)]);
    const [entry] = spec.cidr;
    if (entry === undefined) throw new Error('no entry');
    const { hosts, ...rest } = entry;
    const shuffled = { cidr: [{ hosts: [...hosts].reverse(), ...rest }], config: spec.config };
    expect(isSameCidr(spec, shuffled)).toBe(true);
    expect(isSameCidr(spec, { ...spec, config: { ...config, vlanMode: 'l3' } })).toBe(false);
  });
});

describe('reading records', () => {
  const network = { subnets: [cidr('192.168.0.0/16')], interfaceBits: 2, hostBits: 6 };

  test.each([
    ['192.168.0.0/18', '192.168.0.0/24', 6, 0],
    ['192.168.0.0/18', '192.168.63.0/24', 6, 63],
    ['192.168.0.0/18', '192.168.64.0/24', 6, undefined],
    ['192.168.0.0/18', '192.168.0.0/25', 6, undefined],
    ['192.168.0.0/18', '192.168.0.0/18', 0, 0],
    ['fd00::/64', 'fd00::4000:0:0:0/66', 2, 1],
    ['fd00::/64', '192.168.0.0/24', 2, undefined],
  ])('block %s in %s of %d bits is number %p', (parent, block, bits, index) => {
    expect(indexOfBlock(cidr(parent), cidr(block), bits)).toBe(index);
  });

  test('the CIDR object gives back the indices it was made of', () => {
    const spec = plan([pool('a', 0), pool('b', 5)]);
    const { interfaces, hosts, problems } = readCidrObject(network, spec);
    expect(problems).toEqual([]);
    expect(interfaces).toEqual([{ netAddress: A, interfaceIndex: 0 }]);
    expect(hosts.map(({ hostName, hostIndex }) => [hostName, hostIndex])).toEqual([
      ['a', 0],
      ['b', 5],
    ]);
  });

  test('a podCIDR decides over an index that says something else', () => {
    const spec = plan([pool('a', 0)]);
    const host = spec.cidr[0]?.hosts[0];
    if (host !== undefined) host.hostIndex = 9;
    expect(readCidrObject(network, spec).hosts[0]?.hostIndex).toBe(0);
  });

  test('records of another division are named, not used', () => {
    const spec = plan([pool('a', 0)]);
    const other = { ...network, hostBits: 7 };
    expect(readCidrObject(other, spec)).toMatchObject({
      hosts: [],
      problems: [{ kind: 'record-unreadable' }],
    });
    const elsewhere = { ...network, subnets: [cidr('10.0.0.0/16')] };
    expect(readCidrObject(elsewhere, spec).problems).toHaveLength(1);
  });

  const record = {
    name: 'p',
    hostName: 'a',
    interfaceName: 'eth1',
    vlanCidr: '192.168.64.0/18',
    allocationCount: 0,
  };

  test('an IPPool gives the net address that has its interface index', () => {
    const o = { netAddressAt: () => A, netAddressOf: () => undefined };
    const { hosts, interfaces } = readPools(
      network,
      [{ ...record, podCidr: '192.168.66.0/24' }],
      o,
    );
    expect(hosts).toEqual([{ hostName: 'a', netAddress: A, hostIndex: 2, source: 'IPPool p' }]);
    expect(interfaces).toEqual([]);
  });

  test('without that, the NIC tells the net address and the pool its interface index', () => {
    const o = { netAddressAt: () => undefined, netAddressOf: () => A };
    const { interfaces } = readPools(network, [{ ...record, podCidr: '192.168.66.0/24' }], o);
    expect(interfaces).toEqual([{ netAddress: A, interfaceIndex: 1 }]);
  });

  test('a pool whose NIC nobody knows says nothing', () => {
    const o = { netAddressAt: () => undefined, netAddressOf: () => undefined };
    const pools = [{ ...record, podCidr: '192.168.66.0/24' }];
    expect(readPools(network, pools, o)).toEqual({ interfaces: [], hosts: [], problems: [] });
  });

  test('a pool that is no block of the division is named', () => {
    const o = { netAddressAt: () => A, netAddressOf: () => undefined };
    expect(readPools(network, [{ ...record, podCidr: '10.0.0.1/30' }], o).problems).toEqual([
      { kind: 'record-unreadable', record: 'IPPool p' },
    ]);
  });

  test('in host-subnet mode the vlan CIDR is the net address', () => {
    const hostSubnet = { subnets: [], interfaceBits: 0, hostBits: 8 };
    const o = { netAddressAt: () => undefined, netAddressOf: () => undefined };
    const pools = [{ ...record, vlanCidr: A, podCidr: '10.1.2.0/24' }];
    expect(readPools(hostSubnet, pools, o).hosts).toMatchObject([{ netAddress: A, hostIndex: 2 }]);
  });
});
