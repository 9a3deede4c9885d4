// Every error kind at every edge: CNI code, HTTP status and problem document.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import {
  DomainError,
  type ErrorKind,
  fromProblem,
  isDomainError,
  isErrorKind,
  toCniCode,
  toCniStatusCode,
  toHttpStatus,
  toProblem,
} from './errors.ts';
import { Problem } from './problem.ts';

const table: Record<ErrorKind, { cni: number; http: number; status?: number }> = {
  'invalid-environment': { cni: 4, http: 400 },
  'io-failed': { cni: 5, http: 500 },
  'decode-failed': { cni: 6, http: 400 },
  'invalid-config': { cni: 7, http: 422 },
  'incompatible-version': { cni: 1, http: 400 },
  'not-ready': { cni: 11, http: 503, status: 50 },
  'pool-exhausted': { cni: 100, http: 503 },
  'network-unknown': { cni: 101, http: 404 },
  'no-master': { cni: 102, http: 503 },
  'netns-gone': { cni: 3, http: 410 },
  'netns-invalid': { cni: 8, http: 422 },
  'name-in-use': { cni: 103, http: 409 },
  'already-attached': { cni: 103, http: 409 },
  'link-failed': { cni: 104, http: 500 },
  'check-failed': { cni: 105, http: 409 },
  conflict: { cni: 11, http: 409, status: 50 },
  forbidden: { cni: 107, http: 403 },
  'daemon-unreachable': { cni: 11, http: 503, status: 50 },
  'reply-invalid': { cni: 106, http: 502 },
  'journal-corrupt': { cni: 11, http: 503, status: 50 },
  timeout: { cni: 11, http: 504, status: 50 },
};

for (const [kind, { cni, http, status }] of Object.entries(table)) {
  test(`${kind} is CNI code ${cni} and HTTP ${http}`, () => {
    if (!isErrorKind(kind)) throw new Error(`${kind} is no kind`);
    expect(toCniCode(kind)).toBe(cni);
    expect(toCniStatusCode(kind)).toBe(status ?? cni);
    expect(toHttpStatus(kind)).toBe(http);
    const error = new DomainError(kind, 'it did not work');
    expect(v.parse(Problem, toProblem(error))).toMatchObject({
      type: `urn:multi-nic:problem:${kind}`,
      status: http,
      detail: 'it did not work',
    });
  });
}

describe('a DomainError', () => {
  test('keeps its cause and its facts', () => {
    const cause = new Error('EEXIST');
    const error = new DomainError('name-in-use', 'x', { cause, details: { interfaceName: 'a' } });
    expect(error.cause).toBe(cause);
    expect(error.details).toEqual({ interfaceName: 'a' });
    expect('cause' in new DomainError('timeout', 'x')).toBe(false);
  });

  test('is told apart by kind', () => {
    const error = new DomainError('timeout', 'x');
    expect(isDomainError(error)).toBe(true);
    expect(isDomainError(error, 'conflict', 'timeout')).toBe(true);
    expect(isDomainError(error, 'conflict')).toBe(false);
    expect(isDomainError(new Error('x'))).toBe(false);
  });

  test('no inherited name is a kind', () => {
    expect(isErrorKind('toString')).toBe(false);
    expect(isErrorKind('')).toBe(false);
  });
});

describe('a problem document', () => {
  test('carries the facts and the request id, and comes back as the same error', () => {
    const details = { network: 'net', interfaceIndex: 3, nics: ['eth1', 'eth2'] };
    const error = new DomainError('pool-exhausted', 'no address is free', { details });
    const problem = toProblem(error, { requestId: 'abc' });
    expect(problem).toMatchObject({ ...details, requestId: 'abc', title: 'no free address' });
    const again = fromProblem(v.parse(Problem, JSON.parse(JSON.stringify(problem))));
    expect(again?.kind).toBe('pool-exhausted');
    expect(again?.message).toBe('no address is free');
    expect(again?.details).toEqual({ ...details, requestId: 'abc' });
  });

  test('facts cannot replace what programs test', () => {
    const details = { type: 'x', status: 1, title: 'y', detail: 'z' };
    const problem = toProblem(new DomainError('timeout', 'late', { details }));
    expect(problem).toMatchObject({
      type: 'urn:multi-nic:problem:timeout',
      status: 504,
      detail: 'late',
    });
  });

  test('says nothing about a bug', () => {
    const problem = toProblem(new TypeError('secret is undefined'), { requestId: 'r1' });
    expect(JSON.stringify(problem)).not.toContain('secret');
    expect(problem).toEqual({
      type: 'urn:multi-nic:problem:internal',
      title: 'internal error',
      status: 500,
      requestId: 'r1',
    });
    expect(fromProblem(problem)).toBeUndefined();
  });

  test('leaves out members that cannot be facts', () => {
    const error = fromProblem({
      type: 'urn:multi-nic:problem:conflict',
      title: 'conflict',
      status: 409,
      nested: { a: 1 },
      mixed: ['a', 1],
      kept: 'yes',
    });
    expect(error?.details).toEqual({ kept: 'yes' });
    expect(error?.message).toBe('conflict');
  });

  const refused: [what: string, value: unknown][] = [
    ['a foreign type', { type: 'about:blank', title: 'x', status: 500 }],
    ['no title', { type: 'urn:multi-nic:problem:timeout', status: 504 }],
    ['a status of success', { type: 'urn:multi-nic:problem:timeout', title: 'x', status: 200 }],
    ['a status that is text', { type: 'urn:multi-nic:problem:timeout', title: 'x', status: '504' }],
    ['a list', []],
    ['null', null],
  ];
  for (const [what, value] of refused) {
    test(`is refused with ${what}`, () => expect(v.safeParse(Problem, value).success).toBe(false));
  }
});
