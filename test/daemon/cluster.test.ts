// What the daemon makes of the cluster: starts without an API server, lost journals, taken-over
// pools, indices that two hosts hold, networks and NICs that come and go.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { PODS } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { keepDirectory, kindOf, podObject, pool1, poolObject, published } from './cluster-scene.ts';
import { AWAY, addressesIn, cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

describe('without an API server', () => {
  test('a node that knows its plan serves pods, and catches up later', async () => {
    using directory = keepDirectory();
    const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
    const hostNet = createFakeHost();
    for (const pod of ['a', 'b']) hostNet.addNetns(`/run/netns/${pod}`);
    const common = { api, hostNet, directory: directory.path };
    const first = await startHarness(common);
    await first.daemon.idle();
    await send(first.socket, cniRequest('ADD', { container: 'a' }));
    await first.daemon.stop();
    await api.stop();
    await using h = await startHarness({ ...common, env: AWAY });
    expect(h.daemon.parts.view.isLive).toBe(false);
    const answer = await send(h.socket, cniRequest('ADD', { container: 'b' }));
    expect(addressesIn(answer)[0]).toBe('192.168.0.2');
    expect((await send(h.socket, cniRequest('DEL', { container: 'a' }))).status).toBe(200);
    api.start();
    await eventually('the pool is published', () => {
      return published(h, 'net-192.168.0.0-24')?.spec.allocations.at(0)?.index === 2;
    });
    await api.close();
  });

  test('a list that is refused is named while the start waits for it', async () => {
    const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
    const match = { plural: 'deviceclasses' };
    const refusal = api.faults.add({ action: 'status', code: 403, reason: 'Forbidden', match });
    await using h = await startHarness({ api, isReady: false });
    await eventually('named', async () => {
      const text = await (await fetch(`${h.url}/readyz`)).text();
      return text.includes('waiting for the API server to list deviceclasses"');
    });
    refusal[Symbol.dispose]();
    await h.daemon.ready;
    await api.close();
  });

  test('a node that never knew a plan refuses ADD as transient and still takes DEL', async () => {
    const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
    await api.stop();
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ api, hostNet, isReady: false });
    await eventually('recovered', async () => {
      return (await send(h.socket, cniRequest('DEL'))).status === 200;
    });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer.problem)).toBe('not-ready');
    expect(answer.problem.detail).toContain('waiting for the API server');
    expect(kindOf((await send(h.socket, cniRequest('STATUS'))).problem)).toBe('not-ready');
    expect((await fetch(`${h.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${h.url}/healthz`)).status).toBe(200);
    api.start();
    await h.daemon.ready;
    expect((await send(h.socket, cniRequest('STATUS'))).status).toBe(200);
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
    await api.close();
  });

  test('an ADD touches no API server at all', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet });
    await h.daemon.idle();
    await h.api.stop();
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
    h.api.start();
  });
});

