// Opens the journal file, creating it only where none ever was. A file that cannot be trusted is
// refused with the steps that recover from it: it is never replaced by an empty one in silence.
import { constants, Database } from 'bun:sqlite';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { DomainError } from '../../shared/model/errors.ts';
import { BootRecordFile, isOtherBoot, readBootRecord } from './boot-record.ts';
import { CommitCount, findLoss } from './commit-count.ts';
import { corrupt } from './corrupt.ts';
import { findOddBody } from './rows.ts';
import { createTables, findDamage } from './schema.ts';
import { findWalDamage } from './wal-check.ts';

const FILE = 'journal.db';
const SQLITE_MAGIC = 'SQLite format 3\0';
const PREDECESSOR_WAIT_MS = 5_000;
const REREAD_MS = 100;
/** 4 KiB pages: the log is folded back into the file every 4 MiB. */
const CHECKPOINT_PAGES = 1_000;

/** What `openDatabase` found. */
export interface OpenedDatabase {
  readonly db: Database;
  readonly path: string;
  /** There was no journal before: addresses may be in use that only the API server knows. */
  readonly isNew: boolean;
  readonly count: CommitCount;
}

/**
 * Opens `<directory>/journal.db` exclusively. DomainError 'journal-corrupt', 'conflict',
 * 'io-failed'.
 */
export function openDatabase(o: {
  directory: string;
  node: string;
  /** Of the running kernel: only within one boot is every write known to be there. */
  bootId: string;
  /** First attachment id of a new file: must differ from what an older, lost file gave. */
  firstId: number;
  /** How long a predecessor that is just ending may keep the file. */
  waitMs?: number;
}): OpenedDatabase {
  const path = join(o.directory, FILE);
  try {
    mkdirSync(o.directory, { recursive: true, mode: 0o700 });
    const isNew = !existsSync(path);
    if (isNew) createFile(path, o);
    checkFiles(path, !isOtherBoot(readBootRecord(o.directory), o.bootId));
    return { ...openChecked(path, o), path, isNew };
  } catch (error) {
    throw toDomainError(error, path);
  }
}

/** Made aside and renamed, so that a journal.db which is empty or cut is always damage. */
function createFile(path: string, o: { directory: string; node: string; firstId: number }): void {
  if (existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0) {
    throw corrupt(path, 'it is missing, but its write-ahead log is there');
  }
  const draft = `${path}.new`;
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(draft + suffix, { force: true });
  const db = new Database(draft, { create: true, strict: true });
  try {
    db.run('PRAGMA synchronous = FULL');
    createTables(db, o);
  } finally {
    db.close(true);
  }
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  const directory = openSync(o.directory, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * Damage that SQLite would pass over or report in other words. Runs before SQLite has the file:
 * closing it would fold a damaged log into it, and closing a second descriptor would drop its lock.
 * A power cut may tear writes that were not synced; they were about namespaces that ended with it.
 */
function checkFiles(path: string, isWhole: boolean): void {
  const head = readHead(path, SQLITE_MAGIC.length);
  if (head !== SQLITE_MAGIC) {
    throw corrupt(path, head === '' ? 'it is empty' : 'it is not a SQLite file');
  }
  if (!isWhole) return;
  const isDamaged = (): string | undefined =>
    existsSync(`${path}-wal`) ? findWalDamage(readFileSync(`${path}-wal`)) : undefined;
  if (isDamaged() === undefined) return;
  // A predecessor that is still writing can look like damage for a moment.
  Bun.sleepSync(REREAD_MS);
  const damage = isDamaged();
  if (damage !== undefined) throw corrupt(path, damage);
}

function readHead(path: string, sizeBytes: number): string {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(sizeBytes);
    return head.subarray(0, readSync(file, head, 0, sizeBytes, 0)).toString('latin1');
  } finally {
    closeSync(file);
  }
}

function openChecked(
  path: string,
  o: { directory: string; node: string; bootId: string; waitMs?: number },
): { db: Database; count: CommitCount } {
  const db = new Database(path, { readwrite: true, create: false, strict: true });
  try {
    db.run(`PRAGMA busy_timeout = ${o.waitMs ?? PREDECESSOR_WAIT_MS}`);
    // Held until the process ends: two daemons on one journal would give addresses twice.
    db.run('PRAGMA locking_mode = EXCLUSIVE');
    db.run('PRAGMA journal_mode = WAL');
    // Commits are not synced here but by LogSync. SQLite still syncs the log before it is folded
    // into the file, the file before the log begins anew, and the first page of the new log.
    db.run('PRAGMA synchronous = NORMAL');
    db.run('PRAGMA foreign_keys = OFF');
    db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.run('BEGIN IMMEDIATE');
    db.run('COMMIT');
    // Read again: a predecessor may have written it until its lock was free.
    const record = readBootRecord(o.directory);
    const damage =
      findDamage(db, o) ?? findLoss(db, { record, bootId: o.bootId }) ?? findOddBody(db);
    if (damage !== undefined) throw corrupt(path, damage);
    const count = new CommitCount(db, (commits) => new BootRecordFile({ ...o, commits }));
    return { db, count };
  } catch (error) {
    closeKeepingLog(db);
    throw error;
  }
}

/** Ends the use of a database: its log is folded into the file and removed. */
export function closeDatabase(db: Database, count: CommitCount | undefined): void {
  try {
    count?.end();
  } catch {
    closeKeepingLog(db); // no room: the next process finds it as after a kill
    return;
  }
  db.close();
}

/** Closes a database without removing its log: it is needed at the next opening, or to look at. */
function closeKeepingLog(db: Database): void {
  db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
  db.close();
}

function toDomainError(error: unknown, path: string): DomainError {
  if (error instanceof DomainError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(code)) {
    return corrupt(path, error instanceof Error ? error.message : String(error), error);
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new DomainError('conflict', `another daemon has the journal ${path} open`, {
      cause: error,
      details: { file: path },
    });
  }
  return new DomainError('io-failed', `the journal ${path} cannot be opened`, {
    cause: error,
    details: { file: path },
  });
}
