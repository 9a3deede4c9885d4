// Contract of an API server, part 5: custom kinds: what their schema refuses, drops and fills in.
import { describe, expect, test } from 'bun:test';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import { CRDS, defineResource } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Bench, GADGETS, installCrd, rejectionOf, WIDGET_CRD, WIDGETS } from './under-test.ts';

/** Title, and a spec that must be refused because of it. */
const refused: [title: string, spec: unknown, field: string][] = [
  ['a required field is missing', {}, 'spec.size'],
  ['a number is text', { size: '1' }, 'spec.size'],
  ['an integer has a fraction', { size: 1.5 }, 'spec.size'],
  ['a number is below the minimum', { size: 0 }, 'spec.size'],
  ['a number is above the maximum', { size: 101 }, 'spec.size'],
  ['a value is not in the enum', { size: 1, color: 'green' }, 'spec.color'],
  ['a text does not match the pattern', { size: 1, name: 'A' }, 'spec.name'],
  ['a text is too long', { size: 1, name: 'abcdefghi' }, 'spec.name'],
  ['a list has too many items', { size: 1, tags: ['a', 'b', 'c', 'd', 'e'] }, 'spec.tags'],
  ['a set has an element twice', { size: 1, tags: ['a', 'a'] }, 'spec.tags[1]'],
  [
    'a keyed list has a key twice',
    { size: 1, rails: [{ net: 'a' }, { net: 'a' }] },
    'spec.rails[1]',
  ],
  [
    'a required field of an item is missing',
    { size: 1, rails: [{ index: 1 }] },
    'spec.rails[0].net',
  ],
  ['a list is an object', { size: 1, plain: {} }, 'spec.plain'],
  ['an object is a list', { size: 1, nested: [] }, 'spec.nested'],
  ['an item has the wrong type', { size: 1, plain: [1, 'x'] }, 'spec.plain[1]'],
  ['a value of a map has the wrong type', { size: 1, labels: { a: 1 } }, 'spec.labels.a'],
  ['null stands where it is not allowed', { size: null }, 'spec.size'],
  ['neither an integer nor a text', { size: 1, port: true }, 'spec.port'],
];

