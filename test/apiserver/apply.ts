// Test equipment: field ownership. Server-side apply merges what a manager wants and takes back what it no longer
// wants; every other write is recorded as an update by its manager.
import {
  changedFields,
  difference,
  existing,
  type FieldTree,
  fromFieldsV1,
  intersection,
  isEmptyTree,
  leafPaths,
  NO_FIELDS,
  partsOf,
  toFieldsV1,
  treeOf,
  union,
} from './field-tree.ts';
import {
  copy,
  isObject,
  type Json,
  type JsonObject,
  listAt,
  objectAt,
  textAt,
  without,
} from './json.ts';
import type { Shape } from './shape.ts';
import { itemKey } from './shape.ts';
import { applyConflict, type StatusCause } from './status.ts';

/** Who writes, and how. One entry of managedFields exists for each different writer. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
}

interface Entry {
  readonly writer: Writer;
  readonly fields: FieldTree;
}

/** Members of metadata that the server owns or that name the object: nobody's fields. */
const UNOWNED_METADATA = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
];

/** The part of an object whose fields have owners. */
function ownable(object: JsonObject): JsonObject {
  const metadata = without(objectAt(object, 'metadata'), ...UNOWNED_METADATA);
  const rest = without(object, 'apiVersion', 'kind', 'metadata');
  return Object.keys(metadata).length === 0 ? rest : { ...rest, metadata };
}

function isSameWriter(a: Writer, b: Writer): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.apiVersion === b.apiVersion &&
    a.subresource === b.subresource
  );
}

function entriesOf(object: JsonObject): Entry[] {
  return listAt(objectAt(object, 'metadata'), 'managedFields')
    .filter(isObject)
    .map((entry) => ({
      writer: {
        manager: textAt(entry, 'manager'),
        operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
        apiVersion: textAt(entry, 'apiVersion'),
        subresource: textAt(entry, 'subresource'),
        time: textAt(entry, 'time'),
      },
      fields: fromFieldsV1(objectAt(entry, 'fieldsV1')),
    }));
}

function withEntries(object: JsonObject, entries: readonly Entry[]): JsonObject {
  const managedFields = entries
    .filter((entry) => !isEmptyTree(entry.fields))
    .map(({ writer, fields }) => ({
      manager: writer.manager,
      operation: writer.operation,
      apiVersion: writer.apiVersion,
      time: writer.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(writer.subresource === '' ? {} : { subresource: writer.subresource }),
    }));
  const metadata = without(objectAt(object, 'metadata'), 'managedFields');
  const owned = managedFields.length === 0 ? {} : { managedFields };
  return { ...object, metadata: { ...metadata, ...owned } };
}

/** Records a create, replace or patch: changed fields change hands, vanished ones belong to nobody. */
export function recordUpdate(
  before: JsonObject | undefined,
  after: JsonObject,
  writer: Writer,
  shape: Shape,
): JsonObject {
  const value = ownable(after);
  const changed = changedFields(before === undefined ? undefined : ownable(before), value, shape);
  const old = before === undefined ? [] : entriesOf(before);
  const others = old
    .filter((entry) => !isSameWriter(entry.writer, writer))
    .map((entry) => ({
      writer: entry.writer,
      fields: existing(difference(entry.fields, changed), value, shape),
    }));
  const own = old.find((entry) => isSameWriter(entry.writer, writer));
  if (own === undefined && isEmptyTree(changed)) return withEntries(after, others);
  const fields = existing(union(own?.fields ?? NO_FIELDS, changed), value, shape);
  const time = isEmptyTree(changed) ? (own?.writer.time ?? writer.time) : writer.time;
  return withEntries(after, [...others, { writer: { ...writer, time }, fields }]);
}

