// The journal keeps what it was told, over restarts, and refuses files that it cannot trust.
import { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDomainError } from '../../shared/model/errors.ts';
import type { Attachment } from './attachment.ts';
import { Journal } from './journal.ts';

const folders: string[] = [];
const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'mnd-journal-'));
  folders.push(path);
  return path;
};
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});

const open = (directory: string, node = 'n1'): Journal =>
  Journal.open({ directory, node, bootId: 'b1', firstId: 1 });

function attachment(journal: Journal, o: Partial<Attachment> & { last?: number } = {}): Attachment {
  const { last = 1, ...rest } = o;
  const id = journal.takeId();
  const address = { pool: 'net-a', index: last, family: 4, prefix: 18 } as const;
  return {
    id,
    network: 'net',
    containerId: `c${id}`,
    ifName: 'net1',
    state: 'intent',
    external: false,
    podUid: `u${id}`,
    podNamespace: 'default',
    podName: `p${id}`,
    netnsPath: `/run/netns/${id}`,
    netnsId: `4:${id}`,
    bootId: 'b',
    group: id,
    createdAtMs: 5,
    updatedAtMs: 5,
    sharedRoutes: [],
    why: { strategy: 'none' },
    nics: [
      {
        name: 'net1-0',
        master: 'eth1',
        netAddress: '10.0.0.0/24',
        kind: 'macvlan',
        mode: 'bridge',
        mtu: 0,
        mac: '',
        routes: [],
        addresses: [{ ...address, address: `192.168.0.${last}` }],
      },
    ],
    ...rest,
  };
}

/** Writes as a daemon that is killed does: the log is not folded into the file. */
async function writeAndDie(directory: string, count: number): Promise<void> {
  const script = `
    const { Journal } = await import('${join(import.meta.dir, 'journal.ts')}');
    const j = Journal.open({ directory: process.argv[1], node: 'n1', bootId: 'b1', firstId: 1 });
    for (let i = 1; i <= ${count}; i++) await j.insert({
      id: j.takeId(), network: 'net', containerId: 'c' + i, ifName: 'net1', state: 'attached',
      external: false, podUid: '', podNamespace: '', podName: '', netnsPath: '', netnsId: '',
      bootId: '', group: i, createdAtMs: 0, updatedAtMs: 0, sharedRoutes: [],
      why: {}, nics: [] });
    process.kill(process.pid, 'SIGKILL');`;
  const child = Bun.spawn([process.execPath, '-e', script, directory], { stderr: 'inherit' });
  await child.exited;
  expect(child.signalCode).toBe('SIGKILL');
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isDomainError(error, 'journal-corrupt')) return error.message;
    throw error;
  }
  throw new Error('the journal was accepted');
}

