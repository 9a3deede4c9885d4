// Versions against the golden vectors of the specification.
import { describe, expect, test } from 'bun:test';
import golden from '../../../../test/golden/cni/versions.json';
import {
  effectiveVersion,
  familyOf,
  isAtLeast,
  isSupported,
  parseVersion,
  SUPPORTED_VERSIONS,
  toVersionReply,
  type VersionParts,
} from './version.ts';

describe('version texts', () => {
  for (const { text, parts } of golden.parse) {
    test(`${JSON.stringify(text)} is ${parts?.join(', ') ?? 'refused'}`, () => {
      const expected = parts === null ? undefined : parts;
      expect<VersionParts | number[] | undefined>(parseVersion(text)).toEqual(expected);
    });
  }
});

describe('order', () => {
  for (const { version, floor, answer } of golden.atLeast) {
    test(`"${version}" at least "${floor}": ${answer}`, () => {
      expect(isAtLeast(version, floor)).toBe(answer ?? undefined);
    });
  }
});

test('every supported version belongs to a family', () => {
  expect(SUPPORTED_VERSIONS.map(familyOf).join('')).toBe('AABBBCC');
  expect(familyOf('')).toBe('A');
  expect(familyOf('1.0.1')).toBeUndefined();
});

test('only the exact texts are supported', () => {
  expect(isSupported('1.0.0')).toBe(true);
  for (const text of ['', '1.0', '1.0.0 ', '01.0.0', '2.0.0'])
    expect(isSupported(text)).toBe(false);
});

test('no version means the oldest', () => {
  expect(effectiveVersion(undefined)).toBe('0.1.0');
  expect(effectiveVersion('')).toBe('0.1.0');
  expect(effectiveVersion('1.1.0')).toBe('1.1.0');
});

test('VERSION prints all of them', () => {
  expect(JSON.stringify(toVersionReply())).toBe(
    '{"cniVersion":"1.1.0","supportedVersions":' +
      '["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}',
  );
  expect(toVersionReply('0.4.0').cniVersion).toBe('0.4.0');
});
