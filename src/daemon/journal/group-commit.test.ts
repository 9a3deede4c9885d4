// A disk that is full refuses every write of a commit, changes nothing, and is used again when
// there is room.
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { uncounted } from './commit-count.ts';
import { GroupCommit } from './group-commit.ts';
import { LogSync } from './log-sync.ts';

/** A log that is on the disk at once. */
const log = () => new LogSync({ sync: (done) => done(null), close: () => undefined });

function fullable(): { db: Database; commits: GroupCommit } {
  const db = new Database(':memory:', { strict: true });
  db.run('CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)');
  db.run('PRAGMA max_page_count = 4');
  return { db, commits: new GroupCommit(db, { log: log(), counter: uncounted }) };
}

const row = (id: number, sizeBytes: number) => (db: Database) => {
  db.query('INSERT INTO t VALUES (?, ?)').run(id, 'x'.repeat(sizeBytes));
};
const count = (db: Database): unknown => db.query('SELECT count(*) AS n FROM t').get();

test('a full disk fails all writes of the commit with its own error and keeps what was there', async () => {
  const { db, commits } = fullable();
  await commits.submit(row(1, 10));
  const results = await Promise.allSettled([
    commits.submit(row(2, 10)),
    commits.submit(row(3, 100_000)),
  ]);
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
  expect(results[0]).toMatchObject({ reason: { code: 'SQLITE_FULL' } });
  expect(count(db)).toEqual({ n: 1 });
});

test('writes work again when there is room again', async () => {
  const { db, commits } = fullable();
  await expect(commits.submit(row(1, 100_000))).rejects.toThrow('full');
  db.run('PRAGMA max_page_count = 1000');
  await commits.submit(row(1, 100_000));
  expect(count(db)).toEqual({ n: 1 });
});

test('more writes than fit into one commit are all done', async () => {
  const db = new Database(':memory:', { strict: true });
  db.run('CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)');
  const commits = new GroupCommit(db, { log: log(), counter: uncounted });
  await Promise.all(Array.from({ length: 1000 }, (_, id) => commits.submit(row(id, 1))));
  expect(count(db)).toEqual({ n: 1000 });
  expect(commits.counts).toEqual({ commits: 4, writes: 1000, failures: 0 });
});

test('flush commits what waits without a turn of the loop', () => {
  const { db, commits } = fullable();
  const done = commits.submit(row(1, 1));
  commits.flush();
  expect(count(db)).toEqual({ n: 1 });
  return done.then((point) => expect(point).toBe(1));
});
