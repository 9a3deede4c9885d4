// Time as a dependency: the system's clock here, a clock that stands still in test/helpers.

export interface Clock {
  /**
   * Wall clock, ms since the epoch. May jump; use it only for what people or other machines read.
   */
  now(): number;
  /** Ms on a clock that never goes back and has no meaning but differences. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout fires at once above this. */
const SLEEP_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
        Math.min(Math.max(ms, 0), SLEEP_MS_MAX),
      );
      signal?.addEventListener('abort', stop, { once: true });
    }),
};
