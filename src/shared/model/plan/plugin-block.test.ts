// The plugin block of every plugin type, from strings as users write them.
import { describe, expect, test } from 'bun:test';
import { createFindings } from './findings.ts';
import { parsePluginBlock } from './plugin-block.ts';

function parse(type: string, args: Record<string, string> = {}, cniVersion = '0.3.0') {
  const findings = createFindings();
  const block = parsePluginBlock({ cniVersion, type, args }, findings);
  const { issues, refusals, warnings } = findings;
  return { block: JSON.stringify(block), issues, refusals, warnings };
}

test('a master is passed on and said to be without effect', () => {
  expect(parse('macvlan', { master: 'ens1f0' }).warnings[0]).toStartWith(
    'spec.plugin.args.master: not used: interfaces are made on the NICs of masterNets',
  );
  expect(parse('macvlan', { master: '' }).warnings).toEqual([]);
});

describe('blocks, as text', () => {
  const rows: [type: string, args: Record<string, string>, block: string][] = [
    ['ipvlan', { mode: 'l3' }, '{"cniVersion":"0.3.0","mode":"l3","type":"ipvlan"}'],
    [
      'ipvlan',
      { mtu: '1500', mode: 'l2' },
      '{"cniVersion":"0.3.0","mode":"l2","mtu":1500,"type":"ipvlan"}',
    ],
    [
      'ipvlan',
      { master: 'ens1f0', mode: 'l2', mtu: '9000' },
      '{"cniVersion":"0.3.0","master":"ens1f0","mode":"l2","mtu":9000,"type":"ipvlan"}',
    ],
    [
      'ipvlan',
      { delegate: 'true', mode: 'l2' },
      '{"cniVersion":"0.3.0","delegate":true,"mode":"l2","type":"ipvlan"}',
    ],
    ['macvlan', {}, '{"cniVersion":"0.3.0","type":"macvlan"}'],
    ['macvlan', { mode: 'bridge' }, '{"cniVersion":"0.3.0","mode":"bridge","type":"macvlan"}'],
    ['aws-ipvlan', { mode: 'l2' }, '{"cniVersion":"0.3.0","mode":"l2","type":"aws-ipvlan"}'],
    [
      'aws-ipvlan',
      { primaryIP: '{"eth1":"10.0.0.5"}', podIP: '10.0.0.9' },
      '{"cniVersion":"0.3.0","podIP":"10.0.0.9","primaryIP":{"eth1":"10.0.0.5"},' +
        '"type":"aws-ipvlan"}',
    ],
    [
      'sriov',
      {
        numVfs: '2',
        vlan: '999',
        vlanQoS: '1',
        isRdma: 'true',
        minTxRate: '100',
        spoofchk: 'true',
        trust: 'F',
      },
      '{"cniVersion":"0.3.0","min_tx_rate":100,"spoofchk":true,"trust":false,' +
        '"type":"sriov","vlan":999,"vlanQoS":1}',
    ],
    [
      'sriov',
      { vlanQos: '3', max_tx_rate: '10', resourceName: 'r' },
      '{"cniVersion":"0.3.0","max_tx_rate":10,"type":"sriov","vlanQoS":3}',
    ],
    ['mellanox', {}, '{"cniVersion":"0.3.0","type":"host-device"}'],
    ['host-device', {}, '{"cniVersion":"0.3.0","type":"host-device"}'],
    [
      'bond',
      { delegate: 'true', miimon: '100', linksInContainer: 'false', links: '{"a":1}', mode: 'x' },
      '{"cniVersion":"0.3.0","delegate":true,"links":{"a":1},"linksInContainer":false,' +
        '"miimon":100,"mode":"x","type":"bond"}',
    ],
  ];
  for (const [type, args, block] of rows) {
    test(`${type} with ${JSON.stringify(args)}`, () => {
      const { warnings, ...parsed } = parse(type, args);
      expect(parsed).toEqual({ block, issues: [], refusals: [] });
      expect(warnings).toHaveLength(args.master === undefined ? 0 : 1);
    });
  }

  test('an empty CNI version is left out', () => {
    expect(parse('macvlan', {}, '').block).toBe('{"type":"macvlan"}');
  });
});

describe('issues', () => {
  const rows: [says: string, type: string, args: Record<string, string>, issue: string][] = [
    ['an unknown type', 'bridge', {}, 'spec.plugin.type: "bridge" is none of ipvlan, macvlan'],
    ['a typing error', 'ipvlam', { mode: 'l2' }, 'spec.plugin.type: "ipvlam" is none of'],
    ['a half wish to delegate', 'bond', { delegate: '1' }, 'spec.plugin.type: "bond" is none of'],
    ['no type', '', {}, 'spec.plugin.type: "" cannot be a main plugin'],
    ['our own type', 'multi-nic', { delegate: 'true' }, 'spec.plugin.type: "multi-nic" cannot be'],
    ['a path', '../bond', { delegate: 'true' }, 'spec.plugin.type: "../bond" cannot be'],
    ['an ipvlan mode', 'ipvlan', { mode: 'bridge' }, 'spec.plugin.args.mode: "bridge" is none of'],
    ['a macvlan mode', 'macvlan', { mode: 'l3' }, 'spec.plugin.args.mode: "l3" is none of bridge'],
    ['a negative MTU', 'ipvlan', { mtu: '-1' }, 'spec.plugin.args.mtu: -1 is negative'],
    ['a negative VLAN', 'sriov', { vlan: '-5' }, 'spec.plugin.args.vlan: -5 is negative'],
  ];
  for (const [says, type, args, issue] of rows) {
    test(says, () => {
      const { issues } = parse(type, args);
      expect(issues).toHaveLength(1);
      expect(issues[0]).toStartWith(issue);
    });
  }
});

