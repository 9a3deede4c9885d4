// A start that cannot use its spool: it says why and tries again, because DELs may wait there.
import { setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../helpers/eventually.ts';
import { startHarness } from './harness.ts';

setDefaultTimeout(120_000);

test('a spool that is no directory keeps the daemon from being ready, until it is one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mnd-'));
  writeFileSync(join(directory, 'spool'), '');
  const h = await startHarness({ directory, isReady: false });
  const reason = async (): Promise<string> => (await fetch(`${h.url}/readyz`)).text();
  await eventually('the reason', async () => (await reason()).includes('spool cannot be read'));
  rmSync(join(directory, 'spool'));
  await h.daemon.ready;
  await h.daemon.stop();
  await h.api.close();
  rmSync(directory, { recursive: true, force: true });
});
