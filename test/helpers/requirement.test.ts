// What a missing requirement looks like to whoever runs the tests: skipped with its reason, or failed on CI.
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirement } from './requirement.ts';

const folder = mkdtempSync(join(tmpdir(), 'multi-nic-requirement-'));
afterAll(() => rmSync(folder, { recursive: true }));

const suite = join(folder, 'suite.test.ts');
writeFileSync(
  suite,
  `import { requirement } from ${JSON.stringify(join(import.meta.dir, 'requirement.ts'))};
   requirement('something-special', 'it is not here');`,
);

async function run(env: Record<string, string>): Promise<{ code: number; text: string }> {
  const child = Bun.spawn([process.execPath, 'test', suite], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, text: output + errors };
}

test('a requirement that is met registers nothing and says go on', () => {
  expect(requirement('something', undefined)).toBe(true);
});

test('a missing requirement is one skipped test with its name and reason', async () => {
  const { code, text } = await run({});
  expect(code).toBe(0);
  expect(text).toContain('SKIP something-special: it is not here');
  expect(text).toContain('1 skip');
});

test('on CI a skip that is not allowed fails', async () => {
  const { code, text } = await run({ CI: 'true' });
  expect(code).not.toBe(0);
  expect(text).toContain('its skip is not allowed');
});
