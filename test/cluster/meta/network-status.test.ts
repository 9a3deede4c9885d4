// The network-status annotation: the cases N-1 to N-4 of the specification.
import { describe, expect, test } from 'bun:test';
import { statusesOf } from './network-status.ts';

const network = { name: 'ns/net', isDefault: false };
const sandbox = '/run/netns/x';

describe('network status', () => {
  test('N-1: one entry per interface with a sandbox, each with its own addresses', () => {
    const result = {
      interfaces: [
        { name: 'foo' },
        { name: 'example0', sandbox, mtu: 1500, mac: '02:00:00:00:00:01' },
        { name: 'example1', sandbox, mtu: 1500 },
      ],
      ips: [
        { address: '192.0.2.1/24', interface: 1 },
        { address: '192.0.2.2/24', interface: 1 },
        { address: '192.0.2.3/24', interface: 2 },
      ],
      dns: { nameservers: ['10.1.1.1'] },
    };
    expect(statusesOf(result, network)).toEqual([
      {
        name: 'ns/net',
        interface: 'example0',
        ips: ['192.0.2.1', '192.0.2.2'],
        mac: '02:00:00:00:00:01',
        mtu: 1500,
        default: false,
        dns: { nameservers: ['10.1.1.1'] },
      },
      {
        name: 'ns/net',
        interface: 'example1',
        ips: ['192.0.2.3'],
        mtu: 1500,
        default: false,
        dns: { nameservers: ['10.1.1.1'] },
      },
    ]);
  });

  test('N-2 and N-3: an address without an index goes to the last interface with a sandbox', () => {
    const ips = [{ address: '192.0.2.1/24' }];
    const one = { interfaces: [{ name: 'eth0', sandbox }, { name: 'foo' }], ips };
    expect(statusesOf(one, network).map((entry) => entry.ips)).toEqual([['192.0.2.1']]);
    const two = {
      interfaces: [{ name: 'foo' }, { name: 'eth0', sandbox }, { name: 'eth1', sandbox }],
      ips,
    };
    expect(statusesOf(two, network).map((entry) => [entry.interface, entry.ips])).toEqual([
      ['eth0', []],
      ['eth1', ['192.0.2.1']],
    ]);
  });

  test('N-4: the only interface gets all addresses, whatever their index is', () => {
    const result = {
      interfaces: [{ name: 'eth0', sandbox }],
      ips: [{ address: '192.0.2.1/24', interface: 7 }, { address: '2001:db8::1/64' }],
    };
    expect(statusesOf(result, network)[0]?.ips).toEqual(['192.0.2.1', '2001:db8::1']);
  });

  test('gateways of default routes are in every entry', () => {
    const result = {
      interfaces: [{ name: 'eth0', sandbox }],
      ips: [],
      routes: [
        { dst: '0.0.0.0/0', gw: '10.0.0.1' },
        { dst: '10.9.0.0/16', gw: '10.0.0.2' },
      ],
    };
    expect(statusesOf(result, network)[0]?.gateway).toEqual(['10.0.0.1']);
  });

  test('a result without interfaces has no entry', () => {
    expect(statusesOf({ ips: [] }, network)).toEqual([]);
    expect(statusesOf(undefined, network)).toEqual([]);
  });
});
