// Runs inside a guest with NICs of several models, started by discovery.real.ts: discovery on a
// real sysfs, with real VLANs and bonds.
import { expect, test } from 'bun:test';
import { discoverInterfaces } from '../../../src/daemon/hostnet/discover-interfaces.ts';
import { openHostNet } from '../../../src/daemon/hostnet/open-host-net.ts';

function ip(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(['ip', ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

test('NICs are found by model, on PCI and below virtio, and VLANs on bonds', () => {
  using hostNet = openHostNet();
  const hardware = discoverInterfaces({ hostNet }).map((nic) => nic.interfaceName);
  expect(hardware).toHaveLength(4);
  for (const [n, name] of hardware.entries()) {
    ip('link', 'set', name, 'up');
    ip('address', 'add', `10.0.${n}.1/24`, 'dev', name);
  }
  ip('route', 'add', 'default', 'via', '10.0.0.254');
  ip('link', 'add', 'bond7', 'type', 'bond');
  ip('link', 'add', 'link', 'bond7', 'name', 'bond7.30', 'type', 'vlan', 'id', '30');
  ip('link', 'add', 'link', hardware[1] ?? '', 'name', 'vlan40', 'type', 'vlan', 'id', '40');
  ip('address', 'add', '10.30.0.1/24', 'dev', 'bond7.30');
  for (const name of ['bond7', 'bond7.30']) ip('link', 'set', name, 'up');
  const found = discoverInterfaces({ hostNet }).map((nic) => ({
    identity: `${nic.vendor}:${nic.product}`,
    netAddress: nic.netAddress,
    hasPciAddress: /^[0-9a-f]{4}:[0-9a-f]{2}:00\.0$/.test(nic.pciAddress),
    skipped: nic.skipped,
  }));
  const primary = "is the node's primary NIC";
  const row = (identity: string, netAddress: string, skipped: string[] = []) => ({
    identity,
    netAddress,
    hasPciAddress: identity !== ':',
    skipped,
  });
  expect(found).toEqual([
    row('8086:10d3', '10.0.0.0/24', [primary]),
    row('15ad:07b0', '10.0.1.0/24'),
    row('8086:10d3', '10.0.2.0/24'),
    row('1af4:1041', '10.0.3.0/24'),
    row(':', '10.30.0.0/24'),
  ]);
});
