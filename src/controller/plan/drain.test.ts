// When the pools of a network prove that nobody holds an address of it.
import { expect, test } from 'bun:test';
import { type DrainInput, planDrain } from './drain.ts';

const base: DrainInput = {
  holders: ['a', 'b'],
  recordedCount: 2,
  nodeCount: 3,
  published: new Set(['a', 'b']),
  ready: new Set(),
};
const lost = { holders: [], published: new Set<string>() };

test.each<[string, Partial<DrainInput>, string]>([
  ['every host that holds an index has published', {}, 'proven'],
  ['one has not and has no daemon', { published: new Set(['a']) }, 'silent'],
  ['one has not and could', { published: new Set(['a']), ready: new Set(['b']) }, 'settling'],
  ['daemons are not listed yet', { published: new Set(['a']), ready: undefined }, 'silent'],
  ['nothing was ever given', { ...lost, recordedCount: 0 }, 'proven'],
  ['the records are lost and nobody speaks', lost, 'silent'],
  ['one of two speaks', { ...lost, ready: new Set(['a']) }, 'silent'],
  ['both could', { ...lost, ready: new Set(['a', 'b']) }, 'settling'],
  [
    'one has, the other could',
    { ...lost, published: new Set(['a']), ready: new Set(['b']) },
    'settling',
  ],
  ['both have', { ...lost, published: new Set(['a', 'b']) }, 'proven'],
  ['the nodes are gone with their pods', { ...lost, nodeCount: 0 }, 'proven'],
])('%s', (_, change, kind) => {
  expect(planDrain({ ...base, ...change }).kind).toBe(kind as 'proven');
});
