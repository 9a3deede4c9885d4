// ADD and DEL through the socket: what pods get, and that what fails leaves nothing.
import { describe, expect, test } from 'bun:test';
import { addressesIn, cniRequest, createFakeHost, send, startHarness } from './harness.ts';

describe('ADD', () => {
  test('gives one interface per NIC with an address of its pool', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.problem).not.toHaveProperty('type');
    expect(answer.reply.result).toMatchObject({
      cniVersion: '1.1.0',
      interfaces: [0, 1, 2, 3].map((i) => ({
        name: `net1-${i}`,
        mtu: 1500,
        sandbox: '/run/netns/c1',
      })),
      ips: [0, 1, 2, 3].map((i) => ({ interface: i, address: `192.168.${64 * i}.1/18` })),
      dns: {},
    });
    expect(answer.reply.families).toEqual([4]);
    expect(answer.reply.pools?.[1]).toEqual({
      name: 'net-192.168.64.0-24',
      podCidr: '192.168.64.0/24',
      vlanCidr: '192.168.64.0/18',
      excludes: [],
      addresses: ['192.168.64.1/18'],
    });
    using netns = hostNet.openNetns('/run/netns/c1');
    expect(netns.links().map((link) => [link.name, link.kind, link.mode])).toEqual(
      [0, 1, 2, 3].map((i) => [`net1-${i}`, 'macvlan', 'bridge']),
    );
  });

  test('a second pod gets other addresses', async () => {
    const hostNet = createFakeHost();
    for (const pod of ['a', 'b']) hostNet.addNetns(`/run/netns/${pod}`);
    await using h = await startHarness({ hostNet });
    const first = addressesIn(await send(h.socket, cniRequest('ADD', { container: 'a' })));
    const second = addressesIn(await send(h.socket, cniRequest('ADD', { container: 'b' })));
    expect(first).toEqual(['192.168.0.1', '192.168.64.1', '192.168.128.1', '192.168.192.1']);
    expect(second).toEqual(['192.168.0.2', '192.168.64.2', '192.168.128.2', '192.168.192.2']);
  });
});
