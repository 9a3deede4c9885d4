// NAD configurations byte for byte, and the table of plugins.
import { describe, expect, test } from 'bun:test';
import { createFindings } from '../../shared/model/plan/findings.ts';
import { parsePluginBlock } from '../../shared/model/plan/plugin-block.ts';
import { sortKeys, toGoJson } from './go-json.ts';
import { formatNadConfig } from './nad-config.ts';
import { planPlugin } from './plugin-table.ts';

const pluginOf = (type: string, args: Record<string, string>): Record<string, unknown> =>
  parsePluginBlock({ cniVersion: '0.3.0', type, args }, createFindings());

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
  const plugin = { cniVersion: '0.3.1', mode: 'bridge', type: 'macvlan' };

  test.each(['ipvlan', 'macvlan'])('%s goes into definitions as it was read', (pluginType) => {
    const outcome = planPlugin({ pluginType, plugin }, []);
    expect(outcome).toEqual({ ok: true, config: plugin, annotations: {} });
  });

  test('what is refused in a definition is all said', () => {
    const refusals = ['spec.plugin.dns: not supported', 'spec.plugin.cniVersion: is empty'];
    const outcome = planPlugin({ pluginType: 'macvlan', plugin }, refusals);
    expect(outcome).toEqual({ ok: false, reason: 'InvalidPlugin', issues: refusals });
  });

  test.each(['sriov', 'bridge', 'constructor'])('%s is not supported yet', (pluginType) => {
    const outcome = planPlugin({ pluginType, plugin }, []);
    expect(outcome).toMatchObject({ ok: false, reason: 'UnsupportedPlugin' });
    const said = outcome.ok ? '' : outcome.issues.join('; ');
    expect(said).toContain(`${pluginType} is not supported yet (supported: ipvlan, macvlan)`);
  });
});
