// NAD configurations byte for byte, and the table of plugins.
import { describe, expect, test } from 'bun:test';
import { sortKeys, toGoJson } from './go-json.ts';
import { formatNadConfig } from './nad-config.ts';
import { planPlugin } from './plugin-table.ts';

const pluginOf = (type: string, args?: Record<string, string>): Record<string, unknown> => {
  const outcome = planPlugin({ cniVersion: '0.3.0', type, args });
  if (!outcome.ok) throw new Error(outcome.issues.join('; '));
  return outcome.config;
};

describe('spec.config, byte for byte (spec api 4.2)', () => {
  test('documentation sample, l3', () => {
    const text = formatNadConfig({
      name: 'multi-nic-sample',
      cniType: 'multi-nic',
      ipam: { vlanMode: 'l3', type: 'multi-nic-ipam', hostBlock: 6, interfaceBlock: 2 },
      plugin: pluginOf('ipvlan', { mode: 'l3' }),
      subnet: '192.168.0.0/16',
      masterNets: ['10.0.1.0/24', '10.0.2.0/24'],
      multiNicIpam: true,
      daemonPort: 11000,
    });
    expect(text).toBe(
      '{"cniVersion":"0.3.0","name":"multi-nic-sample","type":"multi-nic","ipam":{"hostBlock":6,"interfaceBlock":2,' +
        '"type":"multi-nic-ipam","vlanMode":"l3"},"dns":{},"plugin":{"cniVersion":"0.3.0","mode":"l3","type":"ipvlan"},' +
        '"subnet":"192.168.0.0/16","masterNets":["10.0.1.0/24","10.0.2.0/24"],"multiNICIPAM":true,"daemonIP":"","daemonPort":11000}',
    );
  });

  test('unit-test network, ipvlan l2 with mtu', () => {
    const masterNets = ['10.242.0.0/24', '10.242.1.0/24', '10.242.2.0/24', '10.242.3.0/24'];
    const text = formatNadConfig({
      name: 'test-mn',
      cniType: 'multi-nic',
      ipam: {
        type: 'multi-nic-ipam',
        hostBlock: 8,
        interfaceBlock: 2,
        excludeCIDRs: ['192.168.0.64/26', '192.168.0.128/30'],
        vlanMode: 'l2',
      },
      plugin: pluginOf('ipvlan', { mode: 'l2', mtu: '1500' }),
      subnet: '192.168.0.0/16',
      masterNets,
      multiNicIpam: true,
      daemonPort: 11000,
    });
    expect(text).toBe(
      '{"cniVersion":"0.3.0","name":"test-mn","type":"multi-nic","ipam":{"excludeCIDRs":["192.168.0.64/26","192.168.0.128/30"],' +
        '"hostBlock":8,"interfaceBlock":2,"type":"multi-nic-ipam","vlanMode":"l2"},"dns":{},' +
        '"plugin":{"cniVersion":"0.3.0","mode":"l2","mtu":1500,"type":"ipvlan"},"subnet":"192.168.0.0/16",' +
        '"masterNets":["10.242.0.0/24","10.242.1.0/24","10.242.2.0/24","10.242.3.0/24"],"multiNICIPAM":true,"daemonIP":"","daemonPort":11000}',
    );
  });

  test('another IPAM, master nets not known', () => {
    const text = formatNadConfig({
      name: 'multinic-ipvlanl2',
      cniType: 'multi-nic',
      ipam: { type: 'whereabouts', range: '192.168.0.0/18' },
      plugin: pluginOf('ipvlan', { mode: 'l2', mtu: '1500' }),
      subnet: '192.168.0.0/16',
      masterNets: null,
      multiNicIpam: false,
      daemonPort: 11000,
    });
    expect(text).toBe(
      '{"cniVersion":"0.3.0","name":"multinic-ipvlanl2","type":"multi-nic","ipam":{"range":"192.168.0.0/18","type":"whereabouts"},' +
        '"dns":{},"plugin":{"cniVersion":"0.3.0","mode":"l2","mtu":1500,"type":"ipvlan"},"subnet":"192.168.0.0/16","masterNets":null,"daemonIP":"","daemonPort":11000}',
    );
  });
});

