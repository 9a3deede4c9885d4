// The build: nothing is compiled twice, names share one file, and what is wrong is said.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type BuildOutcome, buildPrograms, programNames, programPath } from './build.ts';

// Its own folder: whoever builds in this tree at the same time neither disturbs nor is disturbed.
const folder = mkdtempSync(join(tmpdir(), 'mnb-'));
afterAll(() => rmSync(folder, { recursive: true }));

const pathOf = (name: string): string => programPath(name, folder);

async function build(...names: string[]): Promise<Map<string, BuildOutcome>> {
  const outcomes = new Map<string, BuildOutcome>();
  await buildPrograms(names, (name, outcome) => outcomes.set(name, outcome), folder);
  return outcomes;
}

describe('buildPrograms', () => {
  test('compiles again only after an input has changed', async () => {
    expect((await build('multi-nic')).get('multi-nic')).toBe('built');
    const before = statSync(pathOf('multi-nic'));
    expect((await build('multi-nic')).get('multi-nic')).toBe('up-to-date');
    expect(statSync(pathOf('multi-nic')).ino).toBe(before.ino);
    // A program older than this one input is as good as an input that has changed.
    const { mtimeMs } = statSync(join(import.meta.dir, '../src/cni/program.ts'));
    utimesSync(pathOf('multi-nic'), before.atime, new Date(mtimeMs - 1000));
    expect((await build('multi-nic')).get('multi-nic')).toBe('built');
    // Replaced, not rewritten: a runtime that has the old file open keeps a whole one.
    expect(statSync(pathOf('multi-nic')).ino).not.toBe(before.ino);
    // Nothing of this one build is in it: images of the same sources have one digest everywhere.
    const program = readFileSync(pathOf('multi-nic'));
    expect(program.includes(`${process.pid}.partial`)).toBe(false);
    expect(program.includes(join(import.meta.dir, '..'))).toBe(false);
  });

  test('looks at the files of this tree, also in a copy of it', async () => {
    await build('multi-nic');
    const inputs: string[] = JSON.parse(
      readFileSync(join(folder, '.inputs/multi-nic.json'), 'utf8'),
    );
    expect(inputs).toContain('src/cni/program.ts');
    expect(inputs.filter(isAbsolute)).toEqual([]);
  });

  test('installs the further names of the executable as links to one file', async () => {
    await build('multi-nic');
    const [own, ...links] = ['multi-nic', 'multi-nic-ipam', 'aws-ipvlan'].map(
      (name) => statSync(pathOf(name)).ino,
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