/** The object after a server-side apply of `config`. Throws 409 on fields of others, unless `isForced`. */
export function applyConfig(
  live: JsonObject | undefined,
  config: JsonObject,
  writer: Writer,
  shape: Shape,
  isForced: boolean,
): JsonObject {
  const wanted = treeOf(ownable(config), shape);
  const old = live === undefined ? [] : entriesOf(live);
  const own = old.find((entry) => isSameWriter(entry.writer, writer))?.fields ?? NO_FIELDS;
  const others = old.filter((entry) => !isSameWriter(entry.writer, writer));
  const merged = mergeValue(live, without(config, 'apiVersion', 'kind'), shape);
  if (!isObject(merged)) throw new TypeError('an object merged into an object is one');
  const before = live === undefined ? undefined : ownable(live);
  const changed = intersection(wanted, changedFields(before, ownable(merged), shape));
  const contested = others.map((entry) => intersection(changed, entry.fields));
  if (!isForced) refuseContested(others, contested);
  const left = others.map((entry, index) => ({
    writer: entry.writer,
    fields: difference(entry.fields, contested[index] ?? NO_FIELDS),
  }));
  const kept = left.reduce((all, entry) => union(all, entry.fields), wanted);
  const pruned = removeFields(merged, difference(own, wanted), kept, shape);
  const object = {
    ...(isObject(pruned) ? pruned : {}),
    apiVersion: config.apiVersion ?? '',
    kind: config.kind ?? '',
  };
  return withEntries(object, [...left, { writer, fields: wanted }]);
}

function refuseContested(others: readonly Entry[], contested: readonly FieldTree[]): void {
  const causes: StatusCause[] = others.flatMap(({ writer }, index) =>
    leafPaths(contested[index] ?? NO_FIELDS).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${writer.manager}"${
        writer.operation === 'Update' ? ` using ${writer.apiVersion}` : ''
      }`,
      field,
    })),
  );
  if (causes.length > 0) throw applyConflict(causes);
}

function mergeValue(live: Json | undefined, config: Json, shape: Shape): Json {
  if (isObject(config) && isObject(live) && !shape.isAtomicMap) {
    const merged: JsonObject = { ...live };
    for (const [key, value] of Object.entries(config)) {
      merged[key] = mergeValue(live[key], value, shape.member(key));
    }
    return merged;
  }
  if (Array.isArray(config) && Array.isArray(live)) return mergeList(live, config, shape);
  return copy(config);
}

function mergeList(live: Json[], config: Json[], shape: Shape): Json[] {
  const old = partsOf(live, shape);
  const wanted = partsOf(config, shape);
  if (old === undefined || wanted === undefined) return copy(config);
  const kept = [...old].map(([name, part]) => {
    const update = wanted.get(name);
    return update === undefined ? part.value : mergeValue(part.value, update.value, part.shape);
  });
  const added = [...wanted].filter(([name]) => !old.has(name)).map(([, part]) => copy(part.value));
  return [...kept, ...added];
}

/** Takes `gone` out of a value, but nothing at or above a place in `kept`. Undefined when nothing is left. */
function removeFields(
  value: Json,
  gone: FieldTree,
  kept: FieldTree,
  shape: Shape,
): Json | undefined {
  if (isEmptyTree(gone)) return value;
  const below = (name: string, part: Json, partShape: Shape): Json | undefined => {
    const lost = gone.children.get(name);
    if (lost === undefined) return part;
    const others = kept.children.get(name);
    if (others === undefined && lost.self) return undefined;
    return removeFields(part, lost, others ?? NO_FIELDS, partShape);
  };
  if (isObject(value)) {
    const left = Object.entries(value).flatMap(([key, member]) => {
      const rest = below(`f:${key}`, member, shape.member(key));
      return rest === undefined ? [] : [[key, rest] as const];
    });
    return left.length === 0 && isEmptyTree(kept) ? undefined : Object.fromEntries(left);
  }
  if (!Array.isArray(value)) return value;
  const names = [...(partsOf(value, shape)?.entries() ?? [])];
  const left = names.flatMap(([name, part]) => {
    const rest = below(name, part.value, part.shape);
    return rest === undefined ? [] : [rest];
  });
  return left.length === 0 && isEmptyTree(kept) ? undefined : left;
}

/** True when two items of a keyed list are the same one. */
export function isSameItem(a: Json, b: Json, keys: readonly string[]): boolean {
  const left = itemKey(a, keys);
  const right = itemKey(b, keys);
  return left !== undefined && right !== undefined && keys.every((key) => left[key] === right[key]);
}
