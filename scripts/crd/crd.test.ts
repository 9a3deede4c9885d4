// The generated CRDs: the files are what the schemas give, nothing is left without a limit, and
// what has no structural form is refused.
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { renderCrds, toCrd } from './definition.ts';
import { crdKinds } from './kinds.ts';
import { type SchemaNode, toStructuralSchema } from './structural.ts';

const folder = join(import.meta.dir, '../../deploy/crds');

describe('deploy/crds', () => {
  const files = renderCrds();

  test('has one file per kind and no other', () => {
    expect(readdirSync(folder).sort()).toEqual([...files.keys()].sort());
  });

  for (const [name, content] of files) {
    test(`${name} is what the schemas give (make generate)`, () => {
      expect(readFileSync(join(folder, name), 'utf8')).toBe(content);
    });
  }

  test('says in the first line that it is generated', () => {
    for (const content of files.values()) expect(content).toStartWith('# Generated from ');
  });
});

/** All nodes of a schema with their paths. */
function nodesOf(node: SchemaNode, path: string): [string, SchemaNode][] {
  const { properties, items, additionalProperties } = node;
  const children = [
    ...Object.entries(Object(properties)),
    ...(items === undefined ? [] : [['[]', items] as const]),
    ...(additionalProperties === undefined ? [] : [['*', additionalProperties] as const]),
  ];
  return [
    [path, node],
    ...children.flatMap(([name, child]) => nodesOf(Object(child), `${path}.${name}`)),
  ];
}

function schemaOf(crd: SchemaNode): SchemaNode {
  return Object(crd.spec).versions[0].schema.openAPIV3Schema;
}

describe('every kind', () => {
  for (const kind of crdKinds) {
    const { spec, status } = Object(schemaOf(toCrd(kind)).properties);
    const nodes = [...nodesOf(spec, 'spec'), ...nodesOf(status, 'status')];

    test(`${kind.kind} limits strings, lists, maps and numbers`, () => {
      const unlimited = nodes.filter(([, node]) => {
        const { type } = node;
        if (type === 'string') return node.maxLength === undefined && node.enum === undefined;
        if (type === 'array') return node.maxItems === undefined;
        if (type === 'integer') return node.minimum === undefined || node.maximum === undefined;
        return node.additionalProperties !== undefined && node.maxProperties === undefined;
      });
      expect(unlimited.map(([path]) => path)).toEqual([]);
    });

    test(`${kind.kind} describes its members`, () => {
      const silent = nodes.filter(
        ([path, node]) => node.description === undefined && !/^(spec|status)$|\[\]$|\*$/.test(path),
      );
      expect(silent.map(([path]) => path)).toEqual([]);
    });

    test(`${kind.kind} shows single values, and its age last`, () => {
      expect(kind.columns.filter(({ jsonPath }) => jsonPath.includes('[*]'))).toEqual([]);
      expect(kind.columns.at(-1)?.name).toBe('Age');
      expect(kind.shortNames).not.toEqual([]);
    });
  }

  test('has names of its own', () => {
    const names = crdKinds.flatMap((k) => [k.plural, k.singular, ...k.shortNames]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('keeps the group, version, scope and names of the original', () => {
    const brief = crdKinds.map((kind) => {
      const { spec, metadata } = Object(toCrd(kind));
      const { listKind, singular } = spec.names;
      return `${metadata.name} ${spec.scope} ${spec.versions[0].name} ${singular} ${listKind}`;
    });
    expect(brief).toEqual([
      'cidrs.multinic.fms.io Cluster v1 cidr CIDRList',
      'configs.multinic.fms.io Cluster v1 config ConfigList',
      'deviceclasses.multinic.fms.io Cluster v1 deviceclass DeviceClassList',
      'hostinterfaces.multinic.fms.io Cluster v1 hostinterface HostInterfaceList',
      'ippools.multinic.fms.io Cluster v1 ippool IPPoolList',
      'multinicnetworks.multinic.fms.io Cluster v1 multinicnetwork MultiNicNetworkList',
    ]);
  });
});

describe('schemas without structural form are refused', () => {
  const rows: [says: string, schema: v.GenericSchema][] = [
    ['any value', v.object({ a: v.unknown() })],
    ['a union', v.object({ a: v.union([v.string(), v.number()]) })],
    ['a tuple', v.object({ a: v.tuple([v.string()]) })],
    ['a literal', v.object({ a: v.literal('x') })],
    ['null', v.object({ a: v.nullable(v.string()) })],
    [
      'a check',
      v.object({
        a: v.pipe(
          v.string(),
          v.check((text) => text !== 'x'),
        ),
      }),
    ],
    ['a date', v.object({ a: v.date() })],
    ['an intersection', v.object({ a: v.intersect([v.object({}), v.object({})]) })],
  ];
  for (const [says, schema] of rows) {
    test(says, () => expect(() => toStructuralSchema(schema)).toThrow());
  }
});

test('strict objects lose the member that the API server refuses', () => {
  expect(toStructuralSchema(v.strictObject({ a: v.optional(v.string()) }))).toEqual({
    type: 'object',
    properties: { a: { type: 'string' } },
  });
});
