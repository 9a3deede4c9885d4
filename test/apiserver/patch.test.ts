// The patch formats by table: the examples of RFC 7386, RFC 6902 with the liberties of the real
// server's library, what kubectl sends for built-in kinds, and the order of merged lists.
import { describe, expect, test } from 'bun:test';
import { mergedOrder } from './apply.ts';
import type { Json, JsonObject } from './json.ts';
import { jsonPatch, mergePatch, PatchMismatch, strategicMerge } from './patch.ts';
import { shapeOf } from './shape.ts';
import { ApiFailure } from './status.ts';

/** RFC 7386, appendix A: original, patch, result. */
const merges: [original: Json, patch: Json, result: Json][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test.each(merges)('merge %j with %j', (original, patch, result) => {
  expect(mergePatch(original, patch)).toEqual(result);
});

const document: JsonObject = { a: { b: [1, 2, 3] }, 'x/y': 1, 'm~n': 2 };

/** Title, operations, and what they make of the document. */
const patches: [title: string, operations: Json, result: Json][] = [
  ['add a member', [{ op: 'add', path: '/c', value: 1 }], { ...document, c: 1 }],
  ['add replaces a member', [{ op: 'add', path: '/x~1y', value: 2 }], { ...document, 'x/y': 2 }],
  [
    'add into a list',
    [{ op: 'add', path: '/a/b/1', value: 9 }],
    { ...document, a: { b: [1, 9, 2, 3] } },
  ],
  [
    'add to the end',
    [{ op: 'add', path: '/a/b/-', value: 9 }],
    { ...document, a: { b: [1, 2, 3, 9] } },
  ],
  ['remove from a list', [{ op: 'remove', path: '/a/b/0' }], { ...document, a: { b: [2, 3] } }],
  [
    'replace in a list',
    [{ op: 'replace', path: '/a/b/2', value: 9 }],
    { ...document, a: { b: [1, 2, 9] } },
  ],
  ['escapes', [{ op: 'replace', path: '/m~0n', value: 9 }], { ...document, 'm~n': 9 }],
  ['move', [{ op: 'move', from: '/a/b', path: '/c' }], { ...document, a: {}, c: [1, 2, 3] }],
  ['copy', [{ op: 'copy', from: '/a/b/0', path: '/c' }], { ...document, c: 1 }],
  [
    'test, then write',
    [
      { op: 'test', path: '/a', value: { b: [1, 2, 3] } },
      { op: 'remove', path: '/a' },
    ],
    { 'x/y': 1, 'm~n': 2 },
  ],
  ['an absent member equals null', [{ op: 'test', path: '/none', value: null }], document],
  [
    'an absent member can be replaced',
    [{ op: 'replace', path: '/none', value: 1 }],
    { ...document, none: 1 },
  ],
  ['the whole document', [{ op: 'replace', path: '', value: { z: 1 } }], { z: 1 }],
];

test.each(patches)('JSON patch: %s', (_title, operations, result) => {
  const before = structuredClone(document);
  expect(jsonPatch(document, operations)).toEqual(result);
  expect(document).toEqual(before);
});

test.each([
  ['a failed test', [{ op: 'test', path: '/x~1y', value: 2 }]],
  ['a test below nothing', [{ op: 'test', path: '/none/a', value: null }]],
  ['a removal of nothing', [{ op: 'remove', path: '/none' }]],
  ['a path through nothing', [{ op: 'add', path: '/none/a', value: 1 }]],
  ['an index past the end', [{ op: 'add', path: '/a/b/4', value: 1 }]],
  ['an index that is none', [{ op: 'add', path: '/a/b/x', value: 1 }]],
  ['a replacement past the end', [{ op: 'replace', path: '/a/b/3', value: 1 }]],
  ['a move of nothing', [{ op: 'move', from: '/none', path: '/c' }]],
] as [string, Json][])('JSON patch does not fit: %s', (_title, operations) => {
  expect(() => jsonPatch(document, operations)).toThrow(PatchMismatch);
});

test.each([
  ['no list', {}],
  ['no operation', [1]],
  ['an unknown operation', [{ op: 'grow', path: '/a' }]],
  ['a path that is no pointer', [{ op: 'remove', path: 'a' }]],
] as [string, Json][])('JSON patch is malformed: %s', (_title, operations) => {
  expect(() => jsonPatch(document, operations)).toThrow(ApiFailure);
});

describe('strategic merge', () => {
  const shape = shapeOf({ schema: undefined });
  const pod: JsonObject = {
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '1' },
      ],
      nodeSelector: { zone: 'x' },
    },
    metadata: { finalizers: ['f', 'g'] },
  };
  const cases: [title: string, patch: JsonObject, path: string, result: Json][] = [
    [
      'items are merged by name',
      { spec: { containers: [{ name: 'b', image: '2' }] } },
      'spec.containers',
      [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '2' },
      ],
    ],
    [
      'an item is deleted',
      { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
      'spec.containers',
      [{ name: 'b', image: '1' }],
    ],
    [
      'a list is replaced',
      { spec: { containers: [{ name: 'c' }, { $patch: 'replace' }] } },
      'spec.containers',
      [{ name: 'c' }],
    ],
    [
      'elements are taken out of a set',
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['f'] } },
      'metadata.finalizers',
      ['g'],
    ],
    [
      'elements are added to a set once',
      { metadata: { finalizers: ['g', 'h'], '$setElementOrder/finalizers': ['f', 'g', 'h'] } },
      'metadata.finalizers',
      ['f', 'g', 'h'],
    ],
    ['a member is deleted', { spec: { nodeSelector: null } }, 'spec.nodeSelector', null],
    [
      'a map is replaced',
      { spec: { nodeSelector: { $patch: 'replace', a: 'b' } } },
      'spec.nodeSelector',
      { a: 'b' },
    ],
    [
      'only some members are kept',
      { spec: { $retainKeys: ['nodeSelector'] } },
      'spec',
      { nodeSelector: { zone: 'x' } },
    ],
  ];

  test.each(cases)('%s', (_title, patch, path, result) => {
    const before = structuredClone(pod);
    let value: unknown = strategicMerge(pod, patch, shape);
    for (const step of path.split('.')) value = Object(value)[step] ?? null;
    expect(value).toEqual(result);
    expect(pod).toEqual(before);
  });
});

/** Old list, wanted list, merged order; one letter an item. */
test.each([
  ['abc', 'cab', 'cab'],
  ['abcd', 'cab', 'cdab'],
  ['ab', 'cd', 'abcd'],
  ['axb', 'ab', 'axb'],
  ['xab', 'b', 'xab'],
  ['', 'ab', 'ab'],
  ['ab', '', 'ab'],
])('the merged order of %s and %s is %s', (old, wanted, merged) => {
  expect(mergedOrder([...old], [...wanted]).join('')).toBe(merged);
});
