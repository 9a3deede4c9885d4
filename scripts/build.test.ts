// The build: nothing is compiled twice, names share one file, and what is wrong is said.
import { describe, expect, test } from 'bun:test';
import { readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOutcome, buildPrograms, programNames, programPath } from './build.ts';

async function build(...names: string[]): Promise<Map<string, BuildOutcome>> {
  const outcomes = new Map<string, BuildOutcome>();
  await buildPrograms(names, (name, outcome) => outcomes.set(name, outcome));
  return outcomes;
}

describe('buildPrograms', () => {
  test('compiles again only after an input has changed', async () => {
    await build('multi-nic');
    const before = statSync(programPath('multi-nic'));
    expect((await build('multi-nic')).get('multi-nic')).toBe('up-to-date');
    expect(statSync(programPath('multi-nic')).ino).toBe(before.ino);
    const source = join(import.meta.dir, '../src/cni/program.ts');
    const { atime, mtime } = statSync(source);
    try {
      utimesSync(source, atime, new Date(Date.now() + 1000));
      expect((await build('multi-nic')).get('multi-nic')).toBe('built');
    } finally {
      utimesSync(source, atime, mtime);
    }
    // Replaced, not rewritten: a runtime that has the old file open keeps a whole one.
    expect(statSync(programPath('multi-nic')).ino).not.toBe(before.ino);
    // Nothing of this one build is in it: images of the same sources have one digest everywhere.
    const program = readFileSync(programPath('multi-nic'));
    expect(program.includes(`${process.pid}.partial`)).toBe(false);
    expect(program.includes(join(import.meta.dir, '..'))).toBe(false);
  });

  test('installs the further names of the executable as links to one file', async () => {
    await build('multi-nic');
    const [own, ...links] = ['multi-nic', 'multi-nic-ipam', 'aws-ipvlan'].map(
      (name) => statSync(programPath(name)).ino,
    );
    expect(links).toEqual([own ?? 0, own ?? 0]);
  });

  test('refuses a name that is none and says which there are', async () => {
    await expect(build('multi-nik')).rejects.toThrow(
      "unknown program 'multi-nik'; known are multi-nic,",
    );
    expect(programNames()).toEqual(['multi-nic', 'multi-nicd', 'multi-nic-controller']);
  });
});
