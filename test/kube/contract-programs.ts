// Contract of an API server, part 7: what is built on the client: collections that outlive the
// server, and leaders.
import { describe, expect, test } from 'bun:test';
import { type Collection, watchCollection } from '../../src/shared/platform/kube/collection.ts';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import { runAsLeader } from '../../src/shared/platform/kube/leader.ts';
import { CONFIG_MAPS, LEASES } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Bench, log, rejectionOf } from './under-test.ts';

interface Followed extends AsyncDisposable {
  readonly collection: Collection<string>;
  readonly changes: string[];
}

export function describePrograms(bench: Bench): void {
  const put = async (name: string, value: string): Promise<void> => {
    await bench.client.patch(
      CONFIG_MAPS,
      { name, namespace: bench.namespace },
      {
        type: 'apply',
        fieldManager: 'contract',
        force: true,
        body: { metadata: { name, labels: { follow: 'yes' } }, data: { value } },
      },
    );
  };
  const follow = (pageSize = 2): Followed => {
    const stop = new AbortController();
    const changes: string[] = [];
    const collection = watchCollection({
      client: bench.client,
      resource: CONFIG_MAPS,
      namespace: bench.namespace,
      labelSelector: 'follow=yes',
      pageSize,
      project: (map) => map.data?.value ?? '',
      onChange: (key) => changes.push(key),
      signal: stop.signal,
      log,
      backoff: { initialMs: 20, maxMs: 200 },
    });
    return {
      collection,
      changes,
      async [Symbol.asyncDispose]() {
        stop.abort(new Error('the test is over'));
        await collection.stopped;
      },
    };
  };
  const keyOf = (name: string): string => `${bench.namespace}/${name}`;

  describe('collections', () => {
    test('follow what is there and what changes', async () => {
      const names = [1, 2, 3, 4, 5].map(() => bench.unique('follow'));
      for (const name of names) await put(name, '0');
      await using followed = follow();
      const { collection, changes } = followed;
      await collection.synced;
      for (const name of names) expect(collection.get(keyOf(name))).toBe('0');
      expect(changes).toEqual(expect.arrayContaining(names.map(keyOf)));
      const [first = '', second = ''] = names;
      await put(first, '1');
      await eventually('the change', () => collection.get(keyOf(first)) === '1');
      await bench.client.delete(CONFIG_MAPS, { name: second, namespace: bench.namespace });
      await eventually('the deletion', () => !collection.has(keyOf(second)));
      expect(changes.filter((key) => key === keyOf(second)).length).toBe(2);
    });

    test('keep everything while the server is away and catch up afterwards', async () => {
      const [stays, goes, comes] = [1, 2, 3].map(() => bench.unique('away'));
      await put(stays ?? '', '0');
      await put(goes ?? '', '0');
      await using followed = follow();
      const { collection } = followed;
      await collection.synced;
      const size = collection.size;
      await bench.server.stop();
      const before = collection.stats().errors;
      await eventually('failures', () => collection.stats().errors >= before + 3, 20_000);
      expect(collection.size).toBe(size);
      expect(collection.get(keyOf(stays ?? ''))).toBe('0');
      await bench.server.start();
      await bench.client.delete(CONFIG_MAPS, { name: goes ?? '', namespace: bench.namespace });
      await put(comes ?? '', '1');
      await put(stays ?? '', '2');
      await eventually(
        'all changes',
        () => {
          return (
            collection.get(keyOf(stays ?? '')) === '2' &&
            collection.get(keyOf(comes ?? '')) === '1' &&
            !collection.has(keyOf(goes ?? ''))
          );
        },
        30_000,
      );
    });
  });

  describe('leases and leaders', () => {
    test('one of two candidates leads; the other follows when it gives back', async () => {
      const name = bench.unique('leader');
      const events: string[] = [];
      const candidate = (identity: string) => {
        const stop = new AbortController();
        const result = runAsLeader({
          client: bench.client,
          namespace: bench.namespace,
          name,
          identity,
          // Nobody waits for these: the first gives back, and no pause of a busy machine is as long.
          leaseDurationMs: 120_000,
          renewDeadlineMs: 100_000,
          retryPeriodMs: 50,
          run: async (signal) => {
            events.push(`${identity} starts`);
            const ended = Promise.withResolvers<void>();
            signal.addEventListener('abort', () => ended.resolve());
            await ended.promise;
            events.push(`${identity} ends`);
          },
          signal: stop.signal,
          log,
        });
        return { stop, result };
      };
      const first = candidate('first');
      await eventually('the first leads', () => events.includes('first starts'));
      const second = candidate('second');
      const held = await bench.client.get(LEASES, { name, namespace: bench.namespace });
      expect(held?.spec?.holderIdentity).toBe('first');
      first.stop.abort(new Error('leaving'));
      expect(await first.result).toBe('stopped');
      await eventually('the second leads', () => events.includes('second starts'));
      second.stop.abort(new Error('leaving'));
      expect(await second.result).toBe('stopped');
      expect(events).toEqual(['first starts', 'first ends', 'second starts', 'second ends']);
      const free = await bench.client.get(LEASES, { name, namespace: bench.namespace });
      expect(free?.spec?.holderIdentity ?? '').toBe('');
      expect(free?.spec?.leaseTransitions).toBe(1);
    });

    test('a lease with impossible times is refused', async () => {
      const { client, namespace } = bench;
      const lease = (spec: unknown): Promise<unknown> =>
        client.create(LEASES, { metadata: { name: bench.unique('bad'), namespace }, spec });
      const negative = await rejectionOf(lease({ leaseDurationSeconds: 0 }));
      expect(isKubeError(negative, 'invalid')).toBe(true);
      const malformed = await rejectionOf(lease({ renewTime: 'yesterday' }));
      expect(isKubeError(malformed, 'invalid')).toBe(true);
    });
  });
}
