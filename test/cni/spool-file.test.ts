// One spool file: complete or absent, private, and in a directory that nobody else can reach.
import { describe, expect, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
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
import { openLibc } from '../../src/cni/libc.ts';
import { writeSpoolFile } from '../../src/cni/spool-file.ts';
import type { CniRequest } from '../../src/shared/model/daemon-api.ts';

const request: CniRequest = {
  requestId: 'r-1',
  command: 'DEL',
  containerId: 'abc',
  netns: '',
  ifName: 'net1',
  args: '',
  path: '/opt/cni/bin',
  config: { name: 'n', plugin: { type: 'ipvlan' } },
};

function folder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'mnc-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const libc = openLibc();
const write = (directory: string, entry: CniRequest, nowMs = 0): string =>
  writeSpoolFile(libc, { directory, request: entry, nowMs });

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

describe('writeSpoolFile', () => {
  test('makes the directory and its parent', () => {
    using dir = folder();
    const path = join(dir.path, 'multi-nic', 'spool');
    const file = write(path, request);
    expect(modeOf(path)).toBe(0o700);
    expect(modeOf(file)).toBe(0o600);
    expect(readdirSync(path)).toHaveLength(1);
  });

  test('writes the request and when it was recorded', async () => {
    using dir = folder();
    const file = write(join(dir.path, 's'), request, Date.UTC(2026, 0, 2, 3, 4, 5, 6));
    expect(await Bun.file(file).json()).toEqual({
      ...request,
      spooledAt: '2026-01-02T03:04:05.006Z',
    });
  });

  test('writes requests of 1 MiB and names that are long', async () => {
    using dir = folder();
    const large = { ...request, containerId: 'c'.repeat(4000), args: 'ä'.repeat(500_000) };
    const file = write(join(dir.path, 's'), large);
    expect(await Bun.file(file).json()).toMatchObject({ containerId: large.containerId });
    expect((await Bun.file(file).json()).args).toBe(large.args);
  });

  test('closes a directory that was open to others', () => {
    using dir = folder();
    mkdirSync(join(dir.path, 's'));
    chmodSync(join(dir.path, 's'), 0o755);
    write(join(dir.path, 's'), request);
    expect(modeOf(join(dir.path, 's'))).toBe(0o700);
  });

  test('leaves no half file when the rename fails', () => {
    using dir = folder();
    const path = join(dir.path, 's');
    const odd = { ...request, containerId: '' };
    // A name with a slash cannot be made: the file is refused before anything is left.
    expect(() => write(path, { ...odd, ifName: 'a/b' })).toThrow('open');
    expect(readdirSync(path)).toEqual([]);
  });

  test('closes its descriptors', () => {
    using dir = folder();
    const count = (): number => readdirSync('/proc/self/fd').length;
    write(join(dir.path, 's'), request);
    const before = count();
    for (let i = 0; i < 20; i++) write(join(dir.path, 's'), request);
    expect(() => write(join(dir.path, 's'), { ...request, ifName: 'a/b' })).toThrow();
    expect(count()).toBe(before);
  });
});

describe('writeSpoolFile refuses', () => {
  const refused: [string, (path: string) => void, string][] = [
    ['a file in the place of the directory', (path) => writeFileSync(path, ''), 'open'],
    [
      'a symbolic link, which could lead elsewhere',
      (path) => {
        mkdirSync(`${path}-elsewhere`);
        symlinkSync(`${path}-elsewhere`, path);
      },
      'open',
    ],
    ['a dangling link', (path) => symlinkSync('/nonexistent/x', path), 'open'],
  ];
  for (const [what, prepare, says] of refused) {
    test(what, () => {
      using dir = folder();
      const path = join(dir.path, 's');
      prepare(path);
      expect(() => write(path, request)).toThrow(says);
    });
  }

  test('a path whose parent has no parent', () => {
    using dir = folder();
    expect(() => write(join(dir.path, 'a', 'b', 'c'), request)).toThrow('open');
  });

  test('a directory of another user', () => {
    using dir = folder();
    const path = join(dir.path, 's');
    mkdirSync(path);
    if (process.geteuid?.() === 0) {
      chownSync(path, 4242, 4242);
      expect(() => write(path, request)).toThrow('belongs to another user');
      expect(readdirSync(path)).toEqual([]);
    } else {
      // Unprivileged, the nearest directory of another user is the root's own.
      expect(() => write('/usr', request)).toThrow('belongs to another user');
    }
  });
});
