// Runs one test suite by name and ends with a line `N passed, N failed`: the entry of `make test`, `make test-real`
// and `make test-cluster`. Skips and failures are repeated at the end, with the reason of each.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findLooseErrors, formatFailures, readReport, type TestFailure } from './test-report.ts';

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

interface Outcome {
  passed: number;
  failures: TestFailure[];
  skipped: string[];
}

/** A passing test takes milliseconds to seconds; on a loaded machine many times that. */
const UNIT_TIMEOUT_MS = 120_000;
const REAL_TIMEOUT_MS = 900_000;

async function runGroup(paths: string[], extra: string[], number: number): Promise<Outcome> {
  const report = join(root, `build/test-report-${process.pid}-${number}.xml`);
  const timeoutMs = paths[0]?.endsWith('.real.ts') ? REAL_TIMEOUT_MS : UNIT_TIMEOUT_MS;
  // `extra` comes last: of an option given twice the last counts.
  const command = [process.execPath, 'test', ...paths, '--timeout', `${timeoutMs}`, ...extra];
  command.push('--reporter=junit', `--reporter-outfile=${report}`);
  const child = Bun.spawn(command, { cwd: root, stdio: ['ignore', 'inherit', 'pipe'] });
  const output = await passOn(child.stderr);
  const code = await child.exited;
  const xml = await readFile(report, 'utf8').catch(() => undefined);
  await rm(report, { force: true });
  const suite = `the suite ${paths.join(' ')}`;
  if (xml === undefined) {
    const reason = `ended with code ${code} and without a report`;
    const failures = [...findLooseErrors(output), { title: suite, reason }];
    return { passed: 0, failures, skipped: [] };
  }
  const { passed, failures, skipped } = readReport(xml);
  const all = [...failures, ...findLooseErrors(output)];
  // A crash outside a test case shows at least in the exit code.
  if (code !== 0 && all.length === 0) {
    all.push({ title: suite, reason: `ended with code ${code}` });
  }
  return { passed, failures: all, skipped: [...skipped] };
}

/** Repeats what a suite prints as it comes, and returns it in the end. */
async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    process.stderr.write(chunk);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const [name = '', ...extra] = Bun.argv.slice(2);
const suite = suites[name];
if (suite === undefined) {
  console.error(`usage: run-tests.ts ${Object.keys(suites).join('|')} [bun test options]`);
  process.exit(2);
}
// ^C reaches the tests as well, which may have something to take down; it is waited for.
let isInterrupted = false;
process.once('SIGINT', () => {
  isInterrupted = true;
});
const total: Outcome = { passed: 0, failures: [], skipped: [] };
for (const [number, paths] of (await suite()).entries()) {
  if (isInterrupted) process.exit(130);
  const outcome = await runGroup(paths, extra, number);
  total.passed += outcome.passed;
  total.failures.push(...outcome.failures);
  total.skipped.push(...outcome.skipped);
}
for (const skip of total.skipped) console.log(`skipped: ${skip}`);
const failed = total.failures.length;
if (failed > 0) console.log(formatFailures(total.failures));
console.log(`${total.passed} passed, ${failed} failed`);
// What this machine cannot run is skipped by name; a suite without any test is a mistake.
process.exit(failed === 0 && total.passed + total.skipped.length > 0 ? 0 : 1);
