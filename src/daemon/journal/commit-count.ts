// Counts the journal's commits twice: in the database, as part of each, and beside it, after each.
// A log that was lost or cut takes the first count back and not the second, so that the next start
// knows. SQLite alone takes such a log for a shorter one.
//
//   first commit of a process ─► state `open` is folded into the file ─► acknowledged
//   each commit ─► count + 1 inside ─► in the log ─► count beside it ─► acknowledged
//   end of the process ─► state `closed` in the log ─► the log is folded into the file and removed
//
// After a kill at any of these places the count inside is equal to the one beside it, or one more.
import type { Database, Statement } from 'bun:sqlite';
import type { BootRecord, BootRecordFile } from './boot-record.ts';
import { isOtherBoot } from './boot-record.ts';

/** What the database says of itself. A journal of a daemon that does not count has neither. */
interface Counted {
  /** Some commits may be in the log only. */
  readonly isOpen: boolean;
  readonly commits: number;
}

/** How a transaction takes part in the count. */
export interface CommitCounter {
  /** Inside each transaction; `committed` or, if it was rolled back, nothing follows. */
  count(): void;
  /** After it, before anybody hears of it. */
  committed(): void;
}

/** The counter of a database that ends with the process. */
export const uncounted: CommitCounter = { count: () => undefined, committed: () => undefined };

const PUT = `INSERT INTO meta (key, value) VALUES (?, ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/**
 * Says what is missing from a journal that its record knows of. Nothing is said of one that was
 * closed in order, so that an old copy opens as long as it is whole; nor after a reboot, which ends
 * every pod and may tear what was not synced.
 */
export function findLoss(
  db: Database,
  o: { record: BootRecord; bootId: string },
): string | undefined {
  const { record } = o;
  const { isOpen, commits } = readCounted(db);
  // A daemon that does not count has had the file since.
  if (!isOpen || record.kind === 'uncounted' || isOtherBoot(record, o.bootId)) return undefined;
  if (record.kind === 'damaged') {
    return 'it was not closed, and the file boot-id, which says how much is in it, is damaged';
  }
  const lost = record.commits - commits;
  return lost > 0 ? `its write-ahead log was lost or cut, ${lost} commits are missing` : undefined;
}

/** The count of a journal that is open; owns the record beside it. */
export class CommitCount implements CommitCounter, Disposable {
  readonly #db: Database;
  readonly #record: BootRecordFile;
  readonly #setCommits: Statement;
  #commits: number;
  #isOpen: boolean;
  /** This process has made a commit. */
  #isBegun = false;
  /** The state `open` is in the file itself, where losing the log does not take it back. */
  #isFolded = false;

  /** `openRecord` is given the commits that are in the database. */
  constructor(db: Database, openRecord: (commits: number) => BootRecordFile) {
    const { isOpen, commits } = readCounted(db);
    this.#db = db;
    this.#isOpen = isOpen;
    this.#commits = commits;
    this.#record = openRecord(commits);
    this.#setCommits = db.query("UPDATE meta SET value = ? WHERE key = 'commits'");
  }

  count(): void {
    const commits = String(this.#commits + 1);
    if (this.#isBegun) {
      this.#setCommits.run(commits);
      return;
    }
    const put = this.#db.query(PUT);
    put.run('state', 'open');
    put.run('commits', commits);
  }

  /**
   * Does not fail: where the disk is full the bound is lower than it could be, and the next commit
   * corrects it.
   */
  committed(): void {
    this.#commits += 1;
    this.#isOpen = true;
    this.#isBegun = true;
    try {
      if (!this.#isFolded) this.#isFolded = foldLog(this.#db);
      this.#record.write(this.#commits);
    } catch {
      // The commit is in the log and stays there.
    }
  }

  /**
   * To be called right before the database is closed. If this throws, the log must not be removed
   * by closing.
   */
  end(): void {
    if (this.#isOpen) this.#db.query(PUT).run('state', 'closed');
  }

  [Symbol.dispose](): void {
    this.#record[Symbol.dispose]();
  }
}

/** Whether everything in the log is in the file now, and on the disk. */
function foldLog(db: Database): boolean {
  const result = db
    .query<{ log: number; checkpointed: number }, []>('PRAGMA wal_checkpoint(PASSIVE)')
    .get();
  return result !== null && result.log === result.checkpointed;
}

function readCounted(db: Database): Counted {
  const read = db.query<{ value: string }, [string]>('SELECT value FROM meta WHERE key = ?');
  return {
    isOpen: read.get('state')?.value === 'open',
    commits: Number(read.get('commits')?.value ?? 0),
  };
}
