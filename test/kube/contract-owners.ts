// Contract of an API server, part 4: who owns which field, and since when.
import { describe, expect, test } from 'bun:test';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CONFIG_MAPS,
  type NamedObject,
  parseNamed,
  type Resource,
} from '../../src/shared/platform/kube/resource.ts';
import { type Bench, ownersOf, rejectionOf, WIDGETS, widgetApplier } from './under-test.ts';

export function describeOwners(bench: Bench): void {
  const apply = widgetApplier(bench);
  const maps: Resource<NamedObject> = { ...CONFIG_MAPS, parse: parseNamed };

  describe('owners of fields', () => {
    test('fields changed by an update belong to the updater', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, name: 'x' } });
      const body = { spec: { size: 2 } };
      const patch = { type: 'merge' as const, body, fieldManager: 'hand' };
      const changed = await client.patch(WIDGETS, { name }, patch);
      expect(ownersOf(changed)).toEqual({
        'one Apply': { 'f:spec': { 'f:name': {} } },
        'hand Update': { 'f:spec': { 'f:size': {} } },
      });
      const error = await rejectionOf(apply(name, 'one', { spec: { size: 1, name: 'x' } }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      expect(String(error)).toContain('hand');
    });

    test('where there is no schema, a value of another sort is a change of its own', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, free: { deep: 1 } } });
      const hand = async (deep: unknown): Promise<Record<string, unknown>> => {
        const body = { spec: { free: { deep } } };
        const patch = { type: 'merge', body, fieldManager: 'hand' } as const;
        return ownersOf(await client.patch(WIDGETS, { name }, patch));
      };
      const one = { 'f:spec': { 'f:size': {} } };
      expect(await hand({ x: 1 })).toEqual({
        'one Apply': one,
        'hand Update': { 'f:spec': { 'f:free': { 'f:deep': { '.': {}, 'f:x': {} } } } },
      });
      expect(await hand([1])).toEqual({
        'one Apply': one,
        'hand Update': { 'f:spec': { 'f:free': { 'f:deep': {} } } },
      });
    });

    test('owners that were given up come back with the next apply', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      const put = async (size: number, managedFields: unknown): Promise<NamedObject> => {
        const now = await client.get(WIDGETS, { name });
        const resourceVersion = now?.metadata.resourceVersion;
        const object = { metadata: { name, resourceVersion, managedFields }, spec: { size } };
        return await client.replace(WIDGETS, object, { fieldManager: 'hand' });
      };
      await apply(name, 'one', { spec: { size: 1 } });
      expect(ownersOf(await put(2, []))).toEqual({
        'hand Update': { 'f:spec': { 'f:size': {} } },
      });
      expect(ownersOf(await put(3, [{}]))).toEqual({});
      const body = { status: { phase: 'x' } };
      const patch = { type: 'merge', body, subresource: 'status' } as const;
      expect(ownersOf(await client.patch(WIDGETS, { name }, patch))).toEqual({});
      const taken = await apply(name, 'two', { spec: { size: 3 } });
      // The status is not in reach of the one who applies, and so of nobody.
      expect(ownersOf(taken)).toEqual({
        'two Apply': { 'f:spec': { 'f:size': {} } },
        'before-first-apply Update': { 'f:spec': { '.': {}, 'f:color': {}, 'f:size': {} } },
      });
    });

    test('of a built-in kind owners are given up by an empty list too', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('apply'), namespace };
      const finalizers = ['test/f'];
      const put = async (members: Record<string, unknown>): Promise<NamedObject> => {
        const now = await client.get(maps, key);
        const resourceVersion = now?.metadata.resourceVersion;
        const metadata = { ...key, finalizers, resourceVersion, ...members };
        return await client.replace(maps, { metadata });
      };
      await client.create(maps, { metadata: { ...key, finalizers } });
      expect(ownersOf(await put({ managedFields: [] }))).toEqual({});
      await client.delete(maps, key);
      const body = { metadata: key, data: { a: '1' } };
      const patch = { type: 'apply', body, fieldManager: 'one' } as const;
      const first = { 'f:finalizers': { '.': {}, 'v:"test/f"': {} } };
      const deletion = { 'f:deletionGracePeriodSeconds': {}, 'f:deletionTimestamp': {} };
      expect(ownersOf(await client.patch(maps, key, patch))).toEqual({
        'one Apply': { 'f:data': { 'f:a': {} } },
        'before-first-apply Update': { 'f:metadata': { ...first, ...deletion } },
      });
      // A replace that does not repeat when the object was deleted takes that from its owner.
      expect(ownersOf(await put({}))).toEqual({
        'before-first-apply Update': { 'f:metadata': first },
      });
      await put({ finalizers: [] });
    });

    test('who applies what is there already has done nothing at any time', async () => {
      const name = bench.unique('apply');
      const timesOf = (object: NamedObject): unknown[] => {
        const entries = object.metadata.managedFields;
        return Array.isArray(entries) ? entries.map((entry) => typeof entry.time).sort() : [];
      };
      const spec = { size: 1 };
      await apply(name, 'one', { spec });
      expect(timesOf(await apply(name, 'two', { spec }))).toEqual(['string', 'undefined']);
      // What it asks for in vain counts.
      const members = { spec: { size: 2 }, status: {} };
      const status = await apply(name, 'three', members, { subresource: 'status' });
      expect(timesOf(status)).toEqual(['string', 'string', 'undefined']);
    });

    test('another order of owners is a change, and so a time to remember', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('apply'), namespace };
      const put = async (fieldManager: string, body: Record<string, unknown>): Promise<unknown> => {
        const patch = { type: 'apply', body, fieldManager } as const;
        const entries = (await client.patch(maps, key, patch)).metadata.managedFields;
        return Array.isArray(entries) ? entries.map((one) => [one.manager, typeof one.time]) : [];
      };
      await put('one', { metadata: key, data: { a: '1' } });
      const [one, two] = [
        ['one', 'string'],
        ['two', 'undefined'],
      ];
      expect(await put('two', { metadata: key, data: {} })).toEqual([two, one]);
      // The empty list is left out of the object, but only after the owners were found.
      const again = await put('two', { metadata: { ...key, finalizers: [] }, data: {} });
      expect(again).toEqual([one, ['two', 'string']]);
    });
  });
}
