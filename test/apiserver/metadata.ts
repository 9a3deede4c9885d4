// Test equipment: the rules of ObjectMeta: names, labels, annotations, owners, and the members that
// only the server writes.
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import type { Kind } from './kinds.ts';
import type { StatusCause } from './status.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_NAME = /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const ANNOTATION_BYTES_MAX = 256 << 10;

/** As the real server's: no vowels, and nothing that looks like something else. */
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_CHARS = 5;
const GENERATED_BASE_CHARS_MAX = 63 - SUFFIX_CHARS;

/** A name from `generateName`; `random` gives integers below its argument. */
export function generateName(base: string, random: (limit: number) => number): string {
  let suffix = '';
  while (suffix.length < SUFFIX_CHARS) {
    suffix += SUFFIX_LETTERS[random(SUFFIX_LETTERS.length)] ?? '';
  }
  return base.slice(0, GENERATED_BASE_CHARS_MAX) + suffix;
}

/** Everything that is wrong with the metadata of an object that someone wants to store. */
export function checkMetadata(object: JsonObject, kind: Kind): StatusCause[] {
  const metadata = objectAt(object, 'metadata');
  return [
    ...nameFaults(textAt(metadata, 'name'), kind),
    ...mapFaults(metadata.labels, 'metadata.labels', LABEL_VALUE),
    ...mapFaults(metadata.annotations, 'metadata.annotations', undefined),
    ...finalizerFaults(metadata),
    ...ownerFaults(metadata),
  ];
}

function invalidValue(field: string, message: string): StatusCause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${message}` };
}

function nameFaults(name: string, kind: Kind): StatusCause[] {
  if (name === '') {
    const message = 'Required value: name or generateName is required';
    return [{ reason: 'FieldValueRequired', field: 'metadata.name', message }];
  }
  // RBAC names may be any path segment, like `system:node`.
  if (kind.group === 'rbac.authorization.k8s.io') return [];
  const isLabel = kind.group === '' && ['namespaces', 'services'].includes(kind.plural);
  const charsMax = isLabel ? 63 : 253;
  const pattern = isLabel ? DNS_LABEL : DNS_SUBDOMAIN;
  if (name.length <= charsMax && pattern.test(name)) return [];
  const rule = isLabel ? 'RFC 1123 label' : 'RFC 1123 subdomain';
  return [invalidValue('metadata.name', `${JSON.stringify(name)}: a lowercase ${rule} is needed`)];
}

function mapFaults(
  map: Json | undefined,
  field: string,
  values: RegExp | undefined,
): StatusCause[] {
  if (map === undefined || map === null) return [];
  if (!isObject(map)) return [invalidValue(field, 'must be an object of strings')];
  const faults = Object.entries(map).flatMap(([key, value]) => {
    if (!QUALIFIED_NAME.test(key))
      return [invalidValue(field, `${key}: a qualified name is needed`)];
    if (typeof value !== 'string' || values?.test(value) === false) {
      return [invalidValue(field, `${JSON.stringify(value)}: not allowed as a value`)];
    }
    return [];
  });
  const sizeBytes = JSON.stringify(map).length;
  const isTooLong = values === undefined && sizeBytes > ANNOTATION_BYTES_MAX;
  return isTooLong ? [...faults, invalidValue(field, 'too long')] : faults;
}

function finalizerFaults(metadata: JsonObject): StatusCause[] {
  const { finalizers = [] } = metadata;
  if (!Array.isArray(finalizers)) return [invalidValue('metadata.finalizers', 'must be a list')];
  return listAt(metadata, 'finalizers').flatMap((name, index) =>
    typeof name === 'string' && QUALIFIED_NAME.test(name)
      ? []
      : [invalidValue(`metadata.finalizers[${index}]`, `${JSON.stringify(name)}`)],
  );
}

function ownerFaults(metadata: JsonObject): StatusCause[] {
  return listAt(metadata, 'ownerReferences').flatMap((owner, index) => {
    const members = isObject(owner) ? owner : {};
    return ['apiVersion', 'kind', 'name', 'uid']
      .filter((key) => textAt(members, key) === '')
      .map((key) => invalidValue(`metadata.ownerReferences[${index}].${key}`, 'must not be empty'));
  });
}

/** Members that a client cannot set; what it sends in them is replaced by what the server knows. */
const SERVER_MEMBERS = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
  'selfLink',
] as const;

/** The object with the server's members taken from `known`. */
export function withServerMembers(object: JsonObject, known: JsonObject): JsonObject {
  const metadata: JsonObject = { ...objectAt(object, 'metadata') };
  for (const member of SERVER_MEMBERS) {
    const value = known[member];
    if (value === undefined) delete metadata[member];
    else metadata[member] = value;
  }
  return { ...object, metadata };
}

/** RFC 3339 without fractions, as the server writes times. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Whether an object waits for its finalizers. */
export function isTerminating(object: JsonObject): boolean {
  return textAt(objectAt(object, 'metadata'), 'deletionTimestamp') !== '';
}

export function finalizersOf(object: JsonObject): Json[] {
  return listAt(objectAt(object, 'metadata'), 'finalizers');
}

/** Members that are not kept when they are empty, as Go leaves them out. */
const MAPS = ['labels', 'annotations'];
const LISTS = ['finalizers', 'ownerReferences'];

function isLeftOut(key: string, value: Json): boolean {
  if (value === null) return MAPS.includes(key) || LISTS.includes(key);
  if (isObject(value)) return MAPS.includes(key) && Object.keys(value).length === 0;
  return Array.isArray(value) && LISTS.includes(key) && value.length === 0;
}

/** The object with its metadata as the server would write it. */
export function withoutEmptyMetadata(object: JsonObject): JsonObject {
  const members = Object.entries(objectAt(object, 'metadata'));
  const kept = members.filter(([key, value]) => !isLeftOut(key, value));
  const metadata: JsonObject = Object.fromEntries(kept);
  for (const key of MAPS) {
    const map = metadata[key];
    if (isObject(map)) metadata[key] = withoutNullTexts(map);
  }
  return { ...object, metadata };
}

/** Go reads null into a string as ''. */
export function withoutNullTexts(map: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value ?? '']));
}
