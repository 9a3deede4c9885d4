// Random changes, failures and waits against the queue's two laws: a key never runs twice at a
// time, and after its last change every key runs once more to the end. Does not cover real timers
// and shutdown.
import { expect, test } from 'bun:test';
import { createFakeClock, settle } from '../../../test/helpers/fake-clock.ts';
import { createLogger } from './log.ts';
import { createWorkQueue, type Outcome, TerminalError } from './work-queue.ts';

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** mulberry32. */
function generator(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * One of the ways to end, chosen by a number in [0, 1]. `see` is called by those that count as
 * success.
 */
function outcomeOf(dice: number, see: () => void): Outcome {
  if (dice < 0.2) throw new Error('failed');
  if (dice < 0.25) throw new TypeError('bug');
  see();
  if (dice < 0.3) throw new TerminalError('seen, but hopeless');
  return dice < 0.5 ? { afterMs: Math.floor(dice * 200) } : 'done';
}

test(`every key sees its last change and never runs twice at a time (seed ${seed})`, async () => {
  const random = generator(seed);
  const clock = createFakeClock();
  const keys = ['a', 'b', 'c', 'd', 'e'];
  /** Counts changes of the world, and what the last successful run of each key saw. */
  const world = new Map(keys.map((key) => [key, 0]));
  const seen = new Map(keys.map((key) => [key, 0]));
  const running = new Set<string>();
  let overlaps = 0;
  let runningMax = 0;
  let isCalm = false;

  const reconcile = async (key: string): Promise<Outcome> => {
    if (running.has(key)) overlaps += 1;
    running.add(key);
    runningMax = Math.max(runningMax, running.size);
    try {
      const version = world.get(key) ?? 0;
      if (random() < 0.5) await clock.sleep(Math.floor(random() * 50));
      return outcomeOf(isCalm ? 1 : random(), () => seen.set(key, version));
    } finally {
      running.delete(key);
    }
  };
  const queue = createWorkQueue({
    reconcile,
    concurrency: 3,
    backoff: { initialMs: 10, maxMs: 200 },
    deadlineMs: 10_000,
    log: createLogger({ component: 'test', write: () => undefined }),
    clock,
    random,
  });
  const stop = new AbortController();
  const stopped = queue.run(stop.signal);
  for (let step = 0; step < 1_500; step += 1) {
    const key = keys[Math.floor(random() * keys.length)] ?? 'a';
    if (random() < 0.6) {
      world.set(key, (world.get(key) ?? 0) + 1);
      queue.add(key);
    }
    if (random() < 0.7) await clock.advance(Math.floor(random() * 40));
  }
  isCalm = true;
  await clock.advance(60_000);
  await settle();
  expect(overlaps).toBe(0);
  expect(runningMax).toBeLessThanOrEqual(3);
  expect(runningMax).toBeGreaterThan(1);
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(world));
  expect(queue.stats()).toMatchObject({ ready: 0, running: 0, waiting: 0 });
  stop.abort();
  await stopped;
  expect(clock.sleepers).toBe(0);
});
