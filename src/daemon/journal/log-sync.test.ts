// Syncs follow each other, cover what was written before them, and end with the first failure.
import { describe, expect, test } from 'bun:test';
import { LogSync } from './log-sync.ts';

/** A log whose syncs end when the test says so. */
function slowLog() {
  const pending: ((error: Error | null) => void)[] = [];
  const file = {
    closed: 0,
    sync: pending.push.bind(pending),
    close: () => {
      file.closed += 1;
    },
  };
  /** Ends the sync that is under way. */
  const end = (error: Error | null = null): void => pending.shift()?.(error);
  return { log: new LogSync(file), file, pending, end };
}

/** Which of the points are on the disk by now. */
async function reached(log: LogSync, points: readonly number[]): Promise<boolean[]> {
  const isReached = points.map(() => false);
  for (const [index, point] of points.entries()) {
    log.reached(point).then(
      () => {
        isReached[index] = true;
      },
      () => undefined,
    );
  }
  await Promise.resolve();
  return isReached;
}

describe('LogSync', () => {
  test('what is written during a sync waits for the next, and shares it', async () => {
    const { log, pending, end } = slowLog();
    const points = [log.start(), log.start(), log.start()];
    expect(pending).toHaveLength(1);
    end();
    expect(await reached(log, points)).toEqual([true, false, false]);
    expect(pending).toHaveLength(1);
    end();
    expect(await reached(log, points)).toEqual([true, true, true]);
    expect(pending).toHaveLength(0);
    expect(log.count).toBe(2);
  });

  test('a point that is reached does not wait for a later sync', async () => {
    const { log, end } = slowLog();
    const first = log.start();
    end();
    log.start();
    expect(await reached(log, [first])).toEqual([true]);
  });

  test('without a point, everything that was asked for is waited for', async () => {
    const { log, end } = slowLog();
    await log.reached();
    log.start();
    let isDone = false;
    const all = log.reached().then(() => {
      isDone = true;
    });
    await Promise.resolve();
    expect(isDone).toBe(false);
    end();
    await all;
  });

  test('after a failure nothing is synced again, whatever is asked for', async () => {
    const { log, pending, end } = slowLog();
    const before = log.start();
    end();
    const [failing, next] = [log.start(), log.start()];
    const waiting = log.reached(next);
    const error = new Error('EIO: i/o error, fdatasync');
    end(error);
    await expect(waiting).rejects.toBe(error);
    await expect(log.reached(failing)).rejects.toBe(error);
    await expect(log.reached(log.start())).rejects.toBe(error);
    await log.reached(before);
    expect(pending).toHaveLength(0);
    expect(log.failure).toBe(error);
    expect(await log.failed).toBe(error);
  });

  test('the file is closed once, after the sync that is under way', () => {
    const { log, file, end } = slowLog();
    log.start();
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    expect(file.closed).toBe(0);
    end();
    expect(file.closed).toBe(1);
  });
});
