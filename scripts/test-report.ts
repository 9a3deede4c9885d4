// Reads the JUnit report that `bun test` writes: how many tests passed, failed and were skipped, and
// why each of those that failed did.

/** One test that failed. */
export interface TestFailure {
  /** `file:line group > name`. */
  readonly title: string;
  readonly reason: string;
}

/** What a report says. */
export interface Tally {
  readonly passed: number;
  readonly failures: readonly TestFailure[];
  readonly skipped: readonly string[];
}

/** So much of each reason is repeated, and of so many. */
const REASON_LINES_MAX = 30;
const REASON_CHARS_MAX = 2_000;
const REASONS_MAX = 20;

/** Throws when the text is no report. */
export function readReport(xml: string): Tally {
  const tests = Number(/<testsuites[^>]* tests="(\d+)"/.exec(xml)?.[1] ?? Number.NaN);
  if (Number.isNaN(tests)) throw new Error('the test report has no counts');
  const failures: TestFailure[] = [];
  const skipped: string[] = [];
  for (const [, head = '', , body = ''] of xml.matchAll(CASE)) {
    if (body.includes('<skipped')) skipped.push(attribute(head, 'name'));
    if (!body.includes('<failure')) continue;
    failures.push({ title: titleOf(head), reason: reasonOf(body) });
  }
  return { passed: tests - failures.length - skipped.length, failures, skipped };
}

/** A test case: its attributes, and what it contains if anything. Text has no angle brackets. */
const CASE = /<testcase ([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g;

function titleOf(head: string): string {
  const [file, line, group, name] = ['file', 'line', 'classname', 'name'].map((key) =>
    attribute(head, key),
  );
  const place = line === '' ? file : `${file}:${line}`;
  return `${place} ${group === '' ? '' : `${group} > `}${name}`;
}

function reasonOf(body: string): string {
  const text = /<failure[^>]*[^/]>([\s\S]*?)<\/failure>/.exec(body)?.[1];
  return text === undefined ? attribute(body, 'message') : decode(text);
}

function attribute(text: string, name: string): string {
  return decode(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(text)?.[1] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  gt: '>',
  lt: '<',
  quot: '"',
};

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name?: string) =>
    code === undefined ? (ENTITIES[name ?? ''] ?? whole) : String.fromCodePoint(Number(code)),
  );
}

/** Errors outside of tests, as `bun test` prints them: the report knows nothing of them. */
export function findLooseErrors(output: string): TestFailure[] {
  const text = Bun.stripANSI(output);
  const blocks = text.matchAll(/# Unhandled error between tests\n-+\n([\s\S]*?)\n-+\n/g);
  return [...blocks].map(([, reason = '']) => ({ title: 'outside of a test', reason }));
}

/** The closing list of what failed, with the reasons, bounded. */
export function formatFailures(failures: readonly TestFailure[]): string {
  const parts = failures.map(({ title, reason }, index) => {
    if (index >= REASONS_MAX) return `FAILED ${title}`;
    return [`FAILED ${title}`, ...bounded(reason).map((line) => `    ${line}`)].join('\n');
  });
  return parts.join('\n');
}

function bounded(reason: string): string[] {
  const lines = reason.slice(0, REASON_CHARS_MAX).trim().split('\n').slice(0, REASON_LINES_MAX);
  const kept = lines.map((line) => line.trimEnd());
  return kept.join('\n').length < reason.trim().length ? [...kept, '...'] : kept;
}
