// Results against the golden vectors: conversions, reading what delegates answer, prevResult.
import { describe, expect, test } from 'bun:test';
import golden from '../../../../test/golden/cni/results.json';
import { isDomainError } from '../errors.ts';
import { parsePrevResult, parseResult, toResultVersion } from './result.ts';
import { SUPPORTED_VERSIONS } from './version.ts';

/** The value, or the message of the DomainError that was thrown instead. */
function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (isDomainError(error, 'decode-failed', 'incompatible-version')) return error.message;
    throw error;
  }
}

function check(actual: unknown, row: { result?: unknown; error?: string | undefined }): void {
  if (row.error === undefined) expect(actual).toEqual(row.result);
  else expect(actual).toEqual(expect.stringContaining(row.error));
}

describe('conversion', () => {
  for (const row of golden.convert) {
    test(`${row.id}: ${row.says}`, () => {
      const version = row.from.cniVersion;
      check(
        outcome(() => toResultVersion(parseResult(row.from, version), row.to)),
        row,
      );
    });
  }

  test('printing gives what reading takes, in every version', () => {
    const newest = parseResult(golden.convert[0]?.from, '1.1.0');
    for (const version of SUPPORTED_VERSIONS) {
      const printed = toResultVersion(newest, version);
      const again = toResultVersion(parseResult(printed, version), version);
      expect(again).toEqual(printed);
    }
  });
});

describe('reading', () => {
  for (const { id, says, value, configVersion, ...row } of golden.read) {
    test(`${id}: ${says}`, () =>
      check(
        outcome(() => parseResult(value, configVersion)),
        row,
      ));
  }
});

describe('prevResult', () => {
  for (const { id, says, value, configVersion, ...row } of golden.prevResult) {
    test(`${id}: ${says}`, () =>
      check(
        outcome(() => parsePrevResult(value, configVersion)),
        row,
      ));
  }
});