describe('what the original ignores is ignored, and refused for anything new', () => {
  const rows: [
    says: string,
    type: string,
    args: Record<string, string>,
    block: string,
    refusal: string,
  ][] = [
    [
      'an argument that the plugin does not have',
      'macvlan',
      { promiscMode: 'true' },
      '{"cniVersion":"0.3.0","type":"macvlan"}',
      'spec.plugin.args.promiscMode: not an argument of macvlan (known: delegate, master, mode, mtu)',
    ],
    [
      'an MTU that is no number',
      'macvlan',
      { mtu: 'abc' },
      '{"cniVersion":"0.3.0","mtu":0,"type":"macvlan"}',
      'spec.plugin.args.mtu: "abc" is not a whole number',
    ],
    [
      'an empty MTU',
      'ipvlan',
      { mtu: '' },
      '{"cniVersion":"0.3.0","mtu":0,"type":"ipvlan"}',
      'spec.plugin.args.mtu: "" is not a whole number',
    ],
    [
      'a VLAN that is no number',
      'sriov',
      { vlan: '1e2' },
      '{"cniVersion":"0.3.0","type":"sriov"}',
      'spec.plugin.args.vlan: "1e2" is not a whole number',
    ],
    [
      'a wish that is neither yes nor no',
      'sriov',
      { trust: 'on' },
      '{"cniVersion":"0.3.0","type":"sriov"}',
      'spec.plugin.args.trust: "on" is not true or false',
    ],
    [
      'primary addresses that are no JSON',
      'aws-ipvlan',
      { primaryIP: 'eth1=10.0.0.5' },
      '{"cniVersion":"0.3.0","primaryIP":null,"type":"aws-ipvlan"}',
      'spec.plugin.args.primaryIP: "eth1=10.0.0.5" is not a JSON object',
    ],
    [
      'an MTU that is too small',
      'ipvlan',
      { mtu: '67' },
      '{"cniVersion":"0.3.0","mtu":67,"type":"ipvlan"}',
      'spec.plugin.args.mtu: 67 is neither 0 nor 68 to 65535',
    ],
    [
      'an MTU that is too large',
      'macvlan',
      { mtu: '65536' },
      '{"cniVersion":"0.3.0","mtu":65536,"type":"macvlan"}',
      'spec.plugin.args.mtu: 65536 is neither 0 nor 68 to 65535',
    ],
    [
      'a NIC name that is too long',
      'macvlan',
      { master: 'a234567890123456' },
      '{"cniVersion":"0.3.0","master":"a234567890123456","type":"macvlan"}',
      'spec.plugin.args.master: "a234567890123456" is not a NIC name of at most 15 characters',
    ],
    [
      'a wish to delegate that is neither yes nor no',
      'ipvlan',
      { delegate: 'yes' },
      '{"cniVersion":"0.3.0","type":"ipvlan"}',
      'spec.plugin.args.delegate: "yes" is not true or false',
    ],
    [
      'any argument of a plugin without arguments',
      'mellanox',
      { mtu: '1' },
      '{"cniVersion":"0.3.0","type":"host-device"}',
      'spec.plugin.args.mtu: not an argument of mellanox (known: none)',
    ],
  ];
  for (const [says, type, args, block, refusal] of rows) {
    test(says, () => {
      const { warnings: _warnings, ...parsed } = parse(type, args);
      expect(parsed).toEqual({ block, issues: [], refusals: [refusal] });
    });
  }

  test.each([
    ['capabilities (W-65)', { capabilities: { ips: true } }, 'capabilities: not supported'],
    ['dns (W-65)', { dns: { nameservers: ['10.0.0.1'] } }, 'dns: not supported'],
    ['no CNI version', { cniVersion: '' }, 'cniVersion: is empty'],
  ])('%s', (_says, change, refusal) => {
    const findings = createFindings();
    parsePluginBlock({ cniVersion: '0.3.1', type: 'macvlan', ...change }, findings);
    expect(findings.refusals).toEqual([`spec.plugin.${refusal}`]);
  });

  test('what the original stores for absent members says nothing', () => {
    const findings = createFindings();
    const plugin = { cniVersion: '0.3.1', type: 'macvlan', dns: {}, capabilities: {} };
    parsePluginBlock(plugin, findings);
    expect([findings.issues, findings.refusals, findings.warnings]).toEqual([[], [], []]);
  });

  test('an inherited name is no argument', () => {
    expect(parse('ipvlan', { toString: 'x' }).refusals).toEqual([
      'spec.plugin.args.toString: not an argument of ipvlan (known: delegate, master, mode, mtu)',
    ]);
  });
});
