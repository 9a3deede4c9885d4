// Installing the executables into a CNI directory: complete, repeatable, and never half.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installExecutables } from './install.ts';

const scratch = mkdtempSync(join(tmpdir(), 'install-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function folders() {
  const from = mkdtempSync(join(scratch, 'from-'));
  const to = mkdtempSync(join(scratch, 'to-'));
  writeFileSync(join(from, 'multi-nic'), 'new program');
  return { from, to };
}

describe('install', () => {
  test('all names lead to the new executable program and nothing else is left', async () => {
    const { from, to } = folders();
    writeFileSync(join(to, 'multi-nic'), 'old program');
    await installExecutables({ from, to });
    await installExecutables({ from, to });
    expect(readdirSync(to).sort()).toEqual(['aws-ipvlan', 'multi-nic', 'multi-nic-ipam']);
    for (const name of readdirSync(to)) {
      expect(readFileSync(join(to, name), 'utf8')).toBe('new program');
      expect(statSync(join(to, name)).mode & 0o777).toBe(0o755);
    }
  });

  test('a running program keeps its file: the name gets a new one', async () => {
    const { from, to } = folders();
    await installExecutables({ from, to });
    const before = statSync(join(to, 'multi-nic')).ino;
    await installExecutables({ from, to });
    expect(statSync(join(to, 'multi-nic')).ino).not.toBe(before);
  });

  test('without a program to install the old one stays whole and the error names the path', async () => {
    const { to } = folders();
    writeFileSync(join(to, 'multi-nic'), 'old program');
    const attempt = installExecutables({ from: join(to, 'absent'), to });
    await expect(attempt).rejects.toThrow(join(to, 'multi-nic'));
    expect(readFileSync(join(to, 'multi-nic'), 'utf8')).toBe('old program');
    expect(readdirSync(to)).toEqual(['multi-nic']);
  });
});
