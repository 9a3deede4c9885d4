// The installer with the rights that its container has, on a CNI directory that another user owns.
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirement } from '../helpers/requirement.ts';

setDefaultTimeout(60_000);

const OTHER_USER = 1001;
const setpriv = Bun.which('setpriv');
const why = process.getuid?.() === 0 ? undefined : 'must be root';
const scratch = mkdtempSync(join(tmpdir(), 'install-rights-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The program as root with these capabilities only, into a directory of another user. */
async function install(capabilities: string) {
  const from = mkdtempSync(join(scratch, 'from-'));
  const to = mkdtempSync(join(scratch, 'to-'));
  writeFileSync(join(from, 'multi-nic'), 'new program');
  writeFileSync(join(to, 'multi-nic'), 'old program');
  for (const path of [join(to, 'multi-nic'), to]) {
    chmodSync(path, 0o755);
    chownSync(path, OTHER_USER, OTHER_USER);
  }
  const rights = [`--bounding-set=${capabilities}`, '--inh-caps=-all', '--no-new-privs'];
  const main = join(import.meta.dir, '../../src/daemon/main.ts');
  const command = [process.execPath, main, 'install', '--from', from, '--to', to];
  const child = Bun.spawn([setpriv ?? '', ...rights, ...command], {
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = await child.stderr.text();
  return { to, said, code: await child.exited };
}

const reason = why ?? (setpriv === null ? 'needs setpriv' : undefined);
if (requirement('installer with the rights of its container', reason)) {
  test('installs into a directory of another user, and what it made is of root', async () => {
    const { to, said, code } = await install('-all,+dac_override');
    expect([code, said]).toEqual([0, expect.stringContaining('installed')]);
    expect(readdirSync(to).sort()).toEqual(['aws-ipvlan', 'multi-nic', 'multi-nic-ipam']);
    const { uid, mode } = statSync(join(to, 'multi-nic'));
    expect([uid, mode & 0o7777]).toEqual([0, 0o755]);
    expect(statSync(to).uid).toBe(OTHER_USER);
  });

  test('cannot without that capability, and says where', async () => {
    const { to, said, code } = await install('-all');
    expect(code).toBe(1);
    expect(said).toContain(join(to, 'multi-nic'));
    expect(said).toContain('EACCES');
  });
}
