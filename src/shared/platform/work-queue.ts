// A level-triggered queue of keys: the only way from "something changed" to work on shared state.
// Holds keys, never events or objects; the reconciler reads the whole state itself each time.
import { type Backoff, backoffMs } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Logger } from './log.ts';

/**
 * 'done' waits for the next change; `afterMs` also comes back by itself. Throwing means: again,
 * with backoff.
 */
export type Outcome = 'done' | { readonly afterMs: number };

/**
 * Thrown by a reconciler when only a change of the world can help: counted, logged, not retried.
 */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/**
 * What became of one run of the reconciler. 'panic' is a programming error; it is retried like
 * 'failed'.
 */
export type RunResult = 'done' | 'again' | 'failed' | 'terminal' | 'deadline' | 'panic';
export const RUN_RESULTS: readonly RunResult[] = [
  'done',
  'again',
  'failed',
  'terminal',
  'deadline',
  'panic',
];

export interface WorkQueueOptions {
  /** At most one call per key at a time. `signal` aborts at the deadline and at shutdown. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
  readonly concurrency: number;
  readonly backoff: Backoff;
  readonly deadlineMs: number;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random?: () => number;
  /** For metrics: called once per run. */
  readonly onResult?: (result: RunResult, durationMs: number, key: string) => void;
}

export interface WorkQueue {
  /**
   * Marks a key as changed. While it runs it will run once more; while it waits it runs at once.
   */
  add(key: string): void;
  /** As `add`, but not before `ms` from now, unless something else wakes the key earlier. */
  addAfter(key: string, ms: number): void;
  /** Works until `signal` aborts; then waits for the runs in flight, at most one deadline long. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when no key is ready or running. Keys that wait for a later time do not count. */
  idle(): Promise<void>;
  /** Counted since the start. */
  stats(): Readonly<Record<RunResult, number>> & WorkQueueDepth;
}

export interface WorkQueueDepth {
  readonly ready: number;
  readonly running: number;
  readonly waiting: number;
}

/** Everything known about a key; keys without failures, work or timers are forgotten. */
interface KeyState {
  /** Reconcile calls that failed since the last success. */
  failures: number;
  running: boolean;
  /** In `#ready`, or to be put there when the present run ends. */
  dirty: boolean;
  /** Will make the key ready, at `dueMs` of the monotonic clock unless `stop` is aborted. */
  timer: { readonly stop: AbortController; readonly dueMs: number } | undefined;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new KeyedQueue(options);
}

