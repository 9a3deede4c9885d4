// The queue's laws: one run per key, nothing lost, waits that grow and end, deadlines, and an
// orderly end.
import { describe, expect, test } from 'bun:test';
import { createFakeClock, type FakeClock, settle } from '../../../test/helpers/fake-clock.ts';
import { createLogger } from './log.ts';
import {
  createWorkQueue,
  type Outcome,
  type RunResult,
  TerminalError,
  type WorkQueue,
} from './work-queue.ts';

interface Bench {
  readonly clock: FakeClock;
  readonly queue: WorkQueue;
  /** `key` of each run that has started. */
  readonly runs: string[];
  readonly results: RunResult[];
  readonly lines: string[];
  readonly stop: AbortController;
  readonly stopped: Promise<void>;
}

type Reconcile = (key: string, signal: AbortSignal) => Promise<Outcome>;

function start(
  reconcile: Reconcile,
  o: { concurrency?: number; deadlineMs?: number; random?: () => number } = {},
): Bench {
  const clock = createFakeClock();
  const runs: string[] = [];
  const results: RunResult[] = [];
  const lines: string[] = [];
  const stop = new AbortController();
  const queue = createWorkQueue({
    reconcile: async (key, signal) => {
      runs.push(key);
      return await reconcile(key, signal);
    },
    concurrency: o.concurrency ?? 2,
    backoff: { initialMs: 100, maxMs: 1_000 },
    deadlineMs: o.deadlineMs ?? 60_000,
    log: createLogger({ component: 'test', write: (line) => lines.push(line) }),
    clock,
    random: o.random ?? (() => 1), // the whole delay
    onResult: (result) => results.push(result),
  });
  return { clock, queue, runs, results, lines, stop, stopped: queue.run(stop.signal) };
}

async function finish(bench: Bench): Promise<void> {
  bench.stop.abort(new Error('the test is over'));
  await bench.stopped;
}

/** A reconciler whose runs end when the test says so. */
function gated(): { reconcile: Reconcile; open: (outcome?: Outcome | Error) => void } {
  const gates: PromiseWithResolvers<Outcome>[] = [];
  return {
    reconcile: async () => {
      const gate = Promise.withResolvers<Outcome>();
      gates.push(gate);
      return await gate.promise;
    },
    open: (outcome = 'done') => {
      const gate = gates.shift();
      if (outcome instanceof Error) gate?.reject(outcome);
      else gate?.resolve(outcome);
    },
  };
}

