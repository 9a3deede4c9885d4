// Who has an address when the published record and the pods say different things.
import { expect, test } from 'bun:test';
import { type Claim, mergeClaims } from './claims.ts';

const claim = (pod: string, address: string): Claim => ({ pod, namespace: 'ns', address });

const merge = (listed: readonly Claim[], stated: readonly Claim[], gone: string[] = []) =>
  mergeClaims({ listed, stated, existsPod: ({ name }) => !gone.includes(name) });

test('records that no pod contradicts count, twice if they are there twice', () => {
  const listed = [claim('a', '10.0.0.1'), claim('a', '10.0.0.1')];
  expect(merge(listed, [])).toEqual({ claims: listed, contested: [] });
  expect(merge(listed, [claim('a', '10.0.0.1')])).toEqual({ claims: listed, contested: [] });
});

test('what a pod states without a record counts', () => {
  const stated = [claim('a', '10.0.0.1')];
  expect(merge([], stated)).toEqual({ claims: stated, contested: [] });
});

test('a record that a pod contradicts gives way, and is reported if its own pod is there', () => {
  const record = claim('a', '10.0.0.1');
  const stated = claim('b', '10.0.0.1');
  expect(merge([record], [stated], ['a'])).toEqual({ claims: [stated], contested: [] });
  expect(merge([record], [stated])).toEqual({
    claims: [stated],
    contested: [{ claim: record, holder: 'ns/b' }],
  });
});

test('of two pods that state one address the recorded one has it, else the first', () => {
  const [a, b] = [claim('a', 'FD00::1'), claim('b', 'fd00::1')];
  expect(merge([b], [a, b])).toEqual({ claims: [b], contested: [{ claim: a, holder: 'ns/b' }] });
  expect(merge([], [a, b])).toEqual({ claims: [a], contested: [{ claim: b, holder: 'ns/a' }] });
});
