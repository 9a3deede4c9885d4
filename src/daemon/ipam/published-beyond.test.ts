// Which lines of a published pool are beyond what the journal knows.
import { expect, test } from 'bun:test';
import { findBeyondJournal } from './published-beyond.ts';

const line = (pod: string, address: string) => ({ pod, namespace: 'default', address });

const find = (
  allocations: readonly ReturnType<typeof line>[],
  o: { held?: Record<string, string>; resting?: string[]; gone?: string[] } = {},
) =>
  findBeyondJournal(allocations, {
    holders: new Map(Object.entries(o.held ?? {})),
    resting: new Set(o.resting),
    existsPod: ({ name }) => !(o.gone ?? []).includes(name),
  });

test('what the journal has is not beyond it', () => {
  expect(find([line('a', '10.0.0.1')], { held: { '10.0.0.1': 'default/a' } })).toEqual({
    lost: [],
    contested: [],
  });
});

test('an address that nobody holds is lost, in whatever way it is written', () => {
  const allocations = [line('a', '10.0.0.1'), line('b', 'FD00::0:1')];
  expect(find(allocations).lost).toEqual(allocations);
  expect(find(allocations, { held: { 'fd00::1': 'default/b' } }).lost).toEqual([
    line('a', '10.0.0.1'),
  ]);
});

test('an address that was released a moment ago, or whose pod is gone, is not', () => {
  expect(find([line('a', '10.0.0.1')], { resting: ['10.0.0.1'] }).lost).toEqual([]);
  expect(find([line('a', '10.0.0.1')], { gone: ['a'] }).lost).toEqual([]);
});

test('an address of a pod that has nothing else is contested by the one that has it', () => {
  const listed = line('a', '10.0.0.1');
  const holder = 'default/b';
  expect(find([listed], { held: { '10.0.0.1': holder } }).contested).toEqual([
    { claim: listed, holder },
  ]);
  const held = { '10.0.0.1': holder, '10.0.0.2': 'default/a' };
  expect(find([listed], { held }).contested).toEqual([]);
  expect(find([listed], { held: { '10.0.0.1': holder }, gone: ['a'] }).contested).toEqual([]);
});