describe('work queue', () => {
  test('runs each added key once', async () => {
    const bench = start(async () => 'done');
    for (const key of ['a', 'b', 'a', 'c', 'b']) bench.queue.add(key);
    await bench.queue.idle();
    expect(bench.runs.sort()).toEqual(['a', 'b', 'c']);
    await finish(bench);
  });

  test('keys added before run are not lost', async () => {
    const clock = createFakeClock();
    const runs: string[] = [];
    const queue = createWorkQueue({
      reconcile: async (key) => {
        runs.push(key);
        return 'done';
      },
      concurrency: 1,
      backoff: { initialMs: 1, maxMs: 1 },
      deadlineMs: 1_000,
      log: createLogger({ component: 'test', write: () => undefined }),
      clock,
    });
    queue.add('early');
    const stop = new AbortController();
    const stopped = queue.run(stop.signal);
    await queue.idle();
    expect(runs).toEqual(['early']);
    stop.abort();
    await stopped;
  });

  test('never runs one key twice at a time; changes during a run make one more', async () => {
    const gate = gated();
    const bench = start(gate.reconcile);
    bench.queue.add('a');
    await settle();
    for (let change = 0; change < 5; change += 1) bench.queue.add('a');
    await settle();
    expect(bench.runs).toEqual(['a']);
    gate.open();
    await settle();
    expect(bench.runs).toEqual(['a', 'a']);
    gate.open();
    await bench.queue.idle();
    expect(bench.runs).toEqual(['a', 'a']);
    await finish(bench);
  });

  test('runs at most as many keys at a time as allowed, in the order of their coming', async () => {
    const gate = gated();
    const bench = start(gate.reconcile, { concurrency: 2 });
    for (const key of ['a', 'b', 'c', 'd']) bench.queue.add(key);
    await settle();
    expect(bench.runs).toEqual(['a', 'b']);
    expect(bench.queue.stats()).toMatchObject({ running: 2, ready: 2 });
    gate.open();
    await settle();
    expect(bench.runs).toEqual(['a', 'b', 'c']);
    for (const _ of 'bcd') {
      gate.open();
      await settle();
    }
    expect(bench.runs).toEqual(['a', 'b', 'c', 'd']);
    await finish(bench);
  });

  test('a failing key waits longer and longer, up to the cap, and starts afresh after success', async () => {
    let isBroken = true;
    const bench = start(async () => {
      if (isBroken) throw new Error('broken');
      return 'done';
    });
    bench.queue.add('a');
    await settle();
    const waits: (number | undefined)[] = [];
    for (let failure = 0; failure < 6; failure += 1) {
      waits.push(bench.clock.nextWakeMs);
      await bench.clock.advance(bench.clock.nextWakeMs ?? 0);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    isBroken = false;
    await bench.clock.advance(1_000);
    expect(bench.queue.stats()).toMatchObject({ failed: 7, done: 1, waiting: 0 });
    isBroken = true;
    bench.queue.add('a');
    await settle();
    expect(bench.clock.nextWakeMs).toBe(100);
    await finish(bench);
  });

  test('jitter takes up to half of the wait away', async () => {
    const bench = start(
      async () => {
        throw new Error('broken');
      },
      { random: () => 0 },
    );
    bench.queue.add('a');
    await settle();
    expect(bench.clock.nextWakeMs).toBe(50);
    await finish(bench);
  });

  test('a change does not wait for the backoff', async () => {
    let failures = 1;
    const bench = start(async () => {
      if (failures-- > 0) throw new Error('broken');
      return 'done';
    });
    bench.queue.add('a');
    await settle();
    bench.queue.add('a');
    await settle();
    expect(bench.results).toEqual(['failed', 'done']);
    expect(bench.clock.sleepers).toBe(0);
    await finish(bench);
  });

  test('again after a time comes back by itself, once', async () => {
    let rounds = 0;
    const bench = start(
      async () => {
        rounds += 1;
        return rounds < 3 ? { afterMs: 1_000 } : 'done';
      },
      { random: () => 0 },
    );
    bench.queue.add('a');
    await bench.clock.advance(999);
    expect(rounds).toBe(1);
    await bench.clock.advance(1);
    expect(rounds).toBe(2);
    await bench.clock.advance(10_000);
    expect(rounds).toBe(3);
    expect(bench.results).toEqual(['again', 'again', 'done']);
    await finish(bench);
  });

  test('a change during a run that asks for a later time wins over that time', async () => {
    const gate = gated();
    const bench = start(gate.reconcile);
    bench.queue.add('a');
    await settle();
    bench.queue.add('a');
    gate.open({ afterMs: 60_000 });
    await settle();
    expect(bench.runs).toEqual(['a', 'a']);
    gate.open();
    await settle();
    expect(bench.clock.sleepers).toBe(0);
    await finish(bench);
  });

  test('addAfter waits, and the earliest of several wakes wins', async () => {
    const bench = start(async () => 'done');
    bench.queue.addAfter('a', 500);
    await bench.clock.advance(499);
    expect(bench.runs).toEqual([]);
    bench.queue.add('a');
    await settle();
    expect(bench.runs).toEqual(['a']);
    await bench.clock.advance(10_000);
    expect(bench.runs).toEqual(['a']);
    await finish(bench);
  });

  test('a wake asked for during a run is not put off by a later one of the run itself', async () => {
    const gate = gated();
    const bench = start(gate.reconcile);
    bench.queue.add('a');
    await settle();
    bench.queue.addAfter('a', 100);
    gate.open({ afterMs: 10_000 });
    await bench.clock.advance(100);
    expect(bench.runs).toEqual(['a', 'a']);
    gate.open();
    await bench.clock.advance(60_000);
    expect(bench.runs).toEqual(['a', 'a']);
    await finish(bench);
  });

  test('a wake asked for during a run outlives a run that is done, but not the queue', async () => {
    const gate = gated();
    const bench = start(gate.reconcile);
    bench.queue.add('a');
    await settle();
    bench.queue.addAfter('a', 100);
    gate.open('done');
    await settle();
    expect(bench.queue.stats()).toMatchObject({ done: 1, waiting: 1 });
    await finish(bench);
    await settle();
    expect(bench.clock.sleepers).toBe(0);
  });

  test('a terminal failure is counted and logged, and waits for a change', async () => {
    const bench = start(async () => {
      throw new TerminalError('no plugin of that name');
    });
    bench.queue.add('a');
    await bench.clock.advance(3_600_000);
    expect(bench.runs).toEqual(['a']);
    expect(bench.queue.stats()).toMatchObject({ terminal: 1, failed: 0, waiting: 0 });
    expect(bench.lines[0]).toContain('no plugin of that name');
    bench.queue.add('a');
    await settle();
    expect(bench.runs).toEqual(['a', 'a']);
    await finish(bench);
  });

  test('a bug is counted apart, does not stop the queue, and is tried again', async () => {
    const nothing: { deep?: { member: string } } = {};
    const bench = start(async (key) => {
      if (key === 'good') return 'done';
      return Reflect.get(nothing.deep as unknown as object, 'member');
    });
    bench.queue.add('bad');
    bench.queue.add('good');
    await settle();
    expect(bench.queue.stats()).toMatchObject({ panic: 1, done: 1 });
    expect(bench.lines[0]).toContain('"stack"');
    expect(bench.clock.nextWakeMs).toBe(100);
    await finish(bench);
  });

  test('a reconciler that throws before its first await is a failure like any other', async () => {
    const bench = start(() => {
      throw new Error('at once');
    });
    bench.queue.add('a');
    await settle();
    expect(bench.results).toEqual(['failed']);
    await finish(bench);
  });

  test('the deadline aborts the signal and counts as such', async () => {
    const bench = start(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
      { deadlineMs: 5_000 },
    );
    bench.queue.add('a');
    await bench.clock.advance(5_000);
    expect(bench.results).toEqual(['deadline']);
    expect(bench.lines.join('\n')).toContain('deadline passed');
    expect(bench.clock.nextWakeMs).toBe(100);
    await finish(bench);
  });

  test('a reconciler that ignores its deadline keeps its key to itself', async () => {
    const gate = gated();
    const bench = start(gate.reconcile, { deadlineMs: 1_000 });
    bench.queue.add('a');
    await bench.clock.advance(5_000);
    bench.queue.add('a');
    await settle();
    expect(bench.runs).toEqual(['a']);
    gate.open();
    await settle();
    expect(bench.runs).toEqual(['a', 'a']);
    gate.open();
    await settle();
    await finish(bench);
  });

  test('the end aborts what runs, waits for it, and starts nothing any more', async () => {
    const ended: string[] = [];
    const bench = start(
      async (key, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        await settle();
        ended.push(key);
        return 'done';
      },
      { concurrency: 1 },
    );
    bench.queue.add('a');
    bench.queue.add('b');
    await settle();
    await finish(bench);
    expect(ended).toEqual(['a']);
    bench.queue.add('c');
    await settle();
    expect(bench.runs).toEqual(['a']);
    expect(bench.clock.sleepers).toBe(0);
  });

  test('the end does not wait longer than a deadline for one that hangs', async () => {
    const bench = start(() => new Promise(() => undefined), { deadlineMs: 1_000 });
    bench.queue.add('a');
    await settle();
    bench.stop.abort(new Error('the test is over'));
    await settle();
    await bench.clock.advance(1_000);
    await bench.stopped;
    expect(bench.lines.at(-1)).toContain('still running at shutdown');
  });

  test('failures during the end are not logged as such', async () => {
    const bench = start(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('interrupted')));
        }),
    );
    bench.queue.add('a');
    await settle();
    await finish(bench);
    expect(bench.lines).toEqual([]);
  });

  test('keys that are done are forgotten', async () => {
    const bench = start(async () => 'done');
    for (let key = 0; key < 1_000; key += 1) bench.queue.add(`key-${key}`);
    await bench.queue.idle();
    expect(bench.queue.stats()).toMatchObject({ done: 1_000, ready: 0, running: 0, waiting: 0 });
    await finish(bench);
  });
});
