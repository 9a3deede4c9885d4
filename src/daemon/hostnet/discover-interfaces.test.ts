// Discovery on made-up hosts: a fake kernel and a folder in place of sysfs.
import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FakeHostNet } from '../../../test/hostnet/fake-host-net.ts';
import { type DiscoveryOptions, discoverInterfaces } from './discover-interfaces.ts';

/** A sysfs tree with the devices that a test puts into it. */
class FakeSysfs implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'mnh-sysfs-'));

  /** A PCI function, and the NIC below it, on its virtio child if `virtio` names one. */
  addPci(
    name: string,
    address: string,
    o: { vendor?: string; device?: string; pciClass?: string; virtio?: string } = {},
  ): void {
    const folder = join(this.root, 'devices/pci0000:00', address);
    this.#write(join(folder, 'vendor'), o.vendor ?? '0x15B3');
    this.#write(join(folder, 'device'), o.device ?? '0x101d');
    this.#write(join(folder, 'class'), o.pciClass ?? '0x020000');
    const device = o.virtio === undefined ? folder : join(folder, o.virtio);
    if (o.virtio !== undefined) {
      this.#write(join(device, 'vendor'), '0x1af4');
      this.#write(join(device, 'device'), '0x0001');
    }
    this.#link(name, device);
  }

  /** A device on a bus without PCI address. */
  addOther(name: string, folder: string): void {
    this.#write(join(this.root, folder, 'vendor'), '0x1414');
    this.#link(name, join(this.root, folder));
  }

  #write(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${text}\n`);
  }

  #link(name: string, device: string): void {
    const folder = join(this.root, 'class/net', name);
    mkdirSync(folder, { recursive: true });
    symlinkSync(device, join(folder, 'device'));
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

/** A host with eth0 as its primary NIC, and whatever the test adds. */
function setUp(sysfs: FakeSysfs): FakeHostNet {
  const hostNet = new FakeHostNet();
  hostNet.addLink({ name: 'lo', loopback: true, addresses: ['127.0.0.1/8'] });
  const primary = hostNet.addLink({ name: 'eth0', addresses: ['192.0.2.5/24'] });
  hostNet.addDefaultRoute(primary.index);
  sysfs.addPci('eth0', '0000:00:03.0');
  return hostNet;
}

const discover = (
  hostNet: FakeHostNet,
  sysfs: FakeSysfs,
  o: Partial<DiscoveryOptions> = {},
): ReturnType<typeof discoverInterfaces> =>
  discoverInterfaces({ hostNet, sysRoot: sysfs.root, ...o });

/** Name and reasons of every candidate. */
const verdicts = (found: ReturnType<typeof discoverInterfaces>): Record<string, string[]> =>
  Object.fromEntries(found.map((nic) => [nic.interfaceName, [...nic.skipped]]));

