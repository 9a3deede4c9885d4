// Contract of an API server, part 3: server-side apply: what it merges and takes away.
import { describe, expect, test } from 'bun:test';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import { CONFIG_MAPS, DAEMON_SETS } from '../../src/shared/platform/kube/resource.ts';
import { type Bench, ownersOf, rejectionOf, WIDGETS, widgetApplier } from './under-test.ts';

export function describeApply(bench: Bench): void {
  const apply = widgetApplier(bench);

  describe('server-side apply', () => {
    test('creates the object and records its manager', async () => {
      const name = bench.unique('apply');
      const made = await apply(name, 'one', { spec: { size: 1, tags: ['a'] } });
      expect(made.metadata.uid).toBeString();
      expect(ownersOf(made)).toEqual({
        'one Apply': { 'f:spec': { 'f:size': {}, 'f:tags': { 'v:"a"': {} } } },
      });
    });

    test('merges what two managers want', async () => {
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, nested: { a: '1' }, tags: ['a'] } });
      const both = await apply(name, 'two', { spec: { size: 1, nested: { b: '2' }, tags: ['b'] } });
      expect(both.spec).toMatchObject({
        size: 1,
        nested: { a: '1', b: '2' },
        tags: ['a', 'b'],
      });
    });

    test('a different value for a field of another manager is a conflict', async () => {
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1 } });
      const error = await rejectionOf(apply(name, 'two', { spec: { size: 2 } }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      expect(String(error)).toContain('.spec.size');
      const forced = await apply(name, 'two', { spec: { size: 2 } }, { force: true });
      expect(forced.spec).toMatchObject({ size: 2 });
      expect(ownersOf(forced)).toEqual({ 'two Apply': { 'f:spec': { 'f:size': {} } } });
    });

    test('the same value is owned together and stays when one lets go', async () => {
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, name: 'x' } });
      await apply(name, 'two', { spec: { size: 1, name: 'x' } });
      const left = await apply(name, 'one', { spec: { size: 1 } });
      expect(left.spec).toMatchObject({ size: 1, name: 'x' });
      const none = await apply(name, 'two', { spec: { size: 1 } });
      expect(none.spec).not.toHaveProperty('name');
    });

    test('what a manager no longer applies goes, with what it contained', async () => {
      const name = bench.unique('apply');
      const all = { size: 1, nested: { a: '1' }, tags: ['a', 'b'], plain: [1, 2], comment: 'c' };
      await apply(name, 'one', { metadata: { labels: { a: 'b' } }, spec: all });
      const less = await apply(name, 'one', { spec: { size: 1, tags: ['b'] } });
      expect(less.metadata.labels).toBeUndefined();
      expect(less.spec).toMatchObject({ size: 1, tags: ['b'], color: 'red' });
      for (const gone of ['plain', 'comment']) expect(less.spec).not.toHaveProperty(gone);
    });

    test('items of a keyed list are owned one by one', async () => {
      const name = bench.unique('apply');
      const one = [{ net: 'a', index: 0 }];
      const two = [{ net: 'b', index: 1 }];
      await apply(name, 'one', { spec: { size: 1, rails: one } });
      const both = await apply(name, 'two', { spec: { size: 1, rails: two } });
      expect(both.spec).toMatchObject({ rails: [...one, ...two] });
      const note = [{ net: 'a', note: 'mine' }];
      const noted = await apply(name, 'three', { spec: { size: 1, rails: note } });
      expect(noted.spec).toMatchObject({
        rails: [{ net: 'a', index: 0, note: 'mine' }, ...two],
      });
      const stolen = [{ net: 'a', index: 5 }];
      const error = await rejectionOf(apply(name, 'two', { spec: { size: 1, rails: stolen } }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      // `one` lets its item go: `three` still has a part of it.
      const less = await apply(name, 'one', { spec: { size: 1 } });
      expect(less.spec).toMatchObject({ rails: [{ net: 'a', note: 'mine' }, ...two] });
      const last = await apply(name, 'three', { spec: { size: 1 } });
      expect(last.spec).toMatchObject({ rails: two });
    });

    test('a list without keys belongs to one manager as a whole', async () => {
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, plain: [1, 2] } });
      const error = await rejectionOf(apply(name, 'two', { spec: { size: 1, plain: [3] } }));
      expect(isKubeError(error, 'conflict')).toBe(true);
      const forced = await apply(name, 'two', { spec: { size: 1, plain: [3] } }, { force: true });
      expect(forced.spec).toMatchObject({ plain: [3] });
    });

    test('status is applied apart from spec and with its own owners', async () => {
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1 } });
      const status = { phase: 'ready', rails: [{ net: 'a', index: 0 }] };
      const written = await apply(name, 'daemon', { status }, { subresource: 'status' });
      expect(written).toMatchObject({ spec: { size: 1 }, status });
      expect(written.metadata.generation).toBe(1);
      expect(Object.keys(ownersOf(written)).sort()).toEqual(['daemon Apply/status', 'one Apply']);
      const other = { rails: [{ net: 'b', index: 1 }] };
      const both = await apply(name, 'other', { status: other }, { subresource: 'status' });
      expect(both).toMatchObject({
        status: { phase: 'ready', rails: [{ net: 'a' }, { net: 'b' }] },
      });
      const less = await apply(
        name,
        'daemon',
        { status: { phase: 'ready' } },
        { subresource: 'status' },
      );
      expect(less).toMatchObject({ status: { phase: 'ready', rails: [{ net: 'b', index: 1 }] } });
    });

    test('an apply that changes nothing keeps the version', async () => {
      const name = bench.unique('apply');
      const first = await apply(name, 'one', { spec: { size: 1 } });
      const second = await apply(name, 'one', { spec: { size: 1 } });
      expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion ?? '');
    });

    test('apply with a stale version is a conflict', async () => {
      const name = bench.unique('apply');
      const { metadata } = await apply(name, 'one', { spec: { size: 1 } });
      await apply(name, 'one', { spec: { size: 2 } });
      const { resourceVersion } = metadata;
      const members = { metadata: { resourceVersion }, spec: { size: 3 } };
      const error = await rejectionOf(apply(name, 'one', members));
      expect(isKubeError(error, 'conflict')).toBe(true);
    });

    test('apply of a status to an absent object is not-found', async () => {
      const name = bench.unique('absent');
      const options = { subresource: 'status' as const };
      const error = await rejectionOf(apply(name, 'one', { status: { phase: 'x' } }, options));
      expect(isKubeError(error, 'not-found')).toBe(true);
      expect(await bench.client.get(WIDGETS, { name })).toBeUndefined();
    });

    test('a field that the schema does not declare fails the whole apply', async () => {
      const name = bench.unique('apply');
      const error = await rejectionOf(apply(name, 'one', { spec: { size: 1, typo: true } }));
      expect(error).toMatchObject({ status: 500 });
      expect(String(error)).toContain('.spec.typo: field not declared in schema');
      expect(await bench.client.get(WIDGETS, { name })).toBeUndefined();
    });

    test('a struct that nobody has anything in goes with its defaults', async () => {
      const name = bench.unique('apply');
      const first = await apply(name, 'one', { spec: { size: 1, nested: { a: '1' } } });
      expect(first.spec).toMatchObject({ nested: { a: '1', mode: 'auto' } });
      const second = await apply(name, 'one', { spec: { size: 1 } });
      expect(second.spec).toEqual({ size: 1, color: 'red' });
    });

    test('a merged list has the order of the one who applies', async () => {
      const name = bench.unique('apply');
      const rails = (...nets: string[]): unknown => nets.map((net) => ({ net }));
      await apply(name, 'one', { spec: { size: 1, rails: rails('a', 'b', 'c') } });
      await apply(name, 'two', { spec: { size: 1, rails: rails('d') } });
      const both = await apply(name, 'one', { spec: { size: 1, rails: rails('c', 'a', 'b') } });
      expect(both.spec).toMatchObject({ rails: rails('c', 'd', 'a', 'b') });
    });

    test('an item goes with all in it when nobody applies the item itself', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, rails: [{ net: 'a' }] } });
      const body = [{ op: 'add', path: '/spec/rails/0/note', value: 'mine' }];
      await client.patch(WIDGETS, { name }, { type: 'json', body, fieldManager: 'hand' });
      await apply(name, 'two', { spec: { size: 1, rails: [{ net: 'b' }] } });
      const less = await apply(name, 'one', { spec: { size: 1 } });
      expect(less.spec).toEqual({ size: 1, color: 'red', rails: [{ net: 'b' }] });
      expect(Object.keys(ownersOf(less)).sort()).toEqual(['one Apply', 'two Apply']);
    });

    test('a list is not emptied by apply while somebody else has a part of it', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      await apply(name, 'one', { spec: { size: 1, rails: [{ net: 'a' }] } });
      const body = [{ op: 'add', path: '/spec/rails/0/note', value: 'mine' }];
      await client.patch(WIDGETS, { name }, { type: 'json', body, fieldManager: 'hand' });
      // The real server makes null of the emptied list and then refuses it; so does the embedded
      // one.
      const error = await rejectionOf(apply(name, 'one', { spec: { size: 1 } }));
      expect(isKubeError(error, 'invalid')).toBe(true);
    });

    test('an empty list of somebody else does not hold what it is in', async () => {
      const { client } = bench;
      const name = bench.unique('apply');
      const subresource = 'status' as const;
      await apply(name, 'one', { spec: { size: 1 } });
      const body = { status: { rails: [] } };
      const patch = { type: 'merge', body, fieldManager: 'hand', subresource } as const;
      await client.patch(WIDGETS, { name }, patch);
      const both = await apply(name, 'daemon', { status: { phase: 'x' } }, { subresource });
      expect(both).toMatchObject({ status: { phase: 'x', rails: [] } });
      const none = await apply(name, 'daemon', { status: {} }, { subresource });
      expect(none).not.toHaveProperty('status');
      expect(ownersOf(none)).toEqual({
        'one Apply': { 'f:spec': { 'f:size': {} } },
        'daemon Apply/status': { 'f:status': {} },
      });
    });

    test('null instead of a map or a list of items takes nothing from others', async () => {
      const name = bench.unique('apply');
      const nested = { a: '1' };
      const rails = [{ net: 'a' }];
      await apply(name, 'one', { spec: { size: 1, nested, rails } });
      const both = await apply(name, 'two', { spec: { size: 1, nested: null, rails: null } });
      expect(both.spec).toMatchObject({ nested, rails });
      expect(ownersOf(both)['two Apply']).toEqual({
        'f:spec': { 'f:nested': {}, 'f:rails': {}, 'f:size': {} },
      });
    });

    test('an item that is there twice fails the whole apply, in built-in kinds too', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('twice');
      const env = ['1', '2'].map((value) => ({ name: 'A', value }));
      const spec = { containers: [{ name: 'one', image: 'example/image:1', env }] };
      const labels = { app: name };
      const body = {
        metadata: { name, namespace },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      };
      const patch = { type: 'apply', fieldManager: 'one', body } as const;
      const error = await rejectionOf(client.patch(DAEMON_SETS, { name, namespace }, patch));
      expect(error).toMatchObject({ status: 500 });
      expect(String(error)).toContain('env: duplicate entries for key');
      expect(await client.get(DAEMON_SETS, { name, namespace })).toBeUndefined();
    });

    test('built-in kinds are applied too', async () => {
      const { client, namespace } = bench;
      const key = { name: bench.unique('apply'), namespace };
      const put = async (manager: string, data: Record<string, string>) =>
        await client.patch(CONFIG_MAPS, key, {
          type: 'apply',
          fieldManager: manager,
          body: { metadata: { name: key.name }, data },
        });
      await put('one', { a: '1' });
      expect((await put('two', { b: '2' })).data).toEqual({ a: '1', b: '2' });
      expect((await put('one', { c: '3' })).data).toEqual({ b: '2', c: '3' });
    });
  });
}
