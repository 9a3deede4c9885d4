// One line of JSON per call, with the fields that the style promises and none of the secrets.
import { describe, expect, test } from 'bun:test';
import { createLogger, parseLogLevel } from './log.ts';

function capture(level: 'error' | 'info' | 'debug' = 'debug') {
  const lines: string[] = [];
  const log = createLogger({
    component: 'test',
    level,
    write: (line) => lines.push(line),
    now: () => Date.UTC(2024, 0, 2, 3, 4, 5, 6),
  });
  return { log, lines, last: (): unknown => JSON.parse(lines.at(-1) ?? 'null') };
}

describe('log', () => {
  test('a line carries time, level, message, component and fields, in this order first', () => {
    const { log, lines } = capture();
    log.info('attached', { node: 'n1', durationMs: 3 });
    expect(lines).toEqual([
      '{"time":"2024-01-02T03:04:05.006Z","level":"info","msg":"attached","component":"test","node":"n1","durationMs":3}',
    ]);
  });

  test('levels below the chosen one are silent', () => {
    const { log, lines } = capture('error');
    log.debug('a');
    log.info('b');
    log.error('c');
    expect(lines.length).toBe(1);
  });

  test('a child adds its fields and may replace those of its parent', () => {
    const { log, last } = capture();
    log.child({ node: 'n1', pod: 'a/b' }).child({ pod: 'c/d' }).info('x');
    expect(last()).toMatchObject({ node: 'n1', pod: 'c/d' });
  });

  test('fields cannot replace the head', () => {
    const { log, last } = capture();
    log.info('x', { level: 'none', msg: 'other', time: 0 });
    expect(last()).toMatchObject({ level: 'info', msg: 'x', time: '2024-01-02T03:04:05.006Z' });
  });

  test('an error becomes its message with its causes, and its kind', () => {
    const { log, last } = capture();
    class Failure extends Error {
      readonly kind = 'not-ready';
    }
    log.error('x', { error: new Failure('outer', { cause: new Error('inner') }) });
    expect(last()).toMatchObject({ error: 'outer: inner', errorKind: 'not-ready' });
    log.error('x', { error: new Error('open /a failed: EIO', { cause: new Error('EIO') }) });
    expect(last()).toMatchObject({ error: 'open /a failed: EIO' });
    log.error('x', { error: new TypeError('plain') });
    expect(last()).toMatchObject({ error: 'plain', errorKind: 'TypeError' });
    log.error('x', { error: 'text' });
    expect(last()).toMatchObject({ error: 'text' });
  });

  test('causes that lead back to themselves end', () => {
    const { log, lines } = capture();
    const error = new Error('loop');
    error.cause = error;
    log.error('x', { error });
    expect(lines.length).toBe(1);
  });

  test('secrets are not printed, at any depth', () => {
    const { log, lines } = capture();
    log.info('x', { token: 's3cret', request: { Authorization: 'Bearer s3cret' } });
    expect(lines[0]).not.toContain('s3cret');
  });

  test('values that JSON does not know are printed all the same', () => {
    const { log, last } = capture();
    log.info('x', {
      big: 2n ** 70n,
      set: new Set([1]),
      map: new Map([['a', 1]]),
      nothing: undefined,
    });
    expect(last()).toMatchObject({ big: '1180591620717411303424', set: [1], map: { a: 1 } });
  });

  test('what cannot be printed is said, not thrown', () => {
    const { log, last } = capture();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    log.info('x', { circle });
    expect(last()).toMatchObject({ msg: 'log line not printable' });
  });

  test('a line that is too long keeps its head', () => {
    const { log, lines, last } = capture();
    log.child({ node: 'n1' }).info('x', { text: 'y'.repeat(100_000) });
    expect(lines[0]?.length).toBeLessThan(1_000);
    expect(last()).toMatchObject({ msg: 'x', node: 'n1' });
  });

  test('levels are read from text, and info is what unknown ones mean', () => {
    expect(parseLogLevel(' DEBUG ')).toBe('debug');
    expect(parseLogLevel('error')).toBe('error');
    expect(parseLogLevel('verbose')).toBe('info');
    expect(parseLogLevel(undefined)).toBe('info');
  });
});