describe('pools that are there already', () => {
  const pools = [
    poolObject({
      name: 'net-192.168.0.0-24',
      podCIDR: '192.168.0.0/24',
      interfaceName: 'eth1',
      allocations: [
        ['late', 7],
        ['job', 1],
        ['gone', 2],
      ],
    }),
  ];
  const world = [
    networkObject(),
    hostObject({ name: NODE, hostIndex: 0 }),
    ...pools,
    podObject('job'),
    podObject('late'),
  ];

  test('keep their addresses, lose the old finalizer, and are listed by index', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    await using h = await startHarness({ hostNet, objects: world });
    expect(pool1(h)?.pool.occupied).toBe(3);
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(['192.168.0.1', '192.168.0.2', '192.168.0.7']).not.toContain(addressesIn(answer)[0]);
    const own = addressesIn(answer)[0] ?? '';
    // The record without a pod is given up once the API server confirmed that there is none.
    await eventually('the record of the pod that is gone is released', () => {
      const names = published(h, 'net-192.168.0.0-24')?.spec.allocations.map(({ pod }) => pod);
      return JSON.stringify(names) === JSON.stringify(['job', 'late', 'c1']);
    });
    const object = published(h, 'net-192.168.0.0-24');
    expect(object?.metadata.finalizers ?? []).toEqual([]);
    expect(object?.spec.allocations.at(-1)?.address).toBe(own);
    expect(Object.keys(object?.spec.allocations[0] ?? {}).sort()).toEqual([
      'address',
      'index',
      'namespace',
      'pod',
    ]);
  });

  test('a DEL with the UID of the pod releases what was taken over for it, a namesake does not', async () => {
    await using h = await startHarness({ objects: world });
    const uid = (await h.client.get(PODS, { namespace: 'default', name: 'job' }))?.metadata?.uid;
    const args = (value: string) =>
      `K8S_POD_NAMESPACE=default;K8S_POD_NAME=job;K8S_POD_UID=${value}`;
    await send(h.socket, cniRequest('DEL', { container: 'x', args: args('other') }));
    await send(h.socket, cniRequest('DEL', { container: 'x', args: args('') }));
    expect(pool1(h)?.pool.isOccupied(1)).toBe(true);
    await send(h.socket, cniRequest('DEL', { container: 'x', args: args(uid ?? '') }));
    expect(pool1(h)?.pool.isOccupied(1)).toBe(false);
    expect(pool1(h)?.pool.isOccupied(7)).toBe(true);
  });

  test('the same holds when the journal was lost, with nothing given twice', async () => {
    const api = await startCluster([
      networkObject(),
      hostObject({ name: NODE, hostIndex: 0 }),
      podObject('a'),
      podObject('b'),
    ]);
    const hostNet = createFakeHost();
    for (const pod of ['a', 'b', 'c']) hostNet.addNetns(`/run/netns/${pod}`);
    const before: string[] = [];
    {
      await using h = await startHarness({ api, hostNet });
      for (const container of ['a', 'b']) {
        before.push(...addressesIn(await send(h.socket, cniRequest('ADD', { container }))));
      }
      await eventually('published', () =>
        ['0', '64', '128', '192'].every((part) => {
          return published(h, `net-192.168.${part}.0-24`)?.spec.allocations.length === 2;
        }),
      );
    }
    await using h = await startHarness({ api, hostNet });
    const after = addressesIn(await send(h.socket, cniRequest('ADD', { container: 'c' })));
    expect(after).toHaveLength(4);
    expect(after.filter((address) => before.includes(address))).toEqual([]);
    await api.close();
  });

  test('an address that two records claim is held once and reported', async () => {
    const twice = poolObject({
      name: 'net-192.168.0.0-24',
      podCIDR: '192.168.0.0/24',
      interfaceName: 'eth1',
      allocations: [
        ['job', 1],
        ['late', 1],
      ],
    });
    const outside = { pod: 'late', namespace: 'default', index: 9, address: '192.168.9.9' };
    twice.spec.allocations.push(outside);
    const objects = [...world.filter((one) => one !== pools[0]), twice];
    await using h = await startHarness({ objects });
    expect(h.daemon.parts.keeper.conflicts).toEqual([
      {
        pool: 'net-192.168.0.0-24',
        address: '192.168.0.1',
        pod: 'default/late',
        reason: 'recorded twice',
      },
      {
        pool: 'net-192.168.0.0-24',
        address: '192.168.9.9',
        pod: 'default/late',
        reason: 'not in the pool',
      },
    ]);
    expect(pool1(h)?.pool.isOccupied(1)).toBe(true);
  });

  test('one of an old version is found without labels and gets them', async () => {
    const unlabelled = { ...pools[0], metadata: { ...pools[0]?.metadata, labels: {} } };
    const objects = [...world.filter((one) => one !== pools[0]), unlabelled];
    await using h = await startHarness({ objects });
    expect(pool1(h)?.pool.isOccupied(7)).toBe(true);
    await eventually('labelled', () => {
      const labels = published(h, 'net-192.168.0.0-24')?.metadata.labels;
      return JSON.stringify(labels) === '{"hostname":"n1","netname":"net"}';
    });
  });

  test('that of another host is neither used nor written', async () => {
    const foreign = poolObject({
      name: 'net-192.168.0.0-24',
      podCIDR: '192.168.0.0/24',
      interfaceName: 'eth1',
      hostName: 'n9',
      allocations: [],
    });
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    const objects = [networkObject(), hostObject({ name: NODE, hostIndex: 0 }), foreign];
    await using h = await startHarness({ hostNet, objects });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.problem.detail).toContain('its IPPool belongs to host n9');
    await h.daemon.idle();
    expect(published(h, 'net-192.168.0.0-24')?.spec.hostName).toBe('n9');
  });

  test('one that no plan wants is kept while a pod holds its address, then removed', async () => {
    const stray = poolObject({
      name: 'net-10.99.0.0-24',
      podCIDR: '10.99.0.0/24',
      interfaceName: 'eth7',
      allocations: [['job', 3]],
    });
    await using h = await startHarness({
      objects: [...world, stray],
      env: { MULTI_NIC_QUARANTINE_SECONDS: '0' },
    });
    expect(h.daemon.parts.pools.get('net-10.99.0.0-24')?.state).toBe('draining');
    const pod = { namespace: 'default', name: 'job' };
    await fetch(`${h.api.url}/api/v1/namespaces/default/pods/job`, {
      method: 'DELETE',
      body: JSON.stringify({ gracePeriodSeconds: 0 }),
      headers: { 'content-type': 'application/json' },
    });
    await eventually('seen', () => h.daemon.parts.view.podUid(pod) === undefined);
    await h.daemon.collect();
    await eventually('removed', () => published(h, 'net-10.99.0.0-24') === undefined);
  });
});
