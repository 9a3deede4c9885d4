// A clock that moves only when a test moves it. Wall and monotonic time are apart, so that skew can
// be played too.
import type { Clock } from '../../src/shared/platform/clock.ts';

export interface FakeClock extends Clock {
  /**
   * Moves both clocks and wakes sleepers in the order of their times, letting their work run in
   * between.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock only, as an administrator or NTP would. */
  shiftWall(ms: number): void;
  /** Sleeps that have neither ended nor been aborted. */
  readonly sleepers: number;
  /** Ms until the next sleeper wakes; undefined when nobody sleeps. */
  readonly nextWakeMs: number | undefined;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Starts at 2024-01-01T00:00:00Z on the wall and at 0 on the monotonic clock. */
export function createFakeClock(): FakeClock {
  let wallMs = Date.UTC(2024, 0, 1);
  let elapsedMs = 0;
  const sleepers = new Set<Sleeper>();
  const next = (): Sleeper | undefined =>
    [...sleepers].reduce<Sleeper | undefined>(
      (first, one) => (first === undefined || one.atMs < first.atMs ? one : first),
      undefined,
    );
  const moveTo = (atMs: number): void => {
    wallMs += atMs - elapsedMs;
    elapsedMs = atMs;
  };
  return {
    now: () => wallMs,
    monotonic: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const stop = (): void => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        const sleeper: Sleeper = {
          atMs: elapsedMs + Math.max(ms, 0),
          wake: () => {
            sleepers.delete(sleeper);
            signal?.removeEventListener('abort', stop);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', stop, { once: true });
      }),
    async advance(ms) {
      const endMs = elapsedMs + ms;
      await settle();
      for (let first = next(); first !== undefined && first.atMs <= endMs; first = next()) {
        moveTo(first.atMs);
        first.wake();
        await settle();
      }
      moveTo(endMs);
    },
    shiftWall(ms) {
      wallMs += ms;
    },
    get sleepers() {
      return sleepers.size;
    },
    get nextWakeMs() {
      const first = next();
      return first === undefined ? undefined : first.atMs - elapsedMs;
    },
  };
}

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