describe('JSON as the original writes it', () => {
  test('keys are in order at every level, lists are not', () => {
    expect(toGoJson(sortKeys({ b: [{ d: 1, c: 2 }, 'x'], a: null }))).toBe(
      '{"a":null,"b":[{"c":2,"d":1},"x"]}',
    );
  });

  test('<, >, & and the line separators are escaped', () => {
    expect(toGoJson({ a: '<b>&\u2028\u2029"' })).toBe(
      '{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029\\""}',
    );
  });

  test('numbers are written as Go writes doubles', () => {
    expect(toGoJson([6, 1.5, 1e21, 1e-7, 0.000001, 100000000000000000000])).toBe(
      '[6,1.5,1e+21,1e-7,0.000001,100000000000000000000]',
    );
  });
});

describe('plugin table', () => {
  const plan = (o: Partial<Parameters<typeof planPlugin>[0]>) =>
    planPlugin({ cniVersion: '0.3.1', type: 'macvlan', ...o });

  test.each([
    ['no arguments', {}, { cniVersion: '0.3.1', type: 'macvlan' }],
    ['mtu 0 stays', { args: { mtu: '0' } }, { cniVersion: '0.3.1', mtu: 0, type: 'macvlan' }],
    ['every macvlan mode', { args: { mode: 'passthru' } }, { mode: 'passthru' }],
    ['a master', { args: { master: 'ens1f0' } }, { master: 'ens1f0' }],
    ['a forced delegate (D7)', { args: { delegate: 'true' } }, { delegate: true }],
    ['ipvlan l3s', { type: 'ipvlan', args: { mode: 'l3s' } }, { mode: 'l3s' }],
    ['what the original stores for absent members', { dns: {}, capabilities: {} }, {}],
  ])('accepts %s', (_, spec, config) => {
    expect(plan(spec)).toMatchObject({ ok: true, config });
  });

  test.each([
    ['an unknown argument', { args: { promiscMode: 'true' } }, 'InvalidPlugin', 'promiscMode'],
    ['a mode of the other type', { args: { mode: 'l3' } }, 'InvalidPlugin', 'bridge'],
    ['an empty mode', { args: { mode: '' } }, 'InvalidPlugin', 'one of'],
    ['an mtu that is no number', { args: { mtu: '1500.5' } }, 'InvalidPlugin', 'mtu'],
    ['an mtu that is too large', { args: { mtu: '65536' } }, 'InvalidPlugin', 'mtu'],
    [
      'a NIC name that is too long',
      { args: { master: 'a'.repeat(16) } },
      'InvalidPlugin',
      'master',
    ],
    ['a flag that is no flag', { args: { delegate: 'yes' } }, 'InvalidPlugin', 'delegate'],
    ['an inherited member as argument', { args: { toString: 'x' } }, 'InvalidPlugin', 'toString'],
    ['capabilities (W-65)', { capabilities: { ips: true } }, 'InvalidPlugin', 'capabilities'],
    ['dns (W-65)', { dns: { nameservers: ['10.0.0.1'] } }, 'InvalidPlugin', 'dns'],
    ['no CNI version', { cniVersion: '' }, 'InvalidPlugin', 'cniVersion'],
    [
      'a type of the original',
      { type: 'sriov' },
      'UnsupportedPlugin',
      'sriov is not supported yet',
    ],
    ['a type that nobody knows', { type: 'bridge' }, 'UnsupportedPlugin', 'bridge is not known'],
    ['an inherited member as type', { type: 'constructor' }, 'UnsupportedPlugin', 'constructor'],
  ])('refuses %s', (_, spec, reason, text) => {
    const outcome = plan(spec);
    expect(outcome).toMatchObject({ ok: false, reason });
    if (!outcome.ok) expect(outcome.issues.join('; ')).toContain(text);
  });

  test('names every issue at once', () => {
    const outcome = plan({ args: { mode: 'x', mtu: 'y', z: '1' } });
    expect(outcome.ok ? [] : outcome.issues).toHaveLength(3);
  });
});
