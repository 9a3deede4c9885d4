// What a machine must have for a suite to run. A suite that cannot run shows up as one skipped test
// with its reason; on CI, skips other than those listed in test/allowed-skips.txt are failures.
import { test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * True when `reason` is undefined: go on and register the suite. Otherwise registers one skipped
 * test called `name` in its place, or a failing one on CI (environment variable CI=true) if that
 * skip is not allowed there.
 */
export function requirement(name: string, reason: string | undefined): boolean {
  if (reason === undefined) return true;
  if (process.env.CI === 'true' && !allowedSkips().has(name)) {
    test(name, () => {
      throw new Error(`${name} cannot run here (${reason}) and its skip is not allowed`);
    });
    return false;
  }
  console.error(`SKIP ${name}: ${reason}`);
  test.skipIf(true)(`${name} (${reason})`, () => undefined);
  return false;
}

/** One name per line; `#` starts a comment. */
function allowedSkips(): Set<string> {
  const lines = readFileSync(join(import.meta.dir, '../allowed-skips.txt'), 'utf8').split('\n');
  return new Set(lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== ''));
}
