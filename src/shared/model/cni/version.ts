// CNI versions: which ones we speak, how they compare, and to which family of result shapes they
// belong.

/** All versions we speak, oldest first; the exact list that VERSION prints. */
export const SUPPORTED_VERSIONS = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
] as const;

/** The version whose result shape is used inside. */
export const NEWEST_VERSION = '1.1.0';

/** The version of a configuration that names none (CNI SPEC, backward compatibility). */
export const OLDEST_VERSION = '0.1.0';

/** Major, minor, patch. */
export type VersionParts = readonly [number, number, number];

const part = /^[0-9]{1,9}$/;

/**
 * Reads one to three decimal parts; missing ones are 0 and the empty text is 0.1.0. Undefined for
 * anything else.
 */
export function parseVersion(text: string): VersionParts | undefined {
  if (text === '') return [0, 1, 0];
  const parts = text.split('.');
  if (parts.length > 3 || !parts.every((one) => part.test(one))) return undefined;
  const [major = 0, minor = 0, patch = 0] = parts.map(Number);
  return [major, minor, patch];
}

/** Whether `version` is the same as or later than `floor`; undefined if either cannot be read. */
export function isAtLeast(version: string, floor: string): boolean | undefined {
  const left = parseVersion(version);
  const right = parseVersion(floor);
  if (left === undefined || right === undefined) return undefined;
  for (const [index, number] of left.entries()) {
    const other = right[index] ?? 0;
    if (number !== other) return number > other;
  }
  return true;
}

/** Whether it is exactly one of the versions we speak. */
export function isSupported(version: string): boolean {
  return SUPPORTED_VERSIONS.some((supported) => supported === version);
}

/** The version that a configuration asks for: absent and empty mean the oldest. */
export function effectiveVersion(version: string | undefined): string {
  return version === undefined || version === '' ? OLDEST_VERSION : version;
}

/** Families of result shapes (spec cni 1.8): A up to 0.2.0, B up to 0.4.0, C from 1.0.0. */
export type ResultFamily = 'A' | 'B' | 'C';

/** Versions of each family, as error texts list them. */
export const familyVersions: Readonly<Record<ResultFamily, readonly string[]>> = {
  A: ['', '0.1.0', '0.2.0'],
  B: ['0.3.0', '0.3.1', '0.4.0'],
  C: ['1.0.0', '1.1.0'],
};

/** The family of a version, or undefined for one we do not speak. */
export function familyOf(version: string): ResultFamily | undefined {
  const families: ResultFamily[] = ['A', 'B', 'C'];
  return families.find((family) => familyVersions[family].includes(version));
}

/** What VERSION prints. */
export function toVersionReply(cniVersion: string = NEWEST_VERSION): {
  cniVersion: string;
  supportedVersions: readonly string[];
} {
  return { cniVersion, supportedVersions: SUPPORTED_VERSIONS };
}