class KeyedQueue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #keys = new Map<string, KeyState>();
  // Insertion order is the order of service; a Set so that no key is in it twice.
  readonly #ready = new Set<string>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #counts = Object.fromEntries(RUN_RESULTS.map((result) => [result, 0])) as Record<
    RunResult,
    number
  >;
  #idle: PromiseWithResolvers<void> | undefined;
  #signal: AbortSignal | undefined;
  #isScheduled = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  add(key: string): void {
    const state = this.#stateOf(key);
    state.timer?.stop.abort();
    state.timer = undefined;
    state.dirty = true;
    if (!state.running) this.#ready.add(key);
    this.#scheduleRuns();
  }

  addAfter(key: string, ms: number): void {
    const state = this.#stateOf(key);
    const dueMs = this.#clock.monotonic() + ms;
    // It runs sooner anyway, perhaps because of a change that the caller does not know of.
    if (state.dirty || (state.timer !== undefined && state.timer.dueMs <= dueMs)) return;
    state.timer?.stop.abort();
    const stop = new AbortController();
    state.timer = { stop, dueMs };
    this.#clock.sleep(ms, stop.signal).then(
      () => this.add(key),
      () => undefined, // only ever rejected by our own abort
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#signal !== undefined) throw new TypeError('a work queue runs once');
    this.#signal = signal;
    const stopped = Promise.withResolvers<void>();
    if (signal.aborted) stopped.resolve();
    signal.addEventListener('abort', () => stopped.resolve(), { once: true });
    this.#scheduleRuns();
    await stopped.promise;
    for (const state of this.#keys.values()) state.timer?.stop.abort();
    await this.#drain();
  }

  async idle(): Promise<void> {
    if (this.#isIdle()) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  stats(): Readonly<Record<RunResult, number>> & WorkQueueDepth {
    const waiting = [...this.#keys.values()].filter((state) => state.timer !== undefined).length;
    return { ...this.#counts, ready: this.#ready.size, running: this.#inFlight.size, waiting };
  }

  #stateOf(key: string): KeyState {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const fresh = { failures: 0, running: false, dirty: false, timer: undefined };
    this.#keys.set(key, fresh);
    return fresh;
  }

  #isIdle(): boolean {
    return this.#ready.size === 0 && this.#inFlight.size === 0;
  }

  /**
   * Not at once: the caller is perhaps a watch callback, and a burst of changes of one key is one
   * run.
   */
  #scheduleRuns(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#startRuns();
    });
  }

  #startRuns(): void {
    const signal = this.#signal;
    if (signal === undefined || signal.aborted) return;
    for (const key of this.#ready) {
      if (this.#inFlight.size >= this.#options.concurrency) return;
      this.#ready.delete(key);
      const run = this.#runOnce(key, signal).finally(() => {
        this.#inFlight.delete(run);
        this.#startRuns();
        if (this.#isIdle()) {
          this.#idle?.resolve();
          this.#idle = undefined;
        }
      });
      this.#inFlight.add(run);
    }
  }

  async #runOnce(key: string, signal: AbortSignal): Promise<void> {
    const state = this.#stateOf(key);
    state.dirty = false;
    state.running = true;
    const startMs = this.#clock.monotonic();
    const { result, afterMs } = await this.#attempt(key, state, signal);
    state.running = false;
    this.#counts[result] += 1;
    this.#options.onResult?.(result, this.#clock.monotonic() - startMs, key);
    if (state.dirty) {
      this.#ready.add(key); // changed meanwhile: what was decided about waiting is out of date
    } else if (afterMs !== undefined && !signal.aborted) {
      this.addAfter(key, afterMs);
    } else if (state.failures === 0 && state.timer === undefined) {
      this.#keys.delete(key);
    }
  }

  async #attempt(
    key: string,
    state: KeyState,
    signal: AbortSignal,
  ): Promise<{ result: RunResult; afterMs?: number }> {
    using deadline = this.#startDeadline(key, signal);
    try {
      const outcome = await this.#options.reconcile(key, deadline.signal);
      state.failures = 0;
      return outcome === 'done'
        ? { result: 'done' }
        : { result: 'again', afterMs: this.#jitter(outcome.afterMs) };
    } catch (error) {
      // shutdown: whatever it threw, it did not finish
      if (signal.aborted) return { result: 'failed' };
      const result = resultOf(error, deadline.passed());
      this.#logFailure(key, error, result, state.failures + 1);
      if (result === 'terminal') {
        state.failures = 0;
        return { result };
      }
      state.failures += 1;
      return { result, afterMs: backoffMs(this.#options.backoff, state.failures, this.#random) };
    }
  }

  /** Up to a tenth more, so that keys which were started together do not stay together. */
  #jitter(ms: number): number {
    return Math.round(ms * (1 + this.#random() / 10));
  }

  /**
   * Aborts at the deadline. A reconciler that ignores it keeps its place: two at once would be
   * worse.
   */
  #startDeadline(key: string, outer: AbortSignal): Disposable & DeadlineState {
    const { log, deadlineMs } = this.#options;
    const deadline = new AbortController();
    const timer = new AbortController();
    let passed = false;
    this.#clock.sleep(deadlineMs, timer.signal).then(
      () => {
        passed = true;
        log.error('reconcile deadline passed', { key, deadlineMs });
        deadline.abort(new Error(`deadline of ${deadlineMs} ms passed`));
      },
      () => undefined, // only ever rejected by our own abort
    );
    const stop = (): void => deadline.abort(outer.reason);
    outer.addEventListener('abort', stop, { once: true });
    return {
      signal: deadline.signal,
      passed: () => passed,
      [Symbol.dispose]() {
        timer.abort();
        outer.removeEventListener('abort', stop);
      },
    };
  }

  #logFailure(key: string, error: unknown, result: RunResult, failures: number): void {
    const fields = { key, result, failures, error };
    const stack = result === 'panic' && error instanceof Error ? { stack: error.stack } : {};
    this.#options.log.error('reconcile failed', { ...fields, ...stack });
  }

  async #drain(): Promise<void> {
    if (this.#inFlight.size === 0) return;
    const timer = new AbortController();
    const late = this.#clock.sleep(this.#options.deadlineMs, timer.signal).then(
      () => this.#options.log.error('reconcilers still running at shutdown', { ...this.stats() }),
      () => undefined, // all ended in time
    );
    await Promise.race([Promise.allSettled(this.#inFlight), late]);
    timer.abort();
    await late;
  }
}

interface DeadlineState {
  readonly signal: AbortSignal;
  passed(): boolean;
}

/**
 * Errors that the language raises by itself stand for bugs of ours, not for the state of the world.
 */
function resultOf(error: unknown, deadlinePassed: boolean): RunResult {
  if (error instanceof TerminalError) return 'terminal';
  if (deadlinePassed) return 'deadline';
  const isBug =
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isBug || !(error instanceof Error) ? 'panic' : 'failed';
}
