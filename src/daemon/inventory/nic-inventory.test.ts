// What a kernel event may mean for the NICs of a node: often nothing.
import { expect, test } from 'bun:test';
import type { InterfaceInfo } from '../../shared/model/objects/host-interface.ts';
import type { HostLink } from '../hostnet/host-net.ts';
import { type Discovery, Inventory } from './nic-inventory.ts';

const NIC: InterfaceInfo = {
  interfaceName: 'eth1',
  netAddress: '10.0.1.0/24',
  hostIP: '10.0.1.7',
  vendor: '15b3',
  product: '1017',
  pciAddress: '0000:01:00.0',
  addresses: ['10.0.1.7/24'],
};

const LINK: HostLink = {
  index: 2,
  name: 'eth1',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  up: true,
  running: true,
  masterIndex: 0,
  group: 0,
  loopback: false,
  kind: '',
  parentIndex: 0,
  addresses: [],
};

interface Host {
  discovery: Discovery;
  links: HostLink[];
}

function start(): { inventory: Inventory; host: Host } {
  const host: Host = { discovery: { interfaces: [NIC], skipped: [] }, links: [LINK] };
  const inventory = new Inventory({
    discover: () => structuredClone(host.discovery),
    links: () => host.links,
    listed: () => [],
  });
  expect(inventory.refresh()).toBeTrue();
  return { inventory, host };
}

test('events that change nothing keep the NICs the same object', () => {
  const { inventory } = start();
  const { nics } = inventory.current;
  expect(inventory.refresh()).toBeFalse();
  expect(inventory.current.nics).toBe(nics);
});

test('an interface that is no NIC is known of, and asks for no new plans', () => {
  const { inventory, host } = start();
  const { nics } = inventory.current;
  const skipped = [{ interfaceName: 'veth1', reason: 'has no global IPv4 or IPv6 address' }];
  host.discovery = { ...host.discovery, skipped };
  expect(inventory.refresh()).toBeFalse();
  expect(inventory.current.skipped).toEqual(skipped);
  expect(inventory.current.nics).toBe(nics);
});

test('a NIC that changes asks for new plans', () => {
  const { inventory, host } = start();
  host.links = [{ ...LINK, mtu: 9000 }];
  expect(inventory.refresh()).toBeTrue();
  expect(inventory.current.nics.map(({ mtu }) => mtu)).toEqual([9000]);
  const moved = { ...NIC, netAddress: '10.0.2.0/24' };
  host.discovery = { interfaces: [moved], skipped: [] };
  expect(inventory.refresh()).toBeTrue();
  host.discovery = { interfaces: [], skipped: [{ interfaceName: 'eth1', reason: 'is down' }] };
  expect(inventory.refresh()).toBeTrue();
  expect(inventory.current.nics).toEqual([]);
});
