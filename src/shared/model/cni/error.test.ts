// How failures become the error object that a runtime reads.
import { expect, test } from 'bun:test';
import * as v from 'valibot';
import { DomainError } from '../errors.ts';
import { CniError, CniFailure, cniError, toCniError } from './error.ts';

const o = { cniVersion: '0.3.0' };

test('a DomainError has the code of its kind and its facts as details', () => {
  const details = { network: 'net', nics: ['eth1', 'eth2'], free: 0 };
  const error = new DomainError('pool-exhausted', 'no address is free', { details });
  expect(toCniError(error, o)).toEqual({
    cniVersion: '0.3.0',
    code: 100,
    msg: 'no address is free',
    details: 'network=net nics=eth1,eth2 free=0',
  });
});

test('issues come first, one per line', () => {
  const details = { issues: ['spec.ipam: not JSON', 'spec.subnet: not a CIDR'], network: 'net' };
  const error = new DomainError('invalid-config', 'the network cannot be used', { details });
  expect(toCniError(error, o).details).toBe(
    'spec.ipam: not JSON\nspec.subnet: not a CIDR\nnetwork=net',
  );
});

test('a list without items is no detail', () => {
  const details = { network: 'net', reasons: [], free: 0 };
  const error = new DomainError('no-master', 'no NIC is suitable', { details });
  expect(toCniError(error, o).details).toBe('network=net free=0');
});

test('an error without facts has no details', () => {
  expect('details' in toCniError(new DomainError('timeout', 'late'), o)).toBe(false);
  expect(cniError(7, 'x', '')).toEqual({ code: 7, msg: 'x' });
});

test('STATUS says 50 where others are told to try again', () => {
  const error = new DomainError('not-ready', 'the daemon is starting');
  expect(toCniError(error, { ...o, command: 'STATUS' }).code).toBe(50);
  expect(toCniError(error, { ...o, command: 'ADD' }).code).toBe(11);
});

test("a delegate's error passes unchanged (P-20)", () => {
  const failure = new CniFailure({ cniVersion: '1.0.0', code: 1234, msg: 'potato', details: 'd' });
  expect(toCniError(failure, o)).toEqual({
    cniVersion: '0.3.0',
    code: 1234,
    msg: 'potato',
    details: 'd',
  });
});

test('what repeats a megabyte of input is cut, but not what was undone', () => {
  const long = 'x'.repeat(1_000_000);
  const details = { issues: [long], undo: 'done' };
  const errors = [
    new DomainError('decode-failed', long, { details }),
    new CniFailure({ code: 4, msg: long, details: long }),
    new Error(long),
  ];
  const documents = errors.map((error) => toCniError(error, o));
  for (const document of documents) expect(JSON.stringify(document).length).toBeLessThan(9_000);
  expect(documents[0]?.msg).toEndWith('xxx (and 995904 more characters)');
  expect(documents[0]?.details).toEndWith('xxx (and 995904 more characters)\nundo=done');
});

test('anything else is a bug with code 999 (P-20)', () => {
  expect(toCniError(new Error('potato'), o)).toEqual({ ...o, code: 999, msg: 'potato' });
  expect(toCniError('potato', o)).toEqual({ ...o, code: 999, msg: 'potato' });
});

test('error objects of old plugins are read without version', () => {
  expect(v.safeParse(CniError, { code: 11, msg: 'later' }).success).toBe(true);
  for (const value of [
    { msg: 'x' },
    { code: -1, msg: 'x' },
    { code: '7', msg: 'x' },
    { code: 7 },
  ]) {
    expect(v.safeParse(CniError, value).success).toBe(false);
  }
});
