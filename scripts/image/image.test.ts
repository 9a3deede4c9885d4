// The images are standard, hold what they must and nothing else, and come out the same each time. A
// real containerd imports them in test/real/cluster.real.ts.
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { librariesOf, readElf } from './elf.ts';
import { packImage } from './oci.ts';
import { baseEntries, productImage } from './recipes.ts';
import { type TarEntry, writeTar } from './tar.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (data: Uint8Array): string =>
  `sha256:${new Bun.CryptoHasher('sha256').update(data).digest('hex')}`;

async function readTar(tar: Uint8Array): Promise<Map<string, Uint8Array>> {
  const files = await new Bun.Archive(new Uint8Array(tar)).files();
  const read = [...files].map(async ([path, file]) => [path, await file.bytes()] as const);
  return new Map(await Promise.all(read));
}

/** Blobs of a layout by following its descriptors; each is checked against its digest and size. */
async function readLayout(tar: Uint8Array): Promise<{
  manifest: { config: { digest: string }; layers: { digest: string }[] };
  config: { rootfs: { diff_ids: string[] }; config: { User: string; Entrypoint: string[] } };
  layers: Uint8Array[];
  name: string;
}> {
  const files = await readTar(tar);
  const blob = (descriptor: { digest: string; size: number }): Uint8Array => {
    const data = files.get(`blobs/${descriptor.digest.replace(':', '/')}`) ?? new Uint8Array();
    expect(sha256(data)).toBe(descriptor.digest);
    expect(data.length).toBe(descriptor.size);
    return data;
  };
  const json = (data: Uint8Array) => JSON.parse(new TextDecoder().decode(data));
  expect(json(files.get('oci-layout') ?? bytes('{}')).imageLayoutVersion).toBe('1.0.0');
  const [entry] = json(files.get('index.json') ?? bytes('{}')).manifests;
  const manifest = json(blob(entry));
  const layers = manifest.layers.map((layer: { digest: string; size: number }) =>
    Bun.gunzipSync(new Uint8Array(blob(layer))),
  );
  const name = entry.annotations['io.containerd.image.name'];
  return { manifest, config: json(blob(manifest.config)), layers, name };
}

function fakePrograms(): { path: (name: string) => string; [Symbol.dispose]: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'multi-nic-image-'));
  for (const name of ['multi-nic', 'multi-nicd', 'multi-nic-controller']) {
    writeFileSync(join(folder, name), smallElf(name));
  }
  return {
    path: (name) => join(folder, name),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

/** A static 64-bit ELF header without segments, with `tail` after it. */
function smallElf(tail: string): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header[18] = 62;
  return new Uint8Array([...header, ...bytes(tail)]);
}

describe('tar', () => {
  const entries: TarEntry[] = [
    { kind: 'hardlink', path: 'a/also', target: 'b/file' },
    { kind: 'file', path: 'b/file', mode: 0o755, data: bytes('x'.repeat(513)) },
    { kind: 'symlink', path: 'b/link', target: '/run' },
    { kind: 'directory', path: 'b', mode: 0o755 },
    { kind: 'file', path: 'b/empty', mode: 0o644, data: bytes('') },
  ];

  test('another reader finds the files with their content', async () => {
    const files = await readTar(writeTar(entries));
    expect(files.get('b/file')?.length).toBe(513);
    expect(files.get('b/empty')?.length).toBe(0);
  });

  test('the order in which entries are given does not matter', () => {
    expect(writeTar([...entries].reverse())).toEqual(writeTar(entries));
  });

  test('directories come first and hard links last', () => {
    const tar = writeTar(entries);
    const name = (at: number): string =>
      new TextDecoder().decode(tar.subarray(at, tar.indexOf(0, at)));
    expect(name(0)).toBe('b/');
    expect(name(tar.length - 3 * 512)).toBe('a/also');
  });

  test('a hard link has the mode of its file', () => {
    const at = writeTar(entries).length - 3 * 512;
    const mode = new TextDecoder().decode(writeTar(entries).subarray(at + 100, at + 107));
    expect(mode).toBe('0000755');
  });

  test('a hard link to what is no file is refused', () => {
    const link = { kind: 'hardlink', path: 'c', target: 'absent' } as const;
    expect(() => writeTar([...entries, link])).toThrow('c leads to absent');
  });

  test('a path given twice is refused', () => {
    expect(() => writeTar([...entries, ...entries.slice(0, 1)])).toThrow('a/also');
  });

  test('a path longer than its field is refused', () => {
    const path = 'd/'.repeat(60);
    expect(() => writeTar([{ kind: 'directory', path, mode: 0o755 }])).toThrow('does not fit');
  });
});

