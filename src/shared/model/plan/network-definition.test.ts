// What a network means, and every way in which it can be wrong.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import golden from '../../../../test/golden/crd/original-divisions.json';
import { formatCidr } from '../ip/cidr.ts';
import { MultiNicNetwork } from '../objects/multi-nic-network.ts';
import { parseNetworkDefinition } from './network-definition.ts';

interface Change {
  name?: string;
  spec?: Record<string, unknown>;
  /** Members of the IPAM section; undefined takes one away. */
  ipam?: Record<string, unknown>;
  plugin?: Record<string, unknown>;
}

/** A network in order, but for the change. */
function network(change: Change = {}): MultiNicNetwork {
  const ipam = { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' };
  return v.parse(MultiNicNetwork, {
    metadata: { name: change.name ?? 'net', uid: 'u-1' },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify({ ...ipam, ...change.ipam }),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'ipvlan', args: { mode: 'l3' }, ...change.plugin },
      ...change.spec,
    },
  });
}

function issues(change: Change): readonly string[] {
  const parsed = parseNetworkDefinition(network(change));
  return parsed.ok ? [] : parsed.issues;
}

function define(change: Change = {}) {
  const parsed = parseNetworkDefinition(network(change));
  if (!parsed.ok) throw new Error(parsed.issues.join('\n'));
  return parsed;
}

