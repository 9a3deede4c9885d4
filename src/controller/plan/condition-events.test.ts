// Which changes of conditions are worth an event.
import { expect, test } from 'bun:test';
import type { Condition } from '../../shared/model/objects/meta.ts';
import { planConditionEvents } from './condition-events.ts';

const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  type,
  status,
  reason,
  message: 'words',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
const network = { name: 'net', uid: 'u1' };
const good = condition('Accepted', 'True', 'Accepted');
const bad = condition('Accepted', 'False', 'Overlaps');
const waiting = condition('Accepted', 'False', 'WaitingForHosts');

test.each<[string, Condition[], Condition[], string[]]>([
  ['appears on a new network', [], [bad], ['Warning Overlaps']],
  ['appears', [good], [bad], ['Warning Overlaps']],
  ['stays', [bad], [bad], []],
  ['gets another reason', [condition('Accepted', 'False', 'X')], [bad], ['Warning Overlaps']],
  ['clears', [bad], [good], ['Normal Cleared']],
  ['turns into waiting', [bad], [waiting], ['Normal Cleared']],
  ['goes away with its condition', [bad], [], ['Normal Cleared']],
  ['only waits', [good], [waiting], []],
  ['is the summary of others', [], [condition('Ready', 'False', 'Overlaps')], []],
])('a refusal that %s', (_, before, after, expected) => {
  const events = planConditionEvents(network, before, after);
  expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
});
