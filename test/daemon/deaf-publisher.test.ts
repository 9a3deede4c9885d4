// Publishing while the watches of the API server are away, as they are for a while after an outage.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at } from '../cluster/api.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const NAME = 'net-192.168.0.0-24';

test('a pool that is back to what a watch told last is written all the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mnd-'));
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/a');
  const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
  const holders = () => at(api.object('ippools', NAME), 'spec', 'allocations');
  try {
    {
      await using _first = await startHarness({ api, directory, hostNet });
      await eventually('an empty pool', () => Bun.deepEquals(holders(), []));
    }
    using watches = api.faults.add({
      action: 'hang',
      match: { isWatch: true, plural: 'ippools' },
    });
    await using h = await startHarness({ api, directory, hostNet });
    await eventually('a watch', () => watches.hits > 0);
    for (const round of [1, 2]) {
      await send(h.socket, cniRequest('ADD', { container: 'a' }));
      await eventually(`a pod in round ${round}`, () => {
        const listed = holders();
        return Array.isArray(listed) && listed.length === 1;
      });
      await send(h.socket, cniRequest('DEL', { container: 'a' }));
      await eventually(`no pod in round ${round}`, () => Bun.deepEquals(holders(), []));
    }
    const isWrite = ({ method, name, subresource }: (typeof api.seen)[number]): boolean =>
      method === 'PATCH' && name === NAME && !subresource;
    expect(api.seen.filter(isWrite)).toHaveLength(4);
  } finally {
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
