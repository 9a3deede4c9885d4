// Publishing while the watches of the API server are away, as they are for a while after an outage.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IP_POOLS } from '../../src/shared/platform/kube/resource.ts';
import { at } from '../cluster/api.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const NAME = 'net-192.168.0.0-24';

/** A daemon that has listed the published pools and is told of no change of them. */
async function startDeaf(): Promise<Harness> {
  const directory = mkdtempSync(join(tmpdir(), 'mnd-'));
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/a');
  const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
  {
    await using first = await startHarness({ api, directory, hostNet });
    await eventually('an empty pool', () => Bun.deepEquals(holders(first), []));
    // Its last write: one that arrived later would meet the first one of the next daemon.
    await eventually('its counts', () => at(api.object('ippools', NAME), 'status', 'free') === 254);
  }
  const isWatch = { isWatch: true, plural: 'ippools' };
  const watches = api.faults.add({ action: 'hang', match: isWatch });
  const harness = await startHarness({ api, directory, hostNet });
  await eventually('a watch', () => watches.hits > 0);
  return {
    ...harness,
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await api.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function holders({ api }: Harness): unknown {
  return at(api.object('ippools', NAME), 'spec', 'allocations');
}

async function until(h: Harness, count: number): Promise<void> {
  await eventually(`${count} published`, () => {
    const listed = holders(h);
    return Array.isArray(listed) && listed.length === count;
  });
}

/** Writes of the pool's spec so far. */
function writes({ api }: Harness): number {
  return api.seen.filter(
    ({ method, name, subresource }) => method === 'PATCH' && name === NAME && !subresource,
  ).length;
}

test('a pool that is back to what a watch told last is written all the same', async () => {
  await using h = await startDeaf();
  for (const _round of [1, 2]) {
    await send(h.socket, cniRequest('ADD', { container: 'a' }));
    await until(h, 1);
    await send(h.socket, cniRequest('DEL', { container: 'a' }));
    await until(h, 0);
  }
  expect(writes(h)).toBe(4);
});

test('what somebody else wrote is read when a write meets it, and kept', async () => {
  await using h = await startDeaf();
  const body = { metadata: { labels: { team: 'blue' } } };
  await h.client.patch(IP_POOLS, { name: NAME }, { type: 'merge', body });
  await send(h.socket, cniRequest('ADD', { container: 'a' }));
  await until(h, 1);
  expect(at(h.api.object('ippools', NAME), 'metadata', 'labels', 'team')).toBe('blue');
});

test('a write whose answer was lost is found to be done', async () => {
  await using h = await startDeaf();
  const match = { method: 'PATCH', plural: 'ippools', name: NAME, subresource: '' };
  using answers = h.api.faults.add({ action: 'drop', when: 'after', match, times: 1 });
  await send(h.socket, cniRequest('ADD', { container: 'a' }));
  await eventually('a lost answer', () => answers.hits > 0);
  await until(h, 1);
  await send(h.socket, cniRequest('DEL', { container: 'a' }));
  await until(h, 0);
});
