// Spooled DELs are done once, in any order of failures; what is no DEL is moved aside, not lost.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../shared/platform/log.ts';
import { Spool } from './spool.ts';

let directory: string;
let lines: string[];
let released: string[];
let failing: Set<string>;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'mnd-spool-')), 'spool');
  lines = [];
  released = [];
  failing = new Set();
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

const create = (ownerUid = process.getuid?.() ?? 0): Spool => {
  const spool = new Spool({
    directory,
    ownerUid,
    log: createLogger({ component: 'test', write: (line) => lines.push(line) }),
    release: async ({ containerId }) => {
      if (failing.has(containerId)) throw new Error('no');
      released.push(containerId);
    },
  });
  spool.prepare();
  return spool;
};

const request = (containerId: string, o: object = {}): string =>
  JSON.stringify({
    requestId: 'r',
    command: 'DEL',
    containerId,
    netns: '',
    ifName: 'net1',
    args: '',
    path: '',
    config: { name: 'net' },
    spooledAt: '2026-01-01T00:00:00.000Z',
    ...o,
  });

const put = (name: string, content: string): void => writeFileSync(join(directory, name), content);

describe('work', () => {
  test('the directory is for root only', () => {
    create();
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('every request is released and its file removed', async () => {
    const spool = create();
    put('a-net1-1.json', request('a'));
    put('b-net1-2.json', request('b'));
    expect(await spool.workOff()).toEqual({ done: 2, bad: 0, left: 0 });
    expect(released).toEqual(['a', 'b']);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('a configuration needs a name and nothing else, because it may have been edited', async () => {
    const spool = create();
    put('a.json', request('a', { config: { name: 'net', plugin: 7 } }));
    expect((await spool.workOff()).done).toBe(1);
  });

  test('requests that keep failing, more than one round has, do not keep others waiting', async () => {
    const spool = create();
    for (let i = 0; i < 1_000; i += 1) {
      put(`a${i}.json`, request(`a${i}`));
      failing.add(`a${i}`);
    }
    put('b.json', request('b'));
    await spool.workOff();
    await spool.workOff();
    expect(released).toEqual(['b']);
    expect(spool.waiting).toBe(1_000);
  });

  test('a file that cannot be moved aside stays, and the others are done', async () => {
    const spool = create();
    put('bad', 'no directory');
    put('a.json', '{');
    put('b.json', request('b'));
    expect(await spool.workOff()).toEqual({ done: 1, bad: 0, left: 1 });
    expect(released).toEqual(['b']);
    expect(lines.join()).toContain('spool file cannot be moved aside');
  });

  test('a request that fails stays and is done later', async () => {
    const spool = create();
    put('a.json', request('a'));
    put('b.json', request('b'));
    failing.add('a');
    expect(await spool.workOff()).toEqual({ done: 1, bad: 0, left: 1 });
    expect(spool.waiting).toBe(1);
    failing.clear();
    expect(await spool.workOff()).toEqual({ done: 1, bad: 0, left: 0 });
    expect(released).toEqual(['b', 'a']);
    expect(spool.waiting).toBe(0);
  });

  test('files that are still being written are left alone', async () => {
    const spool = create();
    put('a.json.tmp', request('a').slice(0, 20));
    expect(await spool.workOff()).toEqual({ done: 0, bad: 0, left: 0 });
    expect(readdirSync(directory)).toEqual(['a.json.tmp']);
  });
});

describe('refused', () => {
  const bad: [string, string][] = [
    ['no JSON', '{'],
    ['an ADD', request('a', { command: 'ADD' })],
    ['an unknown member', request('a', { extra: 1 })],
    ['no time', request('a', { spooledAt: 'yesterday' })],
    ['a path as container ID', request('../../etc')],
    ['too large', request('a', { config: { name: 'net', pad: 'x'.repeat(1_050_000) } })],
  ];
  test.each(bad)('%s is moved aside and reported', async (_title, content) => {
    const spool = create();
    put('x.json', content);
    put('y.json', request('y'));
    expect(await spool.workOff()).toEqual({ done: 1, bad: 1, left: 0 });
    expect(readdirSync(join(directory, 'bad'))).toEqual(['x.json']);
    expect(lines.some((line) => line.includes('spool file moved aside'))).toBe(true);
    expect(released).toEqual(['y']);
  });

  test('a link to somewhere else is not followed', async () => {
    const spool = create();
    const target = join(directory, '..', 'target');
    writeFileSync(target, request('a'));
    symlinkSync(target, join(directory, 'x.json'));
    expect((await spool.workOff()).bad).toBe(1);
    expect(existsSync(target)).toBe(true);
    expect(released).toEqual([]);
  });

  test('a file of another user is not believed', async () => {
    const spool = create((process.getuid?.() ?? 0) + 1);
    put('x.json', request('a'));
    expect((await spool.workOff()).bad).toBe(1);
    expect(released).toEqual([]);
  });

  test('a folder is moved aside too', async () => {
    const spool = create();
    mkdirSync(join(directory, 'x.json'));
    expect((await spool.workOff()).bad).toBe(1);
  });

  test('no more than 100 files are kept aside', async () => {
    const spool = create();
    for (let i = 0; i < 120; i += 1) put(`${String(i).padStart(3, '0')}.json`, '{');
    expect((await spool.workOff()).bad).toBe(120);
    expect(readdirSync(join(directory, 'bad'))).toHaveLength(100);
  });
});

test('a round is bounded; what does not fit counts as left', async () => {
  const spool = create();
  for (let i = 0; i < 1_003; i += 1) put(`${i}.json`, request(`c${i}`));
  expect(await spool.workOff()).toEqual({ done: 1_000, bad: 0, left: 3 });
  expect(await spool.workOff()).toEqual({ done: 3, bad: 0, left: 0 });
});
