// Test equipment: small pure steps that writes are made of.
import { isEqual, type Json, type JsonObject, objectAt, without } from './json.ts';
import { apiVersionOf, type Kind } from './kinds.ts';

/** The object with its apiVersion and kind set and in front. */
export function frameOf(kind: Kind, body: JsonObject): JsonObject {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    ...without(body, 'apiVersion', 'kind'),
  };
}

/** The schema without its rules for apiVersion, kind and metadata, which are checked apart. */
export function withoutFrame(schema: JsonObject): JsonObject {
  const properties = without(objectAt(schema, 'properties'), 'apiVersion', 'kind', 'metadata');
  return { ...schema, properties };
}

/** What a request leaves as it is: status and the rest are written apart where there is a status. */
export function fixedMembers(kind: Kind, subresource: '' | 'status'): readonly string[] {
  if (!kind.hasStatus) return [];
  if (subresource === '') return ['status'];
  return kind.schema === undefined ? ['spec'] : ['spec', 'metadata'];
}

/** What counts as a change: not the version, and not when a manager wrote the same thing again. */
export function comparable(object: JsonObject): JsonObject {
  const metadata = objectAt(object, 'metadata');
  const owners = Array.isArray(metadata.managedFields) ? metadata.managedFields : [];
  const timeless = owners.map((entry: Json) =>
    typeof entry === 'object' && entry !== null && !Array.isArray(entry)
      ? without(entry, 'time')
      : entry,
  );
  return {
    ...object,
    metadata: { ...without(metadata, 'resourceVersion'), managedFields: timeless },
  };
}

/**
 * Whether a request asks to forget all owners: by an empty entry of managedFields, in built-in kinds
 * also by an empty list.
 */
export function isResetOfOwners(kind: Kind, changed: JsonObject): boolean {
  const owners = objectAt(changed, 'metadata').managedFields;
  if (!Array.isArray(owners)) return false;
  return owners.length === 0 ? kind.schema === undefined : isEqual(owners, [{}]);
}

const DELETION = ['deletionTimestamp', 'deletionGracePeriodSeconds'];

/**
 * The next version of an object without what a request leaves out about its deletion. The server
 * puts that back, but to no owner.
 */
export function asSent(next: JsonObject, request: JsonObject): JsonObject {
  const sent = objectAt(request, 'metadata');
  const missing = DELETION.filter((key) => !(key in sent));
  return { ...next, metadata: without(objectAt(next, 'metadata'), ...missing) };
}

/** Waiting for dependents is a finalizer; the garbage collector takes it away. */
export function withPropagation(
  finalizers: readonly Json[],
  propagation: string | undefined,
): Json[] {
  const extra = { Foreground: 'foregroundDeletion', Orphan: 'orphan' }[propagation ?? ''];
  return extra === undefined || finalizers.includes(extra)
    ? [...finalizers]
    : [...finalizers, extra];
}
