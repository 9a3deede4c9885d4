// Routes to the pods of other hosts: they follow the cluster, heal by themselves, and never touch
// those of anybody else.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { HOST_INTERFACES, MULTI_NIC_NETWORKS } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import type { FakeHostNet } from '../hostnet/fake-host-net.ts';
import { hostObject, NODE, networkObject, putHost, startCluster } from './cluster.ts';
import { keepDirectory } from './cluster-scene.ts';
import { AWAY, cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const L3 = { ipam: { vlanMode: 'l3' } };
const world = (...peers: number[]) => [
  networkObject(L3),
  hostObject({ name: NODE, hostIndex: 0 }),
  ...peers.map((index) => hostObject({ name: `p${index}`, hostIndex: index })),
];

const ours = (hostNet: FakeHostNet): string[] =>
  hostNet
    .routes({ protocol: 77 })
    .map(({ destination, via }) => `${destination} ${via}`)
    .sort();

/** Routes to the peer with this host index, over all four rails. */
const expected = (...peers: number[]): string[] =>
  peers
    .flatMap((p) => [0, 1, 2, 3].map((i) => `192.168.${64 * i + p}.0/24 10.0.${i + 1}.${10 + p}`))
    .sort();

const settled = (hostNet: FakeHostNet, ...peers: number[]): Promise<unknown> =>
  eventually(`routes to ${peers.join()}`, () => {
    return JSON.stringify(ours(hostNet)) === JSON.stringify(expected(...peers));
  });

async function setUp(...peers: number[]): Promise<{ hostNet: FakeHostNet; h: Harness }> {
  const hostNet = createFakeHost();
  const h = await startHarness({ hostNet, objects: world(...peers) });
  await settled(hostNet, ...peers);
  return { hostNet, h };
}

describe('routes', () => {
  test('lead to every peer over every rail', async () => {
    const { h } = await setUp(1, 2);
    await using _ = h;
    expect(h.daemon.parts.routes.report).toMatchObject({ desired: 8, installed: 8, missing: [] });
  });

  test('come back after a NIC or its address was gone for a moment', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    const addresses = ['10.0.2.10/24'];
    for (const [before, after] of [
      [{ up: false }, { up: true }],
      [{ addresses: [] }, { addresses }],
    ] as const) {
      await h.daemon.idle();
      hostNet.changeLink('eth2', before);
      expect(ours(hostNet)).toHaveLength(3);
      hostNet.changeLink('eth2', after);
      await settled(hostNet, 1);
    }
  });

  test('come and go with peers and networks', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    await putHost(h.client, hostObject({ name: 'p5', hostIndex: 5 }));
    await settled(hostNet, 1, 5);
    await h.client.delete(HOST_INTERFACES, { name: 'p1' });
    await settled(hostNet, 5);
    await h.client.delete(MULTI_NIC_NETWORKS, { name: 'net' });
    await settled(hostNet);
  });

  test('stay while an edit takes their network away that pods have addresses of', async () => {
    using directory = keepDirectory();
    const hostNet = createFakeHost();
    for (const pod of ['c1', 'c2']) hostNet.addNetns(`/run/netns/${pod}`);
    const division = { subnet: '192.168.0.0/16', interfaceBlock: 2, hostBlock: 6 };
    const [, ...hosts] = world(1);
    const api = await startCluster([networkObject({ ...L3, status: { division } }), ...hosts]);
    const common = { api, hostNet, directory: directory.path };
    const refused = async (h: Harness, text: string, ...peers: number[]): Promise<void> => {
      await eventually('the edit is known', () => {
        return h.daemon.parts.view.network('net')?.issues.join().includes(text);
      });
      for (const p of peers) await putHost(h.client, hostObject({ name: `p${p}`, hostIndex: p }));
      await settled(hostNet, ...peers); // a peer that is new says that all were planned again
      const { problem } = await send(h.socket, cniRequest('ADD', { container: 'c2' }));
      expect(problem.detail).toContain(text);
      expect(h.daemon.parts.pools.records().map(({ state }) => state)).not.toContain('draining');
    };
    const edit = async (h: Harness, ipam: unknown): Promise<void> => {
      const patch = { type: 'merge', body: { spec: { ipam } } } as const;
      await h.client.patch(MULTI_NIC_NETWORKS, { name: 'net' }, patch);
    };
    {
      await using h = await startHarness(common);
      await settled(hostNet, 1);
      expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
      await edit(h, '{]}');
      await refused(h, 'spec.ipam', 1, 2);
      await edit(h, '{"type":"whereabouts","range":"10.0.0.0/24"}');
      await refused(h, 'ipam.type is not multi-nic-ipam any more', 1, 2, 3);
    }
    {
      await using h = await startHarness(common);
      await refused(h, 'ipam.type is not multi-nic-ipam any more', 1, 2, 3, 4);
      const { ipam } = MULTI_NIC_NETWORKS.parse(networkObject(L3)).spec;
      await edit(h, ipam);
      await eventually('it is changed back', async () => {
        return (await send(h.socket, cniRequest('ADD', { container: 'c2' }))).status === 200;
      });
    }
    await api.close();
  });

  test('that somebody deletes come back', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    for (const { destination } of hostNet.routes({ protocol: 77 }))
      hostNet.removeRoute(destination);
    await settled(hostNet, 1);
  });

  test('of others stay, and are named where they are in the way', async () => {
    const hostNet = createFakeHost();
    const foreign = {
      destination: '192.168.1.0/24',
      via: '10.0.1.99',
      interfaceIndex: hostNet.links()[0]?.index ?? 0,
      table: 254,
      protocol: 4,
    };
    hostNet.addForeignRoute(foreign);
    await using h = await startHarness({ hostNet, objects: world(1) });
    await eventually('the others', () => ours(hostNet).length === 3);
    expect(hostNet.routes({ protocol: 4 })).toEqual([foreign]);
    expect(h.daemon.parts.routes.report.missing).toMatchObject([
      { destination: '192.168.1.0/24', reason: expect.stringContaining('EEXIST') },
    ]);
    hostNet.removeRoute('192.168.1.0/24');
    await settled(hostNet, 1);
  });

  test('change their next hop when the peer changes its address', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    const host = hostObject({ name: 'p1', hostIndex: 1 });
    const text = JSON.stringify(host).replace('"hostIP":"10.0.1.11"', '"hostIP":"10.0.1.77"');
    await putHost(h.client, JSON.parse(text));
    await eventually('new hop', () => ours(hostNet).includes('192.168.1.0/24 10.0.1.77'));
    expect(ours(hostNet)).toHaveLength(4);
  });

  test('to a place that two peers claim are made for neither', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    await putHost(h.client, hostObject({ name: 'q1', hostIndex: 1 }));
    await eventually('contested', () => h.daemon.parts.routes.report.contested.length === 4);
    expect(ours(hostNet)).toEqual([]);
    await h.client.delete(HOST_INTERFACES, { name: 'q1' });
    await settled(hostNet, 1);
  });

  test('over a NIC that is away are reported and come with it', async () => {
    const { hostNet, h } = await setUp(1);
    await using _ = h;
    hostNet.removeLink('eth2');
    await eventually('three', () => ours(hostNet).length === 3);
    hostNet.addLink({ name: 'eth2', kind: 'veth', addresses: ['10.0.2.10/24'] });
    await settled(hostNet, 1);
  });

  test('of an earlier process stay while the API server is away', async () => {
    const api = await startCluster(world(1));
    const hostNet = createFakeHost();
    const first = await startHarness({ api, hostNet });
    await settled(hostNet, 1);
    await first.daemon.stop();
    await api.stop();
    const second = await startHarness({ api, hostNet, directory: first.directory, env: AWAY });
    await second.daemon.idle();
    expect(ours(hostNet)).toEqual(expected(1));
    await second.daemon.stop();
    await first[Symbol.asyncDispose]();
    await api.close();
  });

  test('are none in a network without l3', async () => {
    const hostNet = createFakeHost();
    const objects = [networkObject(), ...world(1).slice(1)];
    await using h = await startHarness({ hostNet, objects });
    await h.daemon.idle();
    expect(ours(hostNet)).toEqual([]);
  });
});
