// Work under one key takes turns, whatever becomes of it; other keys do not wait.
import { expect, test } from 'bun:test';
import { Turns } from './turns.ts';

test('work under one key runs in order, one at a time', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run('a', async () => {
    events.push('first begins');
    await gate.promise;
    events.push('first ends');
  });
  const second = turns.run('a', async () => {
    events.push('second');
    return 2;
  });
  await turns.run('b', async () => void events.push('other key'));
  expect(events).toEqual(['first begins', 'other key']);
  gate.resolve();
  expect(await second).toBe(2);
  await first;
  expect(events).toEqual(['first begins', 'other key', 'first ends', 'second']);
});

test('work that fails fails alone', async () => {
  const turns = new Turns();
  const failing = turns.run('a', async () => await Promise.reject(new Error('refused')));
  const next = turns.run('a', async () => 'done');
  expect(failing).rejects.toThrow('refused');
  expect(await next).toBe('done');
});
