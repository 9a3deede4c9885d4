// What changes under a running daemon: indices, NICs, networks and the objects that it publishes.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { formatCidr } from '../../src/shared/model/ip/cidr.ts';
import {
  HOST_INTERFACES,
  IP_POOLS,
  MULTI_NIC_NETWORKS,
} from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { createFakeClock } from '../helpers/fake-clock.ts';
import { hostObject, NODE, networkObject, putHost, rail } from './cluster.ts';
import { kindOf, pool1, published } from './cluster-scene.ts';
import {
  addressesIn,
  cniRequest,
  createFakeHost,
  type Harness,
  send,
  startHarness,
} from './harness.ts';

setDefaultTimeout(120_000);

describe('indices', () => {
  test('one that two hosts hold is used by neither, until only one holds it', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    const other = hostObject({ name: 'n2', hostIndex: 0 });
    await using h = await startHarness({
      hostNet,
      objects: [networkObject(), hostObject({ name: NODE, hostIndex: 0 }), other],
    });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer.problem)).toBe('no-master');
    expect(answer.problem.detail).toContain('host index 0 is held by n1 and n2');
    const metrics = await (await fetch(`${h.url}/metrics`)).text();
    expect(metrics).toContain('multi_nic_pool_refused{pool="net-192.168.0.0-24"} 1');
    await putHost(h.client, hostObject({ name: 'n2', hostIndex: 1 }));
    await eventually('usable', () => pool1(h)?.state === 'planned');
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
  });

  test('hostBlock 0 serves one host and says why not two', async () => {
    const hostNet = createFakeHost();
    for (const pod of ['a', 'b']) hostNet.addNetns(`/run/netns/${pod}`);
    await using h = await startHarness({
      hostNet,
      objects: [
        networkObject({ ipam: { hostBlock: 0 } }),
        hostObject({ name: NODE, hostIndex: 0 }),
      ],
    });
    expect((await send(h.socket, cniRequest('ADD', { container: 'a' }))).status).toBe(200);
    await putHost(h.client, hostObject({ name: 'n2', hostIndex: 0 }));
    await eventually('refused', () => h.daemon.parts.pools.records()[0]?.state === 'refused');
    // First for a second host with these net addresses, then for the index that it is given.
    await eventually('with the reason', async () => {
      const { problem } = await send(h.socket, cniRequest('ADD', { container: 'b' }));
      return problem.detail?.includes('host index 0 is held by n1 and n2');
    });
    expect((await send(h.socket, cniRequest('DEL', { container: 'a' }))).status).toBe(200);
  });

  test('a NIC without an index is named as the reason', async () => {
    const hostNet = createFakeHost(5);
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.problem.detail).toContain('eth5: its net address has no interface index');
  });
});

test('a network that changes has its pools published at once', async () => {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  // Time stands still: nothing is published because of it.
  await using h = await startHarness({ hostNet, clock: createFakeClock() });
  expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
  const finalizers = ['test/waits-for-pods'];
  const patch = { type: 'merge', body: { metadata: { finalizers } } } as const;
  await h.client.patch(MULTI_NIC_NETWORKS, { name: 'net' }, patch);
  await eventually('published', () => published(h, 'net-192.168.0.0-24')?.spec.allocations.length);
});

describe('division', () => {
  const division = { subnet: '192.168.0.0/16', interfaceBlock: 2, hostBlock: 6 };
  const cidrs = (h: Harness): string[] =>
    h.daemon.parts.pools.records().map(({ plan }) => formatCidr(plan.podCidr));

  test('an edit moves no pool before it is what indices are given for', async () => {
    await using h = await startHarness({
      objects: [networkObject({ status: { division } }), hostObject({ name: NODE, hostIndex: 1 })],
    });
    const given = ['192.168.1.0/24', '192.168.65.0/24', '192.168.129.0/24', '192.168.193.0/24'];
    await eventually('planned', () => cidrs(h).join() === given.join());
    const excludeCIDRs = ['192.168.1.7/32'];
    const { spec } = networkObject({
      spec: { subnet: '10.128.0.0/16' },
      ipam: { hostBlock: 7, excludeCIDRs },
    });
    const patch = { type: 'merge', body: { spec } } as const;
    await h.client.patch(MULTI_NIC_NETWORKS, { name: 'net' }, patch);
    await eventually('the edit is known', () => {
      const [first] = h.daemon.parts.pools.records();
      return first?.plan.excludes.map(formatCidr).join() === excludeCIDRs.join();
    });
    expect(cidrs(h)).toEqual(given);

    const status = { division: { subnet: '10.128.0.0/16', interfaceBlock: 2, hostBlock: 7 } };
    const taken = { type: 'merge', subresource: 'status', body: { status } } as const;
    await h.client.patch(MULTI_NIC_NETWORKS, { name: 'net' }, taken);
    const moved = ['10.128.0.128/25', '10.128.64.128/25', '10.128.128.128/25', '10.128.192.128/25'];
    await eventually('moved', () => cidrs(h).join() === moved.join());
  });
});