describe('discoverInterfaces', () => {
  test('reports PCI NICs by PCI address with ids in lower case', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'railb', addresses: ['10.0.2.7/24', 'fd00:2::7/64', 'fe80::1/64'] });
    hostNet.addLink({ name: 'raila', addresses: ['10.0.1.7/22'] });
    sysfs.addPci('railb', '0000:81:00.0', { vendor: '0x8086', device: '0x10D3' });
    sysfs.addPci('raila', '0001:01:00.1');
    const found = discover(hostNet, sysfs).filter((nic) => nic.skipped.length === 0);
    expect(found).toEqual([
      {
        interfaceName: 'railb',
        netAddress: '10.0.2.0/24',
        hostIP: '10.0.2.7',
        vendor: '8086',
        product: '10d3',
        pciAddress: '0000:81:00.0',
        addresses: ['10.0.2.7/24', 'fd00:2::7/64'],
        skipped: [],
      },
      {
        interfaceName: 'raila',
        netAddress: '10.0.0.0/22',
        hostIP: '10.0.1.7',
        vendor: '15b3',
        product: '101d',
        pciAddress: '0001:01:00.1',
        addresses: ['10.0.1.7/22'],
        skipped: [],
      },
    ]);
  });

  test('finds the PCI function above a virtio NIC, and NICs on other buses after PCI ones', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'azure', addresses: ['10.0.3.1/24'] });
    hostNet.addLink({ name: 'virt', addresses: ['10.0.1.1/24'] });
    hostNet.addLink({ name: 'mmio', addresses: ['10.0.2.1/24'] });
    sysfs.addOther('azure', 'devices/vmbus/f8b3781a');
    const transitional = { vendor: '0x1af4', device: '0x1000', virtio: 'virtio1' };
    sysfs.addPci('virt', '0000:00:04.0', transitional);
    sysfs.addOther('mmio', 'devices/platform/virtio2');
    const found = discover(hostNet, sysfs);
    expect(found.map((nic) => nic.interfaceName)).toEqual(['eth0', 'virt', 'azure', 'mmio']);
    expect(found[1]).toMatchObject({
      vendor: '1af4',
      product: '1000',
      pciAddress: '0000:00:04.0',
      skipped: [],
    });
    expect(found[2]).toMatchObject({ vendor: '1414', product: '', pciAddress: '', skipped: [] });
  });

  test('takes the primary NIC and its subnet out, with the reason', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'same', addresses: ['192.0.2.6/24'] });
    hostNet.addLink({ name: 'wider', addresses: ['192.0.2.7/16'] });
    for (const [n, name] of ['same', 'wider'].entries()) sysfs.addPci(name, `0000:00:1${n}.0`);
    expect(verdicts(discover(hostNet, sysfs))).toEqual({
      eth0: ["is the node's primary NIC"],
      same: ["is in the primary NIC's subnet 192.0.2.0/24"],
      wider: [],
    });
  });

  test('skips NICs that are down, without address, of another class, or left over', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'down', addresses: ['10.0.1.1/24'], up: false });
    hostNet.addLink({ name: 'bare', addresses: ['fe80::5/64'] });
    hostNet.addLink({ name: 'odd', addresses: ['10.0.2.1/24'] });
    hostNet.addLink({ name: 'net1', addresses: ['10.0.3.1/24'] });
    hostNet.addLink({ name: 'net2-15' });
    hostNet.addLink({ name: 'net10', addresses: ['10.0.4.1/24'] });
    hostNet.addLink({ name: 'net1-uplink', addresses: ['10.0.5.1/24'] });
    for (const [n, name] of ['down', 'bare', 'net1', 'net2-15', 'net10', 'net1-uplink'].entries()) {
      sysfs.addPci(name, `0000:01:00.${n}`);
    }
    sysfs.addPci('odd', '0000:02:00.0', { pciClass: '0x030000' });
    const leftOver = 'named like a pod interface: left over from a pod';
    const noAddress = 'has no global IPv4 or IPv6 address';
    expect(verdicts(discover(hostNet, sysfs))).toEqual({
      eth0: ["is the node's primary NIC"],
      down: ['is down'],
      bare: [noAddress],
      net1: [leftOver],
      'net2-15': [leftOver, noAddress],
      net10: [],
      'net1-uplink': [],
      odd: ['PCI class 030000 is no network class'],
    });
  });

  test('offers VLANs on bonds, and no other virtual links unless told to', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    const bond = hostNet.addLink({ name: 'bond0', kind: 'bond' });
    const team = hostNet.addLink({ name: 'tenant-bond', kind: 'team' });
    const plain = hostNet.addLink({ name: 'eth9', addresses: ['10.0.9.1/24'] });
    const vlan = (name: string, parentIndex: number, address: string): void =>
      void hostNet.addLink({ name, kind: 'vlan', parentIndex, addresses: [address] });
    vlan('bond0.30', bond.index, '10.3.0.1/24');
    vlan('bond0.20', bond.index, '10.2.0.1/24');
    vlan('tenant.1', team.index, '10.1.0.1/24');
    vlan('eth9.5', plain.index, '10.5.0.1/24');
    hostNet.addLink({ name: 'veth1', kind: 'veth', addresses: ['10.7.0.1/24'] });
    hostNet.addLink({ name: 'br0', kind: 'bridge', addresses: ['10.8.0.1/24'] });
    sysfs.addPci('eth9', '0000:09:00.0');
    // A name of hardware in sysfs does not make a virtual link hardware.
    sysfs.addPci('veth1', '0000:0a:00.0');
    const names = (o: Partial<DiscoveryOptions>): string[] =>
      discover(hostNet, sysfs, o)
        .filter((nic) => nic.skipped.length === 0)
        .map((nic) => nic.interfaceName);
    expect(names({})).toEqual(['eth9', 'bond0.30', 'bond0.20', 'tenant.1']);
    expect(names({ includeVirtual: true })).toEqual([
      ...['eth9', 'bond0.30', 'bond0.20', 'tenant.1'],
      ...['eth9.5', 'veth1'],
    ]);
  });

  test('takes the first IPv4 subnet, else the first IPv6 one, single addresses last', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    const cases: Record<string, [readonly string[], string, string]> = {
      both: [['fd00:1::1/64', '10.1.0.1/24'], '10.1.0.0/24', '10.1.0.1'],
      six: [['fe80::1/64', 'fd00:2::1/64'], 'fd00:2::/64', 'fd00:2::1'],
      service: [['10.9.9.9/32', '10.3.0.1/24'], '10.3.0.0/24', '10.3.0.1'],
      single: [['10.4.0.1/32'], '10.4.0.1/32', '10.4.0.1'],
      two: [['10.5.0.1/24', '10.6.0.1/24'], '10.5.0.0/24', '10.5.0.1'],
    };
    for (const [n, [name, [addresses]]] of Object.entries(cases).entries()) {
      hostNet.addLink({ name, addresses });
      sysfs.addPci(name, `0000:01:00.${n}`);
    }
    const found = discover(hostNet, sysfs).slice(1);
    for (const { interfaceName, netAddress, hostIP } of found) {
      expect([netAddress, hostIP]).toEqual((cases[interfaceName] ?? []).slice(1) as string[]);
    }
    expect(found).toHaveLength(5);
  });

  describe('finds the primary NIC', () => {
    /** Three NICs; `routes` are default routes as family, NIC number and metric. */
    const primaryOf = (
      routes: readonly [4 | 6, number, number][],
      o: Partial<DiscoveryOptions> = {},
    ): Record<string, boolean> => {
      using sysfs = new FakeSysfs();
      const hostNet = new FakeHostNet();
      const nics = [0, 1, 2].map((n) => {
        sysfs.addPci(`rail${n}`, `0000:00:0${n}.0`);
        const addresses = [`10.0.${n}.1/24`, `fd00:${n}::1/64`];
        return hostNet.addLink({ name: `rail${n}`, addresses }).index;
      });
      for (const [family, n, metric] of routes) {
        hostNet.addDefaultRoute(nics[n] ?? 0, { family, metric });
      }
      const found = discover(hostNet, sysfs, o);
      return Object.fromEntries(found.map((nic) => [nic.interfaceName, nic.skipped.length > 0]));
    };
    const rows: [string, Parameters<typeof primaryOf>, boolean[]][] = [
      ['by the IPv4 default route', [[[4, 1, 0]]], [false, true, false]],
      [
        'by all next hops of a multipath default route',
        [
          [
            [4, 0, 0],
            [4, 2, 0],
          ],
        ],
        [true, false, true],
      ],
      [
        'by the lowest metric, where every NIC has a default route',
        [
          [
            [4, 0, 102],
            [4, 1, 100],
            [4, 2, 101],
          ],
        ],
        [false, true, false],
      ],
      [
        'by IPv4 before IPv6',
        [
          [
            [6, 0, 1],
            [4, 1, 9],
          ],
        ],
        [false, true, false],
      ],
      ['by IPv6 where there is no IPv4 default route', [[[6, 2, 1]]], [false, false, true]],
      ['by the node address', [[], { nodeAddresses: ['10.0.2.1'] }], [false, false, true]],
      [
        'by the node address in another spelling',
        [[], { nodeAddresses: ['FD00:0001:0:0::0001'] }],
        [false, true, false],
      ],
      [
        'by route and node address',
        [[[4, 0, 0]], { nodeAddresses: ['10.0.2.1'] }],
        [true, false, true],
      ],
      ['and offers none where nothing tells it', [[]], [true, true, true]],
      ['or all in a test cluster', [[], { includeVirtual: true }], [false, false, false]],
    ];
    test.each(rows)('%s', (_title, [routes, o], skipped) => {
      expect(Object.values(primaryOf(routes, o))).toEqual(skipped);
    });
  });

  test('gives the same answer twice, and a new one after a change', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'rail0', addresses: ['10.0.0.1/24'] });
    sysfs.addPci('rail0', '0000:01:00.0');
    const first = discover(hostNet, sysfs);
    expect(discover(hostNet, sysfs)).toEqual(first);
    hostNet.changeLink('rail0', { up: false });
    expect(verdicts(discover(hostNet, sysfs))).toMatchObject({ rail0: ['is down'] });
    hostNet.removeLink('rail0');
    expect(Object.keys(verdicts(discover(hostNet, sysfs)))).toEqual(['eth0']);
  });

  test('leaves out hardware that sysfs does not show', () => {
    using sysfs = new FakeSysfs();
    const hostNet = setUp(sysfs);
    hostNet.addLink({ name: 'ghost', addresses: ['10.0.0.1/24'] });
    expect(Object.keys(verdicts(discover(hostNet, sysfs)))).toEqual(['eth0']);
  });
});
