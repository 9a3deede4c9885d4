// A log that was lost or cut within one boot is refused, whatever SQLite would make of it; and no
// journal is refused that a kill, a power cut, another version or a back-up can leave.
import { Database } from 'bun:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDomainError } from '../../shared/model/errors.ts';
import type { Attachment } from './attachment.ts';
import { Journal } from './journal.ts';

const ROWS = 60;
const NICS = 3;
const HELD = ROWS * NICS;
/** A commit's last frame: a header and a page. */
const FRAME_BYTES = 24 + 4096;

const folders: string[] = [];
/** The files as they are at a kill after `ROWS` commits, and one commit earlier. */
let killed: string;
let earlier: string;

const newFolder = (from?: string): string => {
  const path = mkdtempSync(join(tmpdir(), 'mnd-lost-'));
  if (from !== undefined) cpSync(from, path, { recursive: true });
  return path;
};
/** A folder that is removed after the test. */
const folder = (from?: string): string => {
  const path = newFolder(from);
  folders.push(path);
  return path;
};

const open = (directory: string, o: { bootId?: string; node?: string } = {}): Journal =>
  Journal.open({ directory, node: 'n1', bootId: 'boot-1', firstId: 1, waitMs: 0, ...o });

function row(id: number): Attachment {
  const nics: Attachment['nics'] = Array.from({ length: NICS }, (_, nic) => ({
    name: `net1-${nic}`,
    master: `eth${nic}`,
    netAddress: `10.0.${nic}.0/24`,
    kind: 'macvlan',
    mode: 'bridge',
    mtu: 0,
    mac: '',
    addresses: [
      { pool: `p${nic}`, index: id, family: 4, address: `10.9.${nic}.${id}`, prefix: 24 },
    ],
    routes: [],
  }));
  return {
    id,
    network: 'net',
    containerId: `c${id}`,
    ifName: 'net1',
    state: 'attached',
    external: false,
    podUid: '',
    podNamespace: 'default',
    podName: `p${id}`,
    netnsPath: '',
    netnsId: '',
    bootId: 'boot-1',
    group: id,
    createdAtMs: 1,
    updatedAtMs: 1,
    nics,
    sharedRoutes: [],
    why: {},
  };
}

/** Adds `count` rows, each in a commit of its own. */
async function fill(journal: Journal, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await journal.insert(row(journal.takeId()));
}

/** How many addresses are held, or why the journal is refused. */
function heldIn(directory: string, o: { bootId?: string; node?: string } = {}): number | string {
  try {
    using journal = open(directory, o);
    return journal.held().length;
  } catch (error) {
    if (isDomainError(error, 'journal-corrupt')) return error.message;
    throw error;
  }
}

const file = (directory: string) => join(directory, 'journal.db');
const log = (directory: string) => join(directory, 'journal.db-wal');
const record = (directory: string) => join(directory, 'boot-id');
const bytesOf = (path: string) => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0));

/** Writes over a file; `at` below 0 counts from its end. */
function edit(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}
const flip = (path: string, at: (sizeBytes: number) => number): void =>
  edit(path, (bytes) => {
    const place = at(bytes.length);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
  });
const half = (sizeBytes: number): number => Math.floor(sizeBytes / 2);

/** Runs statements as another program would; the log is folded into the file and removed. */
function runSql(directory: string, ...statements: string[]): void {
  const db = new Database(file(directory));
  for (const statement of statements) db.run(statement);
  db.close();
}

beforeAll(async () => {
  killed = newFolder();
  earlier = newFolder();
  const live = newFolder();
  {
    using journal = open(live);
    await fill(journal, ROWS - 1);
    cpSync(live, earlier, { recursive: true });
    await fill(journal, 1);
    cpSync(live, killed, { recursive: true });
  }
  rmSync(live, { recursive: true });
});
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});
afterAll(() => {
  for (const path of [killed, earlier]) rmSync(path, { recursive: true, force: true });
});

describe('refused', () => {
  const emptyRecord = (directory: string) => truncateSync(record(directory), 0);
  const damages: [string, (directory: string) => void][] = [
    ['a log that is deleted', (d) => rmSync(log(d))],
    ['an empty log', (d) => truncateSync(log(d), 0)],
    ['a log of 10 bytes', (d) => truncateSync(log(d), 10)],
    ['a log without its header', (d) => edit(log(d), (bytes) => bytes.fill(0, 0, 32))],
    ['a log of zeros', (d) => edit(log(d), (bytes) => bytes.fill(0))],
    ['half a log', (d) => truncateSync(log(d), half(bytesOf(log(d)).length))],
    ['zeros to the end', (d) => edit(log(d), (bytes) => bytes.fill(0, half(bytes.length)))],
    ['a bit in the last commit', (d) => flip(log(d), (size) => size - 100)],
    ['a commit cut off', (d) => truncateSync(log(d), bytesOf(log(d)).length - FRAME_BYTES)],
    [
      'an empty record, and a bit in the middle',
      (d) => {
        emptyRecord(d);
        flip(log(d), half);
      },
    ],
    [
      'an empty record, and half a log',
      (d) => {
        emptyRecord(d);
        truncateSync(log(d), half(bytesOf(log(d)).length));
      },
    ],
    [
      'a bit in the record, and no log',
      (d) => {
        flip(record(d), () => 3);
        rmSync(log(d));
      },
    ],
    [
      'no record, and no log',
      (d) => {
        rmSync(record(d));
        rmSync(log(d));
      },
    ],
  ];
  test.each(damages)('%s', (_title, damage) => {
    const directory = folder(killed);
    damage(directory);
    const left = bytesOf(log(directory));
    const refusal = heldIn(directory);
    expect(refusal).toContain('cannot be trusted');
    expect(refusal).toContain(`move ${file(directory)}`);
    // Nothing that could be looked at is gone, and nothing was made good by refusing it.
    expect(bytesOf(log(directory)).equals(left)).toBe(true);
    expect(heldIn(directory)).toBe(refusal);
  });

  test('a log that is lost after it was begun anew', async () => {
    const directory = folder();
    const copy = folder();
    {
      using journal = open(directory);
      while (bytesOf(log(directory)).length < 4_200_000) {
        const id = journal.takeId();
        await journal.insert({ ...row(id), nics: [], why: { text: 'x'.repeat(100_000) } });
      }
      await fill(journal, 2);
      cpSync(directory, copy, { recursive: true });
    }
    expect(heldIn(folder(copy))).toBe(2 * NICS);
    rmSync(log(copy));
    expect(heldIn(copy)).toContain('its write-ahead log was lost or cut');
  });
});

