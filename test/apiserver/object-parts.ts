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

/** An empty list of managedFields asks to forget all owners. */
export function isResetOfOwners(changed: JsonObject): boolean {
  const owners = objectAt(changed, 'metadata').managedFields;
  return Array.isArray(owners) && owners.every((entry) => isEqual(entry, {}));
}

/** The object without its owners. */
export function disown(object: JsonObject): JsonObject {
  return { ...object, metadata: without(objectAt(object, 'metadata'), 'managedFields') };
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
