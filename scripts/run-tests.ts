// Runs one test suite by name and ends with a line `N passed, N failed`: the entry of `make test`, `make test-real`
// and `make test-cluster`. Skips are repeated by name at the end, so that none goes unseen.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dir, '..');

/** What each suite consists of; every file runs in its own process, so that none can disturb another. */
const suites: Record<string, () => Promise<string[][]>> = {
  unit: async () => [['src', 'core-wasm', 'scripts', ...(await unitFolders())]],
  real: async () => (await realFiles()).map((file) => [file]),
  cluster: async () => (await realFiles()).filter((f) => f.includes('/cluster')).map((f) => [f]),
};

async function unitFolders(): Promise<string[]> {
  const entries = await readdir(join(root, 'test'), { withFileTypes: true });
  const apart = new Set(['real', 'golden', 'peers', 'helpers']);
  const folders = entries.filter((e) => e.isDirectory() && !apart.has(e.name));
  return [...folders.map((e) => `./test/${e.name}`), './test/tidy.test.ts'];
}

async function realFiles(): Promise<string[]> {
  const names = await readdir(join(root, 'test/real'));
  const files = names.filter((name) => name.endsWith('.real.ts')).sort();
  return files.map((name) => `./test/real/${name}`);
}

interface Tally {
  passed: number;
  failed: number;
  skipped: string[];
}

/** Reads the counts from a JUnit report (the attributes that Bun writes on its root element). */
function readReport(xml: string): Tally {
  const attribute = (name: string): number =>
    Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(xml)?.[1] ?? Number.NaN);
  const [tests, failed, skipped] = [
    attribute('tests'),
    attribute('failures'),
    attribute('skipped'),
  ];
  if ([tests, failed, skipped].some(Number.isNaN)) throw new Error('the test report has no counts');
  const names = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*>\s*<skipped/g)].map(
    (match) => match[1] ?? '',
  );
  return { passed: tests - failed - skipped, failed, skipped: names };
}

async function runGroup(paths: string[], extra: string[], number: number): Promise<Tally> {
  const report = join(root, `build/test-report-${process.pid}-${number}.xml`);
  const command = [process.execPath, 'test', ...paths, ...extra];
  command.push('--reporter=junit', `--reporter-outfile=${report}`);
  if (paths[0]?.endsWith('.real.ts')) command.push('--timeout', '900000');
  const child = Bun.spawn(command, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await child.exited;
  const xml = await readFile(report, 'utf8').catch(() => undefined);
  await rm(report, { force: true });
  if (xml === undefined) {
    console.error(`the suite ${paths.join(' ')} ended with code ${code} and without a report`);
    return { passed: 0, failed: 1, skipped: [] };
  }
  const tally = readReport(xml);
  // A crash outside a test case (an error while loading a file) shows only in the exit code.
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  return tally;
}

const [name = '', ...extra] = Bun.argv.slice(2);
const suite = suites[name];
if (suite === undefined) {
  console.error(`usage: run-tests.ts ${Object.keys(suites).join('|')} [bun test options]`);
  process.exit(2);
}
const total: Tally = { passed: 0, failed: 0, skipped: [] };
for (const [number, paths] of (await suite()).entries()) {
  const tally = await runGroup(paths, extra, number);
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped.push(...tally.skipped);
}
for (const skip of total.skipped) console.log(`skipped: ${skip}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
