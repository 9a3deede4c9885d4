// Sleeping, aborting and backing off; the system clock is used with the shortest of times only.
import { describe, expect, test } from 'bun:test';
import { createFakeClock, settle } from '../../../test/helpers/fake-clock.ts';
import { backoffMs } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';

const reason = new Error('enough');

const clocks: [name: string, clock: () => Clock][] = [
  ['system clock', () => systemClock],
  ['fake clock', () => createFakeClock()],
];

describe.each(clocks)('%s', (_name, make) => {
  test('a sleep that is aborted rejects with the reason', async () => {
    const stop = new AbortController();
    const sleep = make().sleep(60_000, stop.signal);
    stop.abort(reason);
    expect(await sleep.catch((error: unknown) => error)).toBe(reason);
  });

  test('a sleep with a signal that is aborted already rejects at once', async () => {
    const sleep = make().sleep(60_000, AbortSignal.abort(reason));
    expect(await sleep.catch((error: unknown) => error)).toBe(reason);
  });

  test('monotonic time does not go back', () => {
    const clock = make();
    const first = clock.monotonic();
    expect(clock.monotonic()).toBeGreaterThanOrEqual(first);
  });
});

test('the system clock wakes', async () => {
  const start = systemClock.monotonic();
  await systemClock.sleep(2);
  expect(systemClock.monotonic() - start).toBeGreaterThanOrEqual(1);
  await systemClock.sleep(-5);
});

test('the fake clock wakes sleepers in the order of their times', async () => {
  const clock = createFakeClock();
  const woken: number[] = [];
  for (const ms of [30, 10, 20])
    clock.sleep(ms).then(
      () => woken.push(clock.monotonic()),
      () => 0,
    );
  await clock.advance(25);
  expect(woken).toEqual([10, 20]);
  expect(clock.nextWakeMs).toBe(5);
  clock.shiftWall(-3_600_000);
  await clock.advance(5);
  expect(woken).toEqual([10, 20, 30]);
  expect(clock.monotonic()).toBe(30);
  await settle();
});

test('backoff doubles up to its cap, and jitter takes at most half', () => {
  const backoff = { initialMs: 200, maxMs: 30_000 };
  const full = [1, 2, 3, 8, 9, 1_000].map((failures) => backoffMs(backoff, failures, () => 1));
  expect(full).toEqual([200, 400, 800, 25_600, 30_000, 30_000]);
  expect(backoffMs(backoff, 1, () => 0)).toBe(100);
  expect(backoffMs(backoff, 0, () => 1)).toBe(200);
});
