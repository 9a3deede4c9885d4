// The journal's tables, and the checks that decide at start whether a file can be trusted.
//
//   attachments  one row per attachment         addresses  one row per address that is not free:
//     id  ◄───────────────────────────────────── attachment_id   held by that attachment, or
//     (network, container_id, if_name) unique     quarantined_until  released, not yet usable
//   plans  last known networks and own indices, (network, address) is the primary key, so the
//          for starts without an API server;     file itself cannot hold an address twice
//          pools whose rows are complete
//   meta   node name; whether the file was closed, and commits: see commit-count.ts
//
// request_digest is always ''.
import { Database } from 'bun:sqlite';

/** Written to `PRAGMA application_id`: "mnic". */
export const APPLICATION_ID = 0x6d_6e_69_63;
/** Version of the tables below, kept in `PRAGMA user_version`. */
export const SCHEMA_VERSION = 1;

const TABLES = `
CREATE TABLE attachments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  network TEXT NOT NULL,
  container_id TEXT NOT NULL,
  if_name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('intent', 'attached', 'releasing')),
  external INTEGER NOT NULL CHECK (external IN (0, 1)),
  pod_uid TEXT NOT NULL,
  pod_namespace TEXT NOT NULL,
  pod_name TEXT NOT NULL,
  netns_path TEXT NOT NULL,
  netns_id TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  link_group INTEGER NOT NULL,
  request_digest TEXT NOT NULL,
  address_count INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (network, container_id, if_name)
) STRICT;
CREATE INDEX attachments_by_pod ON attachments (pod_namespace, pod_name);
CREATE INDEX attachments_by_container ON attachments (container_id);
CREATE TABLE addresses (
  network TEXT NOT NULL,
  address TEXT NOT NULL,
  pool TEXT NOT NULL,
  idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 65535),
  attachment_id INTEGER,
  quarantined_until INTEGER,
  PRIMARY KEY (network, address),
  CHECK ((attachment_id IS NULL) <> (quarantined_until IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX addresses_by_pool ON addresses (pool, idx);
CREATE INDEX addresses_by_attachment ON addresses (attachment_id)
  WHERE attachment_id IS NOT NULL;
CREATE TABLE plans (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Fills an empty database. `firstId` is the first attachment id that it will give. */
export function createTables(db: Database, o: { node: string; firstId: number }): void {
  db.transaction(() => {
    db.run(TABLES);
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    db.query("INSERT INTO sqlite_sequence (name, seq) VALUES ('attachments', ?)").run(
      o.firstId - 1,
    );
    db.query("INSERT INTO meta (key, value) VALUES ('node', ?)").run(o.node);
  })();
}

function pragma(db: Database, name: string): unknown {
  const row: unknown = db.query(`PRAGMA ${name}`).get();
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
}

/** Names of tables, indexes and columns: a query by another name would find nothing. */
function tablesOf(db: Database): string {
  const query = `SELECT m.type, m.name, c.name AS column FROM sqlite_schema AS m
    LEFT JOIN pragma_table_info(m.name) AS c ORDER BY m.name, c.cid`;
  return JSON.stringify(db.query(query).all());
}

function tablesOfNew(): string {
  const db = new Database(':memory:', { strict: true });
  try {
    createTables(db, { node: '', firstId: 1 });
    return tablesOf(db);
  } finally {
    db.close();
  }
}

/** Invariants that SQLite does not know. Each query gives the rows that break one. */
const INVARIANTS: readonly { readonly broken: string; readonly query: string }[] = [
  {
    broken: 'an attachment holds another number of addresses than it recorded',
    query: `SELECT id FROM attachments AS t WHERE address_count <>
      (SELECT count(*) FROM addresses AS a WHERE a.attachment_id = t.id) LIMIT 1`,
  },
  {
    broken: 'an address is held by an attachment that does not exist',
    query: `SELECT address FROM addresses WHERE attachment_id IS NOT NULL
      AND attachment_id NOT IN (SELECT id FROM attachments) LIMIT 1`,
  },
  {
    broken: 'an attachment body is not JSON',
    query: 'SELECT id FROM attachments WHERE NOT json_valid(body) LIMIT 1',
  },
  {
    broken: 'a plan is not JSON',
    query: 'SELECT name FROM plans WHERE NOT json_valid(body) LIMIT 1',
  },
  {
    broken: 'what it says of its end or its commits is neither',
    query: `SELECT key FROM meta WHERE
      (key = 'state' AND value NOT IN ('open', 'closed')) OR
      (key = 'commits' AND (value = '' OR value GLOB '*[^0-9]*')) LIMIT 1`,
  },
  {
    // A comparison with a row that is not there is true of no id.
    broken: 'the last attachment id that was given is missing',
    query: `SELECT 1 WHERE (SELECT count(*) FROM sqlite_sequence
      WHERE name = 'attachments' AND typeof(seq) = 'integer') <> 1`,
  },
  {
    broken: 'an attachment id is higher than any id given',
    query: `SELECT id FROM attachments WHERE id >
      (SELECT seq FROM sqlite_sequence WHERE name = 'attachments') LIMIT 1`,
  },
];

/** Says what is wrong with an opened journal, or nothing if it can be trusted. */
export function findDamage(db: Database, o: { node: string }): string | undefined {
  if (pragma(db, 'application_id') !== APPLICATION_ID) return 'it is not a journal of this program';
  const version = pragma(db, 'user_version');
  if (version !== SCHEMA_VERSION) {
    return `it has schema version ${String(version)}, this program knows ${SCHEMA_VERSION}`;
  }
  if (tablesOf(db) !== tablesOfNew()) return 'its tables are others than this program makes';
  // The quick form leaves out whether indexes and tables say the same, and a bit in one of them is
  // an address that seems free.
  const check = pragma(db, 'integrity_check(1)');
  if (check !== 'ok') return `its integrity check says: ${String(check)}`;
  for (const { broken, query } of INVARIANTS) {
    if (db.query(query).get() !== null) return broken;
  }
  const node = db.query("SELECT value FROM meta WHERE key = 'node'").get() as {
    value: string;
  } | null;
  if (node?.value !== o.node) return `it belongs to node ${node?.value ?? '(none)'}, not ${o.node}`;
  return undefined;
}
