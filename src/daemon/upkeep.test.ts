// When pools are published: pods that start put it off, and nothing puts it off for ever.
import { expect, test } from 'bun:test';
import { createFakeClock, type FakeClock } from '../../test/helpers/fake-clock.ts';
import { createLogger } from '../shared/platform/log.ts';
import { type Jobs, Upkeep } from './upkeep.ts';

const DELAY_MS = 1_000;

interface Scene {
  readonly clock: FakeClock;
  readonly upkeep: Upkeep;
  /** Times at which each pool was published, in ms since the start. */
  readonly published: Map<string, number[]>;
}

function start(signal: AbortSignal): Scene {
  const clock = createFakeClock();
  const published = new Map<string, number[]>();
  const other = async (): Promise<'done'> => 'done';
  const jobs: Jobs = {
    inventory: other,
    plan: other,
    routes: other,
    host: other,
    report: other,
    quarantine: other,
    spool: other,
    recover: other,
    collect: other,
    pool: async (_signal, name) => {
      published.set(name, [...(published.get(name) ?? []), clock.monotonic()]);
      return 'done';
    },
  };
  const log = createLogger({ component: 'test', level: 'error', write: () => undefined });
  const upkeep = new Upkeep({ jobs, clock, log, poolDelayMs: DELAY_MS });
  void upkeep.run(signal);
  return { clock, upkeep, published };
}

/** `change` every 100 ms, `times` times. */
async function repeat(clock: FakeClock, times: number, change: () => void): Promise<void> {
  for (let at = 0; at < times; at += 1) {
    change();
    await clock.advance(100);
  }
}

test('a pool that pods change is published when it has not changed for three delays', async () => {
  const stop = new AbortController();
  const { clock, upkeep, published } = start(stop.signal);
  await repeat(clock, 20, () => upkeep.poolsChanged(['a', 'b']));
  expect(published.size).toBe(0);
  await clock.advance(4 * DELAY_MS);
  // The last change was at 1,900 ms.
  for (const pool of ['a', 'b']) expectTimes(published.get(pool), [1_900 + 3 * DELAY_MS]);
  stop.abort();
});

test('a pool that does not stop changing is published every five delays', async () => {
  const stop = new AbortController();
  const { clock, upkeep, published } = start(stop.signal);
  await repeat(clock, 110, () => upkeep.poolsChanged(['a']));
  expectTimes(published.get('a'), [5 * DELAY_MS, 10 * DELAY_MS]);
  stop.abort();
});

test('a new plan is published after one delay, whatever pods do', async () => {
  const stop = new AbortController();
  const { clock, upkeep, published } = start(stop.signal);
  await repeat(clock, 5, () => upkeep.requestPools(['a', 'b']));
  await repeat(clock, 10, () => upkeep.poolsChanged(['b']));
  expectTimes(published.get('a'), [DELAY_MS]);
  expectTimes(published.get('b'), [DELAY_MS]);
  upkeep.poolsChanged(['c']);
  upkeep.requestPools(['c']);
  await clock.advance(2 * DELAY_MS);
  expectTimes(published.get('c'), [1_500 + DELAY_MS]);
  stop.abort();
});

test('a pool that one pod changed once is published once', async () => {
  const stop = new AbortController();
  const { clock, upkeep, published } = start(stop.signal);
  upkeep.poolsChanged(['a']);
  await clock.advance(20 * DELAY_MS);
  upkeep.poolsChanged(['a']);
  await clock.advance(20 * DELAY_MS);
  expectTimes(published.get('a'), [3 * DELAY_MS, 23 * DELAY_MS]);
  stop.abort();
});

test('pools that wait are published at once when that is asked for, and others are not', async () => {
  const stop = new AbortController();
  const { clock, upkeep, published } = start(stop.signal);
  upkeep.poolsChanged(['a']);
  await clock.advance(100);
  upkeep.publishWaiting();
  await upkeep.idle();
  expect([...published]).toEqual([['a', [100]]]);
  await clock.advance(20 * DELAY_MS);
  expectTimes(published.get('a'), [100]);
  upkeep.publishWaiting();
  await upkeep.idle();
  expectTimes(published.get('a'), [100]);
  stop.abort();
});

/** The queue scatters what comes back by itself by up to a tenth. */
function expectTimes(actual: readonly number[] | undefined, wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  for (const [index, atMs] of (actual ?? []).entries()) {
    const lateMs = atMs - (wanted[index] ?? Number.NaN);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThanOrEqual((index + 1) * 0.1 * 3 * DELAY_MS + 100);
  }
}
