// Contract of an API server, part 1: single objects: create, read, replace, delete, lists, refusals
// and absence.
import { describe, expect, test } from 'bun:test';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CONFIG_MAPS,
  defineResource,
  EVENTS,
  NODES,
  PODS,
  TOKEN_REVIEWS,
} from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Bench, GADGETS, rejectionOf, WIDGETS } from './under-test.ts';

export function describeObjects(bench: Bench): void {
  describe('objects', () => {
    test('create gives uid, version, times and the server-side defaults of metadata', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('map');
      const made = await client.create(CONFIG_MAPS, {
        metadata: { name, namespace, labels: { app: 'x' } },
        data: { a: '1' },
      });
      expect(made.metadata?.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(made.metadata?.resourceVersion).toMatch(/^\d+$/);
      expect(made.metadata?.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      const read = await client.get(CONFIG_MAPS, { name, namespace });
      expect(read).toEqual(made);
    });

    test('null is read as an empty text where a map holds texts', async () => {
      const { client, namespace } = bench;
      const metadata = { name: bench.unique('create'), namespace };
      const made = await client.create(CONFIG_MAPS, { metadata, data: { a: null, b: '1' } });
      expect(made.data).toEqual({ a: '', b: '1' });
    });

    test('create with generateName makes different names', async () => {
      const { client, namespace } = bench;
      const metadata = { generateName: 'gen-', namespace };
      const first = await client.create(CONFIG_MAPS, { metadata });
      const second = await client.create(CONFIG_MAPS, { metadata });
      expect(first.metadata?.name).toMatch(/^gen-[a-z0-9]{5}$/);
      expect(second.metadata?.name).not.toBe(first.metadata?.name);
    });

    test('create of a name that exists is already-exists, not conflict', async () => {
      const { client, namespace } = bench;
      const object = { metadata: { name: bench.unique('twice'), namespace } };
      await client.create(CONFIG_MAPS, object);
      const error = await rejectionOf(client.create(CONFIG_MAPS, object));
      expect(isKubeError(error, 'already-exists')).toBe(true);
    });

    test('create in a namespace that does not exist is refused', async () => {
      const object = { metadata: { name: 'a', namespace: 'nowhere' } };
      const error = await rejectionOf(bench.client.create(CONFIG_MAPS, object));
      expect(isKubeError(error, 'not-found')).toBe(true);
    });

    test('create with an impossible name is invalid', async () => {
      const object = { metadata: { name: 'Not_A_Name', namespace: bench.namespace } };
      const error = await rejectionOf(bench.client.create(CONFIG_MAPS, object));
      expect(error).toMatchObject({ kind: 'invalid', status: 422, reason: 'Invalid' });
    });

    test('get of an absent object is undefined', async () => {
      const { client, namespace } = bench;
      expect(await client.get(CONFIG_MAPS, { name: 'absent', namespace })).toBeUndefined();
      expect(await client.get(WIDGETS, { name: 'absent' })).toBeUndefined();
      expect(await client.get(NODES, { name: 'absent' })).toBeUndefined();
    });

    test('get of a kind that is not served is an error, never absence', async () => {
      const unknown = defineResource({
        group: 'contract.test',
        version: 'v1',
        plural: 'nothings',
        kind: 'Nothing',
        namespaced: false,
      });
      const error = await rejectionOf(bench.client.get(unknown, { name: 'absent' }));
      expect(isKubeError(error, 'not-found')).toBe(true);
      expect(isKubeError(await rejectionOf(bench.client.list(unknown)), 'not-found')).toBe(true);
      const gone = await rejectionOf(bench.client.delete(unknown, { name: 'absent' }));
      expect(isKubeError(gone, 'not-found')).toBe(true);
    });

    test('replace with a stale version is a conflict and changes nothing', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('stale');
      const first = await client.create(CONFIG_MAPS, { metadata: { name, namespace }, data: {} });
      const second = await client.replace(CONFIG_MAPS, { ...first, data: { a: '1' } });
      expect(second.metadata?.resourceVersion).not.toBe(first.metadata?.resourceVersion);
      const error = await rejectionOf(client.replace(CONFIG_MAPS, { ...first, data: { a: '2' } }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      expect(await client.get(CONFIG_MAPS, { name, namespace })).toEqual(second);
    });

    test('a replace that changes nothing keeps the version', async () => {
      const { client, namespace } = bench;
      const metadata = { name: bench.unique('same'), namespace };
      const first = await client.create(CONFIG_MAPS, { metadata, data: { a: '1' } });
      const second = await client.replace(CONFIG_MAPS, first);
      expect(second.metadata?.resourceVersion).toBe(first.metadata?.resourceVersion ?? '');
    });

    test('replace of an absent object is not-found', async () => {
      const { client, namespace } = bench;
      const metadata = { name: bench.unique('gone'), namespace };
      const made = await client.create(CONFIG_MAPS, { metadata });
      await client.delete(CONFIG_MAPS, metadata);
      const error = await rejectionOf(client.replace(CONFIG_MAPS, made));
      expect(isKubeError(error, 'not-found', 'conflict')).toBe(true);
    });

    test('delete says whether there was something to delete', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('del'), namespace };
      await client.create(CONFIG_MAPS, { metadata: key });
      expect(await client.delete(CONFIG_MAPS, key)).toBe('deleted');
      expect(await client.delete(CONFIG_MAPS, key)).toBe('absent');
    });

    test('delete with the uid of another object is a conflict', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('uid'), namespace };
      const made = await client.create(CONFIG_MAPS, { metadata: key });
      const uid = '00000000-0000-0000-0000-000000000000';
      const error = await rejectionOf(client.delete(CONFIG_MAPS, key, { uid }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      const resourceVersion = '1';
      const stale = await rejectionOf(client.delete(CONFIG_MAPS, key, { resourceVersion }));
      expect(isKubeError(stale, 'conflict')).toBe(true);
      const own = made.metadata?.uid ?? '';
      expect(await client.delete(CONFIG_MAPS, key, { uid: own })).toBe('deleted');
    });

    test('an event about a cluster-wide object belongs into the default namespace', async () => {
      const { client, namespace } = bench;
      const event = (place: string): unknown => ({
        metadata: { name: bench.unique('event'), namespace: place },
        involvedObject: { apiVersion: 'contract.test/v1', kind: 'Widget', name: 'w' },
        reason: 'Test',
        type: 'Normal',
        message: 'm',
      });
      await client.create(EVENTS, event('default'));
      const error = await rejectionOf(client.create(EVENTS, event(namespace)));
      expect(isKubeError(error, 'invalid')).toBe(true);
    });

    test('TokenReview tells whose token it is', async () => {
      const { client, server } = bench;
      const ask = async (token: string) =>
        (await client.create(TOKEN_REVIEWS, { spec: { token } })).status;
      expect(await ask(server.user.token)).toMatchObject({
        authenticated: true,
        user: { username: server.user.username },
      });
      expect((await ask('nobody'))?.authenticated ?? false).toBe(false);
    });
  });

  describe('lists', () => {
    test('pages are one consistent list, whatever happens in between', async () => {
      const { client, namespace } = bench;
      const labels = { list: bench.unique('l') };
      const labelSelector = `list=${labels.list}`;
      const names = ['a', 'b', 'c', 'd', 'e'].map((end) => `${labels.list}-${end}`);
      for (const name of names) {
        await client.create(CONFIG_MAPS, { metadata: { name, namespace, labels } });
      }
      const seen: string[] = [];
      const versions = new Set<string>();
      for await (const page of client.pages(CONFIG_MAPS, {
        namespace,
        labelSelector,
        pageSize: 2,
      })) {
        expect(page.items.length).toBeLessThanOrEqual(2);
        versions.add(page.resourceVersion);
        seen.push(...page.items.map((item) => item.metadata?.name ?? ''));
        // Comes and goes after the list was begun: must not show.
        const late = { name: `${labels.list}-cc-${seen.length}`, namespace };
        await client.create(CONFIG_MAPS, { metadata: { ...late, labels } });
        await client.delete(CONFIG_MAPS, { name: `${labels.list}-e`, namespace });
      }
      expect(seen).toEqual(names);
      expect(versions.size).toBe(1);
    });

    test('items carry apiVersion and kind', async () => {
      const { client, namespace } = bench;
      await client.create(CONFIG_MAPS, { metadata: { name: bench.unique('kind'), namespace } });
      const { items } = await client.list(CONFIG_MAPS, { namespace });
      expect(items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    });

    test('an empty list is empty and has a version', async () => {
      const { client } = bench;
      const list = await client.list(CONFIG_MAPS, { namespace: 'kube-node-lease' });
      expect(list.items.filter((one) => one.metadata?.name === 'x')).toEqual([]);
      expect(list.resourceVersion).toMatch(/^\d+$/);
    });

    test('label selectors select', async () => {
      const { client, namespace } = bench;
      const group = bench.unique('sel');
      const make = async (name: string, labels: Record<string, string>): Promise<void> => {
        const metadata = { name: `${group}-${name}`, namespace, labels: { group, ...labels } };
        await client.create(CONFIG_MAPS, { metadata });
      };
      await make('a', { tier: 'x' });
      await make('b', { tier: 'y' });
      await make('c', {});
      const select = async (selector: string): Promise<string[]> => {
        const labelSelector = `group=${group},${selector}`;
        const { items } = await client.list(CONFIG_MAPS, { namespace, labelSelector });
        return items.map((item) => item.metadata?.name?.at(-1) ?? '');
      };
      expect(await select('tier=x')).toEqual(['a']);
      expect(await select('tier!=x')).toEqual(['b', 'c']);
      expect(await select('tier in (x, y)')).toEqual(['a', 'b']);
      expect(await select('tier notin (x)')).toEqual(['b', 'c']);
      expect(await select('tier')).toEqual(['a', 'b']);
      expect(await select('!tier')).toEqual(['c']);
      expect(isKubeError(await rejectionOf(select('=bad=')), 'invalid')).toBe(true);
    });

    test('field selectors select pods by node, and refuse unknown fields', async () => {
      const { client, namespace } = bench;
      const make = async (name: string, nodeName: string): Promise<void> => {
        const containers = [{ name: 'c', image: 'i' }];
        const spec = nodeName === '' ? { containers } : { containers, nodeName };
        await client.create(PODS, { metadata: { name, namespace }, spec });
      };
      const node = bench.unique('node');
      await make(`${node}-in`, node);
      await make(`${node}-out`, '');
      const fieldSelector = `spec.nodeName=${node}`;
      const { items } = await client.list(PODS, { namespace, fieldSelector });
      expect(items.map((item) => item.metadata?.name ?? '')).toEqual([`${node}-in`]);
      const byName = await client.list(GADGETS, { namespace, fieldSelector: 'metadata.name=none' });
      expect(byName.items).toEqual([]);
      const wrong = client.list(PODS, { namespace, fieldSelector: 'spec.nothing=1' });
      expect(isKubeError(await rejectionOf(wrong), 'invalid')).toBe(true);
    });

    test('a pod on a node stays until its kubelet confirms the deletion', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('bound'), namespace };
      const spec = { nodeName: 'somewhere', containers: [{ name: 'c', image: 'i' }] };
      await client.create(PODS, { metadata: key, spec });
      expect(await client.delete(PODS, key)).toBe('deleted');
      const ending = await client.get(PODS, key);
      expect(ending?.metadata?.deletionTimestamp).toBeString();
      await client.delete(PODS, key, { gracePeriodSeconds: 0 });
      await eventually('pod is gone', async () => (await client.get(PODS, key)) === undefined);
    });
  });
}
