// Contract of an API server, part 2: changing objects: patches, the status subresource, generation,
// finalizers, owners.
import { describe, expect, test } from 'bun:test';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import { CONFIG_MAPS, NAMESPACES } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Bench, rejectionOf, WIDGETS } from './under-test.ts';

export function describeChanges(bench: Bench): void {
  describe('patches', () => {
    test('a merge patch sets and removes members', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('merge'), namespace };
      await client.create(CONFIG_MAPS, { metadata: key, data: { a: '1', b: '2' } });
      const body = { data: { a: null, c: '3' } };
      const patched = await client.patch(CONFIG_MAPS, key, { type: 'merge', body });
      expect(patched.data).toEqual({ b: '2', c: '3' });
    });

    test('a merge patch with a stale version is a conflict', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('merge'), namespace };
      const made = await client.create(CONFIG_MAPS, { metadata: key, data: {} });
      await client.patch(CONFIG_MAPS, key, { type: 'merge', body: { data: { a: '1' } } });
      const resourceVersion = made.metadata?.resourceVersion;
      const body = { metadata: { resourceVersion }, data: { a: '2' } };
      const error = await rejectionOf(client.patch(CONFIG_MAPS, key, { type: 'merge', body }));
      expect(isKubeError(error, 'conflict')).toBe(true);
    });

    test('a JSON patch is all or nothing, and a failed test is invalid', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('json'), namespace };
      await client.create(CONFIG_MAPS, { metadata: key, data: { a: '1' } });
      const patched = await client.patch(CONFIG_MAPS, key, {
        type: 'json',
        body: [
          { op: 'test', path: '/data/a', value: '1' },
          { op: 'replace', path: '/data/a', value: '2' },
          { op: 'add', path: '/metadata/annotations', value: {} },
          { op: 'add', path: '/metadata/annotations/contract.test~1x', value: 'y' },
        ],
      });
      expect(patched.data).toEqual({ a: '2' });
      expect(patched.metadata?.annotations).toEqual({ 'contract.test/x': 'y' });
      const failing = client.patch(CONFIG_MAPS, key, {
        type: 'json',
        body: [
          { op: 'add', path: '/data/b', value: '3' },
          { op: 'test', path: '/data/a', value: 'other' },
        ],
      });
      expect(isKubeError(await rejectionOf(failing), 'invalid')).toBe(true);
      expect((await client.get(CONFIG_MAPS, key))?.data).toEqual({ a: '2' });
    });

    test('a patch of an absent object is not-found', async () => {
      const { client, namespace } = bench;
      for (const type of ['merge', 'json'] as const) {
        const body = type === 'json' ? [] : {};
        const key = { name: 'absent', namespace };
        const error = await rejectionOf(client.patch(CONFIG_MAPS, key, { type, body }));
        expect(isKubeError(error, 'not-found')).toBe(true);
      }
    });

    test('names and uids cannot be patched', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('fixed'), namespace };
      await client.create(CONFIG_MAPS, { metadata: key });
      const body = { metadata: { uid: '00000000-0000-0000-0000-000000000000' } };
      const error = await rejectionOf(client.patch(CONFIG_MAPS, key, { type: 'merge', body }));
      expect(isKubeError(error, 'conflict', 'invalid')).toBe(true);
    });
  });

  describe('status and generation', () => {
    test('status is written through its subresource only, and spec not through it', async () => {
      const { client } = bench;
      const name = bench.unique('status');
      const made = await client.create(WIDGETS, {
        metadata: { name },
        spec: { size: 1 },
        status: { phase: 'ignored' },
      });
      expect(made).not.toHaveProperty('status');
      const viaMain = await client.patch(
        WIDGETS,
        { name },
        { type: 'merge', body: { status: { phase: 'ignored' } } },
      );
      expect(viaMain).not.toHaveProperty('status');
      expect(viaMain.metadata.resourceVersion).toBe(made.metadata.resourceVersion ?? '');
      const viaStatus = await client.patch(
        WIDGETS,
        { name },
        {
          type: 'merge',
          body: { spec: { size: 50 }, status: { phase: 'ready' } },
          subresource: 'status',
        },
      );
      expect(viaStatus).toMatchObject({ spec: { size: 1 }, status: { phase: 'ready' } });
      const replaced = await client.replace(
        WIDGETS,
        { ...viaStatus, status: { phase: 'done' }, spec: { size: 7 } },
        { subresource: 'status' },
      );
      expect(replaced).toMatchObject({ spec: { size: 1 }, status: { phase: 'done' } });
      const kept = await client.replace(WIDGETS, { ...replaced, spec: { size: 2 }, status: {} });
      expect(kept).toMatchObject({ spec: { size: 2 }, status: { phase: 'done' } });
    });

    test('generation counts changes of the spec, not of status or labels', async () => {
      const { client } = bench;
      const key = { name: bench.unique('generation') };
      const merge = async (body: unknown, subresource?: 'status'): Promise<unknown> => {
        const patch = { type: 'merge' as const, body };
        const object = await client.patch(
          WIDGETS,
          key,
          subresource === undefined ? patch : { ...patch, subresource },
        );
        return object.metadata.generation;
      };
      const made = await client.create(WIDGETS, { metadata: key, spec: { size: 1 } });
      expect(made.metadata.generation).toBe(1);
      expect(await merge({ metadata: { labels: { a: 'b' } } })).toBe(1);
      expect(await merge({ status: { count: 1 } }, 'status')).toBe(1);
      expect(await merge({ spec: { size: 2 } })).toBe(2);
      expect(await merge({ spec: { size: 2 } })).toBe(2);
      expect(await merge({ metadata: { generation: 9 } })).toBe(2);
    });
  });

  describe('finalizers and owners', () => {
    const finalizer = 'contract.test/finalizer';

    test('an object with a finalizer stays until it is taken away', async () => {
      const { client } = bench;
      const key = { name: bench.unique('final') };
      const metadata = { ...key, finalizers: [finalizer] };
      await client.create(WIDGETS, { metadata, spec: { size: 1 } });
      expect(await client.delete(WIDGETS, key)).toBe('deleted');
      const ending = await client.get(WIDGETS, key);
      expect(ending?.metadata.deletionTimestamp).toBeString();
      expect(ending?.metadata.generation).toBe(2);
      expect(await client.delete(WIDGETS, key)).toBe('deleted');
      const more = { metadata: { finalizers: [finalizer, 'contract.test/late'] } };
      const error = await rejectionOf(client.patch(WIDGETS, key, { type: 'merge', body: more }));
      expect(isKubeError(error, 'invalid')).toBe(true);
      const none = { metadata: { finalizers: null } };
      await client.patch(WIDGETS, key, { type: 'merge', body: none });
      expect(await client.get(WIDGETS, key)).toBeUndefined();
    });

    test('deletionTimestamp cannot be set or taken back by a client', async () => {
      const { client } = bench;
      const key = { name: bench.unique('final') };
      const metadata = { ...key, finalizers: [finalizer] };
      const made = await client.create(WIDGETS, { metadata, spec: { size: 1 } });
      const time = '2024-01-01T00:00:00Z';
      const set = { metadata: { deletionTimestamp: time } };
      const error = await rejectionOf(client.patch(WIDGETS, key, { type: 'merge', body: set }));
      expect(isKubeError(error, 'invalid')).toBe(true);
      expect(await client.get(WIDGETS, key)).toEqual(made);
      await client.delete(WIDGETS, key);
      const unset = { metadata: { deletionTimestamp: null } };
      const ending = await client.patch(WIDGETS, key, { type: 'merge', body: unset });
      expect(ending.metadata.deletionTimestamp).toBeString();
      const none = { metadata: { finalizers: [] } };
      await client.patch(WIDGETS, key, { type: 'merge', body: none });
      expect(await client.get(WIDGETS, key)).toBeUndefined();
    });

    test('dependents go with their owner where a controller collects them', async () => {
      const { client, namespace, server } = bench;
      const owner = await client.create(WIDGETS, {
        metadata: { name: bench.unique('owner') },
        spec: { size: 1 },
      });
      const reference = {
        apiVersion: 'contract.test/v1',
        kind: 'Widget',
        name: owner.metadata.name,
        uid: owner.metadata.uid ?? '',
      };
      const key = { name: bench.unique('owned'), namespace };
      const made = await client.create(CONFIG_MAPS, {
        metadata: { ...key, ownerReferences: [reference] },
      });
      expect(made.metadata?.ownerReferences).toEqual([reference]);
      await client.delete(WIDGETS, { name: owner.metadata.name });
      if (!server.hasController) return; // collecting is the controller manager's part
      const isGone = async (): Promise<boolean> =>
        (await client.get(CONFIG_MAPS, key)) === undefined;
      await eventually('the dependent is collected', isGone, 60_000);
    });

    test('a deleted namespace takes its objects along where a controller empties it', async () => {
      const { client, server } = bench;
      const name = bench.unique('space');
      await client.create(NAMESPACES, { metadata: { name } });
      const key = { name: 'inside', namespace: name };
      await client.create(CONFIG_MAPS, { metadata: key });
      expect(await client.delete(NAMESPACES, { name })).toBe('deleted');
      if (!server.hasController) {
        expect((await client.get(NAMESPACES, { name }))?.metadata?.deletionTimestamp).toBeString();
        return;
      }
      await eventually(
        'the namespace is gone',
        async () => {
          return (await client.get(NAMESPACES, { name })) === undefined;
        },
        60_000,
      );
      expect(await client.get(CONFIG_MAPS, key)).toBeUndefined();
    });
  });
}