describe('elf', () => {
  test('the loader of the running Bun is among the libraries it needs', () => {
    const elf = readElf(readFileSync(process.execPath));
    const libraries = librariesOf(process.execPath);
    expect(elf?.interpreter).toBeDefined();
    expect(libraries.has(elf?.interpreter ?? '')).toBe(true);
    const names = [...libraries.keys()].map((path) => path.split('/').at(-1) ?? '');
    expect(new Set(names)).toEqual(new Set([...names, ...(elf?.needed ?? [])]));
    expect(new Set(names).size).toBe(names.length);
  });

  test('a static program needs nothing', () => {
    expect(readElf(smallElf(''))).toEqual({ machine: 62, interpreter: undefined, needed: [] });
  });

  test('what is no ELF file is said to be none', () => {
    expect(readElf(bytes('#!/bin/sh\n'))).toBeUndefined();
    expect(readElf(new Uint8Array(64))).toBeUndefined();
  });

  test('a library that is not there is named', () => {
    const empty = mkdtempSync(join(tmpdir(), 'multi-nic-elf-'));
    try {
      expect(() => librariesOf(process.execPath, empty)).toThrow(/ld-|libc/);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });
});

describe('image', () => {
  test('every descriptor names the digest and the size of its blob', async () => {
    using programs = fakePrograms();
    const content = productImage('daemon', { version: '2.0.0', programPath: programs.path });
    const packed = packImage(content, 'multi-nic.local/daemon:2.0.0');
    const layout = await readLayout(packed.tar);
    expect(layout.config.rootfs.diff_ids).toEqual(layout.layers.map(sha256));
    expect(layout.name).toBe('multi-nic.local/daemon:2.0.0');
  });

  test('the same programs give the same digest', () => {
    using programs = fakePrograms();
    using others = fakePrograms();
    const pack = (programPath: (name: string) => string): string =>
      packImage(productImage('controller', { version: '2.0.0', programPath }), 'x/controller:1')
        .digest;
    expect(pack(others.path)).toBe(pack(programs.path));
  });

  test('another program gives another digest', () => {
    using programs = fakePrograms();
    const pack = (): string =>
      packImage(productImage('daemon', { version: '2', programPath: programs.path }), 'x/d:1')
        .digest;
    const before = pack();
    writeFileSync(programs.path('multi-nic'), smallElf('changed'));
    expect(pack()).not.toBe(before);
  });

  test('the daemon carries the CNI executable under its three names', () => {
    using programs = fakePrograms();
    const content = productImage('daemon', { version: '2.0.0', programPath: programs.path });
    const paths = content.layers.at(-1)?.map((entry) => entry.path);
    expect(paths).toEqual([
      'usr/local/bin/multi-nicd',
      'opt/multi-nic/bin/multi-nic',
      'opt/multi-nic/bin/multi-nic-ipam',
      'opt/multi-nic/bin/aws-ipvlan',
    ]);
  });

  test('the controller is not root', async () => {
    using programs = fakePrograms();
    const content = productImage('controller', { version: '2.0.0', programPath: programs.path });
    const layout = await readLayout(packImage(content, 'x/controller:1').tar);
    expect(layout.config.config.User).toBe('65532:65532');
    expect(layout.config.config.Entrypoint).toEqual(['/usr/local/bin/multi-nic-controller']);
  });

  test('/var/run is /run', () => {
    expect(baseEntries()).toContainEqual({ kind: 'symlink', path: 'var/run', target: '/run' });
  });
});
