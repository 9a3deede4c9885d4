// Since when something has been so. Times are of one process: what another one saw does not count.
import type { Clock } from '../../shared/platform/clock.ts';

/** By name. Whoever looks says that it is so, or that it is not. */
export class Since {
  readonly #clock: Clock;
  readonly #starts = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It is so now: for how long (ms), from the first look on. */
  forMs(name: string): number {
    const nowMs = this.#clock.monotonic();
    const startMs = this.#starts.get(name) ?? nowMs;
    this.#starts.set(name, startMs);
    return nowMs - startMs;
  }

  has(name: string): boolean {
    return this.#starts.has(name);
  }

  /** It is not so, or nobody will ask any more. */
  end(name: string): void {
    this.#starts.delete(name);
  }
}
