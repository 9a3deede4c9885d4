// The configuration of multi-nic: what is accepted as it is, and every wrong type as code 7.
import { describe, expect, test } from 'bun:test';
import { parseNetworkConfig, validAttachments } from './network-config.ts';

/** What the original's controller writes for its documentation sample. */
const generated = {
  cniVersion: '0.3.0',
  name: 'multi-nic-sample',
  type: 'multi-nic',
  ipam: { hostBlock: 6, interfaceBlock: 2, type: 'multi-nic-ipam', vlanMode: 'l3' },
  dns: {},
  plugin: { cniVersion: '0.3.0', mode: 'l3', type: 'ipvlan' },
  subnet: '192.168.0.0/16',
  masterNets: ['10.0.1.0/24', '10.0.2.0/24'],
  multiNICIPAM: true,
  daemonIP: '',
  daemonPort: 11000,
};

describe('accepted', () => {
  const rows: [says: string, change: object][] = [
    ['the generated one', {}],
    ['null for the list of net addresses', { masterNets: null }],
    ['null for every list', { masters: null, deviceIDs: null }],
    ['no IPAM', { ipam: undefined }],
    ['an empty IPAM', { ipam: {} }],
    ['null for IPAM', { ipam: null }],
    ['unknown members', { vlanMode: 'l3', runtimeConfig: { deviceID: 'x' }, extra: [1, { a: 2 }] }],
    ['wishes of the pod', { args: { cni: { nics: 2, masters: ['eth1'], class: 'fast' } } }],
    ['args of others', { args: { cni: null, labels: [] } }],
    ['capabilities', { capabilities: { ips: true, mac: false } }],
  ];
  for (const [says, change] of rows) {
    test(says, () => {
      const value = JSON.parse(JSON.stringify({ ...generated, ...change }));
      expect(parseNetworkConfig(value)).toEqual({ ok: true, value });
    });
  }
});

describe('refused with code 7', () => {
  const rows: [says: string, change: object, path: string][] = [
    ['no plugin', { plugin: undefined }, 'plugin'],
    ['plugin null', { plugin: null }, 'plugin'],
    ['plugin text', { plugin: 'ipvlan' }, 'plugin'],
    ['no plugin type', { plugin: {} }, 'plugin.type'],
    ['plugin type number', { plugin: { type: 5 } }, 'plugin.type'],
    ['plugin type empty', { plugin: { type: '' } }, 'plugin.type'],
    ['ipam text', { ipam: '{}' }, 'ipam'],
    ['ipam list', { ipam: [] }, 'ipam'],
    ['ipam type number', { ipam: { type: 1 } }, 'ipam.type'],
    ['routes object', { ipam: { routes: {} } }, 'ipam.routes'],
    ['route text', { ipam: { routes: ['10.0.0.0/8'] } }, 'ipam.routes.0'],
    ['dst number', { ipam: { routes: [{ dst: 1 }] } }, 'ipam.routes.0.dst'],
    ['multiNICIPAM text', { multiNICIPAM: 'true' }, 'multiNICIPAM'],
    ['subnet number', { subnet: 1 }, 'subnet'],
    ['masterNets text', { masterNets: '10.0.0.0/8' }, 'masterNets'],
    ['masterNets numbers', { masterNets: [1] }, 'masterNets.0'],
    ['masters object', { masters: {} }, 'masters'],
    ['daemonPort text', { daemonPort: '11000' }, 'daemonPort'],
    ['daemonPort fraction', { daemonPort: 1.5 }, 'daemonPort'],
    ['nics negative', { args: { cni: { nics: -1 } } }, 'args.cni.nics'],
    ['nics text', { args: { cni: { nics: '2' } } }, 'args.cni.nics'],
    ['masters of the pod text', { args: { cni: { masters: 'eth1' } } }, 'args.cni.masters'],
    ['dns list', { dns: [] }, 'dns'],
    ['nameservers text', { dns: { nameservers: '1.1.1.1' } }, 'dns.nameservers'],
    ['capability text', { capabilities: { ips: 'true' } }, 'capabilities.ips'],
    ['prevResult list', { prevResult: [] }, 'prevResult'],
    ['prevResult text', { prevResult: 'x' }, 'prevResult'],
    ['attachments object', { 'cni.dev/valid-attachments': {} }, 'cni.dev/valid-attachments'],
  ];
  for (const [says, change, path] of rows) {
    test(says, () => {
      const parsed = parseNetworkConfig({ ...generated, ...change });
      if (parsed.ok) throw new Error('accepted');
      expect(parsed.error.code).toBe(7);
      expect(parsed.error.msg).toStartWith('failed to load netconf');
      expect(parsed.error.details).toStartWith(`${path}: `);
    });
  }

  test('all issues at once', () => {
    const parsed = parseNetworkConfig({ name: 1, plugin: {}, daemonPort: 'x' });
    expect(parsed.ok ? [] : parsed.error.details?.split('\n').map((l) => l.split(':')[0])).toEqual([
      'name',
      'plugin.type',
      'daemonPort',
    ]);
  });

  test('a list that is wrong in each of its items names the first ones', () => {
    const parsed = parseNetworkConfig({ ...generated, masterNets: Array(1000).fill(1) });
    const lines = parsed.ok ? [] : (parsed.error.details ?? '').split('\n');
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('and 900 more');
  });

  for (const value of [null, [], 'x', 5]) {
    test(`not an object: ${JSON.stringify(value)}`, () => {
      expect(parseNetworkConfig(value).ok).toBe(false);
    });
  }
});

describe('attachments that a GC keeps', () => {
  const one = [{ containerID: 'a', ifname: 'net1' }];
  const two = [{ containerID: 'b', ifname: 'net2' }];
  const rows: [says: string, members: object, ids: string[] | undefined][] = [
    ['the specified key', { 'cni.dev/valid-attachments': one }, ['a']],
    ['the key of the draft', { 'cni.dev/attachments': two }, ['b']],
    ['the first of both', { 'cni.dev/valid-attachments': one, 'cni.dev/attachments': two }, ['a']],
    ['an empty list', { 'cni.dev/valid-attachments': [] }, []],
    ['none', {}, undefined],
  ];
  for (const [says, members, ids] of rows) {
    test(says, () => {
      const parsed = parseNetworkConfig({ ...generated, ...members });
      if (!parsed.ok) throw new Error(parsed.error.msg);
      expect(validAttachments(parsed.value)?.map((a) => a.containerId)).toEqual(ids);
    });
  }
});
