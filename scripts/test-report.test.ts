// The closing summary of a test run says why each test failed: read from what `bun test` really writes.
import { beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLooseErrors, formatFailures, readReport } from './test-report.ts';

const SUITE = `import { describe, expect, test } from 'bun:test';
describe('group <one>', () => {
  test('differs', () => expect({ a: 1 }).toEqual({ a: 2 }));
  test('times out', () => new Promise(() => undefined), 1);
  test('is fine', () => undefined);
  test('says > much', () => { throw new Error('line\\n'.repeat(100)); });
});
test.skipIf(true)('is "left" out', () => undefined);
`;
const BROKEN = `import './not-there.ts';`;

async function runSuite(text: string): Promise<{ xml: string; output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'multi-nic-report-'));
  try {
    writeFileSync(join(folder, 'one.test.ts'), text);
    const report = join(folder, 'report.xml');
    const child = Bun.spawn(
      [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`],
      { cwd: folder, env: { PATH: '/usr/bin:/bin' }, stdout: 'ignore', stderr: 'pipe' },
    );
    const output = await child.stderr.text();
    await child.exited;
    return { xml: existsSync(report) ? readFileSync(report, 'utf8') : '', output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the report of a suite with failures', () => {
  let xml: string;
  beforeAll(async () => {
    xml = (await runSuite(SUITE)).xml;
  });

  test('is counted', () => {
    const { passed, failures, skipped } = readReport(xml);
    expect(passed).toBe(1);
    expect(skipped).toEqual(['is "left" out']);
    expect(failures.map(({ title }) => title)).toEqual([
      'one.test.ts:3 group <one> > differs',
      'one.test.ts:4 group <one> > times out',
      'one.test.ts:6 group <one> > says > much',
    ]);
  });

  test('is summed up with the reason of each, bounded', () => {
    const text = formatFailures(readReport(xml).failures);
    expect(text).toContain('FAILED one.test.ts:3 group <one> > differs\n    AssertionError: ');
    expect(text).toContain('    -   "a": 2,\n    +   "a": 1,');
    expect(text).toContain('FAILED one.test.ts:4 group <one> > times out\n    test timed out');
    expect(text).toMatch(/\n {4}line\n {4}\.\.\.$/);
    expect(text.split('\n').length).toBeLessThan(60);
  });
});

test('an error outside of a test is found in the output', async () => {
  const { output } = await runSuite(BROKEN);
  const text = formatFailures(findLooseErrors(output));
  expect(text).toContain('FAILED outside of a test\n    error: Cannot find module');
});

test('of very many failures the last are named only', () => {
  const failures = Array.from({ length: 100 }, (_, n) => ({ title: `t${n}`, reason: 'why' }));
  const lines = formatFailures(failures).split('\n');
  expect(lines.slice(0, 2)).toEqual(['FAILED t0', '    why']);
  expect(lines).toHaveLength(120);
});

test('what is no report is refused', () => {
  expect(() => readReport('<html>')).toThrow('no counts');
});
