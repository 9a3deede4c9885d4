// What README and docs show of an installation is what this version prints: the columns of our
// kinds, and the number of objects in deploy/.
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crdKinds } from './kinds.ts';

const ROOT = join(import.meta.dir, '../..');
const SHOWN = ['README.md', 'docs/install.md'];
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The line after each command of a transcript, by command. */
function headersIn(text: string): Map<string, string> {
  const found = text.matchAll(/^\$ kubectl get (\w+)\n(NAME .*)$/gm);
  return new Map([...found].map(([, plural = '', header = '']) => [plural, header]));
}

describe.each(SHOWN.map((file) => [file] as const))('%s', (file) => {
  test.each([...headersIn(read(file))])('shows the columns of %s', (plural, header) => {
    const kind = crdKinds.find((one) => one.plural === plural);
    const columns = (kind?.columns ?? []).filter(({ priority }) => priority === undefined);
    expect(header.split(/ +/)).toEqual(['NAME', ...columns.map(({ name }) => name.toUpperCase())]);
  });

  test('shows networks and pools', () => {
    const kinds = ['multinicnetworks', 'hostinterfaces', 'ippools'];
    expect([...headersIn(read(file)).keys()]).toEqual(expect.arrayContaining(kinds));
  });
});

test('README counts the objects that one command makes', () => {
  const files = readdirSync(join(ROOT, 'deploy')).filter((name) => name.endsWith('.yaml'));
  const kinds = files.flatMap((name) => read(join('deploy', name)).match(/^kind: /gm) ?? []);
  const [, ...lines] = /\$ kubectl apply -f deploy\/\n([^$]*)/.exec(read('README.md')) ?? [];
  const shown = lines.join('').trim().split('\n');
  const more = Number(/^\[(\d+) more lines\]$/.exec(shown.at(-1) ?? '')?.[1]);
  expect(shown.length - 1 + more).toBe(kinds.length);
});
