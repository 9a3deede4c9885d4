// Collects keys for a moment before they are handed on, so that a thousand events make one run. The
// delay is counted from the first key: a stream of events cannot postpone it for ever.
import type { Clock } from '../../shared/platform/clock.ts';

export interface Batch {
  add(key: string): void;
}

export function createBatch(o: {
  /** Asked for when the first key comes. */
  readonly delayMs: () => number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly flush: (keys: readonly string[]) => void;
}): Batch {
  const keys = new Set<string>();
  return {
    add(key) {
      const isFirst = keys.size === 0;
      keys.add(key);
      if (!isFirst || o.signal.aborted) return;
      o.clock.sleep(o.delayMs(), o.signal).then(
        () => {
          const due = [...keys];
          keys.clear();
          o.flush(due);
        },
        () => undefined, // rejected only when the signal aborts, and then nobody needs the keys
      );
    },
  };
}