describe('not refused', () => {
  test('what a kill leaves', () => {
    expect(heldIn(folder(killed))).toBe(HELD);
  });

  test('a kill between a commit and its record', () => {
    const directory = folder(killed);
    copyFileSync(record(earlier), record(directory));
    expect(heldIn(directory)).toBe(HELD);
  });

  test('a kill in the middle of a commit', () => {
    const directory = folder(killed);
    copyFileSync(record(earlier), record(directory));
    truncateSync(log(directory), bytesOf(log(directory)).length - 100);
    expect(heldIn(directory)).toBe(HELD - NICS);
    expect(heldIn(directory)).toBe(HELD - NICS);
  });

  test('what an orderly end leaves, with or without its record', () => {
    const directory = folder(killed);
    expect(heldIn(directory)).toBe(HELD);
    expect(existsSync(log(directory))).toBe(false);
    truncateSync(record(directory), 0);
    expect(heldIn(directory)).toBe(HELD);
    rmSync(record(directory));
    expect(heldIn(directory)).toBe(HELD);
  });

  test('an end without any write after a kill', () => {
    const directory = folder(killed);
    open(directory)[Symbol.dispose]();
    expect(heldIn(directory)).toBe(HELD);
  });

  test('any of it after a power cut', () => {
    const directory = folder(killed);
    rmSync(log(directory));
    // Of 60 commits the first was folded into the file; the pods of all of them are gone.
    expect(heldIn(directory, { bootId: 'boot-2' })).toBe(NICS);
    expect(heldIn(directory, { bootId: 'boot-2' })).toBe(NICS);
  });

  test('a back-up of the whole folder, taken while it was in use', () => {
    const directory = folder(killed);
    expect(heldIn(directory)).toBe(HELD);
    rmSync(directory, { recursive: true });
    cpSync(earlier, directory, { recursive: true });
    expect(heldIn(directory)).toBe(HELD - NICS);
  });

  test('an old file that had been closed in order', async () => {
    const directory = folder(earlier);
    expect(heldIn(directory)).toBe(HELD - NICS);
    const copy = join(folder(), 'copy');
    copyFileSync(file(directory), copy);
    {
      using journal = open(directory);
      await fill(journal, 1);
    }
    copyFileSync(copy, file(directory));
    expect(heldIn(directory)).toBe(HELD - NICS);
  });

  test('a log that another program has folded into the file', () => {
    const directory = folder(killed);
    runSql(directory, 'PRAGMA wal_checkpoint(TRUNCATE)');
    expect(bytesOf(log(directory))).toHaveLength(0);
    expect(heldIn(directory)).toBe(HELD);
  });

  test('a log that is lost when everything in it is in the file', async () => {
    const directory = folder();
    {
      using journal = open(directory);
      await fill(journal, 1);
    }
    const copy = folder();
    {
      using journal = open(directory);
      await fill(journal, 1);
      cpSync(directory, copy, { recursive: true });
    }
    rmSync(log(copy));
    // The first commit of each process is folded into the file at once.
    expect(heldIn(copy)).toBe(2 * NICS);
  });

  test('a killed journal that was refused for another node name first', () => {
    const directory = folder(killed);
    expect(heldIn(directory, { node: 'n2' })).toContain('belongs to node n1');
    expect(heldIn(directory)).toBe(HELD);
  });

  test('a journal of a version that does not count', () => {
    const directory = folder(killed);
    runSql(directory, "DELETE FROM meta WHERE key <> 'node'");
    for (const text of ['boot-1', undefined]) {
      if (text === undefined) rmSync(record(directory));
      else writeFileSync(record(directory), text);
      const copy = folder(directory);
      expect(heldIn(copy)).toBe(HELD);
      expect(heldIn(copy)).toBe(HELD);
    }
  });

  test('a killed journal that a version which does not count has had since', () => {
    const directory = folder(killed);
    // It ignores the count, writes the boot alone, and closes in order.
    runSql(directory, 'DELETE FROM addresses', 'DELETE FROM attachments');
    writeFileSync(record(directory), 'boot-1');
    expect(heldIn(directory)).toBe(0);
    expect(heldIn(directory)).toBe(0);
  });

  test('a new journal where one was moved away', () => {
    const directory = folder(killed);
    for (const path of [file(directory), log(directory)]) rmSync(path);
    expect(heldIn(directory)).toBe(0);
    expect(heldIn(directory)).toBe(0);
  });
});