export function describeSchemas(bench: Bench): void {
  describe('schemas', () => {
    for (const [title, spec, field] of refused) {
      test(`refused: ${title}`, async () => {
        const metadata = { name: bench.unique('refused') };
        const error = await rejectionOf(bench.client.create(WIDGETS, { metadata, spec }));
        expect(error).toMatchObject({ kind: 'invalid', status: 422, reason: 'Invalid' });
        expect(String(error)).toContain(field);
        expect(await bench.client.get(WIDGETS, metadata)).toBeUndefined();
      });
    }

    test('accepted: everything that the schema allows', async () => {
      const spec = {
        size: 100,
        color: 'blue',
        name: 'abcdefgh',
        comment: null,
        port: 'http',
        tags: ['a', 'b'],
        rails: [{ net: 'a' }, { net: 'b', index: -1 }],
        plain: [],
        labels: { any: 'thing' },
        free: { deep: [{ down: 1 }] },
      };
      const metadata = { name: bench.unique('accepted') };
      const made = await bench.client.create(WIDGETS, { metadata, spec });
      expect(made.spec).toEqual(spec);
      const port = { ...spec, port: 80 };
      const again = await bench.client.replace(WIDGETS, { ...made, spec: port });
      expect(again.spec).toEqual(port);
    });

    test('defaults are filled in, also inside of what is there', async () => {
      const { client } = bench;
      const spec = { size: 1, nested: { a: '1' } };
      const made = await client.create(WIDGETS, {
        metadata: { name: bench.unique('default') },
        spec,
      });
      expect(made.spec).toEqual({ ...spec, color: 'red', nested: { a: '1', mode: 'auto' } });
      const bare = await client.create(WIDGETS, {
        metadata: { name: bench.unique('default') },
        spec: { size: 1, color: null },
      });
      expect(bare.spec).toEqual({ size: 1, color: 'red' });
    });

    test('unknown fields are dropped, and refused when asked for', async () => {
      const { client } = bench;
      const object = {
        metadata: { name: bench.unique('unknown') },
        spec: { size: 1, typo: true, nested: { c: '3' }, free: { kept: true } },
      };
      const error = await rejectionOf(
        client.create(WIDGETS, object, { fieldValidation: 'Strict' }),
      );
      expect(error).toMatchObject({ kind: 'invalid', status: 400 });
      expect(String(error)).toContain('unknown field "spec.typo"');
      expect(String(error)).toContain('unknown field "spec.nested.c"');
      const made = await client.create(WIDGETS, object);
      expect(made.spec).toEqual({
        size: 1,
        color: 'red',
        nested: { mode: 'auto' },
        free: { kept: true },
      });
    });

    test('null is dropped where nothing stands for it, and kept where it is allowed', async () => {
      const { client } = bench;
      const made = await client.create(WIDGETS, {
        metadata: { name: bench.unique('null') },
        spec: { size: 1, name: null, comment: null, nested: { a: null }, labels: null },
      });
      const nested = { mode: 'auto' };
      expect(made.spec).toEqual({ size: 1, color: 'red', comment: null, nested });
    });

    test('a kind that preserves unknown fields keeps them', async () => {
      const { client, namespace } = bench;
      const metadata = { name: bench.unique('free'), namespace };
      const made = await client.create(GADGETS, { metadata, anything: { goes: [1, null, 'x'] } });
      expect(made.anything).toEqual({ goes: [1, null, 'x'] });
    });

    test('a status is checked like a spec', async () => {
      const { client } = bench;
      const key = { name: bench.unique('checked') };
      await client.create(WIDGETS, { metadata: key, spec: { size: 1 } });
      const patch = {
        type: 'merge' as const,
        body: { status: { count: 'many' } },
        subresource: 'status' as const,
      };
      const error = await rejectionOf(client.patch(WIDGETS, key, patch));
      expect(isKubeError(error, 'invalid')).toBe(true);
    });

    test('replace without a version is refused', async () => {
      const { client } = bench;
      const key = { name: bench.unique('blind') };
      await client.create(WIDGETS, { metadata: key, spec: { size: 1 } });
      const blind = client.replace(WIDGETS, { metadata: key, spec: { size: 2 } });
      expect(await rejectionOf(blind)).toBeInstanceOf(TypeError);
    });

    test('a kind is served after its definition and gone with it', async () => {
      const { client } = bench;
      const names = { plural: 'passings', singular: 'passing', kind: 'Passing' };
      const crd = {
        ...WIDGET_CRD,
        metadata: { name: 'passings.contract.test' },
        spec: { ...WIDGET_CRD.spec, names },
      };
      const passings = defineResource({
        group: 'contract.test',
        version: 'v1',
        plural: 'passings',
        kind: 'Passing',
        namespaced: false,
      });
      expect(isKubeError(await rejectionOf(client.list(passings)), 'not-found')).toBe(true);
      await installCrd(client, crd);
      await client.create(passings, { metadata: { name: 'a' }, spec: { size: 1 } });
      await client.delete(CRDS, { name: 'passings.contract.test' });
      await eventually(
        'the kind is gone',
        async () => {
          return isKubeError(await rejectionOf(client.list(passings)), 'not-found');
        },
        20_000,
      );
    });

    test('a definition with a schema that is not structural is refused', async () => {
      const crd = structuredClone(WIDGET_CRD);
      const [version] = crd.spec.versions;
      const properties: Record<string, unknown> =
        version?.schema.openAPIV3Schema.properties.spec.properties ?? {};
      properties.size = { minimum: 1 };
      const names = { plural: 'odds', singular: 'odd', kind: 'Odd', listKind: 'OddList' };
      const odd = {
        ...crd,
        metadata: { name: 'odds.contract.test' },
        spec: { ...crd.spec, names },
      };
      const error = await rejectionOf(bench.client.create(CRDS, odd));
      expect(isKubeError(error, 'invalid')).toBe(true);
      expect(String(error)).toContain('type');
    });
  });
}
