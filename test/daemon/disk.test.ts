// The journal's log on its way to the disk: kernel work goes on meanwhile, nobody is told before it
// is there, and a disk that fails undoes the ADD and ends the daemon.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogFile } from '../../src/daemon/journal/log-sync.ts';
import { eventually } from '../helpers/eventually.ts';
import { expectClean, kindOf, linkNames, setUp } from './attach-scene.ts';
import { cniRequest, send } from './harness.ts';

setDefaultTimeout(20_000);

type Done = (error: Error | null) => void;

/** A disk that is as fast as memory until it is told to wait. */
function createDisk() {
  const waiting: Done[] = [];
  const disk = {
    isHeld: false,
    get waiting() {
      return waiting.length;
    },
    /** Ends all syncs under way, and lets later ones pass. */
    end: (error: Error | null = null): void => {
      disk.isHeld = false;
      for (const done of waiting.splice(0)) done(error);
    },
    openLog: (): LogFile => ({
      sync: (done) => {
        if (disk.isHeld) waiting.push(done);
        else queueMicrotask(() => done(null));
      },
      close: () => undefined,
    }),
  };
  return disk;
}

test('links are made while the intent is on its way, and the reply waits for it', async () => {
  const disk = createDisk();
  const { hostNet, h } = await setUp({ openLog: disk.openLog });
  await using _ = h;
  disk.isHeld = true;
  let isAnswered = false;
  const answer = send(h.socket, cniRequest('ADD')).finally(() => {
    isAnswered = true;
  });
  await eventually('links', () => linkNames(hostNet).length === 4);
  expect(disk.waiting).toBe(1);
  // A later request is answered: the daemon is not busy, it waits.
  expect(kindOf(await send(h.socket, cniRequest('STATUS')))).toBe('ok');
  expect(isAnswered).toBe(false);
  expect(h.daemon.parts.journal.countStates()).toEqual({ intent: 1, attached: 0, releasing: 0 });
  disk.end();
  expect((await answer).status).toBe(200);
  expect(h.daemon.parts.journal.countStates()).toEqual({ intent: 0, attached: 1, releasing: 0 });
});

test('no IPPool shows an allocation before it is on the disk', async () => {
  const disk = createDisk();
  const env = { MULTI_NIC_PUBLISH_INTERVAL_MS: '1' };
  const { hostNet, h } = await setUp({ openLog: disk.openLog, env });
  await using _ = h;
  const pool = 'net-192.168.0.0-24';
  await eventually('published', () => h.api.object('ippools', pool) !== undefined);
  await h.daemon.idle();
  disk.isHeld = true;
  const answer = send(h.socket, cniRequest('ADD'));
  await eventually('links', () => linkNames(hostNet).length === 4);
  const writes = (): number =>
    h.api.seen.filter(
      ({ method, name, subresource }) =>
        method === 'PATCH' && name === pool && subresource !== 'status',
    ).length;
  const before = writes();
  const published = h.daemon.parts.poolPublisher.publish(pool, new AbortController().signal);
  for (let turn = 0; turn < 3; turn += 1) await send(h.socket, cniRequest('STATUS'));
  expect(writes()).toBe(before);
  disk.end();
  expect((await answer).status).toBe(200);
  await Promise.allSettled([published]); // the daemon's own round may have been first
  await eventually('an allocation', () => {
    const spec = h.api.object('ippools', pool)?.spec;
    return Bun.deepMatch({ allocations: [{ pod: 'c1' }] }, spec);
  });
});

test('a disk that fails undoes the ADD and ends the daemon; a new one has nothing left', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mnd-disk-'));
  const disk = createDisk();
  try {
    const { hostNet, h } = await setUp({ openLog: disk.openLog, directory });
    {
      await using _ = h;
      disk.isHeld = true;
      const answer = send(h.socket, cniRequest('ADD'));
      await eventually('links', () => linkNames(hostNet).length === 4);
      disk.end(new Error('EIO: i/o error, fdatasync'));
      const { status, problem } = await answer;
      expect([status, problem.detail]).toEqual([503, expect.stringContaining('EIO')]);
      expect(linkNames(hostNet)).toEqual([]);
      expect((await h.daemon.failed).message).toContain('EIO');
      // A second sync would succeed without writing anything.
      expect(kindOf(await send(h.socket, cniRequest('ADD')))).toBe('conflict');
      expect(kindOf(await send(h.socket, cniRequest('DEL')))).toBe('not-ready');
      expect(h.daemon.parts.journal.countStates().intent).toBe(1);
      expect(h.daemon.parts.journal.held()).toHaveLength(4);
    }
    // As the files of a process that ended: this one still has the lock.
    const copy = join(directory, 'copy');
    cpSync(join(directory, 'state'), join(copy, 'state'), { recursive: true });
    const { h: next } = await setUp({ directory: copy });
    await using _ = next;
    expectClean(next);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