describe('rows', () => {
  test('an attachment is found again as it was written, also after a restart', async () => {
    const directory = folder();
    const written = await (async () => {
      using journal = open(directory);
      expect(journal.isNew).toBe(true);
      const row = attachment(journal);
      await journal.insert(row);
      expect(journal.find(row)).toEqual(row);
      await journal.update(row.id, { state: 'attached', updatedAtMs: 9 });
      return row;
    })();
    using journal = open(directory);
    expect(journal.isNew).toBe(false);
    expect(journal.find(written)).toEqual({ ...written, state: 'attached', updatedAtMs: 9 });
    expect(journal.held()).toEqual([
      { network: 'net', pool: 'net-a', index: 1, address: '192.168.0.1' },
    ]);
  });

  test('ids are not given again after their rows are gone and the process is new', async () => {
    const directory = folder();
    const first = await (async () => {
      using journal = open(directory);
      const row = attachment(journal);
      await journal.insert(row);
      await journal.remove(row.id, {});
      return row.id;
    })();
    using journal = open(directory);
    expect(journal.takeId()).toBeGreaterThan(first);
  });

  test('an address that is held cannot be held twice, and nothing of the second row stays', async () => {
    using journal = open(folder());
    await journal.insert(attachment(journal, { last: 7 }));
    const second = attachment(journal, { last: 7 });
    await expect(journal.insert(second)).rejects.toMatchObject({ kind: 'conflict' });
    expect(journal.find(second)).toBeUndefined();
    expect(journal.held()).toHaveLength(1);
  });

  test('a refused write fails alone among those of its commit', async () => {
    using journal = open(folder());
    const rows = [1, 2, 2, 3].map((last) => attachment(journal, { last }));
    const results = await Promise.allSettled(rows.map((row) => journal.insert(row)));
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(journal.held().map((entry) => entry.index)).toEqual([1, 2, 3]);
  });

  test('writes of one turn share a commit', async () => {
    using journal = open(folder());
    const before = journal.counts.commits;
    await Promise.all(
      Array.from({ length: 64 }, (_, last) =>
        journal.insert(attachment(journal, { last: last + 1 })),
      ),
    );
    expect(journal.counts.commits - before).toBe(1);
    expect(journal.counts.writes).toBe(64);
  });

  test('a released address stays in quarantine until told otherwise, also after a restart', async () => {
    const directory = folder();
    {
      using journal = open(directory);
      const row = attachment(journal, { last: 3 });
      await journal.insert(row);
      await journal.remove(row.id, { untilMs: 1234 });
    }
    using journal = open(directory);
    const entry = { network: 'net', address: '192.168.0.3', pool: 'net-a', index: 3 };
    expect(journal.quarantined()).toEqual([{ ...entry, untilMs: 1234 }]);
    expect(journal.held()).toEqual([]);
    await journal.endQuarantine([entry]);
    expect(journal.quarantined()).toEqual([]);
  });

  test('a quarantined address can be taken again; the end of its quarantine then changes nothing', async () => {
    using journal = open(folder());
    const first = attachment(journal, { last: 3 });
    await journal.insert(first);
    await journal.remove(first.id, { untilMs: 1234 });
    await journal.insert(attachment(journal, { last: 3 }));
    await journal.endQuarantine([{ network: 'net', address: '192.168.0.3' }]);
    expect(journal.held()).toHaveLength(1);
    expect(journal.quarantined()).toEqual([]);
  });

  test('allocations of a pool come by index with their pods', async () => {
    using journal = open(folder());
    await journal.insert(attachment(journal, { last: 9, podName: 'b' }));
    await journal.insert(attachment(journal, { last: 2, podName: 'a' }));
    expect(journal.allocationsOf('net-a')).toMatchObject([
      { index: 2, address: '192.168.0.2', podName: 'a', podNamespace: 'default' },
      { index: 9, address: '192.168.0.9', podName: 'b', podNamespace: 'default' },
    ]);
    expect(journal.allocationsOf('net-b')).toEqual([]);
  });

  test('attachments are listed by state, network, container and pod', async () => {
    using journal = open(folder());
    await journal.insert(attachment(journal, { last: 1, containerId: 'x' }));
    await journal.insert(attachment(journal, { last: 2, containerId: 'x', ifName: 'net2' }));
    await journal.insert(attachment(journal, { last: 3, podName: 'solo', state: 'attached' }));
    expect(journal.list({ containerId: 'x' })).toHaveLength(2);
    expect(journal.list({ pod: { namespace: 'default', name: 'solo' } })).toHaveLength(1);
    expect(journal.list({ state: 'intent', network: 'net' })).toHaveLength(2);
    expect(journal.list({ network: 'other' })).toEqual([]);
    expect(journal.countStates()).toEqual({ intent: 2, attached: 1, releasing: 0 });
  });

  test('plans are replaced as a whole, kind by kind', async () => {
    using journal = open(folder());
    await journal.replacePlans('network', new Map([['a', { x: 1 }]]));
    await journal.replacePlans('pool', new Map([['p', 1]]));
    await journal.replacePlans('network', new Map([['b', [2]]]));
    expect(journal.plans('network')).toEqual(new Map([['b', [2]]]));
    expect(journal.plans('pool')).toEqual(new Map([['p', 1]]));
  });
});