describe('a network in order', () => {
  test('has its parts parsed and its defaults filled in', () => {
    const { network: parsed, warnings } = define();
    expect(warnings).toEqual([]);
    expect({ ...parsed, subnets: parsed.subnets.map(formatCidr) }).toEqual({
      name: 'net',
      uid: 'u-1',
      subnets: ['192.168.0.0/16'],
      hostSubnetMode: false,
      interfaceBits: 2,
      hostBits: 8,
      excludes: [],
      vlanMode: 'l3',
      routed: true,
      masterNets: [],
      pluginType: 'ipvlan',
      plugin: { cniVersion: '0.3.0', mode: 'l3', type: 'ipvlan' },
      multiNicIpam: true,
      managedIpam: true,
      ipam: { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' },
      attachPolicy: { strategy: 'none' },
      namespaces: [],
    });
  });

  test('may have two subnets of different families, in either order', () => {
    for (const subnet of ['10.0.0.0/8,fd00::/48', 'fd00::/48,10.0.0.0/8']) {
      const { network: parsed } = define({ spec: { subnet } });
      expect(parsed.subnets.map(formatCidr).join()).toBe(subnet);
    }
  });

  test('may have its IPAM over several lines', () => {
    const ipam = '\n{\n  "type": "multi-nic-ipam",\n "hostBlock": 6,\n "interfaceBlock": 2\n}\n';
    expect(define({ spec: { ipam } }).network).toMatchObject({ hostBits: 6, vlanMode: '' });
  });

  for (const ipam of ['{}', '', ' \n', '{"type":"whereabouts","range":"10.0.0.0/8"}']) {
    test(`has no pools with ipam ${JSON.stringify(ipam)}`, () => {
      const { network: parsed } = define({ spec: { ipam } });
      expect(parsed).toMatchObject({ managedIpam: false, hostSubnetMode: false, routed: false });
      expect(parsed).toMatchObject({ interfaceBits: 0, hostBits: 0, excludes: [] });
    });
  }

  test('without subnet uses those of the hosts', () => {
    for (const subnet of [undefined, '']) {
      const { network: parsed } = define({ spec: { subnet }, ipam: { interfaceBlock: undefined } });
      expect(parsed).toMatchObject({ hostSubnetMode: true, subnets: [], interfaceBits: 0 });
    }
  });

  test('takes the empty strategy of the original for none', () => {
    const attachPolicy = { strategy: '' };
    expect(define({ spec: { attachPolicy } }).network.attachPolicy).toEqual({ strategy: 'none' });
  });

  test('keeps the target of its strategy', () => {
    const attachPolicy = { strategy: 'devClass', target: 'highspeed' } as const;
    expect(define({ spec: { attachPolicy } }).network.attachPolicy).toEqual(attachPolicy);
  });

  test('excludes single addresses that are written without length (W-18)', () => {
    const excludeCIDRs = ['192.168.0.64/26', '192.168.0.9', 'fd00::5', 'fd00:1::/64'];
    expect(define({ ipam: { excludeCIDRs } }).network.excludes.map(formatCidr)).toEqual([
      '192.168.0.64/26',
      '192.168.0.9/32',
      'fd00::5/128',
      'fd00:1::/64',
    ]);
  });

  test('has canonical net addresses, each once', () => {
    const masterNets = ['10.0.1.0/24', 'FD00::/64', '10.0.1.0/24', 'fd00:0:0:0::/64'];
    expect(define({ spec: { masterNets } }).network.masterNets).toEqual([
      '10.0.1.0/24',
      'fd00::/64',
    ]);
  });

  const routed: [vlanMode: string | undefined, multiNICIPAM: boolean | undefined, is: boolean][] = [
    ['l3', true, true],
    ['l3s', true, true],
    ['l2', true, false],
    ['', true, false],
    [undefined, true, false],
    ['l3', false, false],
    ['l3', undefined, false],
  ];
  for (const [vlanMode, multiNICIPAM, is] of routed) {
    test(`vlanMode ${vlanMode}, multiNICIPAM ${multiNICIPAM}: routed ${is}`, () => {
      expect(define({ ipam: { vlanMode }, spec: { multiNICIPAM } }).network.routed).toBe(is);
    });
  }

  test('leaves exactly two bits for pods at the limit', () => {
    expect(issues({ ipam: { hostBlock: 12 } })).toEqual([]);
    expect(issues({ spec: { subnet: 'fd00::/104' }, ipam: { hostBlock: 20 } })).toEqual([]);
  });
});

describe('issues', () => {
  const rows: [says: string, change: Change, ...issues: string[]][] = [
    ['ipam that is no JSON', { spec: { ipam: 'type: multi-nic-ipam' } }, 'spec.ipam: not JSON ('],
    ['ipam that is cut off', { spec: { ipam: '{"type":' } }, 'spec.ipam: not JSON ('],
    ['ipam null', { spec: { ipam: 'null' } }, 'spec.ipam: null is not a JSON object'],
    ['ipam list', { spec: { ipam: '[]' } }, 'spec.ipam: [] is not a JSON object'],
    ['ipam number', { spec: { ipam: '5' } }, 'spec.ipam: 5 is not a JSON object'],
    ['type that is no text', { ipam: { type: 5 } }, 'spec.ipam.type: 5 is not a string'],
    ['no hostBlock (W-12)', { ipam: { hostBlock: undefined } }, 'spec.ipam.hostBlock: is missing'],
    [
      'no interfaceBlock',
      { ipam: { interfaceBlock: undefined } },
      'spec.ipam.interfaceBlock: is missing',
    ],
    ['negative bits', { ipam: { hostBlock: -1 } }, 'spec.ipam.hostBlock: -1 is not between 0 and'],
    ['too many bits', { ipam: { hostBlock: 21 } }, 'spec.ipam.hostBlock: 21 is not between 0 and'],
    ['a fraction', { ipam: { hostBlock: 1.5 } }, 'spec.ipam.hostBlock: 1.5 is not a whole number'],
    ['bits as text', { ipam: { hostBlock: '8' } }, 'spec.ipam.hostBlock: "8" is not a whole'],
    [
      'negative interface bits',
      { ipam: { interfaceBlock: -2 } },
      'spec.ipam.interfaceBlock: -2 is not between 0 and 20',
    ],
    [
      'bits that do not fit (W-15)',
      { ipam: { hostBlock: 13 } },
      'spec.ipam: subnet 192.168.0.0/16 with interfaceBlock 2 and hostBlock 13 leaves 1 bits',
    ],
    [
      'bits that fit in one family only',
      { spec: { subnet: 'fd00::/48,10.0.0.0/24' } },
      'spec.ipam: subnet 10.0.0.0/24 with interfaceBlock 2 and hostBlock 8 leaves -2 bits',
    ],
    [
      'host bits in the subnet (W-16)',
      { spec: { subnet: '192.168.64.0/16' } },
      'spec.subnet: "192.168.64.0/16" has host bits set; did you mean 192.168.0.0/16?',
    ],
    ['no length', { spec: { subnet: '10.0.0.0' } }, 'spec.subnet: "10.0.0.0" is not a CIDR'],
    ['spaces', { spec: { subnet: '10.0.0.0/8, fd00::/48' } }, 'spec.subnet: " fd00::/48" is not'],
    ['a trailing comma', { spec: { subnet: '10.0.0.0/8,' } }, 'spec.subnet: "" is not a CIDR'],
    [
      'two subnets of one family',
      { spec: { subnet: '10.0.0.0/8,172.16.0.0/12' } },
      'spec.subnet: "10.0.0.0/8,172.16.0.0/12" has two subnets of IPv4',
    ],
    [
      'three subnets',
      { spec: { subnet: '10.0.0.0/8,fd00::/48,fd01::/48' } },
      'spec.subnet: "10.0.0.0/8,fd00::/48,fd01::/48" has more than two parts',
    ],
    [
      'an exclude that is none',
      { ipam: { excludeCIDRs: ['10.0.0.0/8', 'bad/26', '', 5] } },
      'spec.ipam.excludeCIDRs[1]: "bad/26" is neither CIDR nor address',
      'spec.ipam.excludeCIDRs[2]: "" is neither CIDR nor address',
      'spec.ipam.excludeCIDRs[3]: 5 is neither CIDR nor address',
    ],
    ['excludes as text', { ipam: { excludeCIDRs: 'x' } }, 'spec.ipam.excludeCIDRs: "x" is not'],
    ['an unknown vlanMode', { ipam: { vlanMode: 'l4' } }, 'spec.ipam.vlanMode: "l4" is none of l2'],
    ['vlanMode number', { ipam: { vlanMode: 3 } }, 'spec.ipam.vlanMode: 3 is none of l2, l3, l3s'],
    ['routes object', { ipam: { routes: {} } }, 'spec.ipam.routes: {} is not a list'],
    [
      'a route that leads nowhere',
      { ipam: { routes: [{ dst: '10.0.0.0', gw: '1.1.1.1' }, { dst: '10.0.0.0/8', gw: 'x' }, 1] } },
      'spec.ipam.routes[0].dst: "10.0.0.0" is not a CIDR',
      'spec.ipam.routes[1].gw: "x" is not an IP address',
      'spec.ipam.routes[2].dst: undefined is not a CIDR',
    ],
    [
      'wrong net addresses',
      { spec: { masterNets: ['', '10.0.1.5/24'] } },
      'spec.masterNets[0]: "" is not a CIDR',
      'spec.masterNets[1]: "10.0.1.5/24" has host bits set; did you mean 10.0.1.0/24?',
    ],
    [
      'an unknown strategy (D10)',
      { spec: { attachPolicy: { strategy: 'fastest' } } },
      'spec.attachPolicy.strategy: "fastest" is none of none, costOpt, perfOpt, devClass, topology',
    ],
    [
      'wrong namespaces',
      { spec: { namespaces: ['team-a', '', 'Team', 'a.b'] } },
      'spec.namespaces[1]: "" cannot be a namespace',
      'spec.namespaces[2]: "Team" cannot be a namespace',
      'spec.namespaces[3]: "a.b" cannot be a namespace',
    ],
    ['a name that no label takes', { name: 'n'.repeat(64) }, 'metadata.name: has 64 characters'],
    ['a name that CNI refuses', { name: '-net' }, 'metadata.name: "-net" cannot be a CNI network'],
  ];
  for (const [says, change, ...expected] of rows) {
    test(says, () => {
      const found = issues(change);
      expect(found).toHaveLength(expected.length);
      for (const [index, text] of expected.entries()) expect(found[index]).toStartWith(text);
    });
  }

  test('are all reported at once', () => {
    const found = issues({
      name: '-net',
      spec: {
        subnet: '10.0.0.1/8',
        masterNets: ['x'],
        attachPolicy: { strategy: 'x' },
        namespaces: [''],
      },
      ipam: { hostBlock: -1, interfaceBlock: 'x', excludeCIDRs: ['x'], vlanMode: 'x', routes: 1 },
      plugin: { type: 'bridge', args: { delegate: 'no' } },
    });
    expect(found.map((issue) => issue.slice(0, issue.indexOf(': ')))).toEqual([
      'spec.ipam.routes',
      'spec.ipam.interfaceBlock',
      'spec.ipam.hostBlock',
      'spec.ipam.excludeCIDRs[0]',
      'spec.ipam.vlanMode',
      'spec.subnet',
      'metadata.name',
      'spec.masterNets[0]',
      'spec.plugin.type',
      'spec.attachPolicy.strategy',
      'spec.namespaces[0]',
    ]);
  });

  test('are the same each time', () => {
    const change = { ipam: { hostBlock: 40, vlanMode: 'x' }, plugin: { type: 'x' } };
    expect(issues(change)).toEqual(issues(change));
  });
});

describe('warnings', () => {
  const rows: [says: string, change: Change, warning: string][] = [
    [
      'an exclude with host bits is read as the original reads it',
      { ipam: { excludeCIDRs: ['192.168.0.70/26'] } },
      'spec.ipam.excludeCIDRs[0]: "192.168.0.70/26" has host bits and is read as 192.168.0.64/26',
    ],
    [
      'a subnet that foreign IPAM never looks at',
      { spec: { ipam: '{"type":"whereabouts"}', subnet: '10.0.0.1/8' } },
      'spec.subnet: "10.0.0.1/8" has host bits set; did you mean 10.0.0.0/8?',
    ],
    [
      'routes that are never set',
      { spec: { multiNICIPAM: false } },
      'spec.multiNICIPAM: without it vlanMode l3 sets no routes',
    ],
  ];
  for (const [says, change, warning] of rows) {
    test(says, () => expect(define(change).warnings).toEqual([warning]));
  }

  test('a long name does no harm where there are no pools', () => {
    expect(issues({ name: 'n'.repeat(200), spec: { ipam: '{}' } })).toEqual([]);
  });
});

describe('networks of the original', () => {
  for (const { state, network: object, pluginBlock } of golden.rows) {
    test(`${object.metadata.name} (${state})`, () => {
      const parsed = parseNetworkDefinition(v.parse(MultiNicNetwork, object));
      if (!parsed.ok) throw new Error(parsed.issues.join('\n'));
      expect(JSON.stringify(parsed.network.plugin)).toBe(JSON.stringify(pluginBlock));
      expect(parsed.network.ipam).toEqual(JSON.parse(object.spec.ipam));
      expect(parsed.warnings).toEqual([]);
    });
  }
});