describe('changes', () => {
  test('a NIC that comes or goes is published, and pods get what is there', async () => {
    const hostNet = createFakeHost(3);
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    const names = () =>
      HOST_INTERFACES.parse(h.api.object('hostinterfaces', NODE)).spec.interfaces.map(
        (one) => one.interfaceName,
      );
    await eventually('three', () => names().join() === 'eth1,eth2,eth3');
    const refused = await send(h.socket, cniRequest('ADD'));
    expect(refused.problem.detail).toContain(`${rail(4)}: this node had a NIC in this net`);
    hostNet.addLink({ name: 'eth4', kind: 'veth', addresses: ['10.0.4.10/24'] });
    await eventually('four', () => names().join() === 'eth1,eth2,eth3,eth4');
    await eventually('planned', () => h.daemon.parts.pools.records().length === 4);
    expect(addressesIn(await send(h.socket, cniRequest('ADD')))).toHaveLength(4);
  });

  test('a NIC that goes down keeps its pool while pods hold addresses of it', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    await send(h.socket, cniRequest('ADD'));
    hostNet.changeLink('eth1', { up: false });
    await eventually('draining', () => pool1(h)?.state === 'draining');
    await h.daemon.idle();
    expect(published(h, 'net-192.168.0.0-24')?.spec.allocations).toHaveLength(1);
    hostNet.changeLink('eth1', { up: true });
    await eventually('planned again', () => pool1(h)?.state === 'planned');
    expect(pool1(h)?.pool.isOccupied(1)).toBe(true);
  });

  test('a network that is deleted drains its pools', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({
      hostNet,
      env: { MULTI_NIC_QUARANTINE_SECONDS: '0' },
    });
    await send(h.socket, cniRequest('ADD'));
    await eventually('published', () => h.api.objects('ippools').length === 4);
    await h.client.delete(MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('draining', () => pool1(h)?.state === 'draining');
    expect(kindOf((await send(h.socket, cniRequest('ADD', { container: 'x' }))).problem)).toBe(
      'network-unknown',
    );
    expect(h.api.objects('ippools')).toHaveLength(4);
    await send(h.socket, cniRequest('DEL'));
    await eventually('removed', () => h.api.objects('ippools').length === 0);
  });

  test('an unmanaged host is never written, and its interfaces count', async () => {
    const labels = { 'multi-nic-unmanaged': 'True' };
    const hostNet = createFakeHost(2);
    hostNet.addLink({ name: 'ib0', kind: 'other' });
    hostNet.addNetns('/run/netns/c1');
    const host = hostObject({ name: NODE, hostIndex: 0, labels });
    const spec = {
      hostName: NODE,
      interfaces: [{ interfaceName: 'ib0', netAddress: rail(3) }],
    };
    await using h = await startHarness({ hostNet, objects: [networkObject(), { ...host, spec }] });
    await h.daemon.idle();
    const cni = { masters: ['ib0'] };
    const answer = await send(h.socket, cniRequest('ADD', { config: { args: { cni } } }));
    expect(addressesIn(answer)).toEqual(['192.168.128.1']);
    hostNet.changeLink('eth1', { mtu: 9000 });
    await h.daemon.idle();
    expect(HOST_INTERFACES.parse(h.api.object('hostinterfaces', NODE)).spec.interfaces).toEqual(
      spec.interfaces,
    );
  });

  test('a HostInterface that is missing is made', async () => {
    await using h = await startHarness({ objects: [networkObject()] });
    await eventually('made', () => h.api.object('hostinterfaces', NODE) !== undefined);
    const { spec } = HOST_INTERFACES.parse(h.api.object('hostinterfaces', NODE));
    expect(spec.interfaces[0]).toMatchObject({
      interfaceName: 'eth1',
      netAddress: rail(1),
      hostIP: '10.0.1.10',
    });
  });

  test('a pool object that somebody changes is put right', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    await send(h.socket, cniRequest('ADD'));
    const name = 'net-192.168.0.0-24';
    await eventually('published', () => published(h, name)?.spec.allocations.length === 1);
    const body = { spec: { allocations: [] }, metadata: { labels: { team: 'x' } } };
    await h.client.patch(IP_POOLS, { name }, { type: 'merge', body });
    await eventually('put right', () => published(h, name)?.spec.allocations.length === 1);
    expect(published(h, name)?.metadata.labels).toEqual({
      hostname: NODE,
      netname: 'net',
      team: 'x',
    });
  });

  test('many changes of a pool are few writes', async () => {
    const hostNet = createFakeHost();
    const containers = Array.from({ length: 50 }, (_, i) => `c${i}`);
    for (const container of containers) hostNet.addNetns(`/run/netns/${container}`);
    const intervalMs = 300;
    const env = { MULTI_NIC_PUBLISH_INTERVAL_MS: `${intervalMs}` };
    await using h = await startHarness({ hostNet, env });
    await h.daemon.idle();
    const startMs = performance.now();
    for (const container of containers) await send(h.socket, cniRequest('ADD', { container }));
    const name = 'net-192.168.0.0-24';
    await eventually('published', () => published(h, name)?.spec.allocations.length === 50);
    const writes = h.api.seen.filter((one) => one.name === name && one.method === 'PATCH');
    // However long it took: one for the empty pool, one at once, and one per interval.
    const intervals = Math.ceil((performance.now() - startMs) / intervalMs);
    expect(writes.length).toBeLessThanOrEqual(2 + intervals);
  });
});