describe('opening', () => {
  test('only root reads the file, and a second daemon is refused', () => {
    const directory = folder();
    using journal = open(directory);
    expect(statSync(journal.path).mode & 0o777).toBe(0o600);
    const script = `
      const { Journal } = await import('${join(import.meta.dir, 'journal.ts')}');
      try { Journal.open({ directory: process.argv[1], node: 'n1', bootId: 'b1', firstId: 1, waitMs: 0 }) }
      catch (error) { console.log(error.kind) }`;
    const child = Bun.spawnSync([process.execPath, '-e', script, directory]);
    expect(child.stdout.toString().trim()).toBe('conflict');
  });

  test('rows survive a kill, and their number is the number written', async () => {
    const directory = folder();
    await writeAndDie(directory, 5);
    using journal = open(directory);
    expect(journal.list()).toHaveLength(5);
  });

  test('the file of another node is refused', () => {
    const directory = folder();
    open(directory)[Symbol.dispose]();
    expect(refusal(() => open(directory, 'n2'))).toContain('belongs to node n1, not n2');
  });

  const damages: [string, string, (path: string) => void][] = [
    ['an empty file', 'it is empty', (path) => truncateSync(path, 0)],
    ['text', 'not a SQLite file', (path) => writeFileSync(path, 'hello, I am no database')],
    [
      'a file cut in the middle',
      'cannot be trusted',
      (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
    ],
    [
      'pages of zeros',
      'cannot be trusted',
      (path) => {
        const bytes = readFileSync(path);
        bytes.fill(0, 4096, Math.min(bytes.length, 5 * 4096));
        writeFileSync(path, bytes);
      },
    ],
    [
      'a missing file beside its log',
      'write-ahead log is there',
      (path) => {
        rmSync(path);
        writeFileSync(`${path}-wal`, 'x'.repeat(4096));
      },
    ],
  ];
  test.each(damages)('%s is refused with the steps to recover', async (_title, reason, damage) => {
    const directory = folder();
    const path = (() => {
      using journal = open(directory);
      return journal.path;
    })();
    damage(path);
    const message = refusal(() => open(directory));
    expect(message).toContain(reason);
    expect(message).toContain(`move ${path}`);
    expect(message).toContain('soon after, it releases those whose pods are gone');
    // Refused again: nothing was replaced by an empty journal in between.
    expect(refusal(() => open(directory))).toContain(reason);
  });

  test('a log that was damaged before its last commits is refused, not cut short', async () => {
    const directory = folder();
    await writeAndDie(directory, 6);
    const wal = join(directory, 'journal.db-wal');
    const bytes = readFileSync(wal);
    bytes[32 + 24 + 100] = (bytes[32 + 24 + 100] ?? 0) ^ 0xff;
    writeFileSync(wal, bytes);
    expect(refusal(() => open(directory))).toContain('write-ahead log is damaged');
  });

  test('after a power cut the same log is read as far as it goes', async () => {
    const directory = folder();
    await writeAndDie(directory, 6);
    const wal = join(directory, 'journal.db-wal');
    const bytes = readFileSync(wal);
    const at = bytes.length - 3 * 4120 + 100;
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    writeFileSync(wal, bytes);
    using journal = Journal.open({ directory, node: 'n1', bootId: 'b2', firstId: 1 });
    expect(journal.list().length).toBeLessThan(6);
  });

  const rows: [string, string, string][] = [
    ['an address that is gone', 'another number of addresses', 'DELETE FROM addresses'],
    [
      'a body of another shape',
      'row 1 has a body of another shape',
      `UPDATE attachments SET body = '{"x":1}'`,
    ],
    ['a body that is cut', 'body is not JSON', `UPDATE attachments SET body = '{'`],
    ['a plan that is cut', 'a plan is not JSON', `UPDATE plans SET body = '{'`],
    ['no last id', 'attachment id that was given is missing', 'DELETE FROM sqlite_sequence'],
    [
      'a last id that is no number',
      'attachment id that was given is missing',
      `UPDATE sqlite_sequence SET seq = 'x'`,
    ],
    ['an id above the last', 'higher than any id given', 'UPDATE sqlite_sequence SET seq = 0'],
    [
      'an unknown state',
      'its end or its commits',
      `UPDATE meta SET value = 'opem' WHERE key = 'state'`,
    ],
    [
      'a count that is no number',
      'its end or its commits',
      `UPDATE meta SET value = '1x' WHERE key = 'commits'`,
    ],
  ];
  test.each(rows)('rows with %s are refused', async (_title, reason, statement) => {
    const directory = folder();
    const path = await (async () => {
      using journal = open(directory);
      await journal.insert(attachment(journal));
      await journal.putPlan({ kind: 'network', name: 'net', body: {} });
      return journal.path;
    })();
    const db = new Database(path);
    db.run(statement);
    db.close(true);
    const message = refusal(() => open(directory));
    expect(message).toContain(reason);
    expect(message).toContain(`move ${path}`);
  });

  test('a draft left by a crash while the file was made is no journal', () => {
    const directory = folder();
    writeFileSync(join(directory, 'journal.db.new'), 'half');
    using journal = open(directory);
    expect(journal.isNew).toBe(true);
    expect(existsSync(join(directory, 'journal.db.new'))).toBe(false);
  });
});
