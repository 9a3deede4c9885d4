// A journal that is whole but older than it should be: an old copy was put back. What the published
// pools list beyond it is held, so that no address of a pod is given again.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { IP_POOLS, PODS } from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import type { ApiServer } from '../apiserver/server.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { keepDirectory, podObject, published } from './cluster-scene.ts';
import {
  AWAY,
  addressesIn,
  cniRequest,
  createFakeHost,
  type Harness,
  type HarnessOptions,
  send,
  startHarness,
} from './harness.ts';

setDefaultTimeout(120_000);

const POOL = 'net-192.168.0.0-24';

/** One host with pods `c1`... and everything that outlives its daemon. */
async function setUp(pods: readonly string[]) {
  const directory = keepDirectory();
  const objects = [
    networkObject(),
    hostObject({ name: NODE, hostIndex: 0 }),
    ...pods.map((pod) => podObject(pod)),
  ];
  const api = await startCluster(objects);
  const hostNet = createFakeHost();
  for (const pod of ['c1', 'c2', 'c3']) hostNet.addNetns(`/run/netns/${pod}`);
  const start = (o: Partial<HarnessOptions> = {}): Promise<Harness> =>
    startHarness({ hostNet, api, directory: directory.path, ...o });
  return {
    api,
    start,
    journal: join(directory.path, 'state', 'journal.db'),
    copy: join(directory.path, 'copy.db'),
    [Symbol.asyncDispose]: async () => {
      await api.close();
      directory[Symbol.dispose]();
    },
  };
}

/** Attaches a pod that exists in the API server and waits until its addresses are published. */
async function add(h: Harness, container: string): Promise<string[]> {
  const pod = await h.client.get(PODS, { namespace: 'default', name: container });
  const args = `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${container};K8S_POD_UID=${pod?.metadata?.uid ?? ''}`;
  const addresses = addressesIn(await send(h.socket, cniRequest('ADD', { container, args })));
  await eventually('published', () => {
    const all = h.api.objects('ippools').map((pool) => JSON.stringify(pool));
    return addresses.every((address) => all.some((text) => text.includes(`"${address}"`)));
  });
  return addresses;
}

const listed = (api: ApiServer): string[] =>
  (published({ api } as Harness, POOL)?.spec.allocations ?? []).map(({ address }) => address);

async function stopped<T>(h: Harness, work: () => Promise<T>): Promise<T> {
  const result = await work();
  await h.daemon.stop();
  return result;
}

/** Addresses of c1 that the pools list, and that the journal, an old copy, does not. */
async function forgottenAddresses(world: Awaited<ReturnType<typeof setUp>>): Promise<string[]> {
  const empty = await world.start();
  await stopped(empty, async () => undefined);
  copyFileSync(world.journal, world.copy);
  const h = await world.start();
  const addresses = await stopped(h, () => add(h, 'c1'));
  copyFileSync(world.copy, world.journal);
  return addresses;
}

test('addresses that only the published pools list are held until their pods are gone', async () => {
  await using world = await setUp(['c1', 'c2']);
  const before = await forgottenAddresses(world);
  const h = await world.start();
  const after = await add(h, 'c2');
  expect(after).toHaveLength(4);
  expect(after.filter((address) => before.includes(address))).toEqual([]);
  expect(listed(h.api)).toContain(before[0] ?? '?');
  await h.client.delete(PODS, { namespace: 'default', name: 'c1' }, { gracePeriodSeconds: 0 });
  await eventually('released', async () => {
    await h.daemon.collect();
    return !listed(h.api).includes(before[0] ?? '?');
  });
  await h.daemon.stop();
});

test('an ordinary restart takes nothing over, not even what was released a moment before', async () => {
  await using world = await setUp(['c1']);
  let h = await world.start();
  await stopped(h, async () => {
    await add(h, 'c1');
    await send(h.socket, cniRequest('DEL', { container: 'c1' }));
  });
  h = await world.start();
  expect(h.daemon.parts.journal.list()).toEqual([]);
  await h.daemon.stop();
});

test('an address that another pod got from the old journal is reported, and given to nobody', async () => {
  await using world = await setUp(['c1', 'c2']);
  const before = await forgottenAddresses(world);
  // Away at this start: nothing can be compared, and the address is given a second time.
  const outage = world.api.faults.add({ action: 'drop' });
  const h = await world.start({ env: AWAY });
  const given = addressesIn(await send(h.socket, cniRequest('ADD', { container: 'c2' })));
  expect(given[0]).toBe(before[0]);
  outage[Symbol.dispose]();
  await eventually('reported', () =>
    h.daemon.parts.keeper.conflicts.some(
      ({ pod, address, reason }) =>
        pod === 'default/c1' && address === before[0] && reason.includes('default/c2'),
    ),
  );
  await h.daemon.stop();
});

test('a pool whose object another host took is reported, because nobody sees its allocations', async () => {
  await using world = await setUp(['c1']);
  const first = await world.start();
  await stopped(first, () => add(first, 'c1'));
  const { client } = first;
  const own = await client.get(IP_POOLS, { name: POOL });
  await client.delete(IP_POOLS, { name: POOL });
  const labels = { hostname: 'n9', netname: 'net' };
  const object = { ...own, metadata: { name: POOL, labels } };
  await client.create(IP_POOLS, { ...object, spec: { ...own?.spec, hostName: 'n9' } });
  const lines: string[] = [];
  const log = createLogger({ component: 'test', write: (line) => lines.push(line) });
  const second = await world.start({ log });
  await eventually('reported', () =>
    lines.some((line) => line.includes('pool not published') && line.includes('"n9"')),
  );
  await second.daemon.stop();
});
