// Brings the journal's write-ahead log to the disk on another thread, so that the kernel work of an
// attachment goes on meanwhile. Knows nothing of what is in the log.
//
//   commit ─► point 1 ─► sync of point 1 ──────────────► reached
//      commit ─► point 2 ─┐                              one sync for both
//      commit ─► point 3 ─┴ (waits for the one before) ─► sync of point 3 ─► reached
import { closeSync, fdatasync, openSync } from 'node:fs';

/** A place in the log; a sync that begins later covers everything before it. */
export type SyncPoint = number;

/** The log as far as syncing needs it. */
export interface LogFile {
  /** Syncs once and tells how it went. Never called while another one is under way. */
  sync(done: (error: Error | null) => void): void;
  /** Called once, with no sync under way. */
  close(): void;
}

interface Waiter {
  readonly point: SyncPoint;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The file at `path`, which must be there. */
export function openLogFile(path: string): LogFile {
  const descriptor = openSync(path, 'r');
  return {
    sync: (done) => fdatasync(descriptor, done),
    close: () => closeSync(descriptor),
  };
}

/** One sync at a time; whatever is written meanwhile shares the next. Owns the file. */
export class LogSync implements Disposable {
  /** Syncs that were done, for metrics. */
  count = 0;
  readonly #file: LogFile;
  readonly #failed = Promise.withResolvers<Error>();
  #asked: SyncPoint = 0;
  #reached: SyncPoint = 0;
  #isRunning = false;
  #isDisposed = false;
  #failure: Error | undefined;
  #waiters: Waiter[] = [];

  constructor(file: LogFile) {
    this.#file = file;
  }

  /** Nothing may be started any more; a sync that is under way still ends. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (!this.#isRunning) this.#file.close();
  }

  /**
   * Why the log cannot be relied on any more: a sync failed. The kernel has forgotten then which
   * pages it did not write, so that a second sync would succeed without writing them.
   */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves with the reason when a sync has failed. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  /** Begins to bring everything written so far to the disk. */
  start(): SyncPoint {
    this.#asked += 1;
    if (!this.#isRunning) this.#run();
    return this.#asked;
  }

  /** Resolves when `point` is on the disk (without one, the last that was asked for). */
  reached(point: SyncPoint = this.#asked): Promise<void> {
    if (point <= this.#reached) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ point, resolve, reject }));
  }

  #run(): void {
    if (this.#failure !== undefined || this.#isDisposed) return;
    const point = this.#asked;
    this.#isRunning = true;
    this.#file.sync((error) => {
      this.#isRunning = false;
      if (error === null) this.#advance(point);
      else this.#fail(error);
      if (this.#isDisposed && !this.#isRunning) this.#file.close();
    });
  }

  #advance(point: SyncPoint): void {
    this.count += 1;
    this.#reached = point;
    if (this.#asked > point) this.#run();
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.point > point);
    for (const waiter of waiters) if (waiter.point <= point) waiter.resolve();
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#failed.resolve(error);
  }
}
