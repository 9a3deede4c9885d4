// One operation at a time per key, a bounded number altogether, and a bounded queue behind them.
import { DomainError } from '../../shared/model/errors.ts';

/** Limits of a `KeyLock`. */
export interface KeyLockLimits {
  /** Operations that run at once. */
  readonly running: number;
  /** Operations that wait; more are refused. */
  readonly waiting: number;
  readonly waitMsMax: number;
}

/** Operations that follow each other faster come out of a queue somewhere. */
const QUIET_MS = 0.5;

interface Waiter {
  readonly key: string;
  readonly start: () => void;
  readonly refuse: (error: DomainError) => void;
  readonly sinceMs: number;
}

/** Serialises operations on one container and lets different containers run side by side. */
export class KeyLock {
  readonly #limits: KeyLockLimits;
  readonly #now: () => number;
  readonly #busy = new Set<string>();
  #waiters: Waiter[] = [];
  #running = 0;
  #endedMs = Number.NEGATIVE_INFINITY;
  #isQuiet = false;
  #onIdle: (() => void)[] = [];

  /** `now`: ms on a clock that never goes back. */
  constructor(o: { limits: KeyLockLimits; now: () => number }) {
    this.#limits = o.limits;
    this.#now = o.now;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * One operation runs, nothing waits, and nothing ran just before: there is no one to share with.
   */
  get isAlone(): boolean {
    return this.#running === 1 && this.#waiters.length === 0 && this.#isQuiet;
  }

  /** Runs `work` when its key is free. DomainError 'not-ready' if the queue is full, 'timeout'. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    await this.#acquire(key);
    try {
      return await work();
    } finally {
      this.#busy.delete(key);
      this.#running -= 1;
      this.#endedMs = this.#now();
      this.#startWaiters();
    }
  }

  /** Resolves when nothing runs or waits, for an orderly end. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#waiters.length === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #acquire(key: string): Promise<void> | undefined {
    if (this.#waiters.length === 0 && this.#canStart(key)) {
      this.#occupy(key);
      return undefined;
    }
    if (this.#waiters.length >= this.#limits.waiting) {
      throw new DomainError('not-ready', 'too many operations are waiting on this node', {
        details: { waiting: this.#waiters.length },
      });
    }
    return new Promise((start, refuse) => {
      this.#waiters.push({ key, start, refuse, sinceMs: this.#now() });
      this.#startWaiters();
    });
  }

  #canStart(key: string): boolean {
    return this.#running < this.#limits.running && !this.#busy.has(key);
  }

  #occupy(key: string): void {
    if (this.#running === 0) this.#isQuiet = this.#now() - this.#endedMs > QUIET_MS;
    this.#busy.add(key);
    this.#running += 1;
  }

  /** Oldest first; a waiter whose key is busy is passed over. */
  #startWaiters(): void {
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (this.#now() - waiter.sinceMs > this.#limits.waitMsMax) {
        waiter.refuse(
          new DomainError('timeout', 'the operation waited too long for others on this node', {
            details: { waitedMs: Math.round(this.#now() - waiter.sinceMs) },
          }),
        );
      } else if (this.#canStart(waiter.key)) {
        this.#occupy(waiter.key);
        waiter.start();
      } else {
        still.push(waiter);
      }
    }
    this.#waiters = still;
    if (this.#running > 0 || still.length > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
