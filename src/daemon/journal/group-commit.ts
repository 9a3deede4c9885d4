// Groups the writes of concurrent requests into one transaction, because a commit costs more than
// the writes inside it. Knows nothing of what is written, nor when it is on the disk.
import type { Database, Statement } from 'bun:sqlite';
import type { CommitCounter } from './commit-count.ts';
import type { LogSync, SyncPoint } from './log-sync.ts';

/** A change to the journal; runs inside a transaction and may throw to take only itself back. */
export type JournalWrite = (db: Database) => void;

interface Job {
  readonly write: JournalWrite;
  readonly isSynced: boolean;
  readonly resolve: (point: SyncPoint) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes per transaction; more wait for the next one, so that no commit blocks for long. */
const JOBS_PER_COMMIT_MAX = 256;

/** Counts of what was committed, for metrics. */
export interface CommitCounts {
  commits: number;
  writes: number;
  failures: number;
}

/** What the caller knows about a write. */
export interface WriteOptions {
  /**
   * Whether it has to survive a power cut, not only the end of the process. One that need not
   * reaches the disk with the next one that must.
   */
  readonly isSynced: boolean;
  /** Nobody else can have a write to share the commit with: commit at once. */
  readonly isAlone: boolean;
}

/** Collects the writes of one turn of the event loop and commits them together. */
export class GroupCommit {
  readonly counts: CommitCounts = { commits: 0, writes: 0, failures: 0 };
  readonly #db: Database;
  readonly #log: Pick<LogSync, 'start' | 'failure'>;
  readonly #counter: CommitCounter;
  readonly #begin: Statement;
  readonly #commit: Statement;
  #waiting: Job[] = [];
  #isScheduled = false;

  /** `log` is brought to the disk after each commit that has to get there. */
  constructor(
    db: Database,
    o: { log: Pick<LogSync, 'start' | 'failure'>; counter: CommitCounter },
  ) {
    this.#db = db;
    this.#log = o.log;
    this.#counter = o.counter;
    this.#begin = db.query('BEGIN IMMEDIATE');
    this.#commit = db.query('COMMIT');
  }

  /**
   * Resolves when the change is committed, with the point of the log at which it is on the disk (0
   * if nobody waits for that); rejects, with nothing changed, when it is refused.
   */
  submit(write: JournalWrite, o: Partial<WriteOptions> = {}): Promise<SyncPoint> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject, isSynced: o.isSynced ?? true });
      if (o.isAlone === true && this.#waiting.length === 1) this.#commitNext();
      else this.#schedule();
    });
  }

  /** Commits everything that waits, now. */
  flush(): void {
    while (this.#waiting.length > 0) this.#commitNext();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Not a microtask: all requests read in this turn of the loop shall share the commit.
    setImmediate(() => {
      this.#isScheduled = false;
      this.#commitNext();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #commitNext(): void {
    const jobs = this.#waiting.splice(0, JOBS_PER_COMMIT_MAX);
    if (jobs.length === 0) return;
    const error = this.#tryCommit(jobs);
    if (error === undefined) return;
    if (jobs.length === 1 || error.isShared) {
      for (const job of jobs) job.reject(error.cause);
      return;
    }
    // One of them was refused: give each its own transaction, so that only that one fails.
    for (const job of jobs) {
      const own = this.#tryCommit([job]);
      if (own !== undefined) job.reject(own.cause);
    }
  }

  /** Tells the jobs if it worked. `isShared`: the failure is that of the file, not of one write. */
  #tryCommit(jobs: readonly Job[]): { cause: unknown; isShared: boolean } | undefined {
    const broken = this.#log.failure;
    if (broken !== undefined) return { cause: broken, isShared: true };
    let isInside = false;
    try {
      this.#begin.run();
      isInside = true;
      for (const job of jobs) job.write(this.#db);
      isInside = false;
      this.#counter.count();
      this.#commit.run();
    } catch (cause) {
      this.counts.failures += 1;
      const isShared = !isInside || isFileError(cause);
      const stuck = this.#rollBack();
      return stuck === undefined ? { cause, isShared } : { cause: stuck, isShared: true };
    }
    this.#counter.committed();
    this.counts.commits += 1;
    this.counts.writes += jobs.length;
    const point = jobs.some((job) => job.isSynced) ? this.#log.start() : 0;
    for (const job of jobs) job.resolve(job.isSynced ? point : 0);
    return undefined;
  }

  /** SQLite has already rolled back after some errors (disk full among them). */
  #rollBack(): unknown {
    if (!this.#db.inTransaction) return undefined;
    try {
      this.#db.run('ROLLBACK');
      return undefined;
    } catch (error) {
      return error;
    }
  }
}

/** Errors of the file or the disk under it: retrying the other writes at once cannot help. */
function isFileError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|NOMEM|BUSY|LOCKED)/.test(code);
}
