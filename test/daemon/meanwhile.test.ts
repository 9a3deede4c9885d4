// What changes while the daemon waits for the API server: what it had decided on before must not
// be done after it.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { IP_POOLS, MULTI_NIC_NETWORKS } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, putHost, startCluster } from './cluster.ts';
import { keepDirectory, pool1, published } from './cluster-scene.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const NAMES = [0, 64, 128, 192].map((third) => `net-192.168.${third}.0-24`);
const [NAME = ''] = NAMES;
const DELAY_MS = 1_000;

const objects = () => [networkObject(), hostObject({ name: NODE, hostIndex: 0 })];
const recorded = ({ daemon }: Harness): string[] => [...daemon.parts.journal.plans('pool').keys()];

test('a pool that another host claims while its object is asked for gives nothing', async () => {
  await using api = await startCluster(objects());
  const asked = api.faults.add({
    action: 'delay',
    delayMs: DELAY_MS,
    times: 1,
    match: { method: 'GET', plural: 'ippools', name: NAME },
  });
  await using h = await startHarness({ api, isReady: false });
  await eventually('it asks', () => asked.hits === 1);
  await putHost(h.client, hostObject({ name: 'n2', hostIndex: 0 }));
  await eventually('it heard', () => h.daemon.parts.view.host('n2') !== undefined);
  expect(pool1(h)?.state).not.toBe('planned');
  await h.daemon.ready;
  expect(pool1(h)).toMatchObject({ state: 'refused', reason: expect.stringContaining('n2') });
});

test('a pool that comes back while its object is removed is published again', async () => {
  using directory = keepDirectory();
  await using api = await startCluster(objects());
  const o = { api, directory: directory.path };
  {
    await using first = await startHarness(o);
    await eventually('published', () => published(first, NAME) !== undefined);
  }
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  // No watch tells of what becomes of the object.
  api.faults.add({ action: 'hang', match: { isWatch: true, plural: 'ippools' } });
  await using h = await startHarness({ ...o, hostNet });
  const match = { method: 'DELETE', plural: 'ippools', name: NAME };
  const removal = api.faults.add({ action: 'delay', delayMs: DELAY_MS, times: 1, match });
  hostNet.removeLink('eth1');
  await eventually('it is removed', () => removal.hits === 1);
  hostNet.addLink({ name: 'eth1', kind: 'veth', addresses: ['10.0.1.10/24'] });
  await eventually('planned again', () => pool1(h)?.state === 'planned');
  expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
  await eventually('another object', () => published(h, NAME)?.spec.allocations.length === 1);
  expect(recorded(h)).toContain(NAME);
});

test('a pool that went while the daemon was away is forgotten with its object', async () => {
  using directory = keepDirectory();
  await using api = await startCluster(objects());
  const o = { api, directory: directory.path };
  {
    await using first = await startHarness(o);
    await eventually('published', () => NAMES.every((name) => published(first, name)));
    expect(recorded(first)).toContain(NAME);
    await first.daemon.stop();
    await first.client.delete(MULTI_NIC_NETWORKS, { name: 'net' });
    for (const name of NAMES) await first.client.delete(IP_POOLS, { name });
  }
  await using h = await startHarness(o);
  await eventually('forgotten', () => recorded(h).length === 0);
});
